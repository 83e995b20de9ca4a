//! The shard store and its stages: nothing counts before its checkpoint, nothing stale after an
//! unwind, and nothing that is the only copy is deleted.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use alloy_primitives::Bytes;
use common::*;
use weft_primitives::{BlobIndex, ColumnIndex};
use weft_storage::{
    BlockNumHash, ColumnSegment, StageId, StorageError, Store, StoreOptions, StoredTransaction, TxPosition,
};

const STAGE: StageId = StageId("BlobArchive");
const LENGTH: usize = 300_000;

/// Blocks 1 and 2; 1 has a blob in its transaction 1.
fn chain(store: &Store) -> (TestBlock, TestBlock) {
    commit_genesis(store, &Default::default());
    let one = block(
        &genesis_header(),
        1,
        vec![
            transaction(0, vec![1; 9]),
            blob_transaction(1, noise(1, LENGTH)),
            blob_transaction(2, noise(2, 5000)),
        ],
    );
    let two = block(&one.block.header, 1, vec![blob_transaction(3, noise(3, 4097))]);
    one.commit(store).unwrap();
    two.commit(store).unwrap();
    (one, two)
}

fn parity(block: &TestBlock, index: usize, blob: u32) -> Vec<ColumnSegment> {
    (4..11).map(|j| segment(block, index, blob, j)).collect()
}

fn data(block: &TestBlock, index: usize, blob: u32) -> Vec<ColumnSegment> {
    (0..4).map(|j| segment(block, index, blob, j)).collect()
}

fn unwind(store: &Store, target: u64) {
    let revert = store.view().revert_state(target).unwrap();
    store.unwind_to(target, &revert, &Default::default()).unwrap();
}

fn assert_clean(store: &Store) {
    let report = store.verify_chain(0..=u64::MAX).unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
}

/// The block's commitment is kept with it.
#[test]
fn cells_and_summary_come_with_the_block() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (one, _) = chain(&store);
    let view = store.view();
    assert_eq!(view.da_summary(1).unwrap(), one.da);
    let hashes: Vec<_> = one
        .block
        .transactions
        .iter()
        .filter_map(|tx| tx.blob.as_ref())
        .flat_map(|blob| blob.cell_hashes.clone())
        .collect();
    assert_eq!(view.cell_hashes(1).unwrap().unwrap(), hashes);
    assert_eq!(view.block_cells(1).unwrap().unwrap().summary(), one.da.as_ref().unwrap());
    assert_eq!(view.cell_hashes(0).unwrap(), None);
    assert!(view.columns_held(1, BlobIndex(0)).unwrap().is_empty());
    assert_clean(&store);
}

#[test]
fn output_and_checkpoint_appear_together() {
    for unlogged_bytes_min in [0, 1 << 30] {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions { unlogged_bytes_min, ..options() };
        let (one, two, segments);
        {
            let store = Store::open(folder.path(), options.clone()).unwrap();
            (one, two) = chain(&store);
            assert_eq!(store.view().stage_checkpoint(STAGE).unwrap(), None);
            segments = [parity(&one, 1, 0), parity(&one, 2, 1)].concat();
            store.commit_stage(STAGE, one.block.num_hash(), &segments).unwrap();

            let foreign = BlockNumHash { number: 2, hash: one.hash() };
            let error = store.commit_stage(STAGE, foreign, &parity(&two, 0, 0)).unwrap_err();
            assert!(matches!(error, StorageError::Reorged(at) if at == foreign));
        }
        let store = Store::open(folder.path(), options).unwrap();
        let view = store.view();
        assert_eq!(view.stage_checkpoint(STAGE).unwrap(), Some(one.block.num_hash()));
        for segment in &segments {
            let cells = view.column(segment.block, segment.blob, segment.column).unwrap();
            assert_eq!(cells.as_ref(), Some(&segment.cells));
        }
        let held: Vec<_> = (4..11).map(ColumnIndex).collect();
        assert_eq!(view.columns_held(1, BlobIndex(0)).unwrap(), held);
        assert_eq!(view.column(1, BlobIndex(0), ColumnIndex(0)).unwrap(), None);
        assert!(view.columns_held(2, BlobIndex(0)).unwrap().is_empty(), "refused output is not visible");
        assert_eq!(view.column(2, BlobIndex(0), ColumnIndex(5)).unwrap(), None);
        let report = store.verify_chain(0..=2).unwrap();
        assert!(report.is_clean(), "{:?}", report.problems);
        assert_eq!(report.columns, 14);
    }
}

