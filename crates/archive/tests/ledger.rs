//! The upload ledger against a network in memory: every transition with a crash before and after every call, every fault of a
//! network, budgets, order, and a long run of all of it at random. The network's own account proves one payment per item.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use alloy_primitives::Bytes;
use common::weave::{Cut, FakeWeave, Trouble, wallet};
use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::timeout;
use weft_archive::{
    Budget, Clock, ItemSigner, Ledger, LedgerArgs, LedgerConfig, LedgerError, LedgerStatus, NewItem, Payment,
    Stop, Upload, Weave,
    ledger::{LedgerKey, LedgerKind, SpoolError},
};
use weft_arweave::{EthereumKey, Id, Tag, Winston};
use weft_storage::{ShipmentState, Store};

/// Long enough for a busy machine; a test that waits for it has failed.
const DEADLINE: Duration = Duration::from_secs(60);

struct Rig {
    folder: TempDir,
    store: Store,
    weave: Arc<FakeWeave>,
    clock: Arc<AtomicU64>,
    config: LedgerConfig,
    payment: Payment,
}

impl Rig {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let store = common::open(&folder.path().join("db"));
        let config = LedgerConfig {
            confirmations: 3,
            linger: Duration::ZERO,
            poll: Duration::from_millis(1),
            repost_after: Duration::ZERO,
            backoff_min: Duration::from_millis(1),
            backoff_max: Duration::from_millis(4),
            ..LedgerConfig::default()
        };
        Self {
            folder,
            store,
            weave: Arc::default(),
            clock: Arc::new(AtomicU64::new(1_000_000)),
            config,
            payment: Payment::Wallet(Arc::new(wallet())),
        }
    }

    fn start(&self) -> Ledger {
        let clock = Arc::clone(&self.clock);
        Ledger::spawn(LedgerArgs {
            store: self.store.clone(),
            spool: self.folder.path().join("spool"),
            weave: Arc::clone(&self.weave) as Arc<dyn Weave>,
            signer: ItemSigner::Ethereum(Arc::new(EthereumKey::from_bytes(&[7; 32]).unwrap())),
            payment: self.payment.clone(),
            config: self.config,
            clock: Clock::new(move || clock.load(Ordering::Relaxed)),
        })
        .unwrap()
    }

    /// Every item is in exactly one transaction, and what was booked is what these cost.
    fn paid_once(&self, items: &[Id]) {
        let (carriers, cost) = self.weave.mined();
        for item in items {
            assert_eq!(carriers.get(item), Some(&1), "{item}");
        }
        assert_eq!(self.store.view().spending(0).unwrap().total, cost, "what was booked");
    }

    fn spooled(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("spool")).unwrap().count()
    }
}

fn item(kind: LedgerKind, bytes: impl Into<Bytes>, after: &[LedgerKey]) -> NewItem {
    NewItem {
        kind,
        bytes: bytes.into(),
        tags: vec![Tag::new("App-Name", "weft")],
        block: 7,
        after: after.to_vec(),
    }
}

fn state(bytes: &[u8]) -> NewItem {
    item(LedgerKind::State, bytes.to_vec(), &[])
}

fn key(item: &NewItem) -> LedgerKey {
    LedgerKey { kind: item.kind, sha256: weft_erasure::sha256(&item.bytes) }
}

async fn until(ledger: &Ledger, what: &str, mut reached: impl FnMut(&LedgerStatus) -> bool) -> LedgerStatus {
    let mut watch = ledger.watch();
    match timeout(DEADLINE, watch.wait_for(|status| reached(status))).await {
        Ok(status) => status.unwrap().clone(),
        Err(_) => panic!("not {what}: {:?}", ledger.status()),
    }
}

