//! Cursors over the head's hashed state and tries, in key order.
//!
//! A cursor over one account's storage or storage trie never leaves that account's prefix.
//! `next` on a fresh cursor gives the first entry; after the last one it stays at the end.

use crate::{
    StorageError, Table, View,
    codec::{Malformed, SlotValue, Value},
    keys,
};
use alloy_primitives::{B256, U256};
use alloy_trie::BranchNodeCompact;
use nybbles::Nibbles;
use rocksdb::{DBRawIterator, ReadOptions};
use std::fmt;
use weft_primitives::StoredAccount;

/// Read from a file at a time by walks over whole tables.
const SCAN_READAHEAD_BYTES: usize = 2 << 20;

impl View<'_> {
    /// All accounts after the head, by hashed address.
    pub fn hashed_accounts(&self) -> AccountCursor<'_> {
        AccountCursor(Walk::new(self, Table::HashedAccounts, &[]))
    }

    /// All slots of one account after the head, by hashed slot.
    pub fn hashed_storage(&self, hashed_address: B256) -> StorageCursor<'_> {
        StorageCursor(Walk::new(self, Table::HashedStorage, hashed_address.as_slice()))
    }

    /// Stored branch nodes of the account trie after the head.
    pub fn account_trie(&self) -> TrieCursor<'_> {
        TrieCursor(Walk::new(self, Table::AccountTrie, &[]))
    }

    /// Stored branch nodes of one account's storage trie after the head.
    pub fn storage_trie(&self, hashed_address: B256) -> TrieCursor<'_> {
        TrieCursor(Walk::new(self, Table::StorageTrie, hashed_address.as_slice()))
    }
}

impl View<'_> {
    /// All accounts after the head by hashed address, read past the block cache.
    pub fn all_accounts(&self) -> impl Iterator<Item = Result<(B256, StoredAccount), StorageError>> + '_ {
        Walk::scan(self, Table::HashedAccounts)
            .entries(|table, (key, account)| Ok((hash(table, key)?, account)))
    }

    /// Slots of all accounts after the head, read past the block cache: hashed address, hashed slot, value, by the first two. Also those
    /// that no account has, so that checks can find them.
    pub fn all_slots(&self) -> impl Iterator<Item = Result<(B256, B256, U256), StorageError>> + '_ {
        Walk::scan(self, Table::HashedStorage).entries(|table, (key, SlotValue(value))| {
            let (owner, slot) = owned(table, key)?;
            Ok((owner, hash(table, slot)?, value))
        })
    }

    /// Stored branch nodes of all storage tries after the head: hashed address, path, node, by the first two.
    pub fn all_storage_tries(
        &self,
    ) -> impl Iterator<Item = Result<(B256, Nibbles, BranchNodeCompact), StorageError>> + '_ {
        Walk::scan(self, Table::StorageTrie).entries(|table, (key, node)| {
            let (owner, suffix) = owned(table, key)?;
            Ok((owner, path(table, suffix)?, node))
        })
    }
}

/// Where a walk is.
#[derive(Debug)]
enum Place {
    /// Before its first entry.
    Start,
    /// At the iterator's entry.
    Entry,
    /// At this suffix, found without moving the iterator.
    Suffix(Vec<u8>),
    /// After its last entry.
    End,
}

/// The entries of a table under a prefix; keys are given without it.
struct Walk<'a> {
    view: &'a View<'a>,
    table: Table,
    prefix: Vec<u8>,
    iterator: DBRawIterator<'a>,
    place: Place,
}

impl fmt::Debug for Walk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk").field("table", &self.table).field("place", &self.place).finish_non_exhaustive()
    }
}

impl<'a> Walk<'a> {
    fn new(view: &'a View<'a>, table: Table, prefix: &[u8]) -> Self {
        let mut options = ReadOptions::default();
        if prefix.is_empty() {
            options.set_total_order_seek(true);
        } else {
            options.set_prefix_same_as_start(true);
            if let Some(end) = keys::after_prefix(prefix) {
                options.set_iterate_upper_bound(end);
            }
        }
        Self::with_options(view, table, prefix, options)
    }

    /// A whole table once: what is read stays out of the block cache, where the head has its own.
    fn scan(view: &'a View<'a>, table: Table) -> Self {
        let mut options = ReadOptions::default();
        options.set_total_order_seek(true);
        options.fill_cache(false);
        options.set_readahead_size(SCAN_READAHEAD_BYTES);
        Self::with_options(view, table, &[], options)
    }

    fn with_options(view: &'a View<'a>, table: Table, prefix: &[u8], options: ReadOptions) -> Self {
        let iterator = view.iterator(table, options);
        Self { view, table, prefix: prefix.to_vec(), iterator, place: Place::Start }
    }

    fn key(&self, suffix: &[u8]) -> Vec<u8> {
        [self.prefix.as_slice(), suffix].concat()
    }

    /// First entry at or after `suffix`.
    fn seek<V: Value>(&mut self, suffix: &[u8]) -> Result<Option<(&[u8], V)>, StorageError> {
        self.iterator.seek(self.key(suffix));
        self.entry()
    }

    fn next<V: Value>(&mut self) -> Result<Option<(&[u8], V)>, StorageError> {
        match std::mem::replace(&mut self.place, Place::End) {
            Place::Start => self.iterator.seek(&self.prefix),
            Place::Entry => self.iterator.next(),
            Place::Suffix(suffix) => {
                let key = self.key(&suffix);
                self.iterator.seek(&key);
                if self.iterator.key() == Some(&key) {
                    self.iterator.next();
                }
            }
            Place::End => return Ok(None),
        }
        self.entry()
    }

