//! What goes wrong around the database: a second opener, another version, damaged records and
//! files, a full disk, a death in the middle of a write.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use alloy_consensus::{TxReceipt, proofs::calculate_receipt_root};
use alloy_primitives::{B256, U256};
use common::*;
use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use weft_primitives::{Header, SealedHeader};
use weft_storage::{SCHEMA_VERSION, StorageError, Store, StoreOptions, Table, TxPosition};

fn chain(store: &Store, blocks: u64, transaction_bytes: usize) -> TestBlock {
    commit_genesis(store, &Default::default());
    let mut parent = genesis_header();
    let mut last = None;
    for n in 0..blocks {
        let mut block = block(&parent, 1, vec![transaction(n, noise(n, transaction_bytes))]);
        set_account(&mut block.state, n % 3, Some(account(n)));
        block.commit(store).unwrap();
        parent = block.block.header.clone();
        last = Some(block);
    }
    last.unwrap()
}

fn read_only() -> StoreOptions {
    StoreOptions { read_only: true, ..options() }
}

#[test]
fn a_second_opener_is_told_who_has_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let error = Store::open(folder.path(), options()).unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, StorageError::Locked { pid: Some(pid), .. } if pid == std::process::id()),
        "{text}"
    );
    assert!(text.contains(folder.path().to_str().unwrap()), "{text}");
    drop(store);
    open(folder.path());
}

#[test]
fn a_clone_keeps_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let clone = store.clone();
    drop(store);
    assert!(matches!(Store::open(folder.path(), options()), Err(StorageError::Locked { .. })));
    assert!(clone.view().is_empty().unwrap());
}

#[test]
fn another_schema_is_refused_before_anything_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    chain(&open(folder.path()), 1, 10);
    let file = folder.path().join("weft.schema");
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), SCHEMA_VERSION.to_string());
    for (content, version) in [("999\n", 999), ("nonsense", 0), ("", 0)] {
        std::fs::write(&file, content).unwrap();
        for options in [options(), read_only()] {
            let error = Store::open(folder.path(), options).unwrap_err();
            assert!(
                matches!(error, StorageError::Schema { found, expected: SCHEMA_VERSION, .. } if found == version),
                "{error}"
            );
        }
    }
    // A database without a version is not ours, or was half copied.
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(Store::open(folder.path(), options()), Err(StorageError::Schema { found: 0, .. })));
    std::fs::write(&file, SCHEMA_VERSION.to_string()).unwrap();
    assert_eq!(open(folder.path()).view().head().unwrap().number, 1);
}

#[test]
fn a_reader_opens_beside_the_writer_and_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let last = chain(&store, 3, 6000);
    let reader = Store::open(folder.path(), read_only()).unwrap();
    assert_eq!(reader.view().head().unwrap(), last.block.num_hash());
    assert_eq!(reader.view().block(3).unwrap().unwrap(), last.block.to_block());
    assert_eq!(reader.stats().unwrap().len(), Table::ALL.len());
    let next = block(&last.block.header, 1, vec![]);
    assert!(matches!(next.commit(&reader), Err(StorageError::ReadOnly)));
    assert!(matches!(reader.set_forkchoice(None, None), Err(StorageError::ReadOnly)));
    next.commit(&store).unwrap();
    assert_eq!(reader.view().head().unwrap().number, 3, "a reader sees the moment of opening");

    let nothing = tempfile::tempdir().unwrap();
    let error = Store::open(&nothing.path().join("none"), read_only()).unwrap_err();
    assert!(
        matches!(&error, StorageError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound),
        "{error}"
    );
    assert!(!nothing.path().join("none").exists());
}

