//! Checkpoints and blobs through the whole way: a chain, the stage, the ledger, a gateway over HTTP, and back into an empty
//! folder; with faults of the gateway, kills, and an index that was lost.
#![allow(clippy::unwrap_used, clippy::result_large_err, reason = "a test fails by panicking")]

mod common;

use alloy_primitives::{B256, Bytes};
use common::{state::*, weave::wallet};
use std::{num::NonZeroU64, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{sync::watch, time::timeout};
use weft_archive::{
    ArchiveSource, BlobPermanence, CheckpointIndex, CheckpointStage, Clock, Gateways, ItemSigner, Ledger,
    LedgerArgs, LedgerConfig, Payment, RetrieveError, Retriever, Source, Upload, Weave,
    checkpoint::{CheckpointError, Expected, ItemId, RestoreOptions},
    permanence::{
        ArweaveSource, BlobArgs, CheckpointArgs, CheckpointConfig, CheckpointProgress, Located, Moment,
        index_is_lost, manifests, measure, rebuild,
    },
    weave::ItemQuery,
};
use weft_arweave::{
    Address, ClientConfig, EthereumKey, Gateway, GatewayConfig, GatewayHandle, Winston,
    gateway::{Action, Command, Fault, Mining, Orphans, Route},
    install_tls_provider,
};
use weft_primitives::BlockNumHash;
use weft_storage::Store;

const DEADLINE: Duration = Duration::from_secs(120);

/// A gateway with a funded wallet, and a node's parts that use it.
struct Net {
    folder: TempDir,
    gateway: GatewayHandle,
    weave: Arc<dyn Weave>,
    config: LedgerConfig,
}

impl Net {
    async fn new() -> Self {
        install_tls_provider();
        let folder = TempDir::new().unwrap();
        let mining = Mining::Interval { every: Duration::from_millis(20), rest_after_confirmations: 8 };
        let bundler = Some(wallet());
        let config = GatewayConfig { mining, bundler, ..GatewayConfig::new(folder.path().join("gateway")) };
        let gateway = Gateway::start(config).await.unwrap();
        gateway.mint(wallet().address(), Winston(1 << 60)).await.unwrap();
        // The same one under two names: what is posted to the first is read back from the second.
        let port = gateway.address().port();
        let names = ["127.0.0.1", "localhost"].map(|name| format!("http://{name}:{port}").parse().unwrap());
        let mut client = ClientConfig::new(names.to_vec());
        client.bundler = Some(gateway.url().parse().unwrap());
        client.attempt_timeout = Duration::from_secs(5);
        client.call_timeout = Duration::from_secs(10);
        client.rounds_max = 2;
        client.backoff_first = Duration::from_millis(5);
        client.backoff_max = Duration::from_millis(20);
        let config = LedgerConfig {
            confirmations: 2,
            linger: Duration::from_millis(5),
            poll: Duration::from_millis(20),
            repost_after: Duration::ZERO,
            backoff_min: Duration::from_millis(5),
            backoff_max: Duration::from_millis(50),
            ..LedgerConfig::default()
        };
        Self { folder, gateway, weave: Arc::new(Gateways::new(client).unwrap()), config }
    }

    fn key() -> Arc<EthereumKey> {
        Arc::new(EthereumKey::from_bytes(&[7; 32]).unwrap())
    }

    fn owner() -> Address {
        Address::of_owner(&Self::key().public_key())
    }

    fn ledger(&self, store: &Store) -> Ledger {
        self.ledger_with(store, Payment::Wallet(Arc::new(wallet())))
    }

    fn ledger_with(&self, store: &Store, payment: Payment) -> Ledger {
        Ledger::spawn(LedgerArgs {
            store: store.clone(),
            spool: self.folder.path().join("spool"),
            weave: Arc::clone(&self.weave),
            signer: ItemSigner::Ethereum(Self::key()),
            payment,
            config: self.config,
            clock: Clock::system(),
        })
        .unwrap()
    }

    fn stage(&self, store: &Store, ledger: &Ledger, head: &watch::Sender<BlockNumHash>) -> CheckpointStage {
        let number = |n| NonZeroU64::new(n).unwrap();
        CheckpointStage::spawn(CheckpointArgs {
            store: store.clone(),
            ledger: ledger.clone(),
            chain_id: CHAIN_ID,
            config: CheckpointConfig { interval: number(8), full_every: number(3) },
            folder: self.folder.path().join("sort"),
            head: head.subscribe(),
        })
    }

    /// Every transaction that was taken was needed, and the ledger booked what they cost.
    fn paid_once(&self, store: &Store) {
        let paid = self.gateway.spending(&wallet().address()).unwrap();
        assert_eq!((paid.accepted, paid.accepted_winston), (paid.mined, paid.mined_winston));
        assert_eq!(store.view().spending(0).unwrap().total, paid.accepted_winston.0);
    }

    /// No content is there twice under one kind.
    async fn no_item_twice(&self) {
        let query = ItemQuery { tags: vec![("App-Name".into(), "weft".into())], ..ItemQuery::default() };
        let mut seen = std::collections::HashSet::new();
        for hit in self.weave.find(&query, 10_000).await.unwrap() {
            let Some(kind) = hit.tag("Weft-Kind") else { continue };
            let item = self.weave.item(hit.id, 1 << 30).await.unwrap().item;
            assert!(seen.insert((kind.to_owned(), item.data())), "{kind} {} is there twice", hit.id);
        }
    }

    async fn restore(
        &self,
        id: ItemId,
        path: &std::path::Path,
        expected: Expected,
    ) -> Result<Store, CheckpointError> {
        let source = ArweaveSource::new(Arc::clone(&self.weave), Some(Self::owner()), 4);
        let options = RestoreOptions { parallel: 4, ..restore_options(path, expected) };
        let work = move || weft_archive::checkpoint::restore(&source, id, &options, &|_| {});
        tokio::task::spawn_blocking(work).await.unwrap()
    }
}

fn head_of(chain: &TestChain) -> watch::Sender<BlockNumHash> {
    watch::Sender::new(chain.head().num_hash())
}

async fn archived(stage: &CheckpointStage, number: u64) -> CheckpointProgress {
    let mut watch = stage.watch();
    let reached =
        |progress: &CheckpointProgress| progress.archived.is_some_and(|block| block.number >= number);
    match timeout(DEADLINE, watch.wait_for(reached)).await {
        Ok(progress) => progress.unwrap().clone(),
        Err(_) => panic!("block {number} is not archived: {:?}", stage.progress()),
    }
}

/// A chain of 40 blocks whose five checkpoints are archived.
async fn archived_chain(
    net: &Net,
    seed: u64,
) -> (TestChain, Ledger, CheckpointStage, watch::Sender<BlockNumHash>) {
    let mut chain = TestChain::new(seed);
    let head = head_of(&chain);
    let ledger = net.ledger(&chain.store);
    let stage = net.stage(&chain.store, &ledger, &head);
    for _ in 0..4 {
        chain.grow(10);
        head.send_replace(chain.head().num_hash());
    }
    archived(&stage, 40).await;
    (chain, ledger, stage, head)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_comes_back_from_the_gateway_alone() {
    let net = Net::new().await;
    let (chain, ledger, stage, _head) = archived_chain(&net, 11).await;
    let progress = stage.progress();
    assert_eq!((progress.queued, progress.finalized), (progress.archived, Some(chain.head().num_hash())));
    assert_eq!((progress.lag_blocks, progress.lag_seconds, progress.making), (0, 0, None));
    let index = CheckpointIndex::new(chain.store.clone());
    let list = index.list(None, 9).unwrap();
    let shape: Vec<_> = list.iter().map(|entry| (entry.block.number, entry.depth, entry.archived)).collect();
    assert_eq!(shape, [(40, 1, true), (32, 0, true), (24, 2, true), (16, 1, true), (8, 0, true)]);
    stage.shutdown().await;
    ledger.shutdown().await;
    net.paid_once(&chain.store);
    net.no_item_twice().await;

    let found = manifests(net.weave.as_ref(), Net::owner(), chain.genesis.hash()).await.unwrap();
    assert_eq!(
        found.iter().map(|found| found.block).collect::<Vec<_>>(),
        list.iter().map(|e| e.block).collect::<Vec<_>>()
    );
    // The newest, a diff in the middle, and the first; with and without a trusted block.
    for (at, pinned) in [(0, true), (2, false), (4, true)] {
        let target = TempDir::new().unwrap();
        let block = found[at].block;
        let expected = Expected { trust_block: pinned.then_some(block.hash), ..chain.expected() };
        let id = ItemId(B256::new(found[at].id.0));
        let restored = net.restore(id, target.path(), expected).await.unwrap();
        assert_same(&chain, &restored, block.number);
        // It goes on.
        for made in &chain.made[usize::try_from(block.number).unwrap()..] {
            made.commit(&restored);
        }
        assert_eq!(restored.view().head().unwrap(), chain.head().num_hash());
    }
    net.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_index_is_rebuilt_from_tags_and_nothing_is_paid_again() {
    let net = Net::new().await;
    let (mut chain, ledger, stage, _head) = archived_chain(&net, 12).await;
    stage.shutdown().await;
    ledger.shutdown().await;
    let before = CheckpointIndex::new(chain.store.clone()).list(None, 9).unwrap();
    let paid = net.gateway.spending(&wallet().address()).unwrap();

    let target = TempDir::new().unwrap();
    let id = ItemId(B256::new(before[0].manifest.id.0));
    let restored = net.restore(id, target.path(), chain.expected()).await.unwrap();
    assert!(index_is_lost(&restored).unwrap() && !index_is_lost(&chain.store).unwrap());
    let rebuilt = rebuild(&restored, net.weave.as_ref(), Net::owner(), CHAIN_ID).await.unwrap();
    assert_eq!((rebuilt.checkpoints, rebuilt.refused), (5, 0));
    assert!(!index_is_lost(&restored).unwrap());
    let again = rebuild(&restored, net.weave.as_ref(), Net::owner(), CHAIN_ID).await.unwrap();
    assert_eq!((again.checkpoints, again.items), (0, 0), "a second time brings nothing");
    let index = CheckpointIndex::new(restored.clone());
    let after = index.list(None, 9).unwrap();
    for (old, new) in before.iter().zip(&after) {
        assert_eq!(
            (new.block, new.timestamp, new.depth, new.parent),
            (old.block, old.timestamp, old.depth, old.parent)
        );
        assert_eq!((new.bytes, new.archived), (old.bytes, true));
        for (old, new) in old.items.iter().chain([&old.manifest]).zip(new.items.iter().chain([&new.manifest]))
        {
            assert_eq!(
                (new.key, new.id, new.bytes, new.transaction),
                (old.key, old.id, old.bytes, old.transaction)
            );
            assert_eq!(new.upload, Upload::Found);
        }
    }
    assert_eq!(before.len(), after.len());

    let at = |moment| index.locate(moment).unwrap();
    let number =
        |located: Option<Located>| located.map(|l| (l.block.number, l.checkpoint.map(|c| c.block.number)));
    assert_eq!(number(at(Moment::Block(17))), Some((17, Some(24))));
    assert_eq!(number(at(Moment::Block(24))), Some((24, Some(24))));
    assert_eq!(number(at(Moment::Block(41))), None);
    let time = chain.store.view().header(33).unwrap().unwrap().timestamp;
    assert_eq!(number(at(Moment::Timestamp(time))), Some((33, Some(40))));
    assert_eq!(number(at(Moment::Timestamp(u64::MAX))), Some((40, Some(40))));

    // The restored node makes the next checkpoint on top of what it found.
    let head = watch::Sender::new(restored.view().head().unwrap());
    let ledger = net.ledger(&restored);
    let stage = net.stage(&restored, &ledger, &head);
    archived(&stage, 40).await;
    assert_eq!(net.gateway.spending(&wallet().address()).unwrap(), paid, "nothing was due");
    chain.grow(8);
    for made in &chain.made[40..] {
        made.commit(&restored);
    }
    let newest = Some(chain.head().num_hash());
    restored.set_forkchoice(newest, newest).unwrap();
    head.send_replace(chain.head().num_hash());
    archived(&stage, 48).await;
    let next = index.list(None, 1).unwrap().remove(0);
    assert_eq!((next.depth, next.parent), (2, Some(after[0].manifest.id)));
    assert!(matches!(next.manifest.upload, Upload::Verified(_)));
    stage.shutdown().await;
    ledger.shutdown().await;
    net.no_item_twice().await;
    let target = TempDir::new().unwrap();
    let id = ItemId(B256::new(next.manifest.id.0));
    assert_same(&chain, &net.restore(id, target.path(), chain.expected()).await.unwrap(), 48);
    net.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gateway_alters_or_others_sign_is_refused() {
    let net = Net::new().await;
    let (chain, ledger, stage, _head) = archived_chain(&net, 13).await;
    stage.shutdown().await;
    ledger.shutdown().await;
    let found = manifests(net.weave.as_ref(), Net::owner(), chain.genesis.hash()).await.unwrap();
    let id = ItemId(B256::new(found[0].id.0));
    let lies = [Action::Flip(10), Action::Shorten(7), Action::Truncate(7), Action::Other(found[1].id)];
    for action in lies {
        net.gateway.fault(Fault::on(Route::Content, action.clone())).unwrap();
        let target = TempDir::new().unwrap();
        let refused = net.restore(id, target.path(), chain.expected()).await;
        assert!(matches!(refused, Err(CheckpointError::Source { .. })), "{action:?}: {refused:?}");
        net.gateway.command(Command::Heal).await.unwrap();
    }
    // Another owner than the one that is pinned.
    let source = ArweaveSource::new(Arc::clone(&net.weave), Some(wallet().address()), 1);
    let target = TempDir::new().unwrap();
    let options = restore_options(target.path(), chain.expected());
    let work = move || weft_archive::checkpoint::restore(&source, id, &options, &|_| {});
    let refused = tokio::task::spawn_blocking(work).await.unwrap().unwrap_err();
    assert!(format!("{refused}").contains("signed by"), "{refused}");
    // Failures that pass are waited out.
    net.gateway
        .fault(Fault {
            percent: Some(20),
            ..Fault::on(Route::Content, Action::Status { status: 503, retry_after: None })
        })
        .unwrap();
    let target = TempDir::new().unwrap();
    let mut restored = net.restore(id, target.path(), chain.expected()).await;
    for _ in 0..20 {
        if restored.is_ok() {
            break;
        }
        restored = net.restore(id, target.path(), chain.expected()).await;
    }
    assert_same(&chain, &restored.unwrap(), 40);
    net.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_that_is_killed_skips_and_doubles_nothing() {
    let net = Net::new().await;
    let mut chain = TestChain::new(14);
    let head = head_of(&chain);
    for round in 0..12 {
        let ledger = net.ledger(&chain.store);
        let stage = net.stage(&chain.store, &ledger, &head);
        chain.grow(5);
        head.send_replace(chain.head().num_hash());
        // Cut off at the n-th thing that happens.
        let mut watch = stage.watch();
        for _ in 0..round % 5 {
            let _ = timeout(Duration::from_millis(50), watch.changed()).await;
        }
        stage.shutdown().await;
        ledger.shutdown().await;
    }
    let ledger = net.ledger(&chain.store);
    let stage = net.stage(&chain.store, &ledger, &head);
    archived(&stage, 56).await;
    stage.shutdown().await;
    ledger.shutdown().await;
    let found = manifests(net.weave.as_ref(), Net::owner(), chain.genesis.hash()).await.unwrap();
    let numbers: Vec<_> = found.iter().map(|found| found.block.number).collect();
    assert_eq!(numbers, [56, 48, 40, 32, 24, 16, 8]);
    net.paid_once(&chain.store);
    net.no_item_twice().await;
    net.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_gateway_is_survived() {
    let net = Net::new().await;
    let mut chain = TestChain::new(15);
    let head = head_of(&chain);
    let ledger = net.ledger(&chain.store);
    let stage = net.stage(&chain.store, &ledger, &head);
    let busy = || Action::Status { status: 500, retry_after: None };
    let faults = [
        Fault::on(Route::Price, busy()).times(6),
        Fault::on(Route::Anchor, Action::Drop).times(6),
        Fault::on(Route::PostTransaction, Action::DropAnswer).times(3),
        Fault::on(Route::PostTransaction, Action::Forget).times(1),
        Fault::on(Route::PostChunk, Action::Forget).times(1),
        Fault::on(Route::PostChunk, busy()).times(6),
        Fault::on(Route::PostChunk, Action::DropAnswer).times(3),
        Fault::on(Route::Status, Action::Shorten(3)).times(6),
        Fault::on(Route::Content, Action::Flip(100)).times(6),
        Fault::on(Route::Content, Action::Truncate(100)).times(6),
        Fault::on(Route::Chunk, Action::Flip(300)).times(6),
        Fault::on(Route::Info, busy()).times(6),
    ];
    let mut due = 0;
    for fault in faults {
        let what = format!("{fault:?}");
        let faults_before = net.gateway.counters().faults.values().sum::<u64>();
        net.gateway.fault(fault).unwrap();
        due += 8;
        chain.grow(8);
        head.send_replace(chain.head().num_hash());
        archived(&stage, due).await;
        assert!(stage.progress().queued.is_some_and(|block| block.number == due), "{what}");
        assert!(net.gateway.counters().faults.values().sum::<u64>() > faults_before, "{what} was not met");
        // What is left of it would meet somebody else.
        net.gateway.command(Command::Heal).await.unwrap();
    }
    net.gateway.command(Command::Reorg { depth: 2, orphans: Orphans::default() }).await.unwrap();
    stage.shutdown().await;
    ledger.shutdown().await;
    net.paid_once(&chain.store);
    net.no_item_twice().await;
    let measured = measure(&chain.store.view(), u64::MAX, 9).unwrap();
    assert_eq!((measured.checkpoints, measured.blocks), (9, 72));
    assert!(measured.archived_bytes > 0 && measured.calldata_bytes > 0);
    net.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundler_carries_a_checkpoint() {
    let net = Net::new().await;
    let mut chain = TestChain::new(17);
    chain.grow(9);
    let head = head_of(&chain);
    let ledger = net.ledger_with(&chain.store, Payment::Bundler);
    let stage = net.stage(&chain.store, &ledger, &head);
    archived(&stage, 8).await;
    stage.shutdown().await;
    ledger.shutdown().await;
    let entry = CheckpointIndex::new(chain.store.clone()).list(None, 1).unwrap().remove(0);
    let charged = net.gateway.spending(&Net::owner()).unwrap();
    assert_eq!(charged.items, entry.items.len() as u64 + 1);
    net.no_item_twice().await;
    let target = TempDir::new().unwrap();
    let id = ItemId(B256::new(entry.manifest.id.0));
    assert_same(&chain, &net.restore(id, target.path(), chain.expected()).await.unwrap(), 8);
    net.gateway.stop().await;
}

async fn permanent(blobs: &BlobPermanence, tx: B256) {
    timeout(DEADLINE, async {
        while blobs.receipt(tx).unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}

async fn fetch(retriever: &Retriever, tx: B256, source: Source) -> Result<Option<Bytes>, RetrieveError> {
    let retriever = retriever.clone();
    tokio::task::spawn_blocking(move || retriever.blob(tx, None, source)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permanent_blob_outlives_its_chain() {
    let net = Net::new().await;
    let (chain, ledger, stage, head) = archived_chain(&net, 16).await;
    let all: Vec<(B256, Bytes)> = chain.made.iter().flat_map(|made| made.block.blobs()).collect();
    assert!(all.len() > 8);
    let permanence = BlobPermanence::spawn(BlobArgs {
        store: chain.store.clone(),
        ledger: ledger.clone(),
        retriever: Retriever::new(chain.store.clone()),
        chain_id: CHAIN_ID,
        head: head.subscribe(),
    });
    assert_eq!(permanence.request(B256::ZERO).unwrap(), None);
    for (tx, blob) in &all {
        let requested = permanence.request(*tx).unwrap().unwrap();
        assert_eq!((requested.tx, requested.length), (*tx, blob.len() as u64));
    }
    for (tx, blob) in &all {
        permanent(&permanence, *tx).await;
        let receipt = permanence.receipt(*tx).unwrap().unwrap();
        assert_eq!(receipt.key().sha256, weft_erasure::sha256(blob));
        assert!(receipt.gateway().contains("localhost"), "{receipt:?}");
    }
    net.paid_once(&chain.store);

    // Where the chain is, and in a database that was restored, before and after its index was rebuilt.
    let archive =
        |store: &Store| ArchiveSource::new(store.clone(), Arc::clone(&net.weave), Some(Net::owner()), 4);
    let here = Retriever::new(chain.store.clone()).with_archive(archive(&chain.store));
    let target = TempDir::new().unwrap();
    let id =
        ItemId(B256::new(CheckpointIndex::new(chain.store.clone()).list(None, 1).unwrap()[0].manifest.id.0));
    let restored = net.restore(id, target.path(), chain.expected()).await.unwrap();
    let there = Retriever::new(restored.clone()).with_archive(archive(&restored));
    for (tx, blob) in &all {
        assert_eq!(fetch(&here, *tx, Source::Archive).await.unwrap().as_ref(), Some(blob));
        assert_eq!(fetch(&there, *tx, Source::Any).await.unwrap(), None, "nobody knows it yet");
        assert_eq!(
            fetch(&there, *tx, Source::Archive).await.unwrap().as_ref(),
            Some(blob),
            "found by its tags"
        );
    }
    let rebuilt = rebuild(&restored, net.weave.as_ref(), Net::owner(), CHAIN_ID).await.unwrap();
    assert_eq!((rebuilt.blobs, rebuilt.refused), (all.len(), 0));
    for (tx, blob) in &all {
        assert_eq!(fetch(&there, *tx, Source::Any).await.unwrap().as_ref(), Some(blob));
        let part = {
            let (there, tx) = (there.clone(), *tx);
            tokio::task::spawn_blocking(move || there.blob(tx, Some((100, 50)), Source::Archive))
                .await
                .unwrap()
        };
        assert_eq!(part.unwrap(), Some(blob.slice(100..150)));
    }
    // Lies.
    for action in [Action::Flip(4000), Action::Shorten(50), Action::Other(weft_arweave::Id([9; 32]))] {
        net.gateway.fault(Fault::on(Route::Content, action.clone())).unwrap();
        for retriever in [&here, &there] {
            let refused = fetch(retriever, all[0].0, Source::Archive).await;
            assert!(
                matches!(&refused, Err(RetrieveError::Archive { .. } | RetrieveError::NotProven { .. })),
                "{action:?}: {refused:?}"
            );
        }
        net.gateway.command(Command::Heal).await.unwrap();
    }
    permanence.shutdown().await;
    stage.shutdown().await;
    ledger.shutdown().await;
    net.gateway.stop().await;
}
