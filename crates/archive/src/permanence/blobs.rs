//! Permanence for one blob: the request, its way into the ledger, what became of it.
//!
//! A request is on the disk when [`BlobPermanence::request`] returns. Its item is queued once the block is finalized, by a task of
//! its own, from wherever the bytes are (body, columns). The item holds the calldata alone: Arweave replicates, so
//! parity would be paid for nothing. Two transactions with the same calldata share one item.

use super::{PermanenceError, archive_source::blob_tags, metrics::CheckpointMetrics};
use crate::{
    ArchiveReceipt, Ledger, Retriever, Source,
    checkpoint::{Chain, tags},
    ledger::{ItemStatus, LedgerKey, LedgerKind, NewItem},
    task::Task,
};
use alloy_primitives::TxHash;
use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use weft_arweave::Tag;
use weft_primitives::BlockNumHash;
use weft_storage::{PermanentBlobRecord, StorageError, Store};

/// Requests that are taken up at a time.
const BATCH: usize = 256;
/// Pause after a failure.
const PAUSE: Duration = Duration::from_secs(5);

/// What it is started with.
#[derive(Clone, Debug)]
pub struct BlobArgs {
    /// Requests are kept here.
    pub store: Store,
    /// Takes the items.
    pub ledger: Ledger,
    /// Gives the bytes; without the archive as a source.
    pub retriever: Retriever,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Changes whenever there may be a new finalized block.
    pub head: watch::Receiver<BlockNumHash>,
}

/// A blob whose permanence was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermanentBlob {
    /// The transaction that carries it.
    pub tx: TxHash,
    /// Its block; may change until it is finalized.
    pub block: BlockNumHash,
    /// Bytes.
    pub length: u64,
    /// Its item; `None` until its block is finalized.
    pub item: Option<ItemStatus>,
}

/// Buys permanence for blobs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BlobPermanence {
    queue: Arc<Queue>,
    wake: Arc<Notify>,
    task: Task,
}

impl BlobPermanence {
    /// Starts the task. To be called within a tokio runtime.
    pub fn spawn(args: BlobArgs) -> Self {
        let BlobArgs { store, ledger, retriever, chain_id, head } = args;
        let metrics = CheckpointMetrics::default();
        let queue = Arc::new(Queue { store, ledger, retriever, chain_id, metrics });
        let (wake, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let work = run(Arc::clone(&queue), head, Arc::clone(&wake), stop.clone());
        Self { queue, wake, task: Task::spawn("permanent blobs", stop, work) }
    }

    /// Asks for the permanence of a transaction's blob; on the disk when it returns. Asking again changes nothing.
    /// `None`: unknown transaction, or one without a blob. Blocks on the disk.
    pub fn request(&self, tx: TxHash) -> Result<Option<PermanentBlob>, PermanenceError> {
        if let Some(known) = self.state(tx)? {
            return Ok(Some(known));
        }
        let Some((block, length)) = self.queue.place(tx)? else { return Ok(None) };
        let requested_at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let record = PermanentBlobRecord { tx, block, length, item: None, requested_at };
        self.queue.store.put_permanent_blob(&record)?;
        self.wake.notify_one();
        self.state(tx)
    }

    /// What became of a request; `None`: there was none. Blocks on the disk.
    pub fn state(&self, tx: TxHash) -> Result<Option<PermanentBlob>, PermanenceError> {
        let Some(record) = self.queue.store.view().permanent_blob(tx)? else { return Ok(None) };
        let item = record.item.map(|key| self.queue.ledger.item(key)).transpose()?.flatten();
        Ok(Some(PermanentBlob { tx, block: record.block, length: record.length, item }))
    }

    /// The proof that a blob is permanent; `None` while it is not. Blocks on the disk.
    pub fn receipt(&self, tx: TxHash) -> Result<Option<ArchiveReceipt>, PermanenceError> {
        let item = self.queue.store.view().permanent_blob(tx)?.and_then(|record| record.item);
        Ok(item.map(|key| self.queue.ledger.receipt(key)).transpose()?.flatten())
    }

    /// Ends the task after the blob at hand. Safe to call more than once.
    pub async fn shutdown(&self) {
        self.task.shutdown().await;
    }
}

async fn run(
    queue: Arc<Queue>,
    mut head: watch::Receiver<BlockNumHash>,
    wake: Arc<Notify>,
    stop: CancellationToken,
) {
    loop {
        let (work, stopping) = (Arc::clone(&queue), stop.clone());
        let done = tokio::task::spawn_blocking(move || work.take_up(&stopping)).await;
        let failed = match done {
            Ok(Ok(())) => false,
            Ok(Err(error)) => {
                tracing::warn!(target: "weft::archive", error = &error as &dyn std::error::Error, "a blob waits for its permanence");
                true
            }
            // Cancelled only with the runtime; a panic has been printed.
            Err(_) => return,
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE), if failed => {}
            () = wake.notified(), if !failed => {}
            changed = head.changed(), if !failed => if changed.is_err() { return },
        }
    }
}

