//! The work of a `da` node: takes segments in from the column topics, asks peers for what did not come, learns what blocks
//! commit to, and keeps the disk bounded.
//!
//! One task that dispatches; checking, storing and asking are done on blocking threads, [`CustodianConfig::threads`] of each
//! kind at a time. A column that does not come by itself is asked for, and rebuilt from any k others when nobody has it
//! ([`repair_column`]). A node that starts late finds all its columns due and works through them, oldest first.
//!
//! A segment's sender pays for a lie and for nothing else; gossip is passed on when it was good and new here.

use crate::{
    Bad, ColumnIntake, ColumnRepair, IntakeConfig, ProvenCells, RetrieveError, Retriever, Verdict, WorkItem,
    repair_column, task::Task,
};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};
use weft_erasure::empty_da_root;
use weft_p2p::{Announced, ColumnSegment, NetworkHandle, Offence};
use weft_primitives::{BlockNumHash, BlockNumber, ColumnIndex, Geometry};
use weft_storage::{ColumnLimits, StorageError, Store};

use super::{NetworkColumns, columns::is_absence};

/// Headers that one step believes: a run of a sync.
const BELIEVE_MAX: u64 = 1024;
/// Blocks whose commitments are looked for in one step.
const LEARN_MAX: usize = 64;
/// Blocks whose commitments nobody told yet that are tried again; the oldest give way, and are learnt when they are read.
const UNTOLD_MAX: usize = 4096;

/// Bounds of it.
#[derive(Clone, Debug)]
pub struct CustodianConfig {
    /// How segments are taken in.
    pub intake: IntakeConfig,
    /// What the disk may hold.
    pub limits: ColumnLimits,
    /// Segments being checked, and columns being asked for, at one time each.
    pub threads: usize,
    /// How often it is looked what is due.
    pub tick: Duration,
    /// How often the disk is looked at.
    pub prune_every: Duration,
}

impl CustodianConfig {
    /// Keeps these columns, in at most `bytes_max` bytes of cells and always those of the newest 64 blocks.
    pub fn new(custody: Vec<ColumnIndex>, bytes_max: u64) -> Self {
        Self {
            intake: IntakeConfig::new(custody),
            limits: ColumnLimits { bytes_max, window_blocks: None, blocks_min: 64 },
            threads: 4,
            tick: Duration::from_millis(250),
            prune_every: Duration::from_secs(5),
        }
    }
}

/// What it works with.
#[derive(Debug)]
pub struct CustodianArgs {
    /// Bounds.
    pub config: CustodianConfig,
    /// The chain's code.
    pub geometry: Geometry,
    /// A database without bodies.
    pub store: Store,
    /// Who is asked.
    pub columns: NetworkColumns,
    /// Learns what blocks commit to.
    pub retriever: Retriever,
    /// Cells as they are gossiped.
    pub segments: mpsc::Receiver<Announced<ColumnSegment>>,
    /// The newest believed header.
    pub head: watch::Receiver<BlockNumHash>,
}

/// A running custodian.
#[derive(Debug)]
pub struct Custodian {
    ended: CancellationToken,
    task: Task,
}

/// What the threads share.
struct Work {
    geometry: Geometry,
    store: Store,
    intake: ColumnIntake,
    columns: NetworkColumns,
    network: NetworkHandle,
    retriever: Retriever,
    limits: ColumnLimits,
    epoch: Instant,
}

struct Worker {
    work: Arc<Work>,
    config: CustodianConfig,
    segments: mpsc::Receiver<Announced<ColumnSegment>>,
    head: watch::Receiver<BlockNumHash>,
    stop: CancellationToken,
    checking: Arc<Semaphore>,
    asking: Arc<Semaphore>,
    tasks: JoinSet<Result<(), StorageError>>,
    /// The next block to believe.
    next: BlockNumber,
    /// The next block whose commitment was not looked for.
    unlearnt: BlockNumber,
    untold: VecDeque<BlockNumber>,
    learning: Option<JoinHandle<Result<Vec<BlockNumber>, StorageError>>>,
    pruned: Option<Instant>,
}

