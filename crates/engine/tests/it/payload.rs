//! Blocks that one node builds from its pool are the same on every other node.

use crate::chain::{Node, Tx, attributes, before_byzantium, dev_account, noise};
use alloy_primitives::{Address, B256};
use std::sync::Arc;
use weft_chainspec::ChainSpec;
use weft_engine::{EngineConfig, EngineError, PayloadAttributes};

#[tokio::test]
async fn another_node_imports_what_one_built() {
    let spec = Arc::new(ChainSpec::dev());
    let (mut a, mut b) = (Node::proposer(&spec), Node::follower(&spec));
    let alice = dev_account(0);
    let threshold = spec.weft().expect("a Weft chain").blob_threshold_bytes;
    // Below the threshold, at it, one chunk, and several chunks with a short last one.
    let sizes = [0, 1, threshold - 1, threshold, 131_072, 131_073, 1 << 20];
    for (nonce, size) in (0..).zip(sizes) {
        a.submit([Tx::data(nonce, noise(nonce, size)).sign(&alice, spec.chain_id())]).await;
        if nonce % 2 == 1 {
            let block = a.seal();
            assert_eq!(block.transactions.len(), 2, "all that is executable goes in");
            b.follow(&block);
        }
    }
    let last = a.seal();
    b.follow(&last);
    assert_eq!(a.head().hash(), b.head().hash());
    assert_eq!(b.account(alice.address()).nonce, sizes.len() as u64);
    a.check_state();
    b.check_state();
    let summaries: Vec<_> = [&a, &b].map(|node| node.store.view().da_summary(4).expect("a read")).into();
    assert_eq!(summaries[0], summaries[1]);
    assert_eq!(summaries[0].as_ref().expect("a commitment").blobs.len(), 1);
}

#[tokio::test]
async fn every_block_commits_to_its_blobs_even_when_it_has_none() {
    let spec = Arc::new(ChainSpec::dev());
    let mut node = Node::proposer(&spec);
    let empty = node.seal();
    let geometry = spec.weft().expect("a Weft chain").geometry;
    assert_eq!(empty.header.extra_data[..], weft_erasure::empty_da_root(geometry)[..]);
    node.submit([Tx::data(0, noise(0, 5_000)).sign(&dev_account(0), spec.chain_id())]).await;
    let full = node.seal();
    let summary = node.store.view().da_summary(full.header.number).expect("a read").expect("a commitment");
    assert_eq!(full.header.extra_data[..], summary.da_root[..]);
    assert_ne!(full.header.extra_data, empty.header.extra_data);
}

#[tokio::test]
async fn importing_a_built_block_is_free_and_changes_nothing() {
    let spec = Arc::new(ChainSpec::dev());
    let mut node = Node::proposer(&spec);
    let head = node.head().clone();
    let block = node.build_on(&head, 0);
    let side = node.engine.side_blocks();
    node.import(&block);
    assert_eq!((node.engine.side_blocks(), node.head().hash()), (side, head.hash()), "built, not chosen");
    node.choose(&block);
    assert_eq!(node.engine.side_blocks(), 0);
}

#[tokio::test]
async fn a_proposer_closes_its_block_at_its_own_bound_and_goes_on_in_the_next() {
    let spec = Arc::new(ChainSpec::dev());
    let config = EngineConfig { build_bytes_max: 250_000, ..Default::default() };
    let mut node = Node::with_config(&spec, config, true);
    let (alice, bob) = (dev_account(0), dev_account(1));
    for nonce in 0..4 {
        node.submit([Tx::data(nonce, noise(nonce, 100_000)).sign(&alice, spec.chain_id())]).await;
    }
    // Larger than the bound alone: it must not wait for ever.
    node.submit([Tx::data(0, noise(9, 400_000)).sign(&bob, spec.chain_id())]).await;
    let mut sizes = Vec::new();
    while node.pool.as_ref().expect("a pool").counts().0 > 0 {
        let block = node.seal();
        let bytes: usize = block.transactions.iter().map(|tx| tx.encoded.len()).sum();
        assert!(bytes <= 250_000 || block.transactions.len() == 1, "{bytes} bytes");
        assert!(!block.transactions.is_empty(), "no progress after {sizes:?}");
        sizes.push(block.transactions.len());
    }
    assert_eq!(sizes.iter().sum::<usize>(), 5);
    node.check_state();
}

