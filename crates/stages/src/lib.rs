//! SKELETON: resumable work that follows the head.
#![allow(unused_variables, clippy::todo)]

use std::ops::RangeInclusive;
use weft_primitives::BlockNumber;
use weft_storage::{StageId, StorageError, Store};

/// Work with its own checkpoint. The same code runs at the tip and over a million blocks: only the range differs.
pub trait Stage: Send + Sync + 'static {
    fn id(&self) -> StageId;
    /// Does some prefix of `range` (bounded in bytes), commits output and checkpoint in one batch, returns the last block done.
    fn execute(&self, store: &Store, range: RangeInclusive<BlockNumber>) -> Result<BlockNumber, StageError>;
    /// Removes output above `to`.
    fn unwind(&self, store: &Store, to: BlockNumber) -> Result<(), StageError>;
}

#[derive(Debug, thiserror::Error)]
pub enum StageError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("stage {stage} at block {block}: {reason}")]
    Failed { stage: &'static str, block: BlockNumber, reason: String },
}

/// Runs stages behind the head, each on its own blocking task; retries with backoff, shows lag, stops in order.
pub struct Pipeline {}
// Pipeline::new(store).with(stage) ; pipeline.run(head: watch::Receiver<BlockNumHash>, CancellationToken) -> PipelineHandle { progress() -> Vec<StageProgress> }
