//! Changed leaves, sorted by key, as the walk consumes them: a slice that is cut ever narrower on the way down.

use alloy_primitives::{B256, U256};
use alloy_trie::EMPTY_ROOT_HASH;
use nybbles::Nibbles;
use weft_primitives::{HashedStorage, StoredAccount};

/// What happens to one leaf.
pub(crate) trait Change<V> {
    /// The leaf after the change, given the one before it.
    fn apply(&self, before: Option<V>) -> Option<V>;
}

/// Changed leaves in ascending key order, keys of 64 nibbles, each once.
pub(crate) type Changes<C> = Vec<(Nibbles, C)>;

/// Change of an account.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AccountChange {
    /// Only looked at, for a proof.
    Keep,
    /// Gone.
    Remove,
    /// Set. The account's own storage root is a placeholder: it is the given one when its storage changed,
    /// else that of the record it replaces.
    Set(StoredAccount, Option<B256>),
}

impl Change<StoredAccount> for AccountChange {
    fn apply(&self, before: Option<StoredAccount>) -> Option<StoredAccount> {
        match *self {
            Self::Keep => before,
            Self::Remove => None,
            Self::Set(account, storage_root) => {
                let storage_root =
                    storage_root.or(before.map(|record| record.storage_root)).unwrap_or(EMPTY_ROOT_HASH);
                Some(StoredAccount { storage_root, ..account })
            }
        }
    }
}

/// Change of a storage slot.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SlotChange {
    /// Only looked at, for a proof.
    Keep,
    /// Set; zero removes the leaf.
    Set(U256),
}

impl Change<U256> for SlotChange {
    fn apply(&self, before: Option<U256>) -> Option<U256> {
        match *self {
            Self::Keep => before,
            Self::Set(value) => (!value.is_zero()).then_some(value),
        }
    }
}

/// The changed slots of one account, sorted.
pub(crate) fn slot_changes(storage: &HashedStorage) -> Changes<SlotChange> {
    let mut changes: Changes<_> =
        storage.slots.iter().map(|(key, value)| (Nibbles::unpack(key), SlotChange::Set(*value))).collect();
    changes.sort_unstable_by_key(|(key, _)| *key);
    changes
}

/// Adds a mark for each key that nothing changes, so that the walk passes by there.
pub(crate) fn mark<C>(
    changes: &mut Changes<C>,
    keys: impl IntoIterator<Item = Nibbles>,
    keep: impl Fn() -> C,
) {
    for key in keys {
        if let Err(place) = changes.binary_search_by_key(&key, |(key, _)| *key) {
            changes.insert(place, (key, keep()));
        }
    }
}

/// Changes of some part of a trie.
pub(crate) type ChangeSlice<'c, C> = &'c [(Nibbles, C)];

/// Cuts the changes below `path` off the front of a slice whose keys are all at or after `path`.
pub(crate) fn split_prefix<'c, C>(
    changes: ChangeSlice<'c, C>,
    path: &Nibbles,
) -> (ChangeSlice<'c, C>, ChangeSlice<'c, C>) {
    // Almost always 0 or 1 entries lie below a deep path: look before searching.
    match changes.first() {
        Some((key, _)) if key.starts_with(path) => {
            changes.split_at(changes.partition_point(|(key, _)| key.starts_with(path)))
        }
        _ => changes.split_at(0),
    }
}