impl Custodian {
    /// Starts. To be called within a tokio runtime.
    pub fn spawn(args: CustodianArgs) -> Result<Self, StorageError> {
        let CustodianArgs { config, geometry, store, columns, retriever, segments, mut head } = args;
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let intake = ColumnIntake::new(store.clone(), config.intake.clone(), 0)?;
        let unlearnt = store.view().columns_first()?.max(1);
        let next = head.borrow_and_update().number + 1;
        let network = columns.network().clone();
        let limits = config.limits;
        let epoch = Instant::now();
        let work = Work { geometry, store, intake, columns, network, retriever, limits, epoch };
        let worker = Worker {
            work: Arc::new(work),
            segments,
            head,
            stop: stop.clone(),
            checking: Arc::new(Semaphore::new(config.threads.max(1))),
            asking: Arc::new(Semaphore::new(config.threads.max(1))),
            tasks: JoinSet::new(),
            next,
            unlearnt,
            untold: VecDeque::new(),
            learning: None,
            pruned: None,
            config,
        };
        let guard = ended.clone().drop_guard();
        let task = Task::spawn("custodian", stop, async move {
            let _guard = guard;
            if let Err(error) = worker.run().await {
                error!(target: "weft::archive", error = &error as &dyn std::error::Error, "custodian stops");
            }
        });
        Ok(Self { ended, task })
    }

    /// Returns when it has ended: by [`Self::shutdown`], or because the database cannot go on.
    pub async fn stopped(&self) {
        self.ended.cancelled().await;
    }

    /// Finishes what it writes and stops.
    pub async fn shutdown(&self) {
        self.task.shutdown().await;
    }
}

impl Worker {
    async fn run(mut self) -> Result<(), StorageError> {
        let mut tick = tokio::time::interval(self.config.tick);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            let room = Arc::clone(&self.checking).acquire_owned();
            tokio::select! {
                () = self.stop.cancelled() => break,
                Some(done) = self.tasks.join_next() => done.unwrap_or(Ok(()))?,
                changed = self.head.changed() => match changed {
                    Ok(()) => self.believe()?,
                    Err(_) => break,
                },
                _ = tick.tick() => self.on_tick().await?,
                (permit, Some(segment)) = async { (room.await, self.segments.recv().await) } => {
                    let work = Arc::clone(&self.work);
                    self.tasks.spawn_blocking(move || {
                        let _permit = permit;
                        work.take(segment)
                    });
                }
            }
        }
        self.tasks.shutdown().await;
        Ok(())
    }

    /// Awaits the columns of new blocks, and takes segments that came before their headers.
    fn believe(&mut self) -> Result<(), StorageError> {
        let newest = self.head.borrow_and_update().number;
        while self.next <= newest {
            let end = newest.min(self.next + BELIEVE_MAX - 1);
            let headers = self.work.store.view().headers(self.next..=end)?;
            let blocks: Vec<_> = headers.iter().map(|header| header.num_hash()).collect();
            self.next = end + 1;
            let work = Arc::clone(&self.work);
            self.tasks.spawn_blocking(move || work.intake.believe(&blocks, work.now_ms()).map(drop));
        }
        Ok(())
    }

    async fn on_tick(&mut self) -> Result<(), StorageError> {
        self.ask()?;
        self.learn().await?;
        if self.pruned.is_none_or(|at| at.elapsed() >= self.config.prune_every) {
            self.pruned = Some(Instant::now());
            let work = Arc::clone(&self.work);
            self.tasks.spawn_blocking(move || work.prune());
        }
        Ok(())
    }

    /// Asks peers for columns that are due, as many as there are threads.
    fn ask(&mut self) -> Result<(), StorageError> {
        let free = self.asking.available_permits();
        if free == 0 {
            return Ok(());
        }
        for item in self.work.intake.due(self.work.now_ms(), free)? {
            let Ok(permit) = Arc::clone(&self.asking).try_acquire_owned() else { break };
            let work = Arc::clone(&self.work);
            self.tasks.spawn_blocking(move || {
                let _permit = permit;
                work.mend(&item)
            });
        }
        Ok(())
    }

    /// Learns what the next blocks commit to; one batch of them at a time.
    async fn learn(&mut self) -> Result<(), StorageError> {
        if let Some(learning) = self.learning.take_if(|learning| learning.is_finished()) {
            self.untold.extend(learning.await.unwrap_or_else(|_| Ok(Vec::new()))?);
            while self.untold.len() > UNTOLD_MAX {
                self.untold.pop_front();
            }
        }
        if self.learning.is_some() {
            return Ok(());
        }
        let mut blocks: Vec<BlockNumber> = Vec::new();
        while blocks.len() < LEARN_MAX && self.unlearnt < self.next {
            blocks.push(self.unlearnt);
            self.unlearnt += 1;
        }
        let again = self.untold.len().min(LEARN_MAX - blocks.len());
        blocks.extend(self.untold.drain(..again));
        if !blocks.is_empty() {
            let work = Arc::clone(&self.work);
            self.learning = Some(tokio::task::spawn_blocking(move || work.learn(&blocks)));
        }
        Ok(())
    }
}

