//! Why permanence fails.

use crate::{LedgerError, RetrieveError, checkpoint::CheckpointError};
use weft_storage::StorageError;

/// Why a checkpoint is not made, an index not rebuilt, or a blob not made permanent.
#[derive(Debug, thiserror::Error)]
pub enum PermanenceError {
    /// The ledger refuses.
    #[error(transparent)]
    Ledger(Box<LedgerError>),
    /// The database refused or failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Arweave refuses or does not answer.
    #[error(transparent)]
    Network(Box<weft_arweave::Error>),
    /// The checkpoint cannot be made or read.
    #[error(transparent)]
    Checkpoint(Box<CheckpointError>),
    /// The blob cannot be had here.
    #[error(transparent)]
    Retrieve(#[from] RetrieveError),
    /// There is no finalized block to make a checkpoint of.
    #[error("no block is finalized yet")]
    NothingFinalized,
    /// The part that was asked has stopped.
    #[error("the node is shutting down")]
    ShutDown,
}

impl From<weft_arweave::Error> for PermanenceError {
    fn from(error: weft_arweave::Error) -> Self {
        Self::Network(Box::new(error))
    }
}

impl From<LedgerError> for PermanenceError {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(Box::new(error))
    }
}

impl From<CheckpointError> for PermanenceError {
    fn from(error: CheckpointError) -> Self {
        Self::Checkpoint(Box::new(error))
    }
}
