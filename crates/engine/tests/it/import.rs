//! Blocks that must be refused: with the reason, and without a trace.

use crate::chain::{Node, Tx, dev_account, head, noise};
use alloy_primitives::{B256, Bytes, U256};
use std::sync::Arc;
use weft_chainspec::ChainSpec;
use weft_engine::PayloadStatus;
use weft_primitives::{Header, PreparedBlock, SealedHeader};

fn reseal(block: &PreparedBlock, change: impl FnOnce(&mut Header)) -> PreparedBlock {
    let mut header = block.header.header().clone();
    change(&mut header);
    PreparedBlock { header: SealedHeader::seal_slow(header), ..block.clone() }
}

/// A block with a transfer, a blob and a contract, and a follower that has not seen it.
async fn good_block(spec: &Arc<ChainSpec>) -> (PreparedBlock, Node) {
    let mut proposer = Node::proposer(spec);
    let (alice, bob) = (dev_account(0), dev_account(1));
    proposer
        .submit([
            Tx::transfer(0, bob.address(), 1).sign(&alice, spec.chain_id()),
            Tx::data(0, noise(1, 200_000)).sign(&bob, spec.chain_id()),
        ])
        .await;
    let block = proposer.seal();
    assert_eq!(block.transactions.len(), 2);
    (block, Node::follower(spec))
}

fn reason(status: PayloadStatus) -> String {
    match status {
        PayloadStatus::Invalid { reason, .. } => reason,
        status => panic!("expected an invalid block, not {status:?}"),
    }
}

#[tokio::test]
async fn every_wrong_header_field_is_refused_with_its_name_and_nothing_changes() {
    type Change = fn(&mut Header);
    let lies: &[(&str, Change)] = &[
        ("state root", |h| h.state_root = B256::repeat_byte(1)),
        ("daRoot", |h| h.extra_data = Bytes::from(B256::repeat_byte(1).to_vec())),
        ("", |h| h.extra_data = Bytes::new()),
        ("", |h| h.extra_data = [h.extra_data.as_ref(), &[0]].concat().into()),
        ("receipt", |h| h.receipts_root = B256::repeat_byte(1)),
        ("bloom", |h| h.logs_bloom.0[0] ^= 1),
        ("gas used", |h| h.gas_used += 1),
        ("gas limit", |h| h.gas_limit *= 2),
        ("base fee", |h| h.base_fee_per_gas = Some(7)),
        ("number", |h| h.number += 1),
        ("timestamp", |h| h.timestamp = 0),
        ("difficulty", |h| h.difficulty = U256::from(1)),
        ("nonce", |h| h.nonce = [1; 8].into()),
        ("blob gas", |h| h.blob_gas_used = Some(131_072)),
        ("excess blob gas", |h| h.excess_blob_gas = Some(131_072)),
        ("", |h| h.parent_beacon_block_root = None),
        ("requests", |h| h.requests_hash = Some(B256::repeat_byte(1))),
        ("withdrawals", |h| h.withdrawals_root = Some(B256::repeat_byte(1))),
        ("transaction root", |h| h.transactions_root = B256::repeat_byte(1)),
        ("uncle hash", |h| h.ommers_hash = B256::repeat_byte(1)),
    ];
    let spec = Arc::new(ChainSpec::dev());
    let (block, mut node) = good_block(&spec).await;
    let genesis = node.head().hash();
    for (index, (word, lie)) in lies.iter().enumerate() {
        let wrong = reseal(&block, lie);
        let found = reason(node.engine.new_payload(wrong.clone()).expect("no failure"));
        let plain = |text: &str| text.to_lowercase().replace([' ', '_'], "");
        assert!(
            plain(&found).contains(&plain(word)),
            "lie {index} about {word:?} was answered with {found:?}"
        );
        let again = reason(node.engine.new_payload(wrong.clone()).expect("no failure"));
        assert_eq!(found, again, "the same answer the second time");
        let (chosen, event) = node.engine.forkchoice_updated(head(wrong.header.hash())).expect("no failure");
        assert!(!chosen.is_valid() && event.is_none(), "lie {index}: {chosen:?}");
    }
    assert_eq!((node.head().hash(), node.engine.side_blocks()), (genesis, 0));
    node.check_state();
    node.follow(&block);
}

