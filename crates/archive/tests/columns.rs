//! Columns on their way: cut by a full node, taken in by one that keeps columns, served again by both.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use alloy_rlp::{Decodable, Encodable};
use common::{
    CHUNK,
    da::{Chain, Fault, chain, da_store, dump, pieces, single_cells},
};
use proptest::prelude::*;
use std::ops::ControlFlow;
use tempfile::TempDir;
use weft_archive::{
    Bad, CellServer, CellsRequest, ColumnIntake, IntakeConfig, ParityCache, ProvenCells, SEGMENT_BYTES_MAX,
    Unneeded, Verdict, WorkItem, disperse,
};
use weft_primitives::{ChunkIndex, ColumnIndex, Header, SealedHeader};
use weft_storage::{ColumnLimits, Store};

const CUSTODY: [ColumnIndex; 3] = [ColumnIndex(1), ColumnIndex(3), ColumnIndex(8)];

impl Chain {
    fn da(&self, path: &std::path::Path) -> Store {
        da_store(path, &self.genesis, &self.blocks, &CUSTODY)
    }

    fn intake(&self, path: &std::path::Path) -> (Store, ColumnIntake) {
        let store = self.da(path);
        let config = IntakeConfig { early_bytes_max: 400_000, ..IntakeConfig::new(CUSTODY.to_vec()) };
        let intake = ColumnIntake::new(store.clone(), config, 0).unwrap();
        (store, intake)
    }

    fn pieces(&self, block: usize) -> Vec<ProvenCells> {
        pieces(&self.store, self.blocks[block].block.num_hash(), &CUSTODY)
    }
}

/// Blobs with odd ends, a small one, none, and enough for more than one piece of a column.
const BLOCKS: &[&[usize]] = &[&[3 * CHUNK + 77, 5000], &[100], &[36 * CHUNK + 1, 4096]];

#[test]
fn pieces_are_bounded_proven_and_make_every_column_whole() {
    let chain = chain(BLOCKS);
    let folder = TempDir::new().unwrap();
    let (store, intake) = chain.intake(folder.path());
    for (index, block) in chain.blocks.iter().enumerate() {
        let pieces = chain.pieces(index);
        for piece in &pieces {
            assert!(piece.bytes() <= SEGMENT_BYTES_MAX && piece.is_bounded());
            piece.check(block.block.header.hash()).unwrap();
            assert!(matches!(intake.take(piece).unwrap(), Verdict::Accepted { .. }));
            assert!(matches!(intake.take(piece).unwrap(), Verdict::Duplicate));
        }
        let columns: Vec<_> = if pieces.is_empty() { vec![] } else { CUSTODY.to_vec() };
        assert_eq!(
            CellServer::new(store.clone()).complete_columns(block.block.header.hash()).unwrap(),
            columns
        );
    }
    // 37 chunks of 32 KiB cells: 1 MiB and the rest, of each column.
    assert_eq!(chain.pieces(2).len(), 2 * CUSTODY.len());
    assert_eq!(store.view().columns_due(0, 9).unwrap(), []);
    assert!(store.verify_chain(0..=9).unwrap().is_clean());
}

