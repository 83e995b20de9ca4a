//! `da_cells` and `da_cellProof`: cells of one column with what proves them.

use super::Quantity;
use crate::{Args, RpcContext, RpcError, chain};
use alloy_eips::BlockId;
use weft_erasure::{CellProof, RangeProof};
use weft_primitives::{ChunkIndex, ColumnIndex};
use weft_storage::View;

/// Cells in one answer.
pub(crate) const CELLS_MAX: u64 = 1024;

/// `da_cells(block, column, firstChunk, count)`; fewer than `count` where the block ends.
pub fn cells(context: &RpcContext, args: &Args<'_>) -> Result<Option<RangeProof>, RpcError> {
    let (id, column): (BlockId, Quantity) = (args.required(0)?, args.required(1)?);
    let (first, count): (Quantity, Quantity) = (args.required(2)?, args.required(3)?);
    let count = u32::try_from(count.0).ok().filter(|count| (1..=CELLS_MAX).contains(&u64::from(*count)));
    let count =
        count.ok_or_else(|| RpcError::InvalidParams(format!("count must be between 1 and {CELLS_MAX}")))?;
    let Some((number, column, first)) = place(&context.view(), id, column, first)? else { return Ok(None) };
    Ok(context.parts.retriever.range_proof(number, column, first, count)?)
}

/// `da_cellProof(block, column, chunk)`.
pub fn cell_proof(context: &RpcContext, args: &Args<'_>) -> Result<Option<CellProof>, RpcError> {
    let (id, column, chunk): (BlockId, Quantity, Quantity) =
        (args.required(0)?, args.required(1)?, args.required(2)?);
    let Some((number, column, chunk)) = place(&context.view(), id, column, chunk)? else { return Ok(None) };
    Ok(context.parts.retriever.cell_proof(number, column, chunk)?)
}

/// A cell's place; `None` when the block is unknown or commits to nothing.
fn place(
    view: &View<'_>,
    id: BlockId,
    column: Quantity,
    chunk: Quantity,
) -> Result<Option<(u64, ColumnIndex, ChunkIndex)>, RpcError> {
    let Some(number) = chain::block_number(view, id)? else { return Ok(None) };
    let Some(summary) = view.da_summary(number)? else { return Ok(None) };
    let (columns, chunks) = (summary.geometry.columns(), summary.chunk_count);
    let column = u16::try_from(column.0)
        .ok()
        .filter(|index| usize::from(*index) < columns)
        .ok_or_else(|| absent("column", column, columns))?;
    let chunk = u32::try_from(chunk.0)
        .ok()
        .filter(|index| *index < chunks)
        .ok_or_else(|| absent("chunk", chunk, chunks))?;
    Ok(Some((number, ColumnIndex(column), ChunkIndex(chunk))))
}

fn absent(what: &str, index: Quantity, count: impl std::fmt::Display) -> RpcError {
    RpcError::InvalidParams(format!("{what} {} does not exist: the block has {count}", index.0))
}