#[test]
fn attributes_that_no_block_can_have_are_refused() {
    let spec = Arc::new(ChainSpec::dev());
    let mut node = Node::follower(&spec);
    let head = node.head().clone();
    let mut unknown = attributes(&head, 0);
    unknown.parent = B256::repeat_byte(1);
    assert!(matches!(node.engine.build_payload(unknown), Err(EngineError::UnknownParent(_))));
    let mut early = attributes(&head, 0);
    early.timestamp = head.timestamp;
    assert!(matches!(node.engine.build_payload(early), Err(EngineError::Attributes(_))));
    let mut rootless = attributes(&head, 0);
    rootless.parent_beacon_block_root = None;
    let error = node.engine.build_payload(rootless).expect_err("EIP-4788 needs it");
    assert!(!error.is_fatal(), "{error:?}");
    let unpaid = PayloadAttributes { withdrawals: None, ..attributes(&head, 0) };
    let block = node.engine.build_payload(unpaid).expect("a payload");
    assert_eq!(block.withdrawals, Some(Default::default()));
    Node::follower(&spec).follow(&block);
    assert_eq!(node.account(Address::repeat_byte(0xfe)).balance, alloy_primitives::U256::ZERO);
}

#[tokio::test]
async fn a_payload_on_a_block_in_memory_goes_on_after_what_that_block_included() {
    let spec = Arc::new(ChainSpec::dev());
    let mut node = Node::proposer(&spec);
    let (alice, chain_id) = (dev_account(0), spec.chain_id());
    let transfer = |nonce| Tx::transfer(nonce, Address::repeat_byte(1), 5).sign(&alice, chain_id);
    node.submit([transfer(0), transfer(1)]).await;
    let head = node.head().clone();
    let child = node.build_on(&head, 1);
    assert_eq!(child.transactions.len(), 2);
    // The pool has not been told of the child, and offers its transactions again.
    node.submit([transfer(2)]).await;
    let grandchild = node.build_on(&child.header, 1);
    assert_eq!(grandchild.transactions.len(), 1);
    let sibling = node.build_on(&head, 2);
    assert_eq!(sibling.transactions.len(), 3, "another branch begins at the head");
    node.choose(&grandchild);
    assert_eq!(node.pool.as_ref().expect("a pool").counts(), (0, 0));
    node.check_state();
}

#[tokio::test]
async fn a_transaction_that_the_branch_made_invalid_is_skipped_with_its_successors() {
    let spec = Arc::new(ChainSpec::dev());
    let mut node = Node::proposer(&spec);
    let (alice, bob, chain_id) = (dev_account(0), dev_account(1), spec.chain_id());
    let head = node.head().clone();
    node.submit([Tx::transfer(0, Address::repeat_byte(1), 5).sign(&alice, chain_id)]).await;
    let child = node.build_on(&head, 1);
    // The same nonce with another price replaces it in the pool; on the child it is used.
    let replacement =
        Tx::transfer(0, Address::repeat_byte(2), 5).sign_with_fee(&alice, chain_id, 300_000_000_000);
    node.submit([replacement, Tx::transfer(1, Address::repeat_byte(2), 5).sign(&alice, chain_id)]).await;
    node.submit([Tx::transfer(0, Address::repeat_byte(3), 5).sign(&bob, chain_id)]).await;
    let grandchild = node.build_on(&child.header, 1);
    let senders: Vec<_> = grandchild.transactions.iter().map(|tx| tx.sender).collect();
    assert_eq!(senders, [bob.address()]);
    node.choose(&grandchild);
    assert_eq!(node.account(Address::repeat_byte(1)).balance, alloy_primitives::U256::from(5));
    node.check_state();
}

#[test]
fn attributes_of_forks_that_do_not_hold_are_refused() {
    let mut node = Node::follower(&before_byzantium());
    let head = node.head().clone();
    let both = attributes(&head, 0);
    let withdrawals = PayloadAttributes { parent_beacon_block_root: None, ..both.clone() };
    let beacon_root = PayloadAttributes { withdrawals: None, ..both };
    for wrong in [withdrawals, beacon_root] {
        assert!(matches!(node.engine.build_payload(wrong), Err(EngineError::Attributes(_))));
    }
    let block = node.build_before_shanghai(&head, 0);
    assert_eq!(block.withdrawals, None);
}
