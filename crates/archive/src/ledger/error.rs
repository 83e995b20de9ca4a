//! Why the ledger refuses or fails.

use super::{budget::Stop, spool::SpoolError};
use weft_arweave::{Error, FormatError};
use weft_storage::StorageError;

/// Why an item is not taken, or a step towards Arweave failed. Nothing of a refused item is there afterwards.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The spool does not take or give bytes.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The database refused or failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The item cannot be signed: its tags exceed what a data item may have.
    #[error("the item cannot be signed: {0}")]
    Sign(#[source] FormatError),
    /// A record that does not say what it should.
    #[error("a record of the ledger is damaged: {0}")]
    Damaged(#[source] FormatError),
    /// Arweave refuses or does not answer.
    #[error(transparent)]
    Network(Box<Error>),
    /// Nothing is paid for now.
    #[error(transparent)]
    Stopped(#[from] Stop),
    /// What was read back is not what was sent.
    #[error("read back from {gateway}: {reason}")]
    NotVerified {
        /// Who gave it.
        gateway: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// The worker has ended.
    #[error("the ledger has been shut down")]
    ShutDown,
}

impl From<Error> for LedgerError {
    fn from(error: Error) -> Self {
        Self::Network(Box::new(error))
    }
}

impl LedgerError {
    /// Whether the same may succeed later without anything being changed here.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Spool(SpoolError::Full { .. }) | Self::Stopped(_) | Self::NotVerified { .. } => true,
            Self::Storage(StorageError::DiskFull { .. }) => true,
            Self::Spool(SpoolError::Io { source, .. }) => source.kind() == std::io::ErrorKind::StorageFull,
            Self::Network(error) => error.is_transient(),
            Self::Spool(SpoolError::Lost(_)) | Self::Storage(_) | Self::Sign(_) => false,
            Self::Damaged(_) | Self::ShutDown => false,
        }
    }
}
