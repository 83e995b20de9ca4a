//! Receipts before Byzantium: each holds the state root after its transaction.
//!
//! The chain of these tests is at proof of stake and before Byzantium, as no real one ever was, so that blocks can be
//! built here. There are no rewards, and so the root after a block's first n transactions is the state root of a block
//! of n transactions. Real blocks of those forks are in the conformance suites.

use crate::chain::{Node, before_byzantium, dev_account};
use alloy_consensus::{Eip658Value, SignableTransaction, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_network::TxSignerSync;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex};
use std::sync::Arc;
use weft_chainspec::ChainSpec;
use weft_engine::PayloadStatus;
use weft_primitives::{PreparedBlock, Receipt, SealedHeader, Transaction};

/// Stores 5 in slot 0 when it is created; without calldata it clears slot 0 and stores 2 in slot 1, with some it
/// destroys itself.
const CONTRACT: [u8; 35] = hex!("60056000556012601160003960126000f3" "36600f5760006000556002600155005b33ff");

/// Transactions of one account, of which each changes what others changed before it.
fn transactions() -> Vec<Bytes> {
    let alice = dev_account(0);
    let contract = TxKind::from(alice.address().create(1));
    let bob = TxKind::from(Address::repeat_byte(0xb0));
    let asked: [(TxKind, u64, &[u8]); 7] = [
        (bob, 7, &[]),
        (TxKind::Create, 0, &CONTRACT),
        (contract, 0, &[]),
        (contract, 0, &[1]),
        (contract, 3, &[]),
        (bob, 7, &[]),
        (TxKind::Create, 0, &CONTRACT),
    ];
    let sign = |(nonce, (to, value, input)): (u64, (TxKind, u64, &[u8]))| {
        let mut tx = TxLegacy {
            chain_id: Some(1337),
            nonce,
            gas_price: 2_000_000_000,
            gas_limit: 200_000,
            to,
            value: U256::from(value),
            input: Bytes::copy_from_slice(input),
        };
        let signature = alice.sign_transaction_sync(&mut tx).expect("a signature");
        Transaction::from(tx.into_signed(signature)).encoded_2718().into()
    };
    (0..).zip(asked).map(sign).collect()
}

/// A block on the head that becomes the head.
fn seal(node: &mut Node) -> PreparedBlock {
    let head = node.head().clone();
    let block = node.build_before_shanghai(&head, 0);
    node.choose(&block);
    block
}

fn receipts(node: &Node, number: u64) -> Vec<Receipt> {
    node.store.view().receipts(number).expect("a read").expect("receipts")
}

fn roots(receipts: &[Receipt]) -> Vec<B256> {
    receipts.iter().map(|receipt| receipt.outcome.as_post_state().expect("a root")).collect()
}

/// State root of a block of the first `count` transactions.
async fn state_root_after(spec: &Arc<ChainSpec>, count: usize) -> B256 {
    let mut node = Node::proposer(spec);
    node.submit(transactions().into_iter().take(count)).await;
    let block = seal(&mut node);
    assert_eq!(block.transactions.len(), count);
    block.header.state_root
}

#[tokio::test]
async fn each_receipt_holds_the_root_after_its_transaction() {
    let spec = before_byzantium();
    let mut node = Node::proposer(&spec);
    node.submit(transactions()).await;
    let block = seal(&mut node);
    let found = roots(&receipts(&node, 1));
    assert_eq!(found.len(), transactions().len());
    for (index, root) in found.iter().enumerate() {
        assert_eq!(*root, state_root_after(&spec, index + 1).await, "transaction {index}");
    }
    let report = node.store.verify_chain(0..=1).expect("a read");
    assert!(report.is_clean(), "{:?}", report.problems);

    let mut follower = Node::follower(&spec);
    follower.follow(&block);
    assert_eq!(receipts(&follower, 1), receipts(&node, 1));
    follower.check_state();
}

#[tokio::test]
async fn a_wrong_receipts_root_is_refused() {
    let spec = before_byzantium();
    let mut node = Node::proposer(&spec);
    node.submit(transactions()).await;
    let block = seal(&mut node);
    // What it would be with a status in place of the roots.
    let mut with_status = receipts(&node, 1);
    with_status.iter_mut().for_each(|receipt| receipt.outcome = Eip658Value::success());
    let blooms: Vec<_> = with_status.iter().map(alloy_consensus::TxReceipt::with_bloom_ref).collect();
    let mut header = block.header.header().clone();
    header.receipts_root = alloy_consensus::proofs::calculate_receipt_root(&blooms);
    let wrong = PreparedBlock { header: SealedHeader::seal_slow(header), ..block };
    let status = Node::follower(&spec).engine.new_payload(wrong).expect("no failure");
    match status {
        PayloadStatus::Invalid { reason, .. } => assert!(reason.contains("receipt root"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn roots_on_a_branch_in_memory_and_on_an_old_block_are_those_of_the_chain() {
    let spec = before_byzantium();
    let mut node = Node::proposer(&spec);
    let (first, second) = {
        let mut transactions = transactions();
        let second = transactions.split_off(4);
        (transactions, second)
    };
    let genesis = node.head().clone();
    node.submit(first).await;
    let one = node.build_before_shanghai(&genesis, 0);
    // The parent is in memory only.
    node.submit(second).await;
    let two = node.build_before_shanghai(&one.header.clone(), 0);
    assert_eq!((one.transactions.len(), two.transactions.len()), (4, 3));
    // The parent is not the head any more.
    let mut other = Node::follower(&spec);
    let mut own = Node::follower(&spec);
    for _ in 0..2 {
        let head = own.head().clone();
        let block = own.build_before_shanghai(&head, 9);
        own.choose(&block);
        other.follow(&block);
    }
    for block in [&one, &two] {
        other.import(block);
        node.choose(block);
    }
    other.choose(&two);
    for number in [1, 2] {
        assert_eq!(receipts(&other, number), receipts(&node, number));
    }
    assert_eq!(roots(&receipts(&node, 2)).last(), Some(&two.header.state_root));
    other.check_state();
}
