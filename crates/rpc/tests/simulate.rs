//! `eth_simulateV1` and state overrides where the conformance files of execution-apis do not reach: on the dev chain,
//! over past blocks, at this server's limits.

#![allow(clippy::unwrap_used)]

mod common;

use alloy_primitives::{Address, Bytes, TxKind, U256, bytes, hex};
use common::{Node, sign, signer, transaction};
use serde_json::{Value, json};
use std::time::Duration;
use weft_rpc::RpcConfig;

const TARGET: Address = Address::repeat_byte(0xc1);

/// Spends all gas: jumpdest; jump(0).
const ENDLESS: Bytes = bytes!("5b5f56");

async fn transfer(node: &Node, nonce: u64, value: u64) {
    let mut tx = transaction(node.spec.chain_id(), nonce, TxKind::Call(TARGET), Bytes::new());
    tx.value = U256::from(value);
    node.send(&sign(&signer(0), tx)).await;
    node.seal().await;
}

fn one(call: Value, state: Value) -> Value {
    json!({ "blockStateCalls": [{ "calls": [call], "stateOverrides": state }] })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_simulated_on_a_block_stays_what_it_was_when_the_chain_goes_on() {
    let node = Node::start(RpcConfig::default()).await;
    transfer(&node, 0, 1).await;
    let call = json!({ "from": signer(1).address(), "to": TARGET, "value": "0x5" });
    let payload = json!({
        "blockStateCalls": [{ "calls": [call] }, { "blockOverrides": { "number": "0x6" }, "calls": [call] }],
        "traceTransfers": true,
    });
    let before = node.call("eth_simulateV1", json!([payload, "latest"])).await;
    assert_eq!(before.as_array().unwrap().len(), 5, "blocks 2 to 6");
    assert_eq!(before[4]["parentHash"], before[3]["hash"]);
    assert_eq!(before[0]["calls"][0]["status"], "0x1");
    assert_eq!(before[0]["calls"][0]["logs"][0]["address"], json!(Address::repeat_byte(0xee)));
    assert_eq!(before[0]["calls"][0]["logs"][0]["blockHash"], before[0]["hash"]);
    assert_eq!(before[0]["extraData"], "0x", "nothing is committed to");

    transfer(&node, 1, 7).await;
    transfer(&node, 2, 8).await;
    let after = node.call("eth_simulateV1", json!([payload, "0x1"])).await;
    assert_eq!(before, after, "state roots of the past included");
    assert_eq!(node.call("eth_getBalance", json!([TARGET])).await, "0x10", "nothing was kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_simulation_has_the_real_blocks_state_root() {
    let node = Node::start(RpcConfig::default()).await;
    transfer(&node, 0, 1).await;
    let head = node.call("eth_getBlockByNumber", json!(["latest", false])).await;
    // The same block as the real one, as far as a caller can say it.
    let overrides = json!({
        "time": head["timestamp"], "feeRecipient": head["miner"], "prevRandao": head["mixHash"],
        "baseFeePerGas": head["baseFeePerGas"], "gasLimit": head["gasLimit"],
    });
    let real = node.call("eth_getBlockByNumber", json!(["latest", true])).await["transactions"][0].clone();
    let call = json!({
        "from": real["from"], "to": real["to"], "value": real["value"], "gas": real["gas"], "nonce": real["nonce"],
        "maxFeePerGas": real["maxFeePerGas"], "maxPriorityFeePerGas": real["maxPriorityFeePerGas"],
    });
    let payload = json!({
        "blockStateCalls": [{ "blockOverrides": overrides, "calls": [call] }], "validation": true,
    });
    let simulated = node.call("eth_simulateV1", json!([payload, "0x0"])).await;
    for field in ["stateRoot", "receiptsRoot", "gasUsed", "requestsHash", "parentHash", "number"] {
        assert_eq!(simulated[0][field], head[field], "{field}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_simulation_may_cost_is_bounded() {
    let config = RpcConfig {
        gas_cap: 100_000,
        evm_timeout: Duration::from_millis(50),
        response_bytes_max: 8_192,
        ..RpcConfig::default()
    };
    let node = Node::start(config).await;
    let call = json!({ "from": signer(1).address(), "to": TARGET });
    let code = |code: Bytes| json!({ TARGET.to_string(): { "code": code } });

    let (code_of, _) = node.fail("eth_simulateV1", json!([{ "blockStateCalls": [] }])).await;
    assert_eq!(code_of, -32602);
    // The cap holds over all blocks: the first call takes it all, and nothing is left for the second.
    let both = json!({ "blockStateCalls": [
        { "calls": [call], "stateOverrides": code(ENDLESS) }, { "calls": [call] },
    ]});
    let (code_of, words) = node.fail("eth_simulateV1", json!([both])).await;
    assert_eq!((code_of, words.contains("(supplied gas 0)")), (-38013, true), "{words}");
    // return(0, 8000)
    let wide = one(call.clone(), code(bytes!("611f405ff3")));
    assert_eq!(node.fail("eth_simulateV1", json!([wide])).await.0, -32003);
    let withdrawals =
        json!([{ "index": "0x0", "validatorIndex": "0x0", "address": TARGET, "amount": "0x1" }]);
    let withdrawn = json!({ "blockStateCalls": [{ "blockOverrides": { "withdrawals": withdrawals } }] });
    let (code_of, words) = node.fail("eth_simulateV1", json!([withdrawn])).await;
    assert_eq!((code_of, words.as_str()), (-32602, "withdrawals of a simulated block are not supported"));
    // The contract of EIP-7002 is made to revert: the caller's doing, and not a fault of the node.
    let broken = json!({ "0x00000961Ef480Eb55e80D19ad83579A64c007002": { "code": "0x5f5ffd" } });
    assert_eq!(node.fail("eth_simulateV1", json!([one(json!({}), broken)])).await.0, -32000);
    let gas = json!({ "from": signer(1).address(), "to": TARGET, "gas": "0xffffffffffff" });
    assert_eq!(node.fail("eth_simulateV1", json!([one(gas, json!({}))])).await.0, -38015);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulation_ends_when_its_time_is_over() {
    let config =
        RpcConfig { gas_cap: u64::MAX, evm_timeout: Duration::from_millis(20), ..RpcConfig::default() };
    let node = Node::start(config).await;
    let call = json!({ "from": signer(1).address(), "to": TARGET });
    let state = json!({ TARGET.to_string(): { "code": ENDLESS } });
    let (code, words) = node.fail("eth_simulateV1", json!([one(call, state)])).await;
    assert_eq!((code, words.as_str()), (-32000, "execution aborted (timeout = 20ms)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn validation_finds_what_a_node_would_refuse() {
    let node = Node::start(RpcConfig::default()).await;
    let from = signer(1).address();
    let fee = "0x77359400";
    for (call, code) in [
        (json!({ "from": from, "to": TARGET, "nonce": "0x1", "maxFeePerGas": fee }), -38011),
        (json!({ "from": from, "to": TARGET, "maxFeePerGas": "0x1" }), -38012),
        (json!({ "from": from, "to": TARGET, "gas": "0x5207", "maxFeePerGas": fee }), -38013),
        (json!({ "from": TARGET, "to": from, "value": "0x1", "gas": "0x5208", "maxFeePerGas": fee }), -38014),
        (json!({ "from": from, "input": Bytes::from(vec![0; 49_153]), "maxFeePerGas": fee }), -38025),
        (
            json!({ "from": from, "to": TARGET, "maxFeePerGas": fee, "maxPriorityFeePerGas": "0x7735940000" }),
            -32602,
        ),
    ] {
        let payload = json!({ "blockStateCalls": [{ "calls": [call] }], "validation": true });
        let (found, words) = node.fail("eth_simulateV1", json!([payload])).await;
        assert_eq!(found, code, "{call}: {words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_precompile_that_is_overridden_is_none_any_more() {
    let node = Node::start(RpcConfig::default()).await;
    let identity = "0x0000000000000000000000000000000000000004";
    let call = |to: &str| json!({ "to": to, "input": "0x1234" });
    assert_eq!(node.call("eth_call", json!([call(identity), "latest"])).await, "0x1234");
    // return(0, 32) of 7
    let seven = hex::encode_prefixed(hex!("60075f5260205ff3"));
    let state = json!({ identity: { "code": seven, "movePrecompileToAddress": TARGET } });
    let answer = node.call("eth_call", json!([call(identity), "latest", state])).await;
    assert_eq!(answer, format!("{:#066x}", 7));
    assert_eq!(node.call("eth_call", json!([call(&TARGET.to_string()), "latest", state])).await, "0x1234");

    let itself = json!({ identity: { "movePrecompileToAddress": identity } });
    assert_eq!(node.fail("eth_call", json!([call(identity), "latest", itself])).await.0, -38022);
    let nothing = json!({ TARGET.to_string(): { "movePrecompileToAddress": identity } });
    let (code, words) = node.fail("eth_call", json!([call(identity), "latest", nothing])).await;
    assert_eq!((code, words), (-32000, format!("account {TARGET} is not a precompile")));
    let taken =
        json!({ identity: { "movePrecompileToAddress": TARGET }, TARGET.to_string(): { "nonce": "0x1" } });
    let (_, words) = node.fail("eth_call", json!([call(identity), "latest", taken])).await;
    assert_eq!(words, format!("account {TARGET} is already overridden"));
    let twice = json!({ TARGET.to_string(): { "state": {}, "stateDiff": {} } });
    let (_, words) = node.fail("eth_call", json!([call(identity), "latest", twice])).await;
    assert_eq!(words, format!("account {TARGET} has both 'state' and 'stateDiff'"));
}
