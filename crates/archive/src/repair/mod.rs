//! Mends what a node lost of its columns: finds what is missing or damaged, computes or fetches it, checks it, says so.
//!
//! A node that executes has its blobs' columns under each blob and the block's hash table to check with
//! ([`operations::repair`](crate::repair)); one that keeps columns has neither, and mends a column as a whole: of any k
//! columns it makes all n again, and takes the lost one only when all of them lead to the header's commitment.

mod column;

pub use column::{ColumnRepair, repair_column};

use crate::{
    ColumnPeers, RetrieveError,
    operations::{BlobRepair, repair_blob},
    peers::checked_runs,
    reader::BlockReader,
};
use weft_primitives::{BlobIndex, BlockNumber, ColumnIndex};
use weft_storage::{DatabaseRole, StorageError, Store};

/// What was found and done in one block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockRepair {
    /// Blobs, or in a database without bodies columns, that were looked at.
    pub looked_at: u64,
    /// What was (or with a dry run would be) mended.
    pub mended: Vec<Mended>,
    /// What only others can give.
    pub lost: Vec<Lost>,
}

/// Columns that were stored again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mended {
    /// The block.
    pub block: BlockNumber,
    /// The blob; `None` for whole columns of the block.
    pub blob: Option<BlobIndex>,
    /// The columns.
    pub columns: Vec<ColumnIndex>,
}

/// What cannot be mended from what is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The block.
    pub block: BlockNumber,
    /// The blob; `None` for whole columns of the block.
    pub blob: Option<BlobIndex>,
    /// The columns that are broken or missing here.
    pub columns: Vec<ColumnIndex>,
}

/// Mends one block from what is here, and from peers where they are given. With `dry_run` nothing is written, and what
/// would be mended is named as mended. Columns that stay lost in a database without bodies are noted as due, so that the
/// node asks its peers for them. `None`: no such block, or nothing is kept of it.
pub fn repair_block(
    store: &Store,
    peers: Option<&dyn ColumnPeers>,
    number: BlockNumber,
    dry_run: bool,
) -> Result<Option<BlockRepair>, RetrieveError> {
    match store.view().role()? {
        DatabaseRole::Full => repair_blobs(store, number, dry_run),
        DatabaseRole::Da => repair_columns(store, peers, number, dry_run),
    }
}

fn repair_blobs(
    store: &Store,
    number: BlockNumber,
    dry_run: bool,
) -> Result<Option<BlockRepair>, RetrieveError> {
    let blobs = {
        let view = store.view();
        match BlockReader::open(&view, number) {
            Ok(Some(block)) => {
                u32::try_from(block.blobs().count()).expect("a block counts its blobs in 32 bits")
            }
            Ok(None) | Err(RetrieveError::Storage(StorageError::BodyNotKept { .. })) => return Ok(None),
            Err(error) => return Err(error),
        }
    };
    let mut report = BlockRepair { looked_at: u64::from(blobs), ..BlockRepair::default() };
    for blob in (0..blobs).map(BlobIndex) {
        match repair_blob(store, number, blob, dry_run)? {
            BlobRepair::Whole => {}
            BlobRepair::Mended(columns) => {
                report.mended.push(Mended { block: number, blob: Some(blob), columns });
            }
            BlobRepair::Lost(columns) => report.lost.push(Lost { block: number, blob: Some(blob), columns }),
        }
    }
    Ok(Some(report))
}

fn repair_columns(
    store: &Store,
    peers: Option<&dyn ColumnPeers>,
    number: BlockNumber,
    dry_run: bool,
) -> Result<Option<BlockRepair>, RetrieveError> {
    let view = store.view();
    let Some(header) = view.header(number)? else { return Ok(None) };
    let held = view.held_columns(number)?;
    let due = view.columns_due(number, usize::from(u16::MAX))?;
    let due = due.into_iter().take_while(|(block, _)| *block == number).map(|(_, column)| column);
    let mut broken: Vec<ColumnIndex> = due.collect();
    for (column, complete) in &held {
        let unreadable = view.held_column(number, *column).is_err();
        if unreadable || (*complete && !is_whole(&view, &header, *column)?) {
            broken.push(*column);
        }
    }
    broken.sort_unstable();
    broken.dedup();
    drop(view);
    if held.is_empty() && broken.is_empty() {
        return Ok(None);
    }
    let mut report = BlockRepair { looked_at: held.len().max(broken.len()) as u64, ..BlockRepair::default() };
    let (mut mended, mut lost) = (Vec::new(), Vec::new());
    for column in broken {
        match repair_column(store, peers, number, column, dry_run)? {
            ColumnRepair::Lost => lost.push(column),
            _ => mended.push(column),
        }
    }
    if !mended.is_empty() {
        report.mended.push(Mended { block: number, blob: None, columns: mended });
    }
    if !lost.is_empty() {
        report.lost.push(Lost { block: number, blob: None, columns: lost });
    }
    Ok(Some(report))
}

/// Whether a column is complete, its record is the header's, and all its cells are the record's.
fn is_whole(
    view: &weft_storage::View<'_>,
    header: &weft_primitives::SealedHeader,
    column: ColumnIndex,
) -> Result<bool, RetrieveError> {
    let Ok(Some(held)) = view.held_column(header.number, column) else { return Ok(false) };
    if !held.is_complete() || held.check(header.header()).is_err() {
        return Ok(false);
    }
    let chunks = held.preimage.chunk_count;
    let good: usize =
        checked_runs(view, header, column, 0..chunks)?.iter().map(|range| range.cells().len()).sum();
    Ok(good == chunks as usize)
}
