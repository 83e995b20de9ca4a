//! What is left after a stop: the durable head, and nothing else.

use crate::chain::{Node, Tx, dev_account, head, noise};
use std::sync::Arc;
use weft_chainspec::ChainSpec;
use weft_engine::{Engine, EngineConfig, EngineError};
use weft_storage::{Store, StoreOptions};

#[tokio::test]
async fn a_node_goes_on_where_it_was() {
    let spec = Arc::new(ChainSpec::dev());
    let folder = tempfile::tempdir().expect("a folder");
    let open = || Node::open(&spec, folder.path(), EngineConfig::default(), true);
    let alice = dev_account(0);
    let mut follower = Node::follower(&spec);
    for nonce in 0..4 {
        let mut node = open();
        assert_eq!(node.head().number, nonce);
        node.submit([Tx::data(nonce, noise(nonce, 50_000)).sign(&alice, spec.chain_id())]).await;
        let block = node.seal();
        // Built, checked, in memory, and not chosen: gone after the restart.
        node.build_on(&block.header, 3);
        follower.follow(&block);
    }
    let node = open();
    assert_eq!((node.head().hash(), node.engine.side_blocks()), (follower.head().hash(), 0));
    assert_eq!(node.account(alice.address()).nonce, 4);
    node.check_state();
}

#[test]
fn the_folder_of_another_chain_is_refused_by_both_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let dev = Arc::new(ChainSpec::dev());
    drop(Node::open(&dev, folder.path(), EngineConfig::default(), false));
    let json = ChainSpec::dev_json()
        .replace("\"chainId\": 1337", "\"chainId\": 1338")
        .replace("\"nonce\": \"0x0\"", "\"nonce\": \"0x1\"");
    let other = Arc::new(ChainSpec::from_json(&json).expect("a genesis file"));
    assert_ne!(other.genesis_hash(), dev.genesis_hash());
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let error = Engine::new(other.clone(), store, None, EngineConfig::default()).expect_err("another chain");
    let text = error.to_string();
    assert!(
        text.contains(&dev.genesis_hash().to_string()) && text.contains(&other.genesis_hash().to_string()),
        "{text}"
    );
    drop(Node::open(&dev, folder.path(), EngineConfig::default(), false));
}

#[test]
fn a_full_disk_stops_nothing_but_the_commit() {
    let spec = Arc::new(ChainSpec::dev());
    let folder = tempfile::tempdir().expect("a folder");
    drop(Node::open(&spec, folder.path(), EngineConfig::default(), false));
    let full = StoreOptions { disk_reserve_bytes: u64::MAX, ..Default::default() };
    let store = Store::open(folder.path(), full).expect("opens");
    let mut engine = Engine::new(spec.clone(), store.clone(), None, EngineConfig::default()).expect("opens");
    let genesis = engine.head().clone();
    let block = engine.build_payload(crate::chain::attributes(&genesis, 0)).expect("building writes nothing");
    for _ in 0..2 {
        let error = engine.forkchoice_updated(head(block.header.hash())).expect_err("no room");
        assert!(matches!(error, EngineError::Storage(_)) && !error.is_fatal(), "{error:?}");
        assert_eq!(
            (engine.head().hash(), engine.side_blocks()),
            (genesis.hash(), 1),
            "the block waits for room"
        );
        assert_eq!(store.view().head().expect("a head").number, 0);
    }
    drop((engine, store));
    let mut node = Node::open(&spec, folder.path(), EngineConfig::default(), false);
    node.follow(&block);
    node.check_state();
}
