//! Served proofs verify down to the block hash; every change of one is refused.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use alloy_primitives::{B256, Bytes};
use alloy_rlp::Encodable;
use common::TestBlock;
use proptest::prelude::*;
use serde_json::Value;
use weft_erasure::{Anchor, BlobProof, CellProof, ColumnProof, ProofError, RangeProof, proof::Wire};
use weft_primitives::{BlobIndex, ChunkIndex, ColumnIndex, Geometry};

fn small() -> TestBlock {
    TestBlock::new(Geometry::new(1, 3, 4, 384).unwrap(), &[1, 384, 385, 5000, 191])
}

fn cell_proof(block: &TestBlock, column: u16, chunk: u32) -> CellProof {
    let (blob, within) = block.place(chunk);
    let cell = block.cell(blob, within, column);
    CellProof::new(&block.header, &block.cells, ColumnIndex(column), ChunkIndex(chunk), cell).unwrap()
}

fn range_proof(block: &TestBlock, column: u16, first: u32, count: u32) -> RangeProof {
    let cells = (first..first + count).map(|chunk| {
        let (blob, within) = block.place(chunk);
        block.cell(blob, within, column)
    });
    RangeProof::new(&block.cells, ColumnIndex(column), ChunkIndex(first), cells.collect()).unwrap()
}

fn anchor(block: &TestBlock) -> Anchor {
    Anchor::new(&block.header, block.cells.summary()).unwrap()
}

#[test]
fn every_cell_range_column_and_blob_of_a_block_is_proven() {
    let block = small();
    let chunks = block.cells.summary().chunk_count;
    let trusted = anchor(&block).verify(block.hash).unwrap();
    for column in 0..7 {
        for chunk in 0..chunks {
            let proof = cell_proof(&block, column, chunk);
            let cell = proof.verify(block.hash, ColumnIndex(column), ChunkIndex(chunk)).unwrap();
            let (blob, within) = block.place(chunk);
            assert_eq!(cell, block.checked(blob, within, column));
            for count in 1..=chunks - chunk {
                let proof = range_proof(&block, column, chunk, count);
                let cells = proof.verify(&trusted, ColumnIndex(column), ChunkIndex(chunk)).unwrap();
                assert_eq!(cells.len(), count as usize);
                assert_eq!(cells[0], cell);
            }
        }
        let proof = ColumnProof::new(&block.header, &block.cells, ColumnIndex(column)).unwrap();
        let whole = range_proof(&block, column, 0, chunks).cells;
        assert_eq!(proof.verify(block.hash, ColumnIndex(column), whole).unwrap().len(), chunks as usize);
    }
    for (blob, entry) in block.cells.summary().blobs.iter().enumerate() {
        let proof = BlobProof::new(&block.header, &block.cells, BlobIndex(blob as u32)).unwrap();
        assert_eq!(proof.verify(block.hash).unwrap(), *entry);
    }
}

#[test]
fn a_proof_that_would_fail_is_not_built() {
    let block = small();
    let cell = block.cell(0, 0, 0);
    let build = |header: &_, column, chunk, cell: Bytes| {
        CellProof::new(header, &block.cells, ColumnIndex(column), ChunkIndex(chunk), cell)
    };
    let mut header = block.header.clone();
    header.extra_data = Bytes::from(vec![1; 32]);
    assert!(matches!(build(&header, 0, 0, cell.clone()), Err(ProofError::DaRoot { .. })));
    header.extra_data = Bytes::from(vec![1; 31]);
    assert!(matches!(build(&header, 0, 0, cell.clone()), Err(ProofError::ExtraData(31))));
    assert!(
        matches!(build(&block.header, 1, 1, cell.clone()), Err(ProofError::Check(_))),
        "another cell's bytes"
    );
    assert!(matches!(build(&block.header, 7, 0, cell.clone()), Err(ProofError::Check(_))));
    assert!(matches!(build(&block.header, 0, 99, cell), Err(ProofError::Check(_))));
    assert!(BlobProof::new(&block.header, &block.cells, BlobIndex(5)).is_err());
    assert!(ColumnProof::new(&block.header, &block.cells, ColumnIndex(7)).is_err());
    assert!(
        RangeProof::new(&block.cells, ColumnIndex(0), ChunkIndex(0), vec![]).is_err(),
        "no cells, no proof"
    );
}

