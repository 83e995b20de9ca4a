//! Block import: `commit_block` of incompressible calldata, fsynced. Prints CPU-ms per MB besides
//! criterion's MB/s, of the whole process, background flushes included.

#[path = "../crates/storage/tests/common/mod.rs"]
mod common;

use common::{block, commit_genesis, genesis_header, noise, set_account, transaction};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::time::{Duration, Instant};
use weft_storage::{Store, StoreOptions};

/// Transactions per block, bytes of each.
const SHAPES: [(u64, usize); 4] = [(64, 1 << 20), (512, 128 << 10), (8, 8 << 20), (1000, 10 << 10)];

fn import(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("storage/import");
    group.sample_size(10).measurement_time(Duration::from_secs(5)).warm_up_time(Duration::from_secs(1));
    for (count, bytes) in SHAPES {
        let transactions: Vec<_> = (0..count).map(|n| transaction(n, noise(n, bytes))).collect();
        let (mut cpu, mut blocks) = (Duration::ZERO, 0);
        group.throughput(Throughput::Bytes(count * bytes as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{count}x{bytes}")), |bencher| {
            bencher.iter_custom(|iterations| {
                let folder = tempfile::tempdir().expect("a temporary folder");
                let store = Store::open(folder.path(), StoreOptions::default()).expect("an empty folder");
                commit_genesis(&store, &Default::default());
                let mut parent = genesis_header();
                let mut elapsed = Duration::ZERO;
                for n in 0..iterations {
                    let mut next = block(&parent, n, transactions.clone());
                    for account in 0..count.min(100) {
                        set_account(&mut next.state, account, Some(common::account(n)));
                    }
                    let (started, cpu_before) = (Instant::now(), cpu_time());
                    next.commit(&store).expect("a child of the head");
                    elapsed += started.elapsed();
                    cpu += cpu_time() - cpu_before;
                    parent = next.block.header;
                }
                blocks += iterations;
                elapsed
            });
        });
        let megabytes = (blocks * count) as f64 * bytes as f64 / 1e6;
        let cpu_ms = cpu.as_secs_f64() * 1e3 / megabytes;
        println!("storage/import/{count}x{bytes}: {cpu_ms:.2} CPU-ms/MB");
    }
}

/// User and system time of this process.
fn cpu_time() -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: getrusage fills the structure that it is given, and cannot fail for RUSAGE_SELF.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    [usage.ru_utime, usage.ru_stime]
        .iter()
        .map(|time| Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64))
        .sum()
}

criterion_group!(benches, import);
criterion_main!(benches);
