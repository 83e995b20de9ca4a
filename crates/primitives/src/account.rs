//! An account as the state trie's leaf and the hashed-account table hold it.

use alloy_consensus::constants::{EMPTY_ROOT_HASH, KECCAK_EMPTY};
use alloy_primitives::{B256, U256};
use alloy_rlp::{RlpDecodable, RlpEncodable};

/// An account with its storage root, so that no walk has to look for it; its RLP is the trie leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct StoredAccount {
    /// Transactions sent, or contracts created.
    pub nonce: u64,
    /// Wei.
    pub balance: U256,
    /// Root of the account's storage trie.
    pub storage_root: B256,
    /// Keccak of the code.
    pub code_hash: B256,
}

impl Default for StoredAccount {
    fn default() -> Self {
        Self { nonce: 0, balance: U256::ZERO, storage_root: EMPTY_ROOT_HASH, code_hash: KECCAK_EMPTY }
    }
}

impl StoredAccount {
    /// Whether any storage slot is set.
    pub fn has_storage(&self) -> bool {
        self.storage_root != EMPTY_ROOT_HASH
    }

    /// Whether there is code.
    pub fn has_code(&self) -> bool {
        self.code_hash != KECCAK_EMPTY
    }
}
