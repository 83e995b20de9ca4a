//! Blobs come back byte for byte, whole and by range, from the body and from what is left of the columns;
//! cells and proofs verify down to the block hash; what is damaged is found and mended.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use alloy_primitives::{B256, Bytes};
use common::{CHUNK, TestBlock, chain, genesis, open};
use proptest::prelude::*;
use std::sync::LazyLock;
use tempfile::TempDir;
use weft_archive::{
    BlobArchive, ParityCache, Problem, RetrieveError, Retriever, Source, drop_body, drop_columns, repair,
    verify_block,
};
use weft_erasure::Anchor;
use weft_primitives::{BlobIndex, ChunkIndex, ColumnIndex};
use weft_stages::Stage;
use weft_storage::{StorageError, Store};

struct Archived {
    _folder: TempDir,
    store: Store,
    retriever: Retriever,
    blocks: Vec<TestBlock>,
}

fn archived(blocks: &[&[usize]]) -> Archived {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let blocks = chain(&store, &genesis(&store), 3, blocks);
    BlobArchive::new(ParityCache::new(0)).execute(&store, 1..=blocks.len() as u64).unwrap();
    Archived { _folder: folder, retriever: Retriever::new(store.clone()), store, blocks }
}

const LENGTHS: &[usize] = &[4096, 5, CHUNK, CHUNK + 1, 4 * CHUNK + 4321];

fn columns(list: &[u16]) -> Vec<ColumnIndex> {
    list.iter().copied().map(ColumnIndex).collect()
}

#[test]
fn a_blob_comes_back_from_body_and_from_parity_alone() {
    let archived = archived(&[LENGTHS]);
    for (hash, blob) in archived.blocks[0].blobs() {
        for source in [Source::Any, Source::Body, Source::Shards] {
            assert_eq!(archived.retriever.blob(hash, None, source).unwrap().unwrap(), blob, "{source:?}");
        }
    }
    let small = archived.blocks[0].block.transactions[1].hash();
    assert_eq!(archived.retriever.blob(small, None, Source::Any).unwrap(), None, "no blob");
    assert_eq!(archived.retriever.blob(B256::ZERO, None, Source::Any).unwrap(), None, "unknown");
}

#[test]
fn a_blob_survives_the_loss_of_its_body_and_any_seven_columns() {
    // Which four columns stay; all 330 of them are tried in the erasure crate.
    for kept in [[0, 1, 2, 3], [4, 5, 6, 7], [7, 8, 9, 10], [0, 3, 5, 10], [2, 4, 6, 8]] {
        let archived = archived(&[&[9000], LENGTHS]);
        let gone: Vec<ColumnIndex> = (0..11).filter(|j| !kept.contains(j)).map(ColumnIndex).collect();
        for (hash, blob) in archived.blocks[1].blobs() {
            assert_eq!(drop_body(&archived.store, hash).unwrap(), Some(blob.len() as u64));
            assert_eq!(drop_body(&archived.store, hash).unwrap(), Some(0), "only once");
            drop_columns(&archived.store, hash, &gone).unwrap().unwrap();
            assert_eq!(
                archived.retriever.blob(hash, None, Source::Any).unwrap().unwrap(),
                blob,
                "from {kept:?}"
            );
            assert!(matches!(
                archived.retriever.blob(hash, None, Source::Body),
                Err(RetrieveError::BodyDropped { tx }) if tx == hash
            ));
            // The last four are not given away.
            let refused = drop_columns(&archived.store, hash, &columns(&kept[..1]));
            assert!(matches!(refused, Err(RetrieveError::Storage(StorageError::WouldLoseData { .. }))));
        }
        assert_eq!(verify_block(&archived.store, 2).unwrap().unwrap().problems, []);
    }
}

