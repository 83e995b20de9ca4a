//! The dev sealer: decides when the next block is due and has the engine build and choose it.
//!
//! One task ([`Worker`]) that waits for a reason to seal, and a small one that turns the pool's notifications
//! into a flag at once, so that no notification keeps a transaction in memory. Invariants: one block at a
//! time; a block that was begun is finished before the sealer stops; without transactions there is no
//! block unless empty ones are wanted. Errors of the engine are tried again with back-off, the fatal
//! ones end the sealer.

use crate::{
    attributes::{next_attributes, unix_seconds},
    metrics::SealerMetrics,
    task::Task,
};
use alloy_primitives::Address;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, broadcast::error::RecvError},
    time::{Interval, MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};
use weft_chainspec::ChainSpec;
use weft_engine::{EngineError, EngineHandle, ForkchoiceState, PayloadStatus};
use weft_pool::Pool;

/// First and longest pause after a failure; it doubles in between.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// When a block is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealMode {
    /// As soon as the pool has executable transactions.
    Instant,
    /// Once per interval.
    Interval(Duration),
}

/// How the dev sealer works.
#[derive(Clone, Debug)]
pub struct DevSealerConfig {
    /// When a block is due.
    pub mode: SealMode,
    /// In interval mode: whether a block without transactions is sealed.
    pub empty_blocks: bool,
    /// In instant mode: how long to wait for more transactions after the first. A block costs an fsync,
    /// whatever it holds.
    pub coalesce: Duration,
    /// Bytes in the pool at which waiting for more ends.
    pub coalesce_bytes: usize,
    /// Who gets the tips.
    pub fee_recipient: Address,
    /// Whether the first block comes at once, whatever it holds. A restored head is known by its header only, and wallets ask
    /// for the whole of the latest block.
    pub first_at_once: bool,
}

impl Default for DevSealerConfig {
    fn default() -> Self {
        Self {
            mode: SealMode::Instant,
            empty_blocks: true,
            coalesce: Duration::from_millis(3),
            coalesce_bytes: 8 * 1024 * 1024,
            fee_recipient: Address::ZERO,
            first_at_once: false,
        }
    }
}

/// Why a block could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealerError {
    /// The engine failed or stopped.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine did not take its own block.
    #[error("the engine did not choose the block it built: {0:?}")]
    NotChosen(PayloadStatus),
}

impl SealerError {
    /// Whether there is no use in trying again.
    pub const fn is_fatal(&self) -> bool {
        match self {
            Self::Engine(error) => error.is_fatal(),
            Self::NotChosen(_) => false,
        }
    }
}

/// Handle to a running dev sealer. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DevSealer {
    task: Task,
}

impl DevSealer {
    /// Starts sealing. To be called within a tokio runtime.
    pub fn spawn(config: DevSealerConfig, spec: Arc<ChainSpec>, engine: EngineHandle, pool: Pool) -> Self {
        let stop = CancellationToken::new();
        let arrivals = Arc::new(Notify::new());
        let worker = Worker {
            config,
            spec,
            engine,
            pool: pool.clone(),
            arrivals: arrivals.clone(),
            stop: stop.clone(),
            metrics: SealerMetrics::default(),
        };
        let watch_stop = stop.clone();
        let task = Task::spawn("sealer", stop, async move {
            tokio::join!(worker.run(), flag_arrivals(pool, arrivals, watch_stop));
        });
        Self { task }
    }

    /// Returns when the sealer has ended: by [`Self::shutdown`], or because the engine cannot go on.
    pub async fn stopped(&self) {
        self.task.stopped().await;
    }

    /// Finishes the block under way and stops. Safe to call more than once.
    pub async fn shutdown(&self) {
        self.task.shutdown().await;
    }
}

/// Turns notifications into a flag and drops them.
async fn flag_arrivals(pool: Pool, arrivals: Arc<Notify>, stop: CancellationToken) {
    let mut receiver = pool.subscribe();
    // What was in the pool before this subscription has been announced to nobody.
    arrivals.notify_one();
    loop {
        let received = tokio::select! {
            () = stop.cancelled() => return,
            received = receiver.recv() => received,
        };
        match received {
            Ok(_) | Err(RecvError::Lagged(_)) => arrivals.notify_one(),
            Err(RecvError::Closed) => return,
        }
    }
}

/// What an attempt to seal gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sealed {
    /// A block with transactions.
    Full,
    /// A block without, or none.
    Empty,
}

