//! Tells others of this node's head: each durable block in the status that peers see, and, on a node that seals, as an
//! announcement.
//!
//! One task that follows the engine's canonical events, which come after a block is durable. When it lags it says the
//! newest head only; peers then find the way there by themselves.

use crate::network::Peers;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    task::JoinHandle,
};
use tracing::{debug, error};
use weft_engine::{CanonicalBlock, CanonicalEvent, EngineHandle};
use weft_p2p::{BlockAnnouncement, Head, PublishError};
use weft_primitives::BlockNumHash;

/// Handle to a running publisher; it ends with the engine, or when it is told to.
#[derive(Clone, Debug)]
pub struct Publisher {
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Publisher {
    /// Starts to tell, beginning with the head as it is. `seals`: whether this node's blocks are to be announced. To be called
    /// within a tokio runtime, before anything seals.
    pub fn spawn<N: Peers>(engine: EngineHandle, network: Arc<N>, seals: bool) -> Self {
        let events = engine.subscribe();
        let task = tokio::spawn(run(engine, events, network, seals));
        Self { task: Arc::new(Mutex::new(Some(task))) }
    }

    /// Stops. Safe to call more than once.
    pub async fn shutdown(&self) {
        let task = self.task.lock().take();
        let Some(task) = task else { return };
        task.abort();
        match task.await {
            Err(error) if error.is_panic() => {
                error!(target: "weft::p2p", %error, "publisher task failed");
            }
            _ => {}
        }
    }
}

async fn run<N: Peers>(
    engine: EngineHandle,
    mut events: Receiver<Arc<CanonicalEvent>>,
    network: Arc<N>,
    seals: bool,
) {
    network.set_head(head_of(engine.head())).await;
    loop {
        match events.recv().await {
            Ok(event) => {
                if seals {
                    for block in &event.committed {
                        publish(&*network, block).await;
                    }
                }
                network.set_head(head_of(event.head.num_hash())).await;
            }
            Err(RecvError::Lagged(missed)) => {
                debug!(target: "weft::p2p", missed, "blocks not announced one by one");
                network.set_head(head_of(engine.head())).await;
            }
            Err(RecvError::Closed) => return,
        }
    }
}

async fn publish<N: Peers>(network: &N, block: &CanonicalBlock) {
    let block = &block.block;
    let hashes: Vec<_> = block.transactions.iter().map(|tx| tx.hash()).collect();
    let withdrawals = block.withdrawals.clone().map(|withdrawals| withdrawals.0);
    let announcement = BlockAnnouncement::new(block.header.clone(), &hashes, withdrawals);
    match network.publish_block(announcement).await {
        // Who comes later learns it from our status.
        Ok(()) | Err(PublishError::NobodyListens | PublishError::Duplicate) => {}
        Err(error) => {
            debug!(target: "weft::p2p", number = block.header.number, %error, "block not announced");
        }
    }
}

fn head_of(block: BlockNumHash) -> Head {
    Head { number: block.number, hash: block.hash }
}