#[test]
fn what_cannot_be_had_names_the_missing_columns() {
    let archived = archived(&[&[9000]]);
    let (hash, blob) = archived.blocks[0].blobs().remove(0);
    drop_columns(&archived.store, hash, &columns(&[4, 6, 8, 10])).unwrap().unwrap();
    let error = archived.retriever.blob(hash, None, Source::Shards).unwrap_err();
    assert!(matches!(&error, RetrieveError::Missing { tx, missing } if *tx == hash && missing.len() == 8));
    assert_eq!(
        error.to_string(),
        format!("data of {hash} cannot be had now: columns 0, 1, 2, 3, 4, 6, 8, 10 are missing")
    );
    assert_eq!(archived.retriever.blob(hash, None, Source::Any).unwrap().unwrap(), blob, "the body is there");
    assert_eq!(repair(&archived.store, 1, BlobIndex(0)).unwrap(), columns(&[4, 6, 8, 10]));
    assert_eq!(archived.retriever.blob(hash, None, Source::Shards).unwrap().unwrap(), blob);
    assert_eq!(repair(&archived.store, 1, BlobIndex(0)).unwrap(), []);
}

#[test]
fn lost_columns_are_mended_from_the_others() {
    let archived = archived(&[LENGTHS]);
    let (hash, blob) = archived.blocks[0].blobs().pop().unwrap();
    drop_body(&archived.store, hash).unwrap().unwrap();
    drop_columns(&archived.store, hash, &columns(&[0, 1, 2, 5, 6, 7, 10])).unwrap().unwrap();
    assert_eq!(repair(&archived.store, 1, BlobIndex(3)).unwrap(), columns(&[0, 1, 2, 5, 6, 7, 10]));
    let report = verify_block(&archived.store, 1).unwrap().unwrap();
    assert_eq!((report.problems, report.bodies, report.columns), (vec![], 3, 3 * 7 + 11));
    assert_eq!(archived.retriever.blob(hash, None, Source::Any).unwrap().unwrap(), blob);
    let held = archived.retriever.columns_held(1, BlobIndex(3)).unwrap();
    assert_eq!(held.len(), 11);
    assert_eq!(
        archived.retriever.columns_held(1, BlobIndex(0)).unwrap().len(),
        11,
        "data columns are the body"
    );
}

static SHARED: LazyLock<Archived> = LazyLock::new(|| {
    let archived = archived(&[LENGTHS, LENGTHS]);
    for (hash, _) in archived.blocks[1].blobs() {
        drop_body(&archived.store, hash).unwrap().unwrap();
        drop_columns(&archived.store, hash, &columns(&[1, 3, 4, 6, 7, 8, 10])).unwrap().unwrap();
    }
    archived
});

proptest! {
    #[test]
    fn any_range_of_any_blob_is_the_same_range_of_the_original(
        blob in 0_usize..4, dropped in any::<bool>(), offset in any::<prop::sample::Index>(), length in 0_u64..300_000,
    ) {
        let (hash, bytes) = SHARED.blocks[usize::from(dropped)].blobs().remove(blob);
        let offset = offset.index(bytes.len() + 1);
        let end = (offset + length as usize).min(bytes.len());
        for source in [Source::Any, Source::Shards] {
            let got = SHARED.retriever.blob(hash, Some((offset as u64, length)), source).unwrap().unwrap();
            prop_assert_eq!(&got, &bytes.slice(offset..end));
        }
    }
}

#[test]
fn ranges_are_cut_at_the_end_and_refused_behind_it() {
    let (hash, bytes) = SHARED.blocks[1].blobs().remove(0);
    let length = bytes.len() as u64;
    let get = |offset, count| SHARED.retriever.blob(hash, Some((offset, count)), Source::Any);
    assert_eq!(get(0, u64::MAX).unwrap().unwrap(), bytes);
    assert_eq!(get(length, 1).unwrap().unwrap(), Bytes::new());
    assert_eq!(get(length - 1, u64::MAX).unwrap().unwrap(), bytes.slice(bytes.len() - 1..));
    assert!(matches!(get(length + 1, 1), Err(RetrieveError::OutOfRange { .. })));
    assert!(matches!(get(u64::MAX, u64::MAX), Err(RetrieveError::OutOfRange { .. })));
}

