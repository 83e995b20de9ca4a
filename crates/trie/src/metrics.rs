//! Metrics of root computations.

use metrics::Histogram;
use metrics_derive::Metrics;

/// What one state root cost.
#[derive(Metrics)]
#[metrics(scope = "weft_trie")]
pub(crate) struct TrieMetrics {
    /// Seconds spent on one incremental state root
    pub(crate) root_duration_seconds: Histogram,
    /// Changed accounts of one state root
    pub(crate) changed_accounts: Histogram,
    /// Storage tries changed by one state root
    pub(crate) changed_storages: Histogram,
    /// Trie nodes written or removed by one state root
    pub(crate) updated_nodes: Histogram,
}
