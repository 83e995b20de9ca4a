//! Reads one block's blobs from a database snapshot, from the body or from columns, checked.
//!
//! Lies that are possible here: a body or a column that rotted on disk, cell hashes that are another
//! block's, columns left over from a branch. All are found by comparing with the commitment in the header:
//! the hash table as a whole first, then each cell with its hash, then what was decoded.

use crate::RetrieveError;
use alloy_consensus::Transaction as _;
use alloy_primitives::{B256, Bytes};
use std::{collections::BTreeMap, sync::Arc};
use weft_erasure::{BlockCells, CheckedCell, cell_range, chunks_of, column_of, decode_chunk, encode_blob};
use weft_primitives::{
    BlobIndex, BlobRef, BlockNumber, ChunkIndex, ColumnIndex, EncodedBlob, Geometry, SealedHeader,
};
use weft_storage::{StoredTransaction, TxPosition, View};

/// A block with a commitment, as one snapshot sees it.
pub(crate) struct BlockReader<'a> {
    view: &'a View<'a>,
    pub(crate) header: SealedHeader,
    pub(crate) cells: Arc<BlockCells>,
}

impl<'a> BlockReader<'a> {
    /// `None`: no such block, or one without a commitment.
    pub(crate) fn open(view: &'a View<'a>, number: BlockNumber) -> Result<Option<Self>, RetrieveError> {
        let (Some(header), Some(cells)) = (view.header(number)?, view.block_cells(number)?) else {
            return Ok(None);
        };
        Ok(Some(Self { view, header, cells: Arc::new(cells) }))
    }

    /// With a hash table that was compared with this header before.
    pub(crate) fn with(view: &'a View<'a>, header: SealedHeader, cells: Arc<BlockCells>) -> Self {
        Self { view, header, cells }
    }

    pub(crate) fn number(&self) -> BlockNumber {
        self.header.number
    }

    pub(crate) fn geometry(&self) -> Geometry {
        self.cells.summary().geometry
    }

    pub(crate) fn blobs(&self) -> impl Iterator<Item = BlobReader<'_>> {
        (0..).zip(&self.cells.summary().blobs).map(|(index, entry)| self.blob(BlobIndex(index), *entry))
    }

    /// The blob that a chunk of the block belongs to.
    pub(crate) fn blob_of_chunk(&self, chunk: ChunkIndex) -> Result<BlobReader<'_>, RetrieveError> {
        let outside = |source| RetrieveError::Check { block: self.number(), source };
        self.cells.hash(chunk, ColumnIndex(0)).map_err(outside)?;
        let after = self.cells.summary().blobs.partition_point(|blob| blob.first_chunk <= chunk);
        let index = u32::try_from(after - 1).expect("a block counts its blobs in 32 bits");
        Ok(self.blob(BlobIndex(index), self.cells.summary().blobs[after - 1]))
    }

    fn blob(&self, index: BlobIndex, entry: BlobRef) -> BlobReader<'_> {
        BlobReader { block: self, index, entry }
    }
}

/// One blob of a block.
pub(crate) struct BlobReader<'a> {
    block: &'a BlockReader<'a>,
    pub(crate) index: BlobIndex,
    pub(crate) entry: BlobRef,
}