struct Worker {
    config: DevSealerConfig,
    spec: Arc<ChainSpec>,
    engine: EngineHandle,
    pool: Pool,
    arrivals: Arc<Notify>,
    stop: CancellationToken,
    metrics: SealerMetrics,
}

impl Worker {
    async fn run(self) {
        info!(target: "weft::sealer", mode = ?self.config.mode, "sealing");
        let mut ticks = match self.config.mode {
            SealMode::Instant => None,
            SealMode::Interval(period) => Some(ticks(period)),
        };
        let mut backoff = BACKOFF_MIN;
        let mut last = Sealed::Empty;
        let mut first = self.config.first_at_once;
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                () = self.engine.stopped() => break,
                () = async { if !first { self.due(ticks.as_mut(), last).await } } => {}
            }
            match self.seal(first).await {
                Ok(sealed) => {
                    (last, backoff, first) = (sealed, BACKOFF_MIN, false);
                }
                Err(error) if error.is_fatal() => {
                    error!(target: "weft::sealer", error = &error as &dyn std::error::Error, "sealer stops");
                    break;
                }
                Err(error) => {
                    self.metrics.failures.increment(1);
                    warn!(target: "weft::sealer", error = &error as &dyn std::error::Error, retry_ms = backoff.as_millis(), "could not seal");
                    self.pause(backoff).await;
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                    // Whatever was due still is.
                    self.arrivals.notify_one();
                }
            }
        }
        // The flagging task must end as well when the engine has.
        self.stop.cancel();
        debug!(target: "weft::sealer", "sealer stopped");
    }

    /// Returns when a block is due.
    async fn due(&self, ticks: Option<&mut Interval>, last: Sealed) {
        if let Some(ticks) = ticks {
            loop {
                ticks.tick().await;
                if self.config.empty_blocks || self.pool.counts().0 > 0 {
                    return;
                }
            }
        }
        // More may have arrived than one block takes; what a full block left behind is due now. After an
        // empty one it is not: what is left cannot be included, and only an arrival may change that.
        if last == Sealed::Empty || self.pool.counts().0 == 0 {
            self.arrivals.notified().await;
        }
        self.coalesce().await;
    }

    /// Waits for more transactions, for at most `coalesce`.
    async fn coalesce(&self) {
        let enough = async {
            while self.pool.bytes() < self.config.coalesce_bytes {
                self.arrivals.notified().await;
            }
        };
        // Out of time is the usual case.
        let _ = timeout(self.config.coalesce, enough).await;
    }

    async fn pause(&self, duration: Duration) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = sleep(duration) => {}
        }
    }

    /// Seals what there is; a block without transactions where such blocks are wanted, or `anyway`.
    async fn seal(&self, anyway: bool) -> Result<Sealed, SealerError> {
        let start = Instant::now();
        let parent = self.engine.watch_head().borrow().clone();
        let now = unix_seconds();
        let attributes = next_attributes(&self.spec, &parent, self.config.fee_recipient, now);
        let timestamp = attributes.timestamp;
        let block = self.engine.build_payload(attributes).await?;
        let is_empty = block.transactions.is_empty();
        let wanted = matches!(self.config.mode, SealMode::Interval(_)) && self.config.empty_blocks;
        if is_empty && !wanted && !anyway {
            return Ok(Sealed::Empty);
        }
        let head = block.header.hash();
        let state = ForkchoiceState { head, safe: Some(head), finalized: Some(head) };
        match self.engine.forkchoice_updated(state).await? {
            PayloadStatus::Valid { .. } => {}
            status => return Err(SealerError::NotChosen(status)),
        }
        self.metrics.blocks.increment(1);
        self.metrics.seal_seconds.record(start.elapsed().as_secs_f64());
        self.metrics.ahead_seconds.set(timestamp.saturating_sub(now) as f64);
        info!(
            target: "weft::sealer",
            number = block.header.number,
            hash = %head,
            transactions = block.transactions.len(),
            gas_used = block.header.gas_used,
            elapsed_ms = start.elapsed().as_millis(),
            "sealed"
        );
        Ok(if is_empty { Sealed::Empty } else { Sealed::Full })
    }
}

fn ticks(period: Duration) -> Interval {
    // A period of zero would panic; a millisecond is as fast as it can mean.
    let mut ticks = interval(period.max(Duration::from_millis(1)));
    // A block that took longer than the interval is not made up for by a burst.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
