//! What the engine is asked and what it answers, in the words of the Engine API.

use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, B256};
use std::sync::Arc;
use weft_primitives::{PreparedBlock, Receipt, SealedHeader};

/// Limits and preferences of an engine.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Valid blocks kept in memory that are not canonical (side chains, payloads not yet chosen).
    pub side_blocks_max: usize,
    /// Their bytes: transactions, parity, state changes and receipts.
    pub side_bytes_max: usize,
    /// Where a built block moves the gas limit to, by at most 1/1024 per block; `None` keeps the parent's.
    pub gas_limit_target: Option<u64>,
    /// Bytes of transactions after which a payload under construction is closed; a first transaction that is longer goes
    /// in alone. Consensus allows more (`maxBlockBytes`); this bounds latency and memory of the blocks that this node
    /// proposes.
    pub build_bytes_max: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            side_blocks_max: 1024,
            side_bytes_max: 512 * 1024 * 1024,
            gas_limit_target: None,
            build_bytes_max: 64 * 1024 * 1024,
        }
    }
}

/// Verdict on a block, as in the Engine API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadStatus {
    /// Executed; every rule holds.
    Valid {
        /// The block.
        hash: B256,
    },
    /// Breaks a rule, or descends from a block that does.
    Invalid {
        /// The closest valid ancestor, where known.
        latest_valid: Option<B256>,
        /// The rule and the values that break it.
        reason: String,
    },
    /// An ancestor is missing.
    Syncing,
    /// Well-formed as far as looked at, but it could not become canonical (it leaves the finalized
    /// chain, or its branch does not fit into memory) and was not kept.
    Accepted,
}

impl PayloadStatus {
    /// Whether the block is valid.
    pub const fn is_valid(&self) -> bool {
        matches!(self, Self::Valid { .. })
    }
}

/// Which block shall be the head, and which of its ancestors are safe and final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForkchoiceState {
    /// The new head.
    pub head: B256,
    /// `None` leaves it as it is; in the Engine API that is the zero hash.
    pub safe: Option<B256>,
    /// `None` leaves it as it is.
    pub finalized: Option<B256>,
}

/// What the proposer decides about a block.
#[derive(Clone, Debug)]
pub struct PayloadAttributes {
    /// Block to build on: canonical, or a side block in memory.
    pub parent: B256,
    /// Seconds since 1970; more than the parent's.
    pub timestamp: u64,
    /// `beneficiary` of the header.
    pub suggested_fee_recipient: Address,
    /// `mixHash` of the header (EIP-4399).
    pub prev_randao: B256,
    /// From Shanghai on (EIP-4895).
    pub withdrawals: Option<Withdrawals>,
    /// From Cancun on (EIP-4788).
    pub parent_beacon_block_root: Option<B256>,
}

/// The canonical chain changed. Sent after the change is durable and after the pool knows of it.
#[derive(Clone, Debug)]
pub struct CanonicalEvent {
    /// Newest first; empty without a reorg. Transactions whose body was dropped from the database
    /// are here without input, with empty `encoded`.
    pub reverted: Vec<Arc<CanonicalBlock>>,
    /// Oldest first.
    pub committed: Vec<Arc<CanonicalBlock>>,
    /// The head now.
    pub head: SealedHeader,
}

/// A block with what its execution gave.
#[derive(Debug)]
pub struct CanonicalBlock {
    /// Header and body.
    pub block: PreparedBlock,
    /// One per transaction.
    pub receipts: Vec<Receipt>,
}
