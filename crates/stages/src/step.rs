//! One bounded step of a stage: unwind, work, or nothing to do. All that the pipeline knows about a
//! stage is read from the database at the start of each step, so a step can follow any crash.

use crate::{Stage, StageError};
use weft_primitives::BlockNumber;
use weft_storage::{StorageError, Store};

/// Blocks that a stage is offered at a time; it takes as many of them as its own bound in bytes allows.
pub const RANGE_BLOCKS_MAX: u64 = 1024;

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The stage is at the head.
    Idle,
    /// Blocks up to this one are done.
    Done(BlockNumber),
    /// Output above this block was removed.
    Unwound(BlockNumber),
    /// The chain was reorganised under the step; nothing was written. The next step sees the new chain.
    Reorged,
}

/// Brings `stage` one step further, at most to block `up_to`.
pub fn step(stage: &dyn Stage, store: &Store, up_to: BlockNumber) -> Result<Step, StageError> {
    let view = store.view();
    if let Some(target) = unwind_target(stage, &view)? {
        drop(view);
        stage.unwind(store, target)?;
        return Ok(Step::Unwound(target));
    }
    // Genesis has no body.
    let start = view.stage_checkpoint(stage.id())?.map_or(1, |checkpoint| checkpoint.number + 1);
    let end = view.head()?.number.min(up_to).min(start.saturating_add(RANGE_BLOCKS_MAX - 1));
    drop(view);
    if start > end {
        return Ok(Step::Idle);
    }
    match stage.execute(store, start..=end) {
        Ok(done) if (start..=end).contains(&done) => Ok(Step::Done(done)),
        Ok(done) => Err(StageError::OutOfRange { stage: stage.id().0, start, end, done }),
        Err(StageError::Storage(StorageError::Reorged(_))) => Ok(Step::Reorged),
        Err(error) => Err(error),
    }
}

/// The block to which the stage has to unwind: what the database has noted, or, should its checkpoint not
/// be canonical without a note, one block further down each time until it is.
fn unwind_target(
    stage: &dyn Stage,
    view: &weft_storage::View<'_>,
) -> Result<Option<BlockNumber>, StorageError> {
    if let Some(target) = view.stage_unwind_target(stage.id())? {
        return Ok(Some(target));
    }
    let Some(checkpoint) = view.stage_checkpoint(stage.id())? else { return Ok(None) };
    if view.canonical_hash(checkpoint.number)? == Some(checkpoint.hash) {
        return Ok(None);
    }
    Ok(Some(checkpoint.number.saturating_sub(1).min(view.head()?.number)))
}
