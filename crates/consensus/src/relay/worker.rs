//! The relay's task: one loop that dispatches, one method per message.

use super::{
    RelayArgs, RelayConfig,
    encoding::network_encoding,
    is_final,
    messages::{Messages, Settled},
    offence_of,
    wanted::{Request, Wanted, WantedLimits},
};
use crate::{
    arrivals::Arrivals,
    metrics::RelayMetrics,
    network::{Incoming, PeerTable, Peers, Ruling},
    sync::SyncProgress,
};
use alloy_consensus::Typed2718;
use alloy_primitives::{Bytes, TxHash, keccak256};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use lru::LruCache;
use std::{num::NonZeroUsize, sync::Arc, time::Duration};
use tokio::{
    sync::{broadcast, mpsc, watch},
    task::spawn_blocking,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::debug;
use weft_engine::CanonicalEvent;
use weft_p2p::{Offence, PeerId, PublishError, RequestError, TxAnnouncement, gossip::ANNOUNCEMENTS_MAX};
use weft_pool::{Origin, Pool, PoolError, Room};
use weft_primitives::PreparedTransaction;

/// Hashes that are remembered: 65,536 of what came from peers, and as many that can never be taken; about 6 MB each.
const REMEMBERED_MAX: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");
/// Transactions that are announced again at a time.
const RESEND_MAX: usize = 2048;
/// Announcements that wait to be sent; beyond it they are left to the next round of all.
const OUTGOING_MAX: usize = 4096;
/// Below so many bytes a transaction is copied out of the frame it came in.
const COPIED_BYTES: usize = 256 << 10;
/// Between looks at whether what is known of can be fetched now.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Work that has ended.
enum Done {
    Fetched(Request, Result<Fetched, RequestError>),
    Submitted { hash: TxHash, server: Option<PeerId>, result: Result<TxHash, PoolError> },
}

/// An answer, each transaction with the hash that it was asked for by.
struct Fetched {
    transactions: Vec<(TxHash, Bytes)>,
    /// Something else was among them.
    strange: bool,
}

pub(super) struct Worker<N> {
    config: RelayConfig,
    pool: Pool,
    network: Arc<N>,
    peers: watch::Receiver<PeerTable>,
    transactions: mpsc::Receiver<Incoming<Vec<TxAnnouncement>>>,
    pooled: broadcast::Receiver<Arc<PreparedTransaction>>,
    canonical: broadcast::Receiver<Arc<CanonicalEvent>>,
    arrivals: Arrivals,
    sync: Option<watch::Receiver<SyncProgress>>,
    stop: CancellationToken,
    metrics: RelayMetrics,
    wanted: Wanted,
    messages: Messages,
    /// What came from peers: it is passed on with the message that it came by.
    external: LruCache<TxHash, ()>,
    /// What can never be taken.
    refused: LruCache<TxHash, ()>,
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    outgoing: Vec<TxAnnouncement>,
    flush_at: Option<Instant>,
    resend_at: Instant,
    /// Counts rounds, so that no two have the same bytes.
    rounds: usize,
    known_peers: Vec<PeerId>,
}

impl<N: Peers> Worker<N> {
    pub(super) fn new(args: RelayArgs<N>, stop: CancellationToken) -> Self {
        let RelayArgs { config, pool, engine, network, peers, transactions, arrivals, sync } = args;
        let limits = WantedLimits {
            transactions_max: config.transactions_max,
            bytes_max: config.bytes_max,
            peer_requests_max: config.peer_requests_max,
        };
        Self {
            pooled: pool.subscribe(),
            canonical: engine.subscribe(),
            wanted: Wanted::new(limits),
            messages: Messages::default(),
            external: LruCache::new(REMEMBERED_MAX),
            refused: LruCache::new(REMEMBERED_MAX),
            work: FuturesUnordered::new(),
            outgoing: Vec::new(),
            flush_at: None,
            resend_at: Instant::now() + config.resend,
            rounds: 0,
            known_peers: Vec::new(),
            metrics: RelayMetrics::default(),
            config,
            pool,
            network,
            peers,
            transactions,
            arrivals,
            sync,
            stop,
        }
    }

    pub(super) async fn run(mut self) {
        self.on_peers();
        loop {
            self.start_fetching();
            let wake = self.wake_at();
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                Some(done) = self.work.next() => self.on_done(done).await,
                pooled = self.pooled.recv() => match pooled {
                    Ok(tx) => self.on_pooled(&tx),
                    // What was missed is announced with the next round.
                    Err(broadcast::error::RecvError::Lagged(_)) => self.resend_soon(),
                    Err(broadcast::error::RecvError::Closed) => break,
                },
                Some(event) = committed(&mut self.canonical) => self.on_committed(&event),
                Some(message) = self.transactions.recv() => self.on_message(message),
                Ok(()) = self.peers.changed() => self.on_peers(),
                () = sleep_until(wake) => {}
            }
            self.on_time().await;
        }
        debug!(target: "weft::relay", "relay stopped");
    }

    /// When something is due next.
    fn wake_at(&self) -> Instant {
        // Nobody says when the pool has room again, or a sync is over.
        let look_again = self.wanted.is_waiting().then(|| Instant::now() + LOOK_AGAIN);
        let due = [self.flush_at, self.messages.deadline(), look_again];
        due.into_iter().flatten().fold(self.resend_at, Instant::min)
    }

    async fn on_time(&mut self) {
        let now = Instant::now();
        let unheard = self.messages.expire(now);
        self.announce_all(&unheard);
        if self.outgoing.len() >= ANNOUNCEMENTS_MAX || self.flush_at.is_some_and(|at| at <= now) {
            self.flush().await;
        }
        if self.resend_at <= now {
            self.resend_at = now + self.config.resend;
            self.resend().await;
        }
    }

    fn on_peers(&mut self) {
        let peers: Vec<PeerId> = self.peers.borrow_and_update().keys().copied().collect();
        if peers.iter().any(|peer| !self.known_peers.contains(peer)) {
            self.resend_soon();
        }
        self.known_peers = peers;
    }

    fn resend_soon(&mut self) {
        self.resend_at = self.resend_at.min(Instant::now() + self.config.resend_soon);
    }

    /// What is in a block needs not be fetched.
    fn on_committed(&self, event: &CanonicalEvent) {
        let transactions = event.committed.iter().flat_map(|block| &block.block.transactions);
        self.arrivals.claim(transactions.map(|tx| tx.hash()));
    }

    /// A transaction of this node's own has become executable.
    fn on_pooled(&mut self, tx: &PreparedTransaction) {
        if !self.external.contains(&tx.hash()) {
            self.announce(tx);
        }
    }

    fn announce_all(&mut self, hashes: &[TxHash]) {
        for tx in hashes.iter().filter_map(|hash| self.pool.get(*hash)).collect::<Vec<_>>() {
            self.announce(&tx);
        }
    }

    fn announce(&mut self, tx: &PreparedTransaction) {
        if self.outgoing.len() >= OUTGOING_MAX {
            return self.resend_soon();
        }
        let Some(encoded) = network_encoding(&self.pool, tx) else { return };
        self.outgoing.push(TxAnnouncement::new(tx.hash(), tx.tx.ty(), &encoded));
        self.flush_at.get_or_insert_with(|| Instant::now() + self.config.coalesce);
    }

    async fn flush(&mut self) {
        self.flush_at = None;
        for batch in std::mem::take(&mut self.outgoing).chunks(ANNOUNCEMENTS_MAX) {
            self.publish(batch.to_vec()).await;
        }
    }

    async fn publish(&mut self, batch: Vec<TxAnnouncement>) {
        let count = batch.len() as u64;
        match self.network.announce_transactions(batch).await {
            Ok(()) => self.metrics.announced.increment(count),
            Err(PublishError::Duplicate) => {}
            // A new peer makes the next round; without one there is nobody to hear it.
            Err(PublishError::NobodyListens) if self.known_peers.is_empty() => {}
            Err(error) => {
                debug!(target: "weft::relay", count, %error, "not announced");
                self.resend_soon();
            }
        }
    }

    /// Announces what waits in the pool by hash alone: for new peers, and for those that had no room at first.
    async fn resend(&mut self) {
        if self.known_peers.is_empty() {
            return;
        }
        let pool = self.pool.clone();
        let look = move || {
            let (mut best, mut announcements) = (pool.best(0, None), Vec::new());
            while announcements.len() < RESEND_MAX
                && let Some(tx) = best.next_within(Room { gas: u64::MAX, bytes: usize::MAX })
            {
                let whole = TxAnnouncement::new(tx.hash(), tx.tx.ty(), &tx.encoded);
                announcements.push(TxAnnouncement { inline: None, ..whole });
            }
            announcements
        };
        let mut waiting = spawn_blocking(look).await.unwrap_or_default();
        if waiting.is_empty() {
            return;
        }
        self.rounds += 1;
        let turn = self.rounds % waiting.len();
        waiting.rotate_left(turn);
        for batch in waiting.chunks(ANNOUNCEMENTS_MAX) {
            self.publish(batch.to_vec()).await;
        }
    }

    fn is_syncing(&self) -> bool {
        self.sync.as_ref().is_some_and(|sync| sync.borrow().is_syncing())
    }

    fn on_message(&mut self, incoming: Incoming<Vec<TxAnnouncement>>) {
        let Incoming { peer, value: announced, verdict, .. } = incoming;
        if self.is_syncing() {
            return self.metrics.passed_over.increment(announced.len() as u64);
        }
        let (mut waits, mut all_known) = (Vec::new(), true);
        for TxAnnouncement { hash, bytes, inline, .. } in announced {
            if self.pool.get(hash).is_some() {
                continue;
            }
            all_known = false;
            if self.refused.contains(&hash) || self.arrivals.is_claimed(&hash) || waits.contains(&hash) {
                continue;
            }
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
            let taken = match inline {
                Some(encoded) if keccak256(&encoded) != hash => {
                    return verdict.give(Ruling::Reject(Offence::BadTransaction));
                }
                Some(_) if self.wanted.contains(&hash) => true,
                Some(encoded) if self.wanted.inline(hash, bytes) => {
                    self.submit(hash, Bytes::copy_from_slice(&encoded), None);
                    true
                }
                Some(_) => false,
                None => self.wanted.announce(hash, bytes, peer),
            };
            if taken {
                waits.push(hash);
            } else {
                self.metrics.passed_over.increment(1);
            }
        }
        if !waits.is_empty() {
            self.messages.insert(verdict, &waits, Instant::now() + self.config.verdict);
        } else if all_known {
            // Who hears it from us can have it from us.
            verdict.give(Ruling::Accept);
        }
    }

    fn start_fetching(&mut self) {
        self.metrics.under_way_bytes.set(self.wanted.bytes() as f64);
        while !self.is_syncing() && self.pool.bytes() + self.wanted.bytes() < self.config.pool_bytes_max {
            let request = {
                let peers = self.peers.borrow();
                self.wanted.next(|peer| !peers.contains_key(peer))
            };
            let Some(request) = request else { return };
            let Some(request) = self.without_claimed(request) else { continue };
            let sizes: Vec<usize> =
                request.hashes.iter().map(|hash| self.wanted.bytes_of(hash).unwrap_or(0)).collect();
            request.hashes.iter().for_each(|hash| self.arrivals.begin(*hash));
            let (network, deadline) = (Arc::clone(&self.network), self.config.deadline);
            let work = async move {
                let answer = network.transactions(request.peer, request.hashes.clone(), deadline).await;
                let fetched = match answer {
                    Ok(answer) => Ok(identify(answer, &request.hashes, sizes).await),
                    Err(error) => Err(error),
                };
                Done::Fetched(request, fetched)
            };
            self.work.push(work.boxed());
        }
    }

    /// What is left to ask for when a block has got the rest meanwhile.
    fn without_claimed(&mut self, mut request: Request) -> Option<Request> {
        let (claimed, wanted): (Vec<_>, Vec<_>) =
            request.hashes.drain(..).partition(|hash| self.arrivals.is_claimed(hash));
        claimed.into_iter().for_each(|hash| self.settle(hash, Settled::Passed));
        if wanted.is_empty() {
            self.wanted.answered(request.peer);
            return None;
        }
        Some(Request { hashes: wanted, ..request })
    }

    fn submit(&mut self, hash: TxHash, encoded: Bytes, server: Option<PeerId>) {
        self.external.put(hash, ());
        self.arrivals.arrived(hash, encoded.clone());
        let pool = self.pool.clone();
        let work = async move {
            let result = pool.submit_from(encoded, Origin::External).await;
            Done::Submitted { hash, server, result }
        };
        self.work.push(work.boxed());
    }

    async fn on_done(&mut self, done: Done) {
        match done {
            Done::Fetched(request, result) => self.on_fetched(request, result).await,
            Done::Submitted { hash, server, result } => self.on_submitted(hash, server, result).await,
        }
    }

    async fn on_fetched(&mut self, request: Request, result: Result<Fetched, RequestError>) {
        let Request { peer, mut hashes } = request;
        self.wanted.answered(peer);
        match result {
            Ok(Fetched { transactions, strange }) => {
                for (hash, encoded) in transactions {
                    hashes.retain(|wanted| *wanted != hash);
                    self.submit(hash, encoded, Some(peer));
                }
                if strange {
                    self.network.report(peer, Offence::BadTransaction).await;
                }
            }
            Err(error) => debug!(target: "weft::relay", %peer, %error, "transactions not had"),
        }
        for hash in hashes {
            self.arrivals.end(hash);
            if !self.wanted.lacked(hash) {
                self.settle(hash, Settled::Passed);
            }
        }
    }

    async fn on_submitted(
        &mut self,
        hash: TxHash,
        server: Option<PeerId>,
        result: Result<TxHash, PoolError>,
    ) {
        let settled = match result {
            Ok(taken) if taken == hash => {
                self.metrics.taken.increment(1);
                Settled::Taken
            }
            // A large one is not hashed before the pool does.
            Ok(_) => self.blame(server, Offence::BadTransaction).await,
            Err(error) => {
                self.metrics.refused.increment(1);
                debug!(target: "weft::relay", tx = %hash, %error, "not taken from a peer");
                if is_final(&error) {
                    self.refused.put(hash, ());
                }
                match offence_of(&error) {
                    Some(offence) => self.blame(server, offence).await,
                    None => Settled::Passed,
                }
            }
        };
        self.settle(hash, settled);
    }

    /// Whoever served a bad transaction pays at once; one that came inline is paid for by its message.
    async fn blame(&mut self, server: Option<PeerId>, offence: Offence) -> Settled {
        match server {
            Some(peer) => {
                self.network.report(peer, offence).await;
                Settled::Passed
            }
            None => Settled::Bad(offence),
        }
    }

    fn settle(&mut self, hash: TxHash, settled: Settled) {
        self.wanted.settle(hash);
        self.arrivals.end(hash);
        let unheard = self.messages.settle(hash, settled);
        self.announce_all(&unheard);
    }
}

