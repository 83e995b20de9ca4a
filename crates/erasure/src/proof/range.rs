//! A range proof: consecutive cells of one column, with only the hashes that they do not cover.

use super::{ProofError, TrustedAnchor, anchor::column_path, path_error};
use crate::{BlockCells, CheckedCell, hash::leaf, merkle};
use alloy_primitives::{B256, Bytes};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use serde::{Deserialize, Serialize};
use weft_primitives::{ChunkIndex, ColumnIndex};

/// The result of `da_cells`. Header and preimage are fetched once per block, by `da_commitment`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, RlpEncodable, RlpDecodable)]
#[serde(rename_all = "camelCase")]
pub struct RangeProof {
    /// Which column.
    #[serde(with = "alloy_serde::quantity")]
    pub column: u16,
    /// Chunk of the first cell.
    #[serde(with = "alloy_serde::quantity")]
    pub first_chunk: u32,
    /// The cells, in chunk order.
    pub cells: Vec<Bytes>,
    /// Subtree hashes outside the range, from left to right.
    pub range_proof: Vec<B256>,
    /// Audit path of the column in the columns tree, leaf to root.
    pub column_path: Vec<B256>,
}

impl RangeProof {
    /// Checks `cells` and proves them.
    pub fn new(
        block: &BlockCells,
        column: ColumnIndex,
        first: ChunkIndex,
        cells: Vec<Bytes>,
    ) -> Result<Self, ProofError> {
        for (cell, chunk) in cells.iter().zip(first.0..) {
            block.check_cell(ChunkIndex(chunk), column, cell.clone())?;
        }
        let start = first.0 as usize;
        let range_proof = merkle::range_proof(&block.column_hashes(column), start..start + cells.len())
            .map_err(path_error("rangeProof"))?;
        let column_path = column_path(block.summary(), column)?;
        Ok(Self { column: column.0, first_chunk: first.0, cells, range_proof, column_path })
    }

    /// Verifies against an anchor of the block and admits the cells, if they begin where was asked for.
    /// There may be fewer than were asked for, never none.
    pub fn verify(
        &self,
        anchor: &TrustedAnchor,
        column: ColumnIndex,
        first: ChunkIndex,
    ) -> Result<Vec<CheckedCell>, ProofError> {
        if (self.column, self.first_chunk) != (column.0, first.0) {
            return Err(ProofError::OtherPlace {
                asked_chunk: first,
                asked_column: column,
                chunk: ChunkIndex(self.first_chunk),
                column: ColumnIndex(self.column),
            });
        }
        let hashes: Vec<B256> = self.cells.iter().map(|cell| leaf(cell)).collect();
        let chunks = anchor.preimage().chunk_count as usize;
        let column_root = merkle::root_from_range(&hashes, first.0 as usize, chunks, &self.range_proof)
            .map_err(path_error("rangeProof"))?;
        anchor.close_column(column, column_root, &self.column_path)?;
        let cells = self.cells.iter().zip(first.0..);
        Ok(cells
            .map(|(cell, at)| CheckedCell::new(anchor.da_root(), ChunkIndex(at), column, cell.clone()))
            .collect())
    }
}
