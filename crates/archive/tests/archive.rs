//! The BlobArchive stage over a real database: every block of a range, restarts, reorgs, no duplicates.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{CHUNK, TestBlock, block, chain, genesis, open, unwind};
use std::ops::RangeInclusive;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use weft_archive::{BLOB_ARCHIVE, BlobArchive, ParityCache, verify_block};
use weft_primitives::{BlobIndex, ColumnIndex};
use weft_stages::{Pipeline, Stage, Step, step};
use weft_storage::{BlockNumHash, Store, TxPosition};

fn fresh() -> (TempDir, Store) {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    (folder, store)
}

fn stage() -> BlobArchive {
    BlobArchive::new(ParityCache::new(0))
}

fn run(stage: &BlobArchive, store: &Store) {
    for _ in 0..1000 {
        if step(stage, store, u64::MAX).unwrap() == Step::Idle {
            return;
        }
    }
    panic!("the stage does not come to rest");
}

/// All parity is there, no data column is, and everything is what the headers commit to.
fn assert_archived(store: &Store, blocks: &[TestBlock]) {
    let view = store.view();
    for block in blocks {
        for blob in 0..block.blobs().len() {
            let held = view.columns_held(block.number(), BlobIndex(blob as u32)).unwrap();
            assert_eq!(
                held,
                (4..11).map(ColumnIndex).collect::<Vec<_>>(),
                "block {}, blob {blob}",
                block.number()
            );
        }
        let report = verify_block(store, block.number()).unwrap().unwrap();
        assert_eq!(report.problems, [], "block {}", block.number());
        assert_eq!((report.blobs, report.bodies), (block.blobs().len() as u32, block.blobs().len() as u32));
    }
    let last = blocks.last().unwrap().block.num_hash();
    assert_eq!(view.stage_checkpoint(BLOB_ARCHIVE).unwrap(), Some(last));
}

const MIXED: &[&[usize]] =
    &[&[4096, 100, CHUNK], &[], &[4095, 3], &[CHUNK + 1, 4097, 0, 3 * CHUNK - 1], &[10 * CHUNK], &[5000; 40]];

#[test]
fn every_block_of_a_range_is_archived_and_a_second_run_finds_nothing() {
    let (_folder, store) = fresh();
    let blocks = chain(&store, &genesis(&store), 1, MIXED);
    run(&stage(), &store);
    assert_archived(&store, &blocks);
    assert_eq!(step(&stage(), &store, u64::MAX).unwrap(), Step::Idle);
}

#[test]
fn doing_a_range_again_writes_the_same() {
    let (_folder, store) = fresh();
    let blocks = chain(&store, &genesis(&store), 1, MIXED);
    run(&stage(), &store);
    let stage = stage();
    for number in [1, 4, 6] {
        stage.execute(&store, number..=number).unwrap();
    }
    stage.execute(&store, 1..=6).unwrap();
    assert_archived(&store, &blocks);
}

#[test]
fn it_goes_on_where_it_was_after_a_restart_at_any_block() {
    for stop_after in 0..=MIXED.len() as u64 {
        let folder = TempDir::new().unwrap();
        let blocks = {
            let store = open(folder.path());
            let blocks = chain(&store, &genesis(&store), 2, MIXED);
            if stop_after > 0 {
                stage().execute(&store, 1..=stop_after).unwrap();
            }
            blocks
        };
        let store = open(folder.path());
        let checkpoint = store.view().stage_checkpoint(BLOB_ARCHIVE).unwrap().map_or(0, |c| c.number);
        assert_eq!(checkpoint, stop_after);
        run(&stage(), &store);
        assert_archived(&store, &blocks);
    }
}

#[test]
fn kept_parity_is_used_and_forgotten_and_a_wrong_one_is_not_believed() {
    let (_folder, store) = fresh();
    let parent = genesis(&store);
    let blocks = chain(&store, &parent, 1, &[&[CHUNK], &[2 * CHUNK, 4096]]);
    let cache = ParityCache::new(10 << 20);
    // The parity of another block under the hash and number of the first.
    let mut forged = block(&parent, 9, &[CHUNK]);
    forged.block.header = blocks[0].block.header.clone();
    cache.remember(&forged.block);
    cache.remember(&blocks[1].block);
    assert!(cache.bytes() > 4 * CHUNK);
    run(&BlobArchive::new(cache.clone()), &store);
    assert_eq!(cache.bytes(), 0);
    assert_archived(&store, &blocks);
}

#[test]
fn the_cache_is_bounded_and_keeps_what_is_needed_first() {
    let (_folder, store) = fresh();
    let blocks = chain(&store, &genesis(&store), 1, &[&[CHUNK], &[CHUNK], &[CHUNK]]);
    let one = blocks[0].block.transactions[0].blob.as_ref().unwrap().parity_bytes();
    let cache = ParityCache::new(2 * one);
    for block in &blocks {
        cache.remember(&block.block);
        cache.remember(&block.block);
        assert!(cache.bytes() <= 2 * one);
    }
    assert_eq!(cache.bytes(), 2 * one);
    run(&BlobArchive::new(cache.clone()), &store);
    assert_eq!(cache.bytes(), 0);
    assert_archived(&store, &blocks);
}

