//! A mixed block that several test files look at from different sides.
#![allow(dead_code)]

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, keccak256};
use weft_erasure::{BlockCells, CheckedCell, cell_range, column_of, encode_blob, sha256};
use weft_primitives::{ChunkIndex, ColumnIndex, EncodedBlob, Geometry};

/// Incompressible bytes that a test in any language can make: byte i is byte `i mod 32` of
/// SHA-256(name ‖ u64(i / 32)).
pub fn bytes_of(name: &str, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 32);
    for counter in 0_u64.. {
        if bytes.len() >= length {
            break;
        }
        bytes.extend_from_slice(sha256(&[name.as_bytes(), &counter.to_be_bytes()].concat()).as_slice());
    }
    bytes.truncate(length);
    bytes
}

/// A block with blobs of the given lengths, each in every second transaction.
pub struct TestBlock {
    pub geometry: Geometry,
    pub blobs: Vec<Vec<u8>>,
    pub encoded: Vec<EncodedBlob>,
    pub cells: BlockCells,
    pub header: Header,
    pub hash: B256,
}

impl TestBlock {
    pub fn new(geometry: Geometry, lengths: &[usize]) -> Self {
        let blobs: Vec<Vec<u8>> =
            lengths.iter().enumerate().map(|(i, &length)| bytes_of(&format!("blob {i}"), length)).collect();
        let encoded: Vec<EncodedBlob> = blobs.iter().map(|blob| encode_blob(geometry, blob)).collect();
        let placed: Vec<_> = encoded
            .iter()
            .zip(0_u32..)
            .map(|(blob, i)| (2 * i, keccak256(format!("tx {i}")), blob))
            .collect();
        let cells = BlockCells::of_blobs(geometry, &placed);
        let header = Header {
            number: 7,
            extra_data: Bytes::copy_from_slice(cells.summary().da_root.as_slice()),
            ..Default::default()
        };
        let hash = header.hash_slow();
        Self { geometry, blobs, encoded, cells, header, hash }
    }

    /// The bytes of one cell of one blob; `chunk` counted within the blob.
    pub fn cell(&self, blob: usize, chunk: usize, column: u16) -> Bytes {
        let whole = column_of(&self.encoded[blob], &self.blobs[blob], ColumnIndex(column));
        whole.slice(cell_range(self.geometry, self.blobs[blob].len(), chunk))
    }

    /// Block-wide position of a blob's chunk.
    pub fn chunk(&self, blob: usize, chunk: usize) -> ChunkIndex {
        ChunkIndex(self.cells.summary().blobs[blob].first_chunk.0 + u32::try_from(chunk).unwrap())
    }

    /// The block's chunk as (blob, chunk of the blob).
    pub fn place(&self, chunk: u32) -> (usize, usize) {
        let blobs = &self.cells.summary().blobs;
        let blob = blobs.iter().rposition(|blob| blob.first_chunk.0 <= chunk).unwrap();
        (blob, (chunk - blobs[blob].first_chunk.0) as usize)
    }

    /// A cell that passed its check.
    pub fn checked(&self, blob: usize, chunk: usize, column: u16) -> CheckedCell {
        self.cells
            .check_cell(self.chunk(blob, chunk), ColumnIndex(column), self.cell(blob, chunk, column))
            .unwrap()
    }

    /// Checked cells of these columns for every chunk of a blob.
    pub fn columns(&self, blob: usize, columns: &[u16]) -> Vec<Vec<CheckedCell>> {
        let chunks = self.encoded[blob].chunk_count();
        (0..chunks)
            .map(|chunk| columns.iter().map(|&column| self.checked(blob, chunk, column)).collect())
            .collect()
    }
}
