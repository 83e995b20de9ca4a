//! The relay over a real pool, with peers of all kinds at its mailbox.

mod common;

use alloy_primitives::{Bytes, TxHash, keccak256};
use common::{Chain, Conduct, DEADLINE, World, transfer};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot, watch};
use weft_consensus::{
    Arrivals, Incoming, PeerTable, Relay, RelayArgs, RelayConfig, Ruling, SyncPhase, SyncProgress, Verdict,
};
use weft_p2p::{Head, Offence, PeerId, TxAnnouncement};

/// Between looks at a pool that is waited for.
const LOOK: Duration = Duration::from_millis(5);

struct Relaying {
    chain: Chain,
    relay: Relay,
    world: Arc<World>,
    peers: Vec<PeerId>,
    inbox: mpsc::Sender<Incoming<Vec<TxAnnouncement>>>,
    rulings: (mpsc::UnboundedSender<Ruling>, mpsc::UnboundedReceiver<Ruling>),
    sync: watch::Sender<SyncProgress>,
    _table: watch::Sender<PeerTable>,
    _folder: tempfile::TempDir,
}

impl Relaying {
    fn start(conducts: &[Conduct], config: RelayConfig) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let chain = Chain::open(folder.path());
        let (world, peers) = World::new(conducts);
        let (table, seen) = watch::channel(world.table(Head::default()));
        let (inbox, transactions) = mpsc::channel(64);
        let (sync, syncing) = watch::channel(SyncProgress::default());
        let relay = Relay::spawn(RelayArgs {
            config,
            pool: chain.pool.clone(),
            engine: chain.engine.clone(),
            network: world.clone(),
            peers: seen,
            transactions,
            arrivals: Arrivals::default(),
            sync: Some(syncing),
        });
        let rulings = mpsc::unbounded_channel();
        Self { chain, relay, world, peers, inbox, rulings, sync, _table: table, _folder: folder }
    }

    /// Offers a transaction by hash to whoever asks.
    fn offer(&self, encoded: &Bytes) -> TxAnnouncement {
        let hash = keccak256(encoded);
        self.world.pooled.lock().push((hash, encoded.clone()));
        TxAnnouncement { inline: None, ..TxAnnouncement::new(hash, 2, encoded) }
    }

    /// Announces, and returns when the verdict is given or dropped: when the message was dealt with.
    async fn announce_and_wait(&self, peer: usize, announcements: Vec<TxAnnouncement>) {
        let (open, ended) = oneshot::channel::<()>();
        let verdict = Verdict::new(move |_| drop(open));
        let incoming = Incoming { peer: self.peers[peer], author: None, value: announcements, verdict };
        self.inbox.send(incoming).await.expect("the relay runs");
        let ended = tokio::time::timeout(DEADLINE, ended).await.expect("in time");
        assert!(ended.is_err(), "nothing is ever sent");
    }

    async fn announce(&self, peer: usize, announcements: Vec<TxAnnouncement>) {
        let rulings = self.rulings.0.clone();
        let verdict = Verdict::new(move |ruling| rulings.send(ruling).expect("the test listens"));
        let incoming = Incoming { peer: self.peers[peer], author: None, value: announcements, verdict };
        self.inbox.send(incoming).await.expect("the relay runs");
    }

    async fn ruling(&mut self) -> Ruling {
        tokio::time::timeout(DEADLINE, self.rulings.1.recv()).await.expect("in time").expect("a ruling")
    }

    async fn until(&self, what: impl Fn(&Self) -> bool) {
        let looks = async {
            while !what(self) {
                tokio::time::sleep(LOOK).await;
            }
        };
        let in_time = tokio::time::timeout(DEADLINE, looks).await;
        let asked = self.world.transactions.load(Ordering::Relaxed);
        let (pool, reports) = (self.chain.pool.status(), self.world.reports.lock().clone());
        assert!(in_time.is_ok(), "asked {asked} times, {pool:?}, {:?}, {reports:?}", self.announced());
    }

    fn announced(&self) -> Vec<TxHash> {
        self.world.announced.lock().iter().map(|announcement| announcement.hash).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unknown_is_fetched_once_and_passed_on_when_the_pool_has_it() {
    let mut relaying = Relaying::start(&[Conduct::Honest, Conduct::Honest], RelayConfig::default());
    let (large, small) = (transfer(0, Bytes::from(vec![1; 100_000])), transfer(1, Bytes::new()));
    let both = vec![relaying.offer(&large), relaying.offer(&small)];
    relaying.announce(0, both.clone()).await;
    assert_eq!(relaying.ruling().await, Ruling::Accept);
    assert_eq!(relaying.chain.pool.counts().0, 2);
    let asked = relaying.world.transactions.load(Ordering::Relaxed);
    relaying.announce(1, both).await;
    assert_eq!(relaying.ruling().await, Ruling::Accept, "known, and to be had from us");
    assert_eq!(relaying.world.transactions.load(Ordering::Relaxed), asked, "nothing is fetched twice");
    // What came from peers is passed on with its message; what is this node's own is announced.
    let own = relaying.chain.pool.submit(transfer(2, Bytes::new())).await.expect("taken");
    relaying.until(|relaying| !relaying.announced().is_empty()).await;
    assert_eq!(relaying.announced(), [own]);
    relaying.relay.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn small_ones_ride_along_and_a_liar_about_them_is_rejected() {
    let mut relaying = Relaying::start(&[Conduct::Empty], RelayConfig::default());
    let small = transfer(0, Bytes::new());
    relaying.announce(0, vec![TxAnnouncement::new(keccak256(&small), 2, &small)]).await;
    assert_eq!(relaying.ruling().await, Ruling::Accept);
    assert!(relaying.chain.pool.get(keccak256(&small)).is_some());
    relaying.announce(0, vec![TxAnnouncement::new(TxHash::repeat_byte(1), 2, &small)]).await;
    assert_eq!(relaying.ruling().await, Ruling::Reject(Offence::BadTransaction), "not what it hashes to");
    let garbage = Bytes::from_static(b"\x02garbage");
    relaying.announce(0, vec![TxAnnouncement::new(keccak256(&garbage), 2, &garbage)]).await;
    assert_eq!(relaying.ruling().await, Ruling::Reject(Offence::BadTransaction), "not a transaction");
    let used = transfer(0, Bytes::from_static(b"again"));
    relaying.chain.seal(0, true).await;
    relaying.announce(0, vec![TxAnnouncement::new(keccak256(&used), 2, &used)]).await;
    assert_eq!(relaying.ruling().await, Ruling::Ignore, "its nonce was used meanwhile: nobody is blamed");
    relaying.relay.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_serves_something_else_pays_and_the_next_source_is_asked() {
    let config = RelayConfig { verdict: Duration::from_secs(60), ..RelayConfig::default() };
    let mut relaying = Relaying::start(&[Conduct::Garbles, Conduct::Honest], config);
    let large = transfer(0, Bytes::from(vec![1; 100_000]));
    let announcement = relaying.offer(&large);
    relaying.announce(0, vec![announcement.clone()]).await;
    relaying.announce(1, vec![announcement]).await;
    // The liar's message may go before the second source is known, and is ignored then.
    let ruling = relaying.ruling().await;
    assert!(matches!(ruling, Ruling::Accept | Ruling::Ignore), "{ruling:?}");
    relaying.until(|relaying| relaying.chain.pool.get(keccak256(&large)).is_some()).await;
    assert_eq!(relaying.world.offences_of(relaying.peers[0]), [Offence::BadTransaction]);
    assert_eq!(relaying.world.offences_of(relaying.peers[1]), []);
    relaying.relay.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_peer_is_given_up_and_what_came_late_is_announced_anew() {
    let config = RelayConfig {
        deadline: Duration::from_millis(100),
        verdict: Duration::from_millis(20),
        ..RelayConfig::default()
    };
    let relaying = Relaying::start(&[Conduct::Silent, Conduct::Honest], config);
    let large = transfer(0, Bytes::from(vec![1; 100_000]));
    let announcement = relaying.offer(&large);
    relaying.announce(0, vec![announcement.clone()]).await;
    relaying.announce(1, vec![announcement]).await;
    // Both messages are too old to be passed on by then.
    relaying.until(|relaying| relaying.announced() == [keccak256(&large)]).await;
    assert!(relaying.chain.pool.get(keccak256(&large)).is_some());
    relaying.relay.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_fetched_into_a_full_pool_or_during_a_sync() {
    let config = RelayConfig { pool_bytes_max: 60_000, ..RelayConfig::default() };
    let relaying = Relaying::start(&[Conduct::Honest], config);
    let large = transfer(0, Bytes::from(vec![1; 100_000]));
    let known = relaying.offer(&large);
    let pooled = relaying.chain.pool.submit(large).await.expect("taken");
    let next = transfer(1, Bytes::from(vec![2; 100_000]));
    let announcement = relaying.offer(&next);
    relaying.announce(0, vec![announcement]).await;
    // The inbox is read in order: when the second message is dealt with, so is the first, before the sync begins.
    relaying.announce_and_wait(0, vec![known]).await;
    let other = transfer(1, Bytes::from(vec![3; 10]));
    relaying.sync.send_modify(|progress| progress.phase = SyncPhase::Blocks);
    relaying.announce_and_wait(0, vec![TxAnnouncement::new(keccak256(&other), 2, &other)]).await;
    assert_eq!(relaying.world.transactions.load(Ordering::Relaxed), 0, "the pool is full");
    assert!(relaying.chain.pool.get(keccak256(&other)).is_none(), "the pool could not judge it");
    // A block makes room, and the sync is over: what is known of is fetched.
    relaying.sync.send_modify(|progress| progress.phase = SyncPhase::Idle);
    relaying.chain.seal(0, true).await;
    assert!(relaying.chain.pool.get(pooled).is_none());
    relaying.until(|relaying| relaying.chain.pool.get(keccak256(&next)).is_some()).await;
    relaying.relay.shutdown().await;
}