/// The next change of the chain; nothing when some were missed, which costs a fetch at most, and never again when the engine
/// has stopped.
async fn committed(events: &mut broadcast::Receiver<Arc<CanonicalEvent>>) -> Option<Arc<CanonicalEvent>> {
    loop {
        match events.recv().await {
            Ok(event) => return Some(event),
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return None,
        }
    }
}

/// Which transaction of an answer is which. One that was asked for alone is known by its length, and hashed by the pool;
/// small ones are hashed here, off the async threads.
async fn identify(answer: Vec<Bytes>, hashes: &[TxHash], sizes: Vec<usize>) -> Fetched {
    if let ([hash], [encoded]) = (hashes, answer.as_slice()) {
        let right = sizes.first() == Some(&encoded.len());
        let transactions = if right { vec![(*hash, own(encoded))] } else { Vec::new() };
        return Fetched { transactions, strange: !right };
    }
    let hashes = hashes.to_vec();
    let work = move || {
        let count = answer.len();
        let hashed = answer.iter().map(|encoded| (keccak256(encoded), own(encoded)));
        let transactions: Vec<_> = hashed.filter(|(hash, _)| hashes.contains(hash)).collect();
        Fetched { strange: transactions.len() != count, transactions }
    };
    spawn_blocking(work).await.unwrap_or(Fetched { transactions: Vec::new(), strange: false })
}

/// The pool keeps what it is given: a small transaction must not keep a large frame.
fn own(encoded: &Bytes) -> Bytes {
    if encoded.len() < COPIED_BYTES { Bytes::copy_from_slice(encoded) } else { encoded.clone() }
}
