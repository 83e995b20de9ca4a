//! The engine behind its handle: order of effects, subscriptions, stopping.

use crate::chain::{Node, Tx, attributes, dev_account, head};
use alloy_primitives::{Address, B256};
use std::sync::Arc;
use weft_chainspec::ChainSpec;
use weft_engine::{EngineError, EngineHandle, PayloadStatus};

#[tokio::test]
async fn an_event_comes_after_the_block_is_durable_and_out_of_the_pool() {
    let spec = Arc::new(ChainSpec::dev());
    let node = Node::proposer(&spec);
    node.submit([Tx::transfer(0, Address::repeat_byte(1), 1).sign(&dev_account(0), spec.chain_id())]).await;
    let (store, pool, genesis) =
        (node.store.clone(), node.pool.clone().expect("a pool"), node.head().clone());
    let handle = EngineHandle::spawn(node.engine).expect("a thread");
    let (mut events, mut heads) = (handle.subscribe(), handle.watch_head());
    let listener = tokio::spawn({
        let (store, pool) = (store.clone(), pool.clone());
        async move {
            let event = events.recv().await.expect("an event");
            let receipts = store.view().receipts(event.head.number).expect("a read");
            (event, receipts, pool.counts())
        }
    });
    let block = handle.build_payload(attributes(&genesis, 0)).await.expect("a payload");
    assert_eq!(handle.head().number, 0, "built is not chosen");
    let hash = block.header.hash();
    assert_eq!(handle.new_payload(block).await.expect("an answer"), PayloadStatus::Valid { hash });
    assert_eq!(
        handle.forkchoice_updated(head(hash)).await.expect("an answer"),
        PayloadStatus::Valid { hash }
    );
    assert_eq!((handle.head().hash, store.view().head().expect("a head").hash), (hash, hash));
    heads.changed().await.expect("a new head");
    assert_eq!(heads.borrow().hash(), hash);
    let (event, receipts, counts) = listener.await.expect("the listener");
    assert_eq!(event.committed.len(), 1);
    assert_eq!(receipts.map(|receipts| receipts.len()), Some(1), "visible before the event");
    assert_eq!(counts, (0, 0), "the pool knew before the event");
    handle.shutdown().await;
}

#[tokio::test]
async fn bad_blocks_and_bad_questions_do_not_stop_it() {
    let spec = Arc::new(ChainSpec::dev());
    let node = Node::follower(&spec);
    let genesis = node.head().clone();
    let handle = EngineHandle::spawn(node.engine).expect("a thread");
    let mut unknown = attributes(&genesis, 0);
    unknown.parent = B256::repeat_byte(1);
    assert!(matches!(handle.build_payload(unknown).await, Err(EngineError::UnknownParent(_))));
    assert_eq!(
        handle.forkchoice_updated(head(B256::repeat_byte(1))).await.expect("an answer"),
        PayloadStatus::Syncing
    );
    let mut block = handle.build_payload(attributes(&genesis, 0)).await.expect("a payload");
    block.header = weft_primitives::SealedHeader::new(block.header.header().clone(), B256::ZERO);
    assert!(matches!(handle.new_payload(block).await.expect("an answer"), PayloadStatus::Invalid { .. }));
    assert!(handle.build_payload(attributes(&genesis, 1)).await.is_ok());
    handle.shutdown().await;
}

#[tokio::test]
async fn it_stops_once_and_says_so() {
    let spec = Arc::new(ChainSpec::dev());
    let node = Node::follower(&spec);
    let genesis = node.head().clone();
    let (folder, store) = (node.folder, node.store);
    let handle = EngineHandle::spawn(node.engine).expect("a thread");
    let mut events = handle.subscribe();
    let block = handle.build_payload(attributes(&genesis, 0)).await.expect("a payload");
    // Sent before the stop: still done.
    let chosen = tokio::spawn({
        let handle = handle.clone();
        async move { handle.forkchoice_updated(head(block.header.hash())).await }
    });
    assert_eq!(events.recv().await.expect("an event").head.number, 1);
    assert!(chosen.await.expect("the task").expect("an answer").is_valid());
    handle.shutdown().await;
    handle.shutdown().await;
    handle.stopped().await;
    assert!(matches!(handle.build_payload(attributes(&genesis, 0)).await, Err(EngineError::Stopped)));
    assert!(events.recv().await.is_err() && handle.subscribe().recv().await.is_err(), "subscriptions end");
    assert_eq!(handle.head().number, 1);
    // The engine's hold on the folder is gone with its thread.
    drop(store);
    let folder = folder.expect("own folder");
    weft_storage::Store::open(folder.path(), Default::default()).expect("nobody else has it");
}

#[tokio::test]
async fn the_last_handle_waits_for_the_engine() {
    let spec = Arc::new(ChainSpec::dev());
    let node = Node::follower(&spec);
    let genesis = node.head().clone();
    let (folder, store) = (node.folder.expect("own folder"), node.store);
    let handle = EngineHandle::spawn(node.engine).expect("a thread");
    let other = handle.clone();
    drop(handle);
    let block = other.build_payload(attributes(&genesis, 0)).await.expect("one handle is enough");
    other.new_payload(block).await.expect("an answer");
    drop((other, store));
    weft_storage::Store::open(folder.path(), Default::default()).expect("nobody else has it");
}
