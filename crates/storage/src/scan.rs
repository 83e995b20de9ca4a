//! The whole state after a block that may lie below the head, in key order and bounded memory.
//!
//! The current tables hold the state after the head. Where blocks above the wanted one changed a key, the
//! histories hold what it was; which keys those are, the change sets say. So a scan walks a current table and the
//! sorted changed keys side by side, and takes a changed key's value from history. A snapshot calls this while
//! blocks are added: everything is read through one view, past the block cache, so that the head keeps its own.

use crate::{KeySorter, SortOptions, SortedKeys, StorageError, View, keys};
use alloy_primitives::{B256, BlockNumber, U256};
use std::ops::RangeInclusive;
use weft_primitives::StoredAccount;

/// Keys that a range of blocks changed: 32 bytes of hashed address, 64 of hashed address and hashed slot.
#[derive(Debug)]
pub struct ChangedKeys {
    /// Hashed addresses.
    pub accounts: SortedKeys<32>,
    /// Hashed address and hashed slot.
    pub slots: SortedKeys<64>,
}

impl ChangedKeys {
    /// No block, no change.
    pub fn none() -> Self {
        Self { accounts: SortedKeys::empty(), slots: SortedKeys::empty() }
    }
}

impl View<'_> {
    /// Keys that the blocks of `range` changed, each once. [`StorageError::TooFar`] when there are more than
    /// `options` allows; [`StorageError::MissingBlock`] above the head.
    pub fn changed_keys(
        &self,
        range: RangeInclusive<BlockNumber>,
        options: &SortOptions,
    ) -> Result<ChangedKeys, StorageError> {
        let head = self.head()?.number;
        if *range.end() > head {
            return Err(StorageError::MissingBlock(*range.end()));
        }
        let too_far = |error| match error {
            StorageError::TooManyKeys { bytes_max } => {
                StorageError::TooFar { first: *range.start(), last: *range.end(), bytes_max }
            }
            other => other,
        };
        let mut accounts = KeySorter::new(options.clone());
        let mut slots = KeySorter::new(options.clone());
        for number in range.clone() {
            let changes = self.change_set(number)?;
            changes.accounts.iter().try_for_each(|address| accounts.push(address.0)).map_err(too_far)?;
            for storage in changes.storages {
                for slot in storage.slots {
                    slots.push(keys::slot(storage.account, slot)).map_err(too_far)?;
                }
            }
        }
        Ok(ChangedKeys { accounts: accounts.finish()?, slots: slots.finish()? })
    }

    /// All accounts after block `number`, by hashed address; `changed` are the accounts that blocks above it changed.
    pub fn accounts_at(
        &self,
        number: BlockNumber,
        changed: SortedKeys<32>,
    ) -> Result<impl Iterator<Item = Result<(B256, StoredAccount), StorageError>> + '_, StorageError> {
        let state = self.state_at(number)?;
        let current = self.all_accounts().map(|entry| entry.map(|(key, account)| (key.0, account)));
        let before = move |key: &[u8; 32]| state.account(B256::new(*key));
        Ok(merge(current, changed, before).map(|entry| entry.map(|(key, account)| (B256::new(key), account))))
    }

    /// All slots after block `number`: hashed address, hashed slot, value, by the first two; `changed` are the slots that
    /// blocks above it changed.
    pub fn slots_at(
        &self,
        number: BlockNumber,
        changed: SortedKeys<64>,
    ) -> Result<impl Iterator<Item = Result<(B256, B256, U256), StorageError>> + '_, StorageError> {
        let state = self.state_at(number)?;
        let current = self
            .all_slots()
            .map(|entry| entry.map(|(address, slot, value)| (keys::slot(address, slot), value)));
        let before = move |key: &[u8; 64]| {
            let (address, slot) = split_slot(key);
            state.storage(address, slot).map(|value| (!value.is_zero()).then_some(value))
        };
        Ok(merge(current, changed, before).map(|entry| {
            entry.map(|(key, value)| {
                let (address, slot) = split_slot(&key);
                (address, slot, value)
            })
        }))
    }
}

/// Hashed address and hashed slot of a key.
pub fn split_slot(key: &[u8; 64]) -> (B256, B256) {
    (B256::from_slice(&key[..32]), B256::from_slice(&key[32..]))
}

/// Entries of `current`, with those under a changed key replaced by what `before` gives for it. Nothing
/// comes after an error.
fn merge<const N: usize, V>(
    current: impl Iterator<Item = Result<([u8; N], V), StorageError>>,
    changed: SortedKeys<N>,
    before: impl Fn(&[u8; N]) -> Result<Option<V>, StorageError>,
) -> impl Iterator<Item = Result<([u8; N], V), StorageError>> {
    let (mut current, mut changed, mut done) = (current.peekable(), changed.peekable(), false);
    let mut step = move || -> Result<Option<([u8; N], V)>, StorageError> {
        loop {
            let changed_first = match (current.peek(), changed.peek()) {
                (Some(Ok((here, _))), Some(Ok(key))) => key <= here,
                (Some(Err(_)), _) | (_, None) => false,
                (_, Some(_)) => true,
            };
            if !changed_first {
                return current.next().transpose();
            }
            let Some(key) = changed.next().transpose()? else { return Ok(None) };
            // What the head has under this key is not of the wanted block.
            current.next_if(|entry| matches!(entry, Ok((here, _)) if *here == key)).transpose()?;
            if let Some(value) = before(&key)? {
                return Ok(Some((key, value)));
            }
        }
    };
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        let entry = step().transpose();
        done = !matches!(entry, Some(Ok(_)));
        entry
    })
}
