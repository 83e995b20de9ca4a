//! Gives blobs, cells and proofs back.
//!
//! Sources in order: the body, then the columns in the own shard store, then any k columns of peers, then Arweave, the last
//! two where they are set up. In a database without bodies the own columns are the first. All reads of one
//! request are of one snapshot. Every call blocks on disk and decodes on the caller's thread: use it off the async threads.
//! A range costs what its chunks cost, plus the block's hash table (`C·n` hashes are checked per request).

use crate::{
    ArchiveSource, CellsRequest, RetrieveError,
    peers::{BlobPlace, ColumnPeers, PeerSource, own_blob, place_in, place_of},
    reader::{BlockReader, CellCursor, body_input},
    serve::held_cells,
};
use alloy_primitives::{B256, Bytes, TxHash};
use std::sync::Arc;
use weft_erasure::{
    BlobProof, BlockCells, CellProof, CheckError, ColumnProof, ProofError, RangeProof, summary_of_roots,
};
use weft_primitives::{BlobIndex, BlockNumber, ChunkIndex, ColumnIndex, DaSummary, SealedHeader};
use weft_storage::{DatabaseRole, Store, View};

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
    /// Peers only, whatever is here.
    Peers,
    /// Arweave only.
    Archive,
}

/// Gives back what was put in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Retriever {
    store: Store,
    peers: Option<PeerSource>,
    archive: Option<ArchiveSource>,
}

impl Retriever {
    /// Over one database.
    pub fn new(store: Store) -> Self {
        Self { store, peers: None, archive: None }
    }

    /// With the network as a source. Calls may then wait for peers.
    pub fn with_peers(self, peers: Arc<dyn ColumnPeers>) -> Self {
        let peers = Some(PeerSource { store: self.store.clone(), peers });
        Self { peers, ..self }
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
        match source {
            Source::Archive => return self.archived(tx, range),
            Source::Peers => return self.peers_blob(tx, range, false),
            _ => {}
        }
        let local = self.local_blob(tx, range, source);
        if source != Source::Any || !matches!(local, Ok(None) | Err(RetrieveError::Missing { .. })) {
            return local;
        }
        let near = match (&self.peers, local) {
            // What the peers lack is what is missing: they were asked for all that is not here.
            (Some(_), Err(_)) => self.peers_blob(tx, range, true),
            (_, local) => local,
        };
        match near {
            missing @ (Ok(None) | Err(RetrieveError::Missing { .. }))
                if self.may_be_archived(tx, missing.is_err())? =>
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
            near => near,
        }
    }

    /// As [`Self::blob`], of a block of which only the header may be here: what it commits to is learnt from peers first.
    pub fn blob_in(
        &self,
        number: BlockNumber,
        tx: TxHash,
        range: Option<(u64, u64)>,
        source: Source,
    ) -> Result<Option<Bytes>, RetrieveError> {
        self.learn(number)?;
        match (self.blob(tx, range, source)?, &self.peers) {
            // Below a restored block transactions are not indexed, and what the block commits to is known.
            (None, Some(peers)) if matches!(source, Source::Any | Source::Peers) => {
                let place = place_in(&self.store.view(), number, tx)?;
                place.map(|place| from_place(peers, &place, range, source == Source::Any)).transpose()
            }
            (found, _) => Ok(found),
        }
    }

    /// Learns from peers what a block commits to, its blobs and column roots, and keeps it; in a database without bodies.
    /// Whether it was new. [`RetrieveError::Commitment`] when nobody tells it truly.
    pub fn learn(&self, number: BlockNumber) -> Result<bool, RetrieveError> {
        match &self.peers {
            Some(peers) => peers.learn(number),
            None => Ok(false),
        }
    }

    /// From peers, each cell proven by the header; with `own`, after what is here.
    fn peers_blob(
        &self,
        tx: TxHash,
        range: Option<(u64, u64)>,
        own: bool,
    ) -> Result<Option<Bytes>, RetrieveError> {
        let peers = self.peers.as_ref().ok_or(RetrieveError::NoPeers)?;
        let place = place_of(&self.store.view(), tx)?;
        place.map(|place| from_place(peers, &place, range, own)).transpose()
    }

    /// From the columns of a database without bodies.
    fn held_blob(
        &self,
        view: &View<'_>,
        tx: TxHash,
        range: Option<(u64, u64)>,
        source: Source,
    ) -> Result<Option<Bytes>, RetrieveError> {
        let Some(place) = place_of(view, tx)? else { return Ok(None) };
        if source == Source::Body {
            return Err(RetrieveError::BodyDropped { tx });
        }
        let bytes = clamp(tx, place.entry.length, range)?;
        if bytes.is_empty() { Ok(Some(Bytes::new())) } else { own_blob(view, &place, bytes).map(Some) }
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
        if view.role()? == DatabaseRole::Da {
            return self.held_blob(&view, tx, range, source);
        }
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
        Ok(opened.map(|block| (block.header, Arc::unwrap_or_clone(block.cells))))
    }

    /// What a block commits to, compared with its header, in a database of any role: below a restored block and without
    /// bodies too. `None`: no such block, or one whose blobs are not known here (see [`Self::learn`]).
    pub fn summary(&self, number: BlockNumber) -> Result<Option<(SealedHeader, DaSummary)>, RetrieveError> {
        let view = self.store.view();
        let (Some(header), Some(stored)) = (view.header(number)?, view.da_summary(number)?) else {
            return Ok(None);
        };
        let failed = |source| RetrieveError::Check { block: number, source };
        let found = summary_of_roots(stored.geometry, stored.blobs.clone(), stored.column_roots.clone())
            .map_err(failed)?;
        if *header.extra_data != found.da_root[..] || found != stored {
            let expected = B256::try_from(header.extra_data.as_ref()).unwrap_or_default();
            return Err(failed(CheckError::DaRoot { expected, found: stored.da_root }));
        }
        Ok(Some((header, stored)))
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

    /// Up to `count` consecutive cells of a column with one proof (`da_cells`), at least one. In a database without bodies
    /// those that are held, at most 1 MiB of them, or `None`.
    pub fn range_proof(
        &self,
        number: BlockNumber,
        column: ColumnIndex,
        first: ChunkIndex,
        count: u32,
    ) -> Result<Option<RangeProof>, RetrieveError> {
        let view = self.store.view();
        if view.role()? == DatabaseRole::Da {
            let Some(header) = view.header(number)? else { return Ok(None) };
            let request = CellsRequest { block: header.hash(), column, first, count };
            return Ok(held_cells(&view, &header, &request)?.map(|proven| proven.range));
        }
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

fn from_place(
    peers: &PeerSource,
    place: &BlobPlace,
    range: Option<(u64, u64)>,
    own: bool,
) -> Result<Bytes, RetrieveError> {
    let bytes = clamp(place.entry.tx_hash, place.entry.length, range)?;
    if bytes.is_empty() { Ok(Bytes::new()) } else { peers.blob(place, bytes, own) }
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

/// Consecutive cells of a column, cut at the block's end.
fn cells(
    block: &BlockReader<'_>,
    column: ColumnIndex,
    first: ChunkIndex,
    count: u32,
) -> Result<Vec<Bytes>, RetrieveError> {
    CellCursor::new(column, Vec::new()).cells(block, first, count, usize::MAX)
}

fn proof_error(block: BlockNumber) -> impl Fn(ProofError) -> RetrieveError {
    move |source| RetrieveError::Proof { block, source }
}

fn memory(bytes: u64) -> usize {
    usize::try_from(bytes).expect("usize has 64 bits")
}
