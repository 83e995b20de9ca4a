//! SKELETON: signatures that the other crates build on. The owner of storage splits this into modules.
#![allow(unused_variables, clippy::todo)]

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, BlockNumber, Bytes, TxHash, U256, map::B256Map};
use alloy_trie::BranchNodeCompact;
use nybbles::Nibbles;
use std::{ops::RangeInclusive, path::Path, sync::Arc};
use weft_primitives::{
    BlobIndex, Block, ColumnIndex, DaSummary, HashedPostState, PreparedBlock, Receipt, SealedHeader,
    StoredAccount, Transaction, TrieUpdates,
};

pub use alloy_eips::BlockNumHash;

/// Handle to the one database of a data folder. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<()>,
}

#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// Open without taking the lock or writing (for `weft db stats` beside a running node).
    pub read_only: bool,
    /// Block cache in bytes.
    pub cache_bytes: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("database: {0}")]
    Database(String),
    #[error("{table}: corrupt record at {key}: {reason}")]
    Corrupt { table: &'static str, key: String, reason: String },
    #[error("block {0} is not in the database")]
    MissingBlock(BlockNumber),
    #[error("stage output up to block {} ({}) is stale: the chain was reorganised below it", .0.number, .0.hash)]
    Reorged(BlockNumHash),
    #[error("data of transaction {0} was dropped; columns held: {1:?}")]
    BodyDropped(TxHash, Vec<ColumnIndex>),
    #[error("disk is full ({0} bytes free)")]
    DiskFull(u64),
    #[error("{0} is in use by another process")]
    Locked(std::path::PathBuf),
    #[error("database schema {found}, this binary speaks {expected}")]
    Schema { found: u32, expected: u32 },
    // ... the owner completes and reshapes this (sources instead of strings)
}

/// Names of stages, as on disk, in metrics and in `da_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StageId(pub &'static str);

/// How far a stage has come.
pub type StageCheckpoint = BlockNumHash;

/// All that one canonical block adds. Written as ONE batch, fsynced before return.
#[derive(Debug)]
pub struct BlockWrite<'a> {
    pub block: &'a PreparedBlock,
    pub receipts: &'a [Receipt],
    /// Leaves after the block; storage reads the previous values itself and keeps them as the change set.
    pub state: &'a HashedPostState,
    /// New contract code by code hash.
    pub code: &'a B256Map<Bytes>,
    /// Trie nodes; `storages[..].root` goes into the account records.
    pub trie: &'a TrieUpdates,
    /// `None` on a chain without `config.weft`. Cell hashes come from the transactions' `EncodedBlob`s.
    pub da: Option<&'a DaSummary>,
}

/// One column of one blob: its cells in chunk order, concatenated (`Σ s` bytes). Shard-store unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnSegment {
    pub block: BlockNumber,
    pub blob: BlobIndex,
    pub column: ColumnIndex,
    pub cells: Bytes,
}

/// A transaction on disk.
#[derive(Clone, Debug)]
pub enum StoredTransaction {
    /// EIP-2718 bytes.
    Whole(Bytes),
    /// The large input was dropped; it is what the data columns give back.
    Dropped { tx_hash: TxHash, without_input: Transaction, input_bytes: u64 },
}

/// Where a transaction lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxPosition {
    pub block: BlockNumber,
    pub index: u32,
}

/// What is in a block besides header and transactions.
#[derive(Clone, Debug, Default)]
pub struct StoredBodyMeta {
    pub tx_count: u32,
    pub ommers: Vec<Header>,
    pub withdrawals: Option<alloy_eips::eip4895::Withdrawals>,
}

