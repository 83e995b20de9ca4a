//! Writing changed leaves and trie nodes into a batch, with their previous values as history.
//!
//! Called by commits (which keep history) and unwinds (which do not), always under the writer's
//! lock, so what the view reads is what the batch replaces. Memory: the changed keys with their old
//! values; for a self-destruct all slots of the account.

use crate::{
    StorageError, Table, View,
    codec::{ChangeSet, ChangedStorage, Previous, SlotValue, Value},
    keys,
    store::Inner,
    types::HashedKey,
};
use alloy_consensus::constants::EMPTY_ROOT_HASH;
use alloy_primitives::{B256, BlockNumber, U256, map::HashMap};
use alloy_trie::BranchNodeCompact;
use nybbles::Nibbles;
use rocksdb::{ReadOptions, WriteBatch};
use std::collections::BTreeMap;
use weft_primitives::{HashedPostState, HashedStorage, StorageTrieUpdates, StoredAccount, TrieUpdates};

/// Keys looked up at a time.
const LOOKUP_KEYS: usize = 1024;

/// Where an account's storage root comes from when the trie did not compute one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Roots {
    /// A block was executed: the root in the record is a placeholder, the previous one stands.
    Keep,
    /// Previous values are restored: their roots are theirs.
    Restore,
}

/// Puts leaves and nodes into `batch`. With a block number, notes previous values under it and
/// returns which keys changed; values that stay the same are left out.
pub(crate) fn write_state(
    view: &View<'_>,
    batch: &mut WriteBatch,
    state: &HashedPostState,
    trie: &TrieUpdates,
    roots: Roots,
    history: Option<BlockNumber>,
) -> Result<ChangeSet, StorageError> {
    let mut writer = Writer { view, batch, history, changes: ChangeSet::default() };
    writer.accounts(state, trie, roots)?;
    let mut storages: Vec<_> = state.storages.iter().collect();
    storages.sort_unstable_by_key(|(address, _)| **address);
    for (address, storage) in storages {
        writer.storage(*address, storage)?;
    }
    writer.nodes(Table::AccountTrie, &[], &trie.account_nodes);
    for (address, updates) in &trie.storages {
        writer.storage_trie(*address, updates)?;
    }
    Ok(writer.changes)
}

struct Writer<'a> {
    view: &'a View<'a>,
    batch: &'a mut WriteBatch,
    history: Option<BlockNumber>,
    changes: ChangeSet,
}

