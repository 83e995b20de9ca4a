//! A database without execution: headers that link, columns that grow, what survives a death and what may be pruned.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use alloy_primitives::{B256, Bytes};
use common::*;
use proptest::prelude::*;
use std::process::Command;
use weft_erasure::{Anchor, BlockCells, CheckedRange, RangeProof, cell_range, column_of, summary_of_roots};
use weft_primitives::{ChunkIndex, ColumnIndex, Geometry, Header, SealedHeader};
use weft_storage::{
    BlockNumHash, BulkLoad, ColumnLimits, ColumnProgress, Custody, CustodyAttestation, CustodyPolicy,
    CustodyProof, DatabaseRole, StageId, StorageError, Store, StoreOptions, Table, TxPosition,
};

const CUSTODY: [ColumnIndex; 2] = [ColumnIndex(2), ColumnIndex(9)];

fn da_options() -> StoreOptions {
    StoreOptions { role: Some(DatabaseRole::Da), ..options() }
}

fn open_da(path: &std::path::Path) -> Store {
    Store::open(path, da_options()).unwrap()
}

fn custody() -> Custody<'static> {
    Custody { geometry: Geometry::DEV, columns: &CUSTODY }
}

/// Genesis, then `count` blocks with a blob of about a million bytes and a small one, even numbers without any.
fn blocks(count: u64, seed: u64) -> Vec<TestBlock> {
    let mut parent = genesis_header();
    let made = (1..=count).map(|number| {
        let lengths: &[usize] = if number % 2 == 1 { &[1_000_003, 5000] } else { &[] };
        let transactions =
            lengths.iter().map(|length| blob_transaction(number, noise(seed + number, *length)));
        let mut block = block(&parent, seed, transactions.collect());
        if lengths.is_empty() {
            let mut header = block.block.header.header().clone();
            header.extra_data = weft_erasure::empty_da_root(Geometry::DEV).to_vec().into();
            block.block.header = SealedHeader::seal_slow(header);
        }
        parent = block.block.header.clone();
        block
    });
    made.collect()
}

fn headers(blocks: &[TestBlock]) -> Vec<SealedHeader> {
    blocks.iter().map(|block| block.block.header.clone()).collect()
}

fn started(path: &std::path::Path, blocks: &[TestBlock]) -> Store {
    let store = open_da(path);
    store.start_headers(&genesis_header()).unwrap();
    store.append_headers(&headers(blocks), custody()).unwrap();
    store
}

/// Cells of a column of the block, checked as they would be after the network.
fn range(block: &TestBlock, column: ColumnIndex, chunks: std::ops::Range<u32>) -> CheckedRange {
    let blobs: Vec<_> = (0u32..)
        .zip(&block.block.transactions)
        .map(|(index, tx)| (index, tx.hash(), tx.blob.as_deref().unwrap()))
        .collect();
    let cells = BlockCells::of_blobs(Geometry::DEV, &blobs);
    let mut bytes = Vec::new();
    for ((_, _, encoded), tx) in blobs.iter().zip(&block.block.transactions) {
        use alloy_consensus::Transaction as _;
        let whole = column_of(encoded, tx.tx.input(), column);
        let cell = |chunk| whole.slice(cell_range(Geometry::DEV, encoded.length, chunk));
        bytes.extend((0..encoded.chunk_count()).map(cell));
    }
    let wanted = bytes[chunks.start as usize..chunks.end as usize].to_vec();
    let proof = RangeProof::new(&cells, column, ChunkIndex(chunks.start), wanted).unwrap();
    let anchor = Anchor::new(block.block.header.header(), cells.summary()).unwrap();
    let anchor = anchor.verify(block.hash()).unwrap();
    proof.check(&anchor, column, ChunkIndex(chunks.start)).unwrap()
}

/// 1,000,003 bytes are 8 chunks, 5000 one more.
const CHUNKS: u32 = 9;

