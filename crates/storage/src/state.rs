//! State after any canonical block.
//!
//! The current tables hold the state after the head. The histories hold, under `key ‖ block`, the
//! value before that block. So the value after block n is the first history entry of the key at or
//! above n + 1, and the current value where there is none: one seek for any height.

use crate::{
    StorageError, Table, View,
    codec::{ChangeSet, Malformed, Previous, SlotValue, Value},
    keys,
};
use alloy_primitives::{Address, B256, BlockNumber, U256, keccak256};
use revm::{DatabaseRef, bytecode::Bytecode, state::AccountInfo};
use rocksdb::ReadOptions;
use std::collections::hash_map::Entry;
use weft_primitives::{HashedPostState, StoredAccount};

impl View<'_> {
    /// State after block `number`; [`StorageError::MissingBlock`] above the head,
    /// [`StorageError::StateNotKept`] below the block that the database was restored at.
    pub fn state_at(&self, number: BlockNumber) -> Result<StateReader<'_>, StorageError> {
        let head = self.head()?.number;
        if number > head {
            return Err(StorageError::MissingBlock(number));
        }
        self.check_state_kept(number)?;
        Ok(StateReader { view: self, number, is_head: number == head })
    }

    /// What turns the head's state into that after `target`: the previous values of all blocks
    /// above it, the oldest of each key. Storage is never marked as wiped: every slot is named.
    /// Memory: all keys that changed since, 100 bytes a piece.
    pub fn revert_state(&self, target: BlockNumber) -> Result<HashedPostState, StorageError> {
        // A key is more than a byte: there are never so many.
        Ok(self.revert_state_within(target, usize::MAX)?.unwrap_or_default())
    }

    /// [`revert_state`](Self::revert_state) of at most `keys_max` accounts and slots; `None` when more have changed
    /// since. On the way there are as many keys as the largest single block has changed, beyond that bound.
    pub fn revert_state_within(
        &self,
        target: BlockNumber,
        keys_max: usize,
    ) -> Result<Option<HashedPostState>, StorageError> {
        let head = self.head()?.number;
        if target > head {
            return Err(StorageError::MissingBlock(target));
        }
        self.check_state_kept(target)?;
        let mut revert = HashedPostState::default();
        let mut slots_known = 0;
        for number in target + 1..=head {
            if revert.accounts.len() + slots_known > keys_max {
                return Ok(None);
            }
            let changes = self.change_set(number)?;
            for address in changes.accounts {
                if let Entry::Vacant(entry) = revert.accounts.entry(address) {
                    entry.insert(self.account_before(address, number)?);
                }
            }
            for storage in changes.storages {
                let slots = &mut revert.storages.entry(storage.account).or_default().slots;
                for slot in storage.slots {
                    if let Entry::Vacant(entry) = slots.entry(slot) {
                        entry.insert(self.slot_before(storage.account, slot, number)?);
                        slots_known += 1;
                    }
                }
            }
        }
        Ok((revert.accounts.len() + slots_known <= keys_max).then_some(revert))
    }

    pub(crate) fn change_set(&self, number: BlockNumber) -> Result<ChangeSet, StorageError> {
        let key = keys::number(number);
        self.value(Table::ChangeSets, &key)?.ok_or_else(|| {
            StorageError::corrupt(
                Table::ChangeSets,
                &key,
                Malformed("change set of a canonical block is missing"),
            )
        })
    }

    pub(crate) fn account_before(
        &self,
        address: B256,
        block: BlockNumber,
    ) -> Result<Option<StoredAccount>, StorageError> {
        let key = keys::account_history(address, block);
        let previous: Option<Previous> = self.value(Table::AccountHistory, &key)?;
        previous.map(|previous| previous.0).ok_or_else(|| missing_history(Table::AccountHistory, &key))
    }

    pub(crate) fn slot_before(
        &self,
        address: B256,
        slot: B256,
        block: BlockNumber,
    ) -> Result<U256, StorageError> {
        let key = keys::storage_history(address, slot, block);
        let previous: Option<SlotValue> = self.value(Table::StorageHistory, &key)?;
        previous.map(|previous| previous.0).ok_or_else(|| missing_history(Table::StorageHistory, &key))
    }

    /// The first history entry at or after `key` that shares its first `prefix_bytes`.
    fn first_history<V: Value>(
        &self,
        table: Table,
        key: &[u8],
        prefix_bytes: usize,
    ) -> Result<Option<V>, StorageError> {
        let prefix = &key[..prefix_bytes];
        let mut options = ReadOptions::default();
        options.set_prefix_same_as_start(true);
        if let Some(end) = keys::after_prefix(prefix) {
            options.set_iterate_upper_bound(end);
        }
        let mut iterator = self.iterator(table, options);
        iterator.seek(key);
        match iterator.item() {
            Some((found, value)) if found.starts_with(prefix) => {
                V::decode(value).map(Some).map_err(|malformed| StorageError::corrupt(table, found, malformed))
            }
            Some(_) => Ok(None),
            None => iterator.status().map(|()| None).map_err(|error| self.inner.error(error)),
        }
    }
}

