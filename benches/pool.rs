//! Admission: raw bytes to pooled transactions, all threads, incompressible calldata; and the proposer's order
//! over 100,000 transactions. Prints CPU-ms per MB (or µs per transfer) besides criterion's rates.

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, Bytes, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{runtime::Runtime, task::JoinSet};
use weft_chainspec::ChainSpec;
use weft_engine::{Engine, EngineConfig};
use weft_pool::{Pool, PoolConfig};
use weft_primitives::cpu_time;
use weft_storage::{Store, StoreOptions};

/// Name, transactions per round, bytes of calldata each.
const SHAPES: [(&str, usize, usize); 4] =
    [("1MiB", 32, 1 << 20), ("128KiB", 256, 128 << 10), ("10KiB", 2000, 10 << 10), ("transfer", 4000, 0)];
/// Accounts of the dev chain.
const SENDERS: usize = 10;
const MNEMONIC: &str = "test test test test test test test test test test test junk";

fn signers() -> Vec<PrivateKeySigner> {
    let signer = |index| {
        let builder = MnemonicBuilder::english().phrase(MNEMONIC).index(index);
        builder.and_then(|builder| builder.build()).expect("the dev mnemonic is valid")
    };
    (0..SENDERS as u32).map(signer).collect()
}

/// `count` signed transactions, spread over the senders, nonces in order.
fn signed(count: usize, bytes: usize) -> Vec<Bytes> {
    let (signers, mut noise) = (signers(), StdRng::seed_from_u64(1));
    let sign = |index: usize| {
        let mut input = vec![0; bytes];
        noise.fill(&mut input[..]);
        let tx = TxEip1559 {
            chain_id: ChainSpec::dev().chain_id(),
            nonce: (index / SENDERS) as u64,
            gas_limit: 21_000 + 8 * bytes as u64,
            max_fee_per_gas: 10_000_000_000,
            max_priority_fee_per_gas: 1 + (index % 1000) as u128,
            to: TxKind::Call(Address::repeat_byte(0xda)),
            value: U256::from(1),
            input: input.into(),
            ..Default::default()
        };
        let signature = signers[index % SENDERS].sign_hash_sync(&tx.signature_hash()).expect("a local key");
        tx.into_signed(signature).encoded_2718().into()
    };
    (0..count).map(sign).collect()
}

fn store() -> (Store, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("an empty folder");
    let spec = Arc::new(ChainSpec::dev());
    Engine::new(spec, store.clone(), None, EngineConfig::default()).expect("genesis is committed");
    (store, folder)
}

fn pool(store: &Store) -> Pool {
    let config = PoolConfig { bytes_max: usize::MAX / 200, ..Default::default() };
    Pool::new(Arc::new(ChainSpec::dev()), store.clone(), config).expect("a pool at genesis")
}

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
    let (store, _folder) = store();
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
        let total = rounds as f64 * count as f64;
        match bytes {
            0 => println!("pool/admission/{name}: {:.1} CPU-µs each", cpu.as_secs_f64() * 1e6 / total),
            _ => {
                let megabytes = total * bytes as f64 / 1e6;
                println!("pool/admission/{name}: {:.2} CPU-ms/MB", cpu.as_secs_f64() * 1e3 / megabytes);
            }
        }
    }
}

fn best(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let (store, _folder) = store();
    let pool = pool(&store);
    runtime.block_on(submit_all(&pool, &signed(100_000, 0)));
    let mut group = criterion.benchmark_group("pool/best-of-100k");
    group.sample_size(20);
    group.bench_function("first", |bencher| bencher.iter(|| pool.best(1, None).next()));
    group.bench_function("all", |bencher| bencher.iter(|| pool.best(1, None).count()));
}

criterion_group!(benches, admission, best);
criterion_main!(benches);
