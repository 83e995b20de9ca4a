//! A cell proof: one cell of a block.

use super::{Anchor, ProofError, RangeProof, anchor::column_path, path_error};
use crate::{BlockCells, CheckedCell, hash::leaf, merkle};
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use serde::{Deserialize, Serialize};
use weft_primitives::{ChunkIndex, ColumnIndex};

/// The result of `da_cellProof`. Which cell it proves is what the asker asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, RlpEncodable, RlpDecodable)]
#[serde(rename_all = "camelCase")]
pub struct CellProof {
    /// Header and preimage.
    #[serde(flatten)]
    pub anchor: Anchor,
    /// Audit path of the column in the columns tree, leaf to root.
    pub column_path: Vec<B256>,
    /// Audit path of the cell in the column's tree, leaf to root.
    pub cell_path: Vec<B256>,
    /// The cell.
    pub cell: Bytes,
}

impl CellProof {
    /// Checks `cell` and proves it.
    pub fn new(
        header: &Header,
        block: &BlockCells,
        column: ColumnIndex,
        chunk: ChunkIndex,
        cell: Bytes,
    ) -> Result<Self, ProofError> {
        let cell = block.check_cell(chunk, column, cell)?;
        Ok(Self {
            anchor: Anchor::new(header, block.summary())?,
            column_path: column_path(block.summary(), column)?,
            cell_path: merkle::audit_path(&block.column_hashes(column), chunk.0 as usize)
                .map_err(path_error("cellPath"))?,
            cell: cell.bytes().clone(),
        })
    }

    /// Of a range of one cell, as a node has it that keeps columns only.
    pub fn of_range(anchor: Anchor, range: &RangeProof) -> Result<Self, ProofError> {
        let [cell] = &range.cells[..] else {
            return Err(ProofError::OtherColumn { column: ColumnIndex(range.column) });
        };
        let (index, size) = (range.first_chunk as usize, anchor.chunk_count as usize);
        let cell_path =
            merkle::audit_path_of_range(index, size, &range.range_proof).map_err(path_error("cellPath"))?;
        Ok(Self { anchor, column_path: range.column_path.clone(), cell_path, cell: cell.clone() })
    }

    /// Verifies down to the block hash and admits the cell.
    pub fn verify(
        &self,
        block_hash: B256,
        column: ColumnIndex,
        chunk: ChunkIndex,
    ) -> Result<CheckedCell, ProofError> {
        let anchor = self.anchor.verify(block_hash)?;
        let chunks = anchor.preimage().chunk_count as usize;
        let column_root = merkle::root_from_path(leaf(&self.cell), chunk.0 as usize, chunks, &self.cell_path)
            .map_err(path_error("cellPath"))?;
        anchor.close_column(column, column_root, &self.column_path)?;
        Ok(CheckedCell::new(anchor.da_root(), chunk, column, self.cell.clone()))
    }
}
