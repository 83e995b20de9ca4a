//! `da_commitment`, `da_getBlob`, `da_cells` and `da_cellProof`. What only the header commits to is learnt from peers when it is
//! asked for; everything is checked against the header before it is served.

use super::{ColumnsContext, blocks::sealed_header};
use crate::{
    Args, RpcError,
    da::{Quantity, blobs::GetOptions, cells::CELLS_MAX, commitment::Commitment},
};
use alloy_eips::BlockId;
use alloy_primitives::{Bytes, TxHash};
use weft_archive::{CellsRequest, ProvenCells, RetrieveError};
use weft_erasure::{CellProof, RangeProof};
use weft_primitives::{ChunkIndex, ColumnIndex, SealedHeader};

/// `da_commitment(block)`; `null` for an unknown block and for one without commitment.
pub fn commitment(context: &ColumnsContext, args: &Args<'_>) -> Result<Option<Commitment>, RpcError> {
    let Some(header) = sealed_header(context, args.required(0)?)? else { return Ok(None) };
    learn(context, &header)?;
    let summary = context.view().da_summary(header.number)?;
    Ok(summary.map(|summary| Commitment::of(&header, summary)))
}

/// `da_getBlob(txHash, {offset?, length?, source?}, block?)`: which transaction lies where is known of blocks whose commitment
/// was learnt; of another one, `block` says where to look.
pub fn blob(context: &ColumnsContext, args: &Args<'_>) -> Result<Option<Bytes>, RpcError> {
    let (hash, options): (TxHash, Option<GetOptions>) = (args.required(0)?, args.optional(1)?);
    let options = options.unwrap_or_default();
    let (retriever, range, source) = (&context.parts.retriever, options.range(), options.source());
    let Some(id) = args.optional::<BlockId>(2)? else { return Ok(retriever.blob(hash, range, source)?) };
    match sealed_header(context, id)?.filter(|header| !is_empty(context, header)) {
        Some(header) => Ok(retriever.blob_in(header.number, hash, range, source)?),
        None => Ok(None),
    }
}

/// `da_cells(block, column, firstChunk, count)`; fewer than `count` where the block, or what is held of it, ends.
pub fn cells(context: &ColumnsContext, args: &Args<'_>) -> Result<Option<RangeProof>, RpcError> {
    let count: Quantity = args.required(3)?;
    let count = u32::try_from(count.0).ok().filter(|count| (1..=CELLS_MAX).contains(&u64::from(*count)));
    let count =
        count.ok_or_else(|| RpcError::InvalidParams(format!("count must be between 1 and {CELLS_MAX}")))?;
    Ok(held(context, args, count)?.map(|cells| cells.range))
}

/// `da_cellProof(block, column, chunk)`.
pub fn cell_proof(context: &ColumnsContext, args: &Args<'_>) -> Result<Option<CellProof>, RpcError> {
    let Some(cells) = held(context, args, 1)? else { return Ok(None) };
    Ok(Some(CellProof::of_range(cells.anchor, &cells.range).map_err(RpcError::internal)?))
}

/// Cells that are held here. `None`: an unknown block, or one that commits to nothing.
fn held(context: &ColumnsContext, args: &Args<'_>, count: u32) -> Result<Option<ProvenCells>, RpcError> {
    let (id, column, chunk): (BlockId, Quantity, Quantity) =
        (args.required(0)?, args.required(1)?, args.required(2)?);
    let Some(header) = sealed_header(context, id)? else { return Ok(None) };
    if is_empty(context, &header) {
        return Ok(None);
    }
    let absent =
        |what, index: Quantity| RpcError::InvalidParams(format!("{what} {} does not exist", index.0));
    let columns = context.parts.geometry.columns();
    let column = u16::try_from(column.0)
        .ok()
        .filter(|index| usize::from(*index) < columns)
        .ok_or_else(|| absent("column", column))?;
    let first = u32::try_from(chunk.0).map_err(|_| absent("chunk", chunk))?;
    let request =
        CellsRequest { block: header.hash(), column: ColumnIndex(column), first: ChunkIndex(first), count };
    match context.cells.cells(&request)? {
        Some(cells) => Ok(Some(cells)),
        None => Err(RpcError::Rejected(format!(
            "chunk {first} of column {column} of block {} is not held here",
            header.number
        ))),
    }
}

/// Learns what a block commits to, unless it is known that it is nothing.
fn learn(context: &ColumnsContext, header: &SealedHeader) -> Result<(), RetrieveError> {
    if header.number == 0 || is_empty(context, header) {
        return Ok(());
    }
    context.parts.retriever.learn(header.number).map(drop)
}

fn is_empty(context: &ColumnsContext, header: &SealedHeader) -> bool {
    *header.extra_data == weft_erasure::empty_da_root(context.parts.geometry)[..]
}
