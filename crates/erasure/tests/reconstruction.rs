//! Every blob comes back from any k of its columns, and from nothing that was tampered with.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use alloy_primitives::Bytes;
use common::TestBlock;
use proptest::prelude::*;
use weft_erasure::{
    CheckError, CheckedCell, DecodeError, chunks_of, decode_blob, decode_chunk, encode_blob, summarize,
};
use weft_primitives::{ChunkIndex, ColumnIndex, Geometry};

const CHUNK: usize = 131_072;
const THRESHOLD: usize = 4096;

/// All 4-subsets of 11 columns: 330.
fn four_of_eleven() -> Vec<[u16; 4]> {
    let mut subsets = Vec::new();
    for a in 0..11 {
        for b in a + 1..11 {
            for c in b + 1..11 {
                subsets.extend((c + 1..11).map(|d| [a, b, c, d]));
            }
        }
    }
    subsets
}

#[test]
fn every_blob_of_a_mixed_block_comes_back_from_every_four_of_eleven_columns() {
    let lengths =
        [1, 63, 64, 255, 256, 257, THRESHOLD, THRESHOLD + 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 777];
    let block = TestBlock::new(Geometry::DEV, &lengths);
    let subsets = four_of_eleven();
    assert_eq!(subsets.len(), 330);
    for (blob, original) in block.blobs.iter().enumerate() {
        let entry = block.cells.summary().blobs[blob];
        let all = block.columns(blob, &(0..11).collect::<Vec<_>>());
        for subset in &subsets {
            let cells: Vec<Vec<CheckedCell>> = all
                .iter()
                .map(|chunk| subset.iter().map(|&j| chunk[usize::from(j)].clone()).collect())
                .collect();
            let decoded = decode_blob(block.geometry, &entry, &cells).unwrap();
            assert!(decoded == *original, "{} bytes from columns {subset:?}", original.len());
        }
    }
}

#[test]
fn the_largest_blob_comes_back_from_parity_alone() {
    let block = TestBlock::new(Geometry::DEV, &[16 << 20]);
    let decoded =
        decode_blob(block.geometry, &block.cells.summary().blobs[0], &block.columns(0, &[10, 4, 7, 9]))
            .unwrap();
    assert!(decoded == block.blobs[0]);
}

#[test]
fn more_than_k_columns_do_no_harm_and_order_does_not_matter() {
    let block = TestBlock::new(Geometry::DEV, &[5000]);
    let entry = block.cells.summary().blobs[0];
    for columns in [&[10, 0, 5, 3, 7, 2][..], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], &[9, 8, 7, 6, 5]] {
        assert_eq!(decode_blob(block.geometry, &entry, &block.columns(0, columns)).unwrap(), block.blobs[0]);
    }
}

#[test]
fn a_changed_cell_is_refused_with_the_reason() {
    let block = TestBlock::new(Geometry::DEV, &[5000, 300_000]);
    let check = |chunk: ChunkIndex, column: u16, bytes: Vec<u8>| {
        block.cells.check_cell(chunk, ColumnIndex(column), Bytes::from(bytes)).unwrap_err()
    };
    for column in 0..11 {
        let good = block.cell(1, 2, column).to_vec();
        let place = block.chunk(1, 2);
        for at in [0, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert!(
                matches!(check(place, column, bad), CheckError::CellHash { .. }),
                "column {column}, byte {at}"
            );
        }
        let mut truncated = good.clone();
        truncated.pop();
        assert!(matches!(check(place, column, truncated), CheckError::CellSize { .. }));
        let mut longer = good.clone();
        longer.push(0);
        assert!(matches!(check(place, column, longer), CheckError::CellSize { .. }));
        assert!(matches!(check(place, column, vec![]), CheckError::CellSize { have: 0, .. }));
        // The right cell in the place of another one.
        assert!(matches!(check(place, (column + 1) % 11, good.clone()), CheckError::CellHash { .. }));
        assert!(matches!(check(block.chunk(1, 0), column, good.clone()), CheckError::CellSize { .. }));
        assert!(matches!(check(ChunkIndex(99), column, good.clone()), CheckError::OutOfBlock { .. }));
        assert!(matches!(check(place, 11, good), CheckError::OutOfBlock { .. }));
    }
}

#[test]
fn swapped_duplicated_missing_and_foreign_cells_do_not_decode() {
    let block = TestBlock::new(Geometry::DEV, &[2 * CHUNK, 2 * CHUNK]);
    let entry = block.cells.summary().blobs[0];
    let good = block.columns(0, &[1, 4, 6, 9]);
    let decode = |cells: &[Vec<CheckedCell>]| decode_blob(block.geometry, &entry, cells);
    assert!(decode(&good).is_ok());

    let mut swapped = good.clone();
    swapped.swap(0, 1);
    assert_eq!(
        decode(&swapped),
        Err(DecodeError::WrongChunk { expected: ChunkIndex(0), found: ChunkIndex(1) }),
        "chunks in another order"
    );
    let mut duplicated = good.clone();
    duplicated[1][3] = duplicated[1][2].clone();
    assert_eq!(
        decode(&duplicated),
        Err(DecodeError::Duplicate { chunk: ChunkIndex(1), column: ColumnIndex(6) })
    );
    let mut few = good.clone();
    few[1].pop();
    assert_eq!(decode(&few), Err(DecodeError::TooFew { chunk: ChunkIndex(1), have: 3, need: 4 }));
    assert_eq!(decode(&good[..1]), Err(DecodeError::ChunkCount { have: 1, need: 2 }));
    let mut foreign = good.clone();
    foreign[0][2] = block.checked(1, 0, 6);
    assert!(matches!(decode(&foreign), Err(DecodeError::WrongChunk { .. })), "another blob of the block");

    let other = TestBlock::new(Geometry::DEV, &[2 * CHUNK, CHUNK]);
    let mut mixed = good.clone();
    mixed[0][2] = other.checked(0, 0, 6);
    assert_eq!(decode(&mixed), Err(DecodeError::MixedBlocks { chunk: ChunkIndex(0) }));
}

