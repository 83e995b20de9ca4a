//! Peers as a source: cells of any k columns, and what a block's `daRoot` commits to, from whoever has them.
//!
//! The network is behind [`ColumnPeers`], which chooses peers, asks several at a time, keeps deadlines and hears about each
//! answer whether it was good. Nothing of what it brings is believed: a piece counts when it leads to the header's
//! `daRoot`, a blob table when it leads there with its column roots. What a header cannot say is that the data were coded
//! as the protocol asks; that is what full nodes vouch for when they accept the block.
//!
//! Memory: the checked cells of the chunks asked for, `k` of each: as many bytes as the blob, `maxTxBytes` at most.

use crate::{ProvenCells, RetrieveError, reader::BlockReader};
use alloy_primitives::{Bytes, TxHash};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Range,
    sync::Arc,
};
use weft_erasure::{CheckedCell, CheckedRange, ProofError, decode_chunk, summary_of_roots};
use weft_primitives::{BlobRef, BlockNumber, ChunkIndex, ColumnIndex, DaSummary, Geometry, SealedHeader};
use weft_storage::{DatabaseRole, Store, View};

/// Blobs of one block that are read of a peer's table: 256 MiB of the smallest blobs, 3 MiB of table.
pub const BLOBS_MAX: usize = 1 << 16;

/// Cells that are wanted of a block.
#[derive(Clone, Copy, Debug)]
pub struct ColumnFetch<'a> {
    /// The block.
    pub header: &'a SealedHeader,
    /// Its chunks.
    pub chunks: Range32,
    /// Columns that would do, those that are had already left out. Where the block's geometry is not known here, there
    /// may be some among them that it does not have.
    pub columns: &'a [ColumnIndex],
    /// How many of them are needed of each chunk.
    pub need: usize,
}

/// Consecutive chunks, `first..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range32 {
    /// The first.
    pub first: u32,
    /// One past the last.
    pub end: u32,
}

/// What became of a piece that a peer sent.
#[derive(Debug)]
pub enum Taken {
    /// It was good; more is needed.
    More,
    /// It was good, and nothing more is needed.
    Enough,
    /// It was good and of no use: of a column or chunk that was not asked for or that is there already.
    Useless,
    /// It was a lie; whoever sent it deserves it.
    Bad(Box<ProofError>),
}

/// What a block's `daRoot` commits to, as somebody says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commitment {
    /// The block's code.
    pub geometry: Geometry,
    /// Its blobs.
    pub blobs: Vec<BlobRef>,
    /// Roots of its columns.
    pub column_roots: Vec<alloy_primitives::B256>,
}

impl Commitment {
    /// The summary that it makes, if the header commits to it.
    pub fn check(self, header: &SealedHeader) -> Option<DaSummary> {
        if self.blobs.len() > BLOBS_MAX {
            return None;
        }
        let summary = summary_of_roots(self.geometry, self.blobs, self.column_roots).ok()?;
        (*header.extra_data == summary.da_root[..]).then_some(summary)
    }
}

/// Why peers gave too little.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeersError {
    /// Nobody who is connected has (more of) it.
    #[error("no connected peer has it")]
    NobodyHas,
    /// Somebody may have it, and time was up.
    #[error("peers did not answer in time")]
    Deadline,
    /// The node is stopping.
    #[error("the network is stopping")]
    Stopped,
}

/// The network, seen by who misses something. Calls block until there is enough, nobody is left, or time is up.
pub trait ColumnPeers: fmt::Debug + Send + Sync + 'static {
    /// Asks for cells, and hands each piece to `take` as it comes (one at a time, at most 1 MiB), until that has
    /// [`Taken::Enough`]. Pieces may overlap and come in any order. `Ok` says that it has; nothing else is promised.
    fn fetch(
        &self,
        wanted: &ColumnFetch<'_>,
        take: &mut dyn FnMut(ProvenCells) -> Taken,
    ) -> Result<(), PeersError>;

    /// Asks one peer after the other what the block commits to, until `take` says that it was true.
    fn commitment(
        &self,
        header: &SealedHeader,
        take: &mut dyn FnMut(Commitment) -> bool,
    ) -> Result<(), PeersError>;
}

