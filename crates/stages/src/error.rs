//! Why a stage did not get on.

use weft_primitives::BlockNumber;
use weft_storage::StorageError;

/// A step failed; nothing of it is visible. The pipeline tries again, less and less often.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The database refused or failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The stage's own reason.
    #[error("stage {stage} at block {block}: {source}")]
    Failed {
        /// Which stage.
        stage: &'static str,
        /// Which block it was working on.
        block: BlockNumber,
        /// What happened.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A bug: the stage claims blocks that it was not asked for, or its output is not committed.
    #[error("stage {stage} was given blocks {start}..={end} and says that it did {done}")]
    OutOfRange {
        /// Which stage.
        stage: &'static str,
        /// First block of the range.
        start: BlockNumber,
        /// Last block of the range.
        end: BlockNumber,
        /// What it returned.
        done: BlockNumber,
    },
    /// The stage panicked; the message is in the log.
    #[error("stage {0} panicked")]
    Panicked(&'static str),
}
