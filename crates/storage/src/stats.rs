//! What is in the tables: figures for `weft db stats`, raw records for `weft db get`.

use crate::{StorageError, Store, Table};
use alloy_primitives::Bytes;

/// Figures of one table, as of now. Estimates where RocksDB only estimates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableStats {
    /// The table.
    pub table: Table,
    /// Records, estimated.
    pub keys: u64,
    /// Bytes of its sorted files.
    pub sst_bytes: u64,
    /// Bytes of its blob files, garbage included.
    pub blob_bytes: u64,
    /// Bytes in blob files that no record refers to any more.
    pub blob_garbage_bytes: u64,
    /// Bytes not yet in files.
    pub memtable_bytes: u64,
}

impl Store {
    /// Figures of every table, in the order of [`Table::ALL`].
    pub fn stats(&self) -> Result<Vec<TableStats>, StorageError> {
        let property = |table, name: &str| {
            let value = self.inner.db.property_int_value_cf(self.inner.table(table), name);
            value.map(Option::unwrap_or_default).map_err(|error| self.inner.error(error))
        };
        let stats = |table| {
            Ok(TableStats {
                table,
                keys: property(table, "rocksdb.estimate-num-keys")?,
                sst_bytes: property(table, "rocksdb.total-sst-files-size")?,
                blob_bytes: property(table, "rocksdb.total-blob-file-size")?,
                blob_garbage_bytes: property(table, "rocksdb.live-blob-file-garbage-size")?,
                memtable_bytes: property(table, "rocksdb.cur-size-all-mem-tables")?,
            })
        };
        Table::ALL.into_iter().map(stats).collect()
    }

    /// The record under a key as it lies on disk; shapes are in [`Table`].
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        Ok(self.view().raw(table, key)?.map(|bytes| Bytes::copy_from_slice(&bytes)))
    }
}
