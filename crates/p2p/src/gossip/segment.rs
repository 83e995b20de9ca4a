//! A segment of a column: consecutive cells that prove themselves against a header.

use crate::wire::{CELLS_FRAME_BYTES_MAX, Reader, Wire, WireError, Writer, read_proven, write_proven};
use alloy_primitives::{B256, keccak256};
use weft_erasure::{Anchor, CheckedCell, ProofError, RangeProof};
use weft_primitives::{ChunkIndex, ColumnIndex};

/// At most 1 MiB of cells of one column. [`ColumnSegment::verify`] leads to the block's hash; whether that block is to be
/// believed is another question, answered before the cells are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnSegment {
    /// Keccak of the anchor's header.
    pub block_hash: B256,
    /// Header and preimage.
    pub anchor: Anchor,
    /// Column, first chunk, cells and paths.
    pub range: RangeProof,
}

impl ColumnSegment {
    /// Of a block's cells; the sender has built both from what it holds.
    pub fn new(anchor: Anchor, range: RangeProof) -> Self {
        Self { block_hash: keccak256(&anchor.header), anchor, range }
    }

    /// Which column.
    pub fn column(&self) -> ColumnIndex {
        ColumnIndex(self.range.column)
    }

    /// Chunk of the first cell.
    pub fn first_chunk(&self) -> ChunkIndex {
        ChunkIndex(self.range.first_chunk)
    }

    /// Verifies every cell down to `block_hash` and admits them.
    pub fn verify(&self) -> Result<Vec<CheckedCell>, ProofError> {
        let anchor = self.anchor.verify(self.block_hash)?;
        self.range.verify(&anchor, self.column(), self.first_chunk())
    }
}

impl Wire for ColumnSegment {
    const BYTES_MAX: usize = CELLS_FRAME_BYTES_MAX;

    fn write(&self, out: &mut Writer) {
        write_proven(out, &self.anchor, &self.range);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let (anchor, range) = read_proven(from)?;
        Ok(Self::new(anchor, range))
    }
}
