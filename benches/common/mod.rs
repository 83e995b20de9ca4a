//! What benches of admission share: signed transactions of the dev accounts, a store at genesis.
#![allow(dead_code)] // each bench uses its part

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, Bytes, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner};
use criterion::{BenchmarkId, Criterion, Throughput};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;
use weft_chainspec::ChainSpec;
use weft_engine::{Engine, EngineConfig};
use weft_pool::{Pool, PoolConfig};
use weft_storage::{Store, StoreOptions};

/// Name, transactions per round, bytes of calldata each.
pub const SHAPES: [(&str, usize, usize); 4] =
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
pub fn signed(count: usize, bytes: usize) -> Vec<Bytes> {
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

/// A store with the dev chain's genesis, and the engine over it.
pub fn store() -> (Engine, Store, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("an empty folder");
    let spec = Arc::new(ChainSpec::dev());
    let engine =
        Engine::new(spec, store.clone(), None, EngineConfig::default()).expect("genesis is committed");
    (engine, store, folder)
}

/// A pool that takes everything.
pub fn pool(store: &Store) -> Pool {
    let config = PoolConfig { bytes_max: usize::MAX / 200, ..Default::default() };
    Pool::new(Arc::new(ChainSpec::dev()), store.clone(), config).expect("a pool at genesis")
}

/// Rounds over signed transactions of every shape, one group. `prepare` makes the input of a shape's rounds of its
/// transactions, `round` gives what one of them took: elapsed time and CPU time.
pub fn rounds<P>(
    criterion: &mut Criterion,
    bench: &str,
    prepare: impl Fn(Vec<Bytes>) -> P,
    mut round: impl FnMut(&P) -> (Duration, Duration),
) {
    let mut group = criterion.benchmark_group(bench);
    group.sample_size(10).measurement_time(Duration::from_secs(4)).warm_up_time(Duration::from_secs(1));
    for (name, count, bytes) in SHAPES {
        let input = prepare(signed(count, bytes));
        let (mut cpu, mut rounds) = (Duration::ZERO, 0);
        group.throughput(match bytes {
            0 => Throughput::Elements(count as u64),
            _ => Throughput::Bytes((count * bytes) as u64),
        });
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter_custom(|iterations| {
                let mut elapsed = Duration::ZERO;
                for _ in 0..iterations {
                    let (time, used) = round(&input);
                    elapsed += time;
                    cpu += used;
                }
                rounds += iterations;
                elapsed
            });
        });
        cost(bench, name, cpu, rounds as f64 * count as f64, bytes);
    }
}

/// What a round cost, for all of its transactions.
fn cost(bench: &str, name: &str, cpu: Duration, transactions: f64, bytes: usize) {
    match bytes {
        0 => println!("{bench}/{name}: {:.1} CPU-µs each", cpu.as_secs_f64() * 1e6 / transactions),
        _ => {
            let megabytes = transactions * bytes as f64 / 1e6;
            println!("{bench}/{name}: {:.2} CPU-ms/MB", cpu.as_secs_f64() * 1e3 / megabytes);
        }
    }
}
