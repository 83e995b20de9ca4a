//! The BlobArchive stage: parity columns of every blob of every canonical block, into the shard store.
//!
//! Walks the whole range, block by block, oldest first. Output and checkpoint are one batch; a step that is
//! done again writes the same bytes under the same keys. Nothing is stored that does not match the
//! cell hashes that the block commits to. A step ends when it has [`STEP_BYTES_MAX`] of parity; worst case
//! in memory is that plus the parity of one block (`maxBlockBytes · m/k`).

use crate::{
    ParityCache, RetrieveError,
    metrics::ArchiveMetrics,
    reader::{BlobReader, BlockReader},
};
use rayon::prelude::*;
use std::{ops::RangeInclusive, sync::Arc};
use weft_erasure::{encode_again, encode_blob};
use weft_primitives::{BlockNumHash, BlockNumber, ColumnIndex, EncodedBlob};
use weft_stages::{Stage, StageError};
use weft_storage::{ColumnSegment, StageId, StorageError, Store, View};

/// The stage's name.
pub const BLOB_ARCHIVE: StageId = StageId("BlobArchive");

/// Parity that one step collects before it commits: 64 MiB, about 37 MB of calldata at 4 + 7.
const STEP_BYTES_MAX: usize = 64 << 20;

/// Stores what reconstructs calldata.
#[derive(Debug)]
pub struct BlobArchive {
    parity: ParityCache,
    metrics: ArchiveMetrics,
}

impl BlobArchive {
    /// Takes parity from `parity` where it is there.
    pub fn new(parity: ParityCache) -> Self {
        Self { parity, metrics: ArchiveMetrics::default() }
    }

    /// Bytes of blobs above the stage's checkpoint, counted up to the block that passes `enough`.
    pub fn backlog_bytes(store: &Store, enough: u64) -> Result<u64, StorageError> {
        let view = store.view();
        let done = view.stage_checkpoint(BLOB_ARCHIVE)?.map_or(0, |checkpoint| checkpoint.number);
        let mut bytes = 0;
        for number in done + 1..=view.head()?.number {
            let Some(summary) = view.da_summary(number)? else { continue };
            bytes += summary.blobs.iter().map(|blob| blob.length).sum::<u64>();
            if bytes > enough {
                break;
            }
        }
        Ok(bytes)
    }

    /// Parity columns of one block, and its hash.
    fn segments(
        &self,
        view: &View<'_>,
        number: BlockNumber,
    ) -> Result<(BlockNumHash, Vec<ColumnSegment>), RetrieveError> {
        let hash = view.canonical_hash(number)?.ok_or(StorageError::MissingBlock(number))?;
        let block = BlockNumHash { number, hash };
        let Some(reader) = BlockReader::open(view, number)? else { return Ok((block, Vec::new())) };
        let blobs: Vec<BlobReader<'_>> = reader.blobs().collect();
        let kept = self.parity.get(block).unwrap_or_default();
        let encoded = blobs
            .par_iter()
            .map(|blob| self.encoded(&reader, blob, kept.get(blob.index.0 as usize)))
            .collect::<Result<Vec<_>, _>>()?;
        let data_shards = reader.geometry().data_shards();
        let mut segments = Vec::new();
        for (blob, encoded) in blobs.iter().zip(&encoded) {
            self.metrics.blob_bytes.increment(blob.entry.length);
            let columns = (data_shards..).zip(&encoded.parity);
            segments.extend(columns.map(|(column, cells)| ColumnSegment {
                block: number,
                blob: blob.index,
                column: ColumnIndex(u16::try_from(column).expect("Geometry allows at most 256 columns")),
                cells: cells.clone(),
            }));
        }
        Ok((block, segments))
    }

    /// The coded blob: as kept, if it is the one that the block commits to, else coded again.
    fn encoded(
        &self,
        block: &BlockReader<'_>,
        blob: &BlobReader<'_>,
        kept: Option<&Arc<EncodedBlob>>,
    ) -> Result<Arc<EncodedBlob>, RetrieveError> {
        if let Some(kept) = kept.filter(|kept| kept.has_parity() && kept.cell_hashes == blob.hashes()) {
            self.metrics.parity_hits.increment(1);
            return Ok(Arc::clone(kept));
        }
        self.metrics.parity_misses.increment(1);
        let body = blob.body()?;
        if let Some(encoded) = body.and_then(|body| encode_again(block.geometry(), &body, blob.hashes())) {
            return Ok(Arc::new(encoded));
        }
        // The body was dropped, or rotted: what the columns give back is checked.
        let bytes = blob.shards(0..blob.chunk_count())?;
        Ok(Arc::new(encode_blob(block.geometry(), &bytes)))
    }
}

impl Stage for BlobArchive {
    fn id(&self) -> StageId {
        BLOB_ARCHIVE
    }

    fn execute(&self, store: &Store, range: RangeInclusive<BlockNumber>) -> Result<BlockNumber, StageError> {
        // One snapshot: if its last block is canonical when the step commits, so are the others.
        let view = store.view();
        let (mut done, mut bytes, mut segments) = (None, 0, Vec::new());
        for number in range.clone() {
            let (block, more) = self.segments(&view, number).map_err(|source| failed(number, source))?;
            bytes += more.iter().map(|segment| segment.cells.len()).sum::<usize>();
            segments.extend(more);
            done = Some(block);
            if bytes >= STEP_BYTES_MAX {
                break;
            }
        }
        let Some(done) = done else { return Ok(*range.end()) };
        drop(view);
        store.commit_stage(BLOB_ARCHIVE, done, &segments)?;
        self.metrics.parity_bytes.increment(bytes as u64);
        self.parity.forget_up_to(done.number);
        Ok(done.number)
    }

    fn unwind(&self, store: &Store, to: BlockNumber) -> Result<(), StageError> {
        Ok(store.unwind_stage(BLOB_ARCHIVE, to)?)
    }
}

/// A block that vanished while it was read was reorganised away: the pipeline looks again.
fn failed(number: BlockNumber, source: RetrieveError) -> StageError {
    match source {
        RetrieveError::Storage(error) => StageError::Storage(error),
        source => StageError::Failed { stage: BLOB_ARCHIVE.0, block: number, source: Box::new(source) },
    }
}