fn missing_history(table: Table, key: &[u8]) -> StorageError {
    StorageError::corrupt(table, key, Malformed("previous value that a change set names is missing"))
}

/// State after one block, read by hashed key; addresses and slots are hashed here.
#[derive(Clone, Copy, Debug)]
pub struct StateReader<'a> {
    view: &'a View<'a>,
    number: BlockNumber,
    is_head: bool,
}

impl StateReader<'_> {
    /// The block after which this is the state.
    pub fn number(&self) -> BlockNumber {
        self.number
    }

    /// An account by hashed address.
    pub fn account(&self, hashed_address: B256) -> Result<Option<StoredAccount>, StorageError> {
        if !self.is_head {
            let key = keys::account_history(hashed_address, self.number + 1);
            let previous: Option<Previous> =
                self.view.first_history(Table::AccountHistory, &key, keys::ADDRESS_KEY_BYTES)?;
            if let Some(previous) = previous {
                return Ok(previous.0);
            }
        }
        self.view.value(Table::HashedAccounts, hashed_address.as_slice())
    }

    /// A slot by hashed address and hashed slot; zero where nothing is.
    pub fn storage(&self, hashed_address: B256, hashed_slot: B256) -> Result<U256, StorageError> {
        if !self.is_head {
            let key = keys::storage_history(hashed_address, hashed_slot, self.number + 1);
            let previous: Option<SlotValue> =
                self.view.first_history(Table::StorageHistory, &key, keys::SLOT_KEY_BYTES)?;
            if let Some(previous) = previous {
                return Ok(previous.0);
            }
        }
        let value: Option<SlotValue> =
            self.view.value(Table::HashedStorage, &keys::slot(hashed_address, hashed_slot))?;
        Ok(value.map_or(U256::ZERO, |value| value.0))
    }

    /// An account by address.
    pub fn account_of(&self, address: Address) -> Result<Option<StoredAccount>, StorageError> {
        self.account(keccak256(address))
    }

    /// A slot by address and slot.
    pub fn storage_of(&self, address: Address, slot: U256) -> Result<U256, StorageError> {
        self.storage(keccak256(address), keccak256(B256::from(slot)))
    }
}

impl DatabaseRef for StateReader<'_> {
    type Error = StorageError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StorageError> {
        Ok(self.account_of(address)?.map(|account| {
            // EIP-7610: storage without code and nonce is told to the EVM by a zero code hash.
            let storage_only = account.nonce == 0 && !account.has_code() && account.has_storage();
            AccountInfo {
                balance: account.balance,
                nonce: account.nonce,
                code_hash: if storage_only { B256::ZERO } else { account.code_hash },
                account_id: None,
                code: None,
            }
        }))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, StorageError> {
        if code_hash == alloy_consensus::constants::KECCAK_EMPTY || code_hash.is_zero() {
            return Ok(Bytecode::default());
        }
        let code = self.view.code(code_hash)?.ok_or(StorageError::MissingCode(code_hash))?;
        Bytecode::new_raw_checked(code).map_err(|_| {
            StorageError::corrupt(
                Table::Code,
                code_hash.as_slice(),
                Malformed("delegation of a wrong length"),
            )
        })
    }

    fn storage_ref(&self, address: Address, index: U256) -> Result<U256, StorageError> {
        self.storage_of(address, index)
    }

    /// Hash of a canonical block up to this state's; zero above it, where there is none yet.
    fn block_hash_ref(&self, number: BlockNumber) -> Result<B256, StorageError> {
        if number > self.number {
            return Ok(B256::ZERO);
        }
        self.view.canonical_hash(number)?.ok_or(StorageError::MissingBlock(number))
    }
}
