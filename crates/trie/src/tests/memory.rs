//! A state in maps, with what `Store::commit_block` does to it.

use crate::{
    scan::{Entries, Scan},
    source::{LeafSource, NodeSource, StateSource},
    state_root::state_root_of,
};
use alloy_primitives::{B256, U256};
use alloy_trie::{BranchNodeCompact, EMPTY_ROOT_HASH};
use nybbles::Nibbles;
use std::collections::BTreeMap;
use weft_primitives::{HashedPostState, StoredAccount, TrieUpdates};
use weft_storage::StorageError;

pub(super) type Nodes = BTreeMap<Nibbles, BranchNodeCompact>;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct MemoryState {
    pub(super) accounts: BTreeMap<B256, StoredAccount>,
    pub(super) slots: BTreeMap<B256, BTreeMap<B256, U256>>,
    pub(super) account_nodes: Nodes,
    pub(super) slot_nodes: BTreeMap<B256, Nodes>,
}

impl MemoryState {
    /// Computes root and updates of `overlay`, then applies both.
    pub(super) fn commit(&mut self, overlay: &HashedPostState) -> (B256, TrieUpdates) {
        let (root, updates) = state_root_of(self, overlay).unwrap();
        self.apply(overlay, &updates);
        (root, updates)
    }

    pub(super) fn apply(&mut self, overlay: &HashedPostState, updates: &TrieUpdates) {
        for (address, account) in &overlay.accounts {
            let Some(account) = account else {
                self.accounts.remove(address);
                self.slots.remove(address);
                continue;
            };
            let before = self.accounts.get(address).map(|record| record.storage_root);
            let root = updates.storages.get(address).map(|storage| storage.root).or(before);
            let storage_root = root.unwrap_or(EMPTY_ROOT_HASH);
            self.accounts.insert(*address, StoredAccount { storage_root, ..*account });
        }
        for (address, storage) in &overlay.storages {
            let slots = self.slots.entry(*address).or_default();
            if storage.wiped {
                slots.clear();
            }
            slots.extend(&storage.slots);
            slots.retain(|_, value| !value.is_zero());
            if slots.is_empty() {
                self.slots.remove(address);
            }
        }
        apply_nodes(&mut self.account_nodes, &updates.account_nodes);
        for (address, storage) in &updates.storages {
            let nodes = self.slot_nodes.entry(*address).or_default();
            if storage.wiped {
                nodes.clear();
            }
            apply_nodes(nodes, &storage.nodes);
            if nodes.is_empty() {
                self.slot_nodes.remove(address);
            }
        }
    }
}

fn apply_nodes<'a>(
    nodes: &mut Nodes,
    updates: impl IntoIterator<Item = (&'a Nibbles, &'a Option<BranchNodeCompact>)>,
) {
    for (path, node) in updates {
        let before = nodes.remove(path);
        assert_ne!(before, *node, "an update that changes nothing at {path:?}");
        if let Some(node) = node {
            nodes.insert(*path, node.clone());
        }
    }
}

/// A cursor over a map, or over nothing. Counts its seeks backwards: there must be none.
pub(super) struct MapCursor<'a, K, V> {
    map: Option<&'a BTreeMap<K, V>>,
    at: Option<K>,
    sought: Option<K>,
}

impl<K: Ord + Copy + std::fmt::Debug, V: Clone> MapCursor<'_, K, V> {
    fn find(&mut self, key: K) -> Option<(K, V)> {
        assert!(self.sought <= Some(key), "sought {key:?} after {:?}", self.sought);
        self.sought = Some(key);
        let found = self.map?.range(key..).next();
        self.at = found.map(|(key, _)| *key);
        found.map(|(key, value)| (*key, value.clone()))
    }

    fn step(&mut self) -> Option<(K, V)> {
        let at = self.at?;
        let found = self.map?.range((std::ops::Bound::Excluded(at), std::ops::Bound::Unbounded)).next();
        self.at = found.map(|(key, _)| *key);
        found.map(|(key, value)| (*key, value.clone()))
    }
}

impl<V: Copy> LeafSource for MapCursor<'_, B256, V> {
    type Value = V;
    fn seek(&mut self, key: B256) -> Result<Option<(B256, V)>, StorageError> {
        Ok(self.find(key))
    }
    fn next(&mut self) -> Result<Option<(B256, V)>, StorageError> {
        Ok(self.step())
    }
}

impl NodeSource for MapCursor<'_, Nibbles, BranchNodeCompact> {
    fn seek(&mut self, path: &Nibbles) -> Result<Option<(Nibbles, BranchNodeCompact)>, StorageError> {
        Ok(self.find(*path))
    }
}

fn cursor<K, V>(map: Option<&BTreeMap<K, V>>) -> MapCursor<'_, K, V> {
    MapCursor { map, at: None, sought: None }
}

impl StateSource for MemoryState {
    type Accounts<'a> = MapCursor<'a, B256, StoredAccount>;
    type Slots<'a> = MapCursor<'a, B256, U256>;
    type Nodes<'a> = MapCursor<'a, Nibbles, BranchNodeCompact>;

    fn accounts(&self) -> Self::Accounts<'_> {
        cursor(Some(&self.accounts))
    }
    fn account_nodes(&self) -> Self::Nodes<'_> {
        cursor(Some(&self.account_nodes))
    }
    fn slots(&self, hashed_address: B256) -> Self::Slots<'_> {
        cursor(self.slots.get(&hashed_address))
    }
    fn slot_nodes(&self, hashed_address: B256) -> Self::Nodes<'_> {
        cursor(self.slot_nodes.get(&hashed_address))
    }
}

impl Scan for MemoryState {
    fn scan_accounts(&self) -> Entries<'_, (B256, StoredAccount)> {
        Box::new(self.accounts.iter().map(|(key, account)| Ok((*key, *account))))
    }
    fn scan_slots(&self) -> Entries<'_, (B256, B256, U256)> {
        Box::new(
            self.slots
                .iter()
                .flat_map(|(owner, slots)| slots.iter().map(|(key, value)| Ok((*owner, *key, *value)))),
        )
    }
    fn scan_account_nodes(&self) -> Entries<'_, (Nibbles, BranchNodeCompact)> {
        Box::new(self.account_nodes.iter().map(|(path, node)| Ok((*path, node.clone()))))
    }
    fn scan_slot_nodes(&self) -> Entries<'_, (B256, Nibbles, BranchNodeCompact)> {
        Box::new(
            self.slot_nodes.iter().flat_map(|(owner, nodes)| {
                nodes.iter().map(|(path, node)| Ok((*owner, *path, node.clone())))
            }),
        )
    }
}
