//! What is known of a blob once it was coded, and where it lies in its block.

use crate::{ChunkIndex, ColumnIndex, Geometry};
use alloy_primitives::{B256, Bytes, TxHash};
use serde::{Deserialize, Serialize};

/// A blob's cell hashes and parity; `weft-erasure` computes it once, when the transaction enters the pool.
/// The data cells are not here: they are the calldata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedBlob {
    /// The code it was made with.
    pub geometry: Geometry,
    /// Bytes of blob.
    pub length: usize,
    /// `cellHash` (PROTOCOL §3), chunk-major: cell (c, j) at `c·n + j`.
    pub cell_hashes: Vec<B256>,
    /// One per parity column, m of them: its cells in chunk order, `Σ s` bytes, slices of one buffer.
    /// Worst case per blob: `length · m/k` plus padding. None at all when it was not kept (see
    /// [`has_parity`](Self::has_parity)).
    pub parity: Vec<Bytes>,
}

impl EncodedBlob {
    /// Chunks of this blob.
    pub fn chunk_count(&self) -> usize {
        self.geometry.chunk_count(self.length)
    }

    /// Whether the parity is here. The pool drops it above a bound on memory; the hashes always stay.
    pub fn has_parity(&self) -> bool {
        self.parity.len() == self.geometry.parity_shards()
    }

    /// Bytes of parity that this keeps in memory.
    pub fn parity_bytes(&self) -> usize {
        self.parity.iter().map(|column| column.len()).sum()
    }

    /// Hash of cell `column` of this blob's chunk `chunk` (counted within the blob).
    pub fn cell_hash(&self, chunk: usize, column: ColumnIndex) -> B256 {
        self.cell_hashes[chunk * self.geometry.columns() + usize::from(column.0)]
    }
}

/// A blob's place in its block: the leaf of `blobsRoot` (PROTOCOL §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRef {
    /// Hash of the transaction that carries it.
    pub tx_hash: TxHash,
    /// Position of that transaction in the block.
    pub tx_index: u32,
    /// Bytes of blob, L.
    pub length: u64,
    /// The block's first chunk that belongs to it.
    pub first_chunk: ChunkIndex,
}

/// The preimage of a block's `daRoot` with what proofs are cut from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaSummary {
    /// The block's code.
    pub geometry: Geometry,
    /// The block's blobs in transaction order.
    pub blobs: Vec<BlobRef>,
    /// C, the chunks of all blobs.
    pub chunk_count: u32,
    /// Root over `blobs`.
    pub blobs_root: B256,
    /// Root over `column_roots`.
    pub columns_root: B256,
    /// One root per column, n of them.
    pub column_roots: Vec<B256>,
    /// The commitment: the header's `extraData`.
    pub da_root: B256,
}
