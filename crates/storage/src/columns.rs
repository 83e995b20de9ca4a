//! Comparing stored columns with the commitment in their block's header.

use crate::{ColumnSegment, StorageError, View};
use alloy_primitives::{B256, BlockNumber};
use weft_erasure::{BlockCells, CheckError, cell_range};
use weft_primitives::{BlobRef, ChunkIndex, ColumnIndex};

impl View<'_> {
    /// The block's cell hashes, recomputed up to the `daRoot` in its header: what proofs are cut
    /// from and cells are checked against. `None` for a block without commitment,
    /// [`StorageError::Commitment`] when the stored hashes are damaged. Costs two SHA-256
    /// compressions per cell.
    pub fn block_cells(&self, number: BlockNumber) -> Result<Option<BlockCells>, StorageError> {
        let (Some(header), Some(summary), Some(hashes)) =
            (self.header(number)?, self.da_summary(number)?, self.cell_hashes(number)?)
        else {
            return Ok(None);
        };
        // A header without 32 bytes commits to nothing, so nothing will match it.
        let da_root = B256::try_from(header.extra_data.as_ref()).unwrap_or_default();
        BlockCells::check(da_root, summary.geometry, summary.blobs, hashes)
            .map(Some)
            .map_err(|source| StorageError::Commitment { block: number, source })
    }

    /// Compares every cell of the columns with what their blocks commit to. One block's hashes are
    /// in memory at a time, so sort large sets by block.
    pub(crate) fn check_columns(&self, segments: &[ColumnSegment]) -> Result<(), StorageError> {
        let mut current: Option<(BlockNumber, BlockCells)> = None;
        for segment in segments {
            let block = segment.block;
            let cells = match current.take() {
                Some((number, cells)) if number == block => cells,
                _ => self.block_cells(block)?.ok_or(StorageError::MissingBlock(block))?,
            };
            let blob = usize::try_from(segment.blob.0).ok().and_then(|blob| cells.summary().blobs.get(blob));
            let blob =
                blob.ok_or(StorageError::Inconsistent { block, reason: "the block has no such blob" })?;
            check_column(&cells, blob, segment.column, &segment.cells)
                .map_err(|source| StorageError::Commitment { block, source })?;
            current = Some((block, cells));
        }
        Ok(())
    }
}

/// Compares every cell of one column of one blob.
pub(crate) fn check_column(
    cells: &BlockCells,
    blob: &BlobRef,
    column: ColumnIndex,
    bytes: &[u8],
) -> Result<(), CheckError> {
    let geometry = cells.summary().geometry;
    let length = usize::try_from(blob.length).unwrap_or(usize::MAX);
    let mut end = 0;
    for (chunk, index) in (0..geometry.chunk_count(length)).zip(blob.first_chunk.0..) {
        let range = cell_range(geometry, length, chunk);
        end = range.end;
        let chunk = ChunkIndex(index);
        let cell = bytes.get(range.clone()).ok_or(CheckError::CellSize {
            chunk,
            column,
            have: bytes.len().saturating_sub(range.start),
            need: range.len(),
        })?;
        let (expected, found) = (cells.hash(chunk, column)?, weft_erasure::leaf(cell));
        if expected != found {
            return Err(CheckError::CellHash { chunk, column, expected, found });
        }
    }
    if bytes.len() == end {
        return Ok(());
    }
    Err(CheckError::CellSize { chunk: blob.first_chunk, column, have: bytes.len(), need: end })
}