/// Checked cells of some chunks of a block.
#[derive(Debug)]
pub(crate) struct Gathered {
    chunks: Range<u32>,
    need: usize,
    cells: BTreeMap<u32, BTreeMap<ColumnIndex, CheckedCell>>,
}

impl Gathered {
    /// Nothing yet of `chunks`, of which `need` columns each will do.
    pub(crate) fn new(chunks: Range<u32>, need: usize) -> Self {
        Self { chunks, need, cells: BTreeMap::new() }
    }

    /// Adds a cell if it is of use; keeps no more than are needed.
    pub(crate) fn add(&mut self, cell: CheckedCell) -> bool {
        let chunk = cell.chunk().0;
        if !self.chunks.contains(&chunk) {
            return false;
        }
        let cells = self.cells.entry(chunk).or_default();
        if cells.len() >= self.need || cells.contains_key(&cell.column()) {
            return false;
        }
        cells.insert(cell.column(), cell);
        true
    }

    pub(crate) fn is_enough(&self) -> bool {
        self.chunks.clone().all(|chunk| self.have(chunk) >= self.need)
    }

    fn have(&self, chunk: u32) -> usize {
        self.cells.get(&chunk).map_or(0, BTreeMap::len)
    }

    /// The cells of a chunk.
    pub(crate) fn of(&self, chunk: u32) -> Vec<CheckedCell> {
        self.cells.get(&chunk).map(|cells| cells.values().cloned().collect()).unwrap_or_default()
    }

    /// Columns that are here of every chunk that lacks something: no use to ask for them.
    fn had(&self) -> BTreeSet<ColumnIndex> {
        let short = self.chunks.clone().filter(|chunk| self.have(*chunk) < self.need);
        let columns = short.map(|chunk| {
            let cells = self.cells.get(&chunk);
            cells.map(|cells| cells.keys().copied().collect::<BTreeSet<_>>()).unwrap_or_default()
        });
        columns.reduce(|all, next| &all & &next).unwrap_or_default()
    }

    /// Columns that some chunk lacks.
    pub(crate) fn missing(&self, geometry: Geometry) -> Vec<ColumnIndex> {
        let had = self.had();
        crate::reader::all_columns(geometry).filter(|column| !had.contains(column)).collect()
    }

    /// Adds what peers give, until it is enough or they have no more. Returns the cells that were of use.
    pub(crate) fn fetch(
        &mut self,
        peers: &dyn ColumnPeers,
        header: &SealedHeader,
        geometry: Geometry,
    ) -> Result<u64, PeersError> {
        let columns = self.missing(geometry);
        let first = self.chunks.clone().find(|chunk| self.have(*chunk) < self.need);
        let last = self.chunks.clone().rev().find(|chunk| self.have(*chunk) < self.need);
        let (Some(first), Some(last)) = (first, last) else { return Ok(0) };
        let have = (first..=last).map(|chunk| self.have(chunk)).min().unwrap_or_default();
        let chunks = Range32 { first, end: last + 1 };
        let wanted = ColumnFetch { header, chunks, columns: &columns, need: self.need - have };
        let mut used = 0;
        let result = peers.fetch(&wanted, &mut |piece| {
            let range: CheckedRange = match piece.check(header.hash()) {
                Ok(range) => range,
                Err(error) => return Taken::Bad(Box::new(error)),
            };
            let added = range.cells().iter().filter(|cell| self.add((*cell).clone())).count() as u64;
            used += added;
            match (self.is_enough(), added) {
                (true, _) => Taken::Enough,
                (false, 0) => Taken::Useless,
                (false, _) => Taken::More,
            }
        });
        if self.is_enough() { Ok(used) } else { result.and(Err(PeersError::NobodyHas)) }
    }
}

/// A blob's place.
#[derive(Clone, Debug)]
pub(crate) struct BlobPlace {
    pub(crate) header: SealedHeader,
    pub(crate) geometry: Geometry,
    pub(crate) entry: BlobRef,
}

