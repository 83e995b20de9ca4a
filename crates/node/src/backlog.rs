//! Tells the pool how far the BlobArchive stage is behind, so that admission holds blobs back before the disk has to.

use std::time::Duration;
use tokio::sync::watch;
use tracing::warn;
use weft_archive::BlobArchive;
use weft_pool::Pool;
use weft_primitives::BlockNumHash;
use weft_stages::StageProgress;
use weft_storage::Store;

/// Pause after a failed look.
const RETRY: Duration = Duration::from_secs(1);

/// Runs until the stage or the engine has stopped. Looks at the database after each block and each step.
pub(crate) async fn watch_backlog(
    store: Store,
    pool: Pool,
    enough: u64,
    mut head: watch::Receiver<BlockNumHash>,
    mut progress: watch::Receiver<StageProgress>,
) {
    loop {
        let look = {
            let store = store.clone();
            tokio::task::spawn_blocking(move || BlobArchive::backlog_bytes(&store, enough)).await
        };
        match look {
            Ok(Ok(bytes)) => pool.set_backlog(bytes),
            Ok(Err(error)) => {
                warn!(target: "weft::node", %error, "the archive's backlog is not known");
                tokio::time::sleep(RETRY).await;
            }
            // The runtime ends.
            Err(_) => return,
        }
        let changed = tokio::select! {
            changed = head.changed() => changed,
            changed = progress.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}
