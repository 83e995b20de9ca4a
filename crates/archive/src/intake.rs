//! Takes column segments in: checks each against a header that is believed, stores it, and knows what is missing.
//!
//! Called from any number of threads by who hears the column topics and fetches cells; calls a database without
//! execution. Which lies are possible in a segment is in [`ProvenCells`]; which cost the sender something is in [`Verdict`]:
//! only what no honest peer sends. Nothing runs by itself here: [`ColumnIntake::due`] says what to ask for, when it is
//! asked, in the caller's time.
//!
//! Memory: one segment per calling thread; [`IntakeConfig::early_bytes_max`] of segments whose header has not come yet; and
//! one entry per block with columns due, [`BLOCKS_WATCHED_MAX`] at most (the database knows of the rest).

use crate::{ProvenCells, metrics::IntakeMetrics};
use alloy_primitives::B256;
use parking_lot::Mutex;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Range,
};
use weft_erasure::{HeldColumn, ProofError};
use weft_primitives::{BlockNumHash, BlockNumber, ColumnIndex};
use weft_storage::{ColumnLimits, ColumnsPruned, StorageError, Store};

/// Blocks with columns due that are timed at once: a quarter of an hour of one-second blocks.
pub const BLOCKS_WATCHED_MAX: usize = 1024;
/// Times that a block's columns are asked for in a row; then it is the turn of others that are due.
const ASKED_MAX: u8 = 3;

/// How segments are taken in.
#[derive(Clone, Debug)]
pub struct IntakeConfig {
    /// Columns that this node keeps (PROTOCOL §5).
    pub custody: Vec<ColumnIndex>,
    /// Milliseconds after a header within which its columns come by themselves.
    pub patience_ms: u64,
    /// Milliseconds more that they are given while gossip of an earlier block, or their own, still comes: who seals is behind
    /// then, and whoever asks for what is on its way makes that worse.
    pub behind_ms: u64,
    /// Milliseconds after which what was asked for is asked for again.
    pub retry_ms: u64,
    /// Bytes of memory of segments that wait for their header.
    pub early_bytes_max: usize,
}

impl IntakeConfig {
    /// For these columns: 4 seconds, 30 more while gossip is behind, then every 10; 32 MiB of early segments.
    pub fn new(custody: Vec<ColumnIndex>) -> Self {
        Self { custody, patience_ms: 4_000, behind_ms: 30_000, retry_ms: 10_000, early_bytes_max: 32 << 20 }
    }
}

/// What a segment was, and so what its sender deserves.
#[derive(Debug)]
pub enum Verdict {
    /// Good and new: worth passing on. `complete`: it was the last of its column.
    Accepted {
        /// Cells that were not here before.
        cells_new: u32,
        /// Whether the column is whole now.
        complete: bool,
    },
    /// All its cells are here already. They were not looked at again: not to be passed on, and nobody's fault.
    Duplicate,
    /// Nothing that this node keeps; not looked at.
    Unneeded(Unneeded),
    /// A lie: to be passed on to nobody, and to cost the sender its score.
    Bad(Bad),
}

/// Why a segment is of no use here, whatever it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unneeded {
    /// Not one of this node's columns.
    NotCustody,
    /// Its header is not known (yet); kept aside while there is room, see [`ColumnIntake::believe`].
    Early,
    /// Its header is not known, and there is no room to keep it aside.
    Unknown,
    /// Its block is so old that its columns were given up.
    Pruned,
    /// What must be kept exceeds what may be: see [`ColumnsPruned::is_over`].
    NoRoom,
    /// The block was reorganised away in the meantime.
    Gone,
}

/// What is wrong with a segment.
#[derive(Debug, thiserror::Error)]
pub enum Bad {
    /// Longer than a segment may be, or empty.
    #[error("a segment of {bytes} bytes in {cells} cells")]
    Size {
        /// Bytes of its cells.
        bytes: usize,
        /// Its cells.
        cells: usize,
    },
    /// It does not lead to the block's commitment.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// It leads there, on another path than cells of that column before; so one of the two has broken SHA-256.
    #[error("its proof contradicts that of cells that are kept")]
    Contradiction,
}

