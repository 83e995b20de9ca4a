//! The tries built from every leaf by alloy-trie's `HashBuilder`, in one pass over the leaf tables.
//!
//! Nothing that the node stored about the tries is read, so this is what the walk is checked against, by
//! `weft db verify` and in tests, and what a restore takes its nodes from. Memory: a builder's path (64 levels) for the account trie
//! and one for the storage trie at hand, besides what the observer keeps.

use crate::{
    TrieError,
    scan::{Entries, Scan},
};
use alloy_primitives::{B256, U256};
use alloy_rlp::Encodable;
use alloy_trie::{BranchNodeCompact, HashBuilder};
use nybbles::Nibbles;
use std::iter::Peekable;
use weft_primitives::StoredAccount;
use weft_storage::{StorageError, View};

/// State root of the view's head from leaves alone, ignoring stored nodes and storage roots; bounded memory.
///
/// # Errors
/// When the database fails.
pub fn state_root_from_leaves(view: &View<'_>) -> Result<B256, TrieError> {
    rebuild(view, &mut Unobserved)
}

/// A finished branch node: the account whose storage trie it belongs to (none for the account trie), path, node.
pub type RebuiltNode = (Option<B256>, Nibbles, BranchNodeCompact);

/// State root from leaves that may come from anywhere; accounts by hashed address, slots by hashed address and slot.
/// Unlike [`state_root_from_leaves`], the storage root in an account's record has to be that of its slots.
///
/// # Errors
/// When an account's record contradicts its slots, or slots have no account.
pub fn state_root_of_leaves(
    accounts: impl Iterator<Item = (B256, StoredAccount)>,
    slots: impl Iterator<Item = (B256, B256, U256)>,
) -> Result<B256, TrieError> {
    let mut accept = |_| Ok(());
    let mut observer = Rebuild::<_, false> { on_node: &mut accept };
    rebuild_from(Box::new(accounts.map(Ok)), Box::new(slots.map(Ok)), &mut observer)
}

/// State root of the view's head from leaves, telling every node that is to be stored, children before their
/// parents; bounded memory. As in [`state_root_of_leaves`], records and slots have to agree.
///
/// # Errors
/// When the database fails, when an account's record contradicts its slots, when slots have no account, and what
/// `on_node` fails with.
pub fn rebuild_nodes(
    view: &View<'_>,
    mut on_node: impl FnMut(RebuiltNode) -> Result<(), StorageError>,
) -> Result<B256, TrieError> {
    rebuild(view, &mut Rebuild::<_, true> { on_node: &mut on_node })
}

/// Passes nodes on, and holds records against slots.
struct Rebuild<'a, F, const NODES: bool> {
    on_node: &'a mut F,
}

impl<F: FnMut(RebuiltNode) -> Result<(), StorageError>, const NODES: bool> Observer
    for Rebuild<'_, F, NODES>
{
    const NODES: bool = NODES;

    fn orphan_slot(&mut self, hashed_address: B256) -> Result<(), TrieError> {
        Err(TrieError::OrphanSlots { hashed_address })
    }

    fn account(
        &mut self,
        hashed_address: B256,
        record: &StoredAccount,
        storage_root: B256,
    ) -> Result<(), TrieError> {
        if record.storage_root == storage_root {
            return Ok(());
        }
        let recorded = record.storage_root;
        Err(TrieError::StorageRoot { hashed_address, recorded, computed: storage_root })
    }

    fn storage_nodes(&mut self, owner: B256, _: &Nibbles, nodes: Nodes<'_>) -> Result<(), TrieError> {
        for (path, node) in nodes {
            (self.on_node)((Some(owner), path, node))?;
        }
        Ok(())
    }

    fn account_nodes(&mut self, _: &Nibbles, nodes: Nodes<'_>) -> Result<(), TrieError> {
        for (path, node) in nodes {
            (self.on_node)((None, path, node))?;
        }
        Ok(())
    }
}

/// What a rebuild tells on its way. Paths of nodes come children first.
pub(crate) trait Observer {
    /// Whether nodes are to be told.
    const NODES: bool;
    fn slot(&mut self) {}
    /// A slot whose account is not there.
    fn orphan_slot(&mut self, _hashed_address: B256) -> Result<(), TrieError> {
        Ok(())
    }
    /// All slots of the account are done.
    fn account(
        &mut self,
        _hashed_address: B256,
        _record: &StoredAccount,
        _storage_root: B256,
    ) -> Result<(), TrieError> {
        Ok(())
    }
    /// Nodes of the storage trie at hand; all leaves up to `reached` are in.
    fn storage_nodes(
        &mut self,
        _hashed_address: B256,
        _reached: &Nibbles,
        _nodes: Nodes<'_>,
    ) -> Result<(), TrieError> {
        Ok(())
    }
    /// Nodes of the account trie; all leaves up to `reached` are in.
    fn account_nodes(&mut self, _reached: &Nibbles, _nodes: Nodes<'_>) -> Result<(), TrieError> {
        Ok(())
    }
}

