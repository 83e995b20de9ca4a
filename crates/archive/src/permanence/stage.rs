//! The checkpoint stage: a checkpoint of every due finalized block, queued into the upload ledger.
//!
//! Due are the blocks whose number is a multiple of the interval, every one of them, in order, however far behind the stage
//! is. A checkpoint is there when its record is written, in one batch with the stage's checkpoint and after all its items
//! and its manifest are in the ledger. A crash before that has it made again: from the same state come the same items, which
//! the ledger knows, and the same manifest. The head never waits: the snapshot is a view of the database, and a ledger
//! without room makes the stage wait, nobody else.

use super::{PermanenceError, metrics::CheckpointMetrics};
use crate::{
    Ledger, LedgerError,
    checkpoint::{
        CheckpointError, CheckpointOptions, Cut, Item, ItemId, ItemKind, ItemSink, Kind, LAYERS_MAX, Parent,
        Progress, TransportError, write_checkpoint,
    },
    ledger::{NewItem, Upload, item_status},
    task::Task,
};
use parking_lot::Mutex;
use std::{
    num::NonZeroU64,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use weft_arweave::Tag;
use weft_primitives::{BlockNumHash, BlockNumber};
use weft_storage::{CheckpointRecord, LedgerKey, SortOptions, StageId, StorageError, Store, View};

/// The stage's name in `da_status`, metrics and the database.
pub const CHECKPOINT: StageId = StageId("Checkpoint");

/// Pauses after a failure: the first, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Who asks for a checkpoint now, and waits.
const COMMANDS_MAX: usize = 4;

/// When checkpoints are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointConfig {
    /// Of every so many blocks, those whose number is a multiple of it.
    pub interval: NonZeroU64,
    /// Every so many checkpoints one holds the whole state, the others what changed; 1: all are full. At most 256.
    pub full_every: NonZeroU64,
}

/// What the stage is started with.
#[derive(Clone, Debug)]
pub struct CheckpointArgs {
    /// Chain, state, and the stage's own records.
    pub store: Store,
    /// Takes the items.
    pub ledger: Ledger,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// When checkpoints are made.
    pub config: CheckpointConfig,
    /// Where keys are sorted that do not fit in memory; made if it is not there.
    pub folder: PathBuf,
    /// Changes whenever there may be a new finalized block.
    pub head: watch::Receiver<BlockNumHash>,
}

/// A checkpoint that is being made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Making {
    /// Its block.
    pub block: BlockNumber,
    /// Whether it holds the whole state.
    pub full: bool,
    /// How far.
    pub progress: Progress,
}

/// How far the stage has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckpointProgress {
    /// The newest checkpoint that is queued.
    pub queued: Option<BlockNumHash>,
    /// The newest checkpoint that is verified on Arweave, with all those below it. What an index rebuild found counts as well.
    pub archived: Option<BlockNumHash>,
    /// The newest finalized block.
    pub finalized: Option<BlockNumHash>,
    /// What is being made.
    pub making: Option<Making>,
    /// Finalized blocks above `archived`.
    pub lag_blocks: u64,
    /// Bytes of items, of checkpoints and blobs, that are not verified.
    pub lag_bytes: u64,
    /// Seconds between the blocks `archived` and `finalized`.
    pub lag_seconds: u64,
    /// What the last failure said, until a checkpoint is queued.
    pub error: Option<String>,
}

type Answer = oneshot::Sender<Result<BlockNumHash, PermanenceError>>;

/// Handle to the stage. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CheckpointStage {
    commands: mpsc::Sender<Answer>,
    progress: watch::Receiver<CheckpointProgress>,
    task: Task,
}

impl CheckpointStage {
    /// Starts following. To be called within a tokio runtime.
    pub fn spawn(args: CheckpointArgs) -> Self {
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let (sender, progress) = watch::channel(CheckpointProgress::default());
        let stop = CancellationToken::new();
        let CheckpointArgs { store, ledger, chain_id, config, folder, head } = args;
        let maker = Maker {
            store,
            ledger: ledger.clone(),
            chain_id,
            config,
            folder,
            progress: sender,
            stop: stop.clone(),
            metrics: CheckpointMetrics::default(),
            verified: Mutex::new(None),
        };
        let worker = Worker { maker: Arc::new(maker), ledger, head, commands: receiver, stop: stop.clone() };
        Self { commands, progress, task: Task::spawn(CHECKPOINT.0, stop, worker.run()) }
    }