/// Cells to ask a peer for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkItem {
    /// The block.
    pub block: BlockNumHash,
    /// The column.
    pub column: ColumnIndex,
    /// Chunks that are missing, ascending; `None` when nothing is known of the block but that it has some.
    pub missing: Option<Vec<Range<u32>>>,
}

#[derive(Debug, Default)]
struct State {
    watched: BTreeMap<BlockNumber, Watch>,
    /// Where the database's notes of what is due are read on.
    stored_from: BlockNumber,
    early: VecDeque<(B256, ProvenCells)>,
    early_bytes: usize,
    is_over: bool,
    /// The block of the last good segment that came by gossip, and when.
    heard: Option<(BlockNumber, u64)>,
}

/// A block with columns due.
#[derive(Clone, Copy, Debug)]
struct Watch {
    /// When they are to be asked for (again), in the caller's milliseconds.
    at_ms: u64,
    /// How often they were.
    asked: u8,
}

/// Takes segments in. Shared by threads.
#[derive(Debug)]
pub struct ColumnIntake {
    store: Store,
    config: IntakeConfig,
    custody: BTreeSet<ColumnIndex>,
    state: Mutex<State>,
    metrics: IntakeMetrics,
}

impl ColumnIntake {
    /// Over a database without execution. What was due before the last stop is due at once.
    pub fn new(store: Store, config: IntakeConfig, now_ms: u64) -> Result<Self, StorageError> {
        let custody = config.custody.iter().copied().collect();
        let intake =
            Self { store, config, custody, state: Mutex::default(), metrics: IntakeMetrics::default() };
        intake.watch_stored(now_ms)?;
        Ok(intake)
    }

    /// Checks a segment and stores it. An error is a failing database, never the sender's fault.
    pub fn take(&self, segment: &ProvenCells) -> Result<Verdict, StorageError> {
        let verdict = self.judge(segment)?;
        match &verdict {
            Verdict::Accepted { cells_new, complete } => {
                self.metrics.cells_taken.increment(u64::from(*cells_new));
                self.metrics.bytes_taken.increment(segment.bytes() as u64);
                self.metrics.columns_completed.increment(u64::from(*complete));
            }
            Verdict::Duplicate => self.metrics.segments_duplicate.increment(1),
            Verdict::Unneeded(_) => self.metrics.segments_unneeded.increment(1),
            Verdict::Bad(bad) => {
                self.metrics.segments_bad.increment(1);
                tracing::debug!(target: "weft::archive", column = %segment.column(), error = %bad, "bad segment");
            }
        }
        Ok(verdict)
    }

    /// As [`Self::take`], of a segment that came by gossip at `now_ms`.
    pub fn hear(&self, segment: &ProvenCells, now_ms: u64) -> Result<Verdict, StorageError> {
        let verdict = self.take(segment)?;
        if matches!(verdict, Verdict::Accepted { .. })
            && let Some(number) = self.store.view().block_number(segment.block_hash())?
        {
            self.state.lock().heard = Some((number, now_ms));
        }
        Ok(verdict)
    }

    fn judge(&self, segment: &ProvenCells) -> Result<Verdict, StorageError> {
        // Places and sizes before anything is read or hashed.
        let (bytes, cells) = (segment.bytes(), segment.range.cells.len());
        if cells == 0 || !segment.is_bounded() || segment.end() > u64::from(u32::MAX) {
            return Ok(Verdict::Bad(Bad::Size { bytes, cells }));
        }
        if !self.custody.contains(&segment.column()) {
            return Ok(Verdict::Unneeded(Unneeded::NotCustody));
        }
        let hash = segment.block_hash();
        let view = self.store.view();
        let Some(number) = view.block_number(hash)? else { return Ok(self.keep_aside(hash, segment)) };
        if number < view.columns_first()? {
            return Ok(Verdict::Unneeded(Unneeded::Pruned));
        }
        let chunks = segment.range.first_chunk as usize..segment.range.first_chunk as usize + cells;
        let held = match view.held_column(number, segment.column()) {
            Err(StorageError::Corrupt { .. }) => None,
            held => held?,
        };
        // A record that rotted knows nothing; leading it to the header costs a hash per cell, no cell is hashed.
        let header = view.header(number)?;
        let is_good = |held: &HeldColumn| header.as_ref().is_some_and(|header| held.check(header).is_ok());
        if held.is_some_and(|held| held.tree.holds(&chunks) && is_good(&held)) {
            return Ok(Verdict::Duplicate);
        }
        if self.state.lock().is_over {
            return Ok(Verdict::Unneeded(Unneeded::NoRoom));
        }
        drop(view);
        let range = match segment.check(hash) {
            Ok(range) => range,
            Err(error) => return Ok(Verdict::Bad(error.into())),
        };
        match self.store.put_range(BlockNumHash { number, hash }, &range) {
            Ok(progress) if progress.cells_new == 0 => Ok(Verdict::Duplicate),
            Ok(progress) => {
                let complete = progress.is_complete();
                Ok(Verdict::Accepted { cells_new: progress.cells_new, complete })
            }
            Err(StorageError::MissingBlock(_)) => Ok(Verdict::Unneeded(Unneeded::Gone)),
            Err(StorageError::ColumnsPruned { .. }) => Ok(Verdict::Unneeded(Unneeded::Pruned)),
            Err(StorageError::Inconsistent { .. }) => Ok(Verdict::Bad(Bad::Contradiction)),
            Err(error) => Err(error),
        }
    }

