//! SKELETON: incremental Merkle Patricia roots and proofs over storage's hashed tables.
#![allow(unused_variables, clippy::todo)]

use alloy_primitives::{Address, B256, Bytes, U256};
use weft_primitives::{HashedPostState, StoredAccount, TrieUpdates};
use weft_storage::{StorageError, View};

#[derive(Debug, thiserror::Error)]
pub enum TrieError {
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// State root of the view's head with `overlay` applied, touching only changed paths.
/// `updates` are relative to the view's head.
pub fn state_root(view: &View<'_>, overlay: &HashedPostState) -> Result<(B256, TrieUpdates), TrieError> { todo!() }

/// State root of the view's head from leaves alone, ignoring stored nodes; bounded memory (`weft db verify`).
pub fn state_root_from_leaves(view: &View<'_>) -> Result<B256, TrieError> { todo!() }

/// Compares every stored trie node and account storage root with one re-derived from leaves (`weft db verify`).
pub fn verify_trie(view: &View<'_>) -> Result<Vec<String>, TrieError> { todo!() }

/// `eth_getProof`: account and slots at the view's head with `overlay` applied.
pub struct AccountProof {
    pub address: Address,
    pub account: Option<StoredAccount>,
    pub proof: Vec<Bytes>,
    pub slots: Vec<SlotProof>,
}
pub struct SlotProof {
    pub key: B256,
    pub value: U256,
    pub proof: Vec<Bytes>,
}
pub fn prove(view: &View<'_>, overlay: &HashedPostState, address: Address, keys: &[B256]) -> Result<AccountProof, TrieError> { todo!() }

