//! SKELETON: transaction pool.
#![allow(unused_variables, clippy::todo)]

use alloy_primitives::{Address, B256, Bytes, TxHash, map::HashMap};
use std::sync::Arc;
use tokio::sync::broadcast;
use weft_chainspec::ChainSpec;
use weft_primitives::{PreparedTransaction, SealedHeader};
use weft_storage::Store;

/// Limits; every one of them is a flag of the node.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    pub transactions_max: usize,
    pub bytes_max: usize,
    pub account_slots_max: usize,
    pub price_bump_percent: u64,
    pub minimum_tip_wei: u128,
    /// Bytes of calldata being hashed and coded at any moment; beyond it `submit` refuses with `Busy`.
    pub admission_bytes_max: usize,
    pub admission_threads: usize,
    // ... lifetimes, pending/queued split, local accounts
}

impl Default for PoolConfig { fn default() -> Self { todo!() } }

/// Handle to the pool. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pool { inner: Arc<()> }

/// Geth's words in `Display` (nonce too low, replacement transaction underpriced, insufficient funds for gas * price + value, already known, txpool is full …).
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    #[error("already known")]
    AlreadyKnown(TxHash),
    #[error("txpool is full")]
    Full,
    // ...
}

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubPool { Pending, Queued }

impl Pool {
    pub fn new(spec: Arc<ChainSpec>, store: Store, config: PoolConfig) -> Self { todo!() }
    /// Decodes, hashes, recovers, codes (off the async threads, in parallel), validates against the head, inserts.
    pub async fn submit(&self, raw: Bytes) -> Result<TxHash, PoolError> { todo!() }
    /// Blocking form of the same preparation for blocks that come from outside: decodes and prepares many, in parallel.
    pub fn prepare(&self, encoded: Vec<Bytes>) -> Result<Vec<Arc<PreparedTransaction>>, PoolError> { todo!() }
    /// Executable transactions, best effective tip first, nonce order per sender; stable while it is consumed.
    pub fn best(&self, base_fee: u64, blob_base_fee: Option<u128>) -> BestTransactions { todo!() }
    /// Removes what was included or invalidated, re-inserts what was reorganised out. Called by the engine after persistence.
    pub fn on_canonical(&self, head: &SealedHeader, included: &[Arc<PreparedTransaction>], reverted: &[Arc<PreparedTransaction>]) { todo!() }
    pub fn get(&self, hash: TxHash) -> Option<Arc<PreparedTransaction>> { todo!() }
    /// Next nonce of the sender with its pooled transactions counted.
    pub fn pending_nonce(&self, sender: Address) -> Option<u64> { todo!() }
    /// (pending, queued)
    pub fn counts(&self) -> (usize, usize) { todo!() }
    pub fn bytes(&self) -> usize { todo!() }
    /// For `txpool_content`.
    pub fn content(&self) -> HashMap<Address, Vec<(SubPool, Arc<PreparedTransaction>)>> { todo!() }
    /// New executable transactions, for the sealer and `newPendingTransactions`.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<PreparedTransaction>> { todo!() }
    /// Sidecars of pooled type-3 transactions, by transaction hash.
    pub fn sidecar(&self, hash: TxHash) -> Option<B256> { todo!() }
}

/// Iterator over executable transactions.
#[derive(Debug)]
pub struct BestTransactions {}
impl BestTransactions {
    /// The last one was not taken: skip its sender's successors.
    pub fn mark_invalid(&mut self, tx: &PreparedTransaction) { todo!() }
}
impl Iterator for BestTransactions { type Item = Arc<PreparedTransaction>; fn next(&mut self) -> Option<Self::Item> { todo!() } }