impl Work {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Takes a gossiped segment in and rules on it.
    fn take(&self, segment: Announced<ColumnSegment>) -> Result<(), StorageError> {
        let (segment, open) = segment.split();
        match self.intake.hear(&ProvenCells::from(segment), self.now_ms()) {
            Ok(Verdict::Accepted { .. }) => open.accept(),
            Ok(Verdict::Duplicate | Verdict::Unneeded(_)) => open.ignore(),
            Ok(Verdict::Bad(bad)) => match bad {
                Bad::Size { .. } | Bad::Proof(_) | Bad::Contradiction => open.reject(Offence::BadProof),
            },
            Err(error) => return self.bear(error),
        }
        Ok(())
    }

    /// Fetches or rebuilds a column that did not come.
    fn mend(&self, item: &WorkItem) -> Result<(), StorageError> {
        let (number, column) = (item.block.number, item.column);
        match repair_column(&self.store, Some(&self.columns), number, column, false) {
            Ok(ColumnRepair::Lost) => {
                debug!(target: "weft::archive", number, %column, "column cannot be had now");
                Ok(())
            }
            Ok(_) | Err(RetrieveError::Gone(_)) => Ok(()),
            Err(RetrieveError::Storage(error)) => self.bear(error),
            Err(error) => {
                warn!(target: "weft::archive", number, %column, %error, "column not mended");
                Ok(())
            }
        }
    }

    /// Learns what blocks commit to. Returns those of which nobody says it now.
    fn learn(&self, blocks: &[BlockNumber]) -> Result<Vec<BlockNumber>, StorageError> {
        let empty = empty_da_root(self.geometry);
        let mut untold = Vec::new();
        for &number in blocks {
            let header = self.store.view().header(number)?;
            if header.is_none_or(|header| *header.extra_data == empty[..]) {
                continue;
            }
            match self.retriever.learn(number) {
                Ok(_) => {}
                Err(error) if is_absence(&error) => untold.push(number),
                Err(RetrieveError::Storage(error)) => self.bear(error)?,
                Err(error) => warn!(target: "weft::archive", number, %error, "commitment not kept"),
            }
        }
        Ok(untold)
    }

    /// Keeps to the bounds of the disk, and tells others what is left.
    fn prune(&self) -> Result<(), StorageError> {
        let head = self.store.view().head()?.number;
        loop {
            let pruned = self.intake.prune(self.limits, head)?;
            if pruned.blocks == 0 {
                break;
            }
        }
        let first = self.store.view().columns_first()?;
        // There are no bodies, whatever the block.
        tokio::runtime::Handle::current().block_on(self.network.set_earliest(BlockNumber::MAX, first));
        Ok(())
    }

    /// A full disk is waited out; what was not written comes again. Everything else ends the custodian.
    fn bear(&self, error: StorageError) -> Result<(), StorageError> {
        match error {
            StorageError::DiskFull { .. }
            | StorageError::MissingBlock(_)
            | StorageError::ColumnsPruned { .. } => {
                warn!(target: "weft::archive", %error, "not stored");
                Ok(())
            }
            error => Err(error),
        }
    }
}