/// A publisher of an invalid coding: the padding of a short chunk carries bytes, and the commitment is
/// made over that. The header is "right", the decoder is the last to refuse.
#[test]
fn a_commitment_over_non_zero_padding_does_not_decode() {
    let geometry = Geometry::DEV;
    let honest = encode_blob(geometry, &[1; 1000]);
    let mut padded = vec![1; 1000];
    padded.resize(1024, 0);
    padded[1023] = 9;
    let mut forged = encode_blob(geometry, &padded);
    forged.length = 1000;
    assert_ne!(honest.cell_hashes, forged.cell_hashes);
    let tx = alloy_primitives::B256::repeat_byte(5);
    let summary = summarize(geometry, [(0, tx, &forged)]);
    let cells = weft_erasure::BlockCells::of_blobs(geometry, &[(0, tx, &forged)]);
    for columns in [[0, 1, 2, 3], [4, 5, 6, 7], [0, 8, 9, 10]] {
        let given: Vec<CheckedCell> = columns
            .iter()
            .map(|&column| {
                let bytes = weft_erasure::column_of(&forged, &padded, ColumnIndex(column));
                cells.check_cell(ChunkIndex(0), ColumnIndex(column), bytes).unwrap()
            })
            .collect();
        assert_eq!(
            decode_blob(geometry, &summary.blobs[0], std::slice::from_ref(&given)),
            Err(DecodeError::Padding { chunk: ChunkIndex(0) })
        );
        // Claiming another length does not help: it asks for other cell sizes or shows the byte.
        assert!(matches!(
            decode_chunk(geometry, ChunkIndex(0), 700, &given),
            Err(DecodeError::CellSize { have: 256, need: 192, .. })
        ));
    }
    assert!(matches!(
        decode_chunk(geometry, ChunkIndex(0), 0, &[]),
        Err(DecodeError::ChunkLength { length: 0, .. })
    ));
    assert!(matches!(
        decode_chunk(geometry, ChunkIndex(0), CHUNK + 1, &[]),
        Err(DecodeError::ChunkLength { .. })
    ));
}

#[test]
fn a_byte_range_needs_the_chunks_that_hold_it() {
    let block = TestBlock::new(Geometry::DEV, &[3 * CHUNK + 5]);
    let entry = block.cells.summary().blobs[0];
    let chunk = CHUNK as u64;
    let needs = |range| chunks_of(block.geometry, &entry, range);
    assert_eq!(needs(0..1), Ok(0..1));
    assert_eq!(needs(chunk - 1..chunk), Ok(0..1));
    assert_eq!(needs(chunk - 1..chunk + 1), Ok(0..2));
    assert_eq!(needs(3 * chunk..3 * chunk + 5), Ok(3..4));
    assert_eq!(needs(0..entry.length), Ok(0..4));
    assert_eq!(needs(7..7), Ok(0..0));
    assert!(matches!(needs(0..entry.length + 1), Err(DecodeError::OutOfBlob { .. })));
    assert!(matches!(needs(std::ops::Range { start: 9, end: 8 }), Err(DecodeError::OutOfBlob { .. })));
    assert!(matches!(needs(u64::MAX - 1..u64::MAX), Err(DecodeError::OutOfBlob { .. })));
}

fn geometries() -> impl Strategy<Value = Geometry> {
    (1_u16..20, 1_u16..20, 1_u32..20)
        .prop_map(|(k, m, units)| Geometry::new(1, k, m, units * 64 * u32::from(k)).unwrap())
}

proptest! {
    #[test]
    fn any_geometry_any_length_any_k_columns(
        geometry in geometries(), length in 1_usize..6000, order in any::<prop::sample::Index>(), shuffle in any::<u64>(),
    ) {
        let block = TestBlock::new(geometry, &[length, 1 + order.index(500)]);
        let mut columns: Vec<u16> = (0..geometry.columns() as u16).collect();
        // Fisher–Yates by a seed, then the first k.
        let mut seed = shuffle;
        for i in (1..columns.len()).rev() {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            columns.swap(i, (seed >> 33) as usize % (i + 1));
        }
        columns.truncate(geometry.data_shards());
        for blob in 0..2 {
            let decoded = decode_blob(geometry, &block.cells.summary().blobs[blob], &block.columns(blob, &columns));
            prop_assert_eq!(decoded.unwrap(), Bytes::from(block.blobs[blob].clone()));
        }
    }
}
