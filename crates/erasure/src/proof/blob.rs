//! A blob proof: that a transaction's blob is in a block, how long it is and which chunks are its own.

use super::{Anchor, ProofError, path_error};
use crate::{BlockCells, blob_leaf, merkle};
use alloy_consensus::Header;
use alloy_primitives::{B256, TxHash};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use serde::{Deserialize, Serialize};
use weft_primitives::{BlobIndex, BlobRef, ChunkIndex};

/// The part of `da_receipt` that proves inclusion of a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, RlpEncodable, RlpDecodable)]
#[serde(rename_all = "camelCase")]
pub struct BlobProof {
    /// Header and preimage.
    #[serde(flatten)]
    pub anchor: Anchor,
    /// The other root in the preimage.
    pub columns_root: B256,
    /// The transaction that carries the blob.
    pub transaction_hash: TxHash,
    /// Its position in the block.
    #[serde(with = "alloy_serde::quantity")]
    pub transaction_index: u32,
    /// L.
    #[serde(with = "alloy_serde::quantity")]
    pub length: u64,
    /// The block's first chunk that belongs to it.
    #[serde(with = "alloy_serde::quantity")]
    pub first_chunk: u32,
    /// Position of the blob among the block's blobs.
    #[serde(with = "alloy_serde::quantity")]
    pub blob_index: u32,
    /// Audit path of its leaf in the blobs tree, leaf to root.
    pub blob_path: Vec<B256>,
}

impl BlobProof {
    /// Of one blob of a block.
    pub fn new(header: &Header, block: &BlockCells, blob: BlobIndex) -> Result<Self, ProofError> {
        let summary = block.summary();
        let leaves: Vec<B256> = summary.blobs.iter().map(blob_leaf).collect();
        let blob_path = merkle::audit_path(&leaves, blob.0 as usize).map_err(path_error("blobPath"))?;
        let entry = summary.blobs[blob.0 as usize];
        Ok(Self {
            anchor: Anchor::new(header, summary)?,
            columns_root: summary.columns_root,
            transaction_hash: entry.tx_hash,
            transaction_index: entry.tx_index,
            length: entry.length,
            first_chunk: entry.first_chunk.0,
            blob_index: blob.0,
            blob_path,
        })
    }

    /// Verifies down to the block hash.
    pub fn verify(&self, block_hash: B256) -> Result<BlobRef, ProofError> {
        let anchor = self.anchor.verify(block_hash)?;
        let blob = BlobRef {
            tx_hash: self.transaction_hash,
            tx_index: self.transaction_index,
            length: self.length,
            first_chunk: ChunkIndex(self.first_chunk),
        };
        let preimage = anchor.preimage();
        let (index, count) = (self.blob_index as usize, preimage.blob_count as usize);
        let found = merkle::root_from_path(blob_leaf(&blob), index, count, &self.blob_path)
            .map_err(path_error("blobPath"))?;
        if found != preimage.blobs_root {
            return Err(ProofError::BlobsRoot { expected: preimage.blobs_root, found });
        }
        anchor.close(self.columns_root)?;
        let first = u64::from(self.first_chunk);
        let end = first.saturating_add(blob.length.div_ceil(preimage.geometry.chunk_bytes() as u64));
        if blob.length == 0 || end > u64::from(preimage.chunk_count) {
            return Err(ProofError::BlobOutside { first, end, chunks: preimage.chunk_count });
        }
        Ok(blob)
    }
}