    /// As of now.
    pub fn progress(&self) -> CheckpointProgress {
        self.progress.borrow().clone()
    }

    /// Changes with every step.
    pub fn watch(&self) -> watch::Receiver<CheckpointProgress> {
        self.progress.clone()
    }

    /// Makes a checkpoint of the newest finalized block, due or not, and gives its block once it is queued; there is only one of a
    /// block.
    pub async fn now(&self) -> Result<BlockNumHash, PermanenceError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(answer).await.map_err(|_| PermanenceError::ShutDown)?;
        answered.await.map_err(|_| PermanenceError::ShutDown)?
    }

    /// Ends after the item at hand; an unfinished checkpoint is made again by the next start. Safe to call more than once.
    pub async fn shutdown(&self) {
        self.task.shutdown().await;
    }
}

struct Worker {
    maker: Arc<Maker>,
    ledger: Ledger,
    head: watch::Receiver<BlockNumHash>,
    commands: mpsc::Receiver<Answer>,
    stop: CancellationToken,
}

impl Worker {
    async fn run(mut self) {
        let mut uploads = self.ledger.watch();
        let mut backoff = BACKOFF.0;
        loop {
            // All that is due first, then whatever changes.
            let pause = match self.step(Maker::make_due).await {
                Ok(more) => {
                    backoff = BACKOFF.0;
                    if more {
                        continue;
                    }
                    None
                }
                Err(_) if self.stop.is_cancelled() => return,
                Err(error) => {
                    self.maker.failed(&error, backoff);
                    let pause = backoff;
                    backoff = (backoff * 2).min(BACKOFF.1);
                    Some(pause)
                }
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                command = self.commands.recv() => {
                    let Some(answer) = command else { return };
                    let made = self.step(Maker::make_now).await;
                    // Who asked may have gone.
                    let _ = answer.send(made);
                }
                // The sender goes when the node stops.
                changed = self.head.changed(), if pause.is_none() => if changed.is_err() { return },
                changed = uploads.changed(), if pause.is_none() => if changed.is_err() { return },
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
        }
    }

    async fn step<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Maker) -> Result<T, PermanenceError> + Send + 'static,
    ) -> Result<T, PermanenceError> {
        let maker = Arc::clone(&self.maker);
        let work = tokio::task::spawn_blocking(move || work(&maker));
        // Cancelled only with the runtime; a panic has been printed.
        work.await.map_err(|_| PermanenceError::ShutDown)?
    }
}

/// Makes checkpoints; blocks.
struct Maker {
    store: Store,
    ledger: Ledger,
    chain_id: u64,
    config: CheckpointConfig,
    folder: PathBuf,
    progress: watch::Sender<CheckpointProgress>,
    stop: CancellationToken,
    metrics: CheckpointMetrics,
    /// The newest checkpoint that was seen to be verified with all below it.
    verified: Mutex<Option<BlockNumHash>>,
}

impl Maker {
    /// Makes the next checkpoint that is due; gives whether there was one. Brings the progress up to date.
    fn make_due(&self) -> Result<bool, PermanenceError> {
        let view = self.store.view();
        self.observe(&view)?;
        let Some(finalized) = view.finalized()? else { return Ok(false) };
        let last = last_record(&view)?;
        let interval = self.config.interval.get();
        // A restored database has no state below the block that it was restored at.
        let base = view.base()?.map_or(0, |base| base.number.saturating_sub(1));
        let from = last.as_ref().map_or(0, |last| last.block.number).max(base);
        let due = (from / interval + 1) * interval;
        drop(view);
        if due > finalized.number || self.stop.is_cancelled() {
            return Ok(false);
        }
        self.make(due, last)?;
        self.observe(&self.store.view())?;
        Ok(true)
    }

