//! Checkpoints of a chain with contracts, self-destructs and blobs, and databases from them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::state::*;
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
};
use weft_archive::{
    BlobArchive, ParityCache,
    checkpoint::{
        Checkpoint, CheckpointError, Expected, ItemFolder, Kind, Parent, Phase, Section, verify,
        write_checkpoint,
    },
};
use weft_primitives::BlobIndex;
use weft_stages::{Step, step};
use weft_storage::{SortOptions, StorageError, Store};

fn folder() -> (tempfile::TempDir, ItemFolder) {
    let folder = tempfile::tempdir().unwrap();
    let items = ItemFolder::create(folder.path()).unwrap();
    (folder, items)
}

fn verified(items: &ItemFolder, checkpoint: &Checkpoint, expected: &Expected) {
    let sort = SortOptions::in_folder(items.path());
    let verified = verify(items, checkpoint.id, expected, &sort, &mut |_| {}).unwrap();
    assert_eq!(
        (verified.block, verified.state_root),
        (checkpoint.manifest.block, checkpoint.manifest.state_root)
    );
    assert_eq!(verified.headers, checkpoint.manifest.block.number + 1);
    assert!(verified.accounts > 50 && verified.bytes > 0);
}

#[test]
fn a_database_comes_back_from_a_full_checkpoint_and_goes_on() {
    let mut chain = TestChain::new(1);
    chain.grow(30);
    let (_items, mut items) = folder();
    let checkpoint = chain.checkpoint(20, Kind::Full, None, &mut items);
    assert!(checkpoint.manifest.section(Section::Accounts).len() > 2, "many chunks are the harder case");
    assert!(checkpoint.manifest.section(Section::Storage).len() > 2);
    assert_eq!(checkpoint.manifest.section(Section::Headers).len(), 6, "21 headers, 4 at a time");
    verified(&items, &checkpoint, &chain.expected());

    let target = tempfile::tempdir().unwrap();
    let trusted = Expected { trust_block: Some(checkpoint.manifest.block.hash), ..chain.expected() };
    let store = restore(&items, checkpoint.id, target.path(), trusted);
    assert_same(&chain, &store, 20);
    for made in &chain.made[20..] {
        made.commit(&store);
    }
    assert_eq!(store.view().head().unwrap(), chain.store.view().head().unwrap());
    assert!(weft_trie::verify_trie(&store.view()).unwrap().is_clean());

    // It survives being closed, and is an ordinary database then.
    drop(store);
    let store = common::open(target.path());
    assert_eq!(store.view().head().unwrap().number, 30);
    let state = store.view().revert_state(20).unwrap();
    let (root, trie) = weft_trie::state_root(&store.view(), &state).unwrap();
    assert_eq!(root, checkpoint.manifest.state_root);
    store.unwind_to(20, &state, &trie).unwrap();
    assert_same(&chain, &store, 20);
}

#[test]
fn a_block_below_the_head_gives_the_items_that_it_gave_as_the_head() {
    let mut chain = TestChain::new(2);
    let (_at_head, mut at_head) = folder();
    chain.grow(15);
    let parent = chain.checkpoint(9, Kind::Full, None, &mut at_head).as_parent();
    let full = chain.checkpoint(15, Kind::Full, None, &mut at_head);
    let diff = chain.checkpoint(15, Kind::Diff, Some(parent), &mut at_head);
    chain.grow(25);
    let (_below, mut below) = folder();
    assert_eq!(chain.checkpoint(15, Kind::Full, None, &mut below), full);
    assert_eq!(chain.checkpoint(9, Kind::Full, None, &mut below).as_parent(), parent);
    assert_eq!(chain.checkpoint(15, Kind::Diff, Some(parent), &mut below), diff);
    assert!(diff.manifest.bytes() < full.manifest.bytes());
}