#[test]
fn an_unwind_stops_the_stage_until_it_followed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (one, two) = chain(&store);
    store.commit_stage(STAGE, one.block.num_hash(), &parity(&one, 1, 0)).unwrap();
    store.commit_stage(STAGE, two.block.num_hash(), &parity(&two, 0, 0)).unwrap();
    unwind(&store, 1);
    assert_eq!(store.view().stage_unwind_target(STAGE).unwrap(), Some(1));
    assert_eq!(store.view().stage_checkpoint(STAGE).unwrap(), Some(two.block.num_hash()));

    let other = block(&one.block.header, 2, vec![blob_transaction(9, noise(9, 4097))]);
    other.commit(&store).unwrap();
    assert!(store.view().columns_held(2, BlobIndex(0)).unwrap().is_empty(), "columns of the unwound block");
    let error = store.commit_stage(STAGE, other.block.num_hash(), &parity(&other, 0, 0)).unwrap_err();
    assert!(matches!(error, StorageError::Reorged(_)), "the unwind is pending");

    store.unwind_stage(STAGE, 1).unwrap();
    assert_eq!(store.view().stage_unwind_target(STAGE).unwrap(), None);
    assert_eq!(store.view().stage_checkpoint(STAGE).unwrap(), Some(one.block.num_hash()));
    assert_eq!(store.view().columns_held(1, BlobIndex(0)).unwrap().len(), 7);
    store.commit_stage(STAGE, other.block.num_hash(), &parity(&other, 0, 0)).unwrap();
    assert_clean(&store);
}

#[test]
fn a_deeper_unwind_wins_over_a_pending_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (_, two) = chain(&store);
    store.commit_stage(STAGE, two.block.num_hash(), &[]).unwrap();
    unwind(&store, 1);
    unwind(&store, 0);
    assert_eq!(store.view().stage_unwind_target(STAGE).unwrap(), Some(0));
}

#[test]
fn a_dropped_body_lives_on_in_its_columns() {
    let folder = tempfile::tempdir().unwrap();
    let position = TxPosition { block: 1, index: 1 };
    let one = {
        let store = open(folder.path());
        let (one, _) = chain(&store);
        store.commit_stage(STAGE, one.block.num_hash(), &parity(&one, 1, 0)).unwrap();
        store.drop_body(position, &data(&one, 1, 0)).unwrap();
        one
    };
    let store = open(folder.path());
    let view = store.view();
    let tx = &one.block.transactions[1];
    let stored = view.transaction(position).unwrap().unwrap();
    let StoredTransaction::Dropped { tx_hash, without_input, input_bytes } = stored.clone() else {
        panic!("whole")
    };
    assert_eq!((tx_hash, input_bytes), (tx.hash(), LENGTH as u64));
    assert_eq!(without_input.tx_hash(), &tx.hash());
    assert_eq!(stored.with_input(tx_hash, noise(1, LENGTH).into()).unwrap(), tx.tx);

    let held: Vec<_> = (0..11).map(ColumnIndex).collect();
    assert_eq!(view.columns_held(1, BlobIndex(0)).unwrap(), held);
    match view.block(1) {
        Err(StorageError::BodyDropped(hash, columns)) => assert_eq!((hash, columns), (tx.hash(), held)),
        other => panic!("{other:?}"),
    }
    assert_eq!(view.tx_position(tx.hash()).unwrap(), Some(position));
    store.drop_body(position, &[]).expect("dropping again does nothing");
    let report = store.verify_chain(0..=2).unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
    assert_eq!(report.dropped, 1);

    // Any seven columns may go, an eighth may not.
    let seven: Vec<_> = [0, 2, 3, 5, 7, 8, 10].map(ColumnIndex).to_vec();
    store.drop_columns(1, BlobIndex(0), &seven).unwrap();
    assert_eq!(store.view().columns_held(1, BlobIndex(0)).unwrap(), [1, 4, 6, 9].map(ColumnIndex));
    let error = store.drop_columns(1, BlobIndex(0), &[ColumnIndex(1)]).unwrap_err();
    assert!(matches!(error, StorageError::WouldLoseData { block: 1, blob: BlobIndex(0), .. }));
    assert_eq!(store.view().columns_held(1, BlobIndex(0)).unwrap().len(), 4);
    assert_clean(&store);
}