/// Puts bytes where storage would never put them.
fn overwrite(folder: &Path, table: Table, key: &[u8], value: &[u8]) {
    let names = Table::ALL.map(Table::name);
    let mut options = rocksdb::Options::default();
    options.create_missing_column_families(true);
    let descriptors = names.map(|name| {
        let mut options = rocksdb::Options::default();
        match name {
            "hashed_storage" | "storage_trie" | "account_history" => {
                options.set_prefix_extractor(rocksdb::SliceTransform::create_fixed_prefix(32));
            }
            "storage_history" => {
                options.set_prefix_extractor(rocksdb::SliceTransform::create_fixed_prefix(64))
            }
            _ => {}
        }
        rocksdb::ColumnFamilyDescriptor::new(name, options)
    });
    let db = rocksdb::DB::open_cf_descriptors(&options, folder, descriptors).unwrap();
    db.put_cf(db.cf_handle(table.name()).unwrap(), key, value).unwrap();
}

#[test]
fn a_damaged_record_is_an_error_that_names_it() {
    let number = 2u64.to_be_bytes();
    let position = [number.as_slice(), &[0; 4]].concat();
    let account_key = hashed(1);
    let history = [account_key.as_slice(), &2u64.to_be_bytes()].concat();
    let records: [(Table, &[u8]); 9] = [
        (Table::Headers, &number),
        (Table::BodyMeta, &number),
        (Table::Senders, &number),
        (Table::Receipts, &number),
        (Table::Transactions, &position),
        (Table::ChangeSets, &number),
        (Table::HashedAccounts, account_key.as_slice()),
        (Table::AccountHistory, &history),
        (Table::Meta, b"safe"),
    ];
    for (table, key) in records {
        let folder = tempfile::tempdir().unwrap();
        chain(&open(folder.path()), 3, 100);
        overwrite(folder.path(), table, key, &[0xee; 21]);
        let store = open(folder.path());
        let view = store.view();
        let result = match table {
            Table::Headers => view.header(2).map(drop),
            Table::BodyMeta => view.body_meta(2).map(drop),
            Table::Senders => view.senders(2).map(drop),
            Table::Receipts => view.receipts(2).map(drop),
            Table::Transactions => view.block(2).map(drop),
            Table::ChangeSets => view.revert_state(0).map(drop),
            Table::HashedAccounts => view.state_at(3).unwrap().account(account_key).map(drop),
            Table::AccountHistory => view.state_at(1).unwrap().account(account_key).map(drop),
            _ => view.safe().map(drop),
        };
        match result {
            Err(StorageError::Corrupt { table: name, key: at, .. }) => {
                assert_eq!((name, at), (table.name(), alloy_primitives::hex::encode_prefixed(key)));
            }
            other => panic!("{}: {other:?}", table.name()),
        }
        match (table, store.verify_chain(0..=9)) {
            // Not a part of any block: trie verification and every read of the account meet it.
            (Table::HashedAccounts, Ok(report)) => assert!(report.is_clean()),
            (Table::Meta, Err(StorageError::Corrupt { .. })) => {}
            (_, Ok(report)) => assert!(!report.is_clean(), "{}", table.name()),
            (_, Err(error)) => panic!("{}: {error}", table.name()),
        }
    }
}

#[test]
fn verification_finds_what_decodes_and_is_wrong() {
    let cases: [(&str, Table, Vec<u8>, Vec<u8>); 5] = [
        ("is looked up at", Table::TxLookup, transaction(1, noise(1, 100)).hash().to_vec(), vec![0; 12]),
        ("leads to number", Table::HeaderNumbers, Vec::new(), 7u64.to_be_bytes().to_vec()),
        ("signed by", Table::Senders, 2u64.to_be_bytes().to_vec(), {
            let mut bytes = transaction(1, noise(1, 100)).hash().to_vec();
            bytes.extend_from_slice(&[9; 20]);
            bytes
        }),
        (
            "transactions are not those",
            Table::Transactions,
            [2u64.to_be_bytes().as_slice(), &[0; 4]].concat(),
            transaction(7, noise(1, 100)).encoded.to_vec(),
        ),
        ("receipts add up to", Table::Receipts, 2u64.to_be_bytes().to_vec(), vec![1, 0x80, 5, 0]),
    ];
    for (words, table, mut key, value) in cases {
        let folder = tempfile::tempdir().unwrap();
        let hash = {
            let store = open(folder.path());
            chain(&store, 3, 100);
            assert!(store.verify_chain(0..=9).unwrap().is_clean());
            store.view().canonical_hash(2).unwrap().unwrap()
        };
        if key.is_empty() {
            key = hash.to_vec();
        }
        overwrite(folder.path(), table, &key, &value);
        let report = open(folder.path()).verify_chain(0..=9).unwrap();
        let found = report.problems.iter().any(|problem| problem.block == 2 && problem.what.contains(words));
        assert!(found, "{words}: {:?}", report.problems);
    }
}

