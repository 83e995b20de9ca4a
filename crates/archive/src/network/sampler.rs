//! The work of a light node: asks for a few random cells of every block, and says which blocks it accepts.
//!
//! For each new header it draws its columns once, with randomness that nobody else knows, and a chunk of each as soon as it is
//! known how many there are. A block is *accepted* only when every one of these cells was served and verified against the header.
//! One that is not served within [`SamplerConfig::patience`] makes the block *unavailable*, which is said at once: a warning, a
//! counter, and `da_sampling`. Nothing is drawn again for a block: who withholds would be given another chance each time.
//!
//! What is kept: the last [`BLOCKS_KEPT_MAX`] blocks' results, in memory. After a restart the newest [`SamplerConfig::window`]
//! blocks are sampled anew. Memory: [`SamplerConfig::blocks_ahead`] × `samples` cells.

use super::columns::{NetworkColumns, is_absence};
use crate::{PeersError, Retriever, metrics::SamplingMetrics, task::Task};
use futures::{StreamExt, future::join_all, stream::FuturesUnordered};
use parking_lot::Mutex;
use rand::{SeedableRng, rngs::StdRng};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use weft_erasure::empty_da_root;
use weft_p2p::{
    PeerId,
    sampling::{Sample, confidence, draw_chunks, draw_columns},
};
use weft_primitives::{BlockNumHash, BlockNumber, ChunkIndex, ColumnIndex, Geometry, SealedHeader};
use weft_storage::Store;

/// Blocks whose results are remembered: about 500 bytes each.
pub const BLOCKS_KEPT_MAX: usize = 4096;
/// Pause before those who keep a column are asked again; the block may not have reached them.
const RETRY: Duration = Duration::from_millis(200);

/// How blocks are sampled.
#[derive(Clone, Debug)]
pub struct SamplerConfig {
    /// Columns that are asked for, one cell of each.
    pub samples: usize,
    /// After a header is here, its cells must be served within this time.
    pub patience: Duration,
    /// Blocks that are sampled at one time.
    pub blocks_ahead: usize,
    /// Newest blocks that are sampled when the node starts or was away; older ones are not.
    pub window: u64,
}

impl Default for SamplerConfig {
    /// Four of eleven columns: the fewest that leave a block which cannot be reconstructed no chance (C(3, 4) = 0).
    fn default() -> Self {
        Self { samples: 4, patience: Duration::from_secs(8), blocks_ahead: 8, window: 64 }
    }
}

/// What was found out about a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamplingState {
    /// Cells are being asked for.
    Pending,
    /// It commits to no data.
    Empty,
    /// All cells were served and verified.
    Accepted,
    /// A cell was not served in time.
    Unavailable,
}

impl SamplingState {
    /// As it is written in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Empty => "empty",
            Self::Accepted => "accepted",
            Self::Unavailable => "unavailable",
        }
    }
}

/// One cell that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampledCell {
    /// Its column.
    pub column: ColumnIndex,
    /// Its chunk; `None`: it was not learnt how many there are.
    pub chunk: Option<ChunkIndex>,
    /// Who served it; `None`: nobody.
    pub peer: Option<PeerId>,
}

/// A block's result.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockSampling {
    /// The block.
    pub block: BlockNumHash,
    /// What was found out.
    pub state: SamplingState,
    /// What was asked for.
    pub cells: Vec<SampledCell>,
    /// How sure it is that the block can be reconstructed, 0 to 1; 0 unless it is accepted.
    pub confidence: f64,
}

/// The results, written by the sampler and read by whoever shows them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct SamplingBook(Arc<Mutex<BTreeMap<BlockNumber, BlockSampling>>>);

impl SamplingBook {
    /// Of one block; `None`: it was not sampled, or long ago.
    pub fn get(&self, number: BlockNumber) -> Option<BlockSampling> {
        self.0.lock().get(&number).cloned()
    }

    /// The newest `count`, newest first.
    pub fn newest(&self, count: usize) -> Vec<BlockSampling> {
        self.0.lock().values().rev().take(count).cloned().collect()
    }

    /// How many of the remembered blocks are in a state.
    pub fn count(&self, state: SamplingState) -> usize {
        self.0.lock().values().filter(|block| block.state == state).count()
    }

    fn put(&self, result: BlockSampling) {
        let mut book = self.0.lock();
        book.insert(result.block.number, result);
        while book.len() > BLOCKS_KEPT_MAX {
            book.pop_first();
        }
    }
}

/// What a sampler works with.
#[derive(Debug)]
pub struct SamplerArgs {
    /// Bounds.
    pub config: SamplerConfig,
    /// The chain's code.
    pub geometry: Geometry,
    /// Where the headers are.
    pub store: Store,
    /// Who is asked.
    pub columns: NetworkColumns,
    /// Learns what sampled blocks commit to, so that their blobs can be asked for by transaction.
    pub retriever: Retriever,
    /// The newest believed header.
    pub head: watch::Receiver<BlockNumHash>,
}

/// A running sampler.
#[derive(Debug)]
pub struct Sampler {
    book: SamplingBook,
    task: Task,
}

/// What the sampling of one block needs.
#[derive(Debug)]
struct Work {
    config: SamplerConfig,
    geometry: Geometry,
    store: Store,
    columns: NetworkColumns,
    retriever: Retriever,
    random: Mutex<StdRng>,
    book: SamplingBook,
    metrics: SamplingMetrics,
}

impl Sampler {
    /// Starts to sample, with the system's randomness. To be called within a tokio runtime.
    pub fn spawn(args: SamplerArgs) -> Self {
        let SamplerArgs { config, geometry, store, columns, retriever, head } = args;
        let (stop, book) = (CancellationToken::new(), SamplingBook::default());
        let random = Mutex::new(StdRng::from_os_rng());
        let metrics = SamplingMetrics::default();
        let work = Work { config, geometry, store, columns, retriever, random, book: book.clone(), metrics };
        Self { book, task: Task::spawn("sampler", stop.clone(), run(Arc::new(work), head, stop)) }
    }