#[test]
fn a_reorganisation_takes_its_output_along() {
    for (archived, target) in [(6, 3), (6, 5), (3, 3), (4, 1), (2, 5), (6, 0)] {
        let (_folder, store) = fresh();
        let parent = genesis(&store);
        let old = chain(&store, &parent, 1, MIXED);
        stage().execute(&store, 1..=archived).unwrap();
        unwind(&store, target);
        let base = if target == 0 { parent } else { old[target as usize - 1].block.header.clone() };
        let new = chain(&store, &base, 2, &[&[CHUNK, 7000], &[4096], &[2 * CHUNK, 9000, 9000]]);
        run(&stage(), &store);
        let canonical: Vec<_> = old[..target as usize].iter().chain(&new).cloned().collect();
        assert_archived(&store, &canonical);
    }
}

/// The store is reorganised between the stage's reading and its commit: nothing stale becomes visible.
#[test]
fn a_reorganisation_under_a_step_is_seen() {
    let (_folder, store) = fresh();
    let parent = genesis(&store);
    let old = chain(&store, &parent, 1, MIXED);
    stage().execute(&store, 1..=4).unwrap();
    // The range is of the old chain, the database of the new one when the step begins.
    unwind(&store, 3);
    let new = chain(&store, &old[2].block.header, 2, &[&[CHUNK], &[CHUNK, 4096], &[4096]]);
    let error = stage().execute(&store, 5..=6).unwrap_err();
    assert!(
        matches!(error, weft_stages::StageError::Storage(weft_storage::StorageError::Reorged(_))),
        "{error}"
    );
    assert_eq!(store.view().columns_held(5, BlobIndex(0)).unwrap(), []);
    run(&stage(), &store);
    let canonical: Vec<_> = old[..3].iter().chain(&new).cloned().collect();
    assert_archived(&store, &canonical);
}

#[test]
fn a_dropped_body_is_archived_from_its_columns() {
    let (_folder, store) = fresh();
    let blocks = chain(&store, &genesis(&store), 1, &[&[CHUNK + 5, 4096]]);
    for (hash, _) in blocks[0].blobs() {
        weft_archive::drop_body(&store, hash).unwrap().unwrap();
    }
    run(&stage(), &store);
    let held = store.view().columns_held(1, BlobIndex(0)).unwrap();
    assert_eq!(held.len(), 11);
    let report = verify_block(&store, 1).unwrap().unwrap();
    assert_eq!((report.problems, report.bodies, report.columns), (vec![], 0, 22));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pipeline_follows_the_head_through_growth_and_reorganisation() {
    let (_folder, store) = fresh();
    let parent = genesis(&store);
    let (sender, head) = watch::channel(BlockNumHash { number: 0, hash: parent.hash() });
    let stop = CancellationToken::new();
    let handle = Pipeline::new(store.clone()).with(stage()).run(head, stop.clone());
    let mut progress = handle.watch()[0].clone();

    let old = chain(&store, &parent, 1, MIXED);
    sender.send_replace(old[5].block.num_hash());
    let at = |hash| move |p: &weft_stages::StageProgress| p.checkpoint.is_some_and(|c| c.hash == hash);
    progress.wait_for(at(old[5].block.num_hash().hash)).await.unwrap();
    assert_archived(&store, &old);
    assert_eq!(handle.progress()[0].lag_blocks(), 0);

    unwind(&store, 2);
    let new = chain(&store, &old[1].block.header, 2, &[&[CHUNK], &[4096, 4096]]);
    sender.send_replace(new[1].block.num_hash());
    progress.wait_for(at(new[1].block.num_hash().hash)).await.unwrap();
    let canonical: Vec<_> = old[..2].iter().chain(&new).cloned().collect();
    assert_archived(&store, &canonical);

    // It goes no further than it was told, though the database has more.
    let more = chain(&store, &new[1].block.header, 2, &[&[4096], &[4096]]);
    sender.send_replace(more[0].block.num_hash());
    progress.wait_for(at(more[0].block.num_hash().hash)).await.unwrap();
    stop.cancel();
    handle.stopped().await;
    assert_eq!(store.view().stage_checkpoint(BLOB_ARCHIVE).unwrap(), Some(more[0].block.num_hash()));
}

#[test]
fn blocks_are_bounded_to_what_was_asked() {
    let (_folder, store) = fresh();
    chain(&store, &genesis(&store), 1, MIXED);
    assert_eq!(step(&stage(), &store, 2).unwrap(), Step::Done(2));
    assert_eq!(step(&stage(), &store, 2).unwrap(), Step::Idle);
    let range: RangeInclusive<u64> = 3..=3;
    assert_eq!(stage().execute(&store, range).unwrap(), 3);
    let position = TxPosition { block: 3, index: 0 };
    assert!(store.view().transaction(position).unwrap().is_some());
}