#[derive(Debug)]
struct Queue {
    store: Store,
    ledger: Ledger,
    retriever: Retriever,
    chain_id: u64,
    metrics: CheckpointMetrics,
}

impl Queue {
    /// The block of a transaction's blob, and its length.
    fn place(&self, tx: TxHash) -> Result<Option<(BlockNumHash, u64)>, StorageError> {
        let view = self.store.view();
        let Some(position) = view.tx_position(tx)? else { return Ok(None) };
        let (Some(hash), Some(summary)) =
            (view.canonical_hash(position.block)?, view.da_summary(position.block)?)
        else {
            return Ok(None);
        };
        let blob = summary.blobs.iter().find(|blob| blob.tx_hash == tx);
        Ok(blob.map(|blob| (BlockNumHash { number: position.block, hash }, blob.length)))
    }

    /// Queues all that is finalized of what was asked for. Blobs that cannot be had do not hold up the others.
    fn take_up(&self, stop: &CancellationToken) -> Result<(), PermanenceError> {
        let (mut failure, mut after) = (None, None);
        loop {
            let waiting = self.store.view().permanent_blobs_waiting(after, BATCH)?;
            let Some(last) = waiting.last() else { return failure.map_or(Ok(()), Err) };
            after = Some(last.tx);
            for record in waiting {
                if stop.is_cancelled() {
                    return Ok(());
                }
                if let Err(error) = self.take(record) {
                    failure = Some(error);
                }
            }
        }
    }

    fn take(&self, record: PermanentBlobRecord) -> Result<(), PermanenceError> {
        // A reorganisation may have moved it, or taken it away until it comes again.
        let Some((block, length)) = self.place(record.tx)? else { return Ok(()) };
        let view = self.store.view();
        if view.finalized()?.is_none_or(|finalized| finalized.number < block.number) {
            return Ok(());
        }
        let chain = Chain::of(&view, self.chain_id)?;
        let position = view.tx_position(record.tx)?.ok_or(StorageError::MissingBlock(block.number))?;
        let tags = tags(LedgerKind::Blob, "application/octet-stream", &chain, block);
        let mut tags: Vec<Tag> = tags.into_iter().map(|(name, value)| Tag::new(name, value)).collect();
        tags.extend(blob_tags(&view, position, record.tx)?);
        drop(view);
        let Some(bytes) = self.retriever.blob(record.tx, None, Source::Any)? else { return Ok(()) };
        let key = LedgerKey { kind: LedgerKind::Blob, sha256: weft_erasure::sha256(&bytes) };
        let item = NewItem { kind: LedgerKind::Blob, bytes, tags, block: block.number, after: Vec::new() };
        self.ledger.put(item)?;
        self.store.put_permanent_blob(&PermanentBlobRecord { block, length, item: Some(key), ..record })?;
        self.metrics.permanent_blobs.increment(1);
        self.metrics.permanent_blob_bytes.increment(length);
        tracing::info!(target: "weft::archive", tx = %record.tx, block = block.number, bytes = length, "blob queued for permanence");
        Ok(())
    }
}
