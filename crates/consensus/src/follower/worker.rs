//! The follower's task: one loop that dispatches, one method per message.

use super::{
    FollowerArgs, FollowerConfig, FollowerError,
    assemble::{AssembleError, Assembler},
    judge::{Judgement, judge},
    queue::{Queue, State},
};
use crate::{
    ask::Asker,
    metrics::FollowerMetrics,
    network::{Incoming, Peers, Ruling},
    sync::{Progress, Sync, SyncError},
};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use std::{
    sync::Arc,
    time::{Duration, Instant as Clock},
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};
use weft_chainspec::ChainSpec;
use weft_engine::{EngineError, EngineHandle, ForkchoiceState, PayloadStatus};
use weft_p2p::{BlockAnnouncement, Head};
use weft_primitives::{BlockNumHash, PreparedBlock, SealedHeader};
use weft_storage::{StorageError, Store};

/// Largest block of a chain without `config.weft`, in bytes.
const PLAIN_BLOCK_BYTES_MAX: usize = 32 << 20;
/// How long the loop sleeps when nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

type Assembled = (Head, Result<PreparedBlock, AssembleError>);

pub(super) struct Worker<N> {
    config: FollowerConfig,
    spec: Arc<ChainSpec>,
    engine: EngineHandle,
    store: Store,
    head: watch::Receiver<SealedHeader>,
    blocks: mpsc::Receiver<Incoming<BlockAnnouncement>>,
    peers: watch::Receiver<crate::network::PeerTable>,
    assembler: Arc<Assembler<N>>,
    sync: Arc<Sync<N>>,
    stop: CancellationToken,
    metrics: FollowerMetrics,
    queue: Queue,
    assembling: FuturesUnordered<BoxFuture<'static, Assembled>>,
    importing: Option<BoxFuture<'static, Result<(), FollowerError>>>,
    syncing: Option<BoxFuture<'static, Result<(), SyncError>>>,
    /// Since when a signed head is above ours and nothing leads to it.
    gap_since: Option<Instant>,
    sync_not_before: Instant,
}

impl<N: Peers> Worker<N> {
    pub(super) fn new(
        args: FollowerArgs<N>,
        asker: Asker<N>,
        progress: Progress,
        stop: CancellationToken,
    ) -> Self {
        let FollowerArgs { config, spec, store, engine, pool, peers, blocks, arrivals, network: _ } = args;
        let block_bytes_max = spec.weft().map_or(PLAIN_BLOCK_BYTES_MAX, |weft| weft.max_block_bytes);
        let assembler = Assembler {
            pool: pool.clone(),
            asker: asker.clone(),
            arrivals,
            arrival_wait: config.arrival_wait,
            block_bytes_max,
        };
        let sync = Sync {
            spec: Arc::clone(&spec),
            engine: engine.clone(),
            pool,
            asker,
            config: config.sync.clone(),
            progress,
        };
        Self {
            head: engine.watch_head(),
            queue: Queue::new(config.queue_max),
            assembler: Arc::new(assembler),
            sync: Arc::new(sync),
            assembling: FuturesUnordered::new(),
            importing: None,
            syncing: None,
            gap_since: None,
            sync_not_before: Instant::now(),
            metrics: FollowerMetrics::default(),
            config,
            spec,
            engine,
            store,
            blocks,
            peers,
            stop,
        }
    }

    pub(super) async fn run(mut self) {
        info!(target: "weft::follower", head = self.head.borrow().number, "following");
        let mut go_on = true;
        while go_on {
            self.start_assembling();
            self.start_import();
            let wake = self.consider_sync();
            go_on = tokio::select! {
                biased;
                () = self.stop.cancelled() => false,
                () = self.engine.stopped() => false,
                result = running(&mut self.importing) => self.on_imported(result),
                result = running(&mut self.syncing) => self.on_synced(result),
                Some((head, result)) = self.assembling.next() => {
                    self.on_assembled(head, result);
                    true
                }
                Some(block) = self.blocks.recv() => {
                    self.on_announced(block);
                    true
                }
                Ok(()) = self.peers.changed() => true,
                () = sleep_until(wake) => true,
            };
        }
        // A block that was begun is finished; the engine does so in any case.
        if let Some(importing) = self.importing.take() {
            let _ = importing.await;
        }
        debug!(target: "weft::follower", "follower stopped");
    }

    fn on_announced(&mut self, incoming: Incoming<BlockAnnouncement>) {
        let Incoming { peer, author, value: block, verdict } = incoming;
        let header = &block.header;
        let judgement = {
            let head = self.head.borrow();
            let parent = || self.queue.header(header.number.checked_sub(1)?, header.parent_hash);
            judge(&self.spec, &head, &block, author, parent)
        };
        let ruling = match judgement {
            Judgement::Follow | Judgement::Known => Ruling::Accept,
            Judgement::Ignore(reason) => {
                debug!(target: "weft::follower", number = header.number, hash = %header.hash(), reason, "announcement ignored");
                Ruling::Ignore
            }
            Judgement::Reject(offence) => Ruling::Reject(offence),
        };
        verdict.give(ruling);
        if judgement == Judgement::Follow {
            self.metrics.announced.increment(1);
            self.queue.insert(block, peer);
        }
    }

    /// Begins with the bodies of the next announced blocks.
    fn start_assembling(&mut self) {
        if self.syncing.is_some() {
            return;
        }
        let waiting = self.queue.waiting_above(&self.head.borrow(), self.config.assemble_ahead);
        for head in waiting {
            let Some(queued) = self.queue.get_mut(head) else { continue };
            queued.state = State::Assembling;
            let (announcement, peer) = (Arc::clone(&queued.announcement), queued.peer);
            let assembler = Arc::clone(&self.assembler);
            let work = async move { (head, assembler.assemble(&announcement, peer).await) };
            self.assembling.push(work.boxed());
        }
    }

