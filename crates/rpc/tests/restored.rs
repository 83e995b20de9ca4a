//! A node over a database that was restored from a checkpoint: it answers as the one before did, says what it
//! does not have, and goes on with the same chain.

#![allow(clippy::unwrap_used)]

mod common;

use alloy_primitives::{Address, B256, Bytes, TxKind, hex};
use common::{Node, sign, signer, transaction};
use serde_json::{Value, json};
use weft_archive::{
    BLOB_ARCHIVE,
    checkpoint::{
        Chain, Checkpoint, CheckpointOptions, Cut, Expected, ItemFolder, Kind, Parent, RestoreOptions,
        restore, verify, write_checkpoint,
    },
};
use weft_chainspec::ChainSpec;
use weft_engine::{EngineError, PayloadAttributes};
use weft_rpc::RpcConfig;
use weft_storage::{SortOptions, StorageError, StoreOptions};

/// Init code that returns `runtime` (at most 255 bytes).
fn deploy_code(runtime: &[u8]) -> Bytes {
    let length = u8::try_from(runtime.len()).unwrap();
    let mut code = vec![0x60, length, 0x60, 0x0a, 0x5f, 0x39, 0x60, length, 0x5f, 0xf3];
    code.extend_from_slice(runtime);
    code.into()
}

/// Stores the number of the block at slot `calldata[0..32]`, and zero at the slot before it; logs nothing.
const WRITER: [u8; 9] = hex!("435f35555f60015f35");
/// Returns the hash of block `calldata[0..32]`.
const HASHES: [u8; 9] = hex!("5f35405f5260205ff3");

/// The writer, with the rest of its code: sstore(calldata − 1, 0).
fn writer() -> Vec<u8> {
    [WRITER.as_slice(), &hex!("035500")].concat()
}

/// A chain with contracts, storage, a contract that destroys itself, transfers and blobs.
struct Scene {
    node: Node,
    nonce: u64,
    blob: B256,
    writer: Address,
    hashes: Address,
}

impl Scene {
    async fn new() -> Self {
        let node = Node::start(RpcConfig::default()).await;
        let mut scene =
            Self { node, nonce: 0, blob: B256::ZERO, writer: Address::ZERO, hashes: Address::ZERO };
        scene.writer = scene.deploy(deploy_code(&writer())).await;
        scene.hashes = scene.deploy(deploy_code(&HASHES)).await;
        // Created and destroyed in one transaction: caller; selfdestruct.
        scene.deploy(Bytes::from_static(&hex!("33ff"))).await;
        for n in 0..6u8 {
            scene.send(TxKind::Call(scene.writer), B256::with_last_byte(n + 1).0.into()).await;
            scene.blob = scene.send(TxKind::Call(Address::repeat_byte(n)), vec![n + 1; 9000].into()).await;
            scene.node.seal().await;
        }
        scene
    }

    async fn send(&mut self, to: TxKind, input: Bytes) -> B256 {
        let tx = transaction(self.node.spec.chain_id(), self.nonce, to, input);
        self.nonce += 1;
        self.node.send(&sign(&signer(0), tx)).await
    }

    async fn deploy(&mut self, code: Bytes) -> Address {
        let hash = self.send(TxKind::Create, code).await;
        self.node.seal().await;
        let receipt = self.node.call("eth_getTransactionReceipt", json!([hash])).await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        serde_json::from_value(receipt["contractAddress"].clone()).unwrap()
    }

    fn chain(&self) -> Chain {
        Chain { id: self.node.spec.chain_id(), genesis: self.node.spec.genesis_hash() }
    }

    fn checkpoint(&self, kind: Kind, parent: Option<Parent>, items: &mut ItemFolder) -> Checkpoint {
        let head = self.node.store.view().head().unwrap();
        self.node.store.set_forkchoice(Some(head), Some(head)).unwrap();
        let options = CheckpointOptions {
            chain_id: self.chain().id,
            kind,
            parent,
            cut: Cut { state_bits: 2, code_bits: 1, headers: 3 },
            sort: SortOptions::in_folder(items.path()),
        };
        write_checkpoint(&self.node.store, head.number, &options, items, &mut |_| {}).unwrap()
    }