/// Before Byzantium receipts hold state roots, and blocks have a difficulty.
#[test]
fn verification_knows_receipts_of_every_fork() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    commit_genesis(&store, &Default::default());
    let mut one = block(&genesis_header(), 0, vec![transaction(0, noise(0, 10))]);
    one.receipts[0].outcome = B256::repeat_byte(7).into();
    let blooms: Vec<_> = one.receipts.iter().map(TxReceipt::with_bloom_ref).collect();
    let header = Header {
        difficulty: U256::from(131_072),
        receipts_root: calculate_receipt_root(&blooms),
        ..one.block.header.header().clone()
    };
    one.block.header = SealedHeader::seal_slow(header);
    one.commit(&store).unwrap();
    assert!(store.verify_chain(0..=1).unwrap().is_clean());
    drop(store);
    one.receipts[0].outcome = B256::repeat_byte(8).into();
    let record = [&[1, 0x40][..], &[8; 32], &[0x88, 0xa4, 0x01, 0]].concat();
    overwrite(folder.path(), Table::Receipts, &1u64.to_be_bytes(), &record);
    let store = open(folder.path());
    assert_eq!(store.view().receipts(1).unwrap(), Some(one.receipts));
    let report = store.verify_chain(0..=1).unwrap();
    assert_eq!(report.problem_count, 1, "{:?}", report.problems);
    assert!(report.problems[0].what.contains("receipts are not those of the header"));
}

#[test]
fn a_damaged_file_is_reported_as_such() {
    let folder = tempfile::tempdir().unwrap();
    chain(&open(folder.path()), 1, 100);
    let manifest = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("MANIFEST"))
        .unwrap();
    std::fs::write(&manifest, b"not a manifest").unwrap();
    let error = Store::open(folder.path(), options()).unwrap_err();
    assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains(folder.path().to_str().unwrap()), "{error}");
}

#[test]
fn the_reserve_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let last = chain(&open(folder.path()), 1, 10);
    let store =
        Store::open(folder.path(), StoreOptions { disk_reserve_bytes: 1 << 60, ..options() }).unwrap();
    let next = block(&last.block.header, 1, vec![transaction(1, noise(1, 10))]);
    let error = next.commit(&store).unwrap_err();
    assert!(
        matches!(error, StorageError::DiskFull { needed_bytes, .. } if needed_bytes > 1 << 60),
        "{error}"
    );
    assert_eq!(store.view().head().unwrap(), last.block.num_hash());
    assert!(store.view().transaction(TxPosition { block: 2, index: 0 }).unwrap().is_none());
    drop(store);
    next.commit(&open(folder.path())).unwrap();
}