fn dump(store: &Store) -> Vec<(Vec<u8>, Vec<u8>)> {
    let view = store.view();
    let mut found = Vec::new();
    for number in 0..=view.head().unwrap().number {
        for (column, complete) in view.held_columns(number).unwrap() {
            let key = [&number.to_be_bytes()[..], &column.0.to_be_bytes()].concat();
            let record = store.get(Table::HeldColumns, &key).unwrap().unwrap();
            found.push((key.clone(), record.to_vec()));
            found.push((key.clone(), vec![u8::from(complete)]));
            let held = view.held_column(number, column).unwrap().unwrap();
            for chunk in held.tree.held().iter().cloned().flatten() {
                let key = [&key[..], &u32::try_from(chunk).unwrap().to_be_bytes()].concat();
                found.push((key.clone(), store.get(Table::ColumnCells, &key).unwrap().unwrap().to_vec()));
            }
        }
    }
    found.push((b"due".to_vec(), format!("{:?}", view.columns_due(0, 100).unwrap()).into_bytes()));
    found.push((b"bytes".to_vec(), view.column_bytes().unwrap().to_be_bytes().to_vec()));
    found
}

fn assert_clean(store: &Store) {
    let report = store.verify_chain(0..=u64::MAX).unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
}

#[test]
fn headers_link_or_the_whole_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_da(folder.path());
    let blocks = blocks(6, 1);
    let all = headers(&blocks);
    assert!(matches!(store.append_headers(&all, custody()), Err(StorageError::Empty)));
    store.start_headers(&genesis_header()).unwrap();
    assert!(matches!(store.start_headers(&genesis_header()), Err(StorageError::NotEmpty(_))));

    let gap = [all[0].clone(), all[2].clone()];
    assert!(matches!(store.append_headers(&gap, custody()), Err(StorageError::NotNext { .. })));
    assert_eq!(store.view().head().unwrap().number, 0, "nothing of a refused run");
    let lie = SealedHeader::new(Header { gas_used: 1, ..all[0].header().clone() }, all[0].hash());
    assert!(matches!(store.append_headers(&[lie], custody()), Err(StorageError::Inconsistent { .. })));

    store.append_headers(&all[..4], custody()).unwrap();
    store.append_headers(&[], custody()).unwrap();
    store.append_headers(&all[4..], custody()).unwrap();
    let view = store.view();
    assert_eq!(view.head().unwrap(), all[5].num_hash());
    assert_eq!(view.block_number(all[3].hash()).unwrap(), Some(4));
    assert_eq!(view.role().unwrap(), DatabaseRole::Da);
    // Blocks without blobs owe nothing.
    let due: Vec<_> = [1, 3, 5].iter().flat_map(|number| CUSTODY.map(|column| (*number, column))).collect();
    assert_eq!(view.columns_due(0, 100).unwrap(), due);
    assert_eq!(view.columns_due(2, 3).unwrap(), due[2..5]);
    // Bodies and state are said not to be here.
    assert!(matches!(view.block(3), Err(StorageError::HeadersOnly(3))));
    assert!(matches!(view.state_at(6), Err(StorageError::HeadersOnly(6))));
    drop(view);
    assert_clean(&store);
}