impl Store {
    pub fn open(path: &Path, options: StoreOptions) -> Result<Self, StorageError> { todo!() }
    /// A consistent snapshot; everything read through it is of one moment.
    pub fn view(&self) -> View<'_> { todo!() }
    /// Block 0 with its state, trie and code. Refuses when a chain is there already.
    pub fn commit_genesis(&self, header: &SealedHeader, state: &HashedPostState, code: &B256Map<Bytes>, trie: &TrieUpdates) -> Result<(), StorageError> { todo!() }
    /// Appends a child of the head. ONE batch (large bodies go first, unlogged and flushed, when that is cheaper), fsynced.
    pub fn commit_block(&self, write: BlockWrite<'_>) -> Result<(), StorageError> { todo!() }
    /// Drops all canonical blocks above `target` in one batch. `revert` is `view.revert_state(target)`, `trie` its updates.
    /// Marks every stage whose checkpoint is above `target` as to be unwound (see `stage_unwind_target`).
    pub fn unwind_to(&self, target: BlockNumber, revert: &HashedPostState, trie: &TrieUpdates) -> Result<(), StorageError> { todo!() }
    pub fn set_forkchoice(&self, safe: Option<BlockNumHash>, finalized: Option<BlockNumHash>) -> Result<(), StorageError> { todo!() }

    // ---- stages and shards ----
    /// Output and checkpoint in one batch. `Reorged` when `checkpoint` is no longer canonical or an unwind is pending.
    pub fn commit_stage(&self, id: StageId, checkpoint: StageCheckpoint, segments: &[ColumnSegment]) -> Result<(), StorageError> { todo!() }
    /// Removes shard output above `to`, sets the checkpoint to it, clears the pending unwind; one batch.
    pub fn unwind_stage(&self, id: StageId, to: BlockNumber) -> Result<(), StorageError> { todo!() }
    /// Replaces the body's large input by its data columns (all k, unless already held), one batch.
    /// The caller gives the columns cut from the input (zero-padded).
    pub fn drop_body(&self, position: TxPosition, data_columns: &[ColumnSegment]) -> Result<(), StorageError> { todo!() }
    /// Deletes columns of one blob.
    pub fn drop_columns(&self, block: BlockNumber, blob: BlobIndex, columns: &[ColumnIndex]) -> Result<(), StorageError> { todo!() }
    pub fn put_columns(&self, segments: &[ColumnSegment]) -> Result<(), StorageError> { todo!() }
}

/// A snapshot of the database.
#[derive(Debug)]
pub struct View<'a> {
    store: &'a Store,
}

impl<'a> View<'a> {
    // ---- chain ----
    pub fn head(&self) -> Result<BlockNumHash, StorageError> { todo!() }
    pub fn safe(&self) -> Result<Option<BlockNumHash>, StorageError> { todo!() }
    pub fn finalized(&self) -> Result<Option<BlockNumHash>, StorageError> { todo!() }
    pub fn canonical_hash(&self, number: BlockNumber) -> Result<Option<B256>, StorageError> { todo!() }
    /// Only canonical blocks are in the database.
    pub fn block_number(&self, hash: B256) -> Result<Option<BlockNumber>, StorageError> { todo!() }
    pub fn header(&self, number: BlockNumber) -> Result<Option<SealedHeader>, StorageError> { todo!() }
    pub fn body_meta(&self, number: BlockNumber) -> Result<Option<StoredBodyMeta>, StorageError> { todo!() }
    pub fn transaction(&self, position: TxPosition) -> Result<Option<StoredTransaction>, StorageError> { todo!() }
    pub fn senders(&self, number: BlockNumber) -> Result<Option<Vec<Address>>, StorageError> { todo!() }
    /// The whole block. `BodyDropped` names the first transaction whose input is not in the body any more.
    pub fn block(&self, number: BlockNumber) -> Result<Option<Block>, StorageError> { todo!() }
    pub fn receipts(&self, number: BlockNumber) -> Result<Option<Vec<Receipt>>, StorageError> { todo!() }
    pub fn tx_position(&self, hash: TxHash) -> Result<Option<TxPosition>, StorageError> { todo!() }