impl BlobReader<'_> {
    pub(crate) fn geometry(&self) -> Geometry {
        self.block.geometry()
    }

    pub(crate) fn position(&self) -> TxPosition {
        TxPosition { block: self.block.number(), index: self.entry.tx_index }
    }

    /// The calldata from the body, as it lies there; `None` when it was dropped.
    pub(crate) fn body(&self) -> Result<Option<Bytes>, RetrieveError> {
        body_input(self.block.view, self.position(), self.entry.tx_hash)
    }

    /// Whether the body is kept.
    pub(crate) fn has_body(&self) -> Result<bool, RetrieveError> {
        let stored = self.block.view.transaction(self.position())?;
        Ok(matches!(stored, Some(StoredTransaction::Whole(_))))
    }

    /// Columns that can be had: what the shard store holds, and with a body the data columns.
    pub(crate) fn columns_held(&self, body: bool) -> Result<Vec<ColumnIndex>, RetrieveError> {
        let mut held = self.block.view.columns_held(self.block.number(), self.index)?;
        if body {
            held.extend(all_columns(self.block.geometry()).take(self.block.geometry().data_shards()));
            held.sort_unstable();
            held.dedup();
        }
        Ok(held)
    }

    /// The blob's chunks `chunks` from columns of the shard store, each cell checked, and checked again
    /// where it was computed. Damaged cells count as missing.
    pub(crate) fn shards(&self, chunks: std::ops::Range<usize>) -> Result<Vec<u8>, RetrieveError> {
        let geometry = self.block.geometry();
        let mut columns = ColumnReader::new(self)?;
        let mut bytes = Vec::new();
        for chunk in chunks {
            let cells = columns.cells(chunk, geometry.data_shards())?;
            let length = geometry.chunk_length(self.length(), chunk);
            let decoded = decode_chunk(geometry, self.chunk(chunk), length, &cells)
                .map_err(|source| RetrieveError::Decode { block: self.block.number(), source })?;
            if cells.iter().any(|cell| usize::from(cell.column().0) >= geometry.data_shards()) {
                self.check_data_cells(chunk, &decoded)?;
            }
            bytes.extend_from_slice(&decoded);
        }
        Ok(bytes)
    }

    /// One chunk, from the body if it is there, else from columns.
    pub(crate) fn chunk_bytes(&self, body: Option<&Bytes>, chunk: usize) -> Result<Bytes, RetrieveError> {
        let size = self.block.geometry().chunk_bytes();
        match body {
            Some(body) => {
                let start = (chunk * size).min(body.len());
                Ok(body.slice(start..(start + size).min(body.len())))
            }
            None => Ok(self.shards(chunk..chunk + 1)?.into()),
        }
    }

    /// The chunks that hold `bytes`.
    pub(crate) fn chunks_of(
        &self,
        bytes: std::ops::Range<u64>,
    ) -> Result<std::ops::Range<usize>, RetrieveError> {
        chunks_of(self.block.geometry(), &self.entry, bytes)
            .map_err(|source| RetrieveError::Decode { block: self.block.number(), source })
    }

    /// Chunks of the blob.
    pub(crate) fn chunk_count(&self) -> usize {
        self.block.geometry().chunk_count(self.length())
    }

    /// Position in the block of the blob's chunk.
    pub(crate) fn chunk(&self, chunk: usize) -> ChunkIndex {
        let chunk = u32::try_from(chunk).expect("a block counts its chunks in 32 bits");
        ChunkIndex(self.entry.first_chunk.0 + chunk)
    }

    pub(crate) fn length(&self) -> usize {
        usize::try_from(self.entry.length).expect("usize has 64 bits")
    }

    /// The hashes of the blob's cells, chunk-major.
    pub(crate) fn hashes(&self) -> &[B256] {
        let n = self.block.geometry().columns();
        let start = self.entry.first_chunk.0 as usize * n;
        &self.block.cells.hashes()[start..start + self.chunk_count() * n]
    }

    /// The cell of a chunk out of a whole column, if it is what the block commits to.
    pub(crate) fn admit(&self, whole: &Bytes, chunk: usize, column: ColumnIndex) -> Option<CheckedCell> {
        let range = cell_range(self.block.geometry(), self.length(), chunk);
        if range.end > whole.len() {
            return None;
        }
        self.block.cells.check_cell(self.chunk(chunk), column, whole.slice(range)).ok()
    }

    fn check_data_cells(&self, chunk: usize, decoded: &[u8]) -> Result<(), RetrieveError> {
        let columns = weft_erasure::data_columns(self.block.geometry(), decoded);
        for (cell, column) in columns.into_iter().zip(all_columns(self.block.geometry())) {
            self.block
                .cells
                .check_cell(self.chunk(chunk), column, cell)
                .map_err(|source| RetrieveError::Check { block: self.block.number(), source })?;
        }
        Ok(())
    }
}

