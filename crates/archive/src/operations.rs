//! What an operator does to one blob: drop its body, drop columns, repair columns.
//!
//! Each call works on one snapshot and writes one batch. Dropping never makes a blob unrecoverable
//! here: storage compares what it keeps with what it deletes, and refuses.

use crate::{
    RetrieveError,
    reader::{BlockReader, all_columns},
};
use alloy_primitives::TxHash;
use weft_erasure::{column_of, data_columns, encode_blob};
use weft_primitives::{BlobIndex, BlockNumber, ColumnIndex};
use weft_storage::{ColumnSegment, Store, TxPosition};

/// Replaces a transaction's calldata in the body by its data columns, and returns how many bytes the body
/// had. `None`: unknown transaction, or one without a blob; 0 bytes when it was dropped before.
pub fn drop_body(store: &Store, tx: TxHash) -> Result<Option<u64>, RetrieveError> {
    let view = store.view();
    let Some((position, block)) = locate(&view, tx)? else { return Ok(None) };
    let Some(blob) = block.blobs().find(|blob| blob.entry.tx_index == position.index) else {
        return Ok(None);
    };
    let Some(body) = blob.body()? else { return Ok(Some(0)) };
    let segments: Vec<ColumnSegment> = data_columns(block.geometry(), &body)
        .into_iter()
        .zip(all_columns(block.geometry()))
        .map(|(cells, column)| ColumnSegment { block: position.block, blob: blob.index, column, cells })
        .collect();
    store.drop_body(position, &segments)?;
    Ok(Some(body.len() as u64))
}

/// Deletes columns of a transaction's blob from the shard store. `None` as in [`drop_body`].
pub fn drop_columns(store: &Store, tx: TxHash, columns: &[ColumnIndex]) -> Result<Option<()>, RetrieveError> {
    let view = store.view();
    let Some((position, block)) = locate(&view, tx)? else { return Ok(None) };
    let Some(blob) = block.blobs().find(|blob| blob.entry.tx_index == position.index) else {
        return Ok(None);
    };
    store.drop_columns(position.block, blob.index, columns)?;
    Ok(Some(()))
}

/// Computes again what is missing or damaged of a blob's columns, from the body or any k good ones, and
/// stores it. Data columns only where the body was dropped. Returns the columns that it wrote.
pub fn repair(
    store: &Store,
    number: BlockNumber,
    index: BlobIndex,
) -> Result<Vec<ColumnIndex>, RetrieveError> {
    let view = store.view();
    let block = BlockReader::open(&view, number)?.ok_or(RetrieveError::Gone(number))?;
    let Some(blob) = block.blobs().nth(index.0 as usize) else { return Ok(Vec::new()) };
    let body = blob.body()?;
    let wanted = if body.is_some() { block.geometry().data_shards() } else { 0 };
    let broken: Vec<ColumnIndex> = all_columns(block.geometry())
        .skip(wanted)
        .filter(|column| {
            let whole = view.column(number, index, *column).ok().flatten();
            !whole.is_some_and(|whole| {
                (0..blob.chunk_count()).all(|chunk| blob.admit(&whole, chunk, *column).is_some())
            })
        })
        .collect();
    if broken.is_empty() {
        return Ok(broken);
    }
    let encoded = body.map(|body| (encode_blob(block.geometry(), &body), body));
    let (encoded, bytes) = match encoded.filter(|(encoded, _)| encoded.cell_hashes == blob.hashes()) {
        Some(good) => good,
        None => {
            let bytes = blob.shards(0..blob.chunk_count())?;
            (encode_blob(block.geometry(), &bytes), bytes.into())
        }
    };
    let segments: Vec<ColumnSegment> = broken
        .iter()
        .map(|column| ColumnSegment {
            block: number,
            blob: index,
            column: *column,
            cells: column_of(&encoded, &bytes, *column),
        })
        .collect();
    store.put_columns(&segments)?;
    Ok(broken)
}

fn locate<'a>(
    view: &'a weft_storage::View<'a>,
    tx: TxHash,
) -> Result<Option<(TxPosition, BlockReader<'a>)>, RetrieveError> {
    let Some(position) = view.tx_position(tx)? else { return Ok(None) };
    Ok(BlockReader::open(view, position.block)?.map(|block| (position, block)))
}
