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

/// What an operator sees of columns that come in.
#[derive(Metrics, Clone)]
#[metrics(scope = "weft_columns")]
pub(crate) struct IntakeMetrics {
    /// Cells that were checked and stored
    pub(crate) cells_taken: Counter,
    /// Bytes of segments that were accepted
    pub(crate) bytes_taken: Counter,
    /// Columns of blocks that became whole
    pub(crate) columns_completed: Counter,
    /// Columns of blocks that peers were asked for, because they did not come in time
    pub(crate) columns_asked: Counter,
    /// Segments whose cells were all here
    pub(crate) segments_duplicate: Counter,
    /// Segments of no use to this node
    pub(crate) segments_unneeded: Counter,
    /// Segments that were lies
    pub(crate) segments_bad: Counter,
    /// Bytes of cells that are kept, as of the last pruning
    pub(crate) bytes_held: Gauge,
    /// Bytes of cells that were pruned
    pub(crate) bytes_pruned: Counter,
}

/// What an operator sees of columns that go out.
#[derive(Metrics, Clone)]
#[metrics(scope = "weft_archive")]
pub(crate) struct DispersalMetrics {
    /// Bytes of cells that were handed to the network
    pub(crate) dispersed_bytes: Counter,
    /// Cells that had to be computed for it, because their parity was neither in memory nor on the disk
    pub(crate) dispersal_recoded: Counter,
}

/// What an operator sees of repairs.
#[derive(Metrics, Clone)]
#[metrics(scope = "weft_repair")]
pub(crate) struct RepairMetrics {
    /// Columns that were computed again and stored
    pub(crate) columns_rebuilt: Counter,
    /// Columns that peers had and gave
    pub(crate) columns_fetched: Counter,
    /// Columns that could not be had
    pub(crate) columns_failed: Counter,
}

/// What an operator sees of bodies that go.
#[derive(Metrics, Clone)]
#[metrics(scope = "weft_retention")]
pub(crate) struct RetentionMetrics {
    /// Bodies that were dropped because peers attest custody
    pub(crate) bodies_dropped: Counter,
    /// Bytes of these bodies
    pub(crate) bytes_dropped: Counter,
    /// Attestations whose spot check was answered rightly
    pub(crate) spot_checks_passed: Counter,
    /// Attestations whose spot check was not answered, or wrongly
    pub(crate) spot_checks_failed: Counter,
    /// Blocks that are old enough and not attested enough, as of the last step: 1 or 0
    pub(crate) waiting: Gauge,
}

/// What an operator sees of sampling.
#[derive(Metrics, Clone)]
#[metrics(scope = "weft_sampling")]
pub(crate) struct SamplingMetrics {
    /// Sampled cells that were served and verified
    pub(crate) cells_served: Counter,
    /// Sampled cells that nobody served in time
    pub(crate) cells_missed: Counter,
    /// Blocks all of whose sampled cells were served
    pub(crate) blocks_accepted: Counter,
    /// Blocks of which a sampled cell was not served
    pub(crate) blocks_unavailable: Counter,
    /// How sure it is that the newest sampled block can be reconstructed, 0 to 1
    pub(crate) confidence: Gauge,
}
