#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod checkpoint;
mod error;
pub mod ledger;
mod metrics;
mod operations;
mod parity;
pub mod permanence;
mod reader;
mod retrieve;
mod stage;
mod task;
mod verify;
pub mod weave;

pub use error::RetrieveError;
pub use ledger::{
    ArchiveReceipt, Budget, Clock, ItemSigner, ItemStatus, Ledger, LedgerArgs, LedgerConfig, LedgerError,
    LedgerStatus, NewItem, Payment, Stop, Upload,
};
pub use operations::{drop_body, drop_columns, repair};
pub use parity::ParityCache;
pub use permanence::{ArchiveSource, BlobPermanence, CheckpointIndex, CheckpointStage, PermanenceError};
pub use retrieve::{Retriever, Source};
pub use stage::{BLOB_ARCHIVE, BlobArchive};
pub use verify::{BlockReport, Problem, verify_block};
pub use weave::{Gateways, Weave};