impl Writer<'_> {
    fn inner(&self) -> &Inner {
        self.view.inner
    }

    /// Changed accounts, and those of which only the storage root changed.
    fn accounts(
        &mut self,
        state: &HashedPostState,
        trie: &TrieUpdates,
        roots: Roots,
    ) -> Result<(), StorageError> {
        let mut addresses: Vec<HashedKey> =
            state.accounts.keys().chain(trie.storages.keys()).copied().collect();
        addresses.sort_unstable();
        addresses.dedup();
        for some in addresses.chunks(LOOKUP_KEYS) {
            let previous = lookup::<StoredAccount, _>(self.inner(), Table::HashedAccounts, some)?;
            for (address, previous) in some.iter().zip(previous) {
                let new = match state.accounts.get(address) {
                    Some(new) => *new,
                    None => previous,
                };
                let new = new.map(|account| StoredAccount {
                    storage_root: storage_root(address, &account, previous.as_ref(), state, trie, roots),
                    ..account
                });
                if new != previous {
                    self.account(*address, previous, new);
                }
            }
        }
        Ok(())
    }

    fn account(&mut self, address: B256, previous: Option<StoredAccount>, new: Option<StoredAccount>) {
        let family = self.view.inner.table(Table::HashedAccounts);
        match new {
            Some(account) => self.batch.put_cf(family, address, account.to_bytes()),
            None => self.batch.delete_cf(family, address),
        }
        if let Some(block) = self.history {
            let family = self.view.inner.table(Table::AccountHistory);
            self.batch.put_cf(family, keys::account_history(address, block), Previous(previous).to_bytes());
            self.changes.accounts.push(address);
        }
    }

    fn storage(&mut self, address: B256, storage: &HashedStorage) -> Result<(), StorageError> {
        // Ascending, with the value after the change; what a wipe removes first, then what is set.
        let mut after: BTreeMap<HashedKey, U256> = BTreeMap::new();
        if storage.wiped {
            let mut cursor = self.view.hashed_storage(address);
            while let Some((slot, _)) = cursor.next()? {
                after.insert(slot, U256::ZERO);
            }
        }
        after.extend(&storage.slots);
        let slots: Vec<(HashedKey, U256)> = after.into_iter().collect();
        let mut changed = Vec::new();
        for some in slots.chunks(LOOKUP_KEYS) {
            let some_keys: Vec<_> = some.iter().map(|(slot, _)| keys::slot(address, *slot)).collect();
            let previous = lookup::<SlotValue, _>(self.inner(), Table::HashedStorage, &some_keys)?;
            for (((slot, new), key), previous) in some.iter().zip(some_keys).zip(previous) {
                let previous = previous.unwrap_or(SlotValue(U256::ZERO));
                if previous.0 == *new {
                    continue;
                }
                let family = self.view.inner.table(Table::HashedStorage);
                if new.is_zero() {
                    self.batch.delete_cf(family, key);
                } else {
                    self.batch.put_cf(family, key, SlotValue(*new).to_bytes());
                }
                if let Some(block) = self.history {
                    let family = self.view.inner.table(Table::StorageHistory);
                    self.batch.put_cf(
                        family,
                        keys::storage_history(address, *slot, block),
                        previous.to_bytes(),
                    );
                    changed.push(*slot);
                }
            }
        }
        if !changed.is_empty() {
            self.changes.storages.push(ChangedStorage { account: address, slots: changed });
        }
        Ok(())
    }

    fn storage_trie(&mut self, address: B256, updates: &StorageTrieUpdates) -> Result<(), StorageError> {
        if updates.wiped {
            let prefix = address.as_slice();
            let mut options = ReadOptions::default();
            options.set_prefix_same_as_start(true);
            if let Some(end) = keys::after_prefix(prefix) {
                options.set_iterate_upper_bound(end);
            }
            let mut iterator = self.view.iterator(Table::StorageTrie, options);
            iterator.seek(prefix);
            while let Some(key) = iterator.key() {
                self.batch.delete_cf(self.view.inner.table(Table::StorageTrie), key);
                iterator.next();
            }
            iterator.status().map_err(|error| self.inner().error(error))?;
        }
        self.nodes(Table::StorageTrie, address.as_slice(), &updates.nodes);
        Ok(())
    }

    fn nodes(&mut self, table: Table, prefix: &[u8], nodes: &HashMap<Nibbles, Option<BranchNodeCompact>>) {
        let family = self.view.inner.table(table);
        for (path, node) in nodes {
            let key = keys::trie(prefix, path);
            match node {
                Some(node) => self.batch.put_cf(family, key, node.to_bytes()),
                None => self.batch.delete_cf(family, key),
            }
        }
    }
}

fn storage_root(
    address: &B256,
    account: &StoredAccount,
    previous: Option<&StoredAccount>,
    state: &HashedPostState,
    trie: &TrieUpdates,
    roots: Roots,
) -> B256 {
    if let Some(updates) = trie.storages.get(address) {
        return updates.root;
    }
    match roots {
        Roots::Restore => account.storage_root,
        Roots::Keep if state.storages.get(address).is_some_and(|storage| storage.wiped) => EMPTY_ROOT_HASH,
        Roots::Keep => previous.map_or(EMPTY_ROOT_HASH, |previous| previous.storage_root),
    }
}

/// Current values under ascending keys.
fn lookup<V: Value, K: AsRef<[u8]>>(
    inner: &Inner,
    table: Table,
    sorted_keys: &[K],
) -> Result<Vec<Option<V>>, StorageError> {
    let found = inner.db.batched_multi_get_cf(inner.table(table), sorted_keys, true);
    let mut values = Vec::with_capacity(found.len());
    for (key, value) in sorted_keys.iter().zip(found) {
        let value = value.map_err(|error| inner.error(error))?;
        let decoded = value.map(|bytes| V::decode(&bytes)).transpose();
        values.push(decoded.map_err(|malformed| StorageError::corrupt(table, key.as_ref(), malformed))?);
    }
    Ok(values)
}
