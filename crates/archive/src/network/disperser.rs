//! Sends the columns of new blocks out: the work of a node that seals.
//!
//! It follows the head and publishes each block's columns on their topics, column by column; a column that nobody listens to
//! is left out. It never holds up the head: when it falls behind by more than [`DISPERSAL_LAG_MAX`] blocks it skips the oldest,
//! which those who keep columns ask for when they do not come. One block at a time, one piece of at most 1 MiB in hand.

use crate::{ParityCache, RetrieveError, disperse, task::Task};
use std::{ops::ControlFlow, time::Duration};
use tokio::{runtime::Handle, sync::watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use weft_p2p::{NetworkHandle, PublishError};
use weft_primitives::{BlockNumHash, BlockNumber, ColumnIndex};
use weft_storage::Store;

/// Blocks behind the head beyond which the oldest are skipped.
pub const DISPERSAL_LAG_MAX: u64 = 64;
/// Pause while the queues of all peers are full.
const FULL_PAUSE: Duration = Duration::from_millis(20);
/// Such pauses for one piece before its column is given up: ten seconds.
const FULL_PAUSES_MAX: u32 = 500;

/// A running disperser.
#[derive(Debug)]
pub struct Disperser(Task);

/// What one block takes.
#[derive(Clone)]
struct Work {
    store: Store,
    parity: ParityCache,
    network: NetworkHandle,
    columns: u16,
    stop: CancellationToken,
}

impl Disperser {
    /// Starts with the block after the head. To be called within a tokio runtime.
    pub fn spawn(
        store: Store,
        parity: ParityCache,
        network: NetworkHandle,
        columns: u16,
        head: watch::Receiver<BlockNumHash>,
    ) -> Self {
        let stop = CancellationToken::new();
        let work = Work { store, parity, network, columns, stop: stop.clone() };
        Self(Task::spawn("disperser", stop, run(work, head)))
    }

    /// Breaks off the block under way and stops.
    pub async fn shutdown(&self) {
        self.0.shutdown().await;
    }
}

async fn run(work: Work, mut head: watch::Receiver<BlockNumHash>) {
    let mut done: BlockNumber = head.borrow_and_update().number;
    loop {
        tokio::select! {
            () = work.stop.cancelled() => return,
            changed = head.changed() => if changed.is_err() { return },
        }
        let newest = head.borrow_and_update().number;
        // A head that went back is a reorganisation: what is canonical now goes out.
        done = done.min(newest.saturating_sub(1));
        if newest - done > DISPERSAL_LAG_MAX {
            let skipped = newest - done - DISPERSAL_LAG_MAX;
            warn!(target: "weft::archive", skipped, "dispersal is behind; peers have to ask for the columns of these blocks");
            done = newest - DISPERSAL_LAG_MAX;
        }
        while done < newest && !work.stop.is_cancelled() {
            done += 1;
            let (work, number, runtime) = (work.clone(), done, Handle::current());
            let sent = tokio::task::spawn_blocking(move || work.block(&runtime, number)).await;
            match sent {
                Ok(Ok(0)) => {}
                Ok(Ok(pieces)) => debug!(target: "weft::archive", number = done, pieces, "columns sent out"),
                Ok(Err(error)) => {
                    warn!(target: "weft::archive", number = done, %error, "columns not sent out")
                }
                Err(_) => return,
            }
        }
    }
}

impl Work {
    /// Publishes all columns of a block. Returns how many pieces went.
    fn block(&self, runtime: &Handle, number: BlockNumber) -> Result<u64, RetrieveError> {
        let Some(hash) = self.store.view().canonical_hash(number)? else { return Ok(0) };
        let block = BlockNumHash { number, hash };
        let mut sent = 0;
        for column in 0..self.columns {
            let mut publish = |piece: crate::ProvenCells| runtime.block_on(self.publish(piece));
            match disperse(&self.store, Some(&self.parity), block, Some(&[ColumnIndex(column)]), &mut publish)
            {
                Ok(pieces) => sent += pieces,
                Err(RetrieveError::Gone(_)) => return Ok(sent),
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }

    async fn publish(&self, piece: crate::ProvenCells) -> ControlFlow<()> {
        let column = piece.column();
        for _ in 0..FULL_PAUSES_MAX {
            if self.stop.is_cancelled() {
                return ControlFlow::Break(());
            }
            match self.network.publish_segment(piece.clone().into()).await {
                Ok(()) | Err(PublishError::Duplicate) => return ControlFlow::Continue(()),
                Err(PublishError::QueuesFull) => tokio::time::sleep(FULL_PAUSE).await,
                Err(PublishError::NobodyListens | PublishError::Closed) => return ControlFlow::Break(()),
                Err(error) => {
                    warn!(target: "weft::archive", %column, %error, "a segment could not be published");
                    return ControlFlow::Break(());
                }
            }
        }
        warn!(target: "weft::archive", %column, "peers take no segments; the column is left to those who ask for it");
        ControlFlow::Break(())
    }
}