    /// Questions about the state and the headers of block `number`, which is the head.
    fn questions(&self, number: u64) -> Vec<(&'static str, Value)> {
        let tag = json!(format!("{number:#x}"));
        let slots: Vec<_> = (0..8u8).map(B256::with_last_byte).collect();
        let mut questions = vec![
            ("eth_blockNumber", json!([])),
            ("eth_getHeaderByNumber", json!(["latest"])),
            ("eth_getHeaderByNumber", json!(["0x2"])),
            ("eth_feeHistory", json!(["0x5", "latest", []])),
            ("da_commitment", json!([tag])),
            ("da_commitment", json!(["0x4"])),
            ("eth_getProof", json!([self.writer, slots, "latest"])),
            ("eth_getProof", json!([Address::repeat_byte(0x77), [], "latest"])),
            ("eth_getTransactionCount", json!([signer(0).address(), "latest"])),
        ];
        for address in [self.writer, self.hashes, signer(0).address(), Address::repeat_byte(3)] {
            questions.push(("eth_getBalance", json!([address, tag])));
            questions.push(("eth_getCode", json!([address, tag])));
        }
        questions.extend(slots.iter().map(|slot| ("eth_getStorageAt", json!([self.writer, slot, tag]))));
        let call =
            |block: u64| json!({ "to": self.hashes, "data": B256::left_padding_from(&block.to_be_bytes()) });
        // BLOCKHASH of blocks that are known by their headers only.
        questions.extend((0..number).map(|block| ("eth_call", json!([call(block), "latest"]))));
        questions
    }
}

