//! Bodies, fetched from several peers and prepared ahead of execution, and executed in order.
//!
//! Bodies under way are bounded in number and in bytes. How many bytes a body has shows only when it is here, so each one
//! reserves the most that its gas can have paid for ([`bytes_at_most`]), and gives back what it does not need; reservations
//! are granted in the order of the chain, so the block that is executed next always has its own.

use super::{Sync, SyncError, headers::Segment};
use crate::{
    body::{self, RawBody},
    network::Peers,
};
use futures::{StreamExt, TryStreamExt, stream};
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use weft_engine::{ForkchoiceState, PayloadStatus};
use weft_p2p::{Offence, PeerId};
use weft_primitives::{PreparedBlock, SealedHeader};

/// Bytes per permit.
const PERMIT_BYTES: usize = 1024;
/// The least gas that a byte of a transaction costs on any chain that Weft runs (PROTOCOL §1, `tokenCost`).
const BYTE_GAS_MIN: u64 = 2;
/// Largest block of a chain without `config.weft`, in bytes.
const PLAIN_BLOCK_BYTES_MAX: usize = 32 << 20;
/// Wrong bodies of one block after which the sync is given up for now.
const WRONG_BODIES_MAX: u32 = 8;

/// A block that can be executed.
struct Ready {
    block: PreparedBlock,
    /// Who served the body; `None`: it is empty and nobody had to.
    server: Option<PeerId>,
    /// Held until the block is executed.
    _room: OwnedSemaphorePermit,
}

impl<N: Peers> Sync<N> {
    /// Fetches and executes all blocks of the segments.
    pub(super) async fn blocks(&self, segments: VecDeque<Segment>) -> Result<(), SyncError> {
        self.progress.blocks_begin();
        let (ready, blocks) = mpsc::channel(1);
        // Both on this task: while the engine works, fetching goes on.
        tokio::try_join!(self.download(segments, ready), self.execute_all(blocks))?;
        Ok(())
    }

    async fn download(
        &self,
        segments: VecDeque<Segment>,
        ready: mpsc::Sender<Ready>,
    ) -> Result<(), SyncError> {
        let room = Arc::new(Semaphore::new(permits(self.config.bodies_bytes_max)));
        let links = self.links();
        let headers = stream::iter(segments)
            .map(|segment| links.headers_of(segment))
            .buffered(2)
            .map_ok(|headers| stream::iter(headers).map(Ok::<_, SyncError>))
            .try_flatten();
        let fetches = headers.map(|header| {
            let room = Arc::clone(&room);
            async move { self.ready(header?, room).await }
        });
        let mut fetched = fetches.buffered(self.config.bodies_ahead.max(1));
        while let Some(block) = fetched.next().await {
            if ready.send(block?).await.is_err() {
                // The other half has failed and says why.
                break;
            }
        }
        Ok(())
    }

    async fn ready(&self, header: SealedHeader, room: Arc<Semaphore>) -> Result<Ready, SyncError> {
        let wanted = permits(bytes_at_most(&header, self.block_bytes_max()));
        let wanted = wanted.min(permits(self.config.bodies_bytes_max));
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let mut room = room.acquire_many_owned(wanted).await.expect("nobody closes the semaphore");
        let (server, block) = self.prepared(&header).await?;
        let bytes: usize = block.transactions.iter().map(|tx| tx.encoded.len()).sum();
        drop(room.split(room.num_permits().saturating_sub(permits(bytes))));
        self.progress.body(self.peers());
        Ok(Ready { block, server, _room: room })
    }

    /// A block with its body, prepared; of a peer who pays when it is another block's.
    async fn prepared(&self, header: &SealedHeader) -> Result<(Option<PeerId>, PreparedBlock), SyncError> {
        for _ in 0..WRONG_BODIES_MAX {
            let (server, raw) = match body::empty(header) {
                Some(raw) => (None, raw),
                None => {
                    let (peer, raw) = self.fetch(header).await?;
                    (Some(peer), raw)
                }
            };
            let (error, transactions) = match body::prepare(&self.pool, header.clone(), raw).await {
                Ok(block) => return Ok((server, block)),
                Err(failed) => *failed,
            };
            match server {
                Some(peer) if !body::is_of_header(header, &transactions) => {
                    self.asker.blame(peer, Offence::BadBlock, "a body that is not its header's").await;
                }
                _ => return Err(invalid(header, error.to_string())),
            }
        }
        Err(SyncError::Nobody { what: "the body", number: header.number })
    }

    async fn fetch(&self, header: &SealedHeader) -> Result<(PeerId, RawBody), SyncError> {
        let fetched = body::fetch(&self.asker, header, self.block_bytes_max()).await;
        fetched.map_err(SyncError::nobody("the body", header.number))
    }

    async fn execute_all(&self, mut blocks: mpsc::Receiver<Ready>) -> Result<(), SyncError> {
        while let Some(ready) = blocks.recv().await {
            self.execute(ready).await?;
        }
        Ok(())
    }

    /// Makes a block the durable head, and fetches its body again when it turns out to be another block's.
    async fn execute(&self, ready: Ready) -> Result<(), SyncError> {
        let Ready { mut block, mut server, _room } = ready;
        let header = block.header.clone();
        for _ in 0..WRONG_BODIES_MAX {
            // Handles to the same bytes, for finding out who is to blame.
            let transactions = block.transactions.clone();
            let reason = match self.engine.new_payload(block).await? {
                PayloadStatus::Valid { hash } => return self.choose(&header, hash).await,
                PayloadStatus::Invalid { reason, .. } => reason,
                status => return Err(invalid(&header, format!("{status:?}"))),
            };
            let encoded: Vec<_> = transactions.iter().map(|tx| tx.encoded.clone()).collect();
            match server {
                Some(peer) if !body::is_of_header(&header, &encoded) => {
                    self.asker.blame(peer, Offence::BadBlock, "a body that is not its header's").await;
                }
                _ => return Err(invalid(&header, reason)),
            }
            (server, block) = self.prepared(&header).await?;
        }
        Err(SyncError::Nobody { what: "the body", number: header.number })
    }

    async fn choose(&self, header: &SealedHeader, head: alloy_primitives::B256) -> Result<(), SyncError> {
        // A sealed block is final at once: nobody else could propose another one.
        let state = ForkchoiceState { head, safe: Some(head), finalized: Some(head) };
        match self.engine.forkchoice_updated(state).await? {
            PayloadStatus::Valid { .. } => {
                self.progress.executed(header.number);
                Ok(())
            }
            status => Err(invalid(header, format!("not chosen: {status:?}"))),
        }
    }

    fn block_bytes_max(&self) -> usize {
        self.spec.weft().map_or(PLAIN_BLOCK_BYTES_MAX, |weft| weft.max_block_bytes)
    }
}

fn invalid(header: &SealedHeader, reason: String) -> SyncError {
    SyncError::Invalid { number: header.number, hash: header.hash(), reason }
}

fn permits(bytes: usize) -> usize {
    bytes.div_ceil(PERMIT_BYTES).clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize))
}

/// The most bytes that the transactions of a block can have: each costs gas, down to the last byte.
fn bytes_at_most(header: &SealedHeader, block_bytes_max: usize) -> usize {
    usize::try_from(header.gas_used / BYTE_GAS_MIN).unwrap_or(usize::MAX).min(block_bytes_max)
}
