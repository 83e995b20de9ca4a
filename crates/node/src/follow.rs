//! Tells the stages of a new head, after their parity was put where they look for it.
//!
//! Follows the engine's canonical events, which come after a block is durable. A follower that lags loses nothing but
//! parity in memory: the stages read blocks from the database, and code again what is not in the cache.

use std::sync::Arc;
use tokio::sync::{
    broadcast::{Receiver, error::RecvError},
    watch,
};
use tracing::debug;
use weft_archive::ParityCache;
use weft_engine::{CanonicalEvent, EngineHandle};
use weft_primitives::BlockNumHash;

/// Runs until the engine has stopped.
pub(crate) async fn follow(
    engine: EngineHandle,
    mut events: Receiver<Arc<CanonicalEvent>>,
    parity: ParityCache,
    head: watch::Sender<BlockNumHash>,
) {
    loop {
        match events.recv().await {
            Ok(event) => {
                event.committed.iter().for_each(|block| parity.remember(&block.block));
                head.send_replace(event.head.num_hash());
            }
            Err(RecvError::Lagged(missed)) => {
                debug!(target: "weft::node", missed, "stages code again what was missed");
                head.send_replace(engine.head());
            }
            Err(RecvError::Closed) => return,
        }
    }
}
