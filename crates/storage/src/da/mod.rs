//! A database without execution: headers, and columns of their blocks.
//!
//! A `da` node's, and a light node's, which has no columns. There are no bodies, receipts and state in it, and the record
//! `base` is always its head, as in a database that was restored at its head; so whoever reads bodies is told so. The record
//! `role` keeps a full node from opening it and a `da` node from opening another.
//!
//! Of a column it keeps the cells, each under its chunk, and one record (`HeldColumn`): preimage, path, the leaf
//! hashes of held cells and the hashes that stand for the others. The record is a function of the set of held cells, so
//! order, overlap and repetition of what came in cannot be told from it. Record, cells, the note that the column is
//! due and the total of bytes are one batch: a column is complete when its record says so, after the bytes.

mod columns;
mod headers;
mod prune;

pub use columns::ColumnProgress;
pub use headers::Custody;
pub use prune::{ColumnLimits, ColumnsPruned};

use crate::{
    StorageError, Store, Table, View,
    codec::{ColumnRecord, ColumnTotals, Malformed, Value},
    keys,
    types::{COLUMNS, DA, ROLE},
};
use alloy_primitives::{BlockNumber, Bytes};
use rocksdb::ReadOptions;
use std::ops::Range;
use weft_erasure::HeldColumn;
use weft_primitives::ColumnIndex;

/// Which kind of node a database belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DatabaseRole {
    /// Executes: bodies, receipts, state.
    Full,
    /// Headers and columns.
    Da,
}

impl std::fmt::Display for DatabaseRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::Da => "da",
        })
    }
}

/// Refuses a folder of another role. An empty one takes any.
pub(crate) fn check_role(view: &View<'_>, wanted: DatabaseRole) -> Result<(), StorageError> {
    let found = view.role()?;
    if view.is_empty()? || found == wanted {
        return Ok(());
    }
    Err(StorageError::OtherRole { path: view.inner.path.clone(), found, wanted })
}

impl Store {
    fn check_da(&self, view: &View<'_>) -> Result<(), StorageError> {
        if view.is_empty()? { Err(StorageError::Empty) } else { check_role(view, DatabaseRole::Da) }
    }
}

