//! Changes of branch: state, pool and events follow; finality and memory hold.

use crate::chain::{Node, Tx, dev_account, head, noise};
use alloy_primitives::{Address, B256, U256};
use std::sync::Arc;
use weft_chainspec::ChainSpec;
use weft_engine::{EngineConfig, EngineError, ForkchoiceState, PayloadStatus};
use weft_primitives::PreparedBlock;

/// Empty blocks on the head of `node`, which follows them; another `salt` is another branch.
fn extend(node: &mut Node, length: usize, salt: u8) -> Vec<PreparedBlock> {
    (0..length)
        .map(|_| {
            let parent = node.head().clone();
            let block = node.build_on(&parent, salt);
            node.choose(&block);
            block
        })
        .collect()
}

#[tokio::test]
async fn a_reorg_returns_transactions_to_the_pool_and_the_money_to_its_owner() {
    let spec = Arc::new(ChainSpec::dev());
    let mut node = Node::proposer(&spec);
    let (alice, bob) = (dev_account(0), Address::repeat_byte(0xb0));
    let common = node.seal();
    let payment = Tx::transfer(0, bob, 5).sign(&alice, spec.chain_id());
    let blob = Tx::data(1, noise(1, 300_000)).sign(&alice, spec.chain_id());
    node.submit([payment, blob]).await;
    let with = node.seal();
    assert_eq!((with.transactions.len(), node.account(bob).balance), (2, U256::from(5)));

    let mut other = Node::follower(&spec);
    other.follow(&common);
    let branch = extend(&mut other, 2, 1);
    branch.iter().for_each(|block| node.import(block));
    let event = node.choose(&branch[1]).expect("a change");
    let hashes = |blocks: &[Arc<weft_engine::CanonicalBlock>]| -> Vec<B256> {
        blocks.iter().map(|block| block.block.header.hash()).collect()
    };
    assert_eq!(hashes(&event.reverted), [with.header.hash()]);
    assert_eq!(hashes(&event.committed), [branch[0].header.hash(), branch[1].header.hash()], "oldest first");
    assert_eq!(event.reverted[0].receipts.len(), 2);
    assert_eq!(node.account(bob).balance, U256::ZERO);
    assert_eq!(node.store.view().tx_position(with.transactions[0].hash()).expect("a read"), None);
    node.check_state();

    let pool = node.pool.clone().expect("a pool");
    assert_eq!(pool.counts(), (2, 0), "both wait again");
    let again = node.seal();
    assert_eq!(again.transactions.len(), 2);
    assert!(again.transactions[1].blob.is_some(), "coded when it came back");
    assert_eq!(node.account(bob).balance, U256::from(5));
    assert_eq!(pool.counts(), (0, 0));
    node.check_state();
}

#[tokio::test]
async fn coming_back_needs_no_block_twice() {
    let spec = Arc::new(ChainSpec::dev());
    let mut node = Node::proposer(&spec);
    let alice = dev_account(0);
    node.submit([Tx::data(0, noise(1, 200_000)).sign(&alice, spec.chain_id())]).await;
    let first = [node.seal(), node.seal()];
    let mut other = Node::follower(&spec);
    let second = extend(&mut other, 3, 1);
    second.iter().for_each(|block| node.import(block));
    for round in 0..3 {
        node.choose(&second[2]).expect("a change");
        assert_eq!(node.account(alice.address()).nonce, 0, "round {round}");
        node.choose(&first[1]).expect("a change");
        assert_eq!(node.account(alice.address()).nonce, 1, "round {round}");
        node.check_state();
    }
    // A child of a tip that is not canonical any more.
    let child = other.build_on(&second[2].header.clone(), 1);
    node.import(&child);
    node.choose(&child);
    node.check_state();
    assert_eq!(node.store.view().da_summary(1).expect("a read").expect("a commitment").blobs.len(), 0);
}

#[test]
fn a_deep_side_chain_is_executed_and_chosen() {
    let spec = Arc::new(ChainSpec::dev());
    let (mut node, mut other) = (Node::follower(&spec), Node::follower(&spec));
    let start = extend(&mut node, 2, 0);
    start.iter().for_each(|block| other.follow(block));
    extend(&mut node, 60, 0);
    let branch = extend(&mut other, 80, 1);
    branch.iter().for_each(|block| node.import(block));
    assert_eq!(node.engine.side_blocks(), 80);
    let event = node.choose(branch.last().expect("blocks")).expect("a change");
    assert_eq!((event.reverted.len(), event.committed.len()), (60, 80));
    assert_eq!(node.head().hash(), other.head().hash());
    assert_eq!(node.engine.side_blocks(), 60, "the old branch can be come back to");
    node.check_state();
}

