//! From checked cells back to bytes.
//!
//! `check → decode`: the only cells that a decoder takes are [`CheckedCell`]s, and those exist only
//! after their hash was compared with a block's commitment, by [`BlockCells::check_cell`] or by a proof.
//! Refused here in addition: cells of another chunk or of another block, a column twice, a size other
//! than the chunk's, fewer than k columns, padding that is not zero.

use crate::{
    codec::code,
    commitment::{BlockCells, CheckError},
    hash,
};
use alloy_primitives::{B256, Bytes};
use std::ops::Range;
use weft_primitives::{BlobRef, ChunkIndex, ColumnIndex, Geometry};

/// A cell whose hash was compared with a block's commitment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedCell {
    da_root: B256,
    chunk: ChunkIndex,
    column: ColumnIndex,
    bytes: Bytes,
}

impl CheckedCell {
    /// Only for code of this crate that has just compared the hash.
    pub(crate) fn new(da_root: B256, chunk: ChunkIndex, column: ColumnIndex, bytes: Bytes) -> Self {
        Self { da_root, chunk, column, bytes }
    }

    /// The commitment that it was checked against.
    pub fn da_root(&self) -> B256 {
        self.da_root
    }

    /// Its chunk, counted in the block.
    pub fn chunk(&self) -> ChunkIndex {
        self.chunk
    }

    /// Its column.
    pub fn column(&self) -> ColumnIndex {
        self.column
    }

    /// Its bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl BlockCells {
    /// Admits `bytes` as the cell (`chunk`, `column`) of this block, if they are.
    pub fn check_cell(
        &self,
        chunk: ChunkIndex,
        column: ColumnIndex,
        bytes: Bytes,
    ) -> Result<CheckedCell, CheckError> {
        let expected = self.hash(chunk, column)?;
        let need = self.cell_bytes(chunk)?;
        if bytes.len() != need {
            return Err(CheckError::CellSize { chunk, column, have: bytes.len(), need });
        }
        let found = hash::leaf(&bytes);
        if found != expected {
            return Err(CheckError::CellHash { chunk, column, expected, found });
        }
        Ok(CheckedCell::new(self.summary().da_root, chunk, column, bytes))
    }
}

/// Why cells do not decode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not enough columns of a chunk.
    #[error("chunk {chunk}: {have} distinct columns, {need} needed")]
    TooFew {
        /// Which chunk of the block.
        chunk: ChunkIndex,
        /// Columns given.
        have: usize,
        /// k.
        need: usize,
    },
    /// A list of chunks of another length than the blob has.
    #[error("cells of {have} chunks, {need} needed")]
    ChunkCount {
        /// Chunks given.
        have: usize,
        /// Chunks asked for.
        need: usize,
    },
    /// A cell that belongs to another chunk.
    #[error("a cell of chunk {found} stands in the place of chunk {expected}")]
    WrongChunk {
        /// Where it was given.
        expected: ChunkIndex,
        /// Where it belongs.
        found: ChunkIndex,
    },
    /// Cells that were checked against different commitments.
    #[error("chunk {chunk}: cells of two blocks")]
    MixedBlocks {
        /// Which chunk.
        chunk: ChunkIndex,
    },
    /// The same column twice.
    #[error("chunk {chunk}: column {column} is given twice")]
    Duplicate {
        /// Which chunk.
        chunk: ChunkIndex,
        /// Which column.
        column: ColumnIndex,
    },
    /// A column past n.
    #[error("chunk {chunk}: there is no column {column}")]
    NoSuchColumn {
        /// Which chunk.
        chunk: ChunkIndex,
        /// Which column.
        column: ColumnIndex,
    },
    /// A cell of another size.
    #[error("chunk {chunk}: cell of column {column} has {have} bytes instead of {need}")]
    CellSize {
        /// Which chunk.
        chunk: ChunkIndex,
        /// Which column.
        column: ColumnIndex,
        /// Bytes given.
        have: usize,
        /// s.
        need: usize,
    },
    /// A non-canonical coding: bytes after the blob's end that are not zero.
    #[error("chunk {chunk}: padding is not zero")]
    Padding {
        /// Which chunk.
        chunk: ChunkIndex,
    },
    /// A chunk length that is zero or longer than `chunkBytes`.
    #[error("chunk {chunk}: {length} bytes is no chunk length")]
    ChunkLength {
        /// Which chunk.
        chunk: ChunkIndex,
        /// The length given.
        length: usize,
    },
    /// A byte range that is not in the blob.
    #[error("bytes {start}..{end} are not in a blob of {length}")]
    OutOfBlob {
        /// First byte.
        start: u64,
        /// One past the last.
        end: u64,
        /// L.
        length: u64,
    },
}

/// Rebuilds one chunk of `length` bytes from any k checked cells of it.
pub fn decode_chunk(
    geometry: Geometry,
    chunk: ChunkIndex,
    length: usize,
    cells: &[CheckedCell],
) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::with_capacity(length);
    decode_into(geometry, chunk, length, cells, &mut out)?;
    Ok(out)
}

