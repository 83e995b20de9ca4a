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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Pool, PoolConfig, PoolError,
        testing::{address, transfer},
    };
    use alloy_primitives::{Bytes, keccak256, map::B256Map};
    use std::sync::Arc;
    use weft_chainspec::ChainSpec;
    use weft_primitives::{HashedPostState, StoredAccount, TrieUpdates};
    use weft_storage::StoreOptions;

    /// A store whose genesis has key 1 funded, key 2 as a contract, key 3 delegated.
    fn store(folder: &std::path::Path) -> Store {
        let store = Store::open(folder, StoreOptions::default()).unwrap();
        let mut delegation = DELEGATION_PREFIX.to_vec();
        delegation.extend([7; 20]);
        let codes = [Bytes::new(), Bytes::from_static(&[0xef, 1]), Bytes::from(delegation)];
        let (mut state, mut code) = (HashedPostState::default(), B256Map::default());
        for (key, bytes) in (1..).zip(codes) {
            let code_hash = keccak256(&bytes);
            let account = StoredAccount {
                nonce: key,
                balance: U256::from(1u128 << 80),
                code_hash,
                ..Default::default()
            };
            state.accounts.insert(keccak256(address(key)), Some(account));
            if !bytes.is_empty() {
                code.insert(code_hash, bytes);
            }
        }
        store
            .commit_genesis(ChainSpec::dev().genesis_header(), &state, &code, &TrieUpdates::default())
            .unwrap();
        store
    }

    #[test]
    fn accounts_come_from_the_head() {
        let folder = tempfile::tempdir().unwrap();
        let accounts =
            store(folder.path()).accounts(&[address(3), address(9), address(1), address(2)]).unwrap();
        assert_eq!(accounts.iter().map(|account| account.nonce).collect::<Vec<_>>(), [3, 0, 1, 2]);
        let kinds: Vec<_> =
            accounts.iter().map(|account| (account.is_contract(), account.delegated)).collect();
        assert_eq!(kinds, [(false, true), (false, false), (false, false), (true, false)]);
        assert_eq!(accounts[1], Account::default());
    }

    #[tokio::test]
    async fn a_pool_over_a_store_judges_by_it() {
        let folder = tempfile::tempdir().unwrap();
        let pool =
            Pool::new(Arc::new(ChainSpec::dev()), store(folder.path()), PoolConfig::default()).unwrap();
        pool.submit(transfer(1, 1).raw()).await.unwrap();
        pool.submit(transfer(3, 3).raw()).await.unwrap();
        let refused = pool.submit(transfer(2, 2).raw()).await.unwrap_err();
        assert!(matches!(refused, PoolError::SenderNotEoa { .. }), "{refused}");
        assert_eq!(pool.submit(transfer(9, 0).raw()).await.unwrap_err().reason(), "funds");
    }

    #[test]
    fn a_pool_over_an_empty_store_starts_at_genesis() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
        assert!(Pool::new(Arc::new(ChainSpec::dev()), store, PoolConfig::default()).is_ok());
    }
}
