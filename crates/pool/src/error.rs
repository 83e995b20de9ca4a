//! Why a transaction is not taken, in geth's words: clients match on them.
//!
//! Wording after go-ethereum's `core/txpool/errors.go`, `core/txpool/validation.go` and `core/error.go`; what
//! geth has no words for is worded here. [`PoolError::reason`] is the short name that metrics carry.

use crate::decode::DecodeError;
use alloy_consensus::crypto::RecoveryError;
use alloy_eips::eip4844::BlobTransactionValidationError;
use alloy_primitives::{B256, TxHash, U256};
use weft_storage::StorageError;

/// Why a transaction is not taken.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // fields are named in the messages
pub enum PoolError {
    // ---- bytes ----
    /// Not a transaction.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Larger than the chain, or this node, takes.
    #[error("oversized data: transaction size {size}, limit {limit}")]
    Oversized { size: usize, limit: usize },
    /// No account can have made this signature.
    #[error("invalid sender: {0}")]
    InvalidSender(#[from] RecoveryError),
    /// Signed for another chain.
    #[error("invalid sender: invalid chain id for signer: have {have} want {want}")]
    ChainId { have: u64, want: u64 },

    // ---- rules without state ----
    /// The fork that brings this type is not active.
    #[error("transaction type not supported: type {ty} rejected, pool not yet in {fork}")]
    TypeNotActive { ty: u8, fork: &'static str },
    /// EIP-3860.
    #[error("max initcode size exceeded: code size {size}, limit {limit}")]
    Initcode { size: usize, limit: usize },
    /// More gas than a block has.
    #[error("exceeds block gas limit")]
    BlockGasLimit,
    /// EIP-7825.
    #[error("transaction gas limit too high (cap: {cap}, tx: {gas})")]
    GasLimitCap { cap: u64, gas: u64 },
    /// EIP-1559.
    #[error("max priority fee per gas higher than max fee per gas")]
    TipAboveFeeCap,
    /// EIP-2681.
    #[error("nonce has max value")]
    NonceMax,
    /// Less gas than the transaction costs before it runs.
    #[error("intrinsic gas too low: gas {gas}, minimum needed {needed}")]
    IntrinsicGas { gas: u64, needed: u64 },
    /// EIP-7623.
    #[error("insufficient gas for floor data gas cost: gas {gas}, minimum needed {needed}")]
    FloorGas { gas: u64, needed: u64 },
    /// An external transaction that tips less than this node wants.
    #[error("transaction gas price below minimum: gas tip cap {tip}, minimum needed {needed}")]
    TipTooLow { tip: u128, needed: u128 },
    /// EIP-7702.
    #[error("set code tx must have at least one authorization tuple")]
    NoAuthorizations,

    // ---- blobs ----
    /// Type 3 travels with its blobs.
    #[error("missing sidecar in blob transaction")]
    MissingSidecar,
    /// v0 before Osaka, v1 (cell proofs) from then on.
    #[error("unexpected sidecar version, want: {want}, got: {got}")]
    SidecarVersion { want: u8, got: u8 },
    /// EIP-4844.
    #[error("blobless blob transaction")]
    NoBlobs,
    /// More than the fork allows in one transaction.
    #[error("too many blobs in transaction: have {have}, permitted {permitted}")]
    TooManyBlobs { have: u64, permitted: u64 },
    /// Bids less than the blob fee can ever be.
    #[error("transaction gas price below minimum: blob fee cap {cap}, minimum needed {needed}")]
    BlobFeeTooLow { cap: u128, needed: u128 },
    /// Blobs, commitments, hashes and proofs do not belong together.
    #[error("KZG verification error: {0}")]
    Kzg(#[from] BlobTransactionValidationError),

    // ---- rules with state ----
    /// EIP-3607.
    #[error("sender not an eoa: address {sender}, codehash: {code_hash}")]
    SenderNotEoa { sender: alloy_primitives::Address, code_hash: B256 },
    /// Already used.
    #[error("nonce too low: next nonce {next}, tx nonce {nonce}")]
    NonceTooLow { next: u64, nonce: u64 },
    /// Type 3 may not leave a gap.
    #[error("nonce too high: tx nonce {nonce}, gapped nonce {gap}")]
    NonceTooHigh { nonce: u64, gap: u64 },
    /// Cannot pay for this one.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, tx cost {cost}, overshot {}",
        cost.saturating_sub(*balance)
    )]
    Funds { balance: U256, cost: U256 },
    /// Cannot pay for this one and those that are pooled.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, queued cost {queued}, tx cost {cost}, overshot {}",
        queued.saturating_add(*cost).saturating_sub(*balance)
    )]
    FundsWithPooled { balance: U256, queued: U256, cost: U256 },

    // ---- the pool ----
    /// It is here already.
    #[error("already known")]
    AlreadyKnown(TxHash),
    /// Too little more than what it would replace.
    #[error("replacement transaction underpriced")]
    ReplacementUnderpriced,
    /// The sender has transactions of the other kind (type 3 and all others do not mix).
    #[error("address already reserved")]
    Reserved,
    /// One sender's share is used up.
    #[error("account limit exceeded: pooled {0} txs")]
    AccountLimit(usize),
    /// Others may empty a delegated account at any time, so it gets few slots.
    #[error("in-flight transaction limit reached for delegated accounts")]
    DelegatedLimit,
    /// No room, and nothing cheaper in the pool.
    #[error("txpool is full")]
    Full,
    /// Made room for one that pays more.
    #[error("transaction underpriced")]
    Underpriced,
    /// More bytes under way than the node prepares within the time it lets a client wait. Try again later.
    #[error(
        "txpool is busy: {in_flight} bytes of transactions are being prepared, limit {limit}; try again later"
    )]
    Busy { in_flight: usize, limit: usize },
    /// The archive did not catch up with the blocks within the time that the node lets a client wait. Try again later.
    #[error("the archive is behind: {backlog} bytes in blocks wait for it, limit {limit}; try again later")]
    Archiving { backlog: u64, limit: u64 },

    // ---- the node ----
    /// The state could not be read.
    #[error("state: {0}")]
    Storage(#[from] StorageError),
    /// The same for one of several transactions that failed together.
    #[error("state: {0}")]
    State(String),
    /// Admission threads could not be started.
    #[error("txpool threads: {0}")]
    Threads(std::io::Error),
    /// Shutting down.
    #[error("txpool is closed")]
    Closed,
}

