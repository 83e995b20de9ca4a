//! What goes wrong around a checkpoint: items that are not what they should be, makers who lie, restores that die.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use alloy_primitives::{B256, Bytes};
use common::state::*;
use parking_lot::Mutex;
use std::{
    path::Path,
    process::{Command, Stdio},
};
use weft_archive::checkpoint::{
    Checkpoint, CheckpointError, Expected, Item, ItemFolder, ItemId, ItemKind, ItemRef, ItemSink, ItemSource,
    Kind, Manifest, RestoreOptions, Section, TransportError, restore, verify,
};
use weft_storage::{SortOptions, StorageError, Store, StoreOptions};
use weft_trie::TrieError;

/// A chain, a full checkpoint of block 8 and a diff of block 14 on top.
struct Scene {
    chain: TestChain,
    items: ItemFolder,
    full: Checkpoint,
    diff: Checkpoint,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let mut chain = TestChain::new(seed);
        chain.grow(14);
        let folder = tempfile::tempdir().unwrap();
        let mut items = ItemFolder::create(folder.path()).unwrap();
        let full = chain.checkpoint(8, Kind::Full, None, &mut items);
        let diff = chain.checkpoint(14, Kind::Diff, Some(full.as_parent()), &mut items);
        Self { chain, items, full, diff, _folder: folder }
    }

    /// What is wrong with a checkpoint, if anything.
    fn wrong(&self, source: &dyn ItemSource, id: ItemId, expected: &Expected) -> Option<CheckpointError> {
        verify(source, id, expected, &SortOptions::in_folder(self.items.path()), &mut |_| {}).err()
    }

    /// The error of a verification and of a restore, which have to be alike; the folder is no database afterwards.
    fn refusals(&self, source: &dyn ItemSource, id: ItemId, expected: &Expected) -> [CheckpointError; 2] {
        let target = tempfile::tempdir().unwrap();
        let options = RestoreOptions { parallel: 1, ..restore_options(target.path(), *expected) };
        let restored = restore(source, id, &options, &|_| {}).map(drop).unwrap_err();
        if target.path().join("CURRENT").exists() {
            assert_half_restored(target.path());
        }
        [self.wrong(source, id, expected).unwrap(), restored]
    }
}

fn assert_half_restored(path: &Path) -> B256 {
    let error = Store::open(path, StoreOptions { read_only: true, ..StoreOptions::default() }).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("unfinished restore") && text.contains(path.to_str().unwrap()), "{text}");
    match Store::open(path, StoreOptions::default()) {
        Err(StorageError::HalfRestored { target, .. }) => target,
        other => panic!("{other:?}"),
    }
}

/// A source that does something else with some items.
struct Faulty<'a, F> {
    items: &'a ItemFolder,
    served: Mutex<Vec<ItemId>>,
    fault: F,
}

impl<'a, F: Fn(usize, ItemId, Bytes) -> Result<Bytes, TransportError> + Sync> Faulty<'a, F> {
    fn new(items: &'a ItemFolder, fault: F) -> Self {
        Self { items, served: Mutex::default(), fault }
    }
}

impl<F: Fn(usize, ItemId, Bytes) -> Result<Bytes, TransportError> + Sync> ItemSource for Faulty<'_, F> {
    fn get(&self, item: &ItemRef) -> Result<Bytes, TransportError> {
        let bytes = self.items.get(item)?;
        let mut served = self.served.lock();
        served.push(item.id);
        (self.fault)(served.len(), item.id, bytes)
    }
}