/// Blobs from peers, over a database of any role. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct PeerSource {
    pub(crate) store: Store,
    pub(crate) peers: Arc<dyn ColumnPeers>,
}

impl PeerSource {
    /// Bytes of a blob (within it) from peers, after the own columns if `own`.
    pub(crate) fn blob(
        &self,
        place: &BlobPlace,
        bytes: Range<u64>,
        own: bool,
    ) -> Result<Bytes, RetrieveError> {
        let geometry = place.geometry;
        let mut gathered = place.gather(&bytes)?;
        if own {
            // The longest wait is without a snapshot.
            own_cells(&self.store.view(), place, &mut gathered)?;
        }
        if !gathered.is_enough()
            && let Err(error) = gathered.fetch(&*self.peers, &place.header, geometry)
        {
            let (tx, missing) = (place.entry.tx_hash, gathered.missing(geometry));
            tracing::debug!(target: "weft::archive", %tx, %error, ?missing, "not from peers");
            return Err(RetrieveError::Missing { tx, missing });
        }
        place.decode(&gathered, bytes)
    }

    /// Learns what a block commits to and keeps it, where only its header is here. False: it is here already, or the block
    /// has no blobs as far as its own summary says.
    pub(crate) fn learn(&self, number: BlockNumber) -> Result<bool, RetrieveError> {
        let view = self.store.view();
        let Some(header) = view.header(number)? else { return Ok(false) };
        if view.role()? != DatabaseRole::Da || view.da_summary(number)?.is_some() {
            return Ok(false);
        }
        drop(view);
        let mut found = None;
        let result = self.peers.commitment(&header, &mut |claim| {
            found = claim.check(&header);
            found.is_some()
        });
        match (found, result) {
            (Some(summary), _) => {
                self.store.put_summary(header.num_hash(), &summary)?;
                Ok(true)
            }
            (None, result) => {
                let source = result.err().unwrap_or(PeersError::NobodyHas);
                Err(RetrieveError::Commitment { block: number, source })
            }
        }
    }
}

/// Where the blob of a transaction lies, in a database of any role. `None`: unknown transaction, or no blob.
pub(crate) fn place_of(view: &View<'_>, tx: TxHash) -> Result<Option<BlobPlace>, RetrieveError> {
    let Some(position) = view.tx_position(tx)? else { return Ok(None) };
    place_in(view, position.block, tx)
}

/// As [`place_of`], in a block that the caller knows.
pub(crate) fn place_in(
    view: &View<'_>,
    number: BlockNumber,
    tx: TxHash,
) -> Result<Option<BlobPlace>, RetrieveError> {
    let (Some(header), Some(summary)) = (view.header(number)?, view.da_summary(number)?) else {
        return Ok(None);
    };
    let entry = summary.blobs.iter().find(|blob| blob.tx_hash == tx).copied();
    Ok(entry.map(|entry| BlobPlace { header, geometry: summary.geometry, entry }))
}

/// Adds the cells that are here. A damaged one counts as missing.
pub(crate) fn own_cells(
    view: &View<'_>,
    place: &BlobPlace,
    gathered: &mut Gathered,
) -> Result<(), RetrieveError> {
    let number = place.header.number;
    if view.role()? == DatabaseRole::Da {
        return own_held(view, &place.header, gathered);
    }
    if view.check_body_kept(number).is_err() {
        return Ok(());
    }
    let Some(block) = BlockReader::open(view, number)? else { return Ok(()) };
    let blob = block.blob_of_chunk(place.entry.first_chunk)?;
    for column in blob.columns_held(false)? {
        let Some(whole) = view.column(number, blob.index, column).ok().flatten() else { continue };
        for chunk in gathered.chunks.clone() {
            let within = (chunk - place.entry.first_chunk.0) as usize;
            if let Some(cell) = blob.admit(&whole, within, column) {
                gathered.add(cell);
            }
        }
    }
    Ok(())
}

