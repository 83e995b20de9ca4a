//! The follower of nodes that do not execute: keeps the headers of a sealer's chain, and nothing else.
//!
//! Started by `da` and light nodes over a database without bodies. A header is believed when one of the sealers has signed
//! it, or when it is an ancestor of one that was; its rules against its parent are checked besides. What a sealer signed is
//! final at once, as for full nodes, so headers are only ever appended: a chain that leaves ours is refused and said.
//!
//! Gossip of blocks is ruled on as a full node does, so that these nodes pass announcements on. Memory: the segments of one
//! sync ([`SyncConfig`]), and the announcements that wait (32 of at most 1.1 MiB).

mod worker;

use crate::{
    ask::{AskLimits, Asker},
    network::{Incoming, PeerTable, Peers},
    sync::{Progress, SyncConfig, SyncError, SyncProgress},
    task::Task,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use weft_chainspec::ChainSpec;
use weft_p2p::BlockAnnouncement;
use weft_primitives::{BlockNumHash, ColumnIndex};
use weft_storage::{StorageError, Store};

/// Bounds of it.
#[derive(Clone, Debug)]
pub struct HeaderFollowerConfig {
    /// Columns that are due of every new block; none on a light node.
    pub custody: Vec<ColumnIndex>,
    /// How long a signed head may be above ours before a sync begins.
    pub patience: Duration,
    /// Pause after a sync that failed.
    pub retry: Duration,
    /// How peers are asked.
    pub ask: AskLimits,
    /// Bounds of a sync; what it says of bodies is not used.
    pub sync: SyncConfig,
}

impl HeaderFollowerConfig {
    /// With these columns to keep; about 10 MB of headers while it syncs.
    pub fn new(custody: Vec<ColumnIndex>) -> Self {
        let sync = SyncConfig { headers_ahead: 4, segments_kept: 8, ..SyncConfig::default() };
        Self {
            custody,
            patience: Duration::from_millis(750),
            retry: Duration::from_secs(3),
            ask: AskLimits::default(),
            sync,
        }
    }
}

/// What it works with.
#[derive(Debug)]
pub struct HeaderFollowerArgs<N> {
    /// Bounds.
    pub config: HeaderFollowerConfig,
    /// The chain's parameters; those of Weft must be among them.
    pub spec: Arc<ChainSpec>,
    /// A database without bodies, begun with the genesis.
    pub store: Store,
    /// Who is asked.
    pub network: Arc<N>,
    /// Who is connected.
    pub peers: watch::Receiver<PeerTable>,
    /// Blocks as they are announced.
    pub blocks: mpsc::Receiver<Incoming<BlockAnnouncement>>,
}

/// Why headers were not followed.
#[derive(Debug, thiserror::Error)]
pub enum HeaderFollowerError {
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A sync did not reach its target.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// A chain without `config.weft` commits to no data.
    #[error("the chain has no `config.weft`: its blocks commit to nothing that could be kept or sampled")]
    PlainChain,
    /// A write to the database panicked.
    #[error("a write to the database panicked")]
    Panicked,
}

impl HeaderFollowerError {
    /// Whether there is no use in trying again.
    pub const fn is_fatal(&self) -> bool {
        match self {
            Self::Storage(StorageError::DiskFull { .. }) => false,
            Self::Storage(_) | Self::PlainChain | Self::Panicked => true,
            Self::Sync(error) => error.is_fatal(),
        }
    }
}

/// Handle to a running follower of headers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HeaderFollower {
    head: watch::Receiver<BlockNumHash>,
    progress: watch::Receiver<SyncProgress>,
    task: Task,
}

impl HeaderFollower {
    /// Starts to follow. To be called within a tokio runtime.
    pub fn spawn<N: Peers>(args: HeaderFollowerArgs<N>) -> Result<Self, HeaderFollowerError> {
        let stop = CancellationToken::new();
        let asker = Asker::new(Arc::clone(&args.network), args.peers.clone(), args.config.ask.clone());
        let (progress, seen) = Progress::new();
        let (head, followed) = watch::channel(args.store.view().head()?);
        let worker = worker::Worker::new(args, asker, progress, head, stop.clone())?;
        let task = Task::spawn("header follower", stop, worker.run());
        Ok(Self { head: followed, progress: seen, task })
    }

    /// The newest header that is durable here.
    pub fn head(&self) -> watch::Receiver<BlockNumHash> {
        self.head.clone()
    }

    /// How far a sync is; its headers count as executed blocks.
    pub fn progress(&self) -> watch::Receiver<SyncProgress> {
        self.progress.clone()
    }

    /// Returns when it has ended: by [`Self::shutdown`], or because the database cannot go on.
    pub async fn stopped(&self) {
        self.task.stopped().await;
    }

    /// Finishes what it writes and stops. Safe to call more than once.
    pub async fn shutdown(&self) {
        self.task.shutdown().await;
    }
}