#[test]
fn an_item_that_is_not_what_it_should_be_is_named_and_refused() {
    let scene = Scene::new(21);
    let expected = scene.chain.expected();
    let mut ids: Vec<ItemId> = vec![scene.full.id];
    for section in Section::ALL {
        ids.extend(scene.full.manifest.section(section).last().map(|entry| entry.id));
    }
    ids.push(scene.diff.manifest.section(Section::Storage)[0].id);
    assert_eq!(ids.len(), 6);
    let manifest = scene.full.id;
    let other = scene.items.get(&ItemRef { id: ids[1], sha256: None, bytes_max: 1 << 20 }).unwrap();
    for bad in ids {
        let with = |damage: &(dyn Fn(Bytes) -> Bytes + Sync)| {
            let fault =
                |_: usize, id: ItemId, bytes: Bytes| Ok(if id == bad { damage(bytes) } else { bytes });
            scene.refusals(&Faulty::new(&scene.items, fault), scene.diff.id, &expected)
        };
        let flip = |bytes: Bytes| {
            let mut bytes = bytes.to_vec();
            let at = bytes.len() / 2;
            bytes[at] ^= 0x10;
            bytes.into()
        };
        for error in with(&flip) {
            assert!(matches!(&error, CheckpointError::ItemHash { id, .. } if *id == bad), "{error}");
        }
        for error in with(&|bytes| bytes.slice(..bytes.len() - 1)) {
            match &error {
                CheckpointError::ItemBytes { id, expected, found } => {
                    assert_eq!((*id, *found), (bad, expected - 1));
                }
                CheckpointError::ItemHash { id, .. } if *id == manifest => {}
                other => panic!("{other}"),
            }
        }
        let exchanged = other.clone();
        if weft_erasure::sha256(&exchanged) != bad.0 {
            for error in with(&|_| exchanged.clone()) {
                assert!(
                    matches!(&error, CheckpointError::ItemBytes { id, .. } | CheckpointError::ItemHash { id, .. } if *id == bad),
                    "{error}"
                );
            }
        }
        let gone = |_: usize, id: ItemId, bytes: Bytes| match id == bad {
            true => Err("lost".into()),
            false => Ok(bytes),
        };
        for error in scene.refusals(&Faulty::new(&scene.items, gone), scene.diff.id, &expected) {
            assert!(matches!(&error, CheckpointError::Source { id, .. } if *id == bad), "{error}");
            assert!(error.to_string().contains("lost"), "{error}");
        }
    }
}

/// Puts a manifest into the folder that nobody honest made.
fn forge(items: &ItemFolder, base: &Checkpoint, change: impl FnOnce(&mut Manifest)) -> ItemId {
    let mut manifest = base.manifest.clone();
    change(&mut manifest);
    let bytes = Bytes::from(manifest.encode());
    let item =
        Item { kind: ItemKind::Manifest, sha256: weft_erasure::sha256(&bytes), bytes, tags: Vec::new() };
    items.clone().put(&item).unwrap()
}

fn section_start(manifest: &Manifest, section: Section) -> usize {
    manifest.entries.iter().position(|entry| entry.section == section).unwrap()
}

#[test]
fn a_maker_who_lies_is_found_out() {
    let mut scene = Scene::new(22);
    // As if it stood for itself: blocks 0 to 14.
    let whole = scene.chain.checkpoint(14, Kind::Full, None, &mut scene.items);
    let expected = scene.chain.expected();
    type Lie = fn(&mut Manifest, &Scene);
    type Found = fn(&CheckpointError) -> bool;
    let cases: [(&str, Lie, Found); 11] = [
        (
            "another state root in the manifest",
            |manifest, _| manifest.state_root.0[0] ^= 1,
            |error| matches!(error, CheckpointError::StateRoot { number: 14, .. }),
        ),
        (
            "accounts left out",
            |manifest, _| drop(manifest.entries.remove(0)),
            |error| {
                matches!(
                    error,
                    CheckpointError::StateRoot { .. } | CheckpointError::Trie(TrieError::OrphanSlots { .. })
                )
            },
        ),
        (
            "slots left out",
            |manifest, _| drop(manifest.entries.remove(section_start(manifest, Section::Storage))),
            |error| matches!(error, CheckpointError::Trie(TrieError::StorageRoot { .. })),
        ),
        (
            "code left out",
            |manifest, _| manifest.entries.retain(|entry| entry.section != Section::Code),
            |error| matches!(error, CheckpointError::MissingCode { .. }),
        ),
        (
            "the state of an earlier block",
            |manifest, scene| {
                let state =
                    scene.full.manifest.entries.iter().filter(|entry| entry.section != Section::Headers);
                let headers = manifest.section(Section::Headers).to_vec();
                manifest.entries = state.cloned().chain(headers).collect();
            },
            |error| matches!(error, CheckpointError::StateRoot { number: 14, .. }),
        ),
        (
            "items under each other's keys",
            |manifest, _| {
                let (first, second) = (manifest.entries[0].clone(), manifest.entries[1].clone());
                manifest.entries[0].id = second.id;
                manifest.entries[0].sha256 = second.sha256;
                manifest.entries[0].bytes = second.bytes;
                manifest.entries[0].raw_bytes = second.raw_bytes;
                manifest.entries[1].id = first.id;
                manifest.entries[1].sha256 = first.sha256;
                manifest.entries[1].bytes = first.bytes;
                manifest.entries[1].raw_bytes = first.raw_bytes;
            },
            |error| matches!(error, CheckpointError::Item { reason, .. } if reason.0.contains("first key")),
        ),
        (
            "more records than there are",
            |manifest, _| manifest.entries[0].records += 1,
            |error| matches!(error, CheckpointError::Item { reason, .. } if reason.0.contains("number of records")),
        ),
        (
            "another length",
            |manifest, _| manifest.entries[0].raw_bytes += 1,
            |error| matches!(error, CheckpointError::Item { reason, .. } if reason.0.contains("another length")),
        ),
        (
            "another block",
            |manifest, _| manifest.block.hash.0[0] ^= 1,
            |error| matches!(error, CheckpointError::Header { number: 14, .. }),
        ),
        (
            "another chain",
            |manifest, _| manifest.chain.id += 1,
            |error| matches!(error, CheckpointError::OtherChain { .. }),
        ),
        (
            "storage given out as accounts",
            |manifest, _| {
                let storage = manifest.entries[section_start(manifest, Section::Storage)].clone();
                manifest.entries[0].id = storage.id;
                manifest.entries[0].sha256 = storage.sha256;
                manifest.entries[0].bytes = storage.bytes;
                manifest.entries[0].raw_bytes = storage.raw_bytes;
            },
            |error| matches!(error, CheckpointError::Item { reason, .. } if reason.0.contains("another section")),
        ),
    ];
    assert!(scene.wrong(&scene.items, whole.id, &expected).is_none());
    for (lie, change, found) in cases {
        let id = forge(&scene.items, &whole, |manifest| change(manifest, &scene));
        for error in scene.refusals(&scene.items, id, &expected) {
            assert!(found(&error), "{lie}: {error}");
        }
    }
}

