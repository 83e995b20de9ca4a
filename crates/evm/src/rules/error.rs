//! One error per rule, in geth's words where geth has the rule.

use crate::TransactionError;
use alloy_primitives::{B256, Bloom, U256};

/// A rule that a block breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "fields are named in the messages")]
pub enum RuleError {
    // ---- header against parent ----
    /// The parent is not the block before.
    #[error("unknown ancestor: parent {have}, want {want}")]
    ParentHash { have: B256, want: B256 },
    /// Numbers are consecutive.
    #[error("invalid block number: have {have}, want {want}")]
    Number { have: u64, want: u64 },
    /// Time goes forward.
    #[error("invalid timestamp: {have} is not after the parent's {parent}")]
    Timestamp { have: u64, parent: u64 },
    /// Yellow paper (50): at most 32 bytes.
    #[error("extra-data too long: {0} > 32")]
    ExtraDataTooLong(usize),
    /// PROTOCOL §3.
    #[error("extraData must be the 32 bytes of the daRoot, has {0}")]
    ExtraDataLength(usize),
    /// The ten blocks from the DAO fork on carry its name.
    #[error("bad DAO pro-fork extra-data: {0}")]
    DaoExtraData(alloy_primitives::Bytes),
    /// Moves by less than 1/1024 of the parent's.
    #[error("invalid gas limit: have {have}, parent has {parent}, bound is {bound}")]
    GasLimitStep { have: u64, parent: u64, bound: u64 },
    /// At least 5000.
    #[error("invalid gas limit below 5000: {0}")]
    GasLimitTooLow(u64),
    /// Below 2^63.
    #[error("invalid gasLimit: have {0}, max 9223372036854775807")]
    GasLimitTooHigh(u64),
    /// No more gas than the limit.
    #[error("invalid gasUsed: have {used}, gasLimit {limit}")]
    GasUsedAboveLimit { used: u64, limit: u64 },
    /// Follows from parent and time; zero after Paris.
    #[error("invalid difficulty: have {have}, want {want}")]
    Difficulty { have: U256, want: U256 },
    /// Zero after Paris.
    #[error("invalid nonce")]
    Nonce,
    /// No ommers after Paris.
    #[error("invalid uncle hash")]
    OmmersAfterMerge,
    /// EIP-1559.
    #[error("invalid baseFee: have {have}, want {want}")]
    BaseFee { have: u64, want: u64 },
    /// A field that the fork brought is not there.
    #[error("header is missing {0}")]
    FieldMissing(&'static str),
    /// A field of a later fork is there.
    #[error("invalid {0}: not expected before its fork")]
    FieldUnexpected(&'static str),
    /// EIP-4844, EIP-7918.
    #[error("invalid excessBlobGas: have {have}, want {want}")]
    ExcessBlobGas { have: u64, want: u64 },
    /// At most the fork's maximum.
    #[error("blob gas used {used} exceeds maximum allowance {max}")]
    BlobGasAboveMax { used: u64, max: u64 },
    /// Blobs are whole.
    #[error("blob gas used {0} not a multiple of blob gas per blob 131072")]
    BlobGasMultiple(u64),

    // ---- merge ----
    /// The terminal total difficulty is reached; only proof of stake builds on it.
    #[error("proof-of-work block after the terminal total difficulty")]
    ProofOfWorkAfterMerge,
    /// It is not reached yet.
    #[error("proof-of-stake block before the terminal total difficulty")]
    ProofOfStakeBeforeMerge,
    /// Blocks are built here for proof of stake only.
    #[error("a proof-of-work block cannot be built")]
    ProofOfWork,

    // ---- body against header ----
    #[error("transaction root hash mismatch (header value {header}, calculated {body})")]
    TransactionsRoot { header: B256, body: B256 },
    #[error("uncle root hash mismatch (header value {header}, calculated {body})")]
    OmmersHash { header: B256, body: B256 },
    #[error("withdrawals root hash mismatch (header value {header}, calculated {body})")]
    WithdrawalsRoot { header: B256, body: B256 },
    /// From Shanghai on.
    #[error("missing withdrawals in block body")]
    WithdrawalsMissing,
    /// Before Shanghai.
    #[error("withdrawals present in block body")]
    WithdrawalsUnexpected,
    #[error("blob gas used mismatch (header {header}, calculated {body})")]
    BlobGasUsed { header: u64, body: u64 },
    /// EIP-7934.
    #[error("block RLP-encoded size exceeds maximum: {have} > {max}")]
    BlockTooLarge { have: usize, max: usize },
    /// PROTOCOL §1, maxBlockBytes.
    #[error("block's transactions exceed maxBlockBytes: {have} > {max}")]
    TransactionsTooLarge { have: usize, max: usize },

    // ---- transactions ----
    /// PROTOCOL §1, maxTxBytes.
    #[error("transaction {index} exceeds maxTxBytes: {have} > {max}")]
    TransactionTooLarge { index: usize, have: usize, max: usize },
    #[error("transaction {index}: transaction type not supported: {tx_type}")]
    TransactionType { index: usize, tx_type: u8 },
    #[error("transaction {index}: invalid chain id for signer: have {have} want {want}")]
    ChainId { index: usize, have: u64, want: u64 },
    /// EIP-155 signatures before Spurious Dragon.
    #[error("transaction {index}: replay-protected before EIP-155")]
    ReplayProtected { index: usize },
    /// EIP-2: s is in the lower half from Homestead on.
    #[error("transaction {index}: invalid transaction v, r, s values")]
    Signature { index: usize },
    /// The transaction asks for more gas than is left in the block.
    #[error("could not apply tx {index}: gas limit reached: have {have}, left {left}")]
    BlockGas { index: usize, have: u64, left: u64 },
    /// The transaction cannot be executed on the state that it meets.
    #[error("could not apply tx {index} [{hash}]: {reason}")]
    Transaction { index: usize, hash: B256, reason: TransactionError },

    // ---- ommers ----
    #[error("too many uncles: {0} > 2")]
    OmmerCount(usize),
    #[error("duplicate uncle {0}")]
    OmmerDuplicate(B256),
    #[error("uncle is ancestor: {0}")]
    OmmerIsAncestor(B256),
    /// Its parent is not one of the six generations before the block's parent.
    #[error("uncle's parent is not ancestor: {0}")]
    OmmerDangling(B256),
    #[error("uncle {hash}: {reason}")]
    OmmerHeader { hash: B256, reason: Box<RuleError> },

    // ---- results ----
    #[error("invalid gas used (remote: {header} local: {executed})")]
    GasUsed { header: u64, executed: u64 },
    #[error("invalid receipt root hash (remote: {header} local: {executed})")]
    ReceiptsRoot { header: B256, executed: B256 },
    #[error("invalid bloom (remote: {header} local: {executed})")]
    LogsBloom { header: Box<Bloom>, executed: Box<Bloom> },
    #[error("invalid requests hash (remote: {header} local: {executed})")]
    RequestsHash { header: B256, executed: B256 },
    /// EIP-7002, EIP-7251: the call must succeed.
    #[error("system call failed: {0}")]
    SystemCall(String),
    /// EIP-6110.
    #[error("unable to parse deposit data: {0}")]
    DepositLog(String),
}
