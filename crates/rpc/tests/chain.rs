//! What the methods answer over a chain of a few blocks: shapes, errors, reorganisations.

#![allow(clippy::unwrap_used)]

mod common;

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, b256, bytes, hex, keccak256};
use common::{Node, sign, signer, transaction};
use serde_json::{Value, json};
use weft_rpc::RpcConfig;

/// Emits LOG1 with topic keccak("ping") and its calldata as data, stores caller at slot 0, returns calldata.
fn logger() -> Bytes {
    // calldatacopy(0,0,size); log1(0,size,topic); sstore(0,caller); return(0,size)
    let mut runtime = hex!("365f5f37").to_vec();
    runtime.push(0x7f);
    runtime.extend_from_slice(keccak256("ping").as_slice());
    runtime.extend_from_slice(&hex!("365fa1335f55365ff3"));
    deploy_code(&runtime)
}

/// Reverts with Error("no").
fn reverter() -> Bytes {
    let mut payload = hex!("08c379a0").to_vec();
    payload.extend_from_slice(&U256::from(32).to_be_bytes::<32>());
    payload.extend_from_slice(&U256::from(2).to_be_bytes::<32>());
    let mut text = [0u8; 32];
    text[..2].copy_from_slice(b"no");
    payload.extend_from_slice(&text);
    // codecopy(0, 10, len); revert(0, len)
    let length = u8::try_from(payload.len()).unwrap();
    let mut runtime = vec![0x60, length, 0x60, 0x0b, 0x5f, 0x39, 0x60, length, 0x5f, 0xfd, 0x00];
    runtime.extend_from_slice(&payload);
    deploy_code(&runtime)
}

/// Init code that returns `runtime`.
fn deploy_code(runtime: &[u8]) -> Bytes {
    let length = u8::try_from(runtime.len()).unwrap();
    let mut code = vec![0x60, length, 0x60, 0x09, 0x5f, 0x39, 0x60, length, 0x5f, 0xf3];
    code[3] = 0x0a;
    code.extend_from_slice(runtime);
    code.into()
}

async fn deploy(node: &Node, nonce: u64, code: Bytes) -> Address {
    let tx = transaction(node.spec.chain_id(), nonce, TxKind::Create, code);
    let hash = node.send(&sign(&signer(0), tx)).await;
    node.seal().await;
    let receipt = node.call("eth_getTransactionReceipt", json!([hash])).await;
    assert_eq!(receipt["status"], "0x1", "{receipt}");
    serde_json::from_value(receipt["contractAddress"].clone()).unwrap()
}