#[test]
fn a_stage_unwind_keeps_what_is_the_only_copy() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (one, two) = chain(&store);
    store
        .commit_stage(STAGE, two.block.num_hash(), &[parity(&one, 1, 0), parity(&two, 0, 0)].concat())
        .unwrap();
    store.drop_body(TxPosition { block: 1, index: 1 }, &data(&one, 1, 0)).unwrap();
    store.unwind_stage(STAGE, 0).unwrap();
    assert_eq!(store.view().columns_held(1, BlobIndex(0)).unwrap().len(), 11);
    assert!(store.view().columns_held(2, BlobIndex(0)).unwrap().is_empty());
    assert_clean(&store);
}

#[test]
fn only_the_bodys_own_columns_replace_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (one, _) = chain(&store);
    let position = TxPosition { block: 1, index: 1 };
    let refused = |columns: &[ColumnSegment]| {
        let error = store.drop_body(position, columns).unwrap_err();
        assert!(matches!(error, StorageError::WouldLoseData { .. }), "{error}");
        assert!(matches!(store.view().transaction(position).unwrap(), Some(StoredTransaction::Whole(_))));
    };
    let good = data(&one, 1, 0);
    refused(&good[..3]);
    refused(&[good[1].clone(), good[0].clone(), good[2].clone(), good[3].clone()]);
    refused(&[good[0].clone(), good[1].clone(), good[2].clone(), segment(&one, 1, 0, 4)]);
    for edit in [
        |bytes: &mut Vec<u8>| bytes[70] ^= 1,
        |bytes: &mut Vec<u8>| bytes.truncate(64),
        |bytes: &mut Vec<u8>| bytes.push(0),
    ] {
        let mut bad = good.clone();
        let mut bytes = bad[3].cells.to_vec();
        edit(&mut bytes);
        bad[3].cells = bytes.into();
        refused(&bad);
    }
    let plain = store.drop_body(TxPosition { block: 1, index: 0 }, &[]).unwrap_err();
    assert!(matches!(plain, StorageError::Inconsistent { .. }));
    let nowhere = store.drop_body(TxPosition { block: 1, index: 9 }, &[]).unwrap_err();
    assert!(matches!(nowhere, StorageError::MissingBlock(1)));
    store.drop_body(position, &good).unwrap();
}

#[test]
fn unchecked_columns_do_not_enter() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (one, two) = chain(&store);
    let good = segment(&one, 1, 0, 6);
    let with = |cells: Vec<u8>| ColumnSegment { cells: Bytes::from(cells), ..good.clone() };
    let mut tampered = good.cells.to_vec();
    tampered[LENGTH / 8] ^= 1;
    let bad = [
        with(tampered),
        with(good.cells[..good.cells.len() - 64].to_vec()),
        with([good.cells.as_ref(), &[0; 64]].concat()),
        ColumnSegment { column: ColumnIndex(7), ..good.clone() },
        ColumnSegment { column: ColumnIndex(11), ..good.clone() },
        ColumnSegment { blob: BlobIndex(1), ..good.clone() },
        ColumnSegment { blob: BlobIndex(2), ..good.clone() },
        ColumnSegment { block: 2, ..good.clone() },
        ColumnSegment { block: 7, ..good.clone() },
    ];
    for segment in bad {
        store.put_columns(&[good.clone(), segment]).unwrap_err();
        assert!(store.view().columns_held(1, BlobIndex(0)).unwrap().is_empty());
    }
    // A stage brings what it computed itself; a wrong shape is still refused.
    let short = with(good.cells[64..].to_vec());
    let error = store.commit_stage(STAGE, two.block.num_hash(), &[short]).unwrap_err();
    assert!(matches!(error, StorageError::Inconsistent { block: 1, .. }));
    assert_eq!(store.view().stage_checkpoint(STAGE).unwrap(), None);
    store.put_columns(&[good.clone(), segment(&two, 0, 0, 10)]).unwrap();
    assert_eq!(store.view().column(1, BlobIndex(0), ColumnIndex(6)).unwrap(), Some(good.cells));
    assert_clean(&store);
}