#[test]
fn lies_about_what_lies_below_are_found_out() {
    let scene = Scene::new(23);
    let expected = scene.chain.expected();
    let other_block = forge(&scene.items, &scene.diff, |manifest| {
        manifest.parent.as_mut().unwrap().block.hash.0[0] ^= 1;
    });
    for error in scene.refusals(&scene.items, other_block, &expected) {
        assert!(matches!(error, CheckpointError::Parent { id, .. } if id == scene.full.id), "{error}");
    }
    let other_hash = forge(&scene.items, &scene.diff, |manifest| {
        manifest.parent.as_mut().unwrap().sha256.0[0] ^= 1;
    });
    // A folder is asked by hash.
    for error in scene.refusals(&scene.items, other_hash, &expected) {
        assert!(matches!(error, CheckpointError::Source { id, .. } if id == scene.full.id), "{error}");
    }
    let full_of_deletions = forge(&scene.items, &scene.diff, |manifest| manifest.kind = Kind::Full);
    for error in scene.refusals(&scene.items, full_of_deletions, &expected) {
        let deletion = |error: &CheckpointError| matches!(error, CheckpointError::Item { reason, .. } if reason.0.contains("deletion"));
        assert!(deletion(&error), "{error}");
    }
    // Headers of a chain that shares nothing but its genesis.
    let mut stranger = TestChain::new(99);
    stranger.grow(8);
    assert_eq!(stranger.genesis.hash(), scene.chain.genesis.hash());
    let theirs = stranger.checkpoint(8, Kind::Full, None, &mut scene.items.clone());
    for (keep, number, words) in [(0, 8, "checkpoint's block"), (1, 4, "child"), (2, 8, "child")] {
        let id = forge(&scene.items, &scene.full, |manifest| {
            let start = section_start(manifest, Section::Headers);
            let headers = theirs.manifest.section(Section::Headers);
            manifest.entries.truncate(start + keep);
            manifest.entries.extend_from_slice(&headers[keep..]);
        });
        for error in scene.refusals(&scene.items, id, &expected) {
            assert!(
                matches!(error, CheckpointError::Header { number: at, reason } if at == number && reason.contains(words)),
                "{keep}: {error}"
            );
        }
    }
    let trusted = Expected { trust_block: Some(scene.full.manifest.block.hash), ..expected };
    for error in scene.refusals(&scene.items, scene.diff.id, &trusted) {
        assert!(matches!(error, CheckpointError::NotTrusted { .. }), "{error}");
    }
    assert!(scene.wrong(&scene.items, scene.full.id, &trusted).is_none());
}

