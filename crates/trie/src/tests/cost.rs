//! What a root reads: a path for each change, and not the state.

use super::memory::MemoryState;
use crate::{
    source::{LeafSource, NodeSource, StateSource},
    state_root::state_root_of,
};
use alloy_primitives::{B256, U256, keccak256};
use alloy_trie::BranchNodeCompact;
use nybbles::Nibbles;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use weft_primitives::{HashedPostState, StoredAccount};
use weft_storage::StorageError;

/// A state that counts what is read of it.
struct Counted<'s> {
    state: &'s MemoryState,
    leaves: AtomicUsize,
    nodes: AtomicUsize,
    storages: AtomicUsize,
}

struct CountedCursor<'a, C> {
    cursor: C,
    reads: &'a AtomicUsize,
}

impl<C: LeafSource> LeafSource for CountedCursor<'_, C> {
    type Value = C::Value;
    fn seek(&mut self, key: B256) -> Result<Option<(B256, C::Value)>, StorageError> {
        self.reads.fetch_add(1, Relaxed);
        self.cursor.seek(key)
    }
    fn next(&mut self) -> Result<Option<(B256, C::Value)>, StorageError> {
        self.reads.fetch_add(1, Relaxed);
        self.cursor.next()
    }
}

impl<C: NodeSource> NodeSource for CountedCursor<'_, C> {
    fn seek(&mut self, path: &Nibbles) -> Result<Option<(Nibbles, BranchNodeCompact)>, StorageError> {
        self.reads.fetch_add(1, Relaxed);
        self.cursor.seek(path)
    }
}

impl StateSource for Counted<'_> {
    type Accounts<'a>
        = CountedCursor<'a, <MemoryState as StateSource>::Accounts<'a>>
    where
        Self: 'a;
    type Slots<'a>
        = CountedCursor<'a, <MemoryState as StateSource>::Slots<'a>>
    where
        Self: 'a;
    type Nodes<'a>
        = CountedCursor<'a, <MemoryState as StateSource>::Nodes<'a>>
    where
        Self: 'a;

    fn accounts(&self) -> Self::Accounts<'_> {
        CountedCursor { cursor: self.state.accounts(), reads: &self.leaves }
    }
    fn account_nodes(&self) -> Self::Nodes<'_> {
        CountedCursor { cursor: self.state.account_nodes(), reads: &self.nodes }
    }
    fn slots(&self, hashed_address: B256) -> Self::Slots<'_> {
        self.storages.fetch_add(1, Relaxed);
        CountedCursor { cursor: self.state.slots(hashed_address), reads: &self.leaves }
    }
    fn slot_nodes(&self, hashed_address: B256) -> Self::Nodes<'_> {
        CountedCursor { cursor: self.state.slot_nodes(hashed_address), reads: &self.nodes }
    }
}

fn key(index: u64) -> B256 {
    keccak256(index.to_be_bytes())
}

#[test]
fn a_change_costs_a_path_and_the_leaves_beside_it() {
    const ACCOUNTS: u64 = 30_000;
    let account = |nonce| Some(StoredAccount { nonce, ..Default::default() });
    let mut all = HashedPostState::default();
    for index in 0..ACCOUNTS {
        all.accounts.insert(key(index), account(index));
        all.storages.entry(key(index)).or_default().slots.insert(key(1), U256::ONE);
    }
    let mut state = MemoryState::default();
    state.commit(&all);

    for changed in [0, 1, 10, 100] {
        let mut overlay = HashedPostState::default();
        for index in 0..changed {
            // Of the even ones the storage changes too.
            overlay.accounts.insert(key(index), account(index + 1));
            if index % 2 == 0 {
                overlay.storages.entry(key(index)).or_default().slots.insert(key(2), U256::ONE);
            }
        }
        let zero = AtomicUsize::default;
        let counted = Counted { state: &state, leaves: zero(), nodes: zero(), storages: zero() };
        state_root_of(&counted, &overlay).unwrap();
        let (leaves, nodes) = (counted.leaves.into_inner(), counted.nodes.into_inner());
        let changed = usize::try_from(changed).unwrap();
        // 30,000 leaves are 3.7 levels deep on average: at most 5 stored nodes above a leaf, and at the two
        // lowest levels up to 16 + 16 leaves, of which some have to be stepped over to come to the others.
        assert!(nodes <= 1 + 6 * changed, "{nodes} nodes for {changed} changes");
        assert!(leaves <= 64 * changed, "{leaves} leaves for {changed} changes");
        assert_eq!(counted.storages.into_inner(), changed.div_ceil(2), "only changed storage is opened");
    }
}