    /// The entry with exactly this suffix; a point read, which a filter can answer.
    fn exact<V: Value>(&mut self, suffix: &[u8]) -> Result<Option<V>, StorageError> {
        self.place = Place::Suffix(suffix.to_vec());
        self.view.value(self.table, &self.key(suffix))
    }

    fn entry<V: Value>(&mut self) -> Result<Option<(&[u8], V)>, StorageError> {
        self.place = Place::End;
        let Some((key, value)) = self.iterator.item() else {
            self.iterator.status().map_err(|error| self.view.inner.error(error))?;
            return Ok(None);
        };
        let Some(suffix) = key.strip_prefix(self.prefix.as_slice()) else { return Ok(None) };
        self.place = Place::Entry;
        let value =
            V::decode(value).map_err(|malformed| StorageError::corrupt(self.table, key, malformed))?;
        Ok(Some((suffix, value)))
    }

    fn hashed<V: Value>(table: Table, entry: Option<(&[u8], V)>) -> Result<Option<(B256, V)>, StorageError> {
        entry.map(|(suffix, value)| Ok((hash(table, suffix)?, value))).transpose()
    }

    fn path<V: Value>(table: Table, entry: Option<(&[u8], V)>) -> Result<Option<(Nibbles, V)>, StorageError> {
        entry.map(|(suffix, value)| Ok((path(table, suffix)?, value))).transpose()
    }

    /// All entries, read by `read`; nothing comes after an error.
    fn entries<V: Value, T>(
        mut self,
        read: impl Fn(Table, (&[u8], V)) -> Result<T, StorageError>,
    ) -> impl Iterator<Item = Result<T, StorageError>> {
        let mut done = false;
        std::iter::from_fn(move || {
            if done {
                return None;
            }
            let table = self.table;
            let entry =
                self.next().and_then(|entry| entry.map(|entry| read(table, entry)).transpose()).transpose();
            done = !matches!(entry, Some(Ok(_)));
            entry
        })
    }
}

/// The hashed address at the front of a key, and the rest.
fn owned(table: Table, key: &[u8]) -> Result<(B256, &[u8]), StorageError> {
    let (owner, suffix) = key
        .split_first_chunk()
        .ok_or_else(|| StorageError::corrupt(table, key, Malformed("key is shorter than a hash")))?;
    Ok((B256::new(*owner), suffix))
}

fn hash(table: Table, suffix: &[u8]) -> Result<B256, StorageError> {
    B256::try_from(suffix).map_err(|_| StorageError::corrupt(table, suffix, Malformed("key is not a hash")))
}

fn path(table: Table, suffix: &[u8]) -> Result<Nibbles, StorageError> {
    if suffix.len() > 64 || suffix.iter().any(|nibble| *nibble > 0xf) {
        return Err(StorageError::corrupt(table, suffix, Malformed("key is not a path")));
    }
    Ok(Nibbles::from_nibbles_unchecked(suffix))
}

/// Accounts by hashed address.
#[derive(Debug)]
pub struct AccountCursor<'a>(Walk<'a>);

impl AccountCursor<'_> {
    /// First entry at or after `key`.
    pub fn seek(&mut self, key: B256) -> Result<Option<(B256, StoredAccount)>, StorageError> {
        Walk::hashed(self.0.table, self.0.seek(key.as_slice())?)
    }

    /// The entry after the last one that was given.
    #[expect(clippy::should_implement_trait, reason = "cursors seek as well, and fail")]
    pub fn next(&mut self) -> Result<Option<(B256, StoredAccount)>, StorageError> {
        Walk::hashed(self.0.table, self.0.next()?)
    }
}

/// Slots of one account by hashed slot; values are never zero.
#[derive(Debug)]
pub struct StorageCursor<'a>(Walk<'a>);

impl StorageCursor<'_> {
    /// First entry at or after `key`.
    pub fn seek(&mut self, key: B256) -> Result<Option<(B256, U256)>, StorageError> {
        let entry = Walk::hashed::<SlotValue>(self.0.table, self.0.seek(key.as_slice())?)?;
        Ok(entry.map(|(slot, value)| (slot, value.0)))
    }

    /// The entry after the last one that was given.
    #[expect(clippy::should_implement_trait, reason = "cursors seek as well, and fail")]
    pub fn next(&mut self) -> Result<Option<(B256, U256)>, StorageError> {
        let entry = Walk::hashed::<SlotValue>(self.0.table, self.0.next()?)?;
        Ok(entry.map(|(slot, value)| (slot, value.0)))
    }
}

/// Branch nodes in path order (lexicographic by nibble, a prefix before its extensions).
#[derive(Debug)]
pub struct TrieCursor<'a>(Walk<'a>);

impl TrieCursor<'_> {
    /// The node at `path`; `next` goes on after it, whether it is there or not.
    pub fn seek_exact(&mut self, path: &Nibbles) -> Result<Option<BranchNodeCompact>, StorageError> {
        self.0.exact(&keys::trie(&[], path))
    }

    /// First node at or after `path`.
    pub fn seek(&mut self, path: &Nibbles) -> Result<Option<(Nibbles, BranchNodeCompact)>, StorageError> {
        Walk::path(self.0.table, self.0.seek(&keys::trie(&[], path))?)
    }

    /// The node after the last one that was given.
    #[expect(clippy::should_implement_trait, reason = "cursors seek as well, and fail")]
    pub fn next(&mut self) -> Result<Option<(Nibbles, BranchNodeCompact)>, StorageError> {
        Walk::path(self.0.table, self.0.next()?)
    }
}