    /// A segment that overtook its header. The oldest make room; what is dropped comes again when it is asked for.
    fn keep_aside(&self, hash: B256, segment: &ProvenCells) -> Verdict {
        let bytes = weight(segment);
        if bytes > self.config.early_bytes_max {
            return Verdict::Unneeded(Unneeded::Unknown);
        }
        let mut state = self.state.lock();
        // Of one place there may be a lie and the truth; nobody knows yet which is which.
        if state.early.iter().any(|(block, other)| *block == hash && other == segment) {
            return Verdict::Unneeded(Unneeded::Early);
        }
        while state.early_bytes + bytes > self.config.early_bytes_max {
            let Some((_, oldest)) = state.early.pop_front() else { break };
            state.early_bytes -= weight(&oldest);
        }
        state.early_bytes += bytes;
        state.early.push_back((hash, segment.clone()));
        Verdict::Unneeded(Unneeded::Early)
    }

    /// Blocks whose headers are in the database now: their columns are awaited from `now_ms` on, and segments that came
    /// before them are taken in. Their verdicts are in the order in which they came.
    pub fn believe(&self, blocks: &[BlockNumHash], now_ms: u64) -> Result<Vec<Verdict>, StorageError> {
        let mut ready = Vec::new();
        {
            let mut state = self.state.lock();
            for block in blocks {
                state.watch(block.number, now_ms + self.config.patience_ms);
                let (found, rest): (VecDeque<_>, VecDeque<_>) =
                    std::mem::take(&mut state.early).into_iter().partition(|(hash, _)| *hash == block.hash);
                state.early = rest;
                state.early_bytes -= found.iter().map(|(_, segment)| weight(segment)).sum::<usize>();
                ready.extend(found.into_iter().map(|(_, segment)| segment));
            }
        }
        ready.iter().map(|segment| self.take(segment)).collect()
    }

    /// What to ask for now, oldest blocks first, at most `max` items and all of a block together; each is named again after
    /// `retry_ms`, and after the third time when all others that are due had their turn. So what nobody has holds up nothing.
    pub fn due(&self, now_ms: u64, max: usize) -> Result<Vec<WorkItem>, StorageError> {
        let mut work = Vec::new();
        let blocks: Vec<BlockNumber> = {
            let state = self.state.lock();
            state
                .watched
                .iter()
                .filter(|(number, watch)| {
                    watch.at_ms <= now_ms && !state.is_on_its_way(**number, watch, now_ms, &self.config)
                })
                .map(|(number, _)| *number)
                .collect()
        };
        let view = self.store.view();
        for number in blocks {
            if work.len() >= max {
                break;
            }
            let owed = view.columns_due(number, usize::from(u16::MAX))?;
            let owed: Vec<_> = owed
                .into_iter()
                .take_while(|(block, _)| *block == number)
                .map(|(_, column)| column)
                .collect();
            let Some(hash) = view.canonical_hash(number)?.filter(|_| !owed.is_empty()) else {
                self.state.lock().watched.remove(&number);
                continue;
            };
            if !work.is_empty() && work.len() + owed.len() > max {
                break;
            }
            let block = BlockNumHash { number, hash };
            for column in owed {
                let held = view.held_column(number, column)?;
                let missing = held.map(|held| held.tree.missing().iter().map(narrow).collect());
                work.push(WorkItem { block, column, missing });
            }
            self.state.lock().asked(number, now_ms + self.config.retry_ms);
        }
        drop(view);
        if self.state.lock().watched.len() < BLOCKS_WATCHED_MAX / 2 {
            self.watch_stored(now_ms + self.config.retry_ms)?;
        }
        self.metrics.columns_asked.increment(work.len() as u64);
        Ok(work)
    }