#[test]
fn side_blocks_are_bounded_by_number() {
    let spec = Arc::new(ChainSpec::dev());
    let config = EngineConfig { side_blocks_max: 5, ..Default::default() };
    let mut node = Node::with_config(&spec, config, false);
    let mut other = Node::follower(&spec);
    let genesis = other.head().clone();
    for salt in 0..40 {
        let block = other.build_on(&genesis, salt);
        node.import(&block);
        assert!(node.engine.side_blocks() <= 5);
    }
    // A branch longer than the bound cannot be held; blocks that are not kept are not called valid.
    let branch = extend(&mut other, 7, 99);
    let statuses: Vec<_> =
        branch.iter().map(|block| node.engine.new_payload(block.clone()).expect("no failure")).collect();
    assert!(statuses[..5].iter().all(PayloadStatus::is_valid));
    assert_eq!(statuses[5..], [PayloadStatus::Accepted, PayloadStatus::Syncing]);
    // Choosing what is held makes room for the rest.
    node.choose(&branch[4]);
    branch[5..].iter().for_each(|block| node.follow(block));
    node.check_state();
}

#[tokio::test]
async fn side_blocks_are_bounded_by_bytes() {
    let spec = Arc::new(ChainSpec::dev());
    let config = EngineConfig { side_bytes_max: 2_000_000, ..Default::default() };
    let mut node = Node::with_config(&spec, config, false);
    let mut proposer = Node::proposer(&spec);
    let genesis = proposer.head().clone();
    proposer.submit([Tx::data(0, noise(0, 300_000)).sign(&dev_account(0), spec.chain_id())]).await;
    for salt in 0..10 {
        let block = proposer.build_on(&genesis, salt);
        assert_eq!(block.transactions.len(), 1);
        node.import(&block);
        // 300 kB of input and 525 kB of parity each: two fit.
        assert!(node.engine.side_blocks() <= 2);
    }
}

#[test]
fn what_is_final_stays() {
    let spec = Arc::new(ChainSpec::dev());
    let (mut node, mut other) = (Node::follower(&spec), Node::follower(&spec));
    let branch = extend(&mut other, 4, 1);
    node.import(&branch[0]);
    let own = extend(&mut node, 3, 0);
    let final_at = own[1].header.hash();
    let state =
        ForkchoiceState { head: own[2].header.hash(), safe: Some(final_at), finalized: Some(final_at) };
    node.engine.forkchoice_updated(state).expect("no failure");
    assert_eq!(node.store.view().finalized().expect("a read"), Some(own[1].num_hash()));
    assert_eq!(node.engine.side_blocks(), 0, "what cannot become canonical is forgotten");

    assert_eq!(node.engine.new_payload(branch[0].clone()).expect("no failure"), PayloadStatus::Accepted);
    assert_eq!(node.engine.new_payload(branch[1].clone()).expect("no failure"), PayloadStatus::Syncing);
    let (status, event) = node.engine.forkchoice_updated(head(branch[0].header.hash())).expect("no failure");
    assert_eq!((status, event.is_none()), (PayloadStatus::Syncing, true));

    // A branch that leaves after the finalized block is welcome.
    let fork = node.build_on(&own[1].header.clone(), 7);
    node.choose(&fork);
    let lower = ForkchoiceState { finalized: Some(own[0].header.hash()), ..head(fork.header.hash()) };
    node.engine.forkchoice_updated(lower).expect("no failure");
    assert_eq!(node.engine.finalized(), Some(own[1].num_hash()), "finality does not go back");
    node.check_state();
}

#[test]
fn safe_and_finalized_must_be_ancestors_of_the_head() {
    let spec = Arc::new(ChainSpec::dev());
    let mut node = Node::follower(&spec);
    let own = extend(&mut node, 3, 0);
    let fork = node.build_on(&own[0].header.clone(), 7);
    let before = node.head().hash();
    let off_branch = [own[1].header.hash(), B256::repeat_byte(9)];
    for hash in off_branch {
        for state in [
            ForkchoiceState { safe: Some(hash), ..head(fork.header.hash()) },
            ForkchoiceState { finalized: Some(hash), ..head(fork.header.hash()) },
        ] {
            let error = node.engine.forkchoice_updated(state).expect_err("not an ancestor");
            assert!(matches!(error, EngineError::Forkchoice(_)) && !error.is_fatal(), "{error:?}");
            assert_eq!(node.head().hash(), before, "nothing was applied");
        }
    }
    let good = ForkchoiceState {
        head: fork.header.hash(),
        safe: Some(fork.header.hash()),
        finalized: Some(own[0].header.hash()),
    };
    assert!(node.engine.forkchoice_updated(good).expect("no failure").0.is_valid());
    assert_eq!(node.store.view().safe().expect("a read"), Some(fork.num_hash()));
}

