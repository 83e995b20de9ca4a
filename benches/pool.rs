//! Admission: raw bytes to pooled transactions, all threads, incompressible calldata; and the proposer's order
//! over 100,000 transactions. Prints CPU-ms per MB (or µs per transfer) besides criterion's rates.

mod common;

use alloy_primitives::Bytes;
use common::{SHAPES, pool, signed, store};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::{
    cell::LazyCell,
    time::{Duration, Instant},
};
use tokio::{runtime::Runtime, task::JoinSet};
use weft_pool::Pool;
use weft_primitives::cpu_time;

async fn submit_all(pool: &Pool, raws: &[Bytes]) {
    let mut tasks = JoinSet::new();
    for raw in raws {
        let (pool, raw) = (pool.clone(), raw.clone());
        tasks.spawn(async move { pool.submit(raw).await });
    }
    while let Some(result) = tasks.join_next().await {
        result.expect("no panic").expect("a valid transaction");
    }
}

fn admission(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let (_engine, store, _folder) = store();
    let mut group = criterion.benchmark_group("pool/admission");
    group.sample_size(10).measurement_time(Duration::from_secs(4)).warm_up_time(Duration::from_secs(1));
    for (name, count, bytes) in SHAPES {
        let raws = signed(count, bytes);
        let (mut cpu, mut rounds) = (Duration::ZERO, 0);
        group.throughput(match bytes {
            0 => Throughput::Elements(count as u64),
            _ => Throughput::Bytes((count * bytes) as u64),
        });
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter_custom(|iterations| {
                let mut elapsed = Duration::ZERO;
                for _ in 0..iterations {
                    let pool = pool(&store);
                    let (started, cpu_before) = (Instant::now(), cpu_time::process());
                    runtime.block_on(submit_all(&pool, &raws));
                    elapsed += started.elapsed();
                    cpu += cpu_time::process() - cpu_before;
                }
                rounds += iterations;
                elapsed
            });
        });
        common::cost("pool/admission", name, cpu, rounds as f64 * count as f64, bytes);
    }
}

fn best(criterion: &mut Criterion) {
    let (_engine, store, _folder) = store();
    // Only when one of these is asked for: signing takes seconds.
    let pool = LazyCell::new(|| {
        let pool = pool(&store);
        Runtime::new().expect("a runtime").block_on(submit_all(&pool, &signed(100_000, 0)));
        pool
    });
    let mut group = criterion.benchmark_group("pool/best-of-100k");
    group.sample_size(20);
    group.bench_function("first", |bencher| {
        let pool = &*pool;
        bencher.iter(|| pool.best(1, None).next());
    });
    group.bench_function("all", |bencher| {
        let pool = &*pool;
        bencher.iter(|| pool.best(1, None).count());
    });
}

criterion_group!(benches, admission, best);
criterion_main!(benches);
