//! `verify_tries` finds every kind of damage, and says where.

use super::memory::MemoryState;
use crate::verify::{Difference, TriePath, verify_tries};
use alloy_primitives::{B256, U256, keccak256};
use weft_primitives::{HashedPostState, StoredAccount};

const CONTRACT: B256 = B256::repeat_byte(0x77);

fn state() -> MemoryState {
    let mut overlay = HashedPostState::default();
    overlay.accounts.insert(CONTRACT, Some(StoredAccount::default()));
    for index in 0u64..6000 {
        let key = keccak256(index.to_be_bytes());
        overlay.accounts.insert(key, Some(StoredAccount { nonce: index, ..Default::default() }));
        overlay.storages.entry(CONTRACT).or_default().slots.insert(key, U256::from(index + 1));
    }
    let mut state = MemoryState::default();
    state.commit(&overlay);
    assert!(verify_tries(&state).unwrap().is_clean());
    state
}

fn differences(state: &MemoryState) -> Vec<Difference> {
    verify_tries(state).unwrap().differences
}

#[test]
fn missing_extra_and_wrong_nodes_at_every_depth() {
    let clean = state();
    for depth in 0..4 {
        let account_path = *clean.account_nodes.keys().rfind(|path| path.len() == depth).unwrap();
        let slot_path = *clean.slot_nodes[&CONTRACT].keys().find(|path| path.len() == depth).unwrap();
        let at_account = TriePath { hashed_address: None, path: account_path };
        let at_slot = TriePath { hashed_address: Some(CONTRACT), path: slot_path };

        let mut state = clean.clone();
        state.account_nodes.remove(&account_path);
        let storage_nodes = state.slot_nodes.get_mut(&CONTRACT).unwrap();
        storage_nodes.get_mut(&slot_path).unwrap().root_hash = Some(B256::ZERO);
        assert_eq!(
            differences(&state),
            [Difference::WrongNode(at_slot), Difference::MissingNode(at_account)]
        );
    }
    let mut state = clean.clone();
    let node = state.account_nodes.values().next().unwrap().clone();
    let path = nybbles::Nibbles::from_nibbles([1, 2, 3, 4, 5, 6, 7, 8]);
    state.account_nodes.insert(path, node.clone());
    let absent = B256::repeat_byte(0x10);
    state.slot_nodes.entry(absent).or_default().insert(path, node);
    let found = differences(&state);
    assert!(found.contains(&Difference::ExtraNode(TriePath { hashed_address: None, path })));
    assert!(found.contains(&Difference::ExtraNode(TriePath { hashed_address: Some(absent), path })));
    assert_eq!(found.len(), 2);
}

#[test]
fn a_changed_leaf_shows_as_nodes_root_and_storage_root() {
    let mut state = state();
    let slots = state.slots.get_mut(&CONTRACT).unwrap();
    *slots.values_mut().next().unwrap() += U256::ONE;
    let stored = state.accounts[&CONTRACT].storage_root;
    let report = verify_tries(&state).unwrap();
    let is_storage_root = |difference: &Difference| matches!(difference, Difference::StorageRoot { hashed_address: CONTRACT, stored: found, .. } if *found == stored);
    assert!(report.differences.iter().any(is_storage_root));
    assert!(
        report
            .differences
            .iter()
            .any(|difference| matches!(difference, Difference::WrongNode(place) if place.path.is_empty()))
    );
}

#[test]
fn slots_without_an_account_are_reported_once_each_account() {
    let mut state = state();
    let (before, after) = (B256::ZERO, B256::repeat_byte(0xff));
    let slots = state.slots[&CONTRACT].clone();
    state.slots.insert(before, slots.clone());
    state.slots.insert(after, slots);
    let expected = [before, after].map(|hashed_address| Difference::OrphanSlots { hashed_address });
    assert_eq!(differences(&state), expected);
}

#[test]
fn the_report_is_bounded_and_still_counts() {
    let mut state = state();
    for node in
        state.account_nodes.values_mut().chain(state.slot_nodes.get_mut(&CONTRACT).unwrap().values_mut())
    {
        node.root_hash = Some(B256::ZERO);
    }
    let nodes = state.account_nodes.len() + state.slot_nodes[&CONTRACT].len();
    let report = verify_tries(&state).unwrap();
    assert_eq!(report.differences.len() + report.further_differences as usize, nodes);
    assert!(!report.is_clean());
}
