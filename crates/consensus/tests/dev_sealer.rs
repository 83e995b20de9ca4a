//! The dev sealer over the real engine, pool and store.

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_network::TxSignerSync;
use alloy_primitives::{Address, Bytes, U256};
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English};
use std::{sync::Arc, time::Duration};
use tokio::sync::broadcast;
use weft_chainspec::ChainSpec;
use weft_consensus::{DevSealer, DevSealerConfig, SealMode};
use weft_engine::{CanonicalEvent, Engine, EngineConfig, EngineHandle, init_genesis};
use weft_pool::{Pool, PoolConfig};
use weft_primitives::Transaction;
use weft_storage::{Store, StoreOptions};

/// Longer than any of this takes; reached only when something hangs.
const DEADLINE: Duration = Duration::from_secs(60);

struct Chain {
    spec: Arc<ChainSpec>,
    engine: EngineHandle,
    pool: Pool,
    events: broadcast::Receiver<Arc<CanonicalEvent>>,
    _folder: tempfile::TempDir,
}

impl Chain {
    fn new() -> Self {
        Self::with_options(StoreOptions::default())
    }

    fn with_options(options: StoreOptions) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let spec = Arc::new(ChainSpec::dev());
        // Genesis is written with room on the disk, whatever the options say.
        init_genesis(&spec, &Store::open(folder.path(), StoreOptions::default()).expect("opens"))
            .expect("genesis");
        let store = Store::open(folder.path(), options).expect("opens");
        let pool = Pool::new(spec.clone(), store.clone(), PoolConfig::default()).expect("a pool");
        let engine =
            Engine::new(spec.clone(), store, Some(pool.clone()), EngineConfig::default()).expect("an engine");
        let engine = EngineHandle::spawn(engine).expect("a thread");
        let events = engine.subscribe();
        Self { spec, engine, pool, events, _folder: folder }
    }

    fn seal(&self, config: DevSealerConfig) -> DevSealer {
        DevSealer::spawn(config, self.spec.clone(), self.engine.clone(), self.pool.clone())
    }

    async fn submit(&self, nonce: u64) {
        self.pool.submit(transfer(&alice(), nonce, self.spec.chain_id())).await.expect("taken");
    }

    /// Transactions and timestamp of the next block.
    async fn next(&mut self) -> (usize, u64) {
        let event =
            tokio::time::timeout(DEADLINE, self.events.recv()).await.expect("in time").expect("an event");
        assert_eq!((event.reverted.len(), event.committed.len()), (0, 1));
        (event.committed[0].block.transactions.len(), event.head.timestamp)
    }

    /// Whether no block is there that was not looked at.
    fn is_quiet(&mut self) -> bool {
        matches!(self.events.try_recv(), Err(broadcast::error::TryRecvError::Empty))
    }
}

fn alice() -> PrivateKeySigner {
    MnemonicBuilder::<English>::from_phrase("test test test test test test test test test test test junk")
        .build()
        .expect("the dev mnemonic")
}

fn transfer(signer: &PrivateKeySigner, nonce: u64, chain_id: u64) -> Bytes {
    let mut tx = TxEip1559 {
        chain_id,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 100_000_000_000,
        max_priority_fee_per_gas: 1,
        to: Address::repeat_byte(1).into(),
        value: U256::from(1),
        ..Default::default()
    };
    let signature = signer.sign_transaction_sync(&mut tx).expect("a signature");
    Transaction::from(tx.into_signed(signature)).encoded_2718().into()
}

fn instant() -> DevSealerConfig {
    DevSealerConfig::default()
}

fn every(milliseconds: u64, empty_blocks: bool) -> DevSealerConfig {
    let mode = SealMode::Interval(Duration::from_millis(milliseconds));
    DevSealerConfig { mode, empty_blocks, ..Default::default() }
}