async fn restored(scene: &Scene, items: &ItemFolder, checkpoint: &Checkpoint) -> Node {
    let expected = Expected { chain: scene.chain(), trust_block: Some(checkpoint.manifest.block.hash) };
    verify(items, checkpoint.id, &expected, &SortOptions::in_folder(items.path()), &mut |_| {}).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let options = RestoreOptions {
        path: folder.path().to_owned(),
        store: StoreOptions { disk_reserve_bytes: 0, ..StoreOptions::default() },
        expected,
        parallel: 4,
        stages: vec![BLOB_ARCHIVE],
    };
    drop(restore(items, checkpoint.id, &options, &|_| {}).unwrap());
    Node::start_in(folder, ChainSpec::dev(), RpcConfig::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_node_answers_as_before_and_goes_on() {
    let mut scene = Scene::new().await;
    let folder = tempfile::tempdir().unwrap();
    let mut items = ItemFolder::create(folder.path()).unwrap();
    let full = scene.checkpoint(Kind::Full, None, &mut items);
    for n in 2..5u8 {
        scene.send(TxKind::Call(scene.writer), B256::with_last_byte(n).0.into()).await;
        scene.send(TxKind::Call(Address::repeat_byte(0x50 + n)), vec![n; 5000].into()).await;
        scene.node.seal().await;
    }
    let diff = scene.checkpoint(Kind::Diff, Some(full.as_parent()), &mut items);

    let node = restored(&scene, &items, &diff).await;
    let number = diff.manifest.block.number;
    for (method, params) in scene.questions(number) {
        let expected = scene.node.call(method, params.clone()).await;
        assert_eq!(node.call(method, params.clone()).await, expected, "{method}{params}");
    }
    // The same transactions give the same block, with the same hash, on both.
    for round in 0..2u8 {
        let (nonce, chain_id) = (scene.nonce, scene.node.spec.chain_id());
        let call = transaction(chain_id, nonce, TxKind::Call(scene.writer), B256::with_last_byte(9).0.into());
        let blob = transaction(chain_id, nonce + 1, TxKind::Call(scene.hashes), vec![round; 6000].into());
        scene.nonce += 2;
        for tx in [call, blob] {
            let raw = sign(&signer(0), tx);
            assert_eq!(scene.node.send(&raw).await, node.send(&raw).await);
        }
        let expected = scene.node.seal().await;
        assert_eq!(node.seal().await, expected);
    }
    let full_block = json!(["latest", true]);
    let block = node.call("eth_getBlockByNumber", full_block.clone()).await;
    assert_eq!(block, scene.node.call("eth_getBlockByNumber", full_block).await);
    assert_eq!(block["transactions"].as_array().unwrap().len(), 2);
    let report = node.store.verify_chain(0..=u64::MAX).unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
    assert_eq!((report.headers_only, report.blocks), (number + 1, number + 3));
    assert!(weft_trie::verify_trie(&node.store.view()).unwrap().is_clean());

    // An older checkpoint as well.
    let older = restored(&scene, &items, &full).await;
    assert_eq!(
        older.call("eth_blockNumber", json!([])).await,
        json!(format!("{:#x}", full.manifest.block.number))
    );
    let writer = json!([scene.writer, B256::with_last_byte(6), "latest"]);
    assert_ne!(older.call("eth_getStorageAt", writer).await, json!(B256::ZERO));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_kept_has_its_error() {
    let scene = Scene::new().await;
    let folder = tempfile::tempdir().unwrap();
    let mut items = ItemFolder::create(folder.path()).unwrap();
    let checkpoint = scene.checkpoint(Kind::Full, None, &mut items);
    let number = checkpoint.manifest.block.number;
    let node = restored(&scene, &items, &checkpoint).await;
    let hash = checkpoint.manifest.block.hash;
    for (method, params) in [
        ("eth_getBlockByNumber", json!(["latest", false])),
        ("eth_getBlockByNumber", json!(["0x3", true])),
        ("eth_getBlockByHash", json!([hash, false])),
        ("eth_getBlockReceipts", json!(["latest"])),
        ("eth_getBlockTransactionCountByNumber", json!(["0x3"])),
        ("eth_getTransactionByBlockNumberAndIndex", json!(["latest", "0x0"])),
    ] {
        let (code, message) = node.fail(method, params).await;
        assert_eq!(code, 4444, "{method}: {message}");
        assert!(message.starts_with("pruned history unavailable"), "{method}: {message}");
        assert!(message.contains(&format!("restored at block {number}")), "{method}: {message}");
    }
    for (method, params) in [
        ("eth_getBalance", json!([scene.writer, "0x2"])),
        ("eth_call", json!([{ "to": scene.hashes }, "0x2"])),
        ("eth_getProof", json!([scene.writer, [], "0x2"])),
    ] {
        let (code, message) = node.fail(method, params).await;
        assert_eq!(code, -32000, "{method}: {message}");
        assert!(message.contains(&format!("restored at block {number}")), "{method}: {message}");
    }
    // The data exists, and cannot be had here.
    let cells = json!([format!("{number:#x}"), "0x0", "0x0", "0x1"]);
    let (code, message) = node.fail("da_cells", cells).await;
    assert_eq!(code, -32010, "{message}");
    for method in ["eth_getTransactionByHash", "eth_getTransactionReceipt", "da_getBlob", "da_receipt"] {
        assert_eq!(node.call(method, json!([scene.blob])).await, Value::Null, "{method}");
    }
    // A bloom that excludes the filter answers for its block; any other would have to be looked at.
    let nobodys = json!([{ "fromBlock": "0x0", "address": Address::repeat_byte(0x99) }]);
    assert_eq!(node.call("eth_getLogs", nobodys).await, json!([]));
    assert_eq!(node.fail("eth_getLogs", json!([{ "fromBlock": "0x0" }])).await.0, 4444);
    assert!(node.call("eth_gasPrice", json!([])).await.is_string());
    // Wallets ask for it before every transaction: what is not kept counts as without tips.
    let history = node.call("eth_feeHistory", json!(["0x2", "latest", [50]])).await;
    assert_eq!(history["reward"], json!([["0x0"], ["0x0"]]));
    assert_eq!(history["baseFeePerGas"].as_array().map(Vec::len), Some(3));

    // Nothing is built below, and the engine goes on.
    let view = node.store.view();
    let below = view.header(number - 2).unwrap().unwrap();
    drop(view);
    let attributes = PayloadAttributes {
        parent: below.hash(),
        timestamp: below.timestamp + 1,
        suggested_fee_recipient: Address::ZERO,
        prev_randao: B256::ZERO,
        withdrawals: Some(Default::default()),
        parent_beacon_block_root: Some(B256::ZERO),
    };
    let error = node.engine.build_payload(attributes).await.unwrap_err();
    assert!(matches!(error, EngineError::Storage(StorageError::StateNotKept { .. })), "{error:?}");
    let next = node.seal().await;
    assert_eq!(node.call("eth_getBlockByNumber", json!(["latest", false])).await["hash"], json!(next));
    assert_eq!(node.call("eth_feeHistory", json!(["0x1", "latest", [50]])).await["reward"], json!([["0x0"]]));
}
