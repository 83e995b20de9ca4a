//! State of a block that is not (or not yet) in the database: the branch's changes over a canonical ancestor.
//!
//! Execution and payload building read through it. A lookup asks the branch's blocks from newest to
//! oldest, then storage; nothing is merged or copied. The cost of a lookup grows with the length of
//! the branch, which [`EngineConfig::side_blocks_max`](crate::EngineConfig) bounds.

use crate::tree::ExecutedBlock;
use alloy_primitives::{Address, B256, U256, keccak256};
use revm::{DatabaseRef, state::AccountInfo, state::Bytecode};
use std::sync::Arc;
use weft_primitives::StoredAccount;
use weft_storage::{StateReader, StorageError};

/// State after the newest of `branch`, or after the reader's block when the branch is empty.
#[derive(Debug)]
pub(crate) struct Overlay<'a> {
    /// Newest first; the oldest one's parent is the reader's block.
    branch: &'a [Arc<ExecutedBlock>],
    base: StateReader<'a>,
}

impl<'a> Overlay<'a> {
    pub(crate) fn new(branch: &'a [Arc<ExecutedBlock>], base: StateReader<'a>) -> Self {
        Self { branch, base }
    }

    fn account(&self, key: B256) -> Result<Option<StoredAccount>, StorageError> {
        match self.branch.iter().find_map(|block| block.state.post.accounts.get(&key)) {
            Some(account) => Ok(*account),
            None => self.base.account(key),
        }
    }

    fn slot(&self, address: B256, slot: B256) -> Result<U256, StorageError> {
        for block in self.branch {
            if let Some(storage) = block.state.post.storages.get(&address) {
                if let Some(value) = storage.slots.get(&slot) {
                    return Ok(*value);
                }
                if storage.wiped {
                    return Ok(U256::ZERO);
                }
            }
        }
        self.base.storage(address, slot)
    }
}

impl Overlay<'_> {
    /// Whether an account has storage. Exact but for an account of which the branch cleared every slot.
    fn has_storage(&self, key: B256) -> Result<bool, StorageError> {
        for block in self.branch {
            if let Some(storage) = block.state.post.storages.get(&key) {
                if storage.slots.values().any(|value| !value.is_zero()) {
                    return Ok(true);
                }
                if storage.wiped {
                    return Ok(false);
                }
            }
        }
        Ok(self.base.account(key)?.is_some_and(|account| account.has_storage()))
    }
}

impl DatabaseRef for Overlay<'_> {
    type Error = StorageError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StorageError> {
        let key = keccak256(address);
        let Some(account) = self.account(key)? else { return Ok(None) };
        let mut code_hash = account.code_hash;
        // EIP-7610: a contract cannot be created where storage is. The EVM reads that from a zero hash.
        if account.nonce == 0 && !account.has_code() && self.has_storage(key)? {
            code_hash = B256::ZERO;
        }
        Ok(Some(AccountInfo {
            nonce: account.nonce,
            balance: account.balance,
            code_hash,
            account_id: None,
            code: None,
        }))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, StorageError> {
        match self.branch.iter().find_map(|block| block.state.code.get(&code_hash)) {
            Some(code) => Ok(Bytecode::new_raw(code.clone())),
            None => self.base.code_by_hash_ref(code_hash),
        }
    }

    fn storage_ref(&self, address: Address, index: U256) -> Result<U256, StorageError> {
        self.slot(keccak256(address), keccak256(B256::from(index)))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StorageError> {
        match self.branch.iter().find(|block| block.number() == number) {
            Some(block) => Ok(block.hash()),
            None => self.base.block_hash_ref(number),
        }
    }
}
