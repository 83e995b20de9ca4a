//! `weft db drop`: deletes calldata from a body, or columns, as long as the bytes can still be had.

use super::{BlobPlace, blob_place};
use alloy_primitives::B256;
use eyre::{Context, Result, bail};
use weft_archive::BLOB_ARCHIVE;
use weft_primitives::ColumnIndex;
use weft_storage::{Store, StoredTransaction};

/// Deletes what was asked for and says what is left.
pub fn drop_data(store: &Store, transaction: B256, body: bool, columns: &[ColumnIndex]) -> Result<String> {
    let place = blob_place(&store.view(), transaction)?;
    let count = place.geometry.columns();
    if let Some(column) = columns.iter().find(|column| usize::from(column.0) >= count) {
        bail!("there is no column {column}: this chain has columns 0 to {}", count - 1);
    }
    let number = place.position.block;
    if body {
        // A stopped node's archive stage may not have come this far; then the parity is made here.
        let archived = store.view().stage_checkpoint(BLOB_ARCHIVE)?.is_some_and(|done| done.number >= number);
        if !archived {
            weft_archive::repair(store, number, place.blob).wrap_err("coding the parity columns")?;
        }
        weft_archive::drop_body(store, transaction).wrap_err("dropping the body")?;
    }
    let held = store.view().columns_held(number, place.blob)?;
    let doomed: Vec<ColumnIndex> = columns.iter().copied().filter(|column| held.contains(column)).collect();
    if !doomed.is_empty() {
        weft_archive::drop_columns(store, transaction, &doomed).wrap_err("dropping columns")?;
    }
    what_is_left(store, &place)
}

fn what_is_left(store: &Store, place: &BlobPlace) -> Result<String> {
    let view = store.view();
    let body = match view.transaction(place.position)? {
        Some(StoredTransaction::Whole(_)) => "kept",
        _ => "dropped",
    };
    let held: Vec<String> =
        view.columns_held(place.position.block, place.blob)?.iter().map(ToString::to_string).collect();
    let held = if held.is_empty() { "none".to_owned() } else { held.join(",") };
    Ok(format!("block {}, blob {}: body {body}, columns held: {held}", place.position.block, place.blob))
}
