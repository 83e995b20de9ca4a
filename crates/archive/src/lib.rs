#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod checkpoint;
mod disperse;
mod error;
mod intake;
pub mod ledger;
mod metrics;
pub mod network;
mod operations;
mod parity;
mod peers;
pub mod permanence;
mod proven;
mod reader;
mod repair;
mod retention;
mod retrieve;
mod serve;
mod stage;
mod task;
mod verify;
pub mod weave;

pub use disperse::disperse;
pub use error::RetrieveError;
pub use intake::{BLOCKS_WATCHED_MAX, Bad, ColumnIntake, IntakeConfig, Unneeded, Verdict, WorkItem};
pub use ledger::{
    ArchiveReceipt, Budget, Clock, ItemSigner, ItemStatus, Ledger, LedgerArgs, LedgerConfig, LedgerError,
    LedgerStatus, NewItem, Payment, Stop, Upload,
};
pub use operations::{drop_body, drop_columns, repair};
pub use parity::ParityCache;
pub use peers::{BLOBS_MAX, ColumnFetch, ColumnPeers, Commitment, PeersError, Range32, Taken};
pub use permanence::{ArchiveSource, BlobPermanence, CheckpointIndex, CheckpointStage, PermanenceError};
pub use proven::{ProvenCells, SEGMENT_BYTES_MAX, SEGMENT_CELLS_MAX};
pub use repair::{BlockRepair, ColumnRepair, Lost, Mended, repair_block, repair_column};
pub use retention::{CustodyClaim, CustodyPeers, RETENTION, Retention, RetentionConfig, RetentionStep};
pub use retrieve::{Retriever, Source};
pub use serve::{CellServer, CellsRequest};
pub use stage::{BLOB_ARCHIVE, BlobArchive};
pub use verify::{BlockReport, Problem, verify_block};
pub use weave::{Gateways, Weave};
