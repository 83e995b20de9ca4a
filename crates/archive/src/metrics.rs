//! Counters of the archive; scope `weft_archive`.

use metrics::{Counter, Gauge};
use metrics_derive::Metrics;

/// What an operator sees of the BlobArchive stage and its cache.
#[derive(Metrics, Clone)]
#[metrics(scope = "weft_archive")]
pub(crate) struct ArchiveMetrics {
    /// Bytes of calldata whose parity was stored
    pub(crate) blob_bytes: Counter,
    /// Bytes of parity stored
    pub(crate) parity_bytes: Counter,
    /// Blobs whose parity was still in memory
    pub(crate) parity_hits: Counter,
    /// Blobs that had to be coded again from the body
    pub(crate) parity_misses: Counter,
}

/// What an operator sees of the parity kept in memory.
#[derive(Metrics, Clone)]
#[metrics(scope = "weft_archive")]
pub(crate) struct CacheMetrics {
    /// Bytes of parity kept in memory for the BlobArchive stage
    pub(crate) parity_cache_bytes: Gauge,
    /// Blocks whose parity did not fit and will be coded again
    pub(crate) parity_cache_refused: Counter,
}
