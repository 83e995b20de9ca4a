#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod codec;
mod commitment;
mod decode;
mod encode;
mod hash;
pub mod merkle;
pub mod proof;
mod sparse;

pub use commitment::{
    BlockCells, CheckError, Preimage, blob_leaf, empty_da_root, is_committed, summarize, summary_of_roots,
};
pub use decode::{CheckedCell, DecodeError, chunks_of, decode_blob, decode_chunk};
pub use encode::{cell_range, column_bytes, column_of, data_columns, encode_again, encode_blob};
pub use hash::{leaf, node, sha256};
pub use proof::{
    Anchor, BlobProof, CellProof, CheckedRange, ColumnProof, HeldColumn, ProofError, RangeProof,
    TrustedAnchor,
};
pub use sparse::SparseTree;
