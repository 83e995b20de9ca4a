//! Cells taken into a database without bodies, after their proofs were checked.

use super::headers::canonical;
use crate::{
    StorageError, Store, Table, View,
    codec::{ColumnRecord, Value},
    keys,
    types::COLUMNS,
};
use alloy_eips::BlockNumHash;
use alloy_primitives::{BlockNumber, Bytes};
use rocksdb::WriteBatch;
use weft_erasure::{CheckedRange, HeldColumn};
use weft_primitives::ColumnIndex;

/// What a range of cells did to its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnProgress {
    /// Cells that were not there before.
    pub cells_new: u32,
    /// Cells of the column that are held now.
    pub cells_held: u32,
    /// Cells of the column.
    pub cells: u32,
}

impl ColumnProgress {
    /// Whether the column is whole.
    pub fn is_complete(&self) -> bool {
        self.cells_held == self.cells
    }
}

impl Store {
    /// Adds cells to a column of a block; one batch, fsynced. What is there already is not written again. A block that is
    /// not canonical (any more) is [`StorageError::MissingBlock`], one whose columns were pruned
    /// [`StorageError::ColumnsPruned`].
    pub fn put_range(
        &self,
        block: BlockNumHash,
        range: &CheckedRange,
    ) -> Result<ColumnProgress, StorageError> {
        let _shards = self.write_shards()?;
        let view = self.view();
        self.check_da(&view)?;
        let column = range.held().column;
        // Only who holds the lock of shards changes a column, but for an unwind, which takes it too.
        let (before, after, rotten_bytes) = self.grown(&view, block, range)?;
        let held = u32::try_from(after.tree.leaves().len()).unwrap_or(u32::MAX);
        let new: Vec<(u32, &Bytes)> = range
            .cells()
            .iter()
            .map(|cell| (cell.chunk().0, cell.bytes()))
            .filter(|(chunk, _)| !before.as_ref().is_some_and(|before| has(&before.held, *chunk)))
            .collect();
        let cells_new = u32::try_from(new.len()).unwrap_or(u32::MAX);
        let progress = ColumnProgress { cells_new, cells_held: held, cells: after.preimage.chunk_count };
        if new.is_empty() {
            return Ok(progress);
        }
        let bytes: usize = new.iter().map(|(_, cell)| cell.len()).sum();
        self.inner.check_space(bytes + 64 * after.tree.size())?;
        let mut batch = WriteBatch::default();
        let cells = new.into_iter().map(|(chunk, cell)| (keys::cell(block.number, column, chunk), cell));
        self.put_large(&mut batch, Table::ColumnCells, bytes, cells)?;

        let _writer = self.write()?;
        let view = self.view();
        canonical(&view, block)?;
        let key = keys::held_column(block.number, column);
        let complete = after.is_complete();
        let record =
            ColumnRecord { held: after, bytes: before.map_or(0, |before| before.bytes) + bytes as u64 };
        batch.put_cf(self.inner.table(Table::HeldColumns), key, record.to_bytes());
        if complete {
            batch.delete_cf(self.inner.table(Table::ColumnsDue), key);
        } else {
            batch.put_cf(self.inner.table(Table::ColumnsDue), key, []);
        }
        let mut totals = view.column_totals()?;
        totals.bytes = (totals.bytes + bytes as u64).saturating_sub(rotten_bytes);
        batch.put_cf(self.inner.table(Table::Meta), COLUMNS, totals.to_bytes());
        self.inner.commit(batch)?;
        Ok(progress)
    }

    /// The column before and after. A record that rotted is as none, so that nobody is blamed for what it says; then also
    /// the bytes that were counted for it.
    fn grown(
        &self,
        view: &View<'_>,
        block: BlockNumHash,
        range: &CheckedRange,
    ) -> Result<(Option<ColumnRecord>, HeldColumn, u64), StorageError> {
        let header = canonical(view, block)?;
        let first = view.columns_first()?;
        if block.number < first {
            return Err(StorageError::ColumnsPruned { block: block.number, first });
        }
        let wrong = |reason| StorageError::Inconsistent { block: block.number, reason };
        if *header.extra_data != range.da_root()[..] {
            return Err(wrong("the cells were checked against another block's commitment"));
        }
        let piece = range.held();
        let before = match view.column_record(block.number, piece.column) {
            Ok(before) => before,
            Err(StorageError::Corrupt { .. }) => None,
            Err(error) => return Err(error),
        };
        let Some(before) = before else { return Ok((None, piece.clone(), 0)) };
        if let Err(error) = before.held.check(header.header()) {
            tracing::warn!(target: "weft::storage", number = block.number, column = %piece.column, %error, "record of a column is damaged, beginning again");
            return Ok((None, piece.clone(), before.bytes));
        }
        let after = before
            .held
            .merge(piece)
            .map_err(|_| wrong("the cells' proof does not fit that of the cells before"))?;
        Ok((Some(before), after, 0))
    }

    /// Forgets a column of a block, because it is damaged, and notes it as due; fsynced.
    pub fn forget_column(&self, block: BlockNumber, column: ColumnIndex) -> Result<(), StorageError> {
        let _shards = self.write_shards()?;
        let _writer = self.write()?;
        let view = self.view();
        self.check_da(&view)?;
        let key = keys::held_column(block, column);
        let mut batch = WriteBatch::default();
        let mut totals = view.column_totals()?;
        // A record that does not decode has lost its count; the total is an estimate from then on.
        let bytes = view.column_record(block, column).ok().flatten().map_or(0, |record| record.bytes);
        totals.bytes = totals.bytes.saturating_sub(bytes);
        batch.put_cf(self.inner.table(Table::Meta), COLUMNS, totals.to_bytes());
        batch.delete_cf(self.inner.table(Table::HeldColumns), key);
        let (from, to) = (keys::cell(block, column, 0), keys::cell(block, column, u32::MAX));
        batch.delete_range_cf(self.inner.table(Table::ColumnCells), from.as_slice(), to.as_slice());
        batch.put_cf(self.inner.table(Table::ColumnsDue), key, []);
        self.inner.commit(batch)
    }

    /// Notes columns of a block as due, as when the custody grew; fsynced. Complete ones are left alone.
    pub fn note_due(&self, block: BlockNumber, columns: &[ColumnIndex]) -> Result<(), StorageError> {
        let _shards = self.write_shards()?;
        let _writer = self.write()?;
        let view = self.view();
        self.check_da(&view)?;
        view.canonical_hash(block)?.ok_or(StorageError::MissingBlock(block))?;
        let mut batch = WriteBatch::default();
        for column in columns {
            if !view.held_column(block, *column)?.is_some_and(|held| held.is_complete()) {
                batch.put_cf(self.inner.table(Table::ColumnsDue), keys::held_column(block, *column), []);
            }
        }
        if batch.is_empty() { Ok(()) } else { self.inner.commit(batch) }
    }

    /// Gives up on columns of a block that nobody has, so that they are not asked for again; fsynced.
    pub fn forget_due(&self, block: BlockNumber, columns: &[ColumnIndex]) -> Result<(), StorageError> {
        let _writer = self.write()?;
        let mut batch = WriteBatch::default();
        for column in columns {
            batch.delete_cf(self.inner.table(Table::ColumnsDue), keys::held_column(block, *column));
        }
        self.inner.commit(batch)
    }
}

fn has(held: &HeldColumn, chunk: u32) -> bool {
    let leaf = chunk as usize;
    held.tree.holds(&(leaf..leaf + 1))
}
