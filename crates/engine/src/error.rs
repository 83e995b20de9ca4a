//! What goes wrong in the engine itself. A bad block is not an error: it is
//! [`PayloadStatus::Invalid`](crate::PayloadStatus).

use alloy_primitives::B256;
use weft_evm::EvmError;
use weft_primitives::BlockNumHash;
use weft_storage::StorageError;
use weft_trie::TrieError;

/// Why a command of the engine failed. [`EngineError::is_fatal`] tells whether it can be tried again.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The database failed. The engine stands at its last durable head.
    #[error("storage")]
    Storage(#[from] StorageError),
    /// The state trie could not be computed.
    #[error("state trie")]
    Trie(#[from] TrieError),
    /// Execution could not read its parent's state, or building failed.
    #[error("execution")]
    Evm(#[source] Box<EvmError>),
    /// The data folder is of another chain.
    #[error(
        "the data folder holds another chain: its genesis block is {found}, the configured one is {expected}"
    )]
    OtherChain {
        /// Hash of block 0 in the folder.
        found: B256,
        /// Hash of block 0 by the genesis file.
        expected: B256,
    },
    /// The trie disagrees with a header that was accepted before: a bug or a broken disk.
    #[error("block {} ({}): state root {computed} does not match the accepted header's {expected}", .block.number, .block.hash)]
    StateMismatch {
        /// The block whose state was recomputed.
        block: BlockNumHash,
        /// What came out.
        computed: B256,
        /// What its header says.
        expected: B256,
    },
    /// A block that was valid once is not on its second execution: a bug or a broken disk.
    #[error("block {} ({}) was valid and is not any more: {reason}", .block.number, .block.hash)]
    Unrepeatable {
        /// The block.
        block: BlockNumHash,
        /// The rule that it breaks now.
        reason: String,
    },
    /// A payload was asked for on a block that is neither canonical nor in memory.
    #[error("payload parent {0} is not known")]
    UnknownParent(B256),
    /// Payload attributes that no valid block can have.
    #[error("payload attributes: {0}")]
    Attributes(String),
    /// `safe` or `finalized` is not an ancestor of `head`, or `head` leaves the finalized chain
    /// (Engine API error -38002).
    #[error("invalid forkchoice state: {0}")]
    Forkchoice(String),
    /// The engine does not take commands any more.
    #[error("the engine has stopped")]
    Stopped,
}

impl From<EvmError> for EngineError {
    fn from(error: EvmError) -> Self {
        Self::Evm(Box::new(error))
    }
}

impl EngineError {
    /// Whether the engine cannot go on: trying again would not help, and the node should stop.
    /// A full disk is not fatal; nothing was written and reading goes on. Nor is a block below the one that the
    /// database was restored at: it cannot be built on, and others can.
    pub const fn is_fatal(&self) -> bool {
        match self {
            Self::Storage(StorageError::DiskFull { .. } | StorageError::StateNotKept { .. }) => false,
            Self::UnknownParent(_) | Self::Attributes(_) | Self::Forkchoice(_) => false,
            Self::Storage(_)
            | Self::Trie(_)
            | Self::Evm(_)
            | Self::OtherChain { .. }
            | Self::StateMismatch { .. }
            | Self::Unrepeatable { .. }
            | Self::Stopped => true,
        }
    }
}

/// Why a block was not accepted: by a rule, or because the engine itself failed.
#[derive(Debug)]
pub(crate) enum BlockError {
    /// The block breaks a rule.
    Invalid {
        reason: String,
        /// Whether the fault lies in what the block's hash commits to. When not (a body that does not
        /// belong to the header), the same hash may come again with the right body.
        by_hash: bool,
    },
    Fatal(Box<EngineError>),
}

impl BlockError {
    pub(crate) fn invalid(reason: impl ToString) -> Self {
        Self::Invalid { reason: reason.to_string(), by_hash: true }
    }

    pub(crate) fn wrong_body(reason: impl ToString) -> Self {
        Self::Invalid { reason: reason.to_string(), by_hash: false }
    }
}

impl<E: Into<EngineError>> From<E> for BlockError {
    fn from(error: E) -> Self {
        Self::Fatal(Box::new(error.into()))
    }
}
