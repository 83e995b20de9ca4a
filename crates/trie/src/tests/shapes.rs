//! Particular shapes of tries, each the one where an implementation is likely to be wrong.

use super::{
    memory::MemoryState,
    oracle::{check, check_proof},
};
use crate::{TrieError, state_root::state_root_of};
use alloy_primitives::{B256, U256, hex, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use nybbles::Nibbles;
use weft_primitives::{HashedPostState, HashedStorage, StoredAccount};

const ACCOUNT: B256 = B256::repeat_byte(0x5a);

/// A key that begins with the given nibbles (hex), then zeros.
fn key(nibbles: &str) -> B256 {
    B256::from_slice(&hex::decode(format!("{nibbles:0<64}")).unwrap())
}

/// Slots of one account; a zero value removes.
fn slots(slots: &[(&str, u64)]) -> HashedPostState {
    let mut overlay = HashedPostState::default();
    overlay.accounts.insert(ACCOUNT, Some(StoredAccount { nonce: 1, ..Default::default() }));
    let storage = overlay.storages.entry(ACCOUNT).or_default();
    storage.slots.extend(slots.iter().map(|(nibbles, value)| (key(nibbles), U256::from(*value))));
    overlay
}

/// Applies the steps, checking the state and some proofs after each, and returns the paths of stored nodes.
fn run(steps: &[HashedPostState]) -> (MemoryState, Vec<Nibbles>) {
    let mut state = MemoryState::default();
    for overlay in steps {
        let before = state.clone();
        let (root, _) = state.commit(overlay);
        check(&state, root);
        let asked = ["", "1", "11", "12", "2", "111", "1112", "f"].map(key);
        check_proof(&before, overlay, &state, ACCOUNT, &asked);
        check_proof(&before, overlay, &state, key("5"), &asked);
    }
    let paths =
        state.slot_nodes.get(&ACCOUNT).map(|nodes| nodes.keys().copied().collect()).unwrap_or_default();
    (state, paths)
}

fn path(nibbles: &[u8]) -> Nibbles {
    Nibbles::from_nibbles(nibbles)
}

#[test]
fn an_empty_state_has_the_empty_root_and_empty_proofs() {
    let empty = MemoryState::default();
    let (root, updates) = state_root_of(&empty, &HashedPostState::default()).unwrap();
    assert_eq!((root, updates), (EMPTY_ROOT_HASH, Default::default()));
    check_proof(&empty, &HashedPostState::default(), &empty, ACCOUNT, &[key("1")]);
}

#[test]
fn a_single_leaf_is_the_whole_trie_and_can_go_again() {
    let (state, paths) = run(&[slots(&[("1", 1)]), slots(&[("1", 0)])]);
    assert!(paths.is_empty());
    assert_eq!(state.accounts[&ACCOUNT].storage_root, EMPTY_ROOT_HASH);
}

#[test]
fn a_branch_over_leaves_is_not_stored() {
    let (_, paths) = run(&[slots(&[("11", 1), ("12", 1), ("2", 1)])]);
    assert_eq!(paths, [path(&[])], "the root has the hashed branch 1 below it, 1 has only leaves");
}

#[test]
fn a_branch_that_loses_all_but_one_child_collapses() {
    // Into a leaf: the root stays a branch but has no branch below any more.
    let (_, paths) = run(&[slots(&[("11", 1), ("12", 1), ("2", 1)]), slots(&[("11", 0)])]);
    assert!(paths.is_empty());
    // Into an extension over a branch that nothing touched.
    let deep = slots(&[("1111", 1), ("1112", 1), ("1121", 1), ("1122", 1), ("12", 1), ("2", 1)]);
    let (_, paths) = run(&[deep.clone(), slots(&[("12", 0)])]);
    assert_eq!(paths, [path(&[]), path(&[1, 1])]);
    // The root itself.
    let (_, paths) = run(&[deep, slots(&[("12", 0), ("2", 0)])]);
    assert_eq!(paths, [path(&[1, 1])]);
}

#[test]
fn a_root_that_was_an_extension_is_split_on_either_side() {
    let below = slots(&[("1111", 1), ("1112", 1), ("1121", 1), ("1122", 1)]);
    let (_, paths) = run(&[below.clone(), slots(&[("0", 1)])]);
    assert_eq!(paths, [path(&[]), path(&[1, 1])]);
    let (_, paths) = run(&[below.clone(), slots(&[("13", 1), ("14", 1), ("f", 1)])]);
    assert_eq!(paths, [path(&[]), path(&[1]), path(&[1, 1])]);
    // Split and removed below in one block, so that only the new leaf is left.
    let all_new = slots(&[("0", 1), ("1111", 0), ("1112", 0), ("1121", 0), ("1122", 0)]);
    let (_, paths) = run(&[below, all_new]);
    assert!(paths.is_empty());
}

#[test]
fn nodes_shorter_than_a_hash_lie_inside_their_parents() {
    let near_bottom = |last: &str| format!("{}{last}", "1".repeat(60));
    let keys = ["1111", "1112", "1121", "2222", "2223"].map(near_bottom);
    let all: Vec<_> = keys.iter().map(|key| (key.as_str(), 1)).collect();
    let (_, paths) = run(&[slots(&all), slots(&all[..2]), slots(&[(keys[0].as_str(), 0)])]);
    assert!(paths.is_empty(), "branches of a few bytes have no hash");
    // The same with values that fill a node, one after another.
    let mut steps = vec![slots(&all)];
    for key in &keys {
        let mut step = slots(&[(key, 1)]);
        step.storages.get_mut(&ACCOUNT).unwrap().slots.values_mut().for_each(|value| *value = U256::MAX);
        steps.push(step);
    }
    steps.extend(keys.iter().map(|key| slots(&[(key, 0)])));
    run(&steps);
}

#[test]
fn wiped_storage_starts_from_nothing() {
    let full = slots(&[("1111", 1), ("1112", 1), ("1121", 1), ("1122", 1), ("12", 1), ("2", 1)]);
    let mut refilled = slots(&[("1111", 9), ("3", 1), ("31", 1)]);
    refilled.storages.get_mut(&ACCOUNT).unwrap().wiped = true;
    let (state, _) = run(&[full.clone(), refilled]);
    assert_eq!(state.slots[&ACCOUNT].len(), 3);
    let mut emptied = slots(&[]);
    emptied.storages.get_mut(&ACCOUNT).unwrap().wiped = true;
    let (state, paths) = run(&[full, emptied]);
    assert!(paths.is_empty());
    assert_eq!(state.accounts[&ACCOUNT].storage_root, EMPTY_ROOT_HASH);
}

#[test]
fn an_account_that_vanishes_takes_its_storage_nodes_along() {
    let full = slots(&[("1111", 1), ("1112", 1), ("1121", 1), ("1122", 1), ("12", 1), ("2", 1)]);
    let mut gone = HashedPostState::default();
    gone.accounts.insert(ACCOUNT, None);
    let (state, _) = run(&[full.clone(), gone.clone()]);
    assert_eq!(state, MemoryState::default());
    // Also when the overlay says so explicitly, and with leftover slots.
    gone.storages.insert(ACCOUNT, HashedStorage { wiped: true, ..Default::default() });
    let (state, _) = run(&[full.clone(), gone.clone()]);
    assert_eq!(state, MemoryState::default());
    gone.storages.insert(
        ACCOUNT,
        HashedStorage { wiped: false, slots: [(key("12"), U256::ZERO)].into_iter().collect() },
    );
    let (state, _) = run(&[full, gone]);
    assert_eq!(state, MemoryState::default());
}

#[test]
fn unchanged_storage_keeps_the_root_of_the_record() {
    let mut renamed = HashedPostState::default();
    renamed.accounts.insert(ACCOUNT, Some(StoredAccount { nonce: 9, ..Default::default() }));
    let (state, _) = run(&[slots(&[("1", 1), ("2", 1)]), renamed]);
    assert_ne!(state.accounts[&ACCOUNT].storage_root, EMPTY_ROOT_HASH);
    assert_eq!(state.accounts[&ACCOUNT].nonce, 9);
}

#[test]
fn writing_the_value_that_is_there_updates_nothing() {
    let full = slots(&[("1111", 1), ("1112", 1), ("1121", 1), ("1122", 1), ("12", 1), ("2", 1)]);
    let (state, _) = run(std::slice::from_ref(&full));
    let (root, updates) = state_root_of(&state, &full).unwrap();
    assert!(updates.account_nodes.is_empty());
    assert!(updates.storages[&ACCOUNT].nodes.is_empty());
    check(&state, root);
}

#[test]
fn storage_without_its_account_is_refused() {
    let mut overlay = slots(&[("1", 1)]);
    overlay.accounts.clear();
    let refused = state_root_of(&MemoryState::default(), &overlay);
    assert!(matches!(refused, Err(TrieError::StorageWithoutAccount { hashed_address: ACCOUNT })));
}

#[test]
fn a_lost_node_is_an_error_and_not_a_wrong_root() {
    let mut overlay = HashedPostState::default();
    for index in 0u64..5000 {
        overlay.accounts.insert(keccak256(index.to_be_bytes()), Some(StoredAccount::default()));
    }
    let mut state = MemoryState::default();
    state.commit(&overlay);
    let lost = *state.account_nodes.keys().find(|path| path.len() == 2).unwrap();
    state.account_nodes.retain(|path, _| !path.starts_with(&lost));
    let mut touch = HashedPostState::default();
    let below = state.accounts.keys().find(|key| Nibbles::unpack(key).starts_with(&lost)).unwrap();
    touch.accounts.insert(*below, None);
    let refused = state_root_of(&state, &touch);
    assert!(matches!(refused, Err(TrieError::MissingNode { path }) if path == lost));
}

#[test]
fn a_branch_as_deep_as_a_leaf_is_refused() {
    let mut state = MemoryState::default();
    state.commit(&slots(&[("1", 1)]));
    let node = alloy_trie::BranchNodeCompact::new(0b11, 0, 0b1, vec![B256::ZERO], None);
    let deep = Nibbles::unpack(key("1"));
    state.slot_nodes.entry(ACCOUNT).or_default().insert(deep, node);
    let refused = state_root_of(&state, &slots(&[("1", 2), ("2", 2)]));
    assert!(matches!(refused, Err(TrieError::NodeTooDeep { path }) if path == deep));
}