    // ---- data availability ----
    pub fn da_summary(&self, number: BlockNumber) -> Result<Option<DaSummary>, StorageError> { todo!() }
    /// All cell hashes of the block, chunk-major over the block's chunks: cell (c, j) at `c·n + j`.
    pub fn cell_hashes(&self, number: BlockNumber) -> Result<Option<Vec<B256>>, StorageError> { todo!() }
    pub fn column(&self, block: BlockNumber, blob: BlobIndex, column: ColumnIndex) -> Result<Option<Bytes>, StorageError> { todo!() }
    pub fn columns_held(&self, block: BlockNumber, blob: BlobIndex) -> Result<Vec<ColumnIndex>, StorageError> { todo!() }
    pub fn stage_checkpoint(&self, id: StageId) -> Result<Option<StageCheckpoint>, StorageError> { todo!() }
    pub fn stage_unwind_target(&self, id: StageId) -> Result<Option<BlockNumber>, StorageError> { todo!() }

    // ---- state ----
    /// State after block `number` (the head: current tables; below: history tables). Implements revm's `DatabaseRef`.
    pub fn state_at(&self, number: BlockNumber) -> Result<StateReader<'_>, StorageError> { todo!() }
    /// What turns the head's state into that after `target`: the merged previous values of all blocks above it.
    pub fn revert_state(&self, target: BlockNumber) -> Result<HashedPostState, StorageError> { todo!() }
    pub fn code(&self, hash: B256) -> Result<Option<Bytes>, StorageError> { todo!() }

    // ---- cursors over the head's hashed state and tries ----
    pub fn hashed_accounts(&self) -> AccountCursor<'_> { todo!() }
    pub fn hashed_storage(&self, hashed_address: B256) -> StorageCursor<'_> { todo!() }
    pub fn account_trie(&self) -> TrieCursor<'_> { todo!() }
    pub fn storage_trie(&self, hashed_address: B256) -> TrieCursor<'_> { todo!() }

    /// Headers in a range, ascending.
    pub fn headers(&self, range: RangeInclusive<BlockNumber>) -> Result<Vec<SealedHeader>, StorageError> { todo!() }
}

/// State after one block, read by hashed key; addresses and slots are hashed here.
#[derive(Debug)]
pub struct StateReader<'a> {
    view: &'a View<'a>,
}

impl StateReader<'_> {
    pub fn account(&self, hashed_address: B256) -> Result<Option<StoredAccount>, StorageError> { todo!() }
    pub fn storage(&self, hashed_address: B256, hashed_slot: B256) -> Result<U256, StorageError> { todo!() }
    pub fn account_of(&self, address: Address) -> Result<Option<StoredAccount>, StorageError> { todo!() }
}
// impl revm::DatabaseRef for StateReader<'_> { type Error = StorageError; .. } — block_hash_ref reads canonical hashes.

#[derive(Debug)]
pub struct AccountCursor<'a>(&'a ());
impl AccountCursor<'_> {
    /// First entry at or after `key`.
    pub fn seek(&mut self, key: B256) -> Result<Option<(B256, StoredAccount)>, StorageError> { todo!() }
    pub fn next(&mut self) -> Result<Option<(B256, StoredAccount)>, StorageError> { todo!() }
}

#[derive(Debug)]
pub struct StorageCursor<'a>(&'a ());
impl StorageCursor<'_> {
    pub fn seek(&mut self, key: B256) -> Result<Option<(B256, U256)>, StorageError> { todo!() }
    pub fn next(&mut self) -> Result<Option<(B256, U256)>, StorageError> { todo!() }
}

/// Branch nodes in path order (lexicographic by nibble, a prefix before its extensions).
#[derive(Debug)]
pub struct TrieCursor<'a>(&'a ());
impl TrieCursor<'_> {
    pub fn seek_exact(&mut self, path: &Nibbles) -> Result<Option<BranchNodeCompact>, StorageError> { todo!() }
    pub fn seek(&mut self, path: &Nibbles) -> Result<Option<(Nibbles, BranchNodeCompact)>, StorageError> { todo!() }
    pub fn next(&mut self) -> Result<Option<(Nibbles, BranchNodeCompact)>, StorageError> { todo!() }
}