#[test]
fn blocks_that_come_meanwhile_are_not_seen() {
    let mut chain = TestChain::new(3);
    chain.grow(12);
    let (_quiet, mut quiet) = folder();
    let expected = chain.checkpoint(10, Kind::Full, None, &mut quiet);
    let mut other = TestChain::new(3);
    other.grow(12);
    let (_busy, mut busy) = folder();
    let (store, options) = (other.store.clone(), options(Kind::Full, None, busy.path()));
    let checkpoint = write_checkpoint(&store, 10, &options, &mut busy, &mut |_| other.make()).unwrap();
    assert_eq!(checkpoint, expected);
    assert!(other.head().number > 30, "blocks were added at each step");
}

#[test]
fn any_checkpoint_of_a_chain_of_diffs_comes_back() {
    let mut chain = TestChain::new(4);
    let (_items, mut items) = folder();
    let mut checkpoints: Vec<Checkpoint> = Vec::new();
    for (round, blocks) in [7, 1, 12, 5, 30].into_iter().enumerate() {
        chain.grow(blocks);
        let parent = checkpoints.last().map(Checkpoint::as_parent);
        let kind = if round == 0 || round == 3 { Kind::Full } else { Kind::Diff };
        checkpoints.push(chain.checkpoint(chain.head().number, kind, parent, &mut items));
    }
    assert_eq!(items.checkpoints().unwrap(), checkpoints);
    for checkpoint in &checkpoints {
        verified(&items, checkpoint, &chain.expected());
        let target = tempfile::tempdir().unwrap();
        let store = restore(&items, checkpoint.id, target.path(), chain.expected());
        let number = checkpoint.manifest.block.number;
        assert_same(&chain, &store, number);
        if let Some(next) = chain.made.get(usize::try_from(number).unwrap()) {
            next.commit(&store);
            assert_eq!(store.view().head().unwrap().number, number + 1);
        }
    }
}

#[test]
fn a_restored_database_makes_the_next_checkpoint() {
    let mut chain = TestChain::new(5);
    chain.grow(20);
    let (_items, mut items) = folder();
    let first = chain.checkpoint(10, Kind::Full, None, &mut items);
    let diff = chain.checkpoint(20, Kind::Diff, Some(first.as_parent()), &mut items);
    let full = chain.checkpoint(20, Kind::Full, Some(first.as_parent()), &mut items);
    let target = tempfile::tempdir().unwrap();
    let store = restore(&items, first.id, target.path(), chain.expected());
    chain.made[10..].iter().for_each(|made| made.commit(&store));
    let head = store.view().head().unwrap();
    store.set_forkchoice(Some(head), Some(head)).unwrap();
    for expected in [diff, full] {
        let options = options(expected.manifest.kind, Some(first.as_parent()), items.path());
        let made = write_checkpoint(&store, 20, &options, &mut items, &mut |_| {}).unwrap();
        assert_eq!(made, expected);
    }
}

#[test]
fn what_did_not_change_is_not_kept_twice() {
    let mut chain = TestChain::new(6);
    chain.grow(40);
    let (_items, mut items) = folder();
    let files = |items: &ItemFolder| std::fs::read_dir(items.path().join("items")).unwrap().count();
    let first = chain.checkpoint(39, Kind::Full, None, &mut items);
    let before = files(&items);
    let second = chain.checkpoint(40, Kind::Full, Some(first.as_parent()), &mut items);
    let names = |checkpoint: &Checkpoint| -> BTreeSet<_> {
        checkpoint.manifest.entries.iter().map(|entry| entry.sha256).collect()
    };
    let new = names(&second).difference(&names(&first)).count();
    assert_eq!(files(&items) - before, new);
    // Twelve accounts at most changed; a change touches its own chunk, and joins or splits it at most.
    assert!(new < second.manifest.entries.len() * 2 / 3, "{new} of {}", second.manifest.entries.len());
    // Made again, nothing is added.
    let again = chain.checkpoint(40, Kind::Full, Some(first.as_parent()), &mut items);
    assert_eq!((again, files(&items)), (second, before + new));
}

