//! What peers may ask of a node's cells: the answer to `/weft/cells/1`, from whatever the node keeps.
//!
//! A node that executes cuts cells out of bodies and shards and proves them from the block's hash table; one that keeps
//! columns proves them from what it has of the column. Who asks cannot tell the two apart. Calls block on the disk.

use crate::{
    ProvenCells, RetrieveError,
    proven::SEGMENT_BYTES_MAX,
    reader::{BlockReader, CellCursor},
};
use alloy_primitives::B256;
use parking_lot::Mutex;
use std::{collections::VecDeque, sync::Arc};
use weft_erasure::{Anchor, BlockCells, RangeProof};
use weft_primitives::{BlockNumber, ChunkIndex, ColumnIndex, SealedHeader};
use weft_storage::{DatabaseRole, Store, View};

/// Hash tables that are kept between requests, in hashes: 32 MiB.
const HASHES_KEPT_MAX: usize = 1 << 20;
/// And in blocks: who serves a column asks for the same few again and again.
const BLOCKS_KEPT_MAX: usize = 8;

/// Consecutive cells of one column of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellsRequest {
    /// The block's hash.
    pub block: B256,
    /// The column.
    pub column: ColumnIndex,
    /// Chunk of the first cell.
    pub first: ChunkIndex,
    /// Cells at most, one at least.
    pub count: u32,
}

/// Serves cells. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CellServer {
    store: Store,
    /// Tables that were compared with their headers, newest last. At most 32 MiB, or one block's.
    tables: Arc<Mutex<Tables>>,
}

/// Hash tables by block hash.
type Tables = VecDeque<(B256, Arc<BlockCells>)>;

impl CellServer {
    /// Over the database of a node of any role.
    pub fn new(store: Store) -> Self {
        Self { store, tables: Arc::default() }
    }

    /// The cells from the first on that follow each other here, at most `count` and at most 1 MiB of them (one in any
    /// case), with their proofs. `None`: the block, the column or the first cell is not here.
    pub fn cells(&self, request: &CellsRequest) -> Result<Option<ProvenCells>, RetrieveError> {
        let view = self.store.view();
        let Some(number) = view.block_number(request.block)? else { return Ok(None) };
        let Some(header) = view.header(number)?.filter(|header| header.hash() == request.block) else {
            return Ok(None);
        };
        match view.role()? {
            DatabaseRole::Da => held_cells(&view, &header, request),
            DatabaseRole::Full => self.block_cells(&view, header, request),
        }
    }

    /// Columns of a block that are here whole, ascending: what this node attests. Data columns count where all bodies are
    /// kept.
    pub fn complete_columns(&self, block: B256) -> Result<Vec<ColumnIndex>, RetrieveError> {
        let view = self.store.view();
        let Some(number) = view.block_number(block)? else { return Ok(Vec::new()) };
        if view.role()? == DatabaseRole::Da {
            let held = view.held_columns(number)?.into_iter();
            return Ok(held.filter(|(_, complete)| *complete).map(|(column, _)| column).collect());
        }
        let Some(header) = view.header(number)? else { return Ok(Vec::new()) };
        let Some(block) = self.open(&view, header)? else { return Ok(Vec::new()) };
        let mut all: Option<Vec<ColumnIndex>> = None;
        for blob in block.blobs() {
            let held = blob.columns_held(blob.has_body()?)?;
            all = Some(match all {
                None => held,
                Some(all) => all.into_iter().filter(|column| held.contains(column)).collect(),
            });
        }
        Ok(all.unwrap_or_default())
    }

    fn block_cells(
        &self,
        view: &View<'_>,
        header: SealedHeader,
        request: &CellsRequest,
    ) -> Result<Option<ProvenCells>, RetrieveError> {
        let number = header.number;
        let Some(block) = self.open(view, header)? else { return Ok(None) };
        let outside = block.cells.hash(request.first, request.column).is_err();
        if outside {
            return Ok(None);
        }
        let mut cursor = CellCursor::new(request.column, Vec::new());
        let count = request.count.max(1);
        match cursor.cells(&block, request.first, count, SEGMENT_BYTES_MAX) {
            Ok(cells) => proven(&block, request.column, request.first, cells).map(Some),
            // It is known, and not kept here.
            Err(RetrieveError::Missing { .. }) => {
                tracing::debug!(target: "weft::archive", number, column = %request.column, "cells asked for are not here");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// A block whose hash table was compared with its header, now or before. `None` where no table is kept.
    fn open<'a>(
        &self,
        view: &'a View<'a>,
        header: SealedHeader,
    ) -> Result<Option<BlockReader<'a>>, RetrieveError> {
        let hash = header.hash();
        let known =
            self.tables.lock().iter().find(|(block, _)| *block == hash).map(|(_, cells)| cells.clone());
        if let Some(cells) = known {
            return Ok(Some(BlockReader::with(view, header, cells)));
        }
        if view.check_body_kept(header.number).is_err() {
            return Ok(None);
        }
        let Some(block) = BlockReader::open(view, header.number)? else { return Ok(None) };
        let mut tables = self.tables.lock();
        tables.push_back((hash, Arc::clone(&block.cells)));
        let hashes = |tables: &Tables| tables.iter().map(|(_, cells)| cells.hashes().len()).sum::<usize>();
        while tables.len() > 1 && (tables.len() > BLOCKS_KEPT_MAX || hashes(&tables) > HASHES_KEPT_MAX) {
            tables.pop_front();
        }
        Ok(Some(block))
    }
}

/// Cells out of a body or shards, with their proofs.
pub(crate) fn proven(
    block: &BlockReader<'_>,
    column: ColumnIndex,
    first: ChunkIndex,
    cells: Vec<alloy_primitives::Bytes>,
) -> Result<ProvenCells, RetrieveError> {
    let number = block.number();
    let failed = |source| RetrieveError::Proof { block: number, source };
    Ok(ProvenCells {
        anchor: Anchor::new(block.header.header(), block.cells.summary()).map_err(failed)?,
        range: RangeProof::new(&block.cells, column, first, cells).map_err(failed)?,
    })
}

/// Cells of a column that is kept without its block. Checked as a receiver would, so that nothing damaged is served.
pub(crate) fn held_cells(
    view: &View<'_>,
    header: &SealedHeader,
    request: &CellsRequest,
) -> Result<Option<ProvenCells>, RetrieveError> {
    let number: BlockNumber = header.number;
    let Some(held) = view.held_column(number, request.column)? else { return Ok(None) };
    let chunks = request.first.0..request.first.0.saturating_add(request.count.max(1));
    let cells = view.column_cells(number, request.column, chunks, SEGMENT_BYTES_MAX)?;
    if cells.is_empty() {
        return Ok(None);
    }
    let failed = |source| RetrieveError::Proof { block: number, source };
    let range = held.prove(request.first, cells).map_err(failed)?;
    let proven = ProvenCells { anchor: held.anchor(header.header()), range };
    proven.check(header.hash()).map_err(failed)?;
    Ok(Some(proven))
}