    fn make_now(&self) -> Result<BlockNumHash, PermanenceError> {
        let view = self.store.view();
        let finalized = view.finalized()?.ok_or(PermanenceError::NothingFinalized)?;
        let last = last_record(&view)?;
        drop(view);
        match last {
            Some(last) if last.block.number >= finalized.number => Ok(last.block),
            last => {
                let block = self.make(finalized.number, last)?;
                self.observe(&self.store.view())?;
                Ok(block)
            }
        }
    }

    fn make(
        &self,
        number: BlockNumber,
        last: Option<CheckpointRecord>,
    ) -> Result<BlockNumHash, PermanenceError> {
        let layers = self.config.full_every.get().min(LAYERS_MAX as u64);
        let depth = last.as_ref().map_or(0, |last| (last.depth + 1) % layers);
        let record = match self.write(number, last.as_ref(), depth) {
            // More changed than may be sorted: the whole state is less.
            Err(error) if depth > 0 && is_too_far(&error) => self.write(number, last.as_ref(), 0)?,
            written => written?,
        };
        Ok(record.block)
    }

    fn write(
        &self,
        number: BlockNumber,
        last: Option<&CheckpointRecord>,
        depth: u64,
    ) -> Result<CheckpointRecord, PermanenceError> {
        let started = Instant::now();
        std::fs::create_dir_all(&self.folder)
            .map_err(|source| StorageError::Io { path: self.folder.clone(), source })?;
        let parent = last.map(|last| self.as_parent(last)).transpose()?;
        let options = CheckpointOptions {
            chain_id: self.chain_id,
            kind: if depth == 0 { Kind::Full } else { Kind::Diff },
            parent,
            cut: Cut::default(),
            sort: SortOptions::in_folder(&self.folder),
        };
        let mut sink = LedgerSink {
            ledger: &self.ledger,
            stop: &self.stop,
            block: number,
            parent: last.map(|last| last.manifest),
            items: Vec::new(),
            bytes: 0,
        };
        let mut told = |progress: &Progress| {
            let making = Making { block: number, full: depth == 0, progress: *progress };
            self.progress.send_modify(|known| known.making = Some(making));
        };
        let made = write_checkpoint(&self.store, number, &options, &mut sink, &mut told);
        self.progress.send_modify(|known| known.making = None);
        let made = made?;
        let LedgerSink { mut items, bytes, .. } = sink;
        let manifest = items.pop().ok_or(StorageError::Ledger("a checkpoint without a manifest"))?;
        let view = self.store.view();
        let header = view.header(number)?.ok_or(StorageError::MissingBlock(number))?;
        let record = CheckpointRecord {
            block: made.manifest.block,
            timestamp: header.timestamp,
            depth,
            manifest,
            parent: parent.map(|parent| parent.id.0),
            bytes,
            items,
        };
        drop(view);
        self.store.put_checkpoint(&record, Some(CHECKPOINT))?;
        self.metrics.made.increment(1);
        self.metrics.made_full.increment(u64::from(depth == 0));
        self.metrics.item_bytes.increment(bytes);
        self.metrics.seconds.record(started.elapsed());
        self.progress.send_modify(|known| known.error = None);
        tracing::info!(target: "weft::checkpoint", number, hash = %record.block.hash, kind = %options.kind, items = record.items.len(), bytes, elapsed = ?started.elapsed(), "checkpoint queued");
        Ok(record)
    }

    fn as_parent(&self, record: &CheckpointRecord) -> Result<Parent, PermanenceError> {
        let item = self.ledger.item(record.manifest)?;
        let item = item.ok_or(StorageError::Ledger("a checkpoint's manifest is not in the ledger"))?;
        let (id, sha256) = (ItemId(item.id.0.into()), record.manifest.sha256);
        Ok(Parent { id, sha256, block: record.block })
    }

    fn failed(&self, error: &PermanenceError, retry: Duration) {
        self.metrics.failures.increment(1);
        let text = error_chain(error);
        tracing::warn!(target: "weft::checkpoint", error = text, retry_ms = retry.as_millis(), "no checkpoint, tried again later");
        self.progress.send_modify(|known| known.error = Some(text));
    }

