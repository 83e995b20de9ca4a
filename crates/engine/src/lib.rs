//! SKELETON: the head of the chain.
#![allow(unused_variables, clippy::todo)]

use alloy_primitives::{Address, B256};
use std::sync::Arc;
use tokio::sync::broadcast;
use weft_chainspec::ChainSpec;
use weft_pool::Pool;
use weft_primitives::{PreparedBlock, PreparedTransaction, Receipt, SealedHeader};
use weft_storage::{BlockNumHash, Store};

/// The engine itself: synchronous, owned by one thread (or by a test runner). Executes, checks, decides, persists.
#[derive(Debug)]
pub struct Engine {}

#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Valid blocks kept in memory that are not canonical (side chains, payloads not yet chosen).
    pub side_blocks_max: usize,
    pub side_bytes_max: usize,
    pub gas_limit_target: Option<u64>,
}

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("storage: {0}")]
    Storage(#[from] weft_storage::StorageError),
    #[error("engine stopped")]
    Stopped,
    // ...
}

/// As in the Engine API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadStatus {
    Valid { hash: B256 },
    Invalid { latest_valid: Option<B256>, reason: String },
    Syncing,
    Accepted,
}

#[derive(Clone, Copy, Debug)]
pub struct ForkchoiceState { pub head: B256, pub safe: Option<B256>, pub finalized: Option<B256> }

#[derive(Clone, Debug)]
pub struct PayloadAttributes {
    pub parent: B256,
    pub timestamp: u64,
    pub suggested_fee_recipient: Address,
    pub prev_randao: B256,
    pub withdrawals: Option<alloy_eips::eip4895::Withdrawals>,
    pub parent_beacon_block_root: Option<B256>,
}

/// The canonical chain changed; sent after the change is durable.
#[derive(Clone, Debug)]
pub struct CanonicalEvent {
    /// Newest first; empty without a reorg.
    pub reverted: Vec<Arc<CanonicalBlock>>,
    /// Oldest first.
    pub committed: Vec<Arc<CanonicalBlock>>,
    pub head: SealedHeader,
}

#[derive(Debug)]
pub struct CanonicalBlock { pub block: PreparedBlock, pub receipts: Vec<Receipt> }

impl Engine {
    /// Opens over a store (initialising genesis when it is empty, refusing another chain's folder).
    pub fn new(spec: Arc<ChainSpec>, store: Store, pool: Option<Pool>, config: EngineConfig) -> Result<Self, EngineError> { todo!() }
    /// Checks, executes and remembers a block whose parent is known.
    pub fn new_payload(&mut self, block: PreparedBlock) -> Result<PayloadStatus, EngineError> { todo!() }
    /// Makes a known valid block the head: unwinds and commits as needed, one durable batch per block.
    pub fn forkchoice_updated(&mut self, state: ForkchoiceState) -> Result<(PayloadStatus, Option<CanonicalEvent>), EngineError> { todo!() }
    /// Builds a block from the pool on `parent`; it is remembered as valid, so `new_payload` of it is free.
    pub fn build_payload(&mut self, attributes: PayloadAttributes) -> Result<PreparedBlock, EngineError> { todo!() }
}

/// Asynchronous handle to an engine on its own thread: what the sealer, BFT and the Engine API speak to.
#[derive(Clone, Debug)]
pub struct EngineHandle {}

impl EngineHandle {
    pub fn spawn(engine: Engine) -> Self { todo!() }
    pub async fn new_payload(&self, block: PreparedBlock) -> Result<PayloadStatus, EngineError> { todo!() }
    pub async fn forkchoice_updated(&self, state: ForkchoiceState) -> Result<PayloadStatus, EngineError> { todo!() }
    pub async fn build_payload(&self, attributes: PayloadAttributes) -> Result<PreparedBlock, EngineError> { todo!() }
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<CanonicalEvent>> { todo!() }
    /// Last durable head.
    pub fn head(&self) -> BlockNumHash { todo!() }
    /// Finishes the command under way and stops.
    pub async fn shutdown(&self) { todo!() }
}
