//! From blob to cells (PROTOCOL §2): parity and the hashes of all cells, chunk by chunk.
//!
//! Called by the pool and by whoever prepares a block from outside; pure CPU on the caller's thread.
//! Data cells are slices of the blob; only a last chunk that does not fill its cells is copied, once,
//! into a padded buffer of at most `chunkBytes`. A chunk is hashed right after it was coded, while its
//! cells are in the second-level cache.

use crate::{codec::code, hash};
use alloy_primitives::{B256, Bytes};
use weft_primitives::{ColumnIndex, EncodedBlob, Geometry};

/// Encodes one blob: its parity and all its cell hashes. One thread; callers parallelise across blobs.
///
/// Memory: `length · m/k` bytes of parity in one buffer, 32·n bytes of hashes per chunk.
pub fn encode_blob(geometry: Geometry, blob: &[u8]) -> EncodedBlob {
    let (cell_hashes, parity) = encode(geometry, blob, geometry.columns());
    EncodedBlob { geometry, length: blob.len(), cell_hashes, parity }
}

/// Encodes again what was encoded before, for its parity. Only the data cells are hashed: where they are what
/// `cell_hashes` (chunk-major, all n columns) say, parity is a function of them. `None`: it is another blob.
pub fn encode_again(geometry: Geometry, blob: &[u8], cell_hashes: &[B256]) -> Option<EncodedBlob> {
    let (n, k) = (geometry.columns(), geometry.data_shards());
    if cell_hashes.len() != geometry.chunk_count(blob.len()) * n {
        return None;
    }
    let (data_hashes, parity) = encode(geometry, blob, k);
    let same = cell_hashes.chunks(n).zip(data_hashes.chunks(k)).all(|(known, data)| known[..k] == *data);
    same.then(|| EncodedBlob { geometry, length: blob.len(), cell_hashes: cell_hashes.to_vec(), parity })
}

/// Hashes of the first `hashed` columns' cells, chunk-major, and the parity columns.
fn encode(geometry: Geometry, blob: &[u8], hashed: usize) -> (Vec<B256>, Vec<Bytes>) {
    let code = code(geometry);
    let column = column_bytes(geometry, blob.len());
    let mut parity = vec![0_u8; geometry.parity_shards() * column];
    // What is left of each parity column.
    let mut rest: Vec<&mut [u8]> = parity.chunks_mut(column.max(1)).collect();
    let mut padded = Vec::new();
    let (full, last) = full_chunks(geometry, blob, &mut padded);
    let mut hashes = Vec::with_capacity(geometry.chunk_count(blob.len()) * hashed);
    // Cells whose hash is due, in order. They are hashed a full set of lanes at a time, so at most one chunk
    // and `LANES` cells after they were coded.
    let mut due: Vec<&[u8]> = Vec::with_capacity(geometry.columns() + hash::LANES);
    for (cells, is_last) in full.map(|chunk| (chunk, false)).chain(last.map(|chunk| (chunk, true))) {
        let size = cells.len() / geometry.data_shards();
        let cells: Vec<&[u8]> = cells.chunks(size).collect();
        let mut coded: Vec<&mut [u8]> = rest
            .iter_mut()
            .map(|rest| rest.split_off_mut(..size).expect("a column holds one cell per chunk"))
            .collect();
        code.encode_sep(&cells, &mut coded).expect("k data and m parity cells of one size");
        if is_last {
            // Its cells are of another size.
            hash::leaves(&due, &mut hashes);
            due.clear();
        }
        due.extend(cells.into_iter().chain(coded.into_iter().map(|cell| &*cell)).take(hashed));
        let now = due.len() - due.len() % hash::LANES;
        hash::leaves(&due[..now], &mut hashes);
        due.drain(..now);
    }
    hash::leaves(&due, &mut hashes);
    let parity = Bytes::from(parity);
    let columns = 0..geometry.parity_shards();
    let parity = columns.map(|row| parity.slice(row * column..(row + 1) * column)).collect();
    (hashes, parity)
}