#[tokio::test]
async fn instant_mode_seals_what_arrives_and_nothing_else() {
    let mut chain = Chain::new();
    let sealer = chain.seal(instant());
    for nonce in 0..3 {
        chain.submit(nonce).await;
        assert_eq!(chain.next().await.0, 1);
    }
    sealer.shutdown().await;
    assert!(chain.is_quiet(), "no empty block");
    assert_eq!((chain.engine.head().number, chain.pool.counts()), (3, (0, 0)));
}

#[tokio::test]
async fn the_first_block_comes_at_once_where_it_is_wanted() {
    for config in [instant(), every(3_600_000, false)] {
        let mut chain = Chain::new();
        let sealer = chain.seal(DevSealerConfig { first_at_once: true, ..config });
        assert_eq!(chain.next().await.0, 0, "no transaction in it");
        sealer.shutdown().await;
        assert!(chain.is_quiet(), "one and no other");
    }
}

#[tokio::test]
async fn what_waits_in_the_pool_when_the_sealer_starts_goes_into_one_block() {
    let mut chain = Chain::new();
    for nonce in 0..20 {
        chain.submit(nonce).await;
    }
    let sealer = chain.seal(instant());
    assert_eq!(chain.next().await.0, 20);
    sealer.shutdown().await;
}

#[tokio::test]
async fn time_goes_forward_with_every_block() {
    let mut chain = Chain::new();
    let sealer = chain.seal(instant());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs();
    let mut last = now - 1;
    for nonce in 0..5 {
        chain.submit(nonce).await;
        let (_, timestamp) = chain.next().await;
        assert!(timestamp > last, "{timestamp} after {last}");
        last = timestamp;
    }
    sealer.shutdown().await;
}

#[tokio::test]
async fn interval_mode_seals_empty_blocks_when_they_are_wanted() {
    let mut chain = Chain::new();
    let sealer = chain.seal(every(5, true));
    for _ in 0..3 {
        assert_eq!(chain.next().await.0, 0);
    }
    chain.submit(0).await;
    while chain.next().await.0 == 0 {}
    sealer.shutdown().await;
}

#[tokio::test]
async fn interval_mode_without_empty_blocks_waits_for_transactions() {
    let mut chain = Chain::new();
    let sealer = chain.seal(every(1, false));
    for nonce in 0..2 {
        chain.submit(nonce).await;
        assert_eq!(chain.next().await.0, 1);
    }
    sealer.shutdown().await;
    assert!(chain.is_quiet());
    assert_eq!(chain.engine.head().number, 2);
}

#[tokio::test]
async fn it_stops_and_stays_stopped() {
    let mut chain = Chain::new();
    let sealer = chain.seal(every(1, true));
    chain.next().await;
    sealer.shutdown().await;
    sealer.shutdown().await;
    sealer.stopped().await;
    let head = chain.engine.head();
    // One that is still alive would answer this command's turn with a block before it.
    chain.submit(0).await;
    assert_eq!(chain.engine.head(), head);
    chain.engine.shutdown().await;
}

#[tokio::test]
async fn it_ends_with_the_engine() {
    let chain = Chain::new();
    let sealer = chain.seal(instant());
    chain.engine.shutdown().await;
    tokio::time::timeout(DEADLINE, sealer.stopped()).await.expect("in time");
    sealer.shutdown().await;
}

#[tokio::test]
async fn a_full_disk_is_waited_for_and_does_not_keep_it_from_stopping() {
    let full = StoreOptions { disk_reserve_bytes: u64::MAX, ..Default::default() };
    let mut chain = Chain::with_options(full);
    let sealer = chain.seal(instant());
    chain.submit(0).await;
    // It tries, fails, and goes on trying; nothing of that is visible on the chain.
    tokio::select! {
        () = sealer.stopped() => panic!("a full disk is no reason to end"),
        () = tokio::time::sleep(Duration::from_millis(250)) => {}
    }
    assert!(chain.is_quiet());
    assert_eq!((chain.engine.head().number, chain.pool.counts()), (0, (1, 0)), "the transaction waits");
    tokio::time::timeout(DEADLINE, sealer.shutdown()).await.expect("also while it pauses");
}
