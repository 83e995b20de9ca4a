//! Drops bodies of large calldata beyond a window (`--da.retention`), once enough peers attest custody of enough columns.
//!
//! A worker with a checkpoint of its own, one bounded step at a time, called by whoever puts the node together. It never
//! goes beyond the finalized block, so no unwind reaches what it did, nor beyond what BlobArchive has stored. For each
//! block it asks peers what they keep, asks each for one cell that it chooses at random, and counts ([`CustodyProof`]);
//! storage deletes for that proof and for nothing else. A block that is attested too little holds up the later ones,
//! and is tried again: waiting costs disk, not data.
//!
//! Which lies are possible here is in [`CustodyAttestation`].

use crate::{BLOB_ARCHIVE, CellsRequest, ProvenCells, RetrieveError, metrics::RetentionMetrics};
use alloy_primitives::Bytes;
use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{fmt, sync::Arc};
use weft_primitives::{BlockNumHash, BlockNumber, ChunkIndex, ColumnIndex, DaSummary, SealedHeader};
use weft_storage::{
    CustodyAttestation, CustodyPolicy, CustodyProof, CustodyShortfall, StageCheckpoint, StageId,
    StorageError, Store, TxPosition,
};

/// The worker's name on disk, in metrics and in `da_status`.
pub const RETENTION: StageId = StageId("Retention");

/// Blocks that one step looks at.
const STEP_BLOCKS_MAX: u64 = 1024;
/// Claims that are spot-checked for one block; the policy needs a handful.
const CLAIMS_MAX: usize = 64;

/// What a peer says that it keeps of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustodyClaim {
    /// The peer's name, as the connection has authenticated it.
    pub peer: Bytes,
    /// Columns that it says it has complete.
    pub columns: Vec<ColumnIndex>,
}

/// Peers that keep columns. Calls block.
pub trait CustodyPeers: fmt::Debug + Send + Sync + 'static {
    /// What connected peers say that they keep of a block; no peer twice.
    fn claims(&self, block: BlockNumHash) -> Vec<CustodyClaim>;

    /// One cell from one peer, within its deadline. `None`: it did not answer, or does not have it.
    fn cell(&self, peer: &Bytes, request: &CellsRequest) -> Option<ProvenCells>;

    /// The peer was asked for a cell that it claims to have, and answered wrongly (`lied`) or not at all.
    fn failed(&self, peer: &Bytes, lied: bool);
}

