//! Coding: encode (with the hashes of all cells), check, decode, by size and geometry; the block's commitment.
//!
//! Throughput is in bytes of blob. Floors: Reed–Solomon 6.5–8 GB/s at 4 + 7, and `n/k` bytes hashed per
//! byte of blob.

use alloy_primitives::{B256, Bytes};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::{RngCore, SeedableRng, rngs::StdRng};
use std::hint::black_box;
use weft_erasure::{BlockCells, CellProof, CheckedCell, column_of, decode_blob, encode_blob, summarize};
use weft_primitives::{ChunkIndex, ColumnIndex, EncodedBlob, Geometry, Header};

const SIZES: [usize; 4] = [10 << 10, 128 << 10, 1 << 20, 8 << 20];

fn geometries() -> Vec<Geometry> {
    let shapes = [(4, 7, 131_072), (4, 7, 524_288), (16, 16, 131_072), (32, 96, 262_144)];
    shapes.iter().filter_map(|&(k, m, chunk)| Geometry::new(1, k, m, chunk).ok()).collect()
}

fn name(geometry: Geometry) -> String {
    format!("{}+{}x{}K", geometry.data_shards(), geometry.parity_shards(), geometry.chunk_bytes() >> 10)
}

fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    StdRng::seed_from_u64(1).fill_bytes(&mut bytes);
    bytes
}

fn block(blob: &EncodedBlob) -> BlockCells {
    BlockCells::of_blobs(blob.geometry, &[(0, B256::ZERO, blob)])
}

/// All cells of these columns, unchecked, chunk by chunk.
fn raw_cells(blob: &EncodedBlob, bytes: &[u8], columns: &[u16]) -> Vec<Vec<(ColumnIndex, Bytes)>> {
    let whole: Vec<_> =
        columns.iter().map(|&j| (ColumnIndex(j), column_of(blob, bytes, ColumnIndex(j)))).collect();
    let cell = |chunk| weft_erasure::cell_range(blob.geometry, bytes.len(), chunk);
    (0..blob.chunk_count())
        .map(|chunk| whole.iter().map(|(j, column)| (*j, column.slice(cell(chunk)))).collect())
        .collect()
}

fn check(cells: &BlockCells, raw: &[Vec<(ColumnIndex, Bytes)>]) -> Vec<Vec<CheckedCell>> {
    let check = |chunk, (column, bytes): &(ColumnIndex, Bytes)| {
        cells.check_cell(ChunkIndex(chunk), *column, bytes.clone()).expect("an untouched cell")
    };
    (0..).zip(raw).map(|(chunk, cells)| cells.iter().map(|cell| check(chunk, cell)).collect()).collect()
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    for size in SIZES {
        let bytes = noise(size);
        group.throughput(Throughput::Bytes(size as u64));
        for geometry in geometries() {
            group.bench_with_input(BenchmarkId::new(name(geometry), size), &bytes, |b, bytes| {
                b.iter(|| encode_blob(geometry, black_box(bytes)));
            });
        }
    }
    group.finish();
}

fn check_and_decode(c: &mut Criterion) {
    for size in SIZES {
        let bytes = noise(size);
        let blob = encode_blob(Geometry::DEV, &bytes);
        let cells = block(&blob);
        let entry = cells.summary().blobs[0];
        let mut group = c.benchmark_group("check");
        group.throughput(Throughput::Bytes(size as u64));
        let raw = raw_cells(&blob, &bytes, &[4, 5, 6, 7]);
        group
            .bench_function(BenchmarkId::from_parameter(size), |b| b.iter(|| check(&cells, black_box(&raw))));
        group.finish();

        let mut group = c.benchmark_group("decode");
        group.throughput(Throughput::Bytes(size as u64));
        for (lost, columns) in [(0, [0, 1, 2, 3]), (1, [0, 1, 2, 9]), (4, [4, 6, 8, 10])] {
            let checked = check(&cells, &raw_cells(&blob, &bytes, &columns));
            group.bench_with_input(BenchmarkId::new(format!("{lost} lost"), size), &checked, |b, checked| {
                b.iter(|| decode_blob(Geometry::DEV, &entry, black_box(checked)));
            });
        }
        group.finish();
    }
}

fn commit_and_prove(c: &mut Criterion) {
    let bytes = noise(1 << 20);
    let blob = encode_blob(Geometry::DEV, &bytes);
    let placed: Vec<_> = (0..64).map(|i| (i, B256::with_last_byte(i as u8), &blob)).collect();
    let mut group = c.benchmark_group("block of 64 MiB");
    group.bench_function("summarize", |b| b.iter(|| summarize(Geometry::DEV, placed.iter().copied())));
    let cells = BlockCells::of_blobs(Geometry::DEV, &placed);
    let header = Header { extra_data: cells.summary().da_root.to_vec().into(), ..Header::default() };
    let hash = header.hash_slow();
    let column = column_of(&blob, &bytes, ColumnIndex(7));
    let cell = column.slice(..32_768);
    let prove = || {
        CellProof::new(&header, &cells, ColumnIndex(7), ChunkIndex(64), cell.clone())
            .expect("a cell of the block")
    };
    group.bench_function("cell proof", |b| b.iter(prove));
    let proof = prove();
    group.bench_function("verify cell proof", |b| {
        b.iter(|| proof.verify(hash, ColumnIndex(7), ChunkIndex(64)).is_ok())
    });
    group.finish();
}

criterion_group!(benches, encode, check_and_decode, commit_and_prove);
criterion_main!(benches);
