//! The tag `pending`: the block that would be sealed now, and the state after it.

#![allow(clippy::unwrap_used)]

mod common;

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, bytes, keccak256};
use common::{Node, sign, signer, transaction};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;
use weft_chainspec::ChainSpec;
use weft_rpc::RpcConfig;

const TARGET: Address = Address::repeat_byte(0xaa);

/// sstore(0, 7); the code that it leaves returns slot 0.
const SEVEN: Bytes = bytes!("60075f55675f545f5260205ff35f5260086018f3");

/// Asks until the answer is the wanted one: a pending block may be a moment old.
async fn until(node: &Node, method: &str, params: Value, wanted: Value) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = node.call(method, params.clone()).await;
        if answer == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{method} still answers {answer}");
        tokio::task::yield_now().await;
    }
}

async fn send(node: &Node, nonce: u64, to: TxKind, value: u64, input: Bytes) -> B256 {
    let mut tx = transaction(node.spec.chain_id(), nonce, to, input);
    tx.value = U256::from(value);
    node.send(&sign(&signer(0), tx)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_is_what_would_be_sealed_now() {
    let node = Node::start(RpcConfig::default()).await;
    assert_eq!(node.call("eth_getBlockTransactionCountByNumber", json!(["pending"])).await, "0x0");
    let paid = send(&node, 0, TxKind::Call(TARGET), 5, Bytes::new()).await;
    let deployed = send(&node, 1, TxKind::Create, 0, SEVEN).await;
    let contract = signer(0).address().create(1);
    until(&node, "eth_getBlockTransactionCountByNumber", json!(["pending"]), json!("0x2")).await;

    let block = node.call("eth_getBlockByNumber", json!(["pending", false])).await;
    for unknown in ["hash", "nonce", "miner"] {
        assert_eq!(block[unknown], Value::Null, "{unknown}");
    }
    let head = node.call("eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!((&block["number"], &block["parentHash"]), (&json!("0x1"), &head["hash"]));
    assert_eq!(block["transactions"], json!([paid, deployed]));
    let header = node.call("eth_getHeaderByNumber", json!(["pending"])).await;
    assert_eq!((&header["hash"], &header["stateRoot"]), (&Value::Null, &block["stateRoot"]));
    let first = node.call("eth_getTransactionByBlockNumberAndIndex", json!(["pending", "0x0"])).await;
    assert_eq!((&first["hash"], &first["blockHash"]), (&json!(paid), &Value::Null));
    let raw: Bytes = serde_json::from_value(
        node.call("eth_getRawTransactionByBlockNumberAndIndex", json!(["pending", "0x1"])).await,
    )
    .unwrap();
    assert_eq!(keccak256(raw), deployed);
    assert_eq!(node.call("eth_getBlockReceipts", json!(["pending"])).await[1]["status"], "0x1");

    for (tag, balance, value, code) in
        [("latest", "0x0", 0, "0x"), ("pending", "0x5", 7, "0x5f545f5260205ff3")]
    {
        assert_eq!(node.call("eth_getBalance", json!([TARGET, tag])).await, balance, "{tag}");
        let slot = node.call("eth_getStorageAt", json!([contract, "0x0", tag])).await;
        assert_eq!(slot, format!("{value:#066x}"), "{tag}");
        assert_eq!(node.call("eth_getCode", json!([contract, tag])).await, code, "{tag}");
    }
    let called = node.call("eth_call", json!([{ "to": contract }, "pending"])).await;
    assert_eq!(called, format!("{:#066x}", 7), "the code of a pending transaction runs");
    assert_eq!(node.call("eth_call", json!([{ "to": contract }])).await, "0x");
    // Only after the pending block is the money there.
    let spend = json!({ "from": TARGET, "to": Address::ZERO, "value": "0x5", "gasPrice": "0x0" });
    assert_eq!(node.call("eth_estimateGas", json!([spend, "pending"])).await, "0x5208");
    assert_eq!(node.fail("eth_estimateGas", json!([spend, "latest"])).await.0, -32000);

    let proof = node.call("eth_getProof", json!([contract, ["0x0"], "pending"])).await;
    let nodes: Vec<Bytes> = serde_json::from_value(proof["accountProof"].clone()).unwrap();
    assert_eq!(json!(keccak256(&nodes[0])), block["stateRoot"]);
    assert_eq!(proof["storageProof"][0]["value"], "0x7");
    let simulated =
        node.call("eth_simulateV1", json!([{ "blockStateCalls": [{ "calls": [spend] }] }, "pending"])).await;
    assert_eq!(
        (&simulated[0]["number"], &simulated[0]["calls"][0]["status"]),
        (&json!("0x2"), &json!("0x1"))
    );
    assert_eq!(node.call("eth_getTransactionCount", json!([signer(0).address(), "pending"])).await, "0x2");
    assert_eq!(node.call("eth_getTransactionCount", json!([signer(1).address(), "pending"])).await, "0x0");

    node.seal().await;
    until(&node, "eth_getBlockTransactionCountByNumber", json!(["pending"]), json!("0x0")).await;
    assert_eq!(node.call("eth_getBlockByNumber", json!(["pending", false])).await["number"], "0x2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_does_not_execute_what_only_a_block_has_to() {
    let node = Node::start(RpcConfig::default()).await;
    send(&node, 0, TxKind::Call(TARGET), 1, vec![1; 5 << 20].into()).await;
    let tx = transaction(node.spec.chain_id(), 0, TxKind::Call(TARGET), Bytes::new());
    let small = node.send(&sign(&signer(1), tx)).await;
    until(&node, "eth_getBlockTransactionCountByNumber", json!(["pending"]), json!("0x1")).await;
    let block = node.call("eth_getBlockByNumber", json!(["pending", false])).await;
    assert_eq!(block["transactions"], json!([small]), "5 MiB are left out");
    node.seal().await;
    assert_eq!(node.call("eth_getBlockTransactionCountByNumber", json!(["latest"])).await, "0x2");
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_merge_pending_is_the_head() {
    let genesis = json!({
        "config": { "chainId": 7, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0 },
        "difficulty": "0x20000", "gasLimit": "0x1c9c380",
        "alloc": { TARGET.to_string(): { "balance": "0x9" } },
    });
    let spec = ChainSpec::from_json(&genesis.to_string()).unwrap();
    let node = Node::start_with(spec, RpcConfig::default()).await;
    let (head, pending) = (
        node.call("eth_getBlockByNumber", json!(["latest", false])).await,
        node.call("eth_getBlockByNumber", json!(["pending", false])).await,
    );
    assert_eq!(head, pending);
    assert_eq!(node.call("eth_getBalance", json!([TARGET, "pending"])).await, "0x9");
    assert_eq!(node.call("eth_call", json!([{ "to": TARGET }, "pending"])).await, "0x");
}