/// The chunks that fill their cells where they lie, and the one that had to be padded.
fn full_chunks<'a>(
    geometry: Geometry,
    blob: &'a [u8],
    padded: &'a mut Vec<u8>,
) -> (impl Iterator<Item = &'a [u8]>, Option<&'a [u8]>) {
    let full = geometry.chunk_bytes();
    let (whole, rest) = blob.split_at(blob.len() - blob.len() % full);
    let last = (!rest.is_empty()).then(|| {
        padded.reserve_exact(geometry.data_shards() * geometry.cell_bytes(rest.len()));
        padded.extend_from_slice(rest);
        padded.resize(geometry.data_shards() * geometry.cell_bytes(rest.len()), 0);
        padded.as_slice()
    });
    (whole.chunks(full), last)
}

/// The k data columns of a blob, zero-padded as coded: what stays of it when its body is dropped.
pub fn data_columns(geometry: Geometry, blob: &[u8]) -> Vec<Bytes> {
    let columns = u16::try_from(geometry.data_shards()).expect("Geometry allows at most 256 columns");
    (0..columns).map(|column| data_column(geometry, blob, ColumnIndex(column))).collect()
}

/// One data column (`j < k`) of a blob: its cells in chunk order, concatenated.
fn data_column(geometry: Geometry, blob: &[u8], column: ColumnIndex) -> Bytes {
    let mut bytes = Vec::with_capacity(column_bytes(geometry, blob.len()));
    for chunk in blob.chunks(geometry.chunk_bytes()) {
        let size = geometry.cell_bytes(chunk.len());
        let start = (usize::from(column.0) * size).min(chunk.len());
        let end = (start + size).min(chunk.len());
        let padded = bytes.len() + size;
        bytes.extend_from_slice(&chunk[start..end]);
        bytes.resize(padded, 0);
    }
    bytes.into()
}

/// One column of a whole blob from its parity (`j ≥ k`, no copy) or its bytes (`j < k`): its cells in
/// chunk order, concatenated. Columns past n are empty, and so are parity columns that were not kept
/// (`EncodedBlob::has_parity`).
pub fn column_of(encoded: &EncodedBlob, blob: &[u8], column: ColumnIndex) -> Bytes {
    match usize::from(column.0).checked_sub(encoded.geometry.data_shards()) {
        None => data_column(encoded.geometry, blob, column),
        Some(row) => encoded.parity.get(row).cloned().unwrap_or_default(),
    }
}

/// Bytes of one column of a blob of `length` bytes: `Σ s` over its chunks.
pub fn column_bytes(geometry: Geometry, length: usize) -> usize {
    let full = length / geometry.chunk_bytes();
    full * geometry.cell_bytes(geometry.chunk_bytes()) + geometry.cell_bytes(length % geometry.chunk_bytes())
}

/// Where cell `chunk` (counted within the blob) lies in a column of a blob of `length` bytes.
pub fn cell_range(geometry: Geometry, length: usize, chunk: usize) -> std::ops::Range<usize> {
    let start = chunk * geometry.cell_bytes(geometry.chunk_bytes());
    start..start + geometry.cell_bytes(geometry.chunk_length(length, chunk))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn again_gives_the_same_and_only_for_the_same_blob(
            mut blob in prop::collection::vec(any::<u8>(), 1..5000),
            flipped in any::<prop::sample::Index>(),
        ) {
            let geometry = Geometry::new(1, 4, 7, 1024).expect("a valid geometry");
            let encoded = encode_blob(geometry, &blob);
            prop_assert_eq!(encode_again(geometry, &blob, &encoded.cell_hashes), Some(encoded.clone()));
            prop_assert_eq!(encode_again(geometry, &blob, &encoded.cell_hashes[1..]), None);
            let flipped = flipped.index(blob.len());
            blob[flipped] ^= 1;
            prop_assert_eq!(encode_again(geometry, &blob, &encoded.cell_hashes), None);
        }
    }
}