#[tokio::test]
async fn a_body_that_belongs_to_another_header_does_not_spoil_the_hash() {
    let spec = Arc::new(ChainSpec::dev());
    let (block, mut node) = good_block(&spec).await;
    let short = PreparedBlock { transactions: block.transactions[..1].to_vec(), ..block.clone() };
    let swapped =
        PreparedBlock { transactions: block.transactions.iter().rev().cloned().collect(), ..block.clone() };
    let padded = PreparedBlock { ommers: vec![Header::default()], ..block.clone() };
    let unpaid = PreparedBlock { withdrawals: None, ..block.clone() };
    for wrong in [short, swapped, padded, unpaid] {
        reason(node.engine.new_payload(wrong).expect("no failure"));
    }
    node.follow(&block);
}

#[tokio::test]
async fn a_hash_that_is_not_the_headers_is_refused() {
    let spec = Arc::new(ChainSpec::dev());
    let (block, mut node) = good_block(&spec).await;
    let claimed = SealedHeader::new(block.header.header().clone(), B256::repeat_byte(7));
    let found = reason(
        node.engine.new_payload(PreparedBlock { header: claimed, ..block.clone() }).expect("no failure"),
    );
    assert!(found.contains("block hash"), "{found}");
    node.follow(&block);
}

#[tokio::test]
async fn cells_are_computed_here_and_not_believed() {
    let spec = Arc::new(ChainSpec::dev());
    let (block, mut node) = good_block(&spec).await;
    // As it comes from a peer that sends no cells.
    let bare: Vec<_> = block
        .transactions
        .iter()
        .map(|tx| Arc::new(weft_primitives::PreparedTransaction { blob: None, ..(**tx).clone() }))
        .collect();
    node.follow(&PreparedBlock { transactions: bare, ..block.clone() });
    assert!(node.store.view().cell_hashes(1).expect("a read").is_some_and(|cells| cells.len() == 2 * 11));
}

#[tokio::test]
async fn descendants_of_an_invalid_block_are_invalid_and_name_the_last_valid_one() {
    let spec = Arc::new(ChainSpec::dev());
    let (block, mut node) = good_block(&spec).await;
    let genesis = node.head().hash();
    let bad = reseal(&block, |h| h.state_root = B256::repeat_byte(1));
    let mut parent = bad.clone();
    reason(node.engine.new_payload(bad).expect("no failure"));
    for _ in 0..3 {
        let hash = parent.header.hash();
        let child = reseal(&parent, |h| {
            h.parent_hash = hash;
            h.number += 1;
            h.timestamp += 1;
        });
        match node.engine.new_payload(child.clone()).expect("no failure") {
            PayloadStatus::Invalid { latest_valid, reason } => {
                assert_eq!(latest_valid, Some(genesis));
                assert!(
                    reason.starts_with("descends from an invalid block") && reason.contains("state root"),
                    "{reason}"
                );
            }
            status => panic!("{status:?}"),
        }
        parent = child;
    }
}

#[tokio::test]
async fn a_block_without_a_known_parent_is_neither_valid_nor_invalid() {
    let spec = Arc::new(ChainSpec::dev());
    let (block, mut node) = good_block(&spec).await;
    let orphan = reseal(&block, |h| h.parent_hash = B256::repeat_byte(3));
    assert_eq!(node.engine.new_payload(orphan.clone()).expect("no failure"), PayloadStatus::Syncing);
    let (status, event) = node.engine.forkchoice_updated(head(orphan.header.hash())).expect("no failure");
    assert_eq!((status, event.is_none()), (PayloadStatus::Syncing, true));
    node.follow(&block);
}