#[test]
fn each_role_refuses_the_database_of_the_other() {
    let (da, full) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let one = &blocks(1, 1)[0];
    started(da.path(), std::slice::from_ref(one));
    {
        let store = open(full.path());
        commit_genesis(&store, &Default::default());
        one.commit(&store).unwrap();
    }
    let error = Store::open(da.path(), options()).unwrap_err();
    assert!(
        matches!(error, StorageError::OtherRole { found: DatabaseRole::Da, wanted: DatabaseRole::Full, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("is the database of a da node, not of a full node"), "{error}");
    let error = Store::open(full.path(), da_options()).unwrap_err();
    assert!(matches!(
        error,
        StorageError::OtherRole { found: DatabaseRole::Full, wanted: DatabaseRole::Da, .. }
    ));
    assert!(matches!(
        BulkLoad::open(da.path(), options(), B256::ZERO),
        Err(StorageError::OtherRole { .. } | StorageError::NotEmpty(_))
    ));

    // A tool opens either, and then nothing of the other kind is written.
    let any = StoreOptions { role: None, ..options() };
    let store = Store::open(da.path(), any.clone()).unwrap();
    assert!(matches!(one.commit(&store), Err(StorageError::OtherRole { .. })));
    let store = Store::open(full.path(), any).unwrap();
    assert!(matches!(store.append_headers(&[], custody()), Err(StorageError::OtherRole { .. })));
    assert!(matches!(store.unwind_headers(0), Err(StorageError::OtherRole { .. })));
    // An empty folder takes either.
    let empty = tempfile::tempdir().unwrap();
    drop(open(empty.path()));
    drop(open_da(empty.path()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_order_and_overlap_of_cells_ends_in_the_same_store(
        cuts in prop::collection::vec((0..CHUNKS, 1..=CHUNKS), 1..6),
        seed in any::<u64>(),
        unlogged in any::<bool>(),
    ) {
        use rand::{SeedableRng, seq::SliceRandom};
        let blocks = blocks(1, 1);
        let mut pieces: Vec<_> = cuts
            .iter()
            .map(|(start, length)| (CUSTODY[(*start % 2) as usize], *start..(start + length).min(CHUNKS)))
            .collect();
        pieces.push((CUSTODY[0], 0..4));
        pieces.push((CUSTODY[0], 4..CHUNKS));
        let dumps = [false, true].map(|shuffled| {
            let folder = tempfile::tempdir().unwrap();
            let store = {
                let min = if unlogged { 0 } else { 1 << 30 };
                let options = StoreOptions { unlogged_bytes_min: min, ..da_options() };
                let store = Store::open(folder.path(), options).unwrap();
                store.start_headers(&genesis_header()).unwrap();
                store.append_headers(&headers(&blocks), custody()).unwrap();
                store
            };
            let mut pieces = pieces.clone();
            if shuffled {
                pieces.extend(pieces.clone());
                pieces.shuffle(&mut rand::rngs::StdRng::seed_from_u64(seed));
            }
            for (column, chunks) in pieces {
                store.put_range(blocks[0].block.num_hash(), &range(&blocks[0], column, chunks)).unwrap();
            }
            assert_clean(&store);
            dump(&store)
        });
        prop_assert!(dumps[0] == dumps[1]);
    }
}

#[test]
fn a_column_grows_is_proven_at_any_time_and_is_due_until_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = blocks(2, 1);
    let one = &blocks[0];
    let at = one.block.num_hash();
    {
        let store = started(folder.path(), &blocks);
        let put = |chunks| store.put_range(at, &range(one, CUSTODY[0], chunks)).unwrap();
        let progress = |cells_new, cells_held| ColumnProgress { cells_new, cells_held, cells: CHUNKS };
        assert_eq!(put(2..5), progress(3, 3));
        assert_eq!(put(2..4), progress(0, 3));
        assert_eq!(put(4..7), progress(2, 5));
        assert_eq!(store.view().columns_due(0, 9).unwrap().len(), 2);
    }
    let store = open_da(folder.path());
    let view = store.view();
    let held = view.held_column(1, CUSTODY[0]).unwrap().unwrap();
    held.check(one.block.header.header()).unwrap();
    let anchor = held.anchor(one.block.header.header()).verify(one.hash()).unwrap();
    for (first, end) in [(2, 7), (3, 4), (6, 7)] {
        let cells = view.column_cells(1, CUSTODY[0], first..end, usize::MAX).unwrap();
        let proof = held.prove(ChunkIndex(first), cells).unwrap();
        assert_eq!(proof.check(&anchor, CUSTODY[0], ChunkIndex(first)).unwrap(), {
            range(one, CUSTODY[0], first..end)
        });
    }
    // At most so many bytes, one cell at least, and nothing past what is held.
    assert_eq!(view.column_cells(1, CUSTODY[0], 2..9, 70_000).unwrap().len(), 2);
    assert_eq!(view.column_cells(1, CUSTODY[0], 2..9, 0).unwrap().len(), 1);
    assert_eq!(view.column_cells(1, CUSTODY[0], 0..9, 1 << 20).unwrap(), Vec::<Bytes>::new());
    assert_eq!(view.column_cells(1, CUSTODY[1], 0..9, 1 << 20).unwrap(), Vec::<Bytes>::new());
    drop(view);

    store.put_range(at, &range(one, CUSTODY[0], 0..CHUNKS)).unwrap();
    assert_eq!(store.view().columns_due(0, 9).unwrap(), [(1, CUSTODY[1])]);
    assert_eq!(store.view().held_columns(1).unwrap(), [(CUSTODY[0], true)]);
    assert_clean(&store);

    let before = store.view().column_bytes().unwrap();
    assert_eq!(before, range(one, CUSTODY[0], 0..CHUNKS).bytes() as u64);
    store.forget_column(1, CUSTODY[0]).unwrap();
    assert_eq!(store.view().column_bytes().unwrap(), 0);
    assert_eq!(store.view().columns_due(0, 9).unwrap(), [(1, CUSTODY[0]), (1, CUSTODY[1])]);
    store.forget_due(1, &CUSTODY).unwrap();
    store.note_due(1, &CUSTODY[..1]).unwrap();
    assert_eq!(store.view().columns_due(0, 9).unwrap(), [(1, CUSTODY[0])]);
}

#[test]
fn cells_of_another_block_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ours = blocks(3, 1);
    let other = blocks(3, 7);
    let store = started(folder.path(), &ours);
    let foreign = range(&other[0], CUSTODY[0], 0..3);
    let error = store.put_range(ours[0].block.num_hash(), &foreign).unwrap_err();
    assert!(matches!(error, StorageError::Inconsistent { block: 1, .. }), "{error}");
    let error = store.put_range(other[0].block.num_hash(), &foreign).unwrap_err();
    assert!(matches!(error, StorageError::MissingBlock(1)), "{error}");
    assert_eq!(store.view().held_columns(1).unwrap(), []);
}

#[test]
fn an_unwind_takes_columns_along_and_stops_at_the_finalized_block() {
    let folder = tempfile::tempdir().unwrap();
    let old = blocks(5, 1);
    let store = started(folder.path(), &old);
    for number in [1, 3, 5] {
        let block = &old[number - 1];
        store.put_range(block.block.num_hash(), &range(block, CUSTODY[0], 0..CHUNKS)).unwrap();
        store.put_summary(block.block.num_hash(), block.da.as_ref().unwrap()).unwrap();
    }
    let each = store.view().column_bytes().unwrap() / 3;
    let tx = old[4].block.transactions[0].hash();
    assert_eq!(store.view().tx_position(tx).unwrap(), Some(TxPosition { block: 5, index: 0 }));
    store.unwind_headers(2).unwrap();
    assert_eq!(store.view().tx_position(tx).unwrap(), None);
    assert_eq!(store.view().block_number(old[3].hash()).unwrap(), None);
    assert_eq!(store.view().column_bytes().unwrap(), each);
    assert_eq!(store.view().columns_due(0, 9).unwrap(), [(1, CUSTODY[1])]);
    assert_eq!(store.view().base().unwrap(), Some(old[1].block.num_hash()));

    // Another branch of the same heights: nothing of the old is seen in it.
    let mut parent = old[1].block.header.clone();
    let mut branch = Vec::new();
    for n in 0..2 {
        let block = block(&parent, 9, vec![blob_transaction(n, noise(90 + n, 200_000))]);
        parent = block.block.header.clone();
        branch.push(block);
    }
    store.append_headers(&headers(&branch), custody()).unwrap();
    assert_eq!(store.view().held_columns(3).unwrap(), []);
    store.put_range(branch[0].block.num_hash(), &range(&branch[0], CUSTODY[1], 0..2)).unwrap();
    assert_clean(&store);

    store.set_forkchoice(None, Some(branch[0].block.num_hash())).unwrap();
    let error = store.unwind_headers(2).unwrap_err();
    assert!(matches!(error, StorageError::Finalized { target: 2, finalized: 3 }), "{error}");
    store.unwind_headers(3).unwrap();
    assert_eq!(store.view().head().unwrap(), branch[0].block.num_hash());
}

#[test]
fn a_summary_is_kept_only_as_the_header_commits_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = blocks(1, 1);
    let store = started(folder.path(), &blocks);
    let (at, summary) = (blocks[0].block.num_hash(), blocks[0].da.clone().unwrap());
    let mut lies = vec![summary.clone(); 4];
    lies[0].blobs[0].tx_hash.0[0] ^= 1;
    lies[1].column_roots[3].0[0] ^= 1;
    lies[2].columns_root.0[0] ^= 1;
    // A preimage that is right in itself, of another block.
    let mut roots = summary.column_roots.clone();
    roots[0] = B256::ZERO;
    lies[3] = summary_of_roots(summary.geometry, summary.blobs.clone(), roots).unwrap();
    for lie in &lies {
        assert!(matches!(store.put_summary(at, lie), Err(StorageError::Commitment { block: 1, .. })));
    }
    assert_eq!(store.view().da_summary(1).unwrap(), None);
    store.put_summary(at, &summary).unwrap();
    assert_eq!(store.view().da_summary(1).unwrap(), Some(summary));
    assert_clean(&store);
}

#[test]
fn pruning_takes_the_oldest_and_only_what_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = blocks(9, 1);
    let store = started(folder.path(), &blocks);
    for block in blocks.iter().step_by(2) {
        store.put_range(block.block.num_hash(), &range(block, CUSTODY[0], 0..CHUNKS)).unwrap();
    }
    let each = store.view().column_bytes().unwrap() / 5;
    let keep = |bytes_max, window_blocks, blocks_min| ColumnLimits { bytes_max, window_blocks, blocks_min };
    // Nothing is final, then nothing is allowed.
    let pruned = store.prune_columns(keep(0, Some(1), 0), 9).unwrap();
    assert_eq!((pruned.blocks, pruned.is_over), (0, true));
    store.set_forkchoice(None, Some(blocks[7].block.num_hash())).unwrap();
    // Genesis has no columns and goes with the others.
    let pruned = store.prune_columns(keep(0, None, 0), 0).unwrap();
    assert_eq!((pruned.blocks, pruned.bytes, pruned.is_over), (1, 0, true));
    // Two of five fit: blocks 1, 2 and 3, 4 and 5 are counted from the oldest on.
    let pruned = store.prune_columns(keep(2 * each + 1, None, 0), 9).unwrap();
    assert_eq!((pruned.blocks, pruned.bytes, pruned.is_over), (5, 3 * each, false));
    assert_eq!(store.view().columns_first().unwrap(), 6);
    assert_eq!(store.view().held_columns(5).unwrap(), []);
    assert_eq!(store.view().held_columns(7).unwrap(), [(CUSTODY[0], true)]);
    assert!(store.view().header(1).unwrap().is_some());
    let error =
        store.put_range(blocks[4].block.num_hash(), &range(&blocks[4], CUSTODY[0], 0..1)).unwrap_err();
    assert!(matches!(error, StorageError::ColumnsPruned { block: 5, first: 6 }), "{error}");
    // Bytes ask for more than the newest three blocks leave.
    let pruned = store.prune_columns(keep(0, None, 3), 9).unwrap();
    assert_eq!((pruned.blocks, pruned.is_over), (1, true));
    // Age alone: block 7 is two behind the head.
    let pruned = store.prune_columns(keep(u64::MAX, Some(2), 0), 9).unwrap();
    assert_eq!((pruned.blocks, pruned.bytes), (1, each));
    assert_eq!(store.view().column_bytes().unwrap(), each);
    assert_clean(&store);
}