#[test]
fn parity_in_memory_is_used_on_the_disk_is_used_and_neither_is_believed() {
    let folder = TempDir::new().unwrap();
    let store = common::open(folder.path());
    let genesis = common::genesis(&store);
    let block = common::block(&genesis, 1, &[2 * CHUNK + 9, 4096]);
    block.commit(&store);
    let all = |store: &Store, parity: Option<&ParityCache>| {
        let mut pieces = Vec::new();
        let sent = disperse(store, parity, block.block.num_hash(), None, &mut |piece| {
            pieces.push(piece);
            ControlFlow::Continue(())
        });
        assert_eq!(sent.unwrap(), pieces.len() as u64);
        pieces
    };
    // Neither in memory nor archived yet: computed.
    let computed = all(&store, None);
    let cache = ParityCache::new(10 << 20);
    cache.remember(&block.block);
    assert_eq!(all(&store, Some(&cache)), computed);
    let mut forged = common::block(&genesis, 9, &[2 * CHUNK + 9, 4096]);
    forged.block.header = block.block.header.clone();
    cache.remember(&forged.block);
    assert_eq!(all(&store, Some(&cache)), computed);
    common::da::archive(&store);
    assert_eq!(all(&store, None), computed);
    // The body is gone, and the columns are what is left.
    for (tx, _) in block.blobs() {
        weft_archive::drop_body(&store, tx).unwrap();
    }
    assert_eq!(all(&store, None), computed);

    let mut two = 2;
    let sent = disperse(&store, None, block.block.num_hash(), None, &mut |_| {
        two -= 1;
        if two == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(sent.unwrap(), 1, "it breaks off when it is told to");
}

#[test]
fn both_kinds_of_node_serve_the_same() {
    let chain = chain(BLOCKS);
    let folder = TempDir::new().unwrap();
    let (store, intake) = chain.intake(folder.path());
    let (full, da) = (CellServer::new(chain.store.clone()), CellServer::new(store.clone()));
    let hash = chain.blocks[2].block.header.hash();
    let ask = |column, first, count| CellsRequest { block: hash, column, first: ChunkIndex(first), count };
    assert_eq!(da.cells(&ask(CUSTODY[0], 0, 1)).unwrap(), None);
    for piece in chain.pieces(2) {
        intake.take(&piece).unwrap();
    }
    for column in CUSTODY {
        for (first, count) in [(0, 1), (0, u32::MAX), (3, 5), (31, 7), (37, 1), (37, 9), (12, 0)] {
            let answer = full.cells(&ask(column, first, count)).unwrap().unwrap();
            assert!(answer.bytes() <= SEGMENT_BYTES_MAX);
            answer.check(hash).unwrap();
            assert_eq!(da.cells(&ask(column, first, count)).unwrap(), Some(answer));
        }
    }
    for request in [ask(ColumnIndex(11), 0, 1), ask(CUSTODY[0], 38, 1), ask(CUSTODY[0], u32::MAX, 9)] {
        assert_eq!(full.cells(&request).unwrap(), None);
        assert_eq!(da.cells(&request).unwrap(), None);
    }
    let number = chain.blocks[2].number();
    let [one, other] = [&chain.store, &store].map(|store| {
        let retriever = weft_archive::Retriever::new(store.clone());
        retriever.range_proof(number, CUSTODY[2], ChunkIndex(4), 6).unwrap().unwrap()
    });
    assert_eq!(one, other);
    let unknown = CellsRequest { block: Default::default(), ..ask(CUSTODY[0], 0, 1) };
    assert_eq!(full.cells(&unknown).unwrap(), None);
    assert_eq!(da.cells(&ask(ColumnIndex(0), 0, 1)).unwrap(), None, "not a column of its custody");
}

#[test]
fn each_verdict_is_what_the_sender_deserves() {
    let chain = chain(BLOCKS);
    let folder = TempDir::new().unwrap();
    let (store, intake) = chain.intake(folder.path());
    let good = chain.pieces(0).remove(0);
    for fault in Fault::LIES {
        let verdict = intake.take(&fault.apply(good.clone()).unwrap()).unwrap();
        match fault {
            // Another header is a block that nobody has heard of, another column one that is not kept.
            Fault::Header => assert!(matches!(verdict, Verdict::Unneeded(Unneeded::Early))),
            Fault::OtherColumn => assert!(matches!(verdict, Verdict::Unneeded(Unneeded::NotCustody))),
            _ => assert!(matches!(verdict, Verdict::Bad(Bad::Proof(_))), "{fault:?}: {verdict:?}"),
        }
    }
    let mut empty = good.clone();
    empty.range.cells.clear();
    assert!(matches!(intake.take(&empty).unwrap(), Verdict::Bad(Bad::Size { cells: 0, .. })));
    let mut long = good.clone();
    long.range.cells = vec![vec![0; 40_000].into(); 40];
    assert!(matches!(intake.take(&long).unwrap(), Verdict::Bad(Bad::Size { .. })));
    let mut far = good.clone();
    far.range.first_chunk = u32::MAX;
    assert!(matches!(intake.take(&far).unwrap(), Verdict::Bad(Bad::Size { .. })));
    assert_eq!(store.view().held_columns(1).unwrap(), []);

    assert!(matches!(intake.take(&good).unwrap(), Verdict::Accepted { cells_new: 5, complete: true }));
    // A copy with other bytes is not looked at: it says nothing and is not passed on.
    assert!(matches!(intake.take(&Fault::Cell.apply(good.clone()).unwrap()).unwrap(), Verdict::Duplicate));
    assert!(store.verify_chain(0..=3).unwrap().is_clean());

    // What was pruned is not taken in again, and without room nothing is.
    store.set_forkchoice(None, Some(chain.blocks[1].block.num_hash())).unwrap();
    let limits = ColumnLimits { bytes_max: 0, window_blocks: None, blocks_min: 0 };
    assert!(!intake.prune(limits, 9).unwrap().is_over);
    assert!(matches!(intake.take(&good).unwrap(), Verdict::Unneeded(Unneeded::Pruned)));
    let last = chain.pieces(2);
    assert!(matches!(intake.take(&last[0]).unwrap(), Verdict::Accepted { .. }));
    assert!(intake.prune(limits, 9).unwrap().is_over);
    assert!(matches!(intake.take(&last[1]).unwrap(), Verdict::Unneeded(Unneeded::NoRoom)));
    let room = ColumnLimits { bytes_max: u64::MAX, ..limits };
    intake.prune(room, 9).unwrap();
    assert!(matches!(intake.take(&last[1]).unwrap(), Verdict::Accepted { complete: true, .. }));
}

#[test]
fn segments_that_overtake_their_header_wait_for_it_within_a_bound() {
    let chain = chain(&[&[8 * CHUNK], &[8 * CHUNK]]);
    let folder = TempDir::new().unwrap();
    let store = da_store(folder.path(), &chain.genesis, &[], &CUSTODY);
    // One segment has 256 KiB: one fits, and the older gives way.
    let config = IntakeConfig { early_bytes_max: 400_000, ..IntakeConfig::new(CUSTODY.to_vec()) };
    let intake = ColumnIntake::new(store.clone(), config, 0).unwrap();
    let [first, second] = [chain.pieces(0).remove(0), chain.pieces(1).remove(0)];
    for segment in [&first, &first, &second] {
        assert!(matches!(intake.take(segment).unwrap(), Verdict::Unneeded(Unneeded::Early)));
        assert!((262_144..265_000).contains(&intake.early_bytes()), "{}", intake.early_bytes());
    }
    let headers: Vec<_> = chain.blocks.iter().map(|block| block.block.header.clone()).collect();
    let geometry = weft_primitives::Geometry::DEV;
    store.append_headers(&headers, weft_storage::Custody { geometry, columns: &CUSTODY }).unwrap();
    let blocks: Vec<_> = headers.iter().map(SealedHeader::num_hash).collect();
    let verdicts = intake.believe(&blocks, 0).unwrap();
    assert!(matches!(verdicts[..], [Verdict::Accepted { complete: true, .. }]), "{verdicts:?}");
    assert_eq!(intake.early_bytes(), 0);
    assert_eq!(store.view().held_columns(2).unwrap(), [(CUSTODY[0], true)]);
}

#[test]
fn what_does_not_come_is_asked_for_after_a_while_and_again() {
    let chain = chain(&[&[3 * CHUNK], &[100], &[4096]]);
    let folder = TempDir::new().unwrap();
    let (store, intake) = chain.intake(folder.path());
    let blocks: Vec<_> = chain.blocks.iter().map(|block| block.block.num_hash()).collect();
    // As after a restart: all that was due is due at once, and named again only later.
    let item = |block: usize, column, missing| WorkItem { block: blocks[block], column, missing };
    let all = [0, 2].iter().flat_map(|&block| CUSTODY.map(|column| item(block, column, None)));
    assert_eq!(intake.due(0, 100).unwrap(), all.collect::<Vec<_>>());
    assert_eq!(intake.due(9_999, 100).unwrap(), []);

    let cells = single_cells(&chain.store, blocks[0], CUSTODY[0]);
    assert!(matches!(intake.take(&cells[1]).unwrap(), Verdict::Accepted { cells_new: 1, complete: false }));
    for piece in chain.pieces(2) {
        intake.take(&piece).unwrap();
    }
    let due = intake.due(10_000, 100).unwrap();
    let gaps = Some(vec![0..1, 2..3]);
    let rest = CUSTODY[1..].iter().map(|column| item(0, *column, None));
    assert_eq!(due, std::iter::once(item(0, CUSTODY[0], gaps)).chain(rest).collect::<Vec<_>>());
    for piece in chain.pieces(0) {
        intake.take(&piece).unwrap();
    }
    assert_eq!(intake.due(99_999, 100).unwrap(), []);

    // A block that comes now is given its time.
    store.forget_column(1, CUSTODY[2]).unwrap();
    intake.believe(&blocks[..1], 100_000).unwrap();
    assert_eq!(intake.due(103_999, 100).unwrap(), []);
    assert_eq!(intake.due(104_000, 100).unwrap(), [item(0, CUSTODY[2], None)]);
    intake.unwound(0);
    assert_eq!(intake.due(104_001, 100).unwrap(), []);
}

#[test]
fn what_gossip_is_about_to_bring_is_not_asked_for_yet() {
    let chain = chain(&[&[3 * CHUNK], &[2 * CHUNK]]);
    let folder = TempDir::new().unwrap();
    let store = da_store(folder.path(), &chain.genesis, &[], &CUSTODY);
    let intake = ColumnIntake::new(store.clone(), IntakeConfig::new(CUSTODY.to_vec()), 0).unwrap();
    let headers: Vec<_> = chain.blocks.iter().map(|block| block.block.header.clone()).collect();
    let geometry = weft_primitives::Geometry::DEV;
    store.append_headers(&headers, weft_storage::Custody { geometry, columns: &CUSTODY }).unwrap();
    intake.believe(&[headers[0].num_hash(), headers[1].num_hash()], 0).unwrap();
    let asked = |now_ms| -> Vec<u64> {
        let mut blocks: Vec<_> =
            intake.due(now_ms, 100).unwrap().iter().map(|item| item.block.number).collect();
        blocks.dedup();
        blocks
    };
    // A piece of the first block comes late: it and the second are waited for, four seconds after each piece.
    let pieces = chain.pieces(0);
    assert!(matches!(intake.hear(&pieces[0], 3_000).unwrap(), Verdict::Accepted { .. }));
    assert!(asked(6_999).is_empty());
    // Of the second: the first one's turn is over, what it lacks is lost.
    let later = chain.pieces(1);
    assert!(matches!(intake.hear(&later[0], 6_999).unwrap(), Verdict::Accepted { .. }));
    assert_eq!(asked(7_000), [1]);
    assert!(matches!(intake.hear(&pieces[1], 34_000).unwrap(), Verdict::Accepted { .. }));
    // No longer than thirty seconds, however slowly it comes.
    assert_eq!(asked(34_000), [1, 2]);
}

/// Nobody has the columns of twelve hundred old blocks: all of them are asked for in turn, and a new one at its time.
#[test]
fn what_nobody_has_holds_up_nothing() {
    let folder = TempDir::new().unwrap();
    let mut parent = SealedHeader::seal_slow(Header::default());
    let store = da_store(folder.path(), &parent, &[], &CUSTODY);
    let mut headers = Vec::new();
    for _ in 0..1201 {
        parent = SealedHeader::seal_slow(Header {
            number: parent.number + 1,
            parent_hash: parent.hash(),
            extra_data: vec![1; 32].into(),
            ..Header::default()
        });
        headers.push(parent.clone());
    }
    let new = headers.pop().unwrap();
    let custody = weft_storage::Custody { geometry: weft_primitives::Geometry::DEV, columns: &CUSTODY };
    store.append_headers(&headers, custody).unwrap();
    let config = IntakeConfig::new(CUSTODY.to_vec());
    let retry_ms = config.retry_ms;
    let intake = ColumnIntake::new(store.clone(), config, 0).unwrap();
    assert!(intake.due(0, 10).unwrap().len() <= 10);

    let mut named = std::collections::BTreeSet::new();
    let mut now = 0;
    while named.len() < 1200 {
        assert!(now < 100 * retry_ms, "{} of 1200 were named", named.len());
        now += retry_ms;
        named.extend(intake.due(now, usize::MAX).unwrap().iter().map(|item| item.block.number));
    }
    store.append_headers(std::slice::from_ref(&new), custody).unwrap();
    intake.believe(&[new.num_hash()], now).unwrap();
    let due = intake.due(now + 4_000, usize::MAX).unwrap();
    assert!(due.iter().any(|item| item.block == new.num_hash()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn any_order_and_repetition_of_segments_ends_in_the_same_store(seed in any::<u64>()) {
        use rand::{Rng, SeedableRng, seq::SliceRandom};
        let chain = chain(&[&[4 * CHUNK + 3, 5000], &[3 * CHUNK]]);
        let mut random = rand::rngs::StdRng::seed_from_u64(seed);
        let mut segments: Vec<ProvenCells> = (0..2).flat_map(|block| chain.pieces(block)).collect();
        let plain = segments.clone();
        for block in &chain.blocks {
            for column in CUSTODY {
                segments.extend(single_cells(&chain.store, block.block.num_hash(), column));
            }
        }
        let again = random.random_range(0..segments.len());
        segments.extend(segments[..again].to_vec());
        segments.shuffle(&mut random);
        let dumps = [plain, segments].map(|segments| {
            let folder = TempDir::new().unwrap();
            let (store, intake) = chain.intake(folder.path());
            for segment in &segments {
                let verdict = intake.take(segment).unwrap();
                assert!(matches!(verdict, Verdict::Accepted { .. } | Verdict::Duplicate), "{verdict:?}");
            }
            dump(&store)
        });
        prop_assert!(dumps[0] == dumps[1]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// One bit anywhere in a segment: in a cell, a proof, a path, the header, a count, a length.
    #[test]
    fn a_segment_with_any_bit_flipped_is_not_stored(at in any::<prop::sample::Index>(), bit in 0..8u8) {
        thread_local! {
            static FIXTURE: (Chain, TempDir, Store, ColumnIntake, Vec<u8>) = {
                let chain = chain(&[&[2 * CHUNK + 7, 5000]]);
                let folder = TempDir::new().unwrap();
                let (store, intake) = chain.intake(folder.path());
                let segment = single_cells(&chain.store, chain.blocks[0].block.num_hash(), CUSTODY[1]).remove(2);
                let mut bytes = Vec::new();
                segment.encode(&mut bytes);
                (chain, folder, store, intake, bytes)
            };
        }
        FIXTURE.with(|(_, _, store, intake, bytes)| -> Result<(), TestCaseError> {
            let mut bytes = bytes.clone();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(segment) = ProvenCells::decode(&mut &bytes[..]) {
                let verdict = intake.take(&segment).unwrap();
                prop_assert!(matches!(verdict, Verdict::Bad(_) | Verdict::Unneeded(_)), "{:?}", verdict);
            }
            prop_assert_eq!(store.view().held_columns(1).unwrap(), []);
            Ok(())
        })?;
    }

    /// Bytes from anybody: they decode to a segment or to an error.
    #[test]
    fn any_bytes_are_a_segment_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(segment) = ProvenCells::decode(&mut &bytes[..]) {
            prop_assert!(segment.check(segment.block_hash()).is_err());
        }
    }
}
