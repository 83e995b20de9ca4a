//! Gives blobs, cells and proofs back.
//!
//! Sources in order: the body, then the columns in the own shard store, then Arweave where it is set up. All reads of one
//! request are of one snapshot. Every call blocks on disk and decodes on the caller's thread: use it off the async threads.
//! A range costs what its chunks cost, plus the block's hash table (`C·n` hashes are checked per request).

use crate::{
    ArchiveSource, RetrieveError,
    reader::{BlobReader, BlockReader, body_input},
};
use alloy_primitives::{Bytes, TxHash};
use weft_erasure::{BlobProof, BlockCells, CellProof, ColumnProof, ProofError, RangeProof};
use weft_primitives::{BlobIndex, BlockNumber, ChunkIndex, ColumnIndex, SealedHeader};
use weft_storage::{Store, View};

/// Where `da_getBlob` may look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Wherever it is nearest.
    #[default]
    Any,
    /// The block's body only.
    Body,
    /// Own columns only, even where the body is kept.
    Shards,
    /// Arweave only.
    Archive,
}

/// Gives back what was put in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Retriever {
    store: Store,
    archive: Option<ArchiveSource>,
}

impl Retriever {
    /// Over one database.
    pub fn new(store: Store) -> Self {
        Self { store, archive: None }
    }

    /// With Arweave as the last source. Calls may then wait for the network.
    pub fn with_archive(self, archive: ArchiveSource) -> Self {
        Self { archive: Some(archive), ..self }
    }

    /// The blob of a transaction, or `length` bytes of it from `offset` (fewer where it ends).
    /// `None`: unknown transaction, or one without a blob.
    pub fn blob(
        &self,
        tx: TxHash,
        range: Option<(u64, u64)>,
        source: Source,
    ) -> Result<Option<Bytes>, RetrieveError> {
        if source == Source::Archive {
            return self.archived(tx, range);
        }
        match self.local_blob(tx, range, source) {
            missing @ (Ok(None) | Err(RetrieveError::Missing { .. }))
                if source == Source::Any && self.may_be_archived(tx, missing.is_err())? =>
            {
                match (self.archived(tx, range), missing) {
                    (Ok(Some(bytes)), _) => Ok(Some(bytes)),
                    (Ok(None), missing) => missing,
                    // It exists, and cannot be had now.
                    (Err(error), Ok(_)) => Err(error),
                    (Err(error), missing) => {
                        tracing::debug!(target: "weft::archive", %tx, %error, "not from Arweave either");
                        missing
                    }
                }
            }
            local => local,
        }
    }

    /// Whether it is worth asking Arweave. Of a transaction that is unknown here only where its blob is noted as permanent,
    /// as below the block that a database was restored at; nobody makes the node search for any hash.
    fn may_be_archived(&self, tx: TxHash, known: bool) -> Result<bool, RetrieveError> {
        Ok(self.archive.is_some() && (known || self.store.view().permanent_blob(tx)?.is_some()))
    }

    /// From Arweave, proven by the block's header. The whole blob is fetched for any part of it.
    fn archived(&self, tx: TxHash, range: Option<(u64, u64)>) -> Result<Option<Bytes>, RetrieveError> {
        let Some(blob) = self.archive.as_ref().map(|archive| archive.blob(tx)).transpose()?.flatten() else {
            return Ok(None);
        };
        let bytes = clamp(tx, blob.len() as u64, range)?;
        Ok(Some(blob.slice(memory(bytes.start)..memory(bytes.end))))
    }

    fn local_blob(
        &self,
        tx: TxHash,
        range: Option<(u64, u64)>,
        source: Source,
    ) -> Result<Option<Bytes>, RetrieveError> {
        let view = self.store.view();
        let Some(position) = view.tx_position(tx)? else { return Ok(None) };
        let Some(summary) = view.da_summary(position.block)? else { return Ok(None) };
        let Some(entry) = summary.blobs.iter().find(|blob| blob.tx_index == position.index) else {
            return Ok(None);
        };
        let bytes = clamp(entry.tx_hash, entry.length, range)?;
        if source != Source::Shards {
            match body_input(&view, position, tx)? {
                Some(body) => return Ok(Some(body.slice(memory(bytes.start)..memory(bytes.end)))),
                None if source == Source::Body => return Err(RetrieveError::BodyDropped { tx }),
                None => {}
            }
        }
        if bytes.is_empty() {
            return Ok(Some(Bytes::new()));
        }
        let block = open(&view, position.block)?;
        let blob = block.blob_of_chunk(entry.first_chunk)?;
        let chunks = blob.chunks_of(bytes.clone())?;
        let skipped = chunks.start as u64 * block.geometry().chunk_bytes() as u64;
        let decoded = Bytes::from(blob.shards(chunks)?);
        Ok(Some(decoded.slice(memory(bytes.start - skipped)..memory(bytes.end - skipped))))
    }