/// Not a test: the process that dies while it takes cells in.
#[test]
fn child_of_a_death_between_ranges() {
    let Ok(folder) = std::env::var("WEFT_DA_CHILD") else { return };
    let unlogged_bytes_min = if folder.ends_with("unlogged") { 0 } else { 1 << 30 };
    let store =
        Store::open(std::path::Path::new(&folder), StoreOptions { unlogged_bytes_min, ..da_options() })
            .unwrap();
    let block = &blocks(1, 1)[0];
    for n in 0u32.. {
        let start = n % CHUNKS;
        let piece = range(block, CUSTODY[(n % 2) as usize], start..(start + 2).min(CHUNKS));
        store.put_range(block.block.num_hash(), &piece).unwrap();
        if n % 17 == 16 {
            store.forget_column(1, CUSTODY[0]).unwrap();
        }
        println!("step {n}");
    }
}

#[test]
fn a_death_between_ranges_leaves_columns_that_are_what_their_records_say() {
    use std::io::BufRead;
    for kind in ["logged", "unlogged"] {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join(kind);
        drop(started(&folder, &blocks(1, 1)));
        for run in 0..6u64 {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["child_of_a_death_between_ranges", "--exact", "--nocapture"])
                .env("WEFT_DA_CHILD", &folder)
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            // The child goes on while this reads, so the blow falls anywhere in one of the next steps.
            let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
            let last = format!("step {}", run * 4);
            assert!(lines.any(|line| line.unwrap().ends_with(&last)));
            child.kill().unwrap();
            child.wait().unwrap();
            let store = open_da(&folder);
            assert_clean(&store);
            let view = store.view();
            let bytes: usize = CUSTODY
                .iter()
                .filter_map(|column| view.held_column(1, *column).unwrap())
                .map(|held| {
                    let cells = held.tree.held().iter().cloned().flatten();
                    cells.map(|chunk| cell_bytes(&store, held.column, chunk)).sum::<usize>()
                })
                .sum();
            assert_eq!(view.column_bytes().unwrap(), bytes as u64);
            for column in CUSTODY {
                let complete = view.held_column(1, column).unwrap().is_some_and(|held| held.is_complete());
                assert_eq!(view.columns_due(0, 9).unwrap().contains(&(1, column)), !complete);
            }
        }
    }
}