/// Rebuilds one blob; `cells[i]` are checked cells of its i-th chunk, at least k of them.
pub fn decode_blob(
    geometry: Geometry,
    blob: &BlobRef,
    cells: &[Vec<CheckedCell>],
) -> Result<Bytes, DecodeError> {
    let chunks = chunks_of(geometry, blob, 0..blob.length)?;
    if cells.len() != chunks.len() {
        return Err(DecodeError::ChunkCount { have: cells.len(), need: chunks.len() });
    }
    let length = memory(blob.length);
    let mut out = Vec::with_capacity(length);
    for (index, cells) in chunks.zip(cells) {
        decode_into(geometry, in_block(blob, index), geometry.chunk_length(length, index), cells, &mut out)?;
    }
    Ok(out.into())
}

/// The chunks (counted within the blob) that hold a range of its bytes. Refuses what is outside the blob;
/// an empty range needs none.
pub fn chunks_of(geometry: Geometry, blob: &BlobRef, bytes: Range<u64>) -> Result<Range<usize>, DecodeError> {
    if bytes.start > bytes.end || bytes.end > blob.length {
        return Err(DecodeError::OutOfBlob { start: bytes.start, end: bytes.end, length: blob.length });
    }
    if bytes.is_empty() {
        return Ok(0..0);
    }
    Ok(memory(bytes.start) / geometry.chunk_bytes()..memory(bytes.end).div_ceil(geometry.chunk_bytes()))
}

fn in_block(blob: &BlobRef, chunk: usize) -> ChunkIndex {
    ChunkIndex(blob.first_chunk.0.saturating_add(u32::try_from(chunk).unwrap_or(u32::MAX)))
}

fn memory(bytes: u64) -> usize {
    usize::try_from(bytes).expect("usize has 64 bits")
}

fn decode_into(
    geometry: Geometry,
    chunk: ChunkIndex,
    length: usize,
    cells: &[CheckedCell],
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    if length == 0 || length > geometry.chunk_bytes() {
        return Err(DecodeError::ChunkLength { chunk, length });
    }
    let k = geometry.data_shards();
    let size = geometry.cell_bytes(length);
    let placed = place(geometry, chunk, size, cells)?;
    let have = placed.iter().flatten().count();
    if have < k {
        return Err(DecodeError::TooFew { chunk, have, need: k });
    }
    let start = out.len();
    if placed[..k].iter().all(Option::is_some) {
        placed[..k].iter().flatten().for_each(|cell| out.extend_from_slice(cell));
    } else {
        reconstruct(geometry, size, &placed, out);
    }
    if out[start + length..].iter().any(|byte| *byte != 0) {
        return Err(DecodeError::Padding { chunk });
    }
    out.truncate(start + length);
    Ok(())
}

/// Puts each cell into the place of its column, or says what is wrong with it.
fn place(
    geometry: Geometry,
    chunk: ChunkIndex,
    size: usize,
    cells: &[CheckedCell],
) -> Result<Vec<Option<&[u8]>>, DecodeError> {
    let mut placed = vec![None; geometry.columns()];
    for cell in cells {
        if cell.chunk != chunk {
            return Err(DecodeError::WrongChunk { expected: chunk, found: cell.chunk });
        }
        if cell.da_root != cells[0].da_root {
            return Err(DecodeError::MixedBlocks { chunk });
        }
        let column = cell.column;
        let slot =
            placed.get_mut(usize::from(column.0)).ok_or(DecodeError::NoSuchColumn { chunk, column })?;
        if slot.is_some() {
            return Err(DecodeError::Duplicate { chunk, column });
        }
        if cell.bytes.len() != size {
            return Err(DecodeError::CellSize { chunk, column, have: cell.bytes.len(), need: size });
        }
        *slot = Some(cell.bytes.as_ref());
    }
    Ok(placed)
}

/// Appends the k data cells: those that are there are copied, the others computed in their place.
fn reconstruct(geometry: Geometry, size: usize, placed: &[Option<&[u8]>], out: &mut Vec<u8>) {
    let (k, start) = (geometry.data_shards(), out.len());
    out.resize(start + k * size, 0);
    // The code wants its inputs mutable, so the parity cells that it reads are copied: as many as data is missing.
    let missing = placed[..k].iter().filter(|cell| cell.is_none()).count();
    let mut parity: Vec<(usize, Vec<u8>)> = (k..placed.len())
        .filter_map(|column| placed[column].map(|cell| (column, cell.to_vec())))
        .take(missing)
        .collect();
    let mut shards: Vec<(&mut [u8], bool)> = Vec::with_capacity(placed.len());
    for (slot, cell) in out[start..].chunks_mut(size).zip(placed) {
        if let Some(cell) = cell {
            slot.copy_from_slice(cell);
        }
        shards.push((slot, cell.is_some()));
    }
    for (column, cell) in &mut parity {
        shards.resize_with(*column, || (&mut [], false));
        shards.push((cell, true));
    }
    shards.resize_with(placed.len(), || (&mut [], false));
    code(geometry).reconstruct_data(&mut shards).expect("k shards of one size are there");
}
