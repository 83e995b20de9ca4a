//! What is left after a stop: the durable head, and nothing else.

use crate::chain::{Node, Tx, dev_account, head, noise};
use std::{path::Path, process::Command, sync::Arc};
use weft_chainspec::ChainSpec;
use weft_engine::{Engine, EngineConfig, EngineError, ForkchoiceState};
use weft_storage::{StageId, StorageError, Store, StoreOptions};

/// A stage that has followed to the head before the reorg.
const STAGE: StageId = StageId("Follower");
/// Where the child finds the folder.
const FOLDER: &str = "WEFT_TEST_REORG_FOLDER";

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

/// Not a test of its own: the process that dies in [`a_death_between_unwind_and_commit_leaves_the_common_ancestor`].
/// With no room on the disk the unwind is written and the first commit after it is not; there it ends, with nothing
/// closed, flushed or told.
#[test]
#[ignore = "runs as a child of another test"]
fn child_that_dies_in_a_reorg() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let spec = Arc::new(ChainSpec::dev());
    let full = StoreOptions { disk_reserve_bytes: u64::MAX, ..Default::default() };
    let mut node = Node::open_with(&spec, Path::new(&folder), full, EngineConfig::default(), true);
    assert_eq!(node.head().number, 3);
    let ancestor = node.store.view().header(1).expect("a read").expect("a header");
    let fork = node.build_on(&ancestor, 7);
    let tip = node.build_on(&fork.header, 7);
    let error = node.engine.forkchoice_updated(head(tip.header.hash())).expect_err("no room");
    assert!(matches!(error, EngineError::Storage(StorageError::DiskFull { .. })), "{error:?}");
    assert_eq!(node.head().hash(), ancestor.hash(), "unwound, and nothing committed");
    println!("unwound");
    std::process::abort();
}

#[tokio::test]
async fn a_death_between_unwind_and_commit_leaves_the_common_ancestor() {
    let spec = Arc::new(ChainSpec::dev());
    let folder = tempfile::tempdir().expect("a folder");
    let open = || Node::open(&spec, folder.path(), EngineConfig::default(), true);
    let alice = dev_account(0);
    let transaction = |nonce| Tx::data(nonce, noise(nonce, 100_000)).sign(&alice, spec.chain_id());
    let mut node = open();
    let mut blocks = Vec::new();
    for nonce in 0..3 {
        node.submit([transaction(nonce)]).await;
        blocks.push(node.seal());
    }
    let [one, two, three] = &blocks[..] else { panic!("three blocks") };
    let marks = ForkchoiceState {
        head: three.header.hash(),
        safe: Some(two.header.hash()),
        finalized: Some(one.header.hash()),
    };
    node.engine.forkchoice_updated(marks).expect("no failure");
    node.store.commit_stage(STAGE, three.num_hash(), &[]).expect("a checkpoint");
    drop(node);

    let child = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "restart::child_that_dies_in_a_reorg", "--ignored", "--nocapture"])
        .env(FOLDER, folder.path())
        .output()
        .expect("starts");
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(
        said.contains("unwound") && !child.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&child.stderr)
    );

    let mut node = open();
    assert_eq!((node.head().hash(), node.engine.side_blocks()), (one.header.hash(), 0));
    node.check_state();
    node.check_chain();
    let (safe, finalized) = (node.engine.safe(), node.engine.finalized());
    assert_eq!((safe, finalized), (None, Some(one.num_hash())), "a safe block that is gone is forgotten");
    let view = node.store.view();
    assert_eq!(view.stage_checkpoint(STAGE).expect("a read"), Some(three.num_hash()));
    assert_eq!(view.stage_unwind_target(STAGE).expect("a read"), Some(1), "it knows where to go back to");
    assert_eq!(view.tx_position(two.transactions[0].hash()).expect("a read"), None);
    drop(view);
    // The pool stands at the head: the first transaction is used, the others can come again.
    node.pool.as_ref().expect("a pool").submit(transaction(0)).await.expect_err("its nonce is used");
    assert_eq!(node.account(alice.address()).nonce, 1);
    node.submit([transaction(1), transaction(2)]).await;
    let fork = node.seal();
    assert_eq!(fork.transactions.len(), 2);
    // The branch that the dead process was on can be come to as well.
    let old = node.build_on(&one.header, 9);
    let event = node.choose(&old).expect("a change");
    assert_eq!((event.reverted.len(), event.committed.len()), (1, 1));
    node.store.unwind_stage(STAGE, 1).expect("it follows");
    node.store.commit_stage(STAGE, old.num_hash(), &[]).expect("and goes on");
    node.check_state();
    node.check_chain();
}
