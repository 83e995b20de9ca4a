//! Where leaves and stored branch nodes come from: the database's cursors, nothing at all, or (in tests) maps.
//!
//! The walk asks for ascending keys only, and each source is asked from one thread. [`LeafCursor`] turns a
//! sequence of seeks that lie close together into steps, because a step costs a fraction of a seek.

use alloy_primitives::{B256, U256};
use alloy_trie::BranchNodeCompact;
use nybbles::Nibbles;
use weft_primitives::StoredAccount;
use weft_storage::{AccountCursor, StorageCursor, StorageError, TrieCursor, View};

/// Leaves of one trie in key order.
pub(crate) trait LeafSource {
    /// Account or slot value.
    type Value: Copy;
    /// First leaf at or after `key`.
    fn seek(&mut self, key: B256) -> Result<Option<(B256, Self::Value)>, StorageError>;
    /// The leaf after the one returned last.
    fn next(&mut self) -> Result<Option<(B256, Self::Value)>, StorageError>;
}

/// Stored branch nodes of one trie in path order, a path before its extensions.
pub(crate) trait NodeSource {
    /// First node at or after `path`.
    fn seek(&mut self, path: &Nibbles) -> Result<Option<(Nibbles, BranchNodeCompact)>, StorageError>;
}

/// All tries of one state.
pub(crate) trait StateSource: Sync {
    type Accounts<'a>: LeafSource<Value = StoredAccount>
    where
        Self: 'a;
    type Slots<'a>: LeafSource<Value = U256>
    where
        Self: 'a;
    type Nodes<'a>: NodeSource
    where
        Self: 'a;

    fn accounts(&self) -> Self::Accounts<'_>;
    fn account_nodes(&self) -> Self::Nodes<'_>;
    fn slots(&self, hashed_address: B256) -> Self::Slots<'_>;
    fn slot_nodes(&self, hashed_address: B256) -> Self::Nodes<'_>;
}

impl StateSource for View<'_> {
    type Accounts<'a>
        = AccountCursor<'a>
    where
        Self: 'a;
    type Slots<'a>
        = StorageCursor<'a>
    where
        Self: 'a;
    type Nodes<'a>
        = TrieCursor<'a>
    where
        Self: 'a;

    fn accounts(&self) -> AccountCursor<'_> {
        self.hashed_accounts()
    }
    fn account_nodes(&self) -> TrieCursor<'_> {
        self.account_trie()
    }
    fn slots(&self, hashed_address: B256) -> StorageCursor<'_> {
        self.hashed_storage(hashed_address)
    }
    fn slot_nodes(&self, hashed_address: B256) -> TrieCursor<'_> {
        self.storage_trie(hashed_address)
    }
}

impl LeafSource for AccountCursor<'_> {
    type Value = StoredAccount;
    fn seek(&mut self, key: B256) -> Result<Option<(B256, StoredAccount)>, StorageError> {
        AccountCursor::seek(self, key)
    }
    fn next(&mut self) -> Result<Option<(B256, StoredAccount)>, StorageError> {
        AccountCursor::next(self)
    }
}

impl LeafSource for StorageCursor<'_> {
    type Value = U256;
    fn seek(&mut self, key: B256) -> Result<Option<(B256, U256)>, StorageError> {
        StorageCursor::seek(self, key)
    }
    fn next(&mut self) -> Result<Option<(B256, U256)>, StorageError> {
        StorageCursor::next(self)
    }
}

impl NodeSource for TrieCursor<'_> {
    fn seek(&mut self, path: &Nibbles) -> Result<Option<(Nibbles, BranchNodeCompact)>, StorageError> {
        TrieCursor::seek(self, path)
    }
}

/// A state without anything in it: for genesis, and for storage that was wiped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nothing<V>(std::marker::PhantomData<V>);

impl<V> Default for Nothing<V> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<V: Copy> LeafSource for Nothing<V> {
    type Value = V;
    fn seek(&mut self, _: B256) -> Result<Option<(B256, V)>, StorageError> {
        Ok(None)
    }
    fn next(&mut self) -> Result<Option<(B256, V)>, StorageError> {
        Ok(None)
    }
}

impl<V> NodeSource for Nothing<V> {
    fn seek(&mut self, _: &Nibbles) -> Result<Option<(Nibbles, BranchNodeCompact)>, StorageError> {
        Ok(None)
    }
}

/// The state before genesis.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EmptyState;

impl StateSource for EmptyState {
    type Accounts<'a> = Nothing<StoredAccount>;
    type Slots<'a> = Nothing<U256>;
    type Nodes<'a> = Nothing<U256>;

    fn accounts(&self) -> Nothing<StoredAccount> {
        Nothing::default()
    }
    fn account_nodes(&self) -> Nothing<U256> {
        Nothing::default()
    }
    fn slots(&self, _: B256) -> Nothing<U256> {
        Nothing::default()
    }
    fn slot_nodes(&self, _: B256) -> Nothing<U256> {
        Nothing::default()
    }
}

/// Steps to take before giving up and seeking: a step over a RocksDB iterator costs about a tenth of a seek.
const STEPS_MAX: usize = 8;

/// A leaf source that remembers where it stands. Keys must be asked for in ascending order.
#[derive(Debug)]
pub(crate) struct LeafCursor<L: LeafSource> {
    source: L,
    position: Position<L::Value>,
}

#[derive(Debug)]
enum Position<V> {
    Unplaced,
    At(B256, V),
    End,
}

impl<L: LeafSource> LeafCursor<L> {
    pub(crate) fn new(source: L) -> Self {
        Self { source, position: Position::Unplaced }
    }

    /// First leaf at or after `key`. `key` is never below an earlier one.
    pub(crate) fn at_or_after(&mut self, key: B256) -> Result<Option<(B256, L::Value)>, StorageError> {
        if matches!(self.position, Position::Unplaced) {
            let found = self.source.seek(key)?;
            return Ok(self.place(found));
        }
        for _ in 0..STEPS_MAX {
            match self.position {
                Position::At(at, value) if at >= key => return Ok(Some((at, value))),
                Position::At(..) => self.step()?,
                Position::End | Position::Unplaced => return Ok(None),
            };
        }
        match self.position {
            Position::At(at, _) if at < key => {
                let found = self.source.seek(key)?;
                Ok(self.place(found))
            }
            Position::At(at, value) => Ok(Some((at, value))),
            Position::End | Position::Unplaced => Ok(None),
        }
    }

    /// Moves past the leaf where the cursor stands.
    pub(crate) fn step(&mut self) -> Result<Option<(B256, L::Value)>, StorageError> {
        let found = self.source.next()?;
        Ok(self.place(found))
    }

    fn place(&mut self, found: Option<(B256, L::Value)>) -> Option<(B256, L::Value)> {
        self.position = match found {
            Some((key, value)) => Position::At(key, value),
            None => Position::End,
        };
        found
    }
}