fn cell_bytes(store: &Store, column: ColumnIndex, chunk: usize) -> usize {
    let chunk = u32::try_from(chunk).unwrap().to_be_bytes();
    let key = [&1u64.to_be_bytes()[..], &column.0.to_be_bytes(), &chunk].concat();
    store.get(Table::ColumnCells, &key).unwrap().unwrap().len()
}

#[test]
fn bodies_go_for_the_networks_sake_only_with_its_proof() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    commit_genesis(&store, &Default::default());
    let blocks = blocks(1, 1);
    let one = &blocks[0];
    one.commit(&store).unwrap();
    let stage = StageId("BlobArchive");
    let parity: Vec<_> =
        (0..2).flat_map(|blob| (4..11).map(move |j| segment(one, blob, blob as u32, j))).collect();
    store.commit_stage(stage, one.block.num_hash(), &parity).unwrap();

    let attest = |block: &TestBlock, peer: u8| CustodyAttestation {
        peer: vec![peer; 38].into(),
        block: block.block.num_hash(),
        columns: (0..11).map(ColumnIndex).collect(),
        asked: (CUSTODY[1], ChunkIndex(3)),
        spot: range(block, CUSTODY[1], 3..4).cells()[0].clone(),
    };
    let policy = CustodyPolicy::default();
    let prove = |block: &TestBlock| {
        let claims = [attest(block, 1), attest(block, 2)];
        CustodyProof::check(block.block.num_hash(), block.da.as_ref().unwrap(), policy, &claims).unwrap()
    };
    let proof = prove(one);
    let first = TxPosition { block: 1, index: 0 };
    assert!(matches!(store.drop_dispersed(first, &proof, &CUSTODY), Err(StorageError::NotFinalized(1))));
    store.set_forkchoice(None, Some(BlockNumHash { number: 1, hash: one.hash() })).unwrap();
    let foreign = prove(&self::blocks(1, 5)[0]);
    assert!(matches!(store.drop_dispersed(first, &foreign, &CUSTODY), Err(StorageError::MissingBlock(1))));
    assert!(store.view().block(1).unwrap().is_some());

    assert_eq!(store.drop_dispersed(first, &proof, &CUSTODY).unwrap(), 1_000_003);
    assert_eq!(store.drop_dispersed(first, &proof, &CUSTODY).unwrap(), 0, "done before");
    let view = store.view();
    let blob = weft_primitives::BlobIndex(0);
    assert_eq!(view.columns_held(1, blob).unwrap(), CUSTODY);
    for column in CUSTODY {
        let kept = view.column(1, blob, column).unwrap();
        assert_eq!(kept, Some(segment(one, 0, 0, column.0).cells));
    }
    assert!(matches!(view.block(1), Err(StorageError::BodyDropped(..))));
    assert_eq!(view.dispersed(1).unwrap().unwrap().len(), 11);
    drop(view);
    assert_clean(&store);
    // A body that was dropped against its own columns can go further.
    let second = TxPosition { block: 1, index: 1 };
    store.drop_body(second, &(0..4).map(|j| segment(one, 1, 1, j)).collect::<Vec<_>>()).unwrap();
    assert_eq!(store.drop_dispersed(second, &proof, &CUSTODY).unwrap(), 0);
    assert_eq!(store.view().columns_held(1, weft_primitives::BlobIndex(1)).unwrap(), CUSTODY);
    assert_clean(&store);
}
