//! Keccak-256 of several messages side by side, against one after the other; the transactions root.

use alloy_primitives::keccak256;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use weft_primitives::keccak::{Parts, keccak256_many, ordered_root};

fn messages(count: usize, length: usize) -> Vec<Vec<u8>> {
    (0..count).map(|seed| (0..length).map(|i| (i * 31 + seed) as u8).collect()).collect()
}

fn lanes(c: &mut Criterion) {
    for length in [100, 4096, 1 << 20] {
        let mut group = c.benchmark_group(format!("keccak of {length} bytes"));
        for count in [1, 2, 3, 4, 8, 9, 16, 64] {
            let messages = messages(count, length);
            let parts: Vec<[&[u8]; 2]> = messages.iter().map(|m| [&m[..20], &m[20..]]).collect();
            let parts: Vec<&Parts<'_>> = parts.iter().map(|parts| parts.as_slice()).collect();
            group.throughput(Throughput::Bytes((count * length) as u64));
            group.bench_with_input(BenchmarkId::new("lanes", count), &parts, |b, parts| {
                b.iter(|| keccak256_many(black_box(parts)));
            });
            if count == 1 || count == 8 {
                group.bench_with_input(BenchmarkId::new("scalar", count), &messages, |b, messages| {
                    b.iter(|| messages.iter().map(keccak256).collect::<Vec<_>>());
                });
            }
        }
        group.finish();
    }
}

fn roots(c: &mut Criterion) {
    let mut group = c.benchmark_group("transactions root");
    for (count, length) in [(1000, 110), (64, 128 << 10), (16, 1 << 20)] {
        let items = messages(count, length);
        let name = format!("{count} of {length}");
        group.throughput(Throughput::Bytes((count * length) as u64));
        group.bench_with_input(BenchmarkId::new("lanes", &name), &items, |b, items| {
            b.iter(|| ordered_root(items))
        });
    }
    group.finish();
}

criterion_group!(benches, lanes, roots);
criterion_main!(benches);