#[test]
fn proofs_of_every_cell_verify_with_and_without_the_body() {
    for block in &SHARED.blocks {
        let (number, hash) = (block.number(), block.block.header.hash());
        let (header, cells) = SHARED.retriever.commitment(number).unwrap().unwrap();
        assert_eq!(header.hash(), hash);
        let anchor = Anchor::new(&header, cells.summary()).unwrap().verify(hash).unwrap();
        let chunks = cells.summary().chunk_count;
        for column in (0..11).map(ColumnIndex) {
            for chunk in (0..chunks).map(ChunkIndex) {
                let proof = SHARED.retriever.cell_proof(number, column, chunk).unwrap().unwrap();
                proof.verify(hash, column, chunk).unwrap();
            }
            let proof =
                SHARED.retriever.range_proof(number, column, ChunkIndex(1), u32::MAX).unwrap().unwrap();
            assert_eq!(proof.verify(&anchor, column, ChunkIndex(1)).unwrap().len(), chunks as usize - 1);
            let whole = SHARED.retriever.range_proof(number, column, ChunkIndex(0), chunks).unwrap().unwrap();
            let column_proof = SHARED.retriever.column_proof(number, column).unwrap().unwrap();
            column_proof.verify(hash, column, whole.cells).unwrap();
        }
        for (tx, blob) in block.blobs() {
            let proof = SHARED.retriever.blob_proof(tx).unwrap().unwrap();
            assert_eq!(proof.verify(hash).unwrap().length, blob.len() as u64);
        }
        let outside = SHARED.retriever.cell_proof(number, ColumnIndex(0), ChunkIndex(chunks));
        assert!(matches!(outside, Err(RetrieveError::Check { .. })));
        assert!(SHARED.retriever.cell_proof(number, ColumnIndex(11), ChunkIndex(0)).is_err());
    }
    assert!(SHARED.retriever.cell_proof(99, ColumnIndex(0), ChunkIndex(0)).unwrap().is_none());
    assert!(SHARED.retriever.commitment(0).unwrap().is_none(), "genesis commits to nothing");
}

/// Columns that are not the block's own get in only past the check of `put_columns`; a stage of another
/// build might write them. Retrieval goes around them, verification names them, repair mends them.
#[test]
fn damaged_columns_are_gone_around_named_and_mended() {
    use weft_storage::ColumnSegment;
    let archived = archived(&[&[3 * CHUNK]]);
    let (hash, blob) = archived.blocks[0].blobs().remove(0);
    let checkpoint = archived.blocks[0].block.num_hash();
    let put = |column: u16, cells: Vec<u8>| {
        let segment =
            ColumnSegment { block: 1, blob: BlobIndex(0), column: ColumnIndex(column), cells: cells.into() };
        archived.store.commit_stage(weft_archive::BLOB_ARCHIVE, checkpoint, &[segment]).unwrap();
    };
    let column =
        |j: u16| archived.store.view().column(1, BlobIndex(0), ColumnIndex(j)).unwrap().unwrap().to_vec();
    let mut flipped = column(5);
    flipped[40_000] ^= 1;
    put(5, flipped);
    let mut cut = column(6);
    cut[50_000..].fill(0);
    put(6, cut);
    put(7, column(8));
    assert_eq!(
        archived.retriever.blob(hash, None, Source::Shards).unwrap().unwrap(),
        blob,
        "4, 8, 9, 10 are good"
    );
    let damaged = |column| Problem::Column { block: 1, blob: BlobIndex(0), column: ColumnIndex(column) };
    assert_eq!(
        verify_block(&archived.store, 1).unwrap().unwrap().problems,
        [damaged(5), damaged(6), damaged(7)]
    );

    // Chunk by chunk: 5 is damaged in its second cell only, 6 from there on, 9 everywhere.
    put(9, vec![0; 3 * CHUNK / 4]);
    let first = archived.retriever.blob(hash, Some((10, 1000)), Source::Shards).unwrap().unwrap();
    assert_eq!(first, blob.slice(10..1010));
    let second = archived.retriever.blob(hash, Some((CHUNK as u64, 10)), Source::Shards);
    assert!(matches!(second, Err(RetrieveError::Missing { missing, .. }) if missing.len() == 8));

    assert_eq!(repair(&archived.store, 1, BlobIndex(0)).unwrap(), columns(&[5, 6, 7, 9]));
    assert_eq!(verify_block(&archived.store, 1).unwrap().unwrap().problems, []);
    assert_eq!(archived.retriever.blob(hash, None, Source::Shards).unwrap().unwrap(), blob);
}
