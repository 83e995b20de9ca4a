//! What callers hand over and get back.

use alloy_eips::{BlockNumHash, eip4895::Withdrawals};
use alloy_primitives::{B256, BlockNumber, Bytes, TxHash, map::B256Map};
use weft_primitives::{
    BlobIndex, ColumnIndex, DaSummary, HashedPostState, Header, PreparedBlock, Receipt, Transaction,
    TrieUpdates,
};

use crate::{DatabaseRole, codec};

/// Name of a stage, as on disk, in metrics and in `da_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StageId(pub &'static str);

/// How far a stage has come.
pub type StageCheckpoint = BlockNumHash;

/// All that one canonical block adds. Written as ONE batch, fsynced before return.
#[derive(Clone, Copy, Debug)]
pub struct BlockWrite<'a> {
    /// The block; its transactions bring hash, sender, encoding and cell hashes.
    pub block: &'a PreparedBlock,
    /// One per transaction.
    pub receipts: &'a [Receipt],
    /// Leaves after the block; storage reads the previous values itself and keeps them as history.
    pub state: &'a HashedPostState,
    /// New contract code by code hash.
    pub code: &'a B256Map<Bytes>,
    /// Trie nodes; `storages[..].root` goes into the account records.
    pub trie: &'a TrieUpdates,
    /// `None` on a chain without `config.weft`. Cell hashes come from the transactions' `EncodedBlob`s.
    pub da: Option<&'a DaSummary>,
}

/// One column of one blob: its cells in chunk order, concatenated (`Σ s` bytes). The shard store's unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnSegment {
    /// The blob's block.
    pub block: BlockNumber,
    /// The blob's place among the block's blobs.
    pub blob: BlobIndex,
    /// The column.
    pub column: ColumnIndex,
    /// Its cells.
    pub cells: Bytes,
}

/// A transaction on disk.
#[expect(clippy::large_enum_variant, reason = "one at a time is read and taken apart")]
#[derive(Clone, Debug)]
pub enum StoredTransaction {
    /// EIP-2718 bytes.
    Whole(Bytes),
    /// The large input was dropped; it is what the data columns give back.
    Dropped {
        /// Hash of the whole transaction.
        tx_hash: TxHash,
        /// The transaction with an empty input; it answers with the whole transaction's hash.
        without_input: Transaction,
        /// Length of the input that was dropped.
        input_bytes: u64,
    },
}

impl StoredTransaction {
    /// Puts a dropped input back; the hash is set, not computed, so check it against the input's
    /// source (the block's commitment) first. A whole transaction ignores `input`. `None`: malformed bytes.
    pub fn with_input(self, tx_hash: TxHash, input: Bytes) -> Option<Transaction> {
        match self {
            Self::Whole(bytes) => codec::decode_transaction(&bytes, tx_hash).ok(),
            Self::Dropped { tx_hash, without_input, .. } => {
                Some(codec::with_input(without_input, tx_hash, input))
            }
        }
    }
}

/// Where a transaction lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TxPosition {
    /// Number of the block.
    pub block: BlockNumber,
    /// Index in the block.
    pub index: u32,
}

/// What is in a block besides header and transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredBodyMeta {
    /// Transactions in the block.
    pub tx_count: u32,
    /// Payload length in bytes of the transaction list in the block's RLP, so that the block's
    /// size is known without reading it.
    pub transactions_rlp_bytes: u64,
    /// Uncle headers.
    pub ommers: Vec<Header>,
    /// Withdrawals, from Shanghai on.
    pub withdrawals: Option<Withdrawals>,
}

/// What a handle is opened with.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Open beside a running node: neither takes the lock nor writes; sees the moment of opening.
    pub read_only: bool,
    /// Whose database it must be; `None` opens any, for tools that look and check.
    pub role: Option<DatabaseRole>,
    /// Block cache in bytes; holds index and filter blocks too.
    pub cache_bytes: usize,
    /// Memtables of all tables together in bytes, beyond which the oldest is flushed; `None`: each table's own limits.
    pub memtable_bytes_max: Option<usize>,
    /// Free disk space in bytes below which nothing is written, so that what was acknowledged can
    /// still be flushed and compacted.
    pub disk_reserve_bytes: u64,
    /// Large values of a block that exceed this many bytes do not go through the write-ahead log.
    pub unlogged_bytes_min: usize,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            read_only: false,
            role: Some(DatabaseRole::Full),
            cache_bytes: 128 << 20,
            memtable_bytes_max: None,
            disk_reserve_bytes: 256 << 20,
            unlogged_bytes_min: 4 << 20,
        }
    }
}

/// The head as `Meta` names it.
pub(crate) const HEAD: &[u8] = b"head";
pub(crate) const SAFE: &[u8] = b"safe";
pub(crate) const FINALIZED: &[u8] = b"finalized";
/// The block that the database was restored at; the head, where there are only headers.
pub(crate) const BASE: &[u8] = b"base";
/// Of which kind of node the database is; absent in a full node's.
pub(crate) const ROLE: &[u8] = b"role";
/// The value of `ROLE` in a database without execution.
pub(crate) const DA: &[u8] = b"da";
/// How far columns were pruned, and how many bytes are left.
pub(crate) const COLUMNS: &[u8] = b"columns";
/// Hash of the manifest of a restore that did not finish yet.
pub(crate) const RESTORE: &[u8] = b"restore";
/// Followed by the number of a step of that restore that is done.
pub(crate) const RESTORE_STEP: &[u8] = b"restore/";

/// An account or slot key is always a hash.
pub(crate) type HashedKey = B256;
