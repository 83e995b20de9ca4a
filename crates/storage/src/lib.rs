#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod changes;
mod codec;
mod columns;
mod commit;
mod cursor;
mod disk;
mod error;
mod keys;
mod metrics;
mod options;
mod shards;
mod state;
mod stats;
mod store;
mod tables;
mod types;
mod unwind;
mod verify;
mod view;

pub use alloy_eips::BlockNumHash;
pub use cursor::{AccountCursor, StorageCursor, TrieCursor};
pub use disk::SCHEMA_VERSION;
pub use error::StorageError;
pub use state::StateReader;
pub use stats::TableStats;
pub use store::Store;
pub use tables::Table;
pub use types::{
    BlockWrite, ColumnSegment, StageCheckpoint, StageId, StoreOptions, StoredBodyMeta, StoredTransaction,
    TxPosition,
};
pub use verify::{ChainProblem, ChainReport};
pub use view::View;
