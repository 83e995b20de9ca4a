//! Merkle proofs of accounts and storage slots at "head plus overlay" (EIP-1186, `eth_getProof`).
//!
//! A proof is the list of nodes from the root to the key or to where the path to it ends, each the preimage of
//! the reference in the one before. A node shorter than 32 bytes lies inside its parent and is not listed. The
//! same list proves absence: its last node has no child for the key, or a leaf or extension with another path.
//! An empty trie has an empty list.
//!
//! Proofs of past blocks take `View::revert_state` as the overlay.

use crate::{
    TrieError,
    change::{AccountChange, Change, SlotChange, mark, slot_changes},
    source::{LeafCursor, LeafSource, NodeSource, Nothing, StateSource},
    state_root::{account_changes, storage_tries},
    walk::Walk,
};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::Encodable;
use nybbles::Nibbles;
use std::collections::BTreeMap;
use weft_primitives::{HashedPostState, StoredAccount};
use weft_storage::View;

/// An account and some of its slots with the proof of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountProof {
    /// Whose account.
    pub address: Address,
    /// The account, `None` when the proof shows that there is none.
    pub account: Option<StoredAccount>,
    /// Nodes of the state trie, root first.
    pub proof: Vec<Bytes>,
    /// One per requested key, in the order of the request.
    pub slots: Vec<SlotProof>,
}

/// A storage slot with its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotProof {
    /// The slot's number, not hashed.
    pub key: B256,
    /// Its value; zero when the proof shows that it is not set.
    pub value: U256,
    /// Nodes of the account's storage trie, root first.
    pub proof: Vec<Bytes>,
}

/// `eth_getProof`: the account and its slots at the view's head with `overlay` applied.
///
/// Costs as much as the state root over `overlay`, since every change in it may lie beside the path; for a block far
/// back `View::revert_state` is the larger part, so callers bound how far they go.
///
/// # Errors
/// As [`state_root`](crate::state_root).
pub fn prove(
    view: &View<'_>,
    overlay: &HashedPostState,
    address: Address,
    keys: &[B256],
) -> Result<AccountProof, TrieError> {
    let hashed_keys: Vec<_> = keys.iter().map(keccak256).collect();
    let hashed = prove_hashed(view, overlay, keccak256(address), &hashed_keys)?;
    let slots =
        keys.iter().zip(hashed.slots).map(|(key, (value, proof))| SlotProof { key: *key, value, proof });
    Ok(AccountProof { address, account: hashed.account, proof: hashed.proof, slots: slots.collect() })
}

/// A proof by hashed keys.
pub(crate) struct HashedProof {
    pub(crate) account: Option<StoredAccount>,
    pub(crate) proof: Vec<Bytes>,
    pub(crate) slots: Vec<(U256, Vec<Bytes>)>,
}

pub(crate) fn prove_hashed<S: StateSource>(
    source: &S,
    overlay: &HashedPostState,
    address: B256,
    keys: &[B256],
) -> Result<HashedProof, TrieError> {
    let target = Nibbles::unpack(address);
    let mut changes = account_changes(overlay, &storage_tries(source, overlay)?);
    mark(&mut changes, [target], || AccountChange::Keep);
    let retained = retain(source.accounts(), source.account_nodes(), &changes, vec![target])?;
    let proof = retained.proof(&target);

    let before = LeafCursor::new(source.accounts()).at_or_after(address)?.filter(|(key, _)| *key == address);
    let change = changes
        .binary_search_by_key(&target, |(key, _)| *key)
        .map_or(AccountChange::Keep, |at| changes[at].1);
    let account = change.apply(before.map(|(_, record)| record));
    let slots = match account.filter(StoredAccount::has_storage) {
        Some(_) => prove_slots(source, overlay, address, keys)?,
        None => keys.iter().map(|_| (U256::ZERO, Vec::new())).collect(),
    };
    Ok(HashedProof { account, proof, slots })
}

fn prove_slots<S: StateSource>(
    source: &S,
    overlay: &HashedPostState,
    address: B256,
    keys: &[B256],
) -> Result<Vec<(U256, Vec<Bytes>)>, TrieError> {
    let storage = overlay.storages.get(&address);
    let wiped = storage.is_some_and(|storage| storage.wiped);
    let mut changes = storage.map(slot_changes).unwrap_or_default();
    let targets: Vec<_> = keys.iter().map(Nibbles::unpack).collect();
    mark(&mut changes, targets.iter().copied(), || SlotChange::Keep);
    let retained = if wiped {
        retain(Nothing::default(), Nothing::<()>::default(), &changes, targets.clone())?
    } else {
        retain(source.slots(address), source.slot_nodes(address), &changes, targets.clone())?
    };
    keys.iter()
        .zip(&targets)
        .map(|(key, target)| {
            let value = match storage.and_then(|storage| storage.slots.get(key)) {
                Some(value) => *value,
                None if wiped => U256::ZERO,
                None => {
                    let leaf = LeafCursor::new(source.slots(address)).at_or_after(*key)?;
                    leaf.filter(|(at, _)| at == key).map_or(U256::ZERO, |(_, value)| value)
                }
            };
            Ok((value, retained.proof(target)))
        })
        .collect()
}

/// Walks one trie and keeps the nodes on the way to `targets`, which are among `changes`.
fn retain<L: LeafSource<Value: Encodable>, N: NodeSource, C: Change<L::Value>>(
    leaves: L,
    nodes: N,
    changes: &[(Nibbles, C)],
    targets: Vec<Nibbles>,
) -> Result<Retained, TrieError> {
    let mut walk = Walk::new(leaves, nodes);
    walk.joiner.retained = Some(Retained::new(targets));
    let top = walk.top()?;
    walk.whole(top, changes)?;
    let (_, _, joiner) = walk.finish();
    Ok(joiner.retained.unwrap_or_default())
}

/// Nodes on the way to some keys, by path.
#[derive(Debug, Default)]
pub(crate) struct Retained {
    targets: Vec<Nibbles>,
    nodes: BTreeMap<Nibbles, Bytes>,
}

impl Retained {
    fn new(mut targets: Vec<Nibbles>) -> Self {
        targets.sort_unstable();
        Self { targets, nodes: BTreeMap::new() }
    }

    /// Keeps the node at `path` if a target lies below it and its parent refers to it by hash.
    pub(crate) fn offer(&mut self, path: &Nibbles, node: &[u8]) {
        let next = self.targets.partition_point(|target| target < path);
        let wanted = self.targets.get(next).is_some_and(|target| target.starts_with(path));
        if wanted && (node.len() >= B256::len_bytes() || path.is_empty()) {
            self.nodes.insert(*path, Bytes::copy_from_slice(node));
        }
    }

    fn proof(&self, target: &Nibbles) -> Vec<Bytes> {
        // A path is a prefix of the target, so the order of paths is root first.
        self.nodes.iter().filter(|(path, _)| target.starts_with(path)).map(|(_, node)| node.clone()).collect()
    }
}
