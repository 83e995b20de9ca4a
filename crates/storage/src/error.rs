//! What storage answers when it cannot do what was asked.
//!
//! Every decoding failure names table and key, every refusal names the block, so that an operator
//! can act on the message alone.

use alloy_eips::BlockNumHash;
use alloy_primitives::{B256, BlockNumber, TxHash, hex};
use std::path::PathBuf;
use weft_primitives::{BlobIndex, ColumnIndex};

use crate::{DatabaseRole, Table, codec::Malformed};

/// Why storage refused or failed. Nothing of a refused or failed write is visible afterwards.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// RocksDB failed for another reason than the ones below.
    #[error("database: {0}")]
    Database(#[source] rocksdb::Error),
    /// A file of the database fails its checksum or is missing.
    #[error(
        "database files in {path} are damaged: {source}; restore the folder or let the node build a new one"
    )]
    Damaged {
        /// The database folder.
        path: PathBuf,
        /// RocksDB's own words.
        source: rocksdb::Error,
    },
    /// A file or folder operation outside of RocksDB failed.
    #[error("{path}: {source}")]
    Io {
        /// What was touched.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A record does not decode.
    #[error("{table}: corrupt record at {key}: {reason}")]
    Corrupt {
        /// Name of the table.
        table: &'static str,
        /// Key in hex.
        key: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The folder holds no chain yet.
    #[error("the database holds no chain; commit a genesis first")]
    Empty,
    /// A genesis was to be committed where a chain is already.
    #[error("the database already holds a chain with genesis {0}")]
    NotEmpty(B256),
    /// The block is above the head or was unwound.
    #[error("block {0} is not in the database")]
    MissingBlock(BlockNumber),
    /// An account names code that was never stored.
    #[error("code {0} is not in the database")]
    MissingCode(B256),
    /// A block was to be appended that is not a child of the head.
    #[error("block {} ({}) with parent {parent} does not follow the head {} ({})", .block.number, .block.hash, .head.number, .head.hash)]
    NotNext {
        /// The refused block.
        block: BlockNumHash,
        /// Its parent's hash.
        parent: B256,
        /// The head in the database.
        head: BlockNumHash,
    },
    /// What the caller handed over contradicts itself; the text says how.
    #[error("block {block}: {reason}")]
    Inconsistent {
        /// Block under way.
        block: BlockNumber,
        /// The contradiction.
        reason: &'static str,
    },
    /// A record of the upload ledger was to be changed in a way that contradicts what is there.
    #[error("upload ledger: {0}")]
    Ledger(&'static str),
    /// An unwind below the finalized block was asked for.
    #[error("cannot unwind to block {target}: block {finalized} is finalized")]
    Finalized {
        /// Where to.
        target: BlockNumber,
        /// The finalized block.
        finalized: BlockNumber,
    },
    /// State from before the block that the database was restored at.
    #[error("the state after block {block} is not kept: this database was restored at block {base}")]
    StateNotKept {
        /// Asked for.
        block: BlockNumber,
        /// The oldest block whose state is here.
        base: BlockNumber,
    },
    /// Transactions, receipts or cells of a block that the database has only the header of.
    #[error("body and receipts of block {block} are not kept: this database was restored at block {base}")]
    BodyNotKept {
        /// Asked for.
        block: BlockNumber,
        /// The newest block without a body.
        base: BlockNumber,
    },
    /// Bodies, receipts or state in a database that has none.
    #[error(
        "block {0}: this node does not execute: its database has headers and columns, no bodies, receipts or state"
    )]
    HeadersOnly(BlockNumber),
    /// The database of another kind of node.
    #[error("{path} is the database of a {found} node, not of a {wanted} node: use another data folder")]
    OtherRole {
        /// The database folder.
        path: PathBuf,
        /// Whose it is.
        found: DatabaseRole,
        /// Who asked.
        wanted: DatabaseRole,
    },
    /// Cells of a block whose columns were pruned.
    #[error("columns of block {block} were pruned: those from block {first} on are kept")]
    ColumnsPruned {
        /// The block.
        block: BlockNumber,
        /// The oldest block whose columns are kept.
        first: BlockNumber,
    },
    /// Only what is final may be deleted for the network's sake.
    #[error("block {0} is not finalized")]
    NotFinalized(BlockNumber),
    /// The folder holds a restore that did not finish.
    #[error(
        "{path} holds an unfinished restore of checkpoint {target}: run the same restore again to finish it, or delete the folder"
    )]
    HalfRestored {
        /// The database folder.
        path: PathBuf,
        /// Hash of the manifest.
        target: B256,
    },
    /// A restore was to go on in the folder of another one.
    #[error(
        "{path} holds an unfinished restore of checkpoint {found}, not of {wanted}: finish that one, or delete the folder"
    )]
    OtherRestore {
        /// The database folder.
        path: PathBuf,
        /// Hash of the manifest under way.
        found: B256,
        /// Hash of the manifest asked for.
        wanted: B256,
    },
    /// One file of a restore was given records of two tables.
    #[error("a file of {first} was given a record of {second}")]
    MixedTables {
        /// Table of its first record.
        first: &'static str,
        /// Table of the refused one.
        second: &'static str,
    },
    /// More keys were to be sorted than the disk may be used for.
    #[error("more than {bytes_max} bytes of keys were to be sorted")]
    TooManyKeys {
        /// The limit.
        bytes_max: u64,
    },
    /// So much changed in a range of blocks that its state cannot be told apart within the limit.
    #[error(
        "blocks {first} to {last}, {} of them, changed more than {bytes_max} bytes of keys: take a newer block", last - first + 1
    )]
    TooFar {
        /// First block of the range.
        first: BlockNumber,
        /// Its last.
        last: BlockNumber,
        /// The limit.
        bytes_max: u64,
    },
    /// The stage worked on a block that is no longer canonical, or its unwind is still pending.
    #[error("stage output up to block {} ({}) is stale: the chain was reorganised below it", .0.number, .0.hash)]
    Reorged(BlockNumHash),
    /// The input of a transaction is held in columns only.
    #[error("data of transaction {0} was dropped; columns held: {1:?}")]
    BodyDropped(TxHash, Vec<ColumnIndex>),
    /// Cell hashes or cells are not those that the block commits to.
    #[error("data of block {block} does not match its commitment: {source}")]
    Commitment {
        /// The block.
        block: BlockNumber,
        /// What differs.
        source: weft_erasure::CheckError,
    },
    /// Deleting would leave too few columns to reconstruct a dropped body, or the columns are not the body's.
    #[error("blob {blob} of block {block}: {reason}")]
    WouldLoseData {
        /// The blob's block.
        block: BlockNumber,
        /// The blob.
        blob: BlobIndex,
        /// What is missing.
        reason: &'static str,
    },
    /// No room; nothing was written. Writes succeed again once there is room.
    #[error("disk is full: {free_bytes} bytes are free, {needed_bytes} are needed")]
    DiskFull {
        /// Free for this process.
        free_bytes: u64,
        /// What the write needs, with the reserve.
        needed_bytes: u64,
    },
    /// Another process, or another handle of this one, has the folder.
    #[error("{path} is in use by another weft{}", .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Locked {
        /// The database folder.
        path: PathBuf,
        /// Who holds it, where known.
        pid: Option<u32>,
    },
    /// The folder was written by another version.
    #[error("{path} has database schema {found}, this binary speaks {expected}")]
    Schema {
        /// The database folder.
        path: PathBuf,
        /// On disk.
        found: u32,
        /// Ours.
        expected: u32,
    },
    /// A write through a handle that was opened to read only.
    #[error("the database was opened read-only")]
    ReadOnly,
}

impl StorageError {
    pub(crate) fn corrupt(table: Table, key: &[u8], malformed: Malformed) -> Self {
        Self::Corrupt { table: table.name(), key: hex::encode_prefixed(key), reason: malformed.0 }
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

impl revm::database_interface::DBErrorMarker for StorageError {}
