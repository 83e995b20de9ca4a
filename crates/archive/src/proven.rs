//! Cells of one column with all that proves them: what a segment on a column's topic and an answer to `/weft/cells/1` hold.
//!
//! Which lies are possible here: a header that is not the believed one, a preimage of another block, a path or a proof of
//! another shape or place, changed, cut or swapped cells, more than was agreed. All are refused by [`ProvenCells::check`], which
//! looks at places and sizes before it hashes anything.

use alloy_primitives::{B256, keccak256};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use weft_erasure::{Anchor, CheckedRange, ProofError, RangeProof};
use weft_primitives::{ChunkIndex, ColumnIndex};

/// Cells in one message in bytes; a message holds one cell at least, however long.
pub const SEGMENT_BYTES_MAX: usize = 1 << 20;
/// Cells in one message: 1 MiB of the smallest cell that a full chunk's end can have.
pub const SEGMENT_CELLS_MAX: usize = SEGMENT_BYTES_MAX / 64;

/// Consecutive cells of a column, with header, preimage, range proof and column path.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct ProvenCells {
    /// Header RLP and preimage fields.
    pub anchor: Anchor,
    /// Column, first chunk, cells, range proof, column path.
    pub range: RangeProof,
}

impl ProvenCells {
    /// Hash of the header that it brings.
    pub fn block_hash(&self) -> B256 {
        keccak256(&self.anchor.header)
    }

    /// The column that it speaks of.
    pub fn column(&self) -> ColumnIndex {
        ColumnIndex(self.range.column)
    }

    /// Chunk of its first cell.
    pub fn first(&self) -> ChunkIndex {
        ChunkIndex(self.range.first_chunk)
    }

    /// One past the chunk of its last cell.
    pub fn end(&self) -> u64 {
        u64::from(self.range.first_chunk) + self.range.cells.len() as u64
    }

    /// Bytes of its cells.
    pub fn bytes(&self) -> usize {
        self.range.cells.iter().map(|cell| cell.len()).sum()
    }

    /// Whether it is no larger than a message may be.
    pub fn is_bounded(&self) -> bool {
        let cells = self.range.cells.len();
        cells == 1 || (cells <= SEGMENT_CELLS_MAX && self.bytes() <= SEGMENT_BYTES_MAX)
    }

    /// Verifies all of it down to the hash of a block that the caller believes in.
    pub fn check(&self, block_hash: B256) -> Result<CheckedRange, ProofError> {
        if !self.is_bounded() {
            return Err(ProofError::TooLong { bytes: self.bytes(), max: SEGMENT_BYTES_MAX });
        }
        self.range.check(&self.anchor.verify(block_hash)?, self.column(), self.first())
    }
}