async fn verified(ledger: &Ledger, items: &[LedgerKey]) {
    until(ledger, "verified", |_| items.iter().all(|key| ledger.receipt(*key).unwrap().is_some())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_is_paid_once_and_proven() {
    let rig = Rig::new();
    let ledger = rig.start();
    let items = [state(b"one"), state(b"two"), item(LedgerKind::Headers, &b"one"[..], &[])];
    let keys = items.each_ref().map(key);
    let ids = items.each_ref().map(|item| ledger.put(item.clone()).unwrap());
    assert_eq!(ids[0], ledger.put(items[0].clone()).unwrap(), "the same bytes are the same item");
    assert_ne!(ids[0], ids[2], "of another kind they are another");
    verified(&ledger, &keys).await;
    let receipt = ledger.receipt(keys[0]).unwrap().unwrap();
    assert_eq!((receipt.key(), receipt.item(), receipt.gateway()), (keys[0], ids[0], "fake"));
    assert!(receipt.confirmations() >= 3 && receipt.height() > 1000);
    let status =
        until(&ledger, "empty", |status| status.spool_bytes == 0 && status.shipments_open == 0).await;
    assert_eq!((status.queued_items, status.queued_bytes, status.oldest_unverified), (0, 0, None));
    assert_eq!(rig.spooled(), 0);
    // Verified once, never paid again, across restarts.
    let transactions = rig.weave.transactions();
    ledger.shutdown().await;
    let ledger = rig.start();
    assert_eq!(ledger.put(items[1].clone()).unwrap(), ids[1]);
    assert_eq!(ledger.status().queued_items, 0);
    assert_eq!(rig.weave.transactions(), transactions);
    rig.paid_once(&ids);
    ledger.shutdown().await;
    assert!(matches!(ledger.retry_now().await, Err(LedgerError::ShutDown)));
}

/// A run that is cut off at one call, begun again, and ends as if nothing had been.
async fn crash_at(cut: Cut, payment: Payment) -> bool {
    let rig = Rig { payment, ..Rig::new() };
    rig.weave.cut(Some(cut));
    let items = [state(b"first"), state(b"second")];
    let keys = items.each_ref().map(key);
    let ledger = rig.start();
    let ids = items.each_ref().map(|item| ledger.put(item.clone()).unwrap());
    let reached = tokio::select! {
        () = rig.weave.cut_off() => true,
        () = verified(&ledger, &keys) => false,
    };
    // Dropped in the middle of the call; nothing is tidied up.
    ledger.shutdown().await;
    drop(ledger);
    rig.weave.cut(None);
    let ledger = rig.start();
    verified(&ledger, &keys).await;
    // The bytes go after the record says that they were read back.
    until(&ledger, "empty", |status| status.spool_bytes == 0).await;
    ledger.shutdown().await;
    if matches!(rig.payment, Payment::Bundler) {
        let charged = rig.weave.change(|state| state.charged.clone());
        assert_eq!(charged.len(), 2, "{cut:?}");
        assert!(ids.iter().all(|id| charged.contains(id)), "{cut:?}");
    } else {
        rig.paid_once(&ids);
    }
    assert_eq!(rig.spooled(), 0, "{cut:?}");
    reached
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_or_after_any_call_pays_nothing_twice() {
    for make in [|| Payment::Wallet(Arc::new(wallet())), || Payment::Bundler] {
        let mut call = 1;
        while crash_at(Cut::Before(call), make()).await | crash_at(Cut::After(call), make()).await {
            call += 1;
        }
        assert!(call > 8, "price, balance, anchor, height, post, where, again, read: {call}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_closed_in_between_goes_on() {
    let mut rig = Rig::new();
    rig.weave.change(|state| state.held = true);
    let ledger = rig.start();
    let one = state(b"one");
    let id = ledger.put(one.clone()).unwrap();
    rig.weave.until(|| rig.weave.transactions() == 1).await;
    ledger.shutdown().await;
    drop(ledger);
    let path = rig.store.path().to_owned();
    let other = TempDir::new().unwrap();
    rig.store = common::open(other.path());
    // The lock goes with the last handle, which a blocking task may hold a moment longer.
    rig.store = loop {
        match Store::open(&path, weft_storage::StoreOptions { disk_reserve_bytes: 0, ..Default::default() }) {
            Ok(store) => break store,
            Err(weft_storage::StorageError::Locked { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    rig.weave.change(|state| state.held = false);
    let ledger = rig.start();
    verified(&ledger, &[key(&one)]).await;
    assert_eq!(rig.weave.transactions(), 1);
    rig.paid_once(&[id]);
    ledger.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_vanishes_is_posted_again_with_the_same_bytes() {
    let rig = Rig::new();
    rig.weave.change(|state| (state.held, state.blocks_per_question) = (true, 0));
    let ledger = rig.start();
    let one = state(b"one");
    let id = ledger.put(one.clone()).unwrap();
    for _ in 0..3 {
        rig.weave.until(|| rig.weave.drop_pending() == 1).await;
    }
    rig.weave.change(|state| (state.held, state.blocks_per_question) = (false, 1));
    verified(&ledger, &[key(&one)]).await;
    assert_eq!(rig.weave.transactions(), 1, "the same transaction each time");
    rig.paid_once(&[id]);
    ledger.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_is_signed_only_when_the_first_can_never_be_mined() {
    let rig = Rig::new();
    rig.weave.change(|state| (state.forgetful, state.blocks_per_question) = (true, 0));
    let ledger = rig.start();
    let one = state(b"one");
    let id = ledger.put(one.clone()).unwrap();
    let shipment = || rig.store.view().open_shipments().unwrap().pop().map(|(_, shipment)| shipment);
    rig.weave
        .until(|| shipment().is_some_and(|shipment| matches!(shipment.state, ShipmentState::Posted { .. })))
        .await;
    let first = shipment().unwrap();
    // Its anchor is too old, but as deep as three blocks the chain may still change.
    rig.weave.change(|state| state.height += common::weave::ANCHOR_BLOCKS + 3);
    let questions = rig.weave.change(|state| state.calls) + 10;
    rig.weave.until(|| rig.weave.change(|state| state.calls) >= questions).await;
    assert_eq!(shipment().unwrap().carrier, first.carrier);
    rig.weave.change(|state| (state.forgetful, state.blocks_per_question) = (false, 1));
    verified(&ledger, &[key(&one)]).await;
    let record = rig.store.view().shipment(0).unwrap().unwrap();
    assert_eq!(record.signings, 2);
    assert_ne!(record.carrier.transaction(), first.carrier.transaction());
    rig.paid_once(&[id]);
    ledger.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_is_lost_is_waited_for_again() {
    let rig = Rig { config: LedgerConfig { confirmations: 20, ..Rig::new().config }, ..Rig::new() };
    let ledger = rig.start();
    let one = state(b"one");
    let id = ledger.put(one.clone()).unwrap();
    let confirmed = |ledger: &Ledger| {
        let upload = ledger.item(key(&one)).unwrap().unwrap().upload;
        matches!(upload, Upload::Confirmed(_))
    };
    for forget in [false, true] {
        rig.weave.until(|| confirmed(&ledger)).await;
        rig.weave.reorg(19, forget);
    }
    verified(&ledger, &[key(&one)]).await;
    assert_eq!(rig.weave.transactions(), 1);
    rig.paid_once(&[id]);
    ledger.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_verified_that_was_not_read_back() {
    type Lie = fn(&mut common::weave::State, bool);
    let lies: [(&str, Lie); 3] = [
        ("altered", |state, on| state.lying = on),
        ("cut short", |state, on| state.truncating = on),
        ("not there", |state, on| state.unseeded = on),
    ];
    for (what, lie) in lies {
        let rig = Rig::new();
        rig.weave.change(|state| lie(state, true));
        let ledger = rig.start();
        let one = state(b"one");
        let id = ledger.put(one.clone()).unwrap();
        let status = until(&ledger, "refused", |status| status.error.is_some()).await;
        assert!(ledger.receipt(key(&one)).unwrap().is_none(), "{what}");
        assert_eq!(rig.spooled(), 1, "{what}: {status:?}");
        rig.weave.change(|state| lie(state, false));
        verified(&ledger, &[key(&one)]).await;
        rig.paid_once(&[id]);
        ledger.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_pass() {
    for trouble in [Trouble::ServerError, Trouble::Timeout, Trouble::NotFound] {
        let rig = Rig::new();
        rig.weave.trouble([trouble; 12]);
        let ledger = rig.start();
        let one = state(b"one");
        let id = ledger.put(one.clone()).unwrap();
        verified(&ledger, &[key(&one)]).await;
        assert_eq!(rig.weave.transactions(), 1);
        rig.paid_once(&[id]);
        ledger.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn budgets_stop_and_go_on() {
    let budget = Budget { total: Some(Winston(1000)), ..Budget::default() };
    let rig = Rig { config: LedgerConfig { budget, ..Rig::new().config }, ..Rig::new() };
    let ledger = rig.start();
    let (one, two) = (state(b"one"), state(b"two"));
    let first = ledger.put(one.clone()).unwrap();
    verified(&ledger, &[key(&one)]).await;
    let second = ledger.put(two.clone()).unwrap();
    let stopped = until(&ledger, "stopped", |status| status.stop.is_some()).await;
    let (spent, wanted, cap) = (Winston(1000), Winston(1000), Winston(1000));
    assert_eq!(stopped.stop, Some(Stop::Total { spent, wanted, cap }));
    assert_eq!((stopped.spent, stopped.queued_items), (Winston(1000), 1));
    ledger
        .set_budget(Budget { total: Some(Winston(2000)), per_hour: Some(Winston(1500)), per_mib: None })
        .await
        .unwrap();
    let stopped = until(&ledger, "stopped", |status| matches!(status.stop, Some(Stop::Hour { .. }))).await;
    assert_eq!(stopped.spent_this_hour, Winston(1000));
    // The next hour; a restart does not forget.
    ledger.shutdown().await;
    rig.clock.fetch_add(3600, Ordering::Relaxed);
    let ledger = rig.start();
    until(&ledger, "stopped", |status| matches!(status.stop, Some(Stop::Total { .. }))).await;
    ledger
        .set_budget(Budget { total: Some(Winston(2000)), per_hour: Some(Winston(1500)), per_mib: None })
        .await
        .unwrap();
    verified(&ledger, &[key(&two)]).await;
    assert_eq!(ledger.status().stop, None);
    rig.paid_once(&[first, second]);
    ledger.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_spike_and_an_empty_wallet_are_waited_out() {
    let budget = Budget { per_mib: Some(Winston(4000)), ..Budget::default() };
    let rig = Rig { config: LedgerConfig { budget, ..Rig::new().config }, ..Rig::new() };
    rig.weave.change(|state| (state.price_per_chunk, state.balance) = (1001, 999));
    let ledger = rig.start();
    let one = state(b"one");
    let id = ledger.put(one.clone()).unwrap();
    let stopped = until(&ledger, "stopped", |status| status.stop.is_some()).await;
    assert_eq!(stopped.stop, Some(Stop::Price { quoted: Winston(4004), cap: Winston(4000) }));
    rig.weave.change(|state| state.price_per_chunk = 1000);
    let balance = Stop::Balance { balance: Winston(999), wanted: Winston(1000) };
    until(&ledger, "stopped", |status| status.stop == Some(balance)).await;
    assert_eq!(rig.weave.transactions(), 0);
    rig.weave.change(|state| state.balance = 1000);
    verified(&ledger, &[key(&one)]).await;
    rig.paid_once(&[id]);
    ledger.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_goes_after_what_it_names() {
    let config = LedgerConfig { bundle_bytes_max: 1000, ..Rig::new().config };
    let rig = Rig { config, ..Rig::new() };
    rig.weave.change(|state| state.held = true);
    let ledger = rig.start();
    let items = [state(&[1; 600]), state(&[2; 600])];
    let keys = items.each_ref().map(key);
    let ids = items.each_ref().map(|item| ledger.put(item.clone()).unwrap());
    let manifest = item(LedgerKind::Manifest, &b"manifest"[..], &keys);
    let manifest_id = ledger.put(manifest.clone()).unwrap();
    let later = state(b"later");
    ledger.put(later.clone()).unwrap();
    // Both items and what came later are on their way, the manifest is not.
    until(&ledger, "posted", |status| status.shipments_open == 3 && status.queued_items == 1).await;
    assert_eq!(ledger.item(key(&manifest)).unwrap().unwrap().upload, Upload::Queued);
    assert_ne!(ledger.item(key(&later)).unwrap().unwrap().upload, Upload::Queued);
    rig.weave.change(|state| state.held = false);
    verified(&ledger, &[keys[0], keys[1], key(&manifest)]).await;
    let height = |id| rig.weave.height_of(id).unwrap();
    assert!(ids.iter().all(|id| height(*id) < height(manifest_id)));
    assert!(rig.weave.largest() <= 1000);
    ledger.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spool_refuses_until_something_is_verified() {
    let config = LedgerConfig { spool_bytes_max: 10, ..Rig::new().config };
    let rig = Rig { config, ..Rig::new() };
    rig.weave.change(|state| state.held = true);
    let ledger = rig.start();
    let (one, two) = (state(b"12345678"), state(b"12345679"));
    ledger.put(one.clone()).unwrap();
    let refused = ledger.put(two.clone()).unwrap_err();
    assert!(
        matches!(refused, LedgerError::Spool(SpoolError::Full { held: 8, max: 10, bytes: 8 })),
        "{refused}"
    );
    assert!(refused.is_transient());
    rig.weave.change(|state| state.held = false);
    until(&ledger, "there is room", |_| ledger.put(two.clone()).is_ok()).await;
    verified(&ledger, &[key(&one), key(&two)]).await;
    ledger.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_lost_from_the_spool_can_be_given_again() {
    let rig = Rig::new();
    rig.weave.trouble([Trouble::ServerError]);
    let one = state(b"one");
    let ledger = rig.start();
    let id = ledger.put(one.clone()).unwrap();
    ledger.shutdown().await;
    let spool = rig.folder.path().join("spool");
    for file in std::fs::read_dir(&spool).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    let ledger = rig.start();
    until(&ledger, "failed", |status| status.error.as_ref().is_some_and(|text| text.contains("are lost")))
        .await;
    assert_eq!(ledger.put(one.clone()).unwrap(), id);
    verified(&ledger, &[key(&one)]).await;
    rig.paid_once(&[id]);
    ledger.shutdown().await;
}

/// Rounds of kills at random; `WEFT_LEDGER_KILLS` and `WEFT_LEDGER_SEED` for others.
#[tokio::test(flavor = "multi_thread")]
async fn kills_and_faults_at_random_pay_nothing_twice_and_lose_nothing() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let rounds = number("WEFT_LEDGER_KILLS").unwrap_or(100);
    let seed = number("WEFT_LEDGER_SEED").unwrap_or_else(|| rand::rng().next_u64());
    println!("WEFT_LEDGER_SEED={seed} WEFT_LEDGER_KILLS={rounds}");
    let mut random = StdRng::seed_from_u64(seed);
    let config = LedgerConfig { bundle_bytes_max: 3000, ..Rig::new().config };
    let rig = Rig { config, ..Rig::new() };
    let (mut ids, mut keys) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let ledger = rig.start();
        let at = random.random_range(1..25);
        rig.weave.cut(Some(if random.random() { Cut::Before(at) } else { Cut::After(at) }));
        for _ in 0..random.random_range(0..4) {
            let mut bytes = vec![0; random.random_range(1..2000)];
            random.fill_bytes(&mut bytes);
            let new = state(&bytes);
            keys.push(key(&new));
            ids.push(ledger.put(new).unwrap());
        }
        match random.random_range(0..7) {
            0 => drop(rig.weave.drop_pending()),
            1 => rig.weave.reorg(random.random_range(1..3), random.random()),
            2 => rig.weave.trouble((0..random.random_range(1..6)).map(|_| Trouble::ServerError)),
            3 => rig.weave.change(|state| state.lying = true),
            4 => rig.weave.change(|state| state.held = !state.held),
            5 => rig.weave.change(|state| state.height += random.random_range(0..40)),
            _ => rig.weave.change(|state| state.forgetful = !state.forgetful),
        }
        tokio::select! {
            () = rig.weave.cut_off() => {}
            () = verified(&ledger, &keys) => {}
        }
        ledger.shutdown().await;
        rig.weave.change(|state| (state.lying, state.truncating) = (false, false));
        assert_eq!(ids.len(), keys.len(), "round {round}");
    }
    rig.weave.cut(None);
    rig.weave.change(|state| (state.held, state.forgetful) = (false, false));
    let ledger = rig.start();
    verified(&ledger, &keys).await;
    until(&ledger, "empty", |status| status.spool_bytes == 0 && status.shipments_open == 0).await;
    ledger.shutdown().await;
    rig.paid_once(&ids);
    assert_eq!(rig.spooled(), 0);
}