    /// The block's header and cell hashes, checked against its commitment. `None`: no such block, or
    /// one without a commitment.
    pub fn commitment(
        &self,
        number: BlockNumber,
    ) -> Result<Option<(SealedHeader, BlockCells)>, RetrieveError> {
        let view = self.store.view();
        let opened = BlockReader::open(&view, number)?;
        Ok(opened.map(|block| (block.header, block.cells)))
    }

    /// Columns of a blob that can be had here; the data columns where the body is kept.
    pub fn columns_held(
        &self,
        number: BlockNumber,
        blob: BlobIndex,
    ) -> Result<Vec<ColumnIndex>, RetrieveError> {
        let view = self.store.view();
        let block = open(&view, number)?;
        let Some(blob) = block.blobs().nth(blob.0 as usize) else { return Ok(Vec::new()) };
        let whole =
            matches!(view.transaction(blob.position())?, Some(weft_storage::StoredTransaction::Whole(_)));
        blob.columns_held(whole)
    }

    /// One cell with its proof (`da_cellProof`). `None` as in [`Self::commitment`].
    pub fn cell_proof(
        &self,
        number: BlockNumber,
        column: ColumnIndex,
        chunk: ChunkIndex,
    ) -> Result<Option<CellProof>, RetrieveError> {
        let view = self.store.view();
        let Some(block) = BlockReader::open(&view, number)? else { return Ok(None) };
        let cell = cells(&block, column, chunk, 1)?.remove(0);
        CellProof::new(&block.header, &block.cells, column, chunk, cell)
            .map(Some)
            .map_err(proof_error(number))
    }

    /// Up to `count` consecutive cells of a column with one proof (`da_cells`), at least one.
    pub fn range_proof(
        &self,
        number: BlockNumber,
        column: ColumnIndex,
        first: ChunkIndex,
        count: u32,
    ) -> Result<Option<RangeProof>, RetrieveError> {
        let view = self.store.view();
        let Some(block) = BlockReader::open(&view, number)? else { return Ok(None) };
        let cells = cells(&block, column, first, count.max(1))?;
        RangeProof::new(&block.cells, column, first, cells).map(Some).map_err(proof_error(number))
    }

    /// A column's root with its proof.
    pub fn column_proof(
        &self,
        number: BlockNumber,
        column: ColumnIndex,
    ) -> Result<Option<ColumnProof>, RetrieveError> {
        let Some((header, cells)) = self.commitment(number)? else { return Ok(None) };
        ColumnProof::new(&header, &cells, column).map(Some).map_err(proof_error(number))
    }

    /// The proof that a transaction's blob is in its block (`da_receipt`, `da_blobInfo`). `None` as in [`Self::blob`].
    pub fn blob_proof(&self, tx: TxHash) -> Result<Option<BlobProof>, RetrieveError> {
        let view = self.store.view();
        let Some(position) = view.tx_position(tx)? else { return Ok(None) };
        let Some(block) = BlockReader::open(&view, position.block)? else { return Ok(None) };
        let Some(blob) = block.blobs().find(|blob| blob.entry.tx_index == position.index) else {
            return Ok(None);
        };
        BlobProof::new(&block.header, &block.cells, blob.index).map(Some).map_err(proof_error(position.block))
    }
}

fn open<'a>(view: &'a View<'a>, number: BlockNumber) -> Result<BlockReader<'a>, RetrieveError> {
    BlockReader::open(view, number)?.ok_or(RetrieveError::Gone(number))
}

/// The bytes asked for of `all`; a range that goes beyond the end is cut.
fn clamp(tx: TxHash, all: u64, range: Option<(u64, u64)>) -> Result<std::ops::Range<u64>, RetrieveError> {
    let (offset, length) = range.unwrap_or((0, all));
    if offset > all {
        return Err(RetrieveError::OutOfRange { tx, offset, length: all });
    }
    Ok(offset..offset.saturating_add(length).min(all))
}

/// Consecutive cells of a column, cut at the block's end. Bodies are read once per blob.
fn cells(
    block: &BlockReader<'_>,
    column: ColumnIndex,
    first: ChunkIndex,
    count: u32,
) -> Result<Vec<Bytes>, RetrieveError> {
    let outside = |source| RetrieveError::Check { block: block.number(), source };
    block.cells.hash(first, column).map_err(outside)?;
    let end = first.0.saturating_add(count).min(block.cells.summary().chunk_count);
    let mut cells = Vec::new();
    let mut current: Option<(BlobReader<'_>, Option<Bytes>)> = None;
    for chunk in first.0..end {
        let blob = block.blob_of_chunk(ChunkIndex(chunk))?;
        if current.as_ref().is_none_or(|(current, _)| current.index != blob.index) {
            let body = blob.body()?;
            current = Some((blob, body));
        }
        if let Some((blob, body)) = &current {
            let within = (chunk - blob.entry.first_chunk.0) as usize;
            cells.push(blob.cell(body.as_ref(), within, column)?.bytes().clone());
        }
    }
    Ok(cells)
}

fn proof_error(block: BlockNumber) -> impl Fn(ProofError) -> RetrieveError {
    move |source| RetrieveError::Proof { block, source }
}

fn memory(bytes: u64) -> usize {
    usize::try_from(bytes).expect("usize has 64 bits")
}
