//! A stage that only counts, driven through failure, panic, reorganisation and cancellation.
#![allow(clippy::unwrap_used, reason = "tests")]

use alloy_primitives::{B256, map::B256Map};
use std::{
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use weft_primitives::{BlockNumber, HashedPostState, Header, PreparedBlock, SealedHeader, TrieUpdates};
use weft_stages::{Pipeline, RANGE_BLOCKS_MAX, Stage, StageError, StageProgress, Step, step};
use weft_storage::{BlockNumHash, BlockWrite, StageId, StorageError, Store, StoreOptions};

const COUNTER: StageId = StageId("Counter");

/// Commits checkpoints, at most `blocks_max` a step; fails or panics as often as it is told to.
#[derive(Clone, Default)]
struct Counter {
    blocks_max: u64,
    failures: Arc<AtomicU32>,
    panics: Arc<AtomicU32>,
    lie: bool,
}

fn take(count: &AtomicU32) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

impl Stage for Counter {
    fn id(&self) -> StageId {
        COUNTER
    }

    fn execute(&self, store: &Store, range: RangeInclusive<BlockNumber>) -> Result<BlockNumber, StageError> {
        assert!(!take(&self.panics), "told to");
        if take(&self.failures) {
            return Err(StageError::Failed {
                stage: COUNTER.0,
                block: *range.start(),
                source: "told to".into(),
            });
        }
        if self.lie {
            return Ok(*range.end() + 1);
        }
        let number = (*range.end()).min(*range.start() + self.blocks_max - 1);
        let hash = store.view().canonical_hash(number)?.ok_or(StorageError::MissingBlock(number))?;
        store.commit_stage(COUNTER, BlockNumHash { number, hash }, &[])?;
        Ok(number)
    }

    fn unwind(&self, store: &Store, to: BlockNumber) -> Result<(), StageError> {
        Ok(store.unwind_stage(COUNTER, to)?)
    }
}

fn counter(blocks_max: u64) -> Counter {
    Counter { blocks_max, ..Counter::default() }
}

fn store() -> (TempDir, Store, SealedHeader) {
    let folder = TempDir::new().unwrap();
    let options = StoreOptions { disk_reserve_bytes: 0, ..StoreOptions::default() };
    let store = Store::open(folder.path(), options).unwrap();
    let genesis = SealedHeader::seal_slow(Header::default());
    store
        .commit_genesis(&genesis, &HashedPostState::default(), &B256Map::default(), &TrieUpdates::default())
        .unwrap();
    (folder, store, genesis)
}

/// Appends empty blocks; returns the last.
fn grow(store: &Store, parent: &SealedHeader, seed: u8, count: u64) -> SealedHeader {
    let mut parent = parent.clone();
    for _ in 0..count {
        let header = Header {
            number: parent.number + 1,
            parent_hash: parent.hash(),
            mix_hash: B256::with_last_byte(seed),
            ..Header::default()
        };
        parent = SealedHeader::seal_slow(header);
        let block =
            PreparedBlock { header: parent.clone(), transactions: vec![], ommers: vec![], withdrawals: None };
        store
            .commit_block(BlockWrite {
                block: &block,
                receipts: &[],
                state: &HashedPostState::default(),
                code: &B256Map::default(),
                trie: &TrieUpdates::default(),
                da: None,
            })
            .unwrap();
    }
    parent
}

fn unwind(store: &Store, target: u64) {
    let revert = store.view().revert_state(target).unwrap();
    store.unwind_to(target, &revert, &TrieUpdates::default()).unwrap();
}

#[test]
fn ranges_are_contiguous_bounded_and_end_at_the_head() {
    let (_folder, store, genesis) = store();
    assert_eq!(step(&counter(9), &store, u64::MAX).unwrap(), Step::Idle, "genesis is no work");
    grow(&store, &genesis, 0, RANGE_BLOCKS_MAX + 3);
    assert_eq!(step(&counter(9), &store, u64::MAX).unwrap(), Step::Done(9));
    assert_eq!(step(&counter(9), &store, 12).unwrap(), Step::Done(12), "no further than told");
    assert_eq!(step(&counter(9), &store, 12).unwrap(), Step::Idle);
    let everything = counter(u64::from(u32::MAX));
    assert_eq!(step(&everything, &store, u64::MAX).unwrap(), Step::Done(RANGE_BLOCKS_MAX + 3));
}

#[test]
fn a_reorganisation_is_followed_before_new_work() {
    let (_folder, store, genesis) = store();
    let first = grow(&store, &genesis, 0, 4);
    grow(&store, &first, 0, 6);
    assert_eq!(step(&counter(8), &store, u64::MAX).unwrap(), Step::Done(8));
    unwind(&store, 4);
    grow(&store, &first, 1, 2);
    assert_eq!(step(&counter(8), &store, u64::MAX).unwrap(), Step::Unwound(4));
    assert_eq!(step(&counter(8), &store, u64::MAX).unwrap(), Step::Done(6));
    assert_eq!(step(&counter(8), &store, u64::MAX).unwrap(), Step::Idle);
}

#[test]
fn a_stage_that_claims_too_much_is_found_out() {
    let (_folder, store, genesis) = store();
    grow(&store, &genesis, 0, 2);
    let error = step(&Counter { lie: true, ..counter(1) }, &store, u64::MAX).unwrap_err();
    assert!(matches!(error, StageError::OutOfRange { done: 3, end: 2, .. }), "{error}");
}

#[tokio::test]
async fn failures_and_panics_are_shown_and_tried_again() {
    let (_folder, store, genesis) = store();
    let head = grow(&store, &genesis, 0, 5);
    let stage = counter(2);
    stage.failures.store(1, Ordering::SeqCst);
    stage.panics.store(1, Ordering::SeqCst);
    let (_sender, receiver) = watch::channel(head.num_hash());
    let stop = CancellationToken::new();
    let handle = Pipeline::new(store).with(stage).run(receiver, stop.clone());
    let mut progress = handle.watch()[0].clone();

    let panicked = progress.wait_for(|p| p.failures == 1).await.unwrap().clone();
    assert_eq!(panicked.error.as_deref(), Some("stage Counter panicked"));
    assert_eq!(panicked.lag_blocks(), 5);
    let failed = progress.wait_for(|p| p.failures == 2).await.unwrap().clone();
    assert_eq!(failed.error.as_deref(), Some("stage Counter at block 1: told to"));
    let done = progress.wait_for(|p| p.lag_blocks() == 0).await.unwrap().clone();
    let expected =
        StageProgress { id: COUNTER, checkpoint: Some(head.num_hash()), head: 5, failures: 0, error: None };
    assert_eq!(done, expected);
    stop.cancel();
    handle.stopped().await;
}

#[tokio::test]
async fn one_stage_that_fails_holds_up_nobody_else() {
    struct Broken;
    impl Stage for Broken {
        fn id(&self) -> StageId {
            StageId("Broken")
        }
        fn execute(&self, _: &Store, range: RangeInclusive<BlockNumber>) -> Result<BlockNumber, StageError> {
            Err(StageError::Failed { stage: "Broken", block: *range.start(), source: "always".into() })
        }
        fn unwind(&self, _: &Store, _: BlockNumber) -> Result<(), StageError> {
            Ok(())
        }
    }
    let (_folder, store, genesis) = store();
    let head = grow(&store, &genesis, 0, 3);
    let (sender, receiver) = watch::channel(head.num_hash());
    let handle = Pipeline::new(store).with(Broken).with(counter(1)).run(receiver, CancellationToken::new());
    handle.watch()[1].clone().wait_for(|p| p.lag_blocks() == 0).await.unwrap();
    handle.watch()[0].clone().wait_for(|p| p.failures > 0).await.unwrap();
    assert_eq!(handle.progress()[0].checkpoint, None);
    // Without a sender of heads there is nothing to follow: the healthy stage ends by itself.
    drop(sender);
    let stopped = handle.watch()[1].clone();
    while stopped.has_changed().is_ok() {
        tokio::task::yield_now().await;
    }
}
