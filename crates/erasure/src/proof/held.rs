//! What a node that keeps a column, and not the block, has to know of it to prove its cells to others.
//!
//! The `daRoot`'s preimage, the column's path in the columns tree, and of the column's own tree the leaves of the cells
//! that are held and the hashes that stand for the others. It grows with each range of cells that was checked; any range
//! of held cells can be proven from it, whether the column is whole or not.

use super::{Anchor, ProofError, RangeProof, TrustedAnchor, path_error};
use crate::{Preimage, SparseTree};
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes};
use std::ops::Range;
use weft_primitives::{ChunkIndex, ColumnIndex};

/// A column, as far as its cells are held. Worst case: 32 bytes per chunk of the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldColumn {
    /// Preimage of the block's `daRoot`.
    pub preimage: Preimage,
    /// The column.
    pub column: ColumnIndex,
    /// Its audit path in the columns tree, leaf to root.
    pub column_path: Vec<B256>,
    /// Leaves of the cells that are held; of [`Preimage::chunk_count`] leaves.
    pub tree: SparseTree,
}

impl HeldColumn {
    /// Compares with the commitment of the block's header: what is read back from a disk is believed only then.
    pub fn check(&self, header: &Header) -> Result<(), ProofError> {
        self.close(&TrustedAnchor::of_header(header, self.preimage)?)
    }

    /// Leads the column's tree, and its path, to the anchor's `daRoot`.
    pub(super) fn close(&self, anchor: &TrustedAnchor) -> Result<(), ProofError> {
        if self.tree.size() != self.preimage.chunk_count as usize {
            return Err(ProofError::OtherColumn { column: self.column });
        }
        anchor.close_column(self.column, self.tree.root(), &self.column_path)
    }

    /// Adds what is held of the same column in another piece; both must have been checked against one header.
    pub fn merge(&self, piece: &Self) -> Result<Self, ProofError> {
        let same = (self.preimage, self.column, &self.column_path)
            == (piece.preimage, piece.column, &piece.column_path);
        if !same {
            return Err(ProofError::OtherColumn { column: self.column });
        }
        Ok(Self { tree: self.tree.merge(&piece.tree), ..self.clone() })
    }

    /// Whether all cells of the column are held.
    pub fn is_complete(&self) -> bool {
        self.tree.is_complete()
    }

    /// The held cells that follow each other from `first` on; `None` when that one is not held.
    pub fn run(&self, first: ChunkIndex) -> Option<Range<u32>> {
        let first_leaf = first.0 as usize;
        let held = self.tree.held().iter().find(|held| held.contains(&first_leaf))?;
        let end = u32::try_from(held.end).expect("a block counts its chunks in 32 bits");
        Some(first.0..end)
    }

    /// What a proof of these cells begins with.
    pub fn anchor(&self, header: &Header) -> Anchor {
        Anchor::of_preimage(header, &self.preimage)
    }

    /// Proves held cells. The cells themselves are the caller's word: who sends them checks the result as a receiver would.
    pub fn prove(&self, first: ChunkIndex, cells: Vec<Bytes>) -> Result<RangeProof, ProofError> {
        let start = first.0 as usize;
        let range_proof =
            self.tree.range_proof(start..start + cells.len()).map_err(path_error("rangeProof"))?;
        Ok(RangeProof {
            column: self.column.0,
            first_chunk: first.0,
            cells,
            range_proof,
            column_path: self.column_path.clone(),
        })
    }
}
