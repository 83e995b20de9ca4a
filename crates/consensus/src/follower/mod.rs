//! The follower: keeps this node's head at that of a sealer elsewhere.
//!
//! It takes announced blocks, rules on their gossip by what is known at once ([`judge`]), puts their bodies together from the
//! pool and from peers ([`assemble`]), and has the engine execute and choose them. A gap in what was announced, or a signed
//! head in a peer's status that nobody announced, starts a [`sync`](crate::sync). Only what one of the sealers has signed is
//! believed, and of that only what the engine finds valid.
//!
//! Invariants: blocks are executed in order, one at a time; a block that was begun is finished before the follower stops;
//! a peer's fault never stops it, a fatal error of the engine does. Bounds stand in [`FollowerConfig`].

mod assemble;
pub(crate) mod judge;
mod queue;
pub(crate) mod worker;

use crate::{
    arrivals::Arrivals,
    ask::{AskLimits, Asker},
    network::{Incoming, PeerTable, Peers},
    sync::{Progress, SyncConfig, SyncError, SyncProgress},
    task::Task,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use weft_chainspec::ChainSpec;
use weft_engine::{EngineError, EngineHandle};
use weft_p2p::BlockAnnouncement;
use weft_pool::Pool;
use weft_storage::Store;

/// Bounds of a follower.
#[derive(Clone, Debug)]
pub struct FollowerConfig {
    /// Announced blocks above the head that are remembered; one has at most 1.1 MiB of hashes and withdrawals.
    pub queue_max: usize,
    /// Blocks whose bodies are put together ahead of execution; as many times `maxBlockBytes` is the worst case.
    pub assemble_ahead: usize,
    /// How long a block waits for transactions that are on their way to the pool before it asks for them itself.
    pub arrival_wait: Duration,
    /// How long a gap may last before a sync begins.
    pub patience: Duration,
    /// Pause after a sync that failed.
    pub retry: Duration,
    /// How peers are asked.
    pub ask: AskLimits,
    /// Bounds of a sync.
    pub sync: SyncConfig,
}

impl Default for FollowerConfig {
    fn default() -> Self {
        Self {
            queue_max: 64,
            assemble_ahead: 4,
            arrival_wait: Duration::from_secs(2),
            patience: Duration::from_millis(750),
            retry: Duration::from_secs(3),
            ask: AskLimits::default(),
            sync: SyncConfig::default(),
        }
    }
}

/// What a follower works with.
#[derive(Debug)]
pub struct FollowerArgs<N> {
    /// Bounds.
    pub config: FollowerConfig,
    /// The chain's parameters.
    pub spec: Arc<ChainSpec>,
    /// Where what is final is noted.
    pub store: Store,
    /// Executes.
    pub engine: EngineHandle,
    /// Has most of the transactions, and prepares the others.
    pub pool: Pool,
    /// Who is asked.
    pub network: Arc<N>,
    /// Who is connected.
    pub peers: watch::Receiver<PeerTable>,
    /// Blocks as they are announced.
    pub blocks: mpsc::Receiver<Incoming<BlockAnnouncement>>,
    /// Transactions that are on their way to the pool.
    pub arrivals: Arrivals,
}

/// Why a block was not followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowerError {
    /// The engine failed or stopped.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A sync did not reach its target.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// A block by a sealer that breaks a rule, or cannot become canonical.
    #[error("block {number} ({hash}): {reason}")]
    Refused {
        /// Its number.
        number: u64,
        /// Its hash.
        hash: alloy_primitives::B256,
        /// Why.
        reason: String,
    },
}

impl FollowerError {
    /// Whether there is no use in trying again.
    pub const fn is_fatal(&self) -> bool {
        match self {
            Self::Engine(error) => error.is_fatal(),
            Self::Sync(error) => error.is_fatal(),
            Self::Refused { .. } => false,
        }
    }
}

/// Handle to a running follower. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Follower {
    progress: watch::Receiver<SyncProgress>,
    task: Task,
}

impl Follower {
    /// Starts to follow. To be called within a tokio runtime.
    pub fn spawn<N: Peers>(args: FollowerArgs<N>) -> Self {
        let stop = CancellationToken::new();
        let asker = Asker::new(Arc::clone(&args.network), args.peers.clone(), args.config.ask.clone());
        let (progress, seen) = Progress::new();
        let worker = worker::Worker::new(args, asker, progress, stop.clone());
        Self { progress: seen, task: Task::spawn("follower", stop, worker.run()) }
    }

    /// How far a sync is.
    pub fn progress(&self) -> watch::Receiver<SyncProgress> {
        self.progress.clone()
    }

    /// Returns when the follower has ended: by [`Self::shutdown`], or because the engine cannot go on.
    pub async fn stopped(&self) {
        self.task.stopped().await;
    }

    /// Finishes the block under way and stops. Safe to call more than once.
    pub async fn shutdown(&self) {
        self.task.shutdown().await;
    }
}