/// When bodies go, and what stays of them.
#[derive(Clone, Debug)]
pub struct RetentionConfig {
    /// Newest blocks whose bodies are kept.
    pub window_blocks: u64,
    /// Inputs of fewer bytes stay in their bodies.
    pub input_bytes_min: u64,
    /// How much others must keep.
    pub policy: CustodyPolicy,
    /// Columns that stay here: this node's custody.
    pub keep: Vec<ColumnIndex>,
}

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetentionStep {
    /// Nothing is old enough, final and archived.
    Idle,
    /// Up to this block all is done that was to be done.
    Done {
        /// The checkpoint.
        up_to: BlockNumber,
        /// Bodies that went.
        bodies: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// This block's bodies may not go yet.
    Waiting {
        /// The block.
        block: BlockNumber,
        /// What is missing.
        shortfall: CustodyShortfall,
    },
}

/// The worker.
#[derive(Debug)]
pub struct Retention {
    store: Store,
    peers: Arc<dyn CustodyPeers>,
    config: RetentionConfig,
    random: Mutex<StdRng>,
    metrics: RetentionMetrics,
}

impl Retention {
    /// Over a full node's database; what it asks for is chosen by the system's randomness.
    pub fn new(store: Store, peers: Arc<dyn CustodyPeers>, config: RetentionConfig) -> Self {
        Self::with_random(store, peers, config, StdRng::from_os_rng())
    }

    /// With randomness of the caller's: for tests that print their seed.
    pub fn with_random(
        store: Store,
        peers: Arc<dyn CustodyPeers>,
        config: RetentionConfig,
        random: StdRng,
    ) -> Self {
        let metrics = RetentionMetrics::default();
        Self { store, peers, config, random: Mutex::new(random), metrics }
    }

    /// Goes on from the checkpoint: over at most 1024 blocks, and one block with bodies to drop.
    pub fn step(&self) -> Result<RetentionStep, RetrieveError> {
        let view = self.store.view();
        let start = view.stage_checkpoint(RETENTION)?.map_or(1, |checkpoint| checkpoint.number + 1);
        let end = self.end(&view)?;
        if start > end {
            self.metrics.waiting.set(0.0);
            return Ok(RetentionStep::Idle);
        }
        let (mut done, mut bodies, mut bytes) = (None, 0, 0);
        for number in start..=end.min(start.saturating_add(STEP_BLOCKS_MAX - 1)) {
            let header = view.header(number)?.ok_or(RetrieveError::Gone(number))?;
            let candidates = self.candidates(&view, number)?;
            if let Some((summary, positions)) = candidates {
                if done.is_some() {
                    break;
                }
                match self.attested(&header, &summary) {
                    Ok(proof) => {
                        for position in positions {
                            let dropped = self.store.drop_dispersed(position, &proof, &self.config.keep)?;
                            bodies += u64::from(dropped > 0);
                            bytes += dropped;
                        }
                    }
                    Err(shortfall) => {
                        self.metrics.waiting.set(1.0);
                        return Ok(RetentionStep::Waiting { block: number, shortfall });
                    }
                }
            }
            done = Some(header.num_hash());
            if bodies > 0 {
                break;
            }
        }
        let checkpoint: StageCheckpoint = done.ok_or(RetrieveError::Gone(start))?;
        self.store.commit_stage(RETENTION, checkpoint, &[])?;
        self.metrics.waiting.set(0.0);
        self.metrics.bodies_dropped.increment(bodies);
        self.metrics.bytes_dropped.increment(bytes);
        if bodies > 0 {
            tracing::info!(target: "weft::archive", number = checkpoint.number, bodies, bytes, "bodies dropped: peers keep their columns");
        }
        Ok(RetentionStep::Done { up_to: checkpoint.number, bodies, bytes })
    }

    /// The newest block whose bodies may go: final, archived, and older than the window.
    fn end(&self, view: &weft_storage::View<'_>) -> Result<BlockNumber, StorageError> {
        let head = view.head()?.number;
        let finalized = view.finalized()?.map_or(0, |finalized| finalized.number);
        let archived = view.stage_checkpoint(BLOB_ARCHIVE)?.map_or(0, |checkpoint| checkpoint.number);
        Ok(head.saturating_sub(self.config.window_blocks).min(finalized).min(archived))
    }

    /// The blobs of a block that are large enough to go, where there are any.
    fn candidates(
        &self,
        view: &weft_storage::View<'_>,
        number: BlockNumber,
    ) -> Result<Option<(DaSummary, Vec<TxPosition>)>, StorageError> {
        if view.check_body_kept(number).is_err() {
            return Ok(None);
        }
        let Some(summary) = view.da_summary(number)? else { return Ok(None) };
        let large = summary.blobs.iter().filter(|blob| blob.length >= self.config.input_bytes_min);
        let positions: Vec<_> =
            large.map(|blob| TxPosition { block: number, index: blob.tx_index }).collect();
        Ok(if positions.is_empty() { None } else { Some((summary, positions)) })
    }

    /// Asks peers until enough is attested, or nobody is left.
    fn attested(&self, header: &SealedHeader, summary: &DaSummary) -> Result<CustodyProof, CustodyShortfall> {
        let block = header.num_hash();
        let mut attestations = Vec::new();
        let count = |attestations: &[CustodyAttestation]| {
            CustodyProof::check(block, summary, self.config.policy, attestations)
        };
        for claim in self.peers.claims(block).into_iter().take(CLAIMS_MAX) {
            if let Some(attestation) = self.spot_check(header, summary, claim) {
                attestations.push(attestation);
                if let Ok(proof) = count(&attestations) {
                    return Ok(proof);
                }
            }
        }
        count(&attestations)
    }

    /// Asks a peer for a cell of its own that it could not foresee.
    fn spot_check(
        &self,
        header: &SealedHeader,
        summary: &DaSummary,
        claim: CustodyClaim,
    ) -> Option<CustodyAttestation> {
        let column = {
            let columns = summary.geometry.columns();
            let claimed: Vec<_> =
                claim.columns.iter().filter(|column| usize::from(column.0) < columns).collect();
            **claimed.get(self.below(claimed.len())?)?
        };
        let chunk = ChunkIndex(u32::try_from(self.below(summary.chunk_count as usize)?).ok()?);
        let request = CellsRequest { block: header.hash(), column, first: chunk, count: 1 };
        let answer = self.peers.cell(&claim.peer, &request);
        let lied = answer.is_some();
        let spot = answer
            .and_then(|cells| cells.check(header.hash()).ok())
            .and_then(|range| range.cells().first().cloned())
            .filter(|cell| (cell.column(), cell.chunk()) == (column, chunk));
        let Some(spot) = spot else {
            self.metrics.spot_checks_failed.increment(1);
            self.peers.failed(&claim.peer, lied);
            return None;
        };
        self.metrics.spot_checks_passed.increment(1);
        Some(CustodyAttestation {
            peer: claim.peer,
            block: header.num_hash(),
            columns: claim.columns,
            asked: (column, chunk),
            spot,
        })
    }

    /// A number below `count`; `None` when there is none.
    fn below(&self, count: usize) -> Option<usize> {
        (count > 0).then(|| self.random.lock().random_range(0..count))
    }
}