#[test]
fn a_cell_proof_speaks_for_one_place_of_one_block() {
    let block = small();
    let proof = cell_proof(&block, 2, 5);
    let verify =
        |proof: &CellProof, column, chunk| proof.verify(block.hash, ColumnIndex(column), ChunkIndex(chunk));
    assert!(verify(&proof, 2, 5).is_ok());
    for column in (0..9).filter(|column| *column != 2) {
        assert!(verify(&proof, column, 5).is_err(), "as column {column}");
    }
    for chunk in (0..block.cells.summary().chunk_count + 2).filter(|chunk| *chunk != 5) {
        assert!(verify(&proof, 2, chunk).is_err(), "as chunk {chunk}");
    }
    let other_hash = B256::repeat_byte(1);
    assert!(matches!(
        proof.verify(other_hash, ColumnIndex(2), ChunkIndex(5)),
        Err(ProofError::BlockHash { expected, .. }) if expected == other_hash
    ));
    let other = TestBlock::new(block.geometry, &[5000, 1]);
    let mut grafted = proof.clone();
    grafted.anchor = cell_proof(&other, 2, 5).anchor;
    assert!(grafted.verify(other.hash, ColumnIndex(2), ChunkIndex(5)).is_err(), "another block's anchor");
}

/// Changes one leaf of the JSON in place; returns how many leaves there are.
fn mutate(value: &mut Value, target: usize, seen: &mut usize, change: &dyn Fn(&mut String)) {
    match value {
        Value::String(text) => {
            if *seen == target {
                change(text);
            }
            *seen += 1;
        }
        Value::Array(items) => items.iter_mut().for_each(|item| mutate(item, target, seen, change)),
        Value::Object(fields) => fields.values_mut().for_each(|item| mutate(item, target, seen, change)),
        _ => {}
    }
}

/// Flips the last hex digit: a changed byte, or a changed number.
fn flip(text: &mut String) {
    let digit = text.pop().unwrap();
    text.push(if digit == '1' { '2' } else { '1' });
}

fn every_change_is_refused<P: Wire + serde::Serialize>(proof: &P, accepts: impl Fn(&P) -> bool) {
    assert!(accepts(proof));
    let json = serde_json::to_value(proof).unwrap();
    let (mut leaves, nothing) = (0, |_: &mut String| {});
    mutate(&mut json.clone(), usize::MAX, &mut leaves, &nothing);
    assert!(leaves > 8);
    for target in 0..leaves {
        let mut changed = json.clone();
        mutate(&mut changed, target, &mut 0, &flip);
        assert_ne!(changed, json);
        if let Ok(changed) = P::from_json(&changed.to_string()) {
            assert!(!accepts(&changed), "leaf {target} of {json}");
        }
    }
    // Lists longer, shorter, or in another order.
    for (name, field) in json.as_object().unwrap() {
        let Value::Array(items) = field else { continue };
        let mut variants =
            vec![[items.clone(), vec![Value::String(format!("0x{}", "00".repeat(32)))]].concat()];
        if !items.is_empty() {
            variants.extend([items[1..].to_vec(), items[..items.len() - 1].to_vec(), vec![]]);
        }
        if items.len() > 1 && items[0] != items[1] {
            variants.push([&[items[1].clone(), items[0].clone()], &items[2..]].concat());
            variants.push([&[items[0].clone(), items[0].clone()], &items[2..]].concat());
        }
        for variant in variants {
            let mut changed = json.clone();
            changed[name] = Value::Array(variant);
            let changed = P::from_json(&changed.to_string()).unwrap();
            assert!(
                !accepts(&changed),
                "{name} of {changed:?}",
                changed = serde_json::to_string(&changed).unwrap()
            );
        }
    }
}

#[test]
fn every_changed_field_of_every_proof_is_refused() {
    let block = small();
    let (column, chunk) = (ColumnIndex(4), ChunkIndex(6));
    every_change_is_refused(&cell_proof(&block, 4, 6), |proof| {
        proof.verify(block.hash, column, chunk).is_ok()
    });
    every_change_is_refused(&BlobProof::new(&block.header, &block.cells, BlobIndex(3)).unwrap(), |proof| {
        proof.verify(block.hash).is_ok()
    });
    let whole = range_proof(&block, 4, 0, block.cells.summary().chunk_count).cells;
    every_change_is_refused(&ColumnProof::new(&block.header, &block.cells, column).unwrap(), |proof| {
        proof.verify(block.hash, column, whole.clone()).is_ok()
    });
    let trusted = anchor(&block).verify(block.hash).unwrap();
    every_change_is_refused(&range_proof(&block, 4, 6, 5), |proof| {
        proof.verify(&trusted, column, chunk).is_ok()
    });
}

#[test]
fn a_column_with_cells_missing_added_or_swapped_is_refused() {
    let block = small();
    let proof = ColumnProof::new(&block.header, &block.cells, ColumnIndex(1)).unwrap();
    let whole = range_proof(&block, 1, 0, block.cells.summary().chunk_count).cells;
    let verify = |cells: Vec<Bytes>| proof.verify(block.hash, ColumnIndex(1), cells);
    assert!(verify(whole.clone()).is_ok());
    assert!(matches!(verify(whole[1..].to_vec()), Err(ProofError::Path { .. })));
    assert!(matches!(verify([whole.clone(), vec![whole[0].clone()]].concat()), Err(ProofError::Path { .. })));
    assert!(matches!(verify(vec![]), Err(ProofError::DaRoot { .. })));
    let mut swapped = whole.clone();
    swapped.swap(4, 5);
    assert!(matches!(verify(swapped), Err(ProofError::DaRoot { .. })));
}

