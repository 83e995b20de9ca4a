//! Counters of the checkpoint stage; scope `weft_checkpoint`.

use metrics::{Counter, Gauge, Histogram};
use metrics_derive::Metrics;

/// What an operator sees of checkpoints.
#[derive(Metrics, Clone)]
#[metrics(scope = "weft_checkpoint")]
pub(crate) struct CheckpointMetrics {
    /// Checkpoints that were queued
    pub(crate) made: Counter,
    /// Of these, how many hold the whole state
    pub(crate) made_full: Counter,
    /// Bytes of items of checkpoints, those included that were there already
    pub(crate) item_bytes: Counter,
    /// Seconds from the beginning of a checkpoint until it is queued
    pub(crate) seconds: Histogram,
    /// Attempts that failed and are tried again
    pub(crate) failures: Counter,
    /// Block of the newest checkpoint that is queued
    pub(crate) queued_block: Gauge,
    /// Block of the newest checkpoint that is verified on Arweave with all that it is built on
    pub(crate) archived_block: Gauge,
    /// Finalized blocks above the newest verified checkpoint
    pub(crate) lag_blocks: Gauge,
    /// Bytes that wait for their way to Arweave or back
    pub(crate) lag_bytes: Gauge,
    /// Seconds between the newest verified checkpoint's block and the newest finalized one
    pub(crate) lag_seconds: Gauge,
    /// Blobs whose permanence was asked for and that are queued
    pub(crate) permanent_blobs: Counter,
    /// Bytes of these
    pub(crate) permanent_blob_bytes: Counter,
}