#[test]
fn what_cannot_be_checkpointed_is_refused() {
    let mut chain = TestChain::new(7);
    chain.grow(6);
    let (_items, mut items) = folder();
    let parent = chain.checkpoint(4, Kind::Full, None, &mut items).as_parent();
    let mut make = |number, kind, parent| {
        let options = options(kind, parent, items.path());
        write_checkpoint(&chain.store, number, &options, &mut items, &mut |_| {}).unwrap_err()
    };
    let above = make(7, Kind::Full, None);
    assert!(matches!(above, CheckpointError::Storage(StorageError::MissingBlock(7))), "{above}");
    let itself = Parent { block: chain.head().num_hash(), ..parent };
    let mut stranger = parent;
    stranger.block.hash.0[0] ^= 1;
    for (kind, parent, words) in [
        (Kind::Diff, None, "needs a parent"),
        (Kind::Diff, Some(itself), "not below"),
        (Kind::Full, Some(stranger), "another chain"),
    ] {
        let error = make(6, kind, parent);
        assert!(matches!(error, CheckpointError::BadParent { block: 6, .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }

    // Not final yet.
    let folder = tempfile::tempdir().unwrap();
    let store = common::open(folder.path());
    let genesis = common::genesis(&store);
    common::chain(&store, &genesis, 1, &[&[], &[]]);
    let (_items, mut items) = self::folder();
    let options = options(Kind::Full, None, items.path());
    let error = write_checkpoint(&store, 1, &options, &mut items, &mut |_| {}).unwrap_err();
    assert!(matches!(error, CheckpointError::NotFinalized { block: 1, finalized: None }), "{error}");
    assert_eq!(items.checkpoints().unwrap(), []);
}

#[test]
fn a_block_too_far_below_the_head_is_refused_with_the_distance() {
    let mut chain = TestChain::new(8);
    chain.grow(25);
    let (_items, mut items) = folder();
    let mut options = options(Kind::Full, None, items.path());
    options.sort.disk_bytes_max = 3000;
    let error = write_checkpoint(&chain.store, 3, &options, &mut items, &mut |_| {}).unwrap_err();
    let CheckpointError::Storage(StorageError::TooFar { first: 4, last: 25, bytes_max: 3000 }) = error else {
        panic!("{error}")
    };
    assert!(error.to_string().contains("22 of them"), "{error}");
    write_checkpoint(&chain.store, 25, &options, &mut items, &mut |_| {}).unwrap();
}

#[test]
fn below_the_restored_block_is_said_what_is_not_kept() {
    let mut chain = TestChain::new(9);
    chain.grow(12);
    let blob = chain.made.iter().find(|made| !made.block.blobs().is_empty()).expect("some block has a blob");
    let (with_blob, tx) = (blob.block.number(), blob.block.blobs()[0].0);
    let (_items, mut items) = folder();
    let checkpoint = chain.checkpoint(12, Kind::Full, None, &mut items);
    chain.grow(3);
    let target = tempfile::tempdir().unwrap();
    let store = restore(&items, checkpoint.id, target.path(), chain.expected());
    chain.made[12..].iter().for_each(|made| made.commit(&store));

    let view = store.view();
    assert!(view.state_at(12).is_ok() && view.revert_state(12).is_ok());
    for error in [view.state_at(11).unwrap_err(), view.revert_state(11).unwrap_err()] {
        assert!(matches!(error, StorageError::StateNotKept { block: 11, base: 12 }), "{error}");
    }
    let trie = Default::default();
    let error = store.unwind_to(11, &Default::default(), &trie).unwrap_err();
    assert!(matches!(error, StorageError::StateNotKept { block: 11, base: 12 }), "{error}");
    for number in [with_blob, 12] {
        let error = view.block(number).unwrap_err();
        assert!(matches!(error, StorageError::BodyNotKept { base: 12, .. }), "{error}");
        assert!(view.block_cells(number).is_err() && view.cell_hashes(number).is_err());
        assert_eq!(view.receipts(number).unwrap(), None);
        assert_eq!(view.body_meta(number).unwrap(), None);
        assert_eq!(view.senders(number).unwrap(), None);
        assert!(view.columns_held(number, BlobIndex(0)).unwrap().is_empty());
    }
    assert!(view.block(13).unwrap().is_some());
    let summary = view.da_summary(with_blob).unwrap().unwrap();
    assert_eq!(summary, chain.store.view().da_summary(with_blob).unwrap().unwrap());

    let report = store.verify_chain(0..=12).unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
    assert_eq!((report.blocks, report.headers_only, report.transactions), (13, 13, 0));
    assert_eq!(weft_archive::verify_block(&store, with_blob).unwrap(), None);
    assert!(weft_archive::verify_block(&store, 13).unwrap().is_some());
    assert_eq!(weft_archive::Retriever::new(store.clone()).blob(tx, None, Default::default()).unwrap(), None);

    // The stage begins behind the restored block.
    assert_eq!(view.stage_checkpoint(STAGE).unwrap(), Some(checkpoint.manifest.block));
    drop(view);
    let stage = BlobArchive::new(ParityCache::new(1 << 20));
    assert_eq!(step(&stage, &store, u64::MAX).unwrap(), Step::Done(15));
    assert_eq!(step(&stage, &store, u64::MAX).unwrap(), Step::Idle);
}

#[test]
fn progress_rises_and_ends() {
    let mut chain = TestChain::new(10);
    chain.grow(10);
    let (_items, mut items) = folder();
    let options = options(Kind::Full, None, items.path());
    let mut seen = Vec::new();
    let checkpoint =
        write_checkpoint(&chain.store, 8, &options, &mut items, &mut |progress| seen.push(*progress))
            .unwrap();
    assert!(seen.iter().all(|progress| (0.0..=1.0).contains(&progress.fraction)));
    assert!(seen.is_sorted_by_key(|progress| (progress.items, progress.bytes)));
    let last = seen.last().unwrap();
    assert_eq!((last.phase, last.fraction), (Phase::Headers, 1.0));
    assert_eq!(
        (last.items, last.bytes),
        (checkpoint.manifest.entries.len() as u64, checkpoint.manifest.bytes())
    );

    let (calls, target) = (AtomicUsize::new(0), tempfile::tempdir().unwrap());
    let last = parking_lot::Mutex::new(None);
    let tell = |progress: &weft_archive::checkpoint::Progress| {
        calls.fetch_add(1, Ordering::Relaxed);
        *last.lock() = Some(*progress);
    };
    let restore_options = restore_options(target.path(), chain.expected());
    weft_archive::checkpoint::restore(&items, checkpoint.id, &restore_options, &tell).unwrap();
    assert!(calls.into_inner() > checkpoint.manifest.entries.len());
    let last = last.into_inner().unwrap();
    assert_eq!((last.phase, last.fraction), (Phase::Tries, 1.0));
    assert_eq!(last.bytes, checkpoint.manifest.bytes());
}

#[test]
fn a_folder_with_a_chain_is_not_restored_over() {
    let mut chain = TestChain::new(11);
    chain.grow(3);
    let (_items, mut items) = folder();
    let checkpoint = chain.checkpoint(3, Kind::Full, None, &mut items);
    let target = tempfile::tempdir().unwrap();
    drop(restore(&items, checkpoint.id, target.path(), chain.expected()));
    let options = restore_options(target.path(), chain.expected());
    let again = weft_archive::checkpoint::restore(&items, checkpoint.id, &options, &|_| {}).unwrap_err();
    assert!(
        matches!(again, CheckpointError::Storage(StorageError::NotEmpty(hash)) if hash == chain.genesis.hash()),
        "{again}"
    );
    let store: Store = common::open(target.path());
    assert_eq!(store.view().head().unwrap().number, 3);
}
