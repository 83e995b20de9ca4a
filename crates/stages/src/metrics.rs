//! Counters of the pipeline; scope `weft_stages`, one set per stage.

use crate::StageProgress;
use metrics::{Counter, Gauge, Histogram};
use metrics_derive::Metrics;

/// What an operator sees of one stage.
#[derive(Metrics, Clone)]
#[metrics(scope = "weft_stages")]
pub(crate) struct StageMetrics {
    /// Last block that the stage has done
    pub(crate) checkpoint: Gauge,
    /// Blocks between the stage and the head
    pub(crate) lag_blocks: Gauge,
    /// Blocks done
    pub(crate) blocks: Counter,
    /// Seconds of one step
    pub(crate) step_seconds: Histogram,
    /// Steps that failed and were tried again
    pub(crate) failures: Counter,
    /// Times that the stage followed a reorganisation of the chain
    pub(crate) unwinds: Counter,
}

impl StageMetrics {
    pub(crate) fn show(&self, progress: &StageProgress) {
        self.checkpoint.set(progress.checkpoint.map_or(0, |checkpoint| checkpoint.number) as f64);
        self.lag_blocks.set(progress.lag_blocks() as f64);
    }
}
