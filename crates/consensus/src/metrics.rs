//! What the sealer counts.

use metrics::{Counter, Gauge, Histogram};
use metrics_derive::Metrics;

/// Metrics of the dev sealer.
#[derive(Metrics, Clone)]
#[metrics(scope = "weft_sealer")]
pub(crate) struct SealerMetrics {
    /// Blocks sealed
    pub(crate) blocks: Counter,
    /// Attempts that failed and were tried again
    pub(crate) failures: Counter,
    /// Seconds from the decision to seal until the block was durable
    pub(crate) seal_seconds: Histogram,
    /// Seconds by which the head's timestamp is ahead of the clock
    pub(crate) ahead_seconds: Gauge,
}