    fn on_assembled(&mut self, head: Head, result: Result<PreparedBlock, AssembleError>) {
        match result {
            Ok(block) => {
                if let Some(queued) = self.queue.get_mut(head) {
                    queued.state = State::Ready(Box::new(block));
                }
            }
            Err(error) => {
                // What is not in the queue is a gap, which a sync fills.
                debug!(target: "weft::follower", number = head.number, hash = %head.hash, %error, "not assembled");
                self.metrics.not_assembled.increment(1);
                self.queue.remove(head);
            }
        }
    }

    fn start_import(&mut self) {
        if self.importing.is_some() || self.syncing.is_some() {
            return;
        }
        let parent = self.head.borrow().clone();
        if let Some((announcement, block)) = self.queue.take_ready(&parent) {
            let engine = self.engine.clone();
            let metrics = self.metrics.clone();
            self.importing = Some(import(engine, metrics, announcement, block).boxed());
        }
    }

    fn on_imported(&mut self, result: Result<(), FollowerError>) -> bool {
        self.queue.prune(self.head.borrow().number);
        self.gap_since = None;
        self.settle(result)
    }

    fn on_synced(&mut self, result: Result<(), SyncError>) -> bool {
        self.queue.prune(self.head.borrow().number);
        self.gap_since = None;
        self.settle(result.map_err(FollowerError::from))
    }

    /// Whether to go on after a result. A failure is followed by a pause before the next sync.
    fn settle(&mut self, result: Result<(), FollowerError>) -> bool {
        let Err(error) = result else { return true };
        if error.is_fatal() {
            error!(target: "weft::follower", error = &error as &dyn std::error::Error, "follower stops");
            return false;
        }
        self.metrics.failures.increment(1);
        warn!(target: "weft::follower", error = &error as &dyn std::error::Error, retry_ms = self.config.retry.as_millis(), "could not follow");
        self.sync_not_before = Instant::now() + self.config.retry;
        true
    }

    /// What a sync has to reach: the block below those that were announced, or the newest one that a sealer signed.
    fn target(&self, head: u64) -> Option<Head> {
        if let Some(below) = self.queue.below_lowest().filter(|below| below.number > head) {
            return Some(below);
        }
        let peers = self.peers.borrow();
        let signed =
            peers.values().filter_map(|status| status.signed_head.as_ref()).map(|signed| signed.head);
        signed.max_by_key(|head| head.number)
    }

    /// Begins a sync when a gap has lasted long enough. When to look again.
    fn consider_sync(&mut self) -> Instant {
        let now = Instant::now();
        if self.syncing.is_some() || self.importing.is_some() {
            return now + IDLE;
        }
        let head = self.head.borrow().clone();
        let target = self.target(head.number).filter(|target| target.number > head.number);
        let Some(target) = target.filter(|_| self.queue.child_of(&head).is_none()) else {
            self.gap_since = None;
            return now + IDLE;
        };
        let since = *self.gap_since.get_or_insert(now);
        let due = (since + self.config.patience).max(self.sync_not_before);
        if now < due {
            return due;
        }
        self.metrics.syncs.increment(1);
        let (sync, fallback) = (Arc::clone(&self.sync), self.fallback());
        let work = async move {
            let fallback = fallback.map_err(EngineError::from)?;
            sync.run(target, fallback).await
        };
        self.syncing = Some(work.boxed());
        now + IDLE
    }

    /// What a chain has to descend from at least: what is final here, or where the database begins.
    fn fallback(&self) -> Result<BlockNumHash, StorageError> {
        let view = self.store.view();
        let known = match view.finalized()? {
            Some(finalized) => Some(finalized),
            None => view.base()?,
        };
        Ok(known.unwrap_or_else(|| self.spec.genesis_header().num_hash()))
    }
}

/// The result of a piece of work, which is gone then; never without one.
pub(crate) async fn running<T>(work: &mut Option<BoxFuture<'static, T>>) -> T {
    let result = match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    };
    *work = None;
    result
}

/// Executes a block and makes it the durable head.
async fn import(
    engine: EngineHandle,
    metrics: FollowerMetrics,
    announcement: Arc<BlockAnnouncement>,
    block: PreparedBlock,
) -> Result<(), FollowerError> {
    let begun = Clock::now();
    let Head { number, hash } = announcement.head();
    let transactions = block.transactions.len();
    let refused = |status: PayloadStatus| {
        let reason = match status {
            PayloadStatus::Invalid { reason, .. } => reason,
            status => format!("{status:?}"),
        };
        FollowerError::Refused { number, hash, reason }
    };
    match engine.new_payload(block).await? {
        PayloadStatus::Valid { .. } => {}
        status => return Err(refused(status)),
    }
    // A sealed block is final at once: nobody else could propose another one.
    let state = ForkchoiceState { head: hash, safe: Some(hash), finalized: Some(hash) };
    match engine.forkchoice_updated(state).await? {
        PayloadStatus::Valid { .. } => {}
        status => return Err(refused(status)),
    }
    metrics.blocks.increment(1);
    metrics.follow_seconds.record(begun.elapsed().as_secs_f64());
    let elapsed_ms = begun.elapsed().as_millis();
    info!(target: "weft::follower", number, %hash, transactions, elapsed_ms, "followed");
    Ok(())
}