#[test]
fn a_restore_that_fails_at_every_item_goes_on_each_time() {
    let scene = Scene::new(24);
    let target = tempfile::tempdir().unwrap();
    let options = RestoreOptions { parallel: 1, ..restore_options(target.path(), scene.chain.expected()) };
    let (mut attempts, mut fetched) = (0, Vec::new());
    let store = loop {
        attempts += 1;
        // Both manifests, one item, and no more.
        let fault = |count, _, bytes| if count <= 3 { Ok(bytes) } else { Err("connection lost".into()) };
        let source = Faulty::new(&scene.items, fault);
        let result = restore(&source, scene.diff.id, &options, &|_| {});
        fetched.extend(source.served.into_inner().into_iter().skip(2).take(1));
        match result {
            Ok(store) => break store,
            Err(CheckpointError::Source { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        assert_eq!(assert_half_restored(target.path()), scene.diff.sha256);
        let other = restore(&scene.items, scene.full.id, &options, &|_| {}).unwrap_err();
        assert!(
            matches!(other, CheckpointError::Storage(StorageError::OtherRestore { found, .. }) if found == scene.diff.sha256),
            "{other}"
        );
    };
    let items = scene.full.manifest.entries.len() + scene.diff.manifest.entries.len();
    assert_eq!((attempts, fetched.len()), (items, items), "no item is fetched twice");
    assert_same(&scene.chain, &store, 14);
}

#[test]
fn damage_on_the_way_is_mended_by_the_next_attempt() {
    let scene = Scene::new(25);
    let target = tempfile::tempdir().unwrap();
    let options = restore_options(target.path(), scene.chain.expected());
    let lying = |count: usize, _, bytes: Bytes| match count {
        10 => Ok(bytes.slice(1..)),
        _ => Ok(bytes),
    };
    restore(&Faulty::new(&scene.items, lying), scene.diff.id, &options, &|_| {}).unwrap_err();
    let store = restore(&scene.items, scene.diff.id, &options, &|_| {}).unwrap();
    assert_same(&scene.chain, &store, 14);
}

/// Not a test of its own: the process that [`a_restore_that_is_killed_goes_on`] kills. Says each step.
#[test]
#[ignore = "runs as a child of another test"]
fn child_that_restores_until_it_is_killed() {
    use std::io::Write;
    let Ok(folder) = std::env::var("WEFT_TEST_RESTORE") else { return };
    let id = ItemId(std::env::var("WEFT_TEST_MANIFEST").unwrap().parse().unwrap());
    let genesis = std::env::var("WEFT_TEST_GENESIS").unwrap().parse().unwrap();
    let items = ItemFolder::open(Path::new(&folder).join("items")).unwrap();
    let chain = weft_archive::checkpoint::Chain { id: CHAIN_ID, genesis };
    let options = RestoreOptions {
        parallel: 2,
        ..restore_options(&Path::new(&folder).join("db"), Expected { chain, trust_block: None })
    };
    let told = |_: &_| {
        let mut out = std::io::stdout();
        writeln!(out, "\nstep").unwrap();
        out.flush().unwrap();
        // The parent kills or answers; so the step at which it dies is the one that it said.
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).unwrap();
    };
    restore(&items, id, &options, &told).unwrap();
    println!("\nrestored");
}

#[test]
fn a_restore_that_is_killed_goes_on() {
    use std::io::{BufRead, BufReader, Write};
    let mut chain = TestChain::new(26);
    chain.grow(12);
    let folder = tempfile::tempdir().unwrap();
    let mut items = ItemFolder::create(folder.path().join("items")).unwrap();
    let full = chain.checkpoint(8, Kind::Full, None, &mut items);
    let diff = chain.checkpoint(12, Kind::Diff, Some(full.as_parent()), &mut items);
    let (mut killed, mut restored) = (0, false);
    while !restored {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_restores_until_it_is_killed", "--ignored", "--nocapture"])
            .env("WEFT_TEST_RESTORE", folder.path())
            .env("WEFT_TEST_MANIFEST", diff.id.to_string())
            .env("WEFT_TEST_GENESIS", chain.genesis.hash().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // Steps that are done are told once more each, and every new one twice: each round gets a little further.
        let (mut steps, allowed) = (0, 3 + killed * 4);
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            match line.as_deref() {
                Ok("step") if steps == allowed => child.kill().unwrap(),
                Ok("step") => {
                    steps += 1;
                    // Gone only if it was killed.
                    let _ = writeln!(stdin);
                }
                Ok("restored") => restored = true,
                _ => {}
            }
        }
        child.wait().unwrap();
        if !restored {
            killed += 1;
            assert!(killed < 200, "the restore does not come to an end");
            assert_eq!(assert_half_restored(&folder.path().join("db")), diff.sha256);
        }
    }
    assert!(killed > 5, "killed {killed} times only");
    let store = common::open(&folder.path().join("db"));
    assert_same(&chain, &store, 12);
}
