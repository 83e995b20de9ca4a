//! How far a sync is: for a progress bar, `eth_syncing`, and a line in the log every few seconds.

use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time::Instant};
use tracing::info;

/// Distance of the lines in the log.
const LOG_EVERY: Duration = Duration::from_secs(8);
/// Distance of the points between which the rate is measured.
const RATE_EVERY: Duration = Duration::from_secs(2);

/// What is being done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncPhase {
    /// Nothing: the head is the sealer's as far as it is known.
    #[default]
    Idle,
    /// Finding the way from the sealer's head to ours.
    Headers,
    /// Fetching and executing blocks.
    Blocks,
}

/// How far a sync is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SyncProgress {
    /// What is being done.
    pub phase: SyncPhase,
    /// The head when it began.
    pub start: u64,
    /// Number of the signed head that it goes to.
    pub target: u64,
    /// Headers that are linked to it.
    pub headers: u64,
    /// Bodies that were fetched.
    pub bodies: u64,
    /// The durable head.
    pub executed: u64,
    /// Peers that are connected.
    pub peers: usize,
    /// Blocks executed per second, lately.
    pub blocks_per_second: f64,
}

impl SyncProgress {
    /// Whether a sync runs.
    pub fn is_syncing(&self) -> bool {
        self.phase != SyncPhase::Idle
    }
}

/// The writing end. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Progress(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sender: watch::Sender<SyncProgress>,
    pace: Mutex<Pace>,
}

#[derive(Debug)]
struct Pace {
    logged: Instant,
    measured: Instant,
    executed: u64,
}

impl Progress {
    pub(crate) fn new() -> (Self, watch::Receiver<SyncProgress>) {
        let (sender, receiver) = watch::channel(SyncProgress::default());
        let now = Instant::now();
        let pace = Mutex::new(Pace { logged: now, measured: now, executed: 0 });
        (Self(Arc::new(Inner { sender, pace })), receiver)
    }

    pub(crate) fn begin(&self, start: u64, target: u64) {
        let now = Instant::now();
        *self.0.pace.lock() = Pace { logged: now, measured: now, executed: start };
        let phase = SyncPhase::Headers;
        self.0.sender.send_replace(SyncProgress {
            phase,
            start,
            target,
            executed: start,
            ..SyncProgress::default()
        });
    }

    pub(crate) fn headers(&self, more: u64, peers: usize) {
        self.change(|progress| {
            progress.headers += more;
            progress.peers = peers;
        });
    }

    pub(crate) fn blocks_begin(&self) {
        self.change(|progress| progress.phase = SyncPhase::Blocks);
    }

    pub(crate) fn body(&self, peers: usize) {
        self.change(|progress| {
            progress.bodies += 1;
            progress.peers = peers;
        });
    }

    pub(crate) fn executed(&self, number: u64) {
        let now = Instant::now();
        let mut pace = self.0.pace.lock();
        let since = now - pace.measured;
        let rate =
            (since >= RATE_EVERY).then(|| number.saturating_sub(pace.executed) as f64 / since.as_secs_f64());
        if rate.is_some() {
            (pace.measured, pace.executed) = (now, number);
        }
        drop(pace);
        self.change(|progress| {
            progress.executed = number;
            progress.blocks_per_second = rate.unwrap_or(progress.blocks_per_second);
        });
    }

    pub(crate) fn end(&self) {
        self.0.sender.send_modify(|progress| {
            progress.phase = SyncPhase::Idle;
            progress.blocks_per_second = 0.0;
        });
    }

    fn change(&self, change: impl FnOnce(&mut SyncProgress)) {
        self.0.sender.send_modify(change);
        let now = Instant::now();
        let mut pace = self.0.pace.lock();
        if now - pace.logged >= LOG_EVERY {
            pace.logged = now;
            let SyncProgress { target, headers, bodies, executed, peers, blocks_per_second, .. } =
                *self.0.sender.borrow();
            let rate = blocks_per_second.round();
            info!(target: "weft::sync", executed, of = target, headers, bodies, peers, blocks_per_second = rate, "syncing");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_that_of_the_last_seconds() {
        let (progress, seen) = Progress::new();
        assert!(!seen.borrow().is_syncing());
        progress.begin(10, 1000);
        assert_eq!((seen.borrow().start, seen.borrow().phase), (10, SyncPhase::Headers));
        progress.blocks_begin();
        tokio::time::advance(Duration::from_secs(1)).await;
        progress.executed(15);
        assert_eq!((seen.borrow().executed, seen.borrow().blocks_per_second), (15, 0.0), "too early to say");
        tokio::time::advance(Duration::from_secs(1)).await;
        progress.executed(30);
        assert_eq!(seen.borrow().blocks_per_second, 10.0);
        progress.end();
        assert!(!seen.borrow().is_syncing() && seen.borrow().executed == 30);
    }
}
