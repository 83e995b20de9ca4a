//! Everything that proves itself against a header which is believed. What passes is what the block has.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use weft_erasure::{Anchor, BlobProof, CellProof, ColumnProof, RangeProof};
use weft_fuzz::{BLOCK, Decoder, Family};
use weft_p2p::{Answer, BlockCommitment, CellsRequest, CellsResponse};
use weft_primitives::{BlobIndex, ChunkIndex, ColumnIndex};

/// The place that the proofs of one cell, column or blob are for.
const COLUMN: ColumnIndex = ColumnIndex(4);
const CHUNK: ChunkIndex = ChunkIndex(6);
const BLOB: BlobIndex = BlobIndex(3);

static FAMILY: LazyLock<Family> = LazyLock::new(|| {
    let summary = BLOCK.hashes.summary();
    let cell = BLOCK.cells(COLUMN, CHUNK.0..CHUNK.0 + 1).expect("a cell of the block")[0].clone();
    let cell = CellProof::new(&BLOCK.header, &BLOCK.hashes, COLUMN, CHUNK, cell);
    let column = ColumnProof::new(&BLOCK.header, &BLOCK.hashes, COLUMN);
    let blob = BlobProof::new(&BLOCK.header, &BLOCK.hashes, BLOB);
    Family(vec![
        Decoder::message(ranges().map(|range| Answer(Ok(answer(range)))), check_answer),
        Decoder::message([Answer(Ok(BlockCommitment::from(summary.clone())))], check_commitment),
        Decoder::proof(ranges(), check_range),
        Decoder::proof([BLOCK.anchor.clone()], check_anchor),
        Decoder::proof([cell.expect("its own cell")], check_cell),
        Decoder::proof([column.expect("its own column")], check_column),
        Decoder::proof([blob.expect("its own blob")], check_blob),
    ])
});

fn ranges() -> impl Iterator<Item = RangeProof> {
    let places = [(0, 0..1), (6, 5..30), (2, 0..BLOCK.chunks()), (1, 42..43)];
    places
        .into_iter()
        .map(|(column, chunks)| BLOCK.range(ColumnIndex(column), chunks).expect("its own cells"))
}

fn answer(range: RangeProof) -> CellsResponse {
    CellsResponse { anchor: BLOCK.anchor.clone(), range }
}

fn check_answer(answer: Answer<CellsResponse>) {
    let Ok(answer) = answer.0 else { return };
    let request = CellsRequest {
        block: BLOCK.hash(),
        column: ColumnIndex(answer.range.column),
        first_chunk: ChunkIndex(answer.range.first_chunk),
        count: u32::MAX,
    };
    if let Ok(cells) = answer.verify(&request) {
        assert_eq!(answer.anchor, BLOCK.anchor, "another preimage");
        BLOCK.check_range(&answer.range, &cells);
        let short = answer.verify(&CellsRequest { count: 1, ..request });
        assert_eq!(short.expect("as before"), cells[..1], "never more than was asked for");
    }
}

fn check_commitment(answer: Answer<BlockCommitment>) {
    if let Some(summary) = answer.0.ok().and_then(|commitment| commitment.check(&BLOCK.header)) {
        assert_eq!(summary, *BLOCK.hashes.summary(), "another commitment");
    }
}

/// Under an anchor that is right, so that no byte is spent on guessing one.
fn check_range(range: RangeProof) {
    let (column, first) = (ColumnIndex(range.column), ChunkIndex(range.first_chunk));
    if let Ok(cells) = range.verify(&BLOCK.trusted, column, first) {
        BLOCK.check_range(&range, &cells);
    }
}

/// The header is what is proven; the preimage is a claim until a path closes over it.
fn check_anchor(anchor: Anchor) {
    if let Ok(trusted) = anchor.verify(BLOCK.hash()) {
        assert_eq!(trusted.header(), BLOCK.header.header(), "another header");
        let closed = trusted.close(BLOCK.hashes.summary().columns_root).is_ok();
        assert_eq!(closed, anchor == BLOCK.anchor, "another preimage");
    }
}

fn check_cell(proof: CellProof) {
    if let Ok(cell) = proof.verify(BLOCK.hash(), COLUMN, CHUNK) {
        let truth = BLOCK.hashes.check_cell(CHUNK, COLUMN, proof.cell);
        assert_eq!(truth, Ok(cell), "a lie that passed");
    }
}

fn check_column(proof: ColumnProof) {
    let whole = BLOCK.cells(COLUMN, 0..BLOCK.chunks()).expect("a column of the block");
    let truth = ColumnProof::new(&BLOCK.header, &BLOCK.hashes, COLUMN).expect("its own column");
    let passed = proof.verify(BLOCK.hash(), COLUMN, whole.to_vec()).is_ok();
    assert_eq!(passed, proof == truth, "a lie that passed");
}

fn check_blob(proof: BlobProof) {
    if let Ok(blob) = proof.verify(BLOCK.hash()) {
        let at = usize::try_from(proof.blob_index).expect("usize has 64 bits");
        assert_eq!(BLOCK.hashes.summary().blobs.get(at), Some(&blob), "a lie that passed");
    }
}

fuzz_target!(init: FAMILY.plant("proofs"), |input: &[u8]| FAMILY.take(input));
