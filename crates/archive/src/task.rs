//! A task behind a handle: the ledger, the checkpoint stage and permanence of blobs each have one. It is told to stop, and
//! waited for, by whichever clone of the handle is asked first.

use parking_lot::Mutex;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    name: &'static str,
    stop: CancellationToken,
    /// Until somebody has waited for it.
    handle: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Task {
    /// Runs `work`, which ends when `stop` is cancelled. To be called within a tokio runtime.
    pub(crate) fn spawn(
        name: &'static str,
        stop: CancellationToken,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self { name, stop, handle: Arc::new(Mutex::new(Some(tokio::spawn(work)))) }
    }

    /// Has it end, and waits for it. Safe to call more than once; only the first call waits.
    pub(crate) async fn shutdown(&self) {
        self.stop.cancel();
        let handle = self.handle.lock().take();
        if let Some(handle) = handle
            && let Err(error) = handle.await
        {
            tracing::error!(target: "weft::archive", task = self.name, %error, "a task failed");
        }
    }
}