impl View<'_> {
    /// Whose database this is; that of an empty folder is nobody's yet and counts as a full node's.
    pub fn role(&self) -> Result<DatabaseRole, StorageError> {
        match self.raw(Table::Meta, ROLE)?.as_deref() {
            None => Ok(DatabaseRole::Full),
            Some(DA) => Ok(DatabaseRole::Da),
            Some(_) => Err(StorageError::corrupt(Table::Meta, ROLE, Malformed("a role that is not known"))),
        }
    }

    /// A column of a block in a database without bodies, as far as it is held. Not compared with the header: see
    /// [`HeldColumn::check`].
    pub fn held_column(
        &self,
        block: BlockNumber,
        column: ColumnIndex,
    ) -> Result<Option<HeldColumn>, StorageError> {
        Ok(self.column_record(block, column)?.map(|record| record.held))
    }

    /// Columns of a block of which cells are held, ascending, and whether all are. One whose record does not decode is not
    /// complete.
    pub fn held_columns(&self, block: BlockNumber) -> Result<Vec<(ColumnIndex, bool)>, StorageError> {
        let mut columns = Vec::new();
        let mut iterator = self.iterator(Table::HeldColumns, ReadOptions::default());
        iterator.seek(keys::number(block));
        while let Some((key, value)) = iterator.item() {
            let Some(column) = key.strip_prefix(&keys::number(block)) else { break };
            let column = column_index(Table::HeldColumns, key, column)?;
            columns.push((column, ColumnRecord::decode(value).is_ok_and(|record| record.held.is_complete())));
            iterator.next();
        }
        iterator.status().map_err(|error| self.inner.error(error))?;
        Ok(columns)
    }

    /// Cells of a column by chunk, from the first of `chunks` on, until one is not held or the next would exceed
    /// `bytes_max`; the first is given in any case. Not compared with anything: see [`HeldColumn::prove`].
    pub fn column_cells(
        &self,
        block: BlockNumber,
        column: ColumnIndex,
        chunks: Range<u32>,
        bytes_max: usize,
    ) -> Result<Vec<Bytes>, StorageError> {
        let Some(held) = self.held_column(block, column)? else { return Ok(Vec::new()) };
        let Some(run) = held.run(weft_primitives::ChunkIndex(chunks.start)) else { return Ok(Vec::new()) };
        let (mut cells, mut bytes) = (Vec::new(), 0);
        for chunk in chunks.start..run.end.min(chunks.end) {
            let cell = self.held_cell(block, column, chunk)?;
            bytes += cell.len();
            if bytes > bytes_max && !cells.is_empty() {
                break;
            }
            cells.push(cell);
        }
        Ok(cells)
    }

    /// A cell that the column's record says is held.
    pub(crate) fn held_cell(
        &self,
        block: BlockNumber,
        column: ColumnIndex,
        chunk: u32,
    ) -> Result<Bytes, StorageError> {
        let key = keys::cell(block, column, chunk);
        match self.raw(Table::ColumnCells, &key)? {
            Some(cell) => Ok(Bytes::copy_from_slice(&cell)),
            None => {
                let reason = Malformed("cell is noted as held and is missing");
                Err(StorageError::corrupt(Table::ColumnCells, &key, reason))
            }
        }
    }

    /// Columns that were to be kept and are not complete, from block `from` on, at most `max` of them; oldest first.
    pub fn columns_due(
        &self,
        from: BlockNumber,
        max: usize,
    ) -> Result<Vec<(BlockNumber, ColumnIndex)>, StorageError> {
        let mut due = Vec::new();
        let mut iterator = self.iterator(Table::ColumnsDue, ReadOptions::default());
        iterator.seek(keys::number(from));
        while let Some(key) = iterator.key().filter(|_| due.len() < max) {
            let Some((number, column)) = key.split_first_chunk::<8>() else {
                return Err(StorageError::corrupt(Table::ColumnsDue, key, Malformed("key is no column")));
            };
            let column = column_index(Table::ColumnsDue, key, column)?;
            due.push((BlockNumber::from_be_bytes(*number), column));
            iterator.next();
        }
        iterator.status().map_err(|error| self.inner.error(error))?;
        Ok(due)
    }

    /// Bytes of all cells in a database without bodies.
    pub fn column_bytes(&self) -> Result<u64, StorageError> {
        Ok(self.column_totals()?.bytes)
    }

    /// The oldest block whose columns were not pruned; those below are not taken in again.
    pub fn columns_first(&self) -> Result<BlockNumber, StorageError> {
        Ok(self.column_totals()?.first)
    }

    pub(crate) fn column_record(
        &self,
        block: BlockNumber,
        column: ColumnIndex,
    ) -> Result<Option<ColumnRecord>, StorageError> {
        self.value(Table::HeldColumns, &keys::held_column(block, column))
    }

    pub(crate) fn column_totals(&self) -> Result<ColumnTotals, StorageError> {
        Ok(self.value(Table::Meta, COLUMNS)?.unwrap_or_default())
    }

    /// Bytes of the cells of all columns of blocks in a range.
    fn column_bytes_of(&self, blocks: Range<BlockNumber>) -> Result<u64, StorageError> {
        let mut bytes = 0;
        let mut iterator = self.iterator(Table::HeldColumns, ReadOptions::default());
        iterator.seek(keys::number(blocks.start));
        while let Some((key, value)) =
            iterator.item().filter(|(key, _)| *key < keys::number(blocks.end).as_slice())
        {
            let record = ColumnRecord::decode(value)
                .map_err(|malformed| StorageError::corrupt(Table::HeldColumns, key, malformed))?;
            bytes += record.bytes;
            iterator.next();
        }
        iterator.status().map_err(|error| self.inner.error(error))?;
        Ok(bytes)
    }
}

fn column_index(table: Table, key: &[u8], bytes: &[u8]) -> Result<ColumnIndex, StorageError> {
    let bytes = bytes.try_into().map_err(|_| StorageError::corrupt(table, key, Malformed("no column")))?;
    Ok(ColumnIndex(u16::from_be_bytes(bytes)))
}
