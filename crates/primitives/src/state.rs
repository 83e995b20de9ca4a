//! What a block (or a chain of pending blocks, or an unwind) changes in the hashed state and in its tries.

use crate::StoredAccount;
use alloy_primitives::{
    B256, U256,
    map::{B256Map, HashMap},
};
use alloy_trie::BranchNodeCompact;
use nybbles::Nibbles;

/// Changed leaves of the state, keyed by keccak of address and slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HashedPostState {
    /// The account after the change, `None` if it is gone. An account whose storage changes is
    /// always here too. Its `storage_root` is a placeholder until the trie has computed it.
    pub accounts: B256Map<Option<StoredAccount>>,
    /// Changed storage per account.
    pub storages: B256Map<HashedStorage>,
}

/// Changed storage of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HashedStorage {
    /// All slots that were there before are gone (self-destruct); `slots` apply after that.
    pub wiped: bool,
    /// The slot after the change; zero if it is gone.
    pub slots: B256Map<U256>,
}

impl HashedPostState {
    /// Applies `newer` on top of `self`.
    pub fn extend(&mut self, newer: Self) {
        self.accounts.extend(newer.accounts);
        for (address, storage) in newer.storages {
            let own = self.storages.entry(address).or_default();
            if storage.wiped {
                *own = storage;
            } else {
                own.slots.extend(storage.slots);
            }
        }
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.storages.is_empty()
    }
}

/// Changed branch nodes of the account trie and of storage tries, with the roots that came out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrieUpdates {
    /// Account trie nodes by path; `None` removes.
    pub account_nodes: HashMap<Nibbles, Option<BranchNodeCompact>>,
    /// Storage trie nodes by hashed address.
    pub storages: B256Map<StorageTrieUpdates>,
}

/// Changed branch nodes of one storage trie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageTrieUpdates {
    /// All nodes that were there before are gone; `nodes` apply after that.
    pub wiped: bool,
    /// Nodes by path; `None` removes.
    pub nodes: HashMap<Nibbles, Option<BranchNodeCompact>>,
    /// The new root, which storage writes into the account's record.
    pub root: B256,
}
