//! Roots and proofs as `eth_trie`, which knows nothing of stored nodes and hashed tables, sees them.

use super::memory::MemoryState;
use crate::{proof::prove_hashed, source::StateSource, verify::verify_tries};
use alloy_primitives::{B256, Bytes, U256};
use alloy_trie::proof::verify_proof;
use eth_trie::{EthTrie, MemoryDB, Trie};
use nybbles::Nibbles;
use std::{collections::BTreeMap, sync::Arc};
use weft_primitives::{HashedPostState, StoredAccount};

fn eth_trie(leaves: impl IntoIterator<Item = (B256, Vec<u8>)>) -> EthTrie<MemoryDB> {
    let mut trie = EthTrie::new(Arc::new(MemoryDB::new(true)));
    for (key, value) in leaves {
        trie.insert(key.as_slice(), &value).unwrap();
    }
    trie
}

fn storage_trie(slots: Option<&BTreeMap<B256, U256>>) -> EthTrie<MemoryDB> {
    eth_trie(slots.into_iter().flatten().map(|(key, value)| (*key, alloy_rlp::encode(value))))
}

fn root(trie: &mut EthTrie<MemoryDB>) -> B256 {
    trie.root_hash().unwrap()
}

fn account_trie(state: &MemoryState) -> EthTrie<MemoryDB> {
    eth_trie(state.accounts.iter().map(|(key, account)| {
        let storage_root = root(&mut storage_trie(state.slots.get(key)));
        (*key, alloy_rlp::encode(StoredAccount { storage_root, ..*account }))
    }))
}

/// State root by `eth_trie`; storage roots in the records are not looked at.
pub(super) fn state_root(state: &MemoryState) -> B256 {
    root(&mut account_trie(state))
}

/// The state's root and nodes are what independent builds say.
pub(super) fn check(state: &MemoryState, claimed: B256) {
    assert_eq!(claimed, state_root(state), "root of the walk and root of eth_trie");
    let report = verify_tries(state).unwrap();
    assert_eq!(report.differences, [], "stored nodes and storage roots");
    assert_eq!(report.root, claimed);
    let stored = state.account_nodes.len() + state.slot_nodes.values().map(BTreeMap::len).sum::<usize>();
    assert_eq!(report.nodes, stored as u64);
}

/// Proofs at `before` plus `overlay` are those of `after`, node for node, and hold.
pub(super) fn check_proof<S: StateSource>(
    before: &S,
    overlay: &HashedPostState,
    after: &MemoryState,
    address: B256,
    keys: &[B256],
) {
    let proof = prove_hashed(before, overlay, address, keys).unwrap();
    assert_eq!(proof.account, after.accounts.get(&address).copied());
    let mut trie = account_trie(after);
    check_one(&mut trie, address, proof.account.map(alloy_rlp::encode), &proof.proof);

    let slots = after.slots.get(&address);
    let mut trie = storage_trie(slots);
    assert_eq!(proof.slots.len(), keys.len());
    for (key, (value, nodes)) in keys.iter().zip(&proof.slots) {
        let expected = slots.and_then(|slots| slots.get(key)).copied().unwrap_or_default();
        assert_eq!(*value, expected);
        let leaf = (!expected.is_zero()).then(|| alloy_rlp::encode(expected));
        check_one(&mut trie, *key, leaf, nodes);
    }
}

fn check_one(trie: &mut EthTrie<MemoryDB>, key: B256, value: Option<Vec<u8>>, proof: &[Bytes]) {
    let root = root(trie);
    verify_proof(root, Nibbles::unpack(key), value.clone(), proof).unwrap();
    let nodes: Vec<_> = proof.iter().map(|node| node.to_vec()).collect();
    if root == alloy_trie::EMPTY_ROOT_HASH {
        assert_eq!(proof, &[] as &[Bytes]);
        return;
    }
    assert_eq!(trie.verify_proof(root, key.as_slice(), nodes.clone()).unwrap(), value);
    let theirs = trie.get_proof(key.as_slice()).unwrap();
    // eth_trie also lists nodes that lie inside their parents.
    let theirs = theirs
        .into_iter()
        .enumerate()
        .filter(|(at, node)| *at == 0 || node.len() >= 32)
        .map(|(_, node)| node);
    assert_eq!(nodes, theirs.collect::<Vec<_>>());
}
