//! What the sealer, the follower and the relay count.

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

/// Metrics of the follower.
#[derive(Metrics, Clone)]
#[metrics(scope = "weft_follower")]
pub(crate) struct FollowerMetrics {
    /// Announced blocks that were passed on and queued
    pub(crate) announced: Counter,
    /// Announced blocks that were executed and made the head
    pub(crate) blocks: Counter,
    /// Announced blocks whose transactions were not to be had in time
    pub(crate) not_assembled: Counter,
    /// Syncs begun
    pub(crate) syncs: Counter,
    /// Blocks and syncs that failed
    pub(crate) failures: Counter,
    /// Seconds from a whole block to a durable head
    pub(crate) follow_seconds: Histogram,
}

/// Metrics of the transaction relay.
#[derive(Metrics, Clone)]
#[metrics(scope = "weft_relay")]
pub(crate) struct RelayMetrics {
    /// Transactions announced to peers
    pub(crate) announced: Counter,
    /// Transactions of peers that entered the pool
    pub(crate) taken: Counter,
    /// Transactions of peers that the pool refused
    pub(crate) refused: Counter,
    /// Announcements for which there was no room, or that came during a sync
    pub(crate) passed_over: Counter,
    /// Bytes of transactions that are being fetched or wait for the pool
    pub(crate) under_way_bytes: Gauge,
}
