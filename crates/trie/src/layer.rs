//! State roots of a sequence of changes, each on top of the ones before: what receipts before Byzantium commit to.
//!
//! [`state_root`](crate::state_root) walks all that differs from the database; asked after each of a block's
//! transactions it would walk the first one's changes as often as there are transactions. Here changed leaves and nodes
//! are kept in a layer over the database, which is a source of tries itself, so that a change costs its own paths only.
//!
//! Memory: the leaves that changed since the view's head, and the branch nodes above them.

use crate::{
    TrieError,
    source::{LeafSource, NodeSource, StateSource},
    state_root::state_root_of,
};
use alloy_primitives::{B256, U256};
use alloy_trie::{BranchNodeCompact, EMPTY_ROOT_HASH};
use nybbles::Nibbles;
use std::{
    collections::BTreeMap,
    ops::Bound::{self, Excluded, Included, Unbounded},
};
use weft_primitives::{HashedPostState, StoredAccount, TrieUpdates};
use weft_storage::{StorageError, View};

/// State roots after one change after the other, the first one on top of the view's head.
#[derive(Debug)]
pub struct RootSequence<'v>(Layer<'v, View<'v>>);

impl<'v> RootSequence<'v> {
    /// Begins at the view's head.
    pub fn new(view: &'v View<'v>) -> Self {
        Self(Layer::new(view))
    }

    /// Applies a change and gives the root after it.
    ///
    /// # Errors
    /// As [`state_root`](crate::state_root); the sequence stays where it was.
    pub fn then(&mut self, change: &HashedPostState) -> Result<B256, TrieError> {
        self.0.commit(change)
    }
}

/// Changed leaves and nodes over a source. `None` hides what the source has.
#[derive(Debug)]
pub(crate) struct Layer<'s, S> {
    source: &'s S,
    /// With their storage roots.
    accounts: BTreeMap<B256, Option<StoredAccount>>,
    account_nodes: BTreeMap<Nibbles, Option<BranchNodeCompact>>,
    storages: BTreeMap<B256, StorageLayer>,
}

#[derive(Debug, Default)]
struct StorageLayer {
    /// The source's slots and nodes are hidden, all of them.
    wiped: bool,
    slots: BTreeMap<B256, Option<U256>>,
    nodes: BTreeMap<Nibbles, Option<BranchNodeCompact>>,
}

impl StorageLayer {
    fn wiped() -> Self {
        Self { wiped: true, ..Default::default() }
    }
}

impl<'s, S: StateSource> Layer<'s, S> {
    pub(crate) fn new(source: &'s S) -> Self {
        Self { source, accounts: BTreeMap::new(), account_nodes: BTreeMap::new(), storages: BTreeMap::new() }
    }

    pub(crate) fn commit(&mut self, change: &HashedPostState) -> Result<B256, TrieError> {
        let (root, updates) = state_root_of(self, change)?;
        let accounts = self.records(change, &updates)?;
        for (address, _) in accounts.iter().filter(|(_, account)| account.is_none()) {
            self.storages.insert(*address, StorageLayer::wiped());
        }
        self.accounts.extend(accounts);
        for (address, storage) in &change.storages {
            let layer = self.storages.entry(*address).or_default();
            if storage.wiped {
                *layer = StorageLayer::wiped();
            }
            let slots = storage.slots.iter();
            layer.slots.extend(slots.map(|(slot, value)| (*slot, (!value.is_zero()).then_some(*value))));
        }
        self.account_nodes.extend(updates.account_nodes);
        for (address, storage) in updates.storages {
            let layer = self.storages.entry(address).or_default();
            if storage.wiped {
                layer.wiped = true;
                layer.nodes.clear();
            }
            layer.nodes.extend(storage.nodes);
        }
        Ok(root)
    }

    /// The changed accounts with their storage roots: the new one, or that of the record before.
    fn records(
        &self,
        change: &HashedPostState,
        updates: &TrieUpdates,
    ) -> Result<Vec<(B256, Option<StoredAccount>)>, StorageError> {
        let record = |(address, account): (&B256, &Option<StoredAccount>)| {
            let Some(account) = *account else { return Ok((*address, None)) };
            let storage_root = match updates.storages.get(address) {
                Some(storage) => storage.root,
                None => self.account(*address)?.map_or(EMPTY_ROOT_HASH, |before| before.storage_root),
            };
            Ok((*address, Some(StoredAccount { storage_root, ..account })))
        };
        change.accounts.iter().map(record).collect()
    }

    fn account(&self, address: B256) -> Result<Option<StoredAccount>, StorageError> {
        let found = self.accounts().seek(address)?;
        Ok(found.filter(|(key, _)| *key == address).map(|(_, account)| account))
    }
}

impl<S: StateSource> StateSource for Layer<'_, S> {
    type Accounts<'a>
        = LayeredLeaves<'a, S::Accounts<'a>>
    where
        Self: 'a;
    type Slots<'a>
        = LayeredLeaves<'a, S::Slots<'a>>
    where
        Self: 'a;
    type Nodes<'a>
        = LayeredNodes<'a, S::Nodes<'a>>
    where
        Self: 'a;

    fn accounts(&self) -> Self::Accounts<'_> {
        Layered::new(Some(Leaves(self.source.accounts())), Some(&self.accounts))
    }

    fn account_nodes(&self) -> Self::Nodes<'_> {
        Layered::new(Some(Nodes(self.source.account_nodes())), Some(&self.account_nodes))
    }

    fn slots(&self, hashed_address: B256) -> Self::Slots<'_> {
        let layer = self.storages.get(&hashed_address);
        let hidden = layer.is_some_and(|layer| layer.wiped);
        let below = (!hidden).then(|| Leaves(self.source.slots(hashed_address)));
        Layered::new(below, layer.map(|layer| &layer.slots))
    }

    fn slot_nodes(&self, hashed_address: B256) -> Self::Nodes<'_> {
        let layer = self.storages.get(&hashed_address);
        let hidden = layer.is_some_and(|layer| layer.wiped);
        let below = (!hidden).then(|| Nodes(self.source.slot_nodes(hashed_address)));
        Layered::new(below, layer.map(|layer| &layer.nodes))
    }
}