/// A small file system of its own; `None` where this may not mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(mebibytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(folder)),
            _ => {
                eprintln!("skipped: a tmpfs cannot be mounted here");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

/// Fills the disk through both ways of writing; every acknowledged block stays, none of the refused
/// is seen, and writing goes on by itself once there is room: RocksDB looks every five seconds
/// whether twice its largest memtable, 64 MiB, is free.
#[test]
fn a_full_disk_loses_nothing_and_recovers() {
    for unlogged_bytes_min in [0, usize::MAX] {
        let Some(disk) = SmallDisk::new(192) else { return };
        let ballast = disk.0.path().join("ballast");
        std::fs::write(&ballast, vec![1; 144 << 20]).unwrap();
        let folder = disk.0.path().join("db");
        let options = StoreOptions { unlogged_bytes_min, ..options() };
        let store = Store::open(&folder, options.clone()).unwrap();
        commit_genesis(&store, &Default::default());
        let mut parent = genesis_header();
        let mut number = 0;
        let refused = loop {
            assert!(number < 100, "the disk never fills");
            let next = block(&parent, 1, vec![transaction(number, noise(number, 1 << 20))]);
            match next.commit(&store) {
                Ok(()) => (parent, number) = (next.block.header, number + 1),
                Err(StorageError::DiskFull { .. }) => break next,
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(store.view().head().unwrap(), parent.num_hash());
        for at in 1..=number {
            assert!(store.view().block(at).unwrap().is_some());
        }
        std::fs::remove_file(&ballast).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while let Err(error) = refused.commit(&store) {
            assert!(matches!(error, StorageError::DiskFull { .. }), "{error}");
            assert!(Instant::now() < deadline, "does not recover: {error}");
            std::thread::sleep(Duration::from_millis(100));
        }
        drop(store);
        let store = Store::open(&folder, options).unwrap();
        assert_eq!(store.view().head().unwrap(), refused.block.num_hash());
        let report = store.verify_chain(0..=u64::MAX).unwrap();
        assert!(report.is_clean(), "{:?}", report.problems);
        assert_eq!(report.blocks, number + 2);
    }
}

/// Not a test of its own: the process that [`killed_at_any_moment_the_chain_is_whole`] kills.
#[test]
#[ignore = "runs as a child of another test"]
fn child_that_commits_until_it_is_killed() {
    use std::io::Write;
    let Ok(folder) = std::env::var("WEFT_TEST_KILLED_FOLDER") else { return };
    let options = StoreOptions { unlogged_bytes_min: 200_000, ..options() };
    let store = Store::open(Path::new(&folder), options).unwrap();
    if store.view().is_empty().unwrap() {
        commit_genesis(&store, &Default::default());
    }
    let head = store.view().head().unwrap().number;
    let mut parent = store.view().header(head).unwrap().unwrap();
    let mut out = std::io::stdout();
    for n in head.. {
        // Every third block is large enough to go past the log.
        let length = if n % 3 == 0 { 300_000 } else { 3000 };
        let mut next = block(
            &parent,
            n,
            vec![transaction(n, noise(n, length)), transaction(n + 1_000_000, noise(n, 10))],
        );
        set_account(&mut next.state, n % 5, Some(account(n)));
        next.commit(&store).unwrap();
        parent = next.block.header;
        writeln!(out, "committed {}", parent.number).unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn killed_at_any_moment_the_chain_is_whole() {
    use std::{
        io::{BufRead, BufReader},
        process::Stdio,
    };
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 1..=6u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_commits_until_it_is_killed", "--ignored", "--nocapture"])
            .env("WEFT_TEST_KILLED_FOLDER", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        for line in lines {
            let Ok(line) = line else { break };
            // The harness may put its own words before the first of ours.
            let Some((_, number)) = line.rsplit_once("committed ") else { continue };
            acknowledged = number.parse().unwrap();
            seen += 1;
            if seen == 5 + round * 3 {
                // The child is in the middle of the next blocks by now.
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(seen >= 5 + round * 3, "the child ended by itself");
        let store = open(folder.path());
        let head = store.view().head().unwrap().number;
        assert!(head >= acknowledged, "block {acknowledged} was acknowledged, the head is {head}");
        let report = store.verify_chain(0..=u64::MAX).unwrap();
        assert!(report.is_clean(), "{:?}", report.problems);
        assert_eq!(report.blocks, head + 1);
    }
}
