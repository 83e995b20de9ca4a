//! Sends a block's columns out: pieces of at most 1 MiB with their proofs, column by column.
//!
//! Nothing is coded again that is there: data cells are slices of the bodies, parity comes from the [`ParityCache`] while
//! it is in memory, else from the shard store; only where neither has it yet is it computed, cell by cell, and counted in
//! `weft_archive_dispersal_recoded`. Memory: one blob's column (`maxTxBytes / k`), one piece, and the block's hash table.

use crate::{
    ParityCache, ProvenCells, RetrieveError,
    metrics::DispersalMetrics,
    proven::SEGMENT_BYTES_MAX,
    reader::{BlockReader, CellCursor, all_columns},
    serve::proven,
};
use std::ops::ControlFlow;
use weft_primitives::{BlockNumHash, ChunkIndex, ColumnIndex};
use weft_storage::Store;

/// Cuts a block of this node's chain into pieces and hands each to `publish`, in the order of `columns` (all where it is
/// `None`) and chunks, until that breaks off. Returns how many went. Blocks on the disk and on `publish`.
///
/// [`RetrieveError::Gone`] when the block is not canonical; 0 for a block without blobs.
pub fn disperse(
    store: &Store,
    parity: Option<&ParityCache>,
    block: BlockNumHash,
    columns: Option<&[ColumnIndex]>,
    publish: &mut dyn FnMut(ProvenCells) -> ControlFlow<()>,
) -> Result<u64, RetrieveError> {
    let view = store.view();
    if view.canonical_hash(block.number)? != Some(block.hash) {
        return Err(RetrieveError::Gone(block.number));
    }
    let Some(reader) = BlockReader::open(&view, block.number)? else { return Ok(0) };
    let metrics = DispersalMetrics::default();
    let kept = parity.and_then(|parity| parity.get(block)).unwrap_or_default();
    let chunks = reader.cells.summary().chunk_count;
    let all: Vec<ColumnIndex> = all_columns(reader.geometry()).collect();
    let mut sent = 0;
    for &column in columns.unwrap_or(&all) {
        let mut cursor = CellCursor::new(column, kept.clone());
        let mut first = ChunkIndex(0);
        while first.0 < chunks {
            let cells = cursor.cells(&reader, first, chunks - first.0, SEGMENT_BYTES_MAX)?;
            let next = ChunkIndex(first.0 + u32::try_from(cells.len()).expect("as many as chunks"));
            let piece = proven(&reader, column, first, cells)?;
            let bytes = piece.bytes() as u64;
            if publish(piece).is_break() {
                return Ok(sent);
            }
            metrics.dispersed_bytes.increment(bytes);
            sent += 1;
            first = next;
        }
        metrics.dispersal_recoded.increment(cursor.recoded());
    }
    Ok(sent)
}