/// A cursor over the source, by whatever key.
pub(crate) trait Below {
    type Key: Ord + Copy;
    type Value: Clone;
    /// First entry at or after `key`.
    fn seek(&mut self, key: &Self::Key) -> Found<Self>;
    /// The entry after the one that was found last, which is at `key`.
    fn after(&mut self, key: &Self::Key) -> Found<Self>;
}

type Entry<B> = (<B as Below>::Key, <B as Below>::Value);
type Found<B> = Result<Option<Entry<B>>, StorageError>;

/// Leaves as a [`Below`].
#[derive(Debug)]
pub(crate) struct Leaves<L>(L);

impl<L: LeafSource> Below for Leaves<L> {
    type Key = B256;
    type Value = L::Value;

    fn seek(&mut self, key: &B256) -> Found<Self> {
        self.0.seek(*key)
    }

    fn after(&mut self, _: &B256) -> Found<Self> {
        self.0.next()
    }
}

/// Branch nodes as a [`Below`].
#[derive(Debug)]
pub(crate) struct Nodes<N>(N);

impl<N: NodeSource> Below for Nodes<N> {
    type Key = Nibbles;
    type Value = BranchNodeCompact;

    fn seek(&mut self, path: &Nibbles) -> Found<Self> {
        self.0.seek(path)
    }

    fn after(&mut self, path: &Nibbles) -> Found<Self> {
        // Only paths that a walk has changed are hidden, and those are shorter than a key.
        let mut after = *path;
        after.push(0);
        self.0.seek(&after)
    }
}

pub(crate) type LayeredLeaves<'l, L> = Layered<'l, Leaves<L>>;
pub(crate) type LayeredNodes<'l, N> = Layered<'l, Nodes<N>>;

/// Entries of the layer, and between them those of the source. Keys are asked for in ascending order.
#[derive(Debug)]
pub(crate) struct Layered<'l, B: Below> {
    /// `None`: all of it is hidden.
    below: Option<B>,
    position: Position<B>,
    layer: Option<&'l BTreeMap<B::Key, Option<B::Value>>>,
    given: Option<B::Key>,
}

/// Where the source's cursor stands: all of its entries that were passed lie before what is asked for, or are hidden.
#[derive(Debug)]
enum Position<B: Below> {
    Unplaced,
    At(B::Key, B::Value),
    End,
}

impl<'l, B: Below> Layered<'l, B> {
    fn new(below: Option<B>, layer: Option<&'l BTreeMap<B::Key, Option<B::Value>>>) -> Self {
        Self { below, position: Position::Unplaced, layer, given: None }
    }

    fn at_or_after(&mut self, key: &B::Key) -> Found<B> {
        let must_move = match &self.position {
            Position::Unplaced => true,
            Position::At(at, _) => at < key,
            Position::End => false,
        };
        if must_move {
            self.place(|below| below.seek(key))?;
        }
        self.find(Included(*key))
    }

    /// The entry after the one given last.
    fn next_entry(&mut self) -> Found<B> {
        let Some(given) = self.given else { return Ok(None) };
        self.pass(&given)?;
        self.find(Excluded(given))
    }

    /// The first entry from `from` on that is not hidden; the source's cursor does not stand before it.
    fn find(&mut self, mut from: Bound<B::Key>) -> Found<B> {
        self.given = None;
        loop {
            let over = self.layer.and_then(|layer| layer.range((from, Unbounded)).next());
            let found = match (&self.position, over) {
                (Position::At(key, value), over) if over.is_none_or(|(above, _)| key < above) => {
                    Some((*key, value.clone()))
                }
                (_, Some((key, Some(value)))) => Some((*key, value.clone())),
                (_, Some((hidden, None))) => {
                    self.pass(hidden)?;
                    from = Excluded(*hidden);
                    continue;
                }
                (_, None) => None,
            };
            self.given = found.as_ref().map(|(key, _)| *key);
            return Ok(found);
        }
    }

    /// Moves the source's cursor on where it stands at `key`.
    fn pass(&mut self, key: &B::Key) -> Result<(), StorageError> {
        match &self.position {
            Position::At(at, _) if at == key => self.place(|below| below.after(key)),
            _ => Ok(()),
        }
    }

    fn place(&mut self, find: impl FnOnce(&mut B) -> Found<B>) -> Result<(), StorageError> {
        let found = self.below.as_mut().map(find).transpose()?.flatten();
        self.position = found.map_or(Position::End, |(key, value)| Position::At(key, value));
        Ok(())
    }
}

impl<L: LeafSource> LeafSource for LayeredLeaves<'_, L> {
    type Value = L::Value;

    fn seek(&mut self, key: B256) -> Result<Option<(B256, L::Value)>, StorageError> {
        self.at_or_after(&key)
    }

    fn next(&mut self) -> Result<Option<(B256, L::Value)>, StorageError> {
        self.next_entry()
    }
}

impl<N: NodeSource> NodeSource for LayeredNodes<'_, N> {
    fn seek(&mut self, path: &Nibbles) -> Result<Option<(Nibbles, BranchNodeCompact)>, StorageError> {
        self.at_or_after(path)
    }
}
