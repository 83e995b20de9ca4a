//! A snapshot of the database, and the reads of chain and data availability.
//!
//! Only canonical blocks are in the database, so a number names one block. `None` is always "there
//! is no such thing here"; bytes that do not decode are [`StorageError::Corrupt`].

use crate::{
    DatabaseRole, StageCheckpoint, StageId, StorageError, StoredBodyMeta, StoredTransaction, Table,
    TxPosition,
    codec::{self, ColumnBitmap, DispersedRecord, HeaderRecord, SenderRecord, StageRecord, Stub, Value},
    keys,
    store::Inner,
    types::{BASE, FINALIZED, HEAD, SAFE},
};
use alloy_eips::BlockNumHash;
use alloy_primitives::{Address, B256, BlockNumber, Bytes, TxHash};
use rocksdb::{DBPinnableSlice, DBRawIterator, ReadOptions, Snapshot};
use std::{fmt, ops::RangeInclusive};
use weft_primitives::{BlobIndex, Block, BlockBody, ColumnIndex, DaSummary, Receipt, SealedHeader};

/// A snapshot of the database. Cheap; keep it for a request, not for a day: what it sees cannot be compacted away.
pub struct View<'a> {
    pub(crate) inner: &'a Inner,
    snapshot: Snapshot<'a>,
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl<'a> View<'a> {
    pub(crate) fn new(inner: &'a Inner) -> Self {
        Self { inner, snapshot: inner.db.snapshot() }
    }

    // ---- chain ----

    /// Number and hash of the newest block; [`StorageError::Empty`] before genesis.
    pub fn head(&self) -> Result<BlockNumHash, StorageError> {
        self.value(Table::Meta, HEAD)?.ok_or(StorageError::Empty)
    }

    /// Whether no genesis was committed yet.
    pub fn is_empty(&self) -> Result<bool, StorageError> {
        Ok(self.raw(Table::Meta, HEAD)?.is_none())
    }

    /// Number of the oldest block, which is the genesis; [`StorageError::Empty`] before it.
    pub fn first_number(&self) -> Result<BlockNumber, StorageError> {
        let mut iterator = self.iterator(Table::Headers, ReadOptions::default());
        iterator.seek_to_first();
        iterator.status().map_err(|error| self.inner.error(error))?;
        let number = iterator.key().and_then(|key| key.try_into().ok()).map(BlockNumber::from_be_bytes);
        number.ok_or(StorageError::Empty)
    }

    /// The safe block, as the last fork choice named it.
    pub fn safe(&self) -> Result<Option<BlockNumHash>, StorageError> {
        self.value(Table::Meta, SAFE)
    }

    /// The finalized block, as the last fork choice named it.
    pub fn finalized(&self) -> Result<Option<BlockNumHash>, StorageError> {
        self.value(Table::Meta, FINALIZED)
    }

    /// By how many peers each column of a block was attested when its bodies were dropped for that
    /// ([`Store::drop_dispersed`](crate::Store::drop_dispersed)); `None` when they were not.
    pub fn dispersed(&self, block: BlockNumber) -> Result<Option<Vec<(ColumnIndex, u32)>>, StorageError> {
        Ok(self
            .value::<DispersedRecord>(Table::Dispersed, &keys::number(block))?
            .map(|record| record.columns))
    }

    /// The newest block of which bodies were dropped for peers' sake.
    pub fn newest_dispersed(&self) -> Result<Option<BlockNumber>, StorageError> {
        let mut iterator = self.iterator(Table::Dispersed, ReadOptions::default());
        iterator.seek_to_last();
        iterator.status().map_err(|error| self.inner.error(error))?;
        Ok(iterator.key().and_then(|key| key.try_into().ok()).map(BlockNumber::from_be_bytes))
    }

    /// The block that the database was restored at, if it was: state and history begin with it, bodies and
    /// receipts with the next one; below there are headers, with what their `daRoot`s commit to. In a
    /// database without bodies it is the head.
    pub fn base(&self) -> Result<Option<BlockNumHash>, StorageError> {
        self.value(Table::Meta, BASE)
    }

    /// Hash of the block of that number.
    pub fn canonical_hash(&self, number: BlockNumber) -> Result<Option<B256>, StorageError> {
        let key = keys::number(number);
        let Some(bytes) = self.raw(Table::Headers, &key)? else { return Ok(None) };
        HeaderRecord::hash(&bytes)
            .map(Some)
            .map_err(|malformed| StorageError::corrupt(Table::Headers, &key, malformed))
    }

    /// Number of the block of that hash.
    pub fn block_number(&self, hash: B256) -> Result<Option<BlockNumber>, StorageError> {
        self.value(Table::HeaderNumbers, hash.as_slice())
    }

    /// Header of the block of that number.
    pub fn header(&self, number: BlockNumber) -> Result<Option<SealedHeader>, StorageError> {
        Ok(self.value::<HeaderRecord>(Table::Headers, &keys::number(number))?.map(|record| record.0))
    }

    /// Headers in a range, ascending; those above the head are left out.
    pub fn headers(&self, range: RangeInclusive<BlockNumber>) -> Result<Vec<SealedHeader>, StorageError> {
        let mut headers = Vec::new();
        let mut iterator = self.iterator(Table::Headers, ReadOptions::default());
        iterator.seek(keys::number(*range.start()));
        while let Some((key, value)) = iterator.item() {
            if key > keys::number(*range.end()).as_slice() {
                break;
            }
            let record = HeaderRecord::decode(value)
                .map_err(|malformed| StorageError::corrupt(Table::Headers, key, malformed))?;
            headers.push(record.0);
            iterator.next();
        }
        iterator.status().map_err(|error| self.inner.error(error))?;
        Ok(headers)
    }

    /// What is in a block besides header and transactions.
    pub fn body_meta(&self, number: BlockNumber) -> Result<Option<StoredBodyMeta>, StorageError> {
        self.value(Table::BodyMeta, &keys::number(number))
    }

    /// A transaction, whole or without its dropped input.
    pub fn transaction(&self, position: TxPosition) -> Result<Option<StoredTransaction>, StorageError> {
        // Bytes of a crashed write may lie above a block's last transaction, or above the head.
        let Some((tx_hash, _)) = self.tx_hash_and_sender(position)? else { return Ok(None) };
        let key = keys::position(position);
        if let Some(bytes) = self.raw(Table::Transactions, &key)? {
            return Ok(Some(StoredTransaction::Whole(Bytes::copy_from_slice(&bytes))));
        }
        let Some(stub) = self.value::<Stub>(Table::TransactionStubs, &key)? else {
            let reason = codec::Malformed("transaction of a canonical block is missing");
            return Err(StorageError::corrupt(Table::Transactions, &key, reason));
        };
        let without_input = codec::with_input(stub.tx, tx_hash, Bytes::new());
        Ok(Some(StoredTransaction::Dropped { tx_hash, without_input, input_bytes: stub.input_bytes }))
    }

    /// Hash and sender of a transaction, without reading it.
    pub fn tx_hash_and_sender(
        &self,
        position: TxPosition,
    ) -> Result<Option<(TxHash, Address)>, StorageError> {
        let key = keys::number(position.block);
        let Some(bytes) = self.raw(Table::Senders, &key)? else { return Ok(None) };
        let index = usize::try_from(position.index).unwrap_or(usize::MAX);
        SenderRecord::nth(&bytes, index)
            .map_err(|malformed| StorageError::corrupt(Table::Senders, &key, malformed))
    }

    /// Hash and sender of all transactions of a block, without reading them.
    pub fn tx_hashes_and_senders(
        &self,
        number: BlockNumber,
    ) -> Result<Option<Vec<(TxHash, Address)>>, StorageError> {
        Ok(self.value::<SenderRecord>(Table::Senders, &keys::number(number))?.map(|record| record.0))
    }

    /// Senders of all transactions of a block.
    pub fn senders(&self, number: BlockNumber) -> Result<Option<Vec<Address>>, StorageError> {
        let pairs = self.tx_hashes_and_senders(number)?;
        Ok(pairs.map(|pairs| pairs.into_iter().map(|(_, sender)| sender).collect()))
    }

    /// The whole block; transactions know their hashes. [`StorageError::BodyDropped`] names the
    /// first transaction whose input is not in the body any more, [`StorageError::BodyNotKept`] a block below
    /// those that a restored database begins with.
    pub fn block(&self, number: BlockNumber) -> Result<Option<Block>, StorageError> {
        let (Some(header), Some(meta)) = (self.header(number)?, self.body_meta(number)?) else {
            self.check_body_kept(number)?;
            return Ok(None);
        };
        let ids = self.tx_hashes_and_senders(number)?.unwrap_or_default();
        let mut transactions = Vec::with_capacity(ids.len());
        for (index, (tx_hash, _)) in (0..meta.tx_count).zip(&ids) {
            let position = TxPosition { block: number, index };
            let key = keys::position(position);
            let Some(bytes) = self.raw(Table::Transactions, &key)? else {
                return Err(StorageError::BodyDropped(*tx_hash, self.columns_of(position)?));
            };
            let tx = codec::decode_transaction(&bytes, *tx_hash)
                .map_err(|malformed| StorageError::corrupt(Table::Transactions, &key, malformed))?;
            transactions.push(tx);
        }
        let body = BlockBody { transactions, ommers: meta.ommers, withdrawals: meta.withdrawals };
        Ok(Some(Block { header: header.unseal(), body }))
    }

    /// Receipts of a block.
    pub fn receipts(&self, number: BlockNumber) -> Result<Option<Vec<Receipt>>, StorageError> {
        self.value(Table::Receipts, &keys::number(number))
    }

    /// Where the transaction of that hash lies.
    pub fn tx_position(&self, hash: TxHash) -> Result<Option<TxPosition>, StorageError> {
        self.value(Table::TxLookup, hash.as_slice())
    }

    /// Contract code by its hash.
    pub fn code(&self, hash: B256) -> Result<Option<Bytes>, StorageError> {
        Ok(self.raw(Table::Code, hash.as_slice())?.map(|bytes| Bytes::copy_from_slice(&bytes)))
    }

    /// Whether the code of that hash is here.
    pub fn has_code(&self, hash: B256) -> Result<bool, StorageError> {
        Ok(self.raw(Table::Code, hash.as_slice())?.is_some())
    }

    // ---- data availability ----

    /// The block's blobs and roots; `None` for a block without commitment.
    pub fn da_summary(&self, number: BlockNumber) -> Result<Option<DaSummary>, StorageError> {
        self.value(Table::DaSummaries, &keys::number(number))
    }

    /// All cell hashes of the block, chunk-major over the block's chunks: cell (c, j) at `c·n + j`.
    /// [`StorageError::BodyNotKept`] below those that a restored database begins with.
    pub fn cell_hashes(&self, number: BlockNumber) -> Result<Option<Vec<B256>>, StorageError> {
        if self.raw(Table::DaSummaries, &keys::number(number))?.is_none() {
            return Ok(None);
        }
        self.check_body_kept(number)?;
        let key = keys::number(number);
        let bytes = self.raw(Table::CellHashes, &key)?;
        let (hashes, rest) = bytes.as_deref().unwrap_or_default().as_chunks::<32>();
        if !rest.is_empty() {
            let reason = codec::Malformed("not a multiple of 32 bytes");
            return Err(StorageError::corrupt(Table::CellHashes, &key, reason));
        }
        Ok(Some(hashes.iter().map(B256::from).collect()))
    }

    /// A column of a blob, if held.
    pub fn column(
        &self,
        block: BlockNumber,
        blob: BlobIndex,
        column: ColumnIndex,
    ) -> Result<Option<Bytes>, StorageError> {
        if !self.column_bitmap(block, blob)?.contains(column) {
            return Ok(None);
        }
        let key = keys::shard(block, blob, column);
        let Some(bytes) = self.raw(Table::Shards, &key)? else {
            let reason = codec::Malformed("column is noted as held and is missing");
            return Err(StorageError::corrupt(Table::Shards, &key, reason));
        };
        Ok(Some(Bytes::copy_from_slice(&bytes)))
    }

    /// Columns of a blob that are in the shard store, ascending. Data columns are not there while
    /// the body is kept: they are the body.
    pub fn columns_held(
        &self,
        block: BlockNumber,
        blob: BlobIndex,
    ) -> Result<Vec<ColumnIndex>, StorageError> {
        Ok(self.column_bitmap(block, blob)?.columns())
    }

    /// How far a stage has come; `None` before its first commit.
    pub fn stage_checkpoint(&self, id: StageId) -> Result<Option<StageCheckpoint>, StorageError> {
        Ok(self.stage(id)?.map(|record| record.checkpoint))
    }

    /// The block to which a stage has to unwind before it goes on; `None` when it need not.
    pub fn stage_unwind_target(&self, id: StageId) -> Result<Option<BlockNumber>, StorageError> {
        Ok(self.stage(id)?.and_then(|record| record.unwind_to))
    }

    /// [`StorageError::BodyNotKept`] for a block of which a restored database has only the header,
    /// [`StorageError::HeadersOnly`] for any in a database without bodies.
    pub fn check_body_kept(&self, block: BlockNumber) -> Result<(), StorageError> {
        match self.base()?.filter(|base| block <= base.number) {
            Some(_) if self.role()? == DatabaseRole::Da => Err(StorageError::HeadersOnly(block)),
            Some(base) => Err(StorageError::BodyNotKept { block, base: base.number }),
            None => Ok(()),
        }
    }

    // ---- inner ----

    /// [`StorageError::StateNotKept`] for a block older than a restored database's history.
    pub(crate) fn check_state_kept(&self, block: BlockNumber) -> Result<(), StorageError> {
        match self.base()?.filter(|base| block <= base.number) {
            Some(_) if self.role()? == DatabaseRole::Da => Err(StorageError::HeadersOnly(block)),
            Some(base) if block < base.number => Err(StorageError::StateNotKept { block, base: base.number }),
            _ => Ok(()),
        }
    }

    pub(crate) fn stage(&self, id: StageId) -> Result<Option<StageRecord>, StorageError> {
        self.value(Table::Stages, id.0.as_bytes())
    }

    pub(crate) fn column_bitmap(
        &self,
        block: BlockNumber,
        blob: BlobIndex,
    ) -> Result<ColumnBitmap, StorageError> {
        Ok(self.value(Table::ColumnsHeld, &keys::blob(block, blob))?.unwrap_or_default())
    }

    /// The blob that the transaction carries, with its index among the block's blobs.
    pub(crate) fn blob_of(
        &self,
        position: TxPosition,
    ) -> Result<Option<(BlobIndex, DaSummary)>, StorageError> {
        let Some(summary) = self.da_summary(position.block)? else { return Ok(None) };
        let found = (0u32..).zip(&summary.blobs).find(|(_, blob)| blob.tx_index == position.index);
        Ok(found.map(|(index, _)| BlobIndex(index)).map(|index| (index, summary)))
    }

    fn columns_of(&self, position: TxPosition) -> Result<Vec<ColumnIndex>, StorageError> {
        match self.blob_of(position)? {
            Some((blob, _)) => self.columns_held(position.block, blob),
            None => Ok(Vec::new()),
        }
    }

    /// Bytes under a key, pinned in place.
    pub(crate) fn raw(&self, table: Table, key: &[u8]) -> Result<Option<DBPinnableSlice<'_>>, StorageError> {
        self.snapshot.get_pinned_cf(self.inner.table(table), key).map_err(|error| self.inner.error(error))
    }

    /// A decoded value.
    pub(crate) fn value<V: Value>(&self, table: Table, key: &[u8]) -> Result<Option<V>, StorageError> {
        let Some(bytes) = self.raw(table, key)? else { return Ok(None) };
        V::decode(&bytes).map(Some).map_err(|malformed| StorageError::corrupt(table, key, malformed))
    }

    /// An iterator that is nowhere yet.
    pub(crate) fn iterator(&self, table: Table, options: ReadOptions) -> DBRawIterator<'_> {
        self.snapshot.raw_iterator_cf_opt(self.inner.table(table), options)
    }
}
