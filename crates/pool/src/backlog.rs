//! Calldata that is in blocks and whose parity is not yet on the disk.
//!
//! Whoever runs the archiving stage tells its size. Above a bound, transactions that carry a blob wait in admission, so
//! that the chain takes in no more than the disk does: the stage's lag, the parity in memory and what a crash leaves
//! to be coded again stay bounded. All other transactions pass.

use crate::PoolError;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

/// The backlog, and who waits for it to shrink.
#[derive(Debug)]
pub(crate) struct Backlog {
    bytes: watch::Sender<u64>,
    bytes_max: u64,
}

impl Backlog {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { bytes: watch::Sender::new(0), bytes_max }
    }

    pub(crate) fn set(&self, bytes: u64) {
        self.bytes.send_replace(bytes);
    }

    /// Returns when the backlog is within its bound; [`PoolError::Archiving`] at the deadline.
    pub(crate) async fn passable(&self, deadline: Instant) -> Result<(), PoolError> {
        let mut watched = self.bytes.subscribe();
        let passable = watched.wait_for(|bytes| *bytes <= self.bytes_max);
        match timeout_at(deadline, passable).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(PoolError::Closed),
            Err(_) => Err(PoolError::Archiving { backlog: *self.bytes.borrow(), limit: self.bytes_max }),
        }
    }
}