    /// The chain was taken back to `target`.
    pub fn unwound(&self, target: BlockNumber) {
        self.state.lock().watched.split_off(&(target + 1));
    }

    /// Keeps to the limits of the disk; until there is room again no segment is taken in.
    pub fn prune(&self, limits: ColumnLimits, allowed: BlockNumber) -> Result<ColumnsPruned, StorageError> {
        let pruned = self.store.prune_columns(limits, allowed)?;
        self.state.lock().is_over = pruned.is_over;
        self.metrics.bytes_pruned.increment(pruned.bytes);
        self.metrics.bytes_held.set(self.store.view().column_bytes()? as f64);
        Ok(pruned)
    }

    /// Bytes of memory of segments that wait for their header.
    pub fn early_bytes(&self) -> usize {
        self.state.lock().early_bytes
    }

    /// Watches the next blocks that the database has as due, round and round.
    fn watch_stored(&self, at_ms: u64) -> Result<(), StorageError> {
        let from = self.state.lock().stored_from;
        let due = self.store.view().columns_due(from, BLOCKS_WATCHED_MAX)?;
        let mut state = self.state.lock();
        // The last block may have been cut off in the middle: it is watched as a whole.
        due.iter().for_each(|(number, _)| state.watch(*number, at_ms));
        let is_end = due.len() < BLOCKS_WATCHED_MAX;
        state.stored_from = due.last().filter(|_| !is_end).map_or(0, |(number, _)| number + 1);
        Ok(())
    }
}

impl State {
    /// Whether columns that were not asked for yet are to be expected by gossip, which comes block by block.
    fn is_on_its_way(&self, number: BlockNumber, watch: &Watch, now_ms: u64, config: &IntakeConfig) -> bool {
        let is_behind = |(block, at_ms)| block <= number && now_ms < at_ms + config.patience_ms;
        watch.asked == 0 && now_ms < watch.at_ms + config.behind_ms && self.heard.is_some_and(is_behind)
    }

    /// When there are too many, the oldest gives way of those that were asked for most: the database brings it back.
    fn watch(&mut self, number: BlockNumber, at_ms: u64) {
        self.watched.entry(number).or_insert(Watch { at_ms, asked: 0 });
        if self.watched.len() > BLOCKS_WATCHED_MAX {
            let last = self.watched.iter().max_by_key(|(number, watch)| (watch.asked, Reverse(**number)));
            if let Some(last) = last.map(|(number, _)| *number) {
                self.watched.remove(&last);
            }
        }
    }

    /// A block's columns were asked for.
    fn asked(&mut self, number: BlockNumber, again_ms: u64) {
        let Some(watch) = self.watched.get_mut(&number) else { return };
        *watch = Watch { at_ms: again_ms, asked: watch.asked + 1 };
        if watch.asked >= ASKED_MAX {
            self.watched.remove(&number);
        }
    }
}

/// Bytes of memory that a segment keeps, with its fixed fields and a pointer per cell.
fn weight(segment: &ProvenCells) -> usize {
    let hashes = segment.range.range_proof.len() + segment.range.column_path.len();
    let cells = segment.range.cells.len() * size_of::<alloy_primitives::Bytes>();
    size_of::<ProvenCells>() + segment.anchor.header.len() + 32 * hashes + cells + segment.bytes()
}

fn narrow(range: &Range<usize>) -> Range<u32> {
    let number = |chunk| u32::try_from(chunk).expect("a block counts its chunks in 32 bits");
    number(range.start)..number(range.end)
}
