//! What an operator does to one blob: drop its body, drop columns, repair columns.
//!
//! Each call works on one snapshot and writes one batch. Dropping never makes a blob unrecoverable
//! here: storage compares what it keeps with what it deletes, and refuses.

use crate::{
    RetrieveError,
    metrics::RepairMetrics,
    reader::{BlobReader, BlockReader, all_columns},
};
use alloy_primitives::TxHash;
use weft_erasure::{column_of, data_columns, encode_blob};
use weft_primitives::{BlobIndex, BlockNumber, ColumnIndex};
use weft_storage::{ColumnSegment, Store, TxPosition, View};

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
    let broken = broken_columns(&view, &blob)?;
    if broken.is_empty() {
        return Ok(broken);
    }
    let segments = computed(&block, &blob, &broken)?;
    store.put_columns(&segments)?;
    RepairMetrics::default().columns_rebuilt.increment(broken.len() as u64);
    tracing::info!(target: "weft::archive", number, blob = %index, columns = broken.len(), "columns rebuilt");
    Ok(broken)
}

/// What a repair of one blob came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BlobRepair {
    /// Nothing is wrong.
    Whole,
    /// These columns were stored again, or would be.
    Mended(Vec<ColumnIndex>),
    /// These columns are damaged or missing, and too little is left to compute them.
    Lost(Vec<ColumnIndex>),
}

/// As [`repair`], and says what only others could give. With `dry_run` all is computed and nothing written.
pub(crate) fn repair_blob(
    store: &Store,
    number: BlockNumber,
    index: BlobIndex,
    dry_run: bool,
) -> Result<BlobRepair, RetrieveError> {
    let outcome = if dry_run {
        let view = store.view();
        let block = BlockReader::open(&view, number)?.ok_or(RetrieveError::Gone(number))?;
        let Some(blob) = block.blobs().nth(index.0 as usize) else { return Ok(BlobRepair::Whole) };
        let broken = broken_columns(&view, &blob)?;
        if broken.is_empty() { Ok(broken) } else { computed(&block, &blob, &broken).map(|_| broken) }
    } else {
        repair(store, number, index)
    };
    match outcome {
        Ok(columns) if columns.is_empty() => Ok(BlobRepair::Whole),
        Ok(columns) => Ok(BlobRepair::Mended(columns)),
        Err(RetrieveError::Missing { .. }) => {
            let view = store.view();
            let block = BlockReader::open(&view, number)?.ok_or(RetrieveError::Gone(number))?;
            let blob = block.blobs().nth(index.0 as usize).ok_or(RetrieveError::Gone(number))?;
            if !dry_run {
                RepairMetrics::default().columns_failed.increment(1);
            }
            Ok(BlobRepair::Lost(broken_columns(&view, &blob)?))
        }
        Err(error) => Err(error),
    }
}

/// Columns that ought to be in the shard store and are missing or damaged. Of a blob whose body went because others keep
/// its columns, those that are noted as held; else all, the data columns only where the body was dropped.
fn broken_columns(view: &View<'_>, blob: &BlobReader<'_>) -> Result<Vec<ColumnIndex>, RetrieveError> {
    let (number, geometry) = (blob.position().block, blob.geometry());
    let has_body = blob.has_body()?;
    let wanted: Vec<ColumnIndex> = if !has_body && view.dispersed(number)?.is_some() {
        blob.columns_held(false)?
    } else {
        all_columns(geometry).skip(if has_body { geometry.data_shards() } else { 0 }).collect()
    };
    let is_broken = |column: &ColumnIndex| {
        let whole = view.column(number, blob.index, *column).ok().flatten();
        !whole.is_some_and(|whole| {
            (0..blob.chunk_count()).all(|chunk| blob.admit(&whole, chunk, *column).is_some())
        })
    };
    Ok(wanted.into_iter().filter(is_broken).collect())
}

/// These columns of a blob, from its body, else from k others.
fn computed(
    block: &BlockReader<'_>,
    blob: &BlobReader<'_>,
    columns: &[ColumnIndex],
) -> Result<Vec<ColumnSegment>, RetrieveError> {
    let encoded = blob.body()?.map(|body| (encode_blob(block.geometry(), &body), body));
    let (encoded, bytes) = match encoded.filter(|(encoded, _)| encoded.cell_hashes == blob.hashes()) {
        Some(good) => good,
        None => {
            let bytes = blob.shards(0..blob.chunk_count())?;
            (encode_blob(block.geometry(), &bytes), bytes.into())
        }
    };
    let segment = |column: &ColumnIndex| ColumnSegment {
        block: block.number(),
        blob: blob.index,
        column: *column,
        cells: column_of(&encoded, &bytes, *column),
    };
    Ok(columns.iter().map(segment).collect())
}

fn locate<'a>(
    view: &'a weft_storage::View<'a>,
    tx: TxHash,
) -> Result<Option<(TxPosition, BlockReader<'a>)>, RetrieveError> {
    let Some(position) = view.tx_position(tx)? else { return Ok(None) };
    Ok(BlockReader::open(view, position.block)?.map(|block| (position, block)))
}
