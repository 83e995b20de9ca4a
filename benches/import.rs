//! A block's way through the engine: building it from the pool, importing it, committing it.
//!
//! Two blocks: 64 transactions with 1 MiB of incompressible calldata each, and 1,000 transfers. `build` is
//! the proposer's side, `import` the side of a node that gets the block with its cells prepared, `commit`
//! the write until fsync.

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_network::TxSignerSync;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English};
use criterion::{BatchSize, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use rand::{RngCore, SeedableRng, rngs::StdRng};
use std::{sync::Arc, time::Duration};
use weft_chainspec::ChainSpec;
use weft_engine::{Engine, EngineConfig, ForkchoiceState, PayloadAttributes, PayloadStatus, init_genesis};
use weft_pool::{Pool, PoolConfig};
use weft_primitives::{PreparedBlock, SealedHeader, Transaction};
use weft_storage::{Store, StoreOptions};

const MIB: usize = 1 << 20;

struct Node {
    engine: Engine,
    pool: Pool,
    // Dropped last: the store is in it.
    _folder: tempfile::TempDir,
}

impl Node {
    fn new(spec: &Arc<ChainSpec>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
        init_genesis(spec, &store).expect("genesis");
        let pool = Pool::new(spec.clone(), store.clone(), PoolConfig::default()).expect("a pool");
        let config = EngineConfig { build_bytes_max: 256 * MIB, ..Default::default() };
        let engine = Engine::new(spec.clone(), store, Some(pool.clone()), config).expect("an engine");
        Self { engine, pool, _folder: folder }
    }

    fn build(&mut self) -> PreparedBlock {
        let head = self.engine.head().clone();
        self.engine.build_payload(attributes(&head)).expect("a payload")
    }

    fn import(&mut self, block: PreparedBlock) {
        let status = self.engine.new_payload(block).expect("no failure");
        assert!(matches!(status, PayloadStatus::Valid { .. }), "{status:?}");
    }

    fn commit(&mut self, head: B256) {
        let state = ForkchoiceState { head, safe: None, finalized: None };
        assert!(self.engine.forkchoice_updated(state).expect("no failure").0.is_valid());
    }
}

fn attributes(parent: &SealedHeader) -> PayloadAttributes {
    PayloadAttributes {
        parent: parent.hash(),
        timestamp: parent.timestamp + 1,
        suggested_fee_recipient: Address::ZERO,
        prev_randao: B256::ZERO,
        withdrawals: Some(Default::default()),
        parent_beacon_block_root: Some(B256::ZERO),
    }
}

fn account(index: u32) -> PrivateKeySigner {
    MnemonicBuilder::<English>::from_phrase("test test test test test test test test test test test junk")
        .index(index)
        .and_then(|builder| builder.build())
        .expect("the dev mnemonic")
}

fn signed(signer: &PrivateKeySigner, nonce: u64, to: Address, input: Bytes, chain_id: u64) -> Bytes {
    let mut tx = TxEip1559 {
        chain_id,
        nonce,
        gas_limit: 21_000 + 8 * input.len() as u64,
        max_fee_per_gas: 100_000_000_000,
        max_priority_fee_per_gas: 1,
        to: to.into(),
        value: U256::from(1),
        input,
        access_list: Default::default(),
    };
    let signature = signer.sign_transaction_sync(&mut tx).expect("a signature");
    Transaction::from(tx.into_signed(signature)).encoded_2718().into()
}

fn calldata(chain_id: u64) -> Vec<Bytes> {
    let mut rng = StdRng::seed_from_u64(0);
    let signer = account(0);
    (0..64)
        .map(|nonce| {
            let mut input = vec![0; MIB];
            rng.fill_bytes(&mut input);
            signed(&signer, nonce, Address::repeat_byte(0xda), input.into(), chain_id)
        })
        .collect()
}

fn transfers(chain_id: u64) -> Vec<Bytes> {
    let signers: Vec<_> = (0..10).map(account).collect();
    (0..1_000u64)
        .map(|i| {
            let signer = &signers[usize::try_from(i % 10).expect("small")];
            let to = Address::left_padding_from(&(i + 1).to_be_bytes());
            signed(signer, i / 10, to, Bytes::new(), chain_id)
        })
        .collect()
}

fn import(criterion: &mut Criterion) {
    let spec = Arc::new(ChainSpec::dev());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let loads = [("64x1MiB", calldata(spec.chain_id())), ("1000_transfers", transfers(spec.chain_id()))];
    for (name, transactions) in loads {
        let mut proposer = Node::new(&spec);
        let bytes: usize = transactions.iter().map(|raw| raw.len()).sum();
        let count = transactions.len();
        runtime.block_on(async {
            for raw in transactions {
                proposer.pool.submit(raw).await.expect("taken");
            }
        });
        let block = proposer.build();
        assert_eq!(block.transactions.len(), count, "all in one block");

        let mut group = criterion.benchmark_group(name);
        group.sampling_mode(SamplingMode::Flat).sample_size(10).measurement_time(Duration::from_secs(5));
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function("build", |bench| bench.iter(|| proposer.build()));
        group.bench_function("import", |bench| {
            bench.iter_batched(
                || (Node::new(&spec), block.clone()),
                |(mut node, block)| {
                    node.import(block);
                    node
                },
                BatchSize::PerIteration,
            )
        });
        group.bench_function("commit", |bench| {
            bench.iter_batched(
                || {
                    let mut node = Node::new(&spec);
                    node.import(block.clone());
                    node
                },
                |mut node| {
                    node.commit(block.header.hash());
                    node
                },
                BatchSize::PerIteration,
            )
        });
        group.finish();
    }
}

criterion_group!(benches, import);
criterion_main!(benches);
