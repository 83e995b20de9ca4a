//! `/weft/cells/1`: consecutive cells of one column with their proof.

use crate::wire::{CELLS_FRAME_BYTES_MAX, Reader, Wire, WireError, Writer, read_proven, write_proven};
use alloy_primitives::B256;
use weft_erasure::{Anchor, CheckedCell, ProofError, RangeProof};
use weft_primitives::{ChunkIndex, ColumnIndex};

/// Which cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellsRequest {
    /// Hash of the block.
    pub block: B256,
    /// Column.
    pub column: ColumnIndex,
    /// First chunk.
    pub first_chunk: ChunkIndex,
    /// How many at most, not 0.
    pub count: u32,
}

/// Cells with header, preimage and range proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellsResponse {
    /// Header and preimage of the block.
    pub anchor: Anchor,
    /// The cells, as many as fit into 1 MiB, and their paths.
    pub range: RangeProof,
}

impl CellsResponse {
    /// Verifies down to the hash that was asked for, and admits the cells. There may be fewer than were asked for, never
    /// none and never more.
    pub fn verify(&self, request: &CellsRequest) -> Result<Vec<CheckedCell>, ProofError> {
        let anchor = self.anchor.verify(request.block)?;
        let mut cells = self.range.verify(&anchor, request.column, request.first_chunk)?;
        cells.truncate(request.count as usize);
        Ok(cells)
    }
}

impl Wire for CellsRequest {
    const BYTES_MAX: usize = 64;

    fn write(&self, out: &mut Writer) {
        out.list(|out| {
            out.item(&self.block);
            out.item(&self.column.0);
            out.item(&self.first_chunk.0);
            out.item(&self.count);
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut list = from.list()?;
        let request = Self {
            block: list.item()?,
            column: ColumnIndex(list.item()?),
            first_chunk: ChunkIndex(list.item()?),
            count: list.item()?,
        };
        list.end()?;
        if request.count == 0 {
            return Err(WireError::Field { field: "count", reason: "0" });
        }
        Ok(request)
    }
}

impl Wire for CellsResponse {
    const BYTES_MAX: usize = CELLS_FRAME_BYTES_MAX;

    fn write(&self, out: &mut Writer) {
        write_proven(out, &self.anchor, &self.range);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let (anchor, range) = read_proven(from)?;
        Ok(Self { anchor, range })
    }
}
