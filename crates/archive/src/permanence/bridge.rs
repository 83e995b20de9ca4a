//! From blocking calls to the asynchronous network: at most so many at a time, each with a deadline.
//!
//! For threads that are not the runtime's own: of a restore, or of a request that reads the disk anyway.

use std::{fmt, sync::Arc, time::Duration};
use tokio::{runtime::Handle, sync::Semaphore, time::timeout};
use weft_arweave::Error;

#[derive(Clone)]
pub(super) struct Bridge {
    runtime: Handle,
    turns: Arc<Semaphore>,
    /// Whether a gateway is slow or a caller waits for its turn: longer is not waited for.
    deadline: Duration,
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge").field("free", &self.turns.available_permits()).finish_non_exhaustive()
    }
}

impl Bridge {
    /// To be made within a runtime.
    pub(super) fn new(parallel: usize, deadline: Duration) -> Self {
        Self { runtime: Handle::current(), turns: Arc::new(Semaphore::new(parallel.max(1))), deadline }
    }

    /// Waits for an answer. Panics on a thread that drives asynchronous tasks.
    pub(super) fn wait<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let turn = async {
            // Never closed.
            let _turn = self.turns.acquire().await;
            call.await
        };
        let answer = self.runtime.block_on(async { timeout(self.deadline, turn).await });
        answer.unwrap_or(Err(Error::Deadline { limit: self.deadline, source: None }))
    }
}