/// Walks one column of a block, from blob to blob; what it needs of a blob is read once.
pub(crate) struct CellCursor {
    column: ColumnIndex,
    /// Coded blobs that are in memory, by their place in the block.
    kept: Vec<Arc<EncodedBlob>>,
    current: Option<(BlobIndex, BlobColumn)>,
    recoded: u64,
}

/// Where the cells of one column of one blob come from.
struct BlobColumn {
    /// The column, whole.
    whole: Option<Bytes>,
    /// The body.
    body: Option<Bytes>,
}

impl CellCursor {
    /// `kept`: the block's coded blobs, where they are in memory; they are not believed.
    pub(crate) fn new(column: ColumnIndex, kept: Vec<Arc<EncodedBlob>>) -> Self {
        Self { column, kept, current: None, recoded: 0 }
    }

    /// Cells that had to be computed from their chunk.
    pub(crate) fn recoded(&self) -> u64 {
        self.recoded
    }

    /// Consecutive cells from chunk `first` on, cut at the block's end and before `bytes_max` is exceeded; one at least.
    pub(crate) fn cells(
        &mut self,
        block: &BlockReader<'_>,
        first: ChunkIndex,
        count: u32,
        bytes_max: usize,
    ) -> Result<Vec<Bytes>, RetrieveError> {
        let outside = |source| RetrieveError::Check { block: block.number(), source };
        block.cells.hash(first, self.column).map_err(outside)?;
        let end = first.0.saturating_add(count).min(block.cells.summary().chunk_count);
        let (mut cells, mut bytes) = (Vec::new(), 0);
        for chunk in first.0..end {
            let chunk = ChunkIndex(chunk);
            bytes += block.cells.cell_bytes(chunk).map_err(outside)?;
            if bytes > bytes_max && !cells.is_empty() {
                break;
            }
            let blob = block.blob_of_chunk(chunk)?;
            cells.push(self.cell(&blob, (chunk.0 - blob.entry.first_chunk.0) as usize)?);
        }
        Ok(cells)
    }

    /// One cell: as stored or cut from the body, else computed from its chunk.
    fn cell(&mut self, blob: &BlobReader<'_>, chunk: usize) -> Result<Bytes, RetrieveError> {
        if self.current.as_ref().is_none_or(|(index, _)| *index != blob.index) {
            self.current = Some((blob.index, self.open(blob)?));
        }
        let (_, from) = self.current.as_ref().expect("set just now");
        if let Some(cell) = from.whole.as_ref().and_then(|whole| blob.admit(whole, chunk, self.column)) {
            return Ok(cell.bytes().clone());
        }
        let (geometry, place) = (blob.block.geometry(), blob.chunk(chunk));
        let check = |cell| blob.block.cells.check_cell(place, self.column, cell);
        if let Some(body) = &from.body
            && usize::from(self.column.0) < geometry.data_shards()
            && let Ok(cell) = check(data_cell(geometry, body, chunk, self.column))
        {
            return Ok(cell.bytes().clone());
        }
        // Where the column was stored, the body was not read before.
        let body = if from.body.is_some() { from.body.clone() } else { blob.body()? };
        let bytes = blob.chunk_bytes(body.as_ref(), chunk)?;
        let cell = column_of(&encode_blob(geometry, &bytes), &bytes, self.column);
        self.recoded += 1;
        let checked =
            check(cell).map_err(|source| RetrieveError::Check { block: blob.block.number(), source })?;
        Ok(checked.bytes().clone())
    }

