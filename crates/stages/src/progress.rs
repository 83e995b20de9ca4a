//! How far a stage has come, for `da_status`, metrics and tests.

use weft_primitives::{BlockNumHash, BlockNumber};
use weft_storage::StageId;

/// A stage's state after its last step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageProgress {
    /// Which stage.
    pub id: StageId,
    /// The last block done; `None` before the first.
    pub checkpoint: Option<BlockNumHash>,
    /// The head that it follows.
    pub head: BlockNumber,
    /// Steps that failed one after the other; 0 when all is well.
    pub failures: u32,
    /// What the last failure said.
    pub error: Option<String>,
}

impl StageProgress {
    /// Blocks between the stage and the head.
    pub fn lag_blocks(&self) -> u64 {
        self.head.saturating_sub(self.checkpoint.map_or(0, |checkpoint| checkpoint.number))
    }
}
