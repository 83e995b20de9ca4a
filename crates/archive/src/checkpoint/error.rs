//! Why a checkpoint cannot be made, or not be restored.

use super::{ItemId, Section};
use alloy_primitives::B256;
use weft_primitives::{BlockNumHash, BlockNumber};
use weft_storage::StorageError;
use weft_trie::TrieError;

/// What a sink or a source of items failed with.
pub type TransportError = Box<dyn std::error::Error + Send + Sync>;

/// Failure of an export, a verification or a restore. Nothing that failed is visible as a checkpoint or as a chain.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The database refused or failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The tries cannot be built: the records contradict each other, or the database failed.
    #[error("the records are not a state: {0}")]
    Trie(#[source] TrieError),
    /// An item could not be handed over.
    #[error("item {sha256} ({bytes} bytes) could not be stored")]
    Sink {
        /// Of its bytes.
        sha256: B256,
        /// How many.
        bytes: u64,
        /// What the sink said.
        source: TransportError,
    },
    /// An item could not be had.
    #[error("item {id} cannot be had: {source}")]
    Source {
        /// Which.
        id: ItemId,
        /// What the source said.
        source: TransportError,
    },
    /// Another number of bytes came than the manifest names.
    #[error("item {id} has {found} bytes, the manifest names {expected}")]
    ItemBytes {
        /// Which.
        id: ItemId,
        /// In the manifest.
        expected: u64,
        /// That came.
        found: u64,
    },
    /// Other bytes came than the manifest names.
    #[error("item {id} was altered: its SHA-256 is {found}, the manifest names {expected}")]
    ItemHash {
        /// Which.
        id: ItemId,
        /// In the manifest.
        expected: B256,
        /// Of what came.
        found: B256,
    },
    /// Bytes with the right hash that are not what they have to be.
    #[error("item {id}: {reason}")]
    Item {
        /// Which.
        id: ItemId,
        /// What is wrong with it.
        reason: Malformed,
    },
    /// The checkpoint is of another chain.
    #[error("checkpoint {id} is of chain {found}, not of {expected}")]
    OtherChain {
        /// The manifest.
        id: ItemId,
        /// In the manifest.
        found: Box<super::Chain>,
        /// Asked for.
        expected: Box<super::Chain>,
    },
    /// The pinned block is not the checkpoint's.
    #[error("checkpoint {id} holds block {} ({}), the trusted block is {trusted}", .found.number, .found.hash)]
    NotTrusted {
        /// The manifest.
        id: ItemId,
        /// In the manifest.
        found: BlockNumHash,
        /// Pinned by the operator.
        trusted: B256,
    },
    /// A manifest is not what the one above it names as its parent.
    #[error("manifest {id}, parent of another: {reason}")]
    Parent {
        /// The parent.
        id: ItemId,
        /// What differs.
        reason: &'static str,
    },
    /// A chain of diffs that begins with a diff, or longer than anybody makes it.
    #[error("the checkpoints below {id} {reason}")]
    Lineage {
        /// The last one looked at.
        id: ItemId,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// Headers that are not the chain below the checkpoint's block.
    #[error("header {number}: {reason}")]
    Header {
        /// Of the block.
        number: BlockNumber,
        /// What is wrong.
        reason: &'static str,
    },
    /// The records do not give the state root of the block's header.
    #[error("the records give state root {computed}, the header of block {number} has {expected}")]
    StateRoot {
        /// Of the block.
        number: BlockNumber,
        /// From the records.
        computed: B256,
        /// In the header.
        expected: B256,
    },
    /// An account names code that is in no item.
    #[error("an account has code {code}, which is in no item of the checkpoint")]
    MissingCode {
        /// Keccak of the code.
        code: B256,
    },
    /// A checkpoint was asked for of a block that may still be reorganised away.
    #[error("block {block} is not finalized: the newest finalized block is {}", .finalized.map_or("none".into(), |n| n.to_string()))]
    NotFinalized {
        /// Asked for.
        block: BlockNumber,
        /// The newest that can be had.
        finalized: Option<BlockNumber>,
    },
    /// The parent of a checkpoint to be made is not below it on this chain, or a diff has none.
    #[error("checkpoint of block {block}: {reason}")]
    BadParent {
        /// To be made.
        block: BlockNumber,
        /// What is wrong with its parent.
        reason: &'static str,
    },
    /// A single record exceeds what one item may hold.
    #[error("a record of {section} has {bytes} bytes, more than an item holds")]
    RecordTooLarge {
        /// Where.
        section: Section,
        /// Of the record.
        bytes: usize,
    },
    /// The state needs more items than a manifest may name.
    #[error("the checkpoint needs more than {0} items")]
    TooManyItems(usize),
    /// A thread of the restore panicked; what it said is in the log.
    #[error("a worker of the restore ended badly")]
    Worker,
}

impl From<TrieError> for CheckpointError {
    fn from(error: TrieError) -> Self {
        match error {
            TrieError::Storage(error) => Self::Storage(error),
            error => Self::Trie(error),
        }
    }
}

/// Why bytes are not an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

impl From<alloy_rlp::Error> for Malformed {
    fn from(error: alloy_rlp::Error) -> Self {
        use alloy_rlp::Error;
        Self(match error {
            Error::InputTooShort => "RLP ends too early",
            Error::LeadingZero | Error::NonCanonicalSize | Error::NonCanonicalSingleByte => {
                "RLP that is not canonical"
            }
            Error::ListLengthMismatch { .. } => "RLP list of another length",
            Error::UnexpectedLength => "RLP string of another length",
            Error::UnexpectedList => "RLP list where a string belongs",
            Error::UnexpectedString => "RLP string where a list belongs",
            Error::Overflow => "RLP number that is too large",
            _ => "RLP that means nothing here",
        })
    }
}
