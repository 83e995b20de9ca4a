//! What the pool has to know of an account, and where it reads it.

use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use weft_storage::{StorageError, Store};

/// First bytes of the code of a delegated account (EIP-7702), before the 20 bytes of the delegate.
const DELEGATION_PREFIX: [u8; 3] = [0xef, 0x01, 0x00];
/// Length of such code in bytes.
const DELEGATION_BYTES: usize = 23;

/// An account at the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub nonce: u64,
    /// Wei.
    pub balance: U256,
    pub code_hash: B256,
    /// Its code is a delegation, so it may still send (EIP-7702).
    pub delegated: bool,
}

impl Default for Account {
    fn default() -> Self {
        Self { nonce: 0, balance: U256::ZERO, code_hash: KECCAK256_EMPTY, delegated: false }
    }
}

impl Account {
    /// Whether it is a contract, which may not send transactions (EIP-3607).
    pub(crate) fn is_contract(&self) -> bool {
        self.code_hash != KECCAK256_EMPTY && !self.delegated
    }
}

/// Source of accounts at the head: the store, or a map in tests.
pub(crate) trait Accounts: Send + Sync + 'static {
    /// The accounts at one moment, in the order of the addresses; what does not exist is empty.
    fn accounts(&self, addresses: &[Address]) -> Result<Vec<Account>, StorageError>;
}

impl Accounts for Store {
    fn accounts(&self, addresses: &[Address]) -> Result<Vec<Account>, StorageError> {
        let view = self.view();
        let state = view.state_at(view.head()?.number)?;
        let read = |address: &Address| {
            let Some(account) = state.account_of(*address)? else { return Ok(Account::default()) };
            let delegated = account.has_code()
                && view.code(account.code_hash)?.is_some_and(|code| {
                    code.len() == DELEGATION_BYTES && code.starts_with(&DELEGATION_PREFIX)
                });
            Ok(Account {
                nonce: account.nonce,
                balance: account.balance,
                code_hash: account.code_hash,
                delegated,
            })
        };
        addresses.iter().map(read).collect()
    }
}
