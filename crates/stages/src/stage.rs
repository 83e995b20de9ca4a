//! The trait that every stage implements.

use crate::StageError;
use std::ops::RangeInclusive;
use weft_primitives::BlockNumber;
use weft_storage::{StageId, Store};

/// Work with its own checkpoint.
///
/// Guarantees that an implementation gives: output and checkpoint of a step are one batch
/// ([`Store::commit_stage`]), so a crash leaves either both or neither; a step that is done again
/// writes the same; one step works on a bounded number of bytes. Guarantees that it gets: ranges are
/// contiguous from its checkpoint on, canonical when it was asked, and no two calls run at a time.
pub trait Stage: Send + Sync + 'static {
    /// Its name on disk, in metrics and in `da_status`.
    fn id(&self) -> StageId;

    /// Does some prefix of `range`, at least its first block, commits output and checkpoint in one
    /// batch, and returns the last block done. Blocks the calling thread.
    fn execute(&self, store: &Store, range: RangeInclusive<BlockNumber>) -> Result<BlockNumber, StageError>;

    /// Removes output above `to`, which is canonical.
    fn unwind(&self, store: &Store, to: BlockNumber) -> Result<(), StageError>;
}
