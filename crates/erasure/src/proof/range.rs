//! A range proof: consecutive cells of one column, with only the hashes that they do not cover.

use super::{HeldColumn, ProofError, TrustedAnchor, anchor::column_path, path_error};
use crate::{BlockCells, CheckedCell, SparseTree, hash, merkle};
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
        Ok(self.check(anchor, column, first)?.cells)
    }

    /// As [`Self::verify`]; keeps with the cells what others need to be shown of them.
    pub fn check(
        &self,
        anchor: &TrustedAnchor,
        column: ColumnIndex,
        first: ChunkIndex,
    ) -> Result<CheckedRange, ProofError> {
        if (self.column, self.first_chunk) != (column.0, first.0) {
            return Err(ProofError::OtherPlace {
                asked_chunk: first,
                asked_column: column,
                chunk: ChunkIndex(self.first_chunk),
                column: ColumnIndex(self.column),
            });
        }
        let chunks = anchor.preimage().chunk_count as usize;
        // The place first: hashing is what costs.
        let tree = |hashes| SparseTree::of_range(hashes, first.0 as usize, chunks, &self.range_proof);
        tree(vec![B256::ZERO; self.cells.len()]).map_err(path_error("rangeProof"))?;
        let tree = tree(leaves(&self.cells)).map_err(path_error("rangeProof"))?;
        let held =
            HeldColumn { preimage: *anchor.preimage(), column, column_path: self.column_path.clone(), tree };
        held.close(anchor)?;
        let cells = self.cells.iter().zip(first.0..);
        let cells = cells
            .map(|(cell, at)| CheckedCell::new(anchor.da_root(), ChunkIndex(at), column, cell.clone()))
            .collect();
        Ok(CheckedRange { da_root: anchor.da_root(), held, cells })
    }
}

/// Leaf hashes of cells, those of one length side by side.
fn leaves(cells: &[Bytes]) -> Vec<B256> {
    let mut hashes = Vec::with_capacity(cells.len());
    for run in cells.chunk_by(|one, next| one.len() == next.len()) {
        let run: Vec<&[u8]> = run.iter().map(|cell| cell.as_ref()).collect();
        hash::leaves(&run, &mut hashes);
    }
    hashes
}

/// Consecutive cells of one column that were compared with a block's commitment, with what proves them: the only thing
/// that a store takes which does not know all cell hashes of the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedRange {
    da_root: B256,
    held: HeldColumn,
    cells: Vec<CheckedCell>,
}

impl CheckedRange {
    /// The commitment that the cells were checked against.
    pub fn da_root(&self) -> B256 {
        self.da_root
    }

    /// The column as far as these cells are of it.
    pub fn held(&self) -> &HeldColumn {
        &self.held
    }

    /// The cells, in chunk order, one at least.
    pub fn cells(&self) -> &[CheckedCell] {
        &self.cells
    }

    /// Bytes of the cells.
    pub fn bytes(&self) -> usize {
        self.cells.iter().map(|cell| cell.bytes().len()).sum()
    }
}
