//! What benches of admission share: signed transactions of the dev accounts, a store at genesis.
#![allow(dead_code)] // each bench uses its part

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, Bytes, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::sync::Arc;
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

/// What a round cost, for all of its transactions.
pub fn cost(bench: &str, name: &str, cpu: std::time::Duration, transactions: f64, bytes: usize) {
    match bytes {
        0 => println!("{bench}/{name}: {:.1} CPU-µs each", cpu.as_secs_f64() * 1e6 / transactions),
        _ => {
            let megabytes = transactions * bytes as f64 / 1e6;
            println!("{bench}/{name}: {:.2} CPU-ms/MB", cpu.as_secs_f64() * 1e3 / megabytes);
        }
    }
}
