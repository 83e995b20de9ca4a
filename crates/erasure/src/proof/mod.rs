//! Proofs that are served to strangers (PROTOCOL §4): cell, column, range and blob.
//!
//! Each begins at a block hash that the verifier trusts and ends at bytes: header RLP → keccak is the
//! block hash → `extraData` is the `daRoot` → its preimage → roots → path → cell. Lies that are possible
//! here, all refused with the reason: another block's header; a header of the right hash whose
//! `extraData` is no commitment; a changed preimage field; a path of another length, index or tree; cells
//! that are changed, cut, swapped, repeated or of another column; a blob in a chunk that is not its own.
//!
//! The types are the wire form: JSON by serde as in PROTOCOL §8, RLP between peers. Both decoders refuse
//! what is longer than [`Wire::BYTES_MAX`] before they look at it. Building takes a [`BlockCells`], which
//! was compared with the header's commitment, so a proof that would fail is not built.
//!
//! [`BlockCells`]: crate::BlockCells

mod anchor;
mod blob;
mod cell;
mod column;
mod held;
mod range;
mod wire;

pub use anchor::{Anchor, TrustedAnchor};
pub use blob::BlobProof;
pub use cell::CellProof;
pub use column::ColumnProof;
pub use held::HeldColumn;
pub use range::{CheckedRange, RangeProof};
pub use wire::Wire;

use crate::{CheckError, merkle::MerkleError};
use alloy_primitives::B256;
use weft_primitives::{ChunkIndex, ColumnIndex, GeometryError};

/// Why a proof is refused, or not built.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The header is another block's.
    #[error("the header hashes to {found}, the trusted block hash is {expected}")]
    BlockHash {
        /// What the verifier trusts.
        expected: B256,
        /// Keccak of the header given.
        found: B256,
    },
    /// Longer than any header.
    #[error("a header of {0} bytes")]
    HeaderBytes(usize),
    /// Not a header.
    #[error("header: {0}")]
    Header(alloy_rlp::Error),
    /// A header without a commitment.
    #[error("extraData has {0} bytes, a daRoot has 32")]
    ExtraData(usize),
    /// Parameters that the protocol does not allow.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// Everything adds up, to something else than the header commits to.
    #[error("the header commits to daRoot {expected}, the proof leads to {found}")]
    DaRoot {
        /// From the header.
        expected: B256,
        /// Where the proof leads.
        found: B256,
    },
    /// The blob's leaf and path lead to another root than the preimage names.
    #[error("the preimage names blobsRoot {expected}, the path leads to {found}")]
    BlobsRoot {
        /// From the preimage.
        expected: B256,
        /// Where the path leads.
        found: B256,
    },
    /// A path that does not fit its tree.
    #[error("{path}: {source}")]
    Path {
        /// Which path.
        path: &'static str,
        /// What is wrong with it.
        source: MerkleError,
    },
    /// The proof speaks of another place than was asked for.
    #[error("asked for chunk {asked_chunk} of column {asked_column}, got chunk {chunk} of column {column}")]
    OtherPlace {
        /// First chunk that was asked for.
        asked_chunk: ChunkIndex,
        /// Column that was asked for.
        asked_column: ColumnIndex,
        /// First chunk of the proof.
        chunk: ChunkIndex,
        /// Column of the proof.
        column: ColumnIndex,
    },
    /// A blob whose chunks are not in the block.
    #[error("the blob's chunks {first}..{end} are outside the block's {chunks}")]
    BlobOutside {
        /// Its first chunk.
        first: u64,
        /// One past its last.
        end: u64,
        /// Chunks of the block.
        chunks: u32,
    },
    /// A cell that is not what the block commits to (when building).
    #[error(transparent)]
    Check(#[from] CheckError),
    /// A piece of another column, block or shape than what it was to be added to.
    #[error("column {column}: a piece of another block or column was to be added")]
    OtherColumn {
        /// The column that was to grow.
        column: ColumnIndex,
    },
    /// Longer than the wire form may be.
    #[error("{bytes} bytes, at most {max} are read")]
    TooLong {
        /// Bytes given.
        bytes: usize,
        /// [`Wire::BYTES_MAX`], or its JSON counterpart.
        max: usize,
    },
    /// Not the RLP of this proof.
    #[error("rlp: {0}")]
    Rlp(alloy_rlp::Error),
    /// Not the JSON of this proof.
    #[error("json: {0}")]
    Json(#[from] serde_json::Error),
}

/// Says which path a [`MerkleError`] is about.
fn path_error(path: &'static str) -> impl Fn(MerkleError) -> ProofError {
    move |source| ProofError::Path { path, source }
}
