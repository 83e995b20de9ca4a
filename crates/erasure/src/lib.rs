//! SKELETON: signatures that the other crates build on (PROTOCOL §2–§4).
#![allow(unused_variables, clippy::todo)]

use alloy_primitives::{B256, Bytes, TxHash};
use std::sync::Arc;
use weft_primitives::{ChunkIndex, ColumnIndex, DaSummary, EncodedBlob, Geometry};

/// Encodes one blob: parity and all cell hashes. Pure CPU, one thread; callers parallelise across blobs.
pub fn encode_blob(geometry: Geometry, blob: &[u8]) -> EncodedBlob { todo!() }

/// Combines the block's blobs, in transaction order, into its commitment.
pub fn summarize<'a>(geometry: Geometry, blobs: impl IntoIterator<Item = (u32, TxHash, &'a EncodedBlob)>) -> DaSummary { todo!() }

/// `daRoot` of a block without blobs.
pub fn empty_da_root(geometry: Geometry) -> B256 { todo!() }

/// Zero-padded data columns cut from a blob (for dropping a body): k segments of concatenated cells.
pub fn data_columns(geometry: Geometry, blob: &[u8]) -> Vec<Bytes> { todo!() }

/// One column of a whole blob from its parity (`j ≥ k`) or its bytes (`j < k`): cells concatenated in chunk order.
pub fn column_of(encoded: &EncodedBlob, blob: &[u8], column: ColumnIndex) -> Bytes { todo!() }

/// A cell whose hash was compared with the block's commitment. No other cell reaches the store or the decoder.
#[derive(Clone, Debug)]
pub struct CheckedCell {
    chunk: ChunkIndex,
    column: ColumnIndex,
    bytes: Bytes,
}
// constructors: from a known cell hash (`CheckedCell::against_hash`), from a proof (`CellProof::check`), from a range proof …

/// Rebuilds one blob from any k checked columns of each chunk; refuses wrong sizes, duplicates, non-zero padding.
pub fn decode_blob(geometry: Geometry, length: usize, cells: &[Vec<CheckedCell>]) -> Result<Bytes, DecodeError> { todo!() }

#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("chunk {chunk}: {have} distinct columns, {need} needed")]
    TooFew { chunk: u32, have: usize, need: usize },
    // ...
}

// Proofs (module `proof`): CellProof, ColumnProof, RangeProof, BlobProof — build from a DaSummary + cell hashes,
// verify down to a block hash. Module `merkle`: RFC 6962 roots, audit paths, range proofs.
pub type SharedEncodedBlob = Arc<EncodedBlob>;
