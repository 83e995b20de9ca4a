//! Where a block's time goes.

use metrics::{Counter, Gauge, Histogram};
use metrics_derive::Metrics;
use std::time::Instant;

/// Metrics of the engine. Each part of a block's way is one histogram, so that sums over a run add up
/// to the engine's share of it.
#[derive(Metrics, Clone)]
#[metrics(scope = "weft_engine")]
pub(crate) struct EngineMetrics {
    /// Number of the durable canonical head
    pub(crate) head_number: Gauge,
    /// Valid blocks in memory that are not canonical
    pub(crate) side_blocks: Gauge,
    /// Bytes of the blocks in memory that are not canonical
    pub(crate) side_bytes: Gauge,
    /// Blocks refused because they break a rule
    pub(crate) invalid_blocks: Counter,
    /// Changes of the canonical chain that were not plain extensions
    pub(crate) reorgs: Counter,
    /// Blocks taken back per reorg
    pub(crate) reorg_depth: Histogram,
    /// Bytes of transactions per committed block
    pub(crate) block_bytes: Histogram,
    /// Bytes of transactions in committed blocks, in all
    pub(crate) committed_bytes: Counter,
    /// Transactions in committed blocks, in all
    pub(crate) committed_transactions: Counter,
    /// Seconds per block from another proposer: all checks and execution, without commit
    pub(crate) import_seconds: Histogram,
    /// Seconds per payload built: selection, execution and roots, without commit
    pub(crate) build_seconds: Histogram,
    /// Seconds of EVM execution per block built or imported
    pub(crate) execute_seconds: Histogram,
    /// Seconds for the state root per block
    pub(crate) state_root_seconds: Histogram,
    /// Seconds for the root over a built block's transactions; runs beside the state root
    pub(crate) transactions_root_seconds: Histogram,
    /// Seconds to code missing blobs and combine cell hashes to daRoot per block
    pub(crate) da_seconds: Histogram,
    /// Seconds to write a block and see it fsynced
    pub(crate) commit_seconds: Histogram,
    /// Seconds to tell the pool of a new head
    pub(crate) pool_update_seconds: Histogram,
}

/// Runs `work` and records its seconds.
pub(crate) fn timed<T>(histogram: &Histogram, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    histogram.record(start.elapsed().as_secs_f64());
    result
}
