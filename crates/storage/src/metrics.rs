//! Counters of the storage layer; scope `weft_storage`.

use crate::store::Inner;
use metrics::{Counter, Gauge, Histogram};
use metrics_derive::Metrics;
use rocksdb::statistics::Ticker;

/// What an operator sees of the disk.
#[derive(Metrics, Clone)]
#[metrics(scope = "weft_storage")]
pub(crate) struct StorageMetrics {
    /// Seconds from the call to the fsynced block, one sample per block
    pub(crate) commit_seconds: Histogram,
    /// Bytes of batches that went through the write-ahead log
    pub(crate) bytes_logged: Counter,
    /// Bytes of large values that were written past the log and flushed
    pub(crate) bytes_unlogged: Counter,
    /// Blocks that were unwound
    pub(crate) blocks_unwound: Counter,
    /// Bytes written to the disk per byte handed to the database, since the start
    pub(crate) write_amplification: Gauge,
    /// Seconds for which the database made writers wait, since the start
    pub(crate) stall_seconds: Gauge,
    /// Free bytes of the file system, as of the last block
    pub(crate) disk_free_bytes: Gauge,
}

impl Inner {
    /// Brings the gauges up to date; a handful of atomic loads.
    pub(crate) fn observe(&self) {
        let count = |ticker| self.db_options.get_ticker_count(ticker) as f64;
        let disk = count(Ticker::WalFileBytes)
            + count(Ticker::FlushWriteBytes)
            + count(Ticker::CompactWriteBytes)
            + count(Ticker::BlobDbBlobFileBytesWritten);
        let handed = count(Ticker::BytesWritten);
        if handed > 0.0 {
            self.metrics.write_amplification.set(disk / handed);
        }
        self.metrics.stall_seconds.set(count(Ticker::StallMicros) / 1e6);
        if let Ok(free_bytes) = crate::disk::free_bytes(&self.path) {
            self.metrics.disk_free_bytes.set(free_bytes as f64);
        }
    }
}
