//! Bounds on the disk of a database without bodies: the oldest columns go first, headers stay.

use crate::{StorageError, Store, Table, codec::Value, keys, types::COLUMNS};
use alloy_primitives::BlockNumber;
use rocksdb::WriteBatch;

/// Blocks that one batch prunes at most.
const BLOCKS_MAX: u64 = 1024;

/// What may be kept, and what must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnLimits {
    /// Bytes of cells beyond which the oldest go. Indices and dead bytes of files come on top, about a third.
    pub bytes_max: u64,
    /// Newest blocks whose columns are kept and whose age alone takes nothing; `None` keeps by bytes alone.
    pub window_blocks: Option<u64>,
    /// Newest blocks whose columns stay whatever the bytes say.
    pub blocks_min: u64,
}

/// What was pruned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ColumnsPruned {
    /// Blocks whose columns went.
    pub blocks: u64,
    /// Bytes of their cells.
    pub bytes: u64,
    /// Whether more is kept than may be, because it must: new columns should not be taken in.
    pub is_over: bool,
}

impl Store {
    /// Deletes the columns of the oldest blocks, those beyond the window and as many more as the bytes ask for, headers
    /// stay; one batch of at most 1024 blocks, fsynced. Call again while it prunes. Never a block above
    /// `allowed`, above the finalized block, or among the newest `blocks_min`.
    pub fn prune_columns(
        &self,
        limits: ColumnLimits,
        allowed: BlockNumber,
    ) -> Result<ColumnsPruned, StorageError> {
        let _shards = self.write_shards()?;
        let _writer = self.write()?;
        let view = self.view();
        self.check_da(&view)?;
        let head = view.head()?.number;
        let mut totals = view.column_totals()?;
        let mut pruned =
            ColumnsPruned { is_over: totals.bytes > limits.bytes_max, ..ColumnsPruned::default() };
        let Some(finalized) = view.finalized()? else { return Ok(pruned) };
        let newest = allowed.min(finalized.number).min(head.saturating_sub(limits.blocks_min));
        let start = totals.first;
        while totals.first <= newest && pruned.blocks < BLOCKS_MAX {
            let old = limits.window_blocks.is_some_and(|window| head - totals.first >= window);
            if !old && totals.bytes <= limits.bytes_max {
                break;
            }
            let bytes = view.column_bytes_of(totals.first..totals.first + 1)?;
            totals.bytes = totals.bytes.saturating_sub(bytes);
            totals.first += 1;
            pruned.bytes += bytes;
            pruned.blocks += 1;
        }
        pruned.is_over = totals.bytes > limits.bytes_max;
        if pruned.blocks == 0 {
            return Ok(pruned);
        }
        let mut batch = WriteBatch::default();
        let (from, to) = (keys::number(start), keys::number(totals.first));
        for table in [Table::ColumnCells, Table::HeldColumns, Table::ColumnsDue] {
            batch.delete_range_cf(self.inner.table(table), from.as_slice(), to.as_slice());
        }
        batch.put_cf(self.inner.table(Table::Meta), COLUMNS, totals.to_bytes());
        self.inner.commit(batch)?;
        tracing::info!(target: "weft::storage", blocks = pruned.blocks, bytes = pruned.bytes, first = totals.first, "columns pruned");
        Ok(pruned)
    }
}
