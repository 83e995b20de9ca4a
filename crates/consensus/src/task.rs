//! A task that is told to stop, waited for, and whose end can be seen.

use parking_lot::Mutex;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    name: &'static str,
    stop: CancellationToken,
    ended: CancellationToken,
    /// Until somebody has waited for it.
    handle: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Task {
    /// Runs `work`, which ends when `stop` is cancelled, or of itself. To be called within a tokio runtime.
    pub(crate) fn spawn(
        name: &'static str,
        stop: CancellationToken,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        let handle = tokio::spawn(async move {
            // A panic is an end as well.
            let _guard = guard;
            work.await;
        });
        Self { name, stop, ended, handle: Arc::new(Mutex::new(Some(handle))) }
    }

    /// Returns when it has ended, of itself or by [`Self::shutdown`].
    pub(crate) async fn stopped(&self) {
        self.ended.cancelled().await;
    }

    /// Has it end, and waits for it. Safe to call more than once.
    pub(crate) async fn shutdown(&self) {
        self.stop.cancel();
        let handle = self.handle.lock().take();
        if let Some(handle) = handle
            && let Err(error) = handle.await
        {
            tracing::error!(target: "weft::consensus", task = self.name, %error, "a task failed");
        }
        self.ended.cancelled().await;
    }
}
