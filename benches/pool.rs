//! Admission: raw bytes to pooled transactions, all threads, incompressible calldata; and the proposer's order
//! over 100,000 transactions. Prints CPU-ms per MB (or µs per transfer) besides criterion's rates.

mod common;

use alloy_primitives::Bytes;
use common::{pool, signed, store};
use criterion::{Criterion, criterion_group, criterion_main};
use std::{cell::LazyCell, time::Instant};
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
    common::rounds(
        criterion,
        "pool/admission",
        |raws| raws,
        |raws| {
            let pool = pool(&store);
            let (started, before) = (Instant::now(), cpu_time::process());
            runtime.block_on(submit_all(&pool, raws));
            (started.elapsed(), cpu_time::process() - before)
        },
    );
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
