//! Its task: one loop that dispatches, one method per message.

use super::{HeaderFollowerArgs, HeaderFollowerConfig, HeaderFollowerError};
use crate::{
    ask::Asker,
    follower::{
        judge::{Judgement, judge},
        worker::running,
    },
    network::{Incoming, PeerTable, Peers, Ruling},
    sync::{Links, Progress, SyncError},
};
use futures::{FutureExt, future::BoxFuture};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};
use weft_chainspec::ChainSpec;
use weft_evm::rules;
use weft_p2p::{BlockAnnouncement, Head};
use weft_primitives::{BlockNumHash, ColumnIndex, Geometry, SealedHeader};
use weft_storage::{Custody, StorageError, Store};

/// How long the loop sleeps when nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

/// Where headers go. Shared by the loop and the sync.
#[derive(Debug)]
struct Sink<N> {
    spec: Arc<ChainSpec>,
    geometry: Geometry,
    store: Store,
    custody: Arc<[ColumnIndex]>,
    head: watch::Sender<BlockNumHash>,
    network: Arc<N>,
}

pub(super) struct Worker<N> {
    config: HeaderFollowerConfig,
    sink: Arc<Sink<N>>,
    asker: Asker<N>,
    progress: Progress,
    peers: watch::Receiver<PeerTable>,
    blocks: mpsc::Receiver<Incoming<BlockAnnouncement>>,
    stop: CancellationToken,
    /// Header of our head.
    tip: SealedHeader,
    /// The newest announced block above it that does not follow it.
    announced: Option<Head>,
    syncing: Option<BoxFuture<'static, Result<(), HeaderFollowerError>>>,
    /// Since when a signed head is above ours.
    gap_since: Option<Instant>,
    sync_not_before: Instant,
}

impl<N: Peers> Sink<N> {
    /// Makes headers durable, each checked against its parent, and tells others of the last.
    async fn append(
        self: &Arc<Self>,
        parent: SealedHeader,
        headers: Vec<SealedHeader>,
    ) -> Result<SealedHeader, HeaderFollowerError> {
        let sink = Arc::clone(self);
        let written = tokio::task::spawn_blocking(move || sink.write(parent, &headers)).await;
        let tip = written.map_err(|_| HeaderFollowerError::Panicked)??;
        let head = tip.num_hash();
        self.head.send_replace(head);
        self.network.set_head(Head { number: head.number, hash: head.hash }).await;
        Ok(tip)
    }

    fn write(
        &self,
        mut parent: SealedHeader,
        headers: &[SealedHeader],
    ) -> Result<SealedHeader, HeaderFollowerError> {
        for header in headers {
            rules::check_header(&self.spec, header, &parent).map_err(|rule| SyncError::Invalid {
                number: header.number,
                hash: header.hash(),
                reason: rule.to_string(),
            })?;
            parent = header.clone();
        }
        let custody = Custody { geometry: self.geometry, columns: &self.custody };
        self.store.append_headers(headers, custody)?;
        let head = Some(parent.num_hash());
        self.store.set_forkchoice(head, head)?;
        Ok(parent)
    }
}

impl<N: Peers> Worker<N> {
    pub(super) fn new(
        args: HeaderFollowerArgs<N>,
        asker: Asker<N>,
        progress: Progress,
        head: watch::Sender<BlockNumHash>,
        stop: CancellationToken,
    ) -> Result<Self, HeaderFollowerError> {
        let HeaderFollowerArgs { config, spec, store, network, peers, blocks } = args;
        let geometry = spec.weft().ok_or(HeaderFollowerError::PlainChain)?.geometry;
        let number = head.borrow().number;
        let tip = store.view().header(number)?.ok_or(StorageError::MissingBlock(number))?;
        let custody = config.custody.clone().into();
        let sink = Arc::new(Sink { spec, geometry, store, custody, head, network });
        Ok(Self {
            config,
            sink,
            asker,
            progress,
            peers,
            blocks,
            stop,
            tip,
            announced: None,
            syncing: None,
            gap_since: None,
            sync_not_before: Instant::now(),
        })
    }

    pub(super) async fn run(mut self) {
        info!(target: "weft::follower", head = self.tip.number, "following headers");
        let mut go_on = true;
        while go_on {
            let wake = self.consider_sync();
            go_on = tokio::select! {
                biased;
                () = self.stop.cancelled() => false,
                result = running(&mut self.syncing) => self.on_synced(result),
                Some(block) = self.blocks.recv() => self.on_announced(block).await,
                Ok(()) = self.peers.changed() => true,
                () = sleep_until(wake) => true,
            };
        }
        debug!(target: "weft::follower", "header follower stopped");
    }