/// Nodes that a builder has finished.
pub(crate) type Nodes<'a> = &'a mut dyn Iterator<Item = (Nibbles, BranchNodeCompact)>;

struct Unobserved;

impl Observer for Unobserved {
    const NODES: bool = false;
}

type Slots<'a> = Peekable<Entries<'a, (B256, B256, U256)>>;

/// Builds all tries and returns the state root.
pub(crate) fn rebuild<S: Scan, O: Observer>(source: &S, observer: &mut O) -> Result<B256, TrieError> {
    rebuild_from(source.scan_accounts(), source.scan_slots(), observer)
}

fn rebuild_from<O: Observer>(
    accounts: Entries<'_, (B256, StoredAccount)>,
    slots: Entries<'_, (B256, B256, U256)>,
    observer: &mut O,
) -> Result<B256, TrieError> {
    let mut slots = slots.peekable();
    let mut builder = Builder::new(O::NODES);
    for account in accounts {
        let (address, record) = account?;
        skip_orphans(&mut slots, Some(address), observer)?;
        let storage_root = rebuild_storage(&mut slots, address, observer)?;
        observer.account(address, &record, storage_root)?;
        let key = Nibbles::unpack(address);
        builder.add(key, &StoredAccount { storage_root, ..record });
        if builder.has_nodes() {
            observer.account_nodes(&key, &mut builder.nodes())?;
        }
    }
    skip_orphans(&mut slots, None, observer)?;
    let root = builder.inner.root();
    observer.account_nodes(&AFTER_ALL, &mut builder.nodes())?;
    Ok(root)
}

fn skip_orphans<O: Observer>(
    slots: &mut Slots<'_>,
    before: Option<B256>,
    observer: &mut O,
) -> Result<(), TrieError> {
    let is_orphan = |slot: &Result<(B256, B256, U256), StorageError>| match slot {
        Ok((owner, ..)) => before.is_none_or(|address| *owner < address),
        Err(_) => true,
    };
    while let Some(slot) = slots.next_if(is_orphan) {
        observer.orphan_slot(slot?.0)?;
    }
    Ok(())
}

fn rebuild_storage<O: Observer>(
    slots: &mut Slots<'_>,
    address: B256,
    observer: &mut O,
) -> Result<B256, TrieError> {
    let mut builder = Builder::new(O::NODES);
    let belongs = |slot: &Result<(B256, B256, U256), StorageError>| {
        slot.as_ref().map_or(true, |(owner, ..)| *owner == address)
    };
    while let Some(slot) = slots.next_if(belongs) {
        let (_, key, value) = slot?;
        let key = Nibbles::unpack(key);
        observer.slot();
        builder.add(key, &value);
        if builder.has_nodes() {
            observer.storage_nodes(address, &key, &mut builder.nodes())?;
        }
    }
    let root = builder.inner.root();
    observer.storage_nodes(address, &AFTER_ALL, &mut builder.nodes())?;
    Ok(root)
}

/// Stands for "all leaves are in": the empty path is below every key, so observers compare with `is_empty`.
const AFTER_ALL: Nibbles = Nibbles::new();

struct Builder {
    inner: HashBuilder,
    value: Vec<u8>,
}

impl Builder {
    fn new(nodes: bool) -> Self {
        Self { inner: HashBuilder::default().with_updates(nodes), value: Vec::new() }
    }

    fn add(&mut self, key: Nibbles, value: &impl Encodable) {
        self.value.clear();
        value.encode(&mut self.value);
        self.inner.add_leaf_unchecked(key, &self.value);
    }

    fn has_nodes(&self) -> bool {
        self.inner.updated_branch_nodes.as_ref().is_some_and(|nodes| !nodes.is_empty())
    }

    fn nodes(&mut self) -> impl Iterator<Item = (Nibbles, BranchNodeCompact)> + '_ {
        self.inner.updated_branch_nodes.iter_mut().flat_map(|nodes| nodes.drain())
    }
}