impl PoolError {
    /// Short name for metrics; one per variant.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Decode(_) => "decode",
            Self::Oversized { .. } => "oversized",
            Self::InvalidSender(_) => "invalid_sender",
            Self::ChainId { .. } => "chain_id",
            Self::TypeNotActive { .. } => "type_not_active",
            Self::Initcode { .. } => "initcode_size",
            Self::BlockGasLimit => "block_gas_limit",
            Self::GasLimitCap { .. } => "gas_limit_cap",
            Self::TipAboveFeeCap => "tip_above_fee_cap",
            Self::NonceMax => "nonce_max",
            Self::IntrinsicGas { .. } => "intrinsic_gas",
            Self::FloorGas { .. } => "floor_gas",
            Self::TipTooLow { .. } => "tip_too_low",
            Self::NoAuthorizations => "no_authorizations",
            Self::MissingSidecar => "missing_sidecar",
            Self::SidecarVersion { .. } => "sidecar_version",
            Self::NoBlobs => "no_blobs",
            Self::TooManyBlobs { .. } => "too_many_blobs",
            Self::BlobFeeTooLow { .. } => "blob_fee_too_low",
            Self::Kzg(_) => "kzg",
            Self::SenderNotEoa { .. } => "sender_not_eoa",
            Self::NonceTooLow { .. } => "nonce_too_low",
            Self::NonceTooHigh { .. } => "nonce_too_high",
            Self::Funds { .. } => "funds",
            Self::FundsWithPooled { .. } => "funds_with_pooled",
            Self::AlreadyKnown(_) => "already_known",
            Self::ReplacementUnderpriced => "replacement_underpriced",
            Self::Reserved => "reserved",
            Self::AccountLimit(_) => "account_limit",
            Self::DelegatedLimit => "delegated_limit",
            Self::Full => "full",
            Self::Underpriced => "underpriced",
            Self::Busy { .. } => "busy",
            Self::Archiving { .. } => "archiving",
            Self::Storage(_) | Self::State(_) => "storage",
            Self::Threads(_) => "threads",
            Self::Closed => "closed",
        }
    }
}