    /// Brings progress and metrics up to date.
    fn observe(&self, view: &View<'_>) -> Result<(), StorageError> {
        let finalized = view.finalized()?;
        let queued = last_record(view)?.map(|last| last.block);
        let archived = self.archived(view)?;
        let reached = finalized.map_or(0, |finalized| finalized.number);
        let lag_blocks = reached.saturating_sub(archived.map_or(0, |archived| archived.number));
        let time = |block: Option<BlockNumHash>| -> Result<Option<u64>, StorageError> {
            let number = block.map_or(0, |block| block.number);
            Ok(view.header(number)?.map(|header| header.timestamp))
        };
        let lag_seconds = match (time(finalized)?, time(archived)?) {
            (Some(now), Some(then)) => now.saturating_sub(then),
            _ => 0,
        };
        let lag_bytes = self.ledger.status().spool_bytes;
        self.progress.send_if_modified(|known| {
            let before = known.clone();
            *known = CheckpointProgress {
                queued,
                archived,
                finalized,
                lag_blocks,
                lag_bytes,
                lag_seconds,
                making: known.making,
                error: known.error.take(),
            };
            *known != before
        });
        self.metrics.queued_block.set(queued.map_or(0, |block| block.number) as f64);
        self.metrics.archived_block.set(archived.map_or(0, |block| block.number) as f64);
        self.metrics.lag_blocks.set(lag_blocks as f64);
        self.metrics.lag_bytes.set(lag_bytes as f64);
        self.metrics.lag_seconds.set(lag_seconds as f64);
        Ok(())
    }

    /// Goes up from the newest checkpoint that was verified before.
    fn archived(&self, view: &View<'_>) -> Result<Option<BlockNumHash>, StorageError> {
        let mut verified = self.verified.lock();
        loop {
            let next = verified.map_or(0, |block: BlockNumHash| block.number + 1);
            let Some(record) = view.checkpoint_from(next)? else { return Ok(*verified) };
            if !is_archived(view, &record)? {
                return Ok(*verified);
            }
            *verified = Some(record.block);
        }
    }
}

/// Whether all of a checkpoint's own items are on Arweave. The manifest goes last, so it is asked first.
pub(super) fn is_archived(view: &View<'_>, record: &CheckpointRecord) -> Result<bool, StorageError> {
    for key in [&record.manifest].into_iter().chain(&record.items) {
        match item_status(view, *key)?.map(|item| item.upload) {
            Some(Upload::Verified(_) | Upload::Found) => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

fn is_too_far(error: &PermanenceError) -> bool {
    let PermanenceError::Checkpoint(error) = error else { return false };
    matches!(**error, CheckpointError::Storage(StorageError::TooFar { .. }))
}

fn last_record(view: &View<'_>) -> Result<Option<CheckpointRecord>, StorageError> {
    Ok(view.checkpoints_down(BlockNumber::MAX, 1)?.pop())
}

/// An error with its causes: a sink's own is only there.
fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Puts a checkpoint's items into the ledger.
struct LedgerSink<'a> {
    ledger: &'a Ledger,
    stop: &'a CancellationToken,
    block: BlockNumber,
    /// Manifest of the checkpoint below.
    parent: Option<LedgerKey>,
    items: Vec<LedgerKey>,
    bytes: u64,
}

impl ItemSink for LedgerSink<'_> {
    fn put(&mut self, item: &Item) -> Result<ItemId, TransportError> {
        if self.stop.is_cancelled() {
            return Err(LedgerError::ShutDown.into());
        }
        let kind = item.kind.in_ledger();
        let after = match item.kind {
            ItemKind::Manifest => self.items.iter().copied().chain(self.parent).collect(),
            _ => Vec::new(),
        };
        let new = NewItem {
            kind,
            bytes: item.bytes.clone(),
            tags: item.tags.iter().map(|(name, value)| Tag::new(*name, value.as_str())).collect(),
            block: self.block,
            after,
        };
        let id = self.ledger.put(new)?;
        self.items.push(LedgerKey { kind, sha256: item.sha256 });
        self.bytes += item.bytes.len() as u64;
        Ok(ItemId(id.0.into()))
    }
}
