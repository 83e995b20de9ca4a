//! The state of block 0 as storage and trie take it, from a genesis file's `alloc`.

use alloy_genesis::Genesis;
use alloy_primitives::{Bytes, keccak256, map::B256Map};
use weft_primitives::{HashedPostState, HashedStorage, StoredAccount};

/// Leaves and code of block 0.
#[derive(Clone, Debug, Default)]
pub struct GenesisState {
    /// Accounts and storage by hashed key. Storage roots are filled in by the trie.
    pub state: HashedPostState,
    /// Contract code by its hash.
    pub code: B256Map<Bytes>,
}

impl GenesisState {
    pub(crate) fn new(genesis: &Genesis) -> Self {
        let mut out = Self::default();
        for (address, account) in &genesis.alloc {
            let hashed = keccak256(address);
            let mut leaf = StoredAccount {
                nonce: account.nonce.unwrap_or_default(),
                balance: account.balance,
                ..Default::default()
            };
            if let Some(code) = account.non_empty_code() {
                leaf.code_hash = keccak256(code);
                out.code.insert(leaf.code_hash, code.clone());
            }
            out.state.accounts.insert(hashed, Some(leaf));
            let slots: B256Map<_> = account
                .storage_slots()
                .filter(|(_, value)| !value.is_zero())
                .map(|(slot, value)| (keccak256(slot), value))
                .collect();
            if !slots.is_empty() {
                out.state.storages.insert(hashed, HashedStorage { wiped: false, slots });
            }
        }
        out
    }
}
