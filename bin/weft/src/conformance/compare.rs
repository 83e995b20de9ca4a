//! The state in the database against the one that a case names: every account, slot and code, and nothing besides.

use super::fixture::{Account, Case};
use alloy_primitives::{Address, B256, U256, keccak256};
use std::collections::BTreeMap;
use weft_storage::{StorageError, View};
use weft_trie::TrieError;

/// The state is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum Difference {
    /// Another root in the head's header.
    #[error("state root is {have}, must be {want}")]
    Root {
        /// The header's.
        have: B256,
        /// The case's, or the one that the leaves in the database give.
        want: B256,
    },
    /// An account is missing.
    #[error("account {0} is missing")]
    Missing(Address),
    /// There are accounts that should not be.
    #[error("{have} accounts, must be {want}")]
    Accounts {
        /// In the database.
        have: usize,
        /// In the case.
        want: usize,
    },
    /// A field of an account differs.
    #[error("account {address}: {what}")]
    Field {
        /// Whose.
        address: Address,
        /// Which, what it is and what it must be.
        what: String,
    },
    /// Reading failed.
    #[error("storage: {0:?}")]
    Storage(#[from] StorageError),
    /// Rebuilding the root failed.
    #[error("trie: {0:?}")]
    Trie(#[from] TrieError),
}

/// Compares the head's state with the case's, and the header's root with one rebuilt from the leaves alone.
pub fn state(view: &View<'_>, case: &Case) -> Result<(), Difference> {
    let head = view.head()?;
    let header = view.header(head.number)?.ok_or(StorageError::MissingBlock(head.number))?;
    let rebuilt = weft_trie::state_root_from_leaves(view)?;
    for want in case.post_state_hash.into_iter().chain([rebuilt]) {
        if header.state_root != want {
            return Err(Difference::Root { have: header.state_root, want });
        }
    }
    match &case.post_state {
        Some(post) => accounts(view, post),
        None => Ok(()),
    }
}

fn accounts(view: &View<'_>, post: &BTreeMap<Address, Account>) -> Result<(), Difference> {
    let mut cursor = view.hashed_accounts();
    let mut have = 0;
    let mut entry = cursor.seek(B256::ZERO)?;
    while entry.is_some() {
        have += 1;
        entry = cursor.next()?;
    }
    for (address, want) in post {
        account(view, *address, want)?;
    }
    if have == post.len() { Ok(()) } else { Err(Difference::Accounts { have, want: post.len() }) }
}

fn account(view: &View<'_>, address: Address, want: &Account) -> Result<(), Difference> {
    let state = view.state_at(view.head()?.number)?;
    let have = state.account_of(address)?.ok_or(Difference::Missing(address))?;
    let same = |field: &str, have: U256, want: U256| match have == want {
        true => Ok(()),
        false => Err(Difference::Field { address, what: format!("{field} is {have}, must be {want}") }),
    };
    same("balance", have.balance, want.balance)?;
    same("nonce", U256::from(have.nonce), want.nonce)?;
    let code =
        if have.has_code() { view.code(have.code_hash)?.unwrap_or_default() } else { Default::default() };
    if code != want.code {
        let what = format!("code is {code}, must be {}", want.code);
        return Err(Difference::Field { address, what });
    }
    let set: BTreeMap<_, _> = want.storage.iter().filter(|(_, value)| !value.is_zero()).collect();
    for (slot, value) in &set {
        same(&format!("slot {slot:#x}"), state.storage_of(address, **slot)?, **value)?;
    }
    let mut cursor = view.hashed_storage(keccak256(address));
    let mut slots = 0usize;
    let mut entry = cursor.seek(B256::ZERO)?;
    while entry.is_some() {
        slots += 1;
        entry = cursor.next()?;
    }
    same("number of slots", U256::from(slots), U256::from(set.len()))
}