fn rlp(proof: &impl Encodable) -> Vec<u8> {
    alloy_rlp::encode(proof)
}

#[test]
fn wire_forms_return_and_refuse_what_is_too_long_or_goes_on() {
    let block = small();
    let proof = cell_proof(&block, 0, 3);
    assert_eq!(CellProof::from_rlp(&rlp(&proof)).unwrap(), proof);
    assert_eq!(CellProof::from_json(&serde_json::to_string(&proof).unwrap()).unwrap(), proof);
    let mut longer = rlp(&proof);
    longer.push(0);
    assert!(matches!(CellProof::from_rlp(&longer), Err(ProofError::Rlp(_))), "trailing byte");
    let huge = vec![0; CellProof::BYTES_MAX + 1];
    assert!(matches!(CellProof::from_rlp(&huge), Err(ProofError::TooLong { .. })));
    assert!(matches!(
        CellProof::from_json(&" ".repeat(3 * CellProof::BYTES_MAX + 1)),
        Err(ProofError::TooLong { .. })
    ));
    let mut header = proof.clone();
    header.anchor.header = vec![0; 4096].into();
    assert!(matches!(
        header.verify(block.hash, ColumnIndex(0), ChunkIndex(3)),
        Err(ProofError::HeaderBytes(4096))
    ));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_a_decoder(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = CellProof::from_rlp(&bytes);
        let _ = RangeProof::from_rlp(&bytes);
        let _ = ColumnProof::from_rlp(&bytes);
        let _ = BlobProof::from_rlp(&bytes);
        let _ = Anchor::from_rlp(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let _ = CellProof::from_json(&text);
        let _ = RangeProof::from_json(&text);
        let _ = BlobProof::from_json(&text);
    }

    /// Damaged encodings of real proofs: they do not decode, or do not verify, or are unchanged.
    #[test]
    fn a_damaged_proof_is_never_accepted(at in any::<prop::sample::Index>(), bits in 1_u8.., cut in any::<bool>()) {
        let block = small();
        let proof = cell_proof(&block, 1, 2);
        let mut bytes = rlp(&proof);
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] ^= bits }
        if let Ok(changed) = CellProof::from_rlp(&bytes) {
            prop_assert!(changed.verify(block.hash, ColumnIndex(1), ChunkIndex(2)).is_err());
        }
        let range = range_proof(&block, 1, 2, 4);
        let mut bytes = rlp(&range);
        let at = at % bytes.len();
        if cut { bytes.truncate(at) } else { bytes[at] ^= bits }
        if let Ok(changed) = RangeProof::from_rlp(&bytes) {
            let trusted = anchor(&block).verify(block.hash).unwrap();
            prop_assert!(changed.verify(&trusted, ColumnIndex(1), ChunkIndex(2)).is_err());
        }
        let blob = BlobProof::new(&block.header, &block.cells, BlobIndex(1)).unwrap();
        let mut bytes = rlp(&blob);
        let at = at % bytes.len();
        if cut { bytes.truncate(at) } else { bytes[at] ^= bits }
        if let Ok(changed) = BlobProof::from_rlp(&bytes) {
            prop_assert!(changed.verify(block.hash).is_err());
        }
    }

    #[test]
    fn any_numbers_in_a_proof_are_refused_without_panic(
        column in any::<u16>(), chunk in any::<u32>(), count in any::<u32>(), blobs in any::<u32>(), k in any::<u16>(), m in any::<u16>(),
    ) {
        let block = small();
        let mut proof = cell_proof(&block, 1, 2);
        proof.anchor.chunk_count = count;
        prop_assume!(count != block.cells.summary().chunk_count);
        prop_assert!(proof.verify(block.hash, ColumnIndex(1), ChunkIndex(2)).is_err());
        prop_assert!(proof.verify(block.hash, ColumnIndex(column), ChunkIndex(chunk)).is_err());
        proof.anchor.data_shards = k;
        proof.anchor.parity_shards = m;
        prop_assert!(proof.verify(block.hash, ColumnIndex(column), ChunkIndex(chunk)).is_err());
        let mut blob = BlobProof::new(&block.header, &block.cells, BlobIndex(1)).unwrap();
        blob.anchor.blob_count = blobs;
        blob.blob_index = chunk;
        prop_assume!(chunk != 1 || blobs != 5);
        prop_assert!(blob.verify(block.hash).is_err());
        let mut range = range_proof(&block, 1, 2, 3);
        range.first_chunk = chunk;
        range.column = column;
        prop_assume!(chunk != 2 || column != 1);
        let trusted = anchor(&block).verify(block.hash).unwrap();
        prop_assert!(range.verify(&trusted, ColumnIndex(column), ChunkIndex(chunk)).is_err());
    }
}