#[test]
fn an_older_head_changes_nothing_and_can_be_built_upon() {
    let spec = Arc::new(ChainSpec::dev());
    let mut node = Node::follower(&spec);
    let own = extend(&mut node, 3, 0);
    let old = own[0].header.clone();
    let (status, event) = node.engine.forkchoice_updated(head(old.hash())).expect("no failure");
    assert_eq!((status, event.is_none()), (PayloadStatus::Valid { hash: old.hash() }, true));
    assert_eq!(node.head().hash(), own[2].header.hash());
    let (again, event) = node.engine.forkchoice_updated(head(own[2].header.hash())).expect("no failure");
    assert!(again.is_valid() && event.is_none(), "the present head once more");
    let fork = node.build_on(&old, 5);
    let event = node.choose(&fork).expect("a change");
    assert_eq!((event.reverted.len(), event.committed.len()), (2, 1));
    assert_eq!(event.reverted[0].block.header.hash(), own[2].header.hash(), "newest first");
}

/// A block whose body was dropped can be unwound like any other, and cannot be come back to from memory: it has to be
/// given again. Nothing pretends that it is there.
#[tokio::test]
async fn a_reorg_across_a_dropped_body_asks_for_the_block_again() {
    let spec = Arc::new(ChainSpec::dev());
    let mut node = Node::proposer(&spec);
    let mut blocks = Vec::new();
    for nonce in 0..3 {
        node.submit([
            Tx::data(nonce, noise(nonce, 200_000)).sign(&dev_account(0), spec.chain_id()),
            Tx::transfer(nonce, Address::repeat_byte(0xb0), 5).sign(&dev_account(1), spec.chain_id()),
        ])
        .await;
        blocks.push(node.seal());
    }
    let [first, dropped, last] = &blocks[..] else { panic!("three blocks") };
    node.drop_body(dropped);
    node.check_chain();

    let mut other = Node::follower(&spec);
    let branch = extend(&mut other, 4, 1);
    branch.iter().for_each(|block| node.import(block));
    let event = node.choose(&branch[3]).expect("a change");
    assert_eq!((event.reverted.len(), event.committed.len()), (3, 4));
    let (told, whole) = (&event.reverted[1].block, &event.reverted[0].block);
    let dropped_tx = told.transactions.iter().find(|tx| tx.encoded.is_empty()).expect("one without bytes");
    assert!(dropped.transactions.iter().any(|tx| tx.hash() == dropped_tx.hash() && tx.blob.is_some()));
    assert_eq!(told.transactions.len(), 2, "it is told of, with its hash");
    assert!(whole.transactions.iter().all(|tx| !tx.encoded.is_empty()));
    assert_eq!(event.reverted[1].receipts.len(), 2);
    node.check_state();
    node.check_chain();
    // What has its bytes waits in the pool again; after the gap nothing of the same sender is executable.
    let pool = node.pool.clone().expect("a pool");
    assert_eq!(pool.counts(), (4, 1));

    // In memory is only what is below the dropped block.
    assert_eq!(node.engine.side_blocks(), 1);
    for block in [dropped, last] {
        let (status, event) = node.engine.forkchoice_updated(head(block.header.hash())).expect("no failure");
        assert_eq!((status, event.is_none()), (PayloadStatus::Syncing, true));
    }
    assert_eq!(node.engine.new_payload(last.clone()).expect("no failure"), PayloadStatus::Syncing);
    assert_eq!(node.head().hash(), branch[3].header.hash(), "a refusal changes nothing");

    // Given again, it is executed and chosen; the first block needs not be.
    node.import(dropped);
    node.import(last);
    let event = node.choose(last).expect("a change");
    assert_eq!(event.committed.len(), 3);
    assert_eq!(event.committed[0].block.header.hash(), first.header.hash());
    assert_eq!(node.account(dev_account(0).address()).nonce, 3);
    assert_eq!(pool.counts(), (0, 0));
    assert!(node.store.view().block(2).expect("a read").is_some(), "its body is whole again");
    node.check_state();
    node.check_chain();
}
