//! Checkpoints and blobs on Arweave: who makes them, where they are, and how they come back.
//!
//! | file | what |
//! |---|---|
//! | `stage` | [`CheckpointStage`]: follows the finalized block and queues checkpoints into the ledger |
//! | `index`, `rebuild` | [`CheckpointIndex`]: block or moment → checkpoint, items, transactions; and back from Arweave's tags |
//! | `source` | [`ArweaveSource`]: checkpoint items for a restore |
//! | `blobs`, `archive_source` | [`BlobPermanence`], [`ArchiveSource`]: one blob to Arweave, and back, held against its header |
//! | `bridge` | blocking calls over the asynchronous network |
//! | `cost` | what it costs |

mod archive_source;
mod blobs;
mod bridge;
mod cost;
mod error;
mod index;
mod metrics;
mod rebuild;
mod source;
mod stage;

pub use archive_source::{ArchiveSource, NotProven};
pub use blobs::{BlobArgs, BlobPermanence, PermanentBlob};
pub use cost::{Cost, CostInput, Measured, QUOTED_BYTES, WINSTON_PER_AR, cost, measure};
pub use error::PermanenceError;
pub use index::{CheckpointEntry, CheckpointIndex, Located, Moment};
pub use rebuild::{FoundManifest, Rebuilt, index_is_lost, manifests, rebuild};
pub use source::{ArweaveSource, SourceError};
pub use stage::{CHECKPOINT, CheckpointArgs, CheckpointConfig, CheckpointProgress, CheckpointStage, Making};