async fn ping(node: &Node, nonce: u64, to: Address, data: &'static [u8]) -> B256 {
    let tx = transaction(node.spec.chain_id(), nonce, TxKind::Call(to), Bytes::from_static(data));
    node.send(&sign(&signer(0), tx)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_goes_in_and_everything_tells_of_it() {
    let node = Node::start(RpcConfig::default()).await;
    let contract = deploy(&node, 0, logger()).await;
    let hash = ping(&node, 1, contract, b"hello").await;

    let pending = node.call("eth_getTransactionByHash", json!([hash])).await;
    assert_eq!(
        (&pending["blockHash"], &pending["blockNumber"], &pending["transactionIndex"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(node.call("eth_getTransactionReceipt", json!([hash])).await, Value::Null);
    assert_eq!(node.call("eth_getTransactionCount", json!([signer(0).address(), "pending"])).await, "0x2");
    assert_eq!(node.call("eth_getTransactionCount", json!([signer(0).address()])).await, "0x1");
    assert_eq!(node.call("txpool_status", json!([])).await, json!({ "pending": "0x1", "queued": "0x0" }));
    let content = node.call("txpool_content", json!([])).await;
    assert_eq!(content["pending"][signer(0).address().to_checksum(None)]["1"]["hash"], json!(hash));

    let block_hash = node.seal().await;
    let receipt = node.call("eth_getTransactionReceipt", json!([hash])).await;
    assert_eq!(receipt["blockHash"], json!(block_hash));
    assert_eq!(receipt["status"], "0x1");
    assert_eq!(receipt["type"], "0x2");
    assert_eq!(receipt["contractAddress"], Value::Null);
    assert_eq!(receipt["logs"][0]["data"], json!(Bytes::from_static(b"hello")));
    assert_eq!(receipt["logs"][0]["topics"], json!([keccak256("ping")]));
    assert_eq!(receipt["logs"][0]["removed"], false);
    assert_eq!(receipt["logs"][0]["logIndex"], "0x0");

    let block = node.call("eth_getBlockByNumber", json!(["latest", true])).await;
    assert_eq!(block["number"], "0x2");
    assert_eq!(block["transactions"][0]["hash"], json!(hash));
    assert_eq!(block["transactions"][0]["blockNumber"], "0x2");
    assert_eq!(block["transactions"][0]["from"], json!(signer(0).address()));
    assert_eq!(block["uncles"], json!([]));
    assert!(block.get("totalDifficulty").is_none());
    let by_hash = node.call("eth_getBlockByHash", json!([block_hash, false])).await;
    assert_eq!(by_hash["transactions"], json!([hash]));
    assert_eq!(by_hash["size"], block["size"]);
    assert_eq!(node.call("eth_getBlockReceipts", json!([block_hash])).await, json!([receipt]));
    assert_eq!(node.call("eth_getBlockTransactionCountByNumber", json!(["0x2"])).await, "0x1");

    let raw: Bytes =
        serde_json::from_value(node.call("eth_getRawTransactionByHash", json!([hash])).await).unwrap();
    assert_eq!(keccak256(&raw), hash);
    let slot = node.call("eth_getStorageAt", json!([contract, "0x0", "latest"])).await;
    assert_eq!(slot, json!(signer(0).address().into_word()));
    assert_eq!(
        node.call("eth_getStorageAt", json!([contract, "0x0", "0x1"])).await,
        json!(B256::ZERO),
        "history"
    );
    assert_eq!(node.call("txpool_status", json!([])).await["pending"], "0x0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_null_or_a_named_error() {
    let node = Node::start(RpcConfig::default()).await;
    for (method, params) in [
        ("eth_getBlockByNumber", json!(["0x3e8", true])),
        ("eth_getBlockByHash", json!([B256::ZERO, true])),
        ("eth_getTransactionByHash", json!([B256::ZERO])),
        ("eth_getTransactionReceipt", json!([B256::ZERO])),
        ("eth_getBlockReceipts", json!(["0x3e8"])),
        ("eth_getTransactionByBlockNumberAndIndex", json!(["latest", "0x0"])),
        ("eth_getUncleByBlockNumberAndIndex", json!(["latest", "0x0"])),
        ("da_commitment", json!(["0x0"])),
        ("da_blobInfo", json!([B256::ZERO])),
        ("da_getBlob", json!([B256::ZERO])),
        ("da_receipt", json!([B256::ZERO])),
        ("da_cellProof", json!(["0x0", "0x0", "0x0"])),
        ("da_locate", json!([{ "block": "0x1" }])),
    ] {
        assert_eq!(node.call(method, params).await, Value::Null, "{method}");
    }
    for (method, params, code, message) in [
        ("eth_getBalance", json!([Address::ZERO, "0x3e8"]), -32000, "header not found"),
        ("eth_getBlockByNumber", json!(["finalized", false]), -32000, "finalized block not found"),
        ("eth_getBalance", json!([]), -32602, "missing value for required argument 0"),
        ("eth_getBalance", json!([Address::ZERO, "latest", 1]), -32602, "too many arguments, want at most 2"),
        (
            "eth_getStorageAt",
            json!([Address::ZERO, "0xasdf"]),
            -32602,
            "invalid hex in storage key: \"0xasdf\"",
        ),
        (
            "eth_getLogs",
            json!([{ "fromBlock": "0x0", "toBlock": "0x5" }]),
            -32602,
            "block range extends beyond current head block",
        ),
        (
            "eth_getLogs",
            json!([{ "fromBlock": "latest", "toBlock": "0x5", "blockHash": B256::ZERO }]),
            -32602,
            "invalid argument 0: cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other",
        ),
        ("eth_getStorageValues", json!([{}]), -32602, "empty request"),
        ("eth_getFilterChanges", json!(["0x1"]), -32000, "filter not found"),
        (
            "eth_noSuchMethod",
            json!([]),
            -32601,
            "the method eth_noSuchMethod does not exist/is not available",
        ),
        (
            "eth_newFilter",
            json!([{ "fromBlock": "0x2", "toBlock": "0x1" }]),
            -32602,
            "invalid block range params",
        ),
        ("eth_sendRawTransaction", json!(["0x"]), -32000, ""),
        (
            "eth_feeHistory",
            json!(["0x1", "latest", [50, 10]]),
            -32000,
            "invalid reward percentile: #0:50 >= #1:10",
        ),
    ] {
        let (found, words) = node.fail(method, params).await;
        assert_eq!(found, code, "{method}: {words}");
        assert!(message.is_empty() || words == message, "{method}: {words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_estimates_and_lists_answer_as_geth() {
    let node = Node::start(RpcConfig::default()).await;
    let echo = deploy(&node, 0, logger()).await;
    let angry = deploy(&node, 1, reverter()).await;

    assert_eq!(node.call("eth_call", json!([{ "to": echo, "input": "0x1234" }, "latest"])).await, "0x1234");
    let answer = node
        .post(&json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [{ "to": angry }] }))
        .await;
    assert_eq!(answer["error"]["code"], 3);
    assert_eq!(answer["error"]["message"], "execution reverted: no");
    assert!(answer["error"]["data"].as_str().unwrap().starts_with("0x08c379a0"));
    assert_eq!(
        node.fail("eth_estimateGas", json!([{ "to": angry }])).await,
        (3, "execution reverted: no".to_owned())
    );

    let (from, to) = (signer(0).address(), signer(1).address());
    assert_eq!(
        node.call("eth_estimateGas", json!([{ "from": from, "to": to, "value": "0x1" }])).await,
        "0x5208"
    );
    let (code, words) = node
        .fail(
            "eth_estimateGas",
            json!([{ "from": Address::repeat_byte(9), "to": to, "value": "0x1", "gasPrice": "0x3b9aca00" }]),
        )
        .await;
    assert_eq!(code, -32000);
    assert!(words.contains("insufficient funds"), "{words}");

    let overrides = json!({ echo.to_string(): { "code": "0x602a5f5260205ff3" } });
    let called = node.call("eth_call", json!([{ "to": echo }, "latest", overrides])).await;
    assert_eq!(called, json!(B256::from(U256::from(0x2a))));
    let number = node.call("eth_call", json!([{ "to": echo }, "latest", { echo.to_string(): { "code": "0x435f5260205ff3" } }, { "number": "0x99" }])).await;
    assert_eq!(number, json!(B256::from(U256::from(0x99))));

    let list =
        node.call("eth_createAccessList", json!([{ "from": from, "to": echo, "input": "0x00" }])).await;
    assert_eq!(list["accessList"], json!([{ "address": echo, "storageKeys": [B256::ZERO] }]));
    assert!(list.get("error").is_none());

    // A loop that never ends runs into the gas cap, not into eternity.
    let spin = json!({ echo.to_string(): { "code": "0x5b5f56" } });
    let (code, words) = node.fail("eth_call", json!([{ "to": echo }, "latest", spin])).await;
    assert!(
        code == -32000 && (words == "out of gas" || words.starts_with("execution aborted")),
        "{code} {words}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_found_by_address_and_topic_and_within_limits() {
    let node = Node::start(RpcConfig { logs_max: 3, log_blocks_max: 10, ..RpcConfig::default() }).await;
    let contract = deploy(&node, 0, logger()).await;
    let other = deploy(&node, 1, logger()).await;
    ping(&node, 2, contract, b"a").await;
    ping(&node, 3, other, b"b").await;
    node.seal().await;
    ping(&node, 4, contract, b"c").await;
    let last = node.seal().await;

    let topic = keccak256("ping");
    let find = async |filter: Value| -> Vec<Value> {
        let logs = node.call("eth_getLogs", json!([filter])).await;
        logs.as_array().unwrap().iter().map(|log| log["data"].clone()).collect()
    };
    let range = |rest: Value| {
        let mut filter = json!({ "fromBlock": "0x0", "toBlock": "latest" });
        filter.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        filter
    };
    assert_eq!(find(range(json!({ "address": contract }))).await, ["0x61", "0x63"]);
    assert_eq!(find(range(json!({ "topics": [[topic, B256::ZERO]] }))).await, ["0x61", "0x62", "0x63"]);
    assert_eq!(find(range(json!({ "topics": [null, topic] }))).await, Vec::<Value>::new());
    assert_eq!(find(range(json!({ "topics": [B256::ZERO] }))).await, Vec::<Value>::new());
    assert_eq!(find(json!({ "blockHash": last })).await, ["0x63"]);
    assert_eq!(find(json!({})).await, ["0x63"], "without a range it is the newest block");

    ping(&node, 5, contract, b"d").await;
    node.seal().await;
    let (code, words) = node.fail("eth_getLogs", json!([range(json!({}))])).await;
    assert_eq!(code, -32005, "{words}");
    assert!(words.contains("more than 3 results"), "{words}");
    for _ in 0..8 {
        node.seal().await;
    }
    let (code, words) = node.fail("eth_getLogs", json!([range(json!({}))])).await;
    assert_eq!((code, words.as_str()), (-32005, "query exceeds max block range 10"));
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_filters_tell_of_a_reorganisation() {
    let node = Node::start(RpcConfig::default()).await;
    let contract = deploy(&node, 0, logger()).await;
    let fork = node.store.view().head().unwrap().hash;
    let logs = node.call("eth_newFilter", json!([{ "address": contract }])).await;
    let blocks = node.call("eth_newBlockFilter", json!([])).await;
    let pending = node.call("eth_newPendingTransactionFilter", json!([])).await;
    let poll = async |id: &Value| node.call("eth_getFilterChanges", json!([id])).await;
    assert_eq!(poll(&logs).await, json!([]));

    let hash = ping(&node, 1, contract, b"x").await;
    let first = node.seal_on(fork, 1000).await;
    assert_eq!(poll(&blocks).await, json!([first]));
    assert_eq!(poll(&pending).await, json!([hash]));
    let seen = poll(&logs).await;
    assert_eq!((&seen[0]["blockHash"], &seen[0]["removed"]), (&json!(first), &json!(false)));
    assert_eq!(poll(&logs).await, json!([]), "given out once");

    // Two empty-handed siblings: the pool's transaction returns into the second.
    let second = node.seal_on(fork, 2000).await;
    let third = node.seal_on(second, 2001).await;
    assert_eq!(poll(&blocks).await, json!([second, third]));
    let seen = poll(&logs).await;
    let told: Vec<_> = seen
        .as_array()
        .unwrap()
        .iter()
        .map(|log| (log["blockHash"].clone(), log["removed"].clone()))
        .collect();
    assert_eq!(told[0], (json!(first), json!(true)), "what was told before is taken back");
    assert!(
        told[1..]
            .iter()
            .all(|(block, removed)| (*block == json!(second) || *block == json!(third)) && *removed == false),
        "{told:?}"
    );
    let receipt = node.call("eth_getTransactionReceipt", json!([hash])).await;
    assert_ne!(receipt["blockHash"], json!(first));
    assert_eq!(node.call("eth_getBlockByHash", json!([first, false])).await, Value::Null);

    assert!(node.call("eth_getFilterLogs", json!([logs])).await.is_array());
    assert_eq!(node.call("eth_uninstallFilter", json!([logs])).await, true);
    assert_eq!(node.call("eth_uninstallFilter", json!([logs])).await, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_is_proven_and_given_back() {
    let node = Node::start(RpcConfig::default()).await;
    let blob: Bytes = (0..300_000u32).flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>().into();
    let tx = transaction(node.spec.chain_id(), 0, TxKind::Call(Address::ZERO), blob.clone());
    let hash = node.send(&sign(&signer(0), tx)).await;
    node.seal().await;

    let commitment = node.call("da_commitment", json!(["latest"])).await;
    assert_eq!((&commitment["dataShards"], &commitment["parityShards"]), (&json!("0x4"), &json!("0x7")));
    assert_eq!(commitment["blobCount"], "0x1");
    let block = node.call("eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!(block["extraData"], commitment["daRoot"]);

    let info = node.call("da_blobInfo", json!([hash])).await;
    assert_eq!(info["length"], format!("{:#x}", blob.len()));
    assert_eq!(info["persisted"], true);
    assert_eq!(info["archived"], Value::Null);
    assert_eq!(node.call("da_getBlob", json!([hash])).await, json!(blob));
    let part =
        node.call("da_getBlob", json!([hash, { "offset": "0x10", "length": 8, "source": "body" }])).await;
    assert_eq!(part, json!(blob.slice(0x10..0x18)));
    let (code, _) = node.fail("da_getBlob", json!([hash, { "source": "peers" }])).await;
    assert_eq!(code, -32010);

    let proof: weft_erasure::CellProof =
        serde_json::from_value(node.call("da_cellProof", json!(["latest", "0x1", "0x2"])).await).unwrap();
    let block_hash: B256 = serde_json::from_value(block["hash"].clone()).unwrap();
    let cell =
        proof.verify(block_hash, weft_primitives::ColumnIndex(1), weft_primitives::ChunkIndex(2)).unwrap();
    assert_eq!(cell.bytes(), &blob.slice(2 * 131_072 + 32_768..2 * 131_072 + 65_536));
    let (code, words) = node.fail("da_cellProof", json!(["latest", "0xb", "0x0"])).await;
    assert_eq!((code, words.as_str()), (-32602, "column 11 does not exist: the block has 11"));

    let receipt = node.call("da_receipt", json!([hash])).await;
    let path: Vec<Bytes> = serde_json::from_value(receipt["transactionPath"].clone()).unwrap();
    let header: Bytes = serde_json::from_value(receipt["header"].clone()).unwrap();
    assert_eq!(keccak256(&header), block_hash);
    let root: B256 = serde_json::from_value(block["transactionsRoot"].clone()).unwrap();
    let raw: Bytes =
        serde_json::from_value(node.call("eth_getRawTransactionByHash", json!([hash])).await).unwrap();
    let key = alloy_trie::Nibbles::unpack(alloy_rlp::encode(0usize));
    alloy_trie::proof::verify_proof(root, key, Some(raw.to_vec()), &path).unwrap();
    let blob_proof: weft_erasure::BlobProof = serde_json::from_value(receipt.clone()).unwrap();
    assert_eq!(blob_proof.verify(block_hash).unwrap().tx_hash, hash);
    assert_eq!(receipt["etd"], format!("{:#x}", blob.len()));
    let status = node.call("da_status", json!([])).await;
    assert_eq!(status["head"]["number"], "0x1");
    assert_eq!(node.call("da_checkpoints", json!([])).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_hold_at_the_head_and_in_the_past() {
    let node = Node::start(RpcConfig::default()).await;
    let contract = deploy(&node, 0, logger()).await;
    ping(&node, 1, contract, b"x").await;
    node.seal().await;
    for (block, value) in [
        ("0x1", "0x0".to_owned()),
        ("latest", format!("{:#x}", U256::from_be_slice(signer(0).address().as_slice()))),
    ] {
        let proof = node.call("eth_getProof", json!([contract, ["0x0"], block])).await;
        assert_eq!(proof["storageProof"][0]["value"], value, "{block}");
        assert_eq!(proof["storageProof"][0]["key"], "0x0");
        let root: B256 = serde_json::from_value(
            node.call("eth_getBlockByNumber", json!([block, false])).await["stateRoot"].clone(),
        )
        .unwrap();
        let nodes: Vec<Bytes> = serde_json::from_value(proof["accountProof"].clone()).unwrap();
        assert_eq!(keccak256(&nodes[0]), root, "{block}");
    }
    let nobody = node.call("eth_getProof", json!([Address::repeat_byte(0x77), [], "latest"])).await;
    assert_eq!((&nobody["balance"], &nobody["nonce"]), (&json!("0x0"), &json!("0x0")));
    assert_eq!(nobody["codeHash"], json!(keccak256([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_of_the_past_reach_as_far_as_the_window() {
    let node = Node::start(RpcConfig { proof_window: 2, ..RpcConfig::default() }).await;
    for _ in 0..3 {
        node.seal().await;
    }
    let proof = |block: &str| json!([signer(0).address(), [], block]);
    let simulation = json!({ "blockStateCalls": [{}] });
    node.call("eth_getProof", proof("0x1")).await;
    node.call("eth_simulateV1", json!([simulation, "0x1"])).await;
    let refused = "block 0 is 3 blocks behind the head, and the proof window is 2 blocks";
    assert_eq!(node.fail("eth_getProof", proof("0x0")).await, (-32602, refused.to_owned()));
    assert_eq!(
        node.fail("eth_simulateV1", json!([simulation, "earliest"])).await,
        (-32602, refused.to_owned())
    );
    assert_eq!(node.call("eth_getBalance", json!([Address::ZERO, "0x0"])).await, "0x0", "needs no trie");

    let node = Node::start(RpcConfig { proof_keys_max: 2, ..RpcConfig::default() }).await;
    deploy(&node, 0, logger()).await;
    let (code, words) = node.fail("eth_getProof", proof("0x0")).await;
    assert_eq!(
        (code, words.as_str()),
        (-32005, "more than 2 accounts and slots have changed since block 0: ask for a newer block")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_are_suggested_from_what_was_paid() {
    let node = Node::start(RpcConfig::default()).await;
    assert_eq!(node.call("eth_maxPriorityFeePerGas", json!([])).await, "0x3b9aca00", "a fresh chain");
    let contract = deploy(&node, 0, logger()).await;
    ping(&node, 1, contract, b"x").await;
    node.seal().await;
    assert_eq!(node.call("eth_maxPriorityFeePerGas", json!([])).await, "0x3b9aca00");
    let history = node.call("eth_feeHistory", json!(["0xa", "latest", [0, 50, 100]])).await;
    assert_eq!(history["oldestBlock"], "0x0");
    assert_eq!(history["baseFeePerGas"].as_array().unwrap().len(), 4);
    assert_eq!(history["gasUsedRatio"].as_array().unwrap().len(), 3);
    assert_eq!(history["reward"][2], json!(["0x3b9aca00", "0x3b9aca00", "0x3b9aca00"]));
    assert_eq!(history["reward"][0], json!(["0x0", "0x0", "0x0"]));
    assert_eq!(node.call("eth_baseFee", json!([])).await, history["baseFeePerGas"][3]);
    assert_eq!(node.call("eth_blobBaseFee", json!([])).await, "0x1");
}

#[tokio::test(flavor = "multi_thread")]
async fn small_methods_answer() {
    let node = Node::start(RpcConfig::default()).await;
    assert_eq!(node.call("eth_chainId", json!([])).await, format!("{:#x}", node.spec.chain_id()));
    assert_eq!(node.call("net_version", json!([])).await, node.spec.chain_id().to_string());
    assert_eq!(node.call("net_listening", json!([])).await, false);
    assert_eq!(node.call("net_peerCount", json!([])).await, "0x0");
    assert_eq!(node.call("web3_clientVersion", json!([])).await, "weft/test");
    assert_eq!(node.call("web3_sha3", json!(["0x"])).await, json!(keccak256([])));
    assert_eq!(node.call("rpc_modules", json!([])).await["eth"], "1.0");
    let request = json!({ "from": signer(0).address(), "to": Address::ZERO });
    let filled = node.call("eth_fillTransaction", json!([request])).await;
    assert_eq!((&filled["tx"]["gas"], &filled["tx"]["r"]), (&json!("0x5208"), &json!("0x0")), "not signed");
    assert!(filled["raw"].as_str().unwrap().starts_with("0x02"));
    assert_eq!(node.call("eth_syncing", json!([])).await, false);
    assert_eq!(node.call("eth_blockNumber", json!([])).await, "0x0");
    assert_eq!(node.call("eth_accounts", json!([])).await[0], json!(signer(0).address()));
    let signature: Bytes =
        serde_json::from_value(node.call("eth_sign", json!([signer(1).address(), "0x1234"])).await).unwrap();
    let signature = alloy_primitives::Signature::try_from(&signature[..]).unwrap();
    assert_eq!(signature.recover_address_from_msg(bytes!("1234")).unwrap(), signer(1).address());
    // The example of EIP-712 with its hash.
    let mail = json!({
        "types": {
            "EIP712Domain": [
                { "name": "name", "type": "string" }, { "name": "version", "type": "string" },
                { "name": "chainId", "type": "uint256" }, { "name": "verifyingContract", "type": "address" },
            ],
            "Person": [{ "name": "name", "type": "string" }, { "name": "wallet", "type": "address" }],
            "Mail": [
                { "name": "from", "type": "Person" }, { "name": "to", "type": "Person" },
                { "name": "contents", "type": "string" },
            ],
        },
        "primaryType": "Mail",
        "domain": {
            "name": "Ether Mail", "version": "1", "chainId": 1,
            "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC",
        },
        "message": {
            "from": { "name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826" },
            "to": { "name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB" },
            "contents": "Hello, Bob!",
        },
    });
    let hash = b256!("be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2");
    for data in [mail.clone(), json!(mail.to_string())] {
        let signature = node.call("eth_signTypedData_v4", json!([signer(1).address(), data])).await;
        let signature: Bytes = serde_json::from_value(signature).unwrap();
        let signature = alloy_primitives::Signature::try_from(&signature[..]).unwrap();
        assert_eq!(signature.recover_address_from_prehash(&hash).unwrap(), signer(1).address());
    }
    assert_eq!(
        node.fail("eth_signTypedData_v4", json!([Address::ZERO, mail])).await,
        (-32000, "unknown account".to_owned())
    );
    assert_eq!(
        node.fail("eth_sign", json!([Address::ZERO, "0x"])).await,
        (-32000, "unknown account".to_owned())
    );
}
