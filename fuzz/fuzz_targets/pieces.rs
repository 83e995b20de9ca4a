//! Pieces of a column as they come in: in any order, overlapping, repeated, some of them damaged. What is kept of them is
//! the truth, and proves to others whatever is held.
#![no_main]

use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use std::{collections::BTreeSet, num::NonZeroU8};
use weft_erasure::{HeldColumn, RangeProof, SparseTree, proof::Wire};
use weft_fuzz::BLOCK;
use weft_primitives::{ChunkIndex, ColumnIndex};

/// Pieces that are taken of an input; more only take longer.
const PIECES_MAX: usize = 16;

/// What a node goes through with a column.
#[derive(Arbitrary, Debug)]
struct Column {
    column: u16,
    pieces: Vec<Piece>,
    /// Which chunk somebody asks for in the end.
    asked: u8,
}

/// A piece on its way.
#[derive(Arbitrary, Debug)]
struct Piece {
    first: u8,
    count: u8,
    /// Bits that change, and where.
    damage: Option<(u16, NonZeroU8)>,
}

impl Piece {
    /// What an honest peer sends of the column, and what arrives of it.
    fn sent(&self, column: ColumnIndex) -> Option<(RangeProof, RangeProof)> {
        let first = u32::from(self.first) % BLOCK.chunks();
        let end = first + 1 + u32::from(self.count) % (BLOCK.chunks() - first);
        let honest = BLOCK.range(column, first..end)?;
        let mut rlp = alloy_rlp::encode(&honest);
        if let Some((at, mask)) = self.damage {
            let at = usize::from(at) % rlp.len();
            rlp[at] ^= mask.get();
        }
        let arrived = RangeProof::from_rlp(&rlp).ok()?;
        assert_eq!(arrived == honest, self.damage.is_none(), "one form only");
        Some((honest, arrived))
    }
}

fn take(input: &Column) {
    let column = ColumnIndex(input.column % BLOCK.columns());
    let pieces = input.pieces.iter().take(PIECES_MAX);
    let (mut held, mut have): (Option<HeldColumn>, _) = (None, BTreeSet::new());
    for (honest, arrived) in pieces.filter_map(|piece| piece.sent(column)) {
        let (place, first) = (ColumnIndex(arrived.column), ChunkIndex(arrived.first_chunk));
        let checked = arrived.check(&BLOCK.trusted, place, first);
        assert_eq!(checked.is_ok(), arrived == honest, "a lie that passed, or a truth that did not");
        let Ok(checked) = checked else { continue };
        BLOCK.check_range(&arrived, checked.cells());
        have.extend(checked.cells().iter().map(|cell| cell.chunk().0));
        held = Some(match held {
            None => checked.held().clone(),
            Some(held) => held.merge(checked.held()).expect("pieces of one column"),
        });
    }
    if let Some(held) = held {
        check_held(&held, &have);
        check_answer(&held, u32::from(input.asked) % BLOCK.chunks());
    }
}

/// What is held is what came, in whatever order, also when it was written down and read back.
fn check_held(held: &HeldColumn, have: &BTreeSet<u32>) {
    held.check(&BLOCK.header).expect("each piece led to the header");
    let tree = &held.tree;
    let parts = (tree.held().to_vec(), tree.leaves().to_vec(), tree.outside().to_vec());
    assert_eq!(SparseTree::from_parts(tree.size(), parts.0, parts.1, parts.2).as_ref(), Some(tree));
    for chunk in 0..BLOCK.chunks() {
        let run = held.run(ChunkIndex(chunk));
        assert_eq!(run.is_some(), have.contains(&chunk), "chunk {chunk}");
        let mut run = run.unwrap_or_default();
        assert!(!have.contains(&run.end) || run.is_empty(), "{run:?} is cut short");
        assert!(run.all(|chunk| have.contains(&chunk)), "more than came");
    }
    assert_eq!(held.is_complete(), have.iter().copied().eq(0..BLOCK.chunks()));
}

/// Whoever asks for cells that are held gets what a node with the whole block would send.
fn check_answer(held: &HeldColumn, asked: u32) {
    if let Some(run) = held.run(ChunkIndex(asked)) {
        let cells = BLOCK.cells(held.column, run.clone()).expect("cells of the block").to_vec();
        let proof = held.prove(ChunkIndex(asked), cells).expect("cells that are held");
        assert_eq!(Some(proof), BLOCK.range(held.column, run), "another proof");
    }
}

fuzz_target!(|input: Column| take(&input));