    /// Rules on an announcement, and takes its header when it follows ours. Whether to go on.
    async fn on_announced(&mut self, incoming: Incoming<BlockAnnouncement>) -> bool {
        let Incoming { author, value: block, verdict, .. } = incoming;
        let judgement = judge(&self.sink.spec, &self.tip, &block, author, || None);
        verdict.give(match judgement {
            Judgement::Follow | Judgement::Known => Ruling::Accept,
            Judgement::Ignore(_) => Ruling::Ignore,
            Judgement::Reject(offence) => Ruling::Reject(offence),
        });
        if judgement != Judgement::Follow {
            return true;
        }
        if self.syncing.is_some() || block.header.parent_hash != self.tip.hash() {
            let head = block.head();
            self.announced = self.announced.filter(|known| known.number > head.number).or(Some(head));
            return true;
        }
        let result = self.sink.append(self.tip.clone(), vec![block.header]).await;
        let result = result.map(|tip| self.tip = tip);
        self.gap_since = None;
        self.settle(result)
    }

    fn on_synced(&mut self, result: Result<(), HeaderFollowerError>) -> bool {
        self.gap_since = None;
        let result = result.and(self.read_tip());
        self.settle(result)
    }

    /// A sync that failed half way has appended what it could.
    fn read_tip(&mut self) -> Result<(), HeaderFollowerError> {
        let number = self.sink.head.borrow().number;
        let view = self.sink.store.view();
        self.tip = view.header(number)?.ok_or(StorageError::MissingBlock(number))?;
        Ok(())
    }

    /// Whether to go on after a result. A failure is followed by a pause before the next sync.
    fn settle(&mut self, result: Result<(), HeaderFollowerError>) -> bool {
        let Err(error) = result else { return true };
        if error.is_fatal() {
            error!(target: "weft::follower", error = &error as &dyn std::error::Error, "header follower stops");
            return false;
        }
        warn!(target: "weft::follower", error = &error as &dyn std::error::Error, retry_ms = self.config.retry.as_millis(), "could not follow headers");
        self.announced = None;
        self.sync_not_before = Instant::now() + self.config.retry;
        true
    }

    /// The newest block that a sealer signed, announced or in a peer's status.
    fn target(&self) -> Option<Head> {
        let peers = self.peers.borrow();
        let signed =
            peers.values().filter_map(|status| status.signed_head.as_ref()).map(|signed| signed.head);
        signed.chain(self.announced).max_by_key(|head| head.number)
    }

    /// Begins a sync when a gap has lasted long enough. When to look again.
    fn consider_sync(&mut self) -> Instant {
        let now = Instant::now();
        if self.syncing.is_some() {
            return now + IDLE;
        }
        let Some(target) = self.target().filter(|target| target.number > self.tip.number) else {
            self.gap_since = None;
            return now + IDLE;
        };
        let since = *self.gap_since.get_or_insert(now);
        let due = (since + self.config.patience).max(self.sync_not_before);
        if now < due {
            return due;
        }
        let (sink, asker, tip) = (Arc::clone(&self.sink), self.asker.clone(), self.tip.clone());
        let (config, progress) = (self.config.sync.clone(), self.progress.clone());
        let work = async move {
            progress.begin(tip.number, target.number);
            info!(target: "weft::sync", from = tip.number, to = target.number, hash = %target.hash, "syncing headers");
            let links = Links { asker: &asker, config: &config, progress: &progress };
            let result = catch_up(&sink, &links, tip, target).await;
            progress.end();
            result
        };
        self.syncing = Some(work.boxed());
        now + IDLE
    }
}

/// Appends all headers up to a signed one.
async fn catch_up<N: Peers>(
    sink: &Arc<Sink<N>>,
    links: &Links<'_, N>,
    mut tip: SealedHeader,
    target: Head,
) -> Result<(), HeaderFollowerError> {
    let segments = links.segments(tip.num_hash(), target).await?;
    for segment in segments {
        let headers = links.headers_of(segment).await?;
        tip = sink.append(tip, headers).await?;
        links.progress.executed(tip.number);
    }
    info!(target: "weft::sync", head = tip.number, hash = %tip.hash(), "headers in step with the sealer");
    Ok(())
}