    /// The results.
    pub fn book(&self) -> SamplingBook {
        self.book.clone()
    }

    /// Gives up what is under way and stops.
    pub async fn shutdown(&self) {
        self.task.shutdown().await;
    }
}

async fn run(work: Arc<Work>, mut head: watch::Receiver<BlockNumHash>, stop: CancellationToken) {
    let mut under_way = FuturesUnordered::new();
    // The genesis commits to nothing.
    let mut next = head.borrow().number.saturating_sub(work.config.window).max(1);
    loop {
        let newest = head.borrow_and_update().number;
        let oldest = (newest + 1).saturating_sub(work.config.window);
        if next < oldest {
            debug!(target: "weft::sampling", from = next, to = oldest - 1, "blocks behind the window are not sampled");
            next = oldest;
        }
        while next <= newest && under_way.len() < work.config.blocks_ahead.max(1) {
            under_way.push(Arc::clone(&work).block(next));
            next += 1;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = head.changed() => if changed.is_err() { return },
            Some(()) = under_way.next() => {}
        }
    }
}

impl Work {
    async fn block(self: Arc<Self>, number: BlockNumber) {
        let header = self.store.view().header(number);
        let header = match header {
            Ok(Some(header)) => header,
            Ok(None) => return,
            Err(error) => {
                warn!(target: "weft::sampling", number, %error, "header cannot be read");
                return;
            }
        };
        let block = header.num_hash();
        if *header.extra_data == empty_da_root(self.geometry)[..] {
            let (state, cells) = (SamplingState::Empty, Vec::new());
            self.book.put(BlockSampling { block, state, cells, confidence: 1.0 });
            return;
        }
        let columns =
            draw_columns(&mut *self.random.lock(), self.geometry.columns(), self.config.samples.max(1));
        let asked = |column: &ColumnIndex| SampledCell { column: *column, chunk: None, peer: None };
        let cells: Vec<_> = columns.iter().map(asked).collect();
        let state = SamplingState::Pending;
        self.book.put(BlockSampling { block, state, cells: cells.clone(), confidence: 0.0 });
        let cells = self.ask(&header, &columns).await.unwrap_or(cells);
        let result = self.judge(block, cells);
        self.book.put(result);
        self.learn(number).await;
    }

    /// Asks for one cell of each column. `None`: not even the first column said how many chunks there are.
    async fn ask(&self, header: &SealedHeader, columns: &[ColumnIndex]) -> Option<Vec<SampledCell>> {
        let deadline = Instant::now() + self.config.patience;
        let first = *columns.first()?;
        let probe = Sample { column: first, chunk: ChunkIndex(0) };
        let (peer, chunks) = self.cell(header, probe, deadline).await?;
        let samples = draw_chunks(&mut *self.random.lock(), columns, chunks);
        let cells = samples.into_iter().map(|sample| async move {
            let peer = match sample == probe {
                true => Some(peer),
                false => self.cell(header, sample, deadline).await.map(|(peer, _)| peer),
            };
            SampledCell { column: sample.column, chunk: Some(sample.chunk), peer }
        });
        Some(join_all(cells).await)
    }

    /// One cell, verified; who served it, and how many chunks the block has. Until it is served or time is up.
    async fn cell(&self, header: &SealedHeader, sample: Sample, deadline: Instant) -> Option<(PeerId, u32)> {
        loop {
            let asked = self.columns.cells_of(header, sample.column, sample.chunk, 1);
            match tokio::time::timeout_at(deadline, asked).await {
                Ok(Ok((peer, range))) => {
                    self.metrics.cells_served.increment(1);
                    return Some((peer, range.held().preimage.chunk_count));
                }
                Ok(Err(PeersError::Stopped)) => return None,
                Ok(Err(_)) if Instant::now() + RETRY < deadline => sleep(RETRY).await,
                Ok(Err(_)) | Err(_) => {
                    self.metrics.cells_missed.increment(1);
                    return None;
                }
            }
        }
    }

    fn judge(&self, block: BlockNumHash, cells: Vec<SampledCell>) -> BlockSampling {
        let BlockNumHash { number, hash } = block;
        let missing: Vec<u16> =
            cells.iter().filter(|cell| cell.peer.is_none()).map(|cell| cell.column.0).collect();
        if missing.is_empty() {
            let confidence = confidence(self.geometry, cells.len());
            self.metrics.blocks_accepted.increment(1);
            self.metrics.confidence.set(confidence);
            info!(target: "weft::sampling", number, %hash, samples = cells.len(), confidence, "block accepted");
            BlockSampling { block, state: SamplingState::Accepted, cells, confidence }
        } else {
            self.metrics.blocks_unavailable.increment(1);
            self.metrics.confidence.set(0.0);
            warn!(target: "weft::sampling", number, %hash, ?missing, "block refused: sampled columns were not served");
            BlockSampling { block, state: SamplingState::Unavailable, cells, confidence: 0.0 }
        }
    }

    /// Keeps what the block commits to, where somebody says it.
    async fn learn(&self, number: BlockNumber) {
        let retriever = self.retriever.clone();
        let learnt = tokio::task::spawn_blocking(move || retriever.learn(number)).await;
        match learnt {
            Ok(Err(error)) if is_absence(&error) => {
                debug!(target: "weft::sampling", number, %error, "nobody says what the block commits to");
            }
            Ok(Err(error)) => warn!(target: "weft::sampling", number, %error, "commitment not kept"),
            Ok(Ok(_)) | Err(_) => {}
        }
    }
}