    fn open(&self, blob: &BlobReader<'_>) -> Result<BlobColumn, RetrieveError> {
        let geometry = blob.block.geometry();
        let row = usize::from(self.column.0).checked_sub(geometry.data_shards());
        let kept = self.kept.get(blob.index.0 as usize).filter(|kept| kept.cell_hashes == blob.hashes());
        let parity = row.and_then(|row| kept.and_then(|kept| kept.parity.get(row)).cloned());
        // A column that is noted and unreadable is a missing one.
        let stored = || blob.block.view.column(blob.block.number(), blob.index, self.column).ok().flatten();
        let whole = parity.or_else(stored);
        let body = if whole.is_some() && row.is_some() { None } else { blob.body()? };
        Ok(BlobColumn { whole, body })
    }
}

/// One data cell: a slice of the body, copied only where it ends within the padding.
fn data_cell(geometry: Geometry, body: &Bytes, chunk: usize, column: ColumnIndex) -> Bytes {
    let length = geometry.chunk_length(body.len(), chunk);
    let size = geometry.cell_bytes(length);
    let chunk_start = chunk * geometry.chunk_bytes();
    let start = (usize::from(column.0) * size).min(length);
    let end = (start + size).min(length);
    let slice = body.slice(chunk_start + start..chunk_start + end);
    if slice.len() == size {
        return slice;
    }
    let mut padded = Vec::with_capacity(size);
    padded.extend_from_slice(&slice);
    padded.resize(size, 0);
    padded.into()
}

/// Columns of one blob, each read from the disk once and only when it is needed.
struct ColumnReader<'a> {
    blob: &'a BlobReader<'a>,
    held: Vec<ColumnIndex>,
    read: BTreeMap<ColumnIndex, Bytes>,
}

impl<'a> ColumnReader<'a> {
    fn new(blob: &'a BlobReader<'a>) -> Result<Self, RetrieveError> {
        Ok(Self { blob, held: blob.columns_held(false)?, read: BTreeMap::new() })
    }

    /// `need` checked cells of a chunk, data columns first.
    fn cells(&mut self, chunk: usize, need: usize) -> Result<Vec<CheckedCell>, RetrieveError> {
        let number = self.blob.block.number();
        let mut cells = Vec::with_capacity(need);
        for &column in &self.held {
            let whole = match self.read.get(&column) {
                Some(whole) => whole.clone(),
                None => {
                    // A column that is noted and unreadable is a missing one; k others will do.
                    let read = self.blob.block.view.column(number, self.blob.index, column);
                    let whole = read.ok().flatten().unwrap_or_default();
                    self.read.insert(column, whole.clone());
                    whole
                }
            };
            match self.blob.admit(&whole, chunk, column) {
                Some(cell) => cells.push(cell),
                None => {
                    tracing::warn!(target: "weft::archive", block = number, blob = %self.blob.index, chunk, %column, "damaged cell")
                }
            }
            if cells.len() == need {
                return Ok(cells);
            }
        }
        let missing = all_columns(self.blob.block.geometry())
            .filter(|column| cells.iter().all(|cell| cell.column() != *column))
            .collect();
        Err(RetrieveError::Missing { tx: self.blob.entry.tx_hash, missing })
    }
}

/// All columns of a geometry.
pub(crate) fn all_columns(geometry: Geometry) -> impl Iterator<Item = ColumnIndex> {
    (0..u16::try_from(geometry.columns()).expect("Geometry allows at most 256 columns")).map(ColumnIndex)
}

/// The input of a transaction whose body is kept.
pub(crate) fn body_input(
    view: &View<'_>,
    position: TxPosition,
    tx_hash: B256,
) -> Result<Option<Bytes>, RetrieveError> {
    let stored = view.transaction(position)?.ok_or(RetrieveError::Gone(position.block))?;
    if matches!(stored, StoredTransaction::Dropped { .. }) {
        return Ok(None);
    }
    // Whole bytes ignore the input that would be put back.
    Ok(stored.with_input(tx_hash, Bytes::new()).map(|tx| tx.input().clone()))
}