/// Adds cells of columns that are kept without their block.
pub(crate) fn own_held(
    view: &View<'_>,
    header: &SealedHeader,
    gathered: &mut Gathered,
) -> Result<(), RetrieveError> {
    for (column, _) in view.held_columns(header.number)? {
        if gathered.is_enough() {
            break;
        }
        for range in checked_runs(view, header, column, gathered.chunks.clone())? {
            range.cells().iter().for_each(|cell| {
                gathered.add(cell.clone());
            });
        }
    }
    Ok(())
}

/// The held cells of a column in a range of chunks, checked against the header. A run with damage in it is left out.
pub(crate) fn checked_runs(
    view: &View<'_>,
    header: &SealedHeader,
    column: ColumnIndex,
    chunks: Range<u32>,
) -> Result<Vec<CheckedRange>, RetrieveError> {
    let Ok(Some(held)) = view.held_column(header.number, column) else { return Ok(Vec::new()) };
    let (mut runs, mut next) = (Vec::new(), chunks.start);
    while next < chunks.end {
        let Some(run) = held.run(ChunkIndex(next)) else {
            next += 1;
            continue;
        };
        let end = run.end.min(chunks.end);
        let Ok(cells) = view.column_cells(header.number, column, next..end, crate::proven::SEGMENT_BYTES_MAX)
        else {
            next = end;
            continue;
        };
        let taken = u32::try_from(cells.len()).unwrap_or(u32::MAX).max(1);
        let proven = held.prove(ChunkIndex(next), cells);
        let checked = proven.and_then(|range| {
            ProvenCells { anchor: held.anchor(header.header()), range }.check(header.hash())
        });
        match checked {
            Ok(range) => runs.push(range),
            Err(error) => {
                tracing::warn!(target: "weft::archive", number = header.number, %column, chunk = next, %error, "damaged cells");
            }
        }
        next = next.saturating_add(taken);
    }
    Ok(runs)
}

impl BlobPlace {
    /// Nothing yet of the chunks that hold `bytes`.
    fn gather(&self, bytes: &Range<u64>) -> Result<Gathered, RetrieveError> {
        let decode = |source| RetrieveError::Decode { block: self.header.number, source };
        let chunks = weft_erasure::chunks_of(self.geometry, &self.entry, bytes.clone()).map_err(decode)?;
        let in_block = |chunk: usize| {
            self.entry.first_chunk.0 + u32::try_from(chunk).expect("a block counts its chunks in 32 bits")
        };
        Ok(Gathered::new(in_block(chunks.start)..in_block(chunks.end), self.geometry.data_shards()))
    }

    /// `bytes` of the blob out of the cells of all chunks that hold them.
    fn decode(&self, gathered: &Gathered, bytes: Range<u64>) -> Result<Bytes, RetrieveError> {
        let length = usize::try_from(self.entry.length).expect("usize has 64 bits");
        let start = (gathered.chunks.start - self.entry.first_chunk.0) as usize;
        let mut decoded = Vec::new();
        for (within, chunk) in (start..).zip(gathered.chunks.clone()) {
            let size = self.geometry.chunk_length(length, within);
            let bytes = decode_chunk(self.geometry, ChunkIndex(chunk), size, &gathered.of(chunk))
                .map_err(|source| RetrieveError::Decode { block: self.header.number, source })?;
            decoded.extend_from_slice(&bytes);
        }
        let skipped = start as u64 * self.geometry.chunk_bytes() as u64;
        let within = |at: u64| usize::try_from(at - skipped).expect("usize has 64 bits");
        Ok(Bytes::from(decoded).slice(within(bytes.start)..within(bytes.end)))
    }
}

/// Bytes of a blob out of columns that are here.
pub(crate) fn own_blob(
    view: &View<'_>,
    place: &BlobPlace,
    bytes: Range<u64>,
) -> Result<Bytes, RetrieveError> {
    let mut gathered = place.gather(&bytes)?;
    own_cells(view, place, &mut gathered)?;
    if !gathered.is_enough() {
        return Err(RetrieveError::Missing {
            tx: place.entry.tx_hash,
            missing: gathered.missing(place.geometry),
        });
    }
    place.decode(&gathered, bytes)
}
