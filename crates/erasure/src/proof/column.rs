//! A column proof: one whole column of a block, whose cells travel beside it.

use super::{Anchor, ProofError, anchor::column_path, path_error};
use crate::{BlockCells, CheckedCell, hash::leaf, merkle};
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use serde::{Deserialize, Serialize};
use weft_primitives::{ChunkIndex, ColumnIndex};

/// Proves a column's root; with all cells of the column, the column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, RlpEncodable, RlpDecodable)]
#[serde(rename_all = "camelCase")]
pub struct ColumnProof {
    /// Header and preimage.
    #[serde(flatten)]
    pub anchor: Anchor,
    /// Audit path of the column in the columns tree, leaf to root.
    pub column_path: Vec<B256>,
}

impl ColumnProof {
    /// Of one column of a block.
    pub fn new(header: &Header, block: &BlockCells, column: ColumnIndex) -> Result<Self, ProofError> {
        Ok(Self {
            anchor: Anchor::new(header, block.summary())?,
            column_path: column_path(block.summary(), column)?,
        })
    }

    /// Verifies that `column_root` is the root of this column of the block with this hash.
    pub fn verify_root(
        &self,
        block_hash: B256,
        column: ColumnIndex,
        column_root: B256,
    ) -> Result<(), ProofError> {
        self.anchor.verify(block_hash)?.close_column(column, column_root, &self.column_path)
    }

    /// Verifies all cells of the column, in chunk order, and admits them.
    pub fn verify(
        &self,
        block_hash: B256,
        column: ColumnIndex,
        cells: Vec<Bytes>,
    ) -> Result<Vec<CheckedCell>, ProofError> {
        let anchor = self.anchor.verify(block_hash)?;
        let hashes: Vec<B256> = cells.iter().map(|cell| leaf(cell)).collect();
        if !hashes.is_empty() {
            // A range proof over everything: the tree has this many leaves and no other shape.
            let chunks = anchor.preimage().chunk_count as usize;
            merkle::root_from_range(&hashes, 0, chunks, &[]).map_err(path_error("cells"))?;
        }
        anchor.close_column(column, merkle::root(&hashes), &self.column_path)?;
        let admitted = cells.into_iter().zip(0..);
        Ok(admitted
            .map(|(cell, chunk)| CheckedCell::new(anchor.da_root(), ChunkIndex(chunk), column, cell))
            .collect())
    }
}
