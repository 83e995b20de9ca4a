//! Why data cannot be given.

use crate::{PeersError, permanence::NotProven};
use alloy_primitives::TxHash;
use weft_erasure::{CheckError, DecodeError, ProofError};
use weft_primitives::{BlockNumber, ColumnIndex};
use weft_storage::StorageError;

/// Why a blob, a cell or a proof cannot be had, or a repair not be done.
#[derive(Debug, thiserror::Error)]
pub enum RetrieveError {
    /// Too few columns are left here; with the named ones, or some of them, it would work.
    #[error("data of {tx} cannot be had now: columns {} are missing", columns(.missing))]
    Missing {
        /// The transaction that carries the blob.
        tx: TxHash,
        /// Columns that are not here or are damaged.
        missing: Vec<ColumnIndex>,
    },
    /// The body was asked for, and was dropped.
    #[error("the body of {tx} was dropped; ask for its shards")]
    BodyDropped {
        /// The transaction that carries the blob.
        tx: TxHash,
    },
    /// A range that begins behind the blob's end, or cells outside the block.
    #[error("{tx}: offset {offset} is behind the end of a blob of {length} bytes")]
    OutOfRange {
        /// The transaction that carries the blob.
        tx: TxHash,
        /// Asked for.
        offset: u64,
        /// L.
        length: u64,
    },
    /// The block's own records do not lead to its header's commitment, or there is no such cell.
    #[error("block {block}: {source}")]
    Check {
        /// The block.
        block: BlockNumber,
        /// What is wrong.
        source: CheckError,
    },
    /// Checked cells that do not decode: the block commits to a non-canonical coding.
    #[error("block {block}: {source}")]
    Decode {
        /// The block.
        block: BlockNumber,
        /// What is wrong.
        source: DecodeError,
    },
    /// A proof cannot be built.
    #[error("block {block}: {source}")]
    Proof {
        /// The block.
        block: BlockNumber,
        /// What is wrong.
        source: ProofError,
    },
    /// What a block commits to is not known here, and peers do not tell.
    #[error("what block {block} commits to cannot be had now: {source}")]
    Commitment {
        /// The block.
        block: BlockNumber,
        /// Why.
        source: PeersError,
    },
    /// Peers were asked for, and there is no network.
    #[error("this node has no network to ask")]
    NoPeers,
    /// Arweave does not give it now.
    #[error("{tx} does not come from Arweave: {source}")]
    Archive {
        /// The transaction that carries the blob.
        tx: TxHash,
        /// Why.
        source: Box<weft_arweave::Error>,
    },
    /// What Arweave gave cannot be shown to be the blob.
    #[error("bytes of {tx} from Arweave are refused: {source}")]
    NotProven {
        /// The transaction that carries the blob.
        tx: TxHash,
        /// Why.
        source: NotProven,
    },
    /// The database refused or failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The chain changed between two reads of one request.
    #[error("block {0} was reorganised away")]
    Gone(BlockNumber),
}

fn columns(list: &[ColumnIndex]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
