//! Filling a database in steps, and the whole state of a block below the head.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use alloy_eips::BlockNumHash;
use alloy_primitives::{B256, U256};
use common::*;
use std::collections::BTreeMap;
use weft_storage::{BulkLoad, SortOptions, StageId, StorageError, Store, StoreOptions, Table};

const TARGET: B256 = B256::repeat_byte(7);
const STAGE: StageId = StageId("Stage");

fn load(path: &std::path::Path) -> Result<BulkLoad, StorageError> {
    BulkLoad::open(path, options(), TARGET)
}

fn fill(load: &BulkLoad) {
    let mut addresses: Vec<_> = (0..9).map(|n| (hashed(n), account(n + 1))).collect();
    addresses.sort_unstable_by_key(|(address, _)| *address);
    let mut writer = load.writer();
    for (address, account) in &addresses {
        writer.account(*address, Some(account)).unwrap();
    }
    writer.finish().unwrap();
    let mut headers = load.writer();
    headers.header(&genesis_header()).unwrap();
    headers.finish().unwrap();
    let mut numbers = load.writer();
    numbers.header_number(genesis_header().hash(), 0).unwrap();
    numbers.finish().unwrap();
}

#[test]
fn nothing_is_a_database_before_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let bulk = load(folder.path()).unwrap();
    fill(&bulk);
    bulk.note_done(0, 3).unwrap();
    bulk.note_done(1, 0).unwrap();
    assert!(matches!(load(folder.path()), Err(StorageError::Locked { .. })));
    drop(bulk);
    for read_only in [true, false] {
        let error = Store::open(folder.path(), StoreOptions { read_only, ..options() }).unwrap_err();
        assert!(matches!(error, StorageError::HalfRestored { target: TARGET, .. }), "{error}");
    }
    let other = BulkLoad::open(folder.path(), options(), B256::ZERO).unwrap_err();
    assert!(matches!(other, StorageError::OtherRestore { found: TARGET, wanted: B256::ZERO, .. }), "{other}");

    let bulk = load(folder.path()).unwrap();
    assert_eq!(bulk.done().unwrap().into_iter().collect::<Vec<_>>(), [(0, 3), (1, 0)]);
    assert_eq!(bulk.view().all_accounts().count(), 9);
    // Done again, and one of them changed and one deleted.
    fill(&bulk);
    let mut changes: BTreeMap<_, _> = BTreeMap::from([(hashed(3), None), (hashed(4), Some(account(99)))]);
    let mut writer = bulk.writer();
    while let Some((address, account)) = changes.pop_first() {
        writer.account(address, account.as_ref()).unwrap();
    }
    writer.finish().unwrap();
    let head = genesis_header().num_hash();
    let store = bulk.finish(head, &[STAGE]).unwrap();
    for _ in 0..2 {
        let view = store.view();
        assert_eq!((view.head().unwrap(), view.base().unwrap()), (head, Some(head)));
        assert_eq!(view.stage_checkpoint(STAGE).unwrap(), Some(head));
        let state = view.state_at(0).unwrap();
        assert_eq!(state.account(hashed(3)).unwrap(), None);
        assert_eq!(state.account(hashed(4)).unwrap(), Some(account(99)));
        assert_eq!(view.all_accounts().count(), 8);
    }
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.view().head().unwrap(), head);
    assert_eq!(store.get(Table::Meta, b"restore").unwrap(), None);
    assert_eq!(store.get(Table::Meta, b"restore/\0\0\0\0\0\0\0\x03").unwrap(), None);
    assert!(!folder.path().join("restore").exists());
    drop(store);
    assert!(matches!(load(folder.path()), Err(StorageError::NotEmpty(_))));
}

#[test]
fn a_file_that_was_not_taken_in_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let bulk = load(folder.path()).unwrap();
    let mut writer = bulk.writer();
    writer.account(hashed(1), Some(&account(1))).unwrap();
    let mixed = writer.slot(hashed(1), slot(1), U256::from(1)).unwrap_err();
    assert!(matches!(mixed, StorageError::MixedTables { .. }), "{mixed}");
    drop(writer);
    assert_eq!(bulk.view().all_accounts().count(), 0);
    drop(bulk);
    let bulk = load(folder.path()).unwrap();
    assert_eq!(std::fs::read_dir(folder.path().join("restore")).unwrap().count(), 0);
    // Keys out of order are an error, not a table out of order.
    let mut keys = [hashed(1), hashed(2)];
    keys.sort_unstable();
    let mut writer = bulk.writer();
    writer.account(keys[1], Some(&account(1))).unwrap();
    assert!(writer.account(keys[0], Some(&account(1))).is_err());
    drop(writer);
    let missing = bulk.finish(BlockNumHash::default(), &[]).unwrap_err();
    assert!(matches!(missing, StorageError::MissingBlock(0)), "{missing}");
}

#[test]
fn the_state_of_any_block_is_scanned_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    commit_genesis(&store, &Default::default());
    let mut parent = genesis_header();
    // What each block leaves, kept by hand.
    let mut accounts = BTreeMap::new();
    let mut slots = BTreeMap::new();
    let mut states = vec![(accounts.clone(), slots.clone())];
    for n in 1..=20u64 {
        let mut next = block(&parent, n, vec![]);
        for at in [n % 7, 7 + n % 5] {
            let gone = n % 4 == 0;
            set_account(&mut next.state, at, (!gone).then(|| account(n)));
            match gone {
                true => drop(accounts.remove(&hashed(at))),
                false => drop(accounts.insert(hashed(at), account(n))),
            }
            let value = if n % 3 == 0 { 0 } else { n };
            if !gone {
                set_slot(&mut next, at, n % 2, value);
                accounts.get_mut(&hashed(at)).unwrap().storage_root = root(value).root;
                match value {
                    0 => drop(slots.remove(&(hashed(at), slot(n % 2)))),
                    _ => drop(slots.insert((hashed(at), slot(n % 2)), U256::from(value))),
                }
            }
        }
        next.commit(&store).unwrap();
        parent = next.block.header.clone();
        states.push((accounts.clone(), slots.clone()));
    }
    let sort = SortOptions { buffer_bytes: 200, ..SortOptions::in_folder(folder.path()) };
    let view = store.view();
    for (number, (accounts, slots)) in (0u64..).zip(&states) {
        let changed = view.changed_keys(number + 1..=20, &sort).unwrap();
        let scanned: BTreeMap<_, _> =
            view.accounts_at(number, changed.accounts).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(&scanned, accounts, "accounts after block {number}");
        let scanned: Vec<_> =
            view.slots_at(number, changed.slots).unwrap().collect::<Result<_, _>>().unwrap();
        let expected: Vec<_> =
            slots.iter().map(|((address, slot), value)| (*address, *slot, *value)).collect();
        assert_eq!(scanned, expected, "slots after block {number}");
    }
    let error = view.changed_keys(5..=21, &sort).unwrap_err();
    assert!(matches!(error, StorageError::MissingBlock(21)), "{error}");
}
