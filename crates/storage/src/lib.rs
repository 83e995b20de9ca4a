#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod changes;
mod codec;
mod columns;
mod commit;
mod cursor;
mod custody;
mod da;
mod disk;
mod error;
mod keys;
mod ledger;
mod metrics;
mod options;
mod restore;
mod scan;
mod shards;
mod sorted_keys;
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
pub use custody::{
    AttestationError, CustodyAttestation, CustodyPolicy, CustodyProof, CustodyShortfall, PEER_BYTES_MAX,
};
pub use da::{ColumnLimits, ColumnProgress, ColumnsPruned, Custody, DatabaseRole};
pub use disk::SCHEMA_VERSION;
pub use error::StorageError;
pub use ledger::{
    Booking, Carrier, CheckpointRecord, LedgerItem, LedgerKey, LedgerKind, LedgerPlace, PermanentBlobRecord,
    Shipment, ShipmentState, Spending,
};
pub use restore::{BulkLoad, BulkWriter};
pub use scan::{ChangedKeys, split_slot};
pub use sorted_keys::{KeySorter, SortOptions, SortedKeys};
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
