//! The shard store, and the stages that fill it.
//!
//! A column counts as held only once its bit in `columns_held` is set; the bit is set in the batch
//! that follows the column's bytes, and that same batch carries the stage's checkpoint. So a crash
//! at any point leaves either both or neither. An unwind removes the bits with the blocks. Large
//! output is written and flushed before the writer's lock is taken: a block never waits for shards.
//! Those who write shards wait for each other (`shard_writer`, taken before `writer`), so that the bytes of a
//! stale stage never land on those of a later caller.

use crate::{
    ColumnSegment, CustodyProof, StageCheckpoint, StageId, StorageError, Store, StoredTransaction, Table,
    TxPosition, View,
    codec::{self, ColumnBitmap, DispersedRecord, Malformed, StageRecord, Stub, Value},
    keys, options,
};
use alloy_consensus::Transaction as _;
use alloy_primitives::{BlockNumber, Bytes};
use rocksdb::{ReadOptions, WriteBatch};
use std::collections::{BTreeMap, btree_map::Entry};
use weft_primitives::{BlobIndex, ColumnIndex, DaSummary};

impl Store {
    /// Output and checkpoint in one batch, fsynced. [`StorageError::Reorged`] when the checkpoint
    /// is no longer canonical or an unwind of this stage is pending; nothing of it is visible then.
    pub fn commit_stage(
        &self,
        id: StageId,
        checkpoint: StageCheckpoint,
        segments: &[ColumnSegment],
    ) -> Result<(), StorageError> {
        let _shards = self.write_shards()?;
        let unlogged = self.put_segments_first(segments)?;
        let _writer = self.write()?;
        let view = self.view();
        let pending = view.stage(id)?.is_some_and(|record| record.unwind_to.is_some());
        if pending || view.canonical_hash(checkpoint.number)? != Some(checkpoint.hash) {
            return Err(StorageError::Reorged(checkpoint));
        }
        let mut batch = WriteBatch::default();
        self.put_segments(&view, &mut batch, segments, unlogged)?;
        let record = StageRecord { checkpoint, unwind_to: None };
        batch.put_cf(self.inner.table(Table::Stages), id.0, record.to_bytes());
        self.inner.commit(batch)
    }

    /// Removes shard output above `to`, sets the checkpoint to it, clears the pending unwind; one
    /// batch, fsynced. Blocks of which a body was dropped keep their shards: they are its only copy.
    pub fn unwind_stage(&self, id: StageId, to: BlockNumber) -> Result<(), StorageError> {
        let _shards = self.write_shards()?;
        let _writer = self.write()?;
        let view = self.view();
        let hash = view.canonical_hash(to)?.ok_or(StorageError::MissingBlock(to))?;
        let mut batch = WriteBatch::default();
        let mut start = to + 1;
        for kept in blocks_with_stubs(&view, start)? {
            self.remove_shards(&mut batch, &keys::number(start), &keys::number(kept));
            start = kept + 1;
        }
        self.remove_shards(&mut batch, &keys::number(start), &keys::AFTER_NUMBERS);
        let record = StageRecord { checkpoint: StageCheckpoint { number: to, hash }, unwind_to: None };
        batch.put_cf(self.inner.table(Table::Stages), id.0, record.to_bytes());
        self.inner.commit(batch)
    }

    /// Stores columns besides any stage (repair, retrieval); fsynced. Every cell is compared with the
    /// block's commitment first.
    pub fn put_columns(&self, segments: &[ColumnSegment]) -> Result<(), StorageError> {
        let _shards = self.write_shards()?;
        self.view().check_columns(segments)?;
        let unlogged = self.put_segments_first(segments)?;
        let _writer = self.write()?;
        let view = self.view();
        // The chain may have been reorganised since the first look; small against the flush.
        view.check_columns(segments)?;
        let mut batch = WriteBatch::default();
        self.put_segments(&view, &mut batch, segments, unlogged)?;
        self.inner.commit(batch)
    }

    /// Replaces a transaction's input in the body by the blob's data columns; fsynced. The columns
    /// (all k, cut from the input, zero-padded) are compared with the body first, so that what is
    /// dropped is what is kept. Does nothing when the body was dropped already.
    pub fn drop_body(
        &self,
        position: TxPosition,
        data_columns: &[ColumnSegment],
    ) -> Result<(), StorageError> {
        let _shards = self.write_shards()?;
        let view = self.view();
        let bytes = match view.transaction(position)? {
            Some(StoredTransaction::Whole(bytes)) => bytes,
            Some(StoredTransaction::Dropped { .. }) => return Ok(()),
            None => return Err(StorageError::MissingBlock(position.block)),
        };
        let (blob, summary) = view.blob_of(position)?.ok_or(StorageError::Inconsistent {
            block: position.block,
            reason: "only a transaction that carries a blob can be dropped",
        })?;
        let key = keys::position(position);
        let (tx_hash, _) = view.tx_hash_and_sender(position)?.unwrap_or_default();
        let tx = codec::decode_transaction(&bytes, tx_hash)
            .map_err(|malformed| StorageError::corrupt(Table::Transactions, &key, malformed))?;
        check_data_columns(position.block, blob, &summary, tx.input(), data_columns)?;
        let unlogged = self.put_segments_first(data_columns)?;

        let hash = view.canonical_hash(position.block)?;
        let _writer = self.write()?;
        let view = self.view();
        if view.canonical_hash(position.block)? != hash {
            return Err(StorageError::MissingBlock(position.block));
        }
        let mut batch = WriteBatch::default();
        self.put_segments(&view, &mut batch, data_columns, unlogged)?;
        let input_bytes = tx.input().len() as u64;
        let stub = Stub { tx: codec::with_input(tx, tx_hash, Bytes::new()), input_bytes };
        batch.put_cf(self.inner.table(Table::TransactionStubs), key, stub.to_bytes());
        batch.delete_cf(self.inner.table(Table::Transactions), key);
        self.inner.commit(batch)
    }

    /// Deletes a transaction's large input for the network's sake, and all of its blob's columns but those in `keep`; one
    /// batch, fsynced. Data columns to keep are cut from the body here, parity columns are kept where they are held.
    /// Takes the proof that others keep enough of the block, which only the counting of their attestations makes.
    /// Returns the bytes of input that went; 0 when the body was dropped before, then only columns go. Never above the
    /// finalized block.
    pub fn drop_dispersed(
        &self,
        position: TxPosition,
        proof: &CustodyProof,
        keep: &[ColumnIndex],
    ) -> Result<u64, StorageError> {
        let block = position.block;
        let _shards = self.write_shards()?;
        let view = self.view();
        check_final(&view, proof, block)?;
        let (blob, summary) = view.blob_of(position)?.ok_or(StorageError::Inconsistent {
            block,
            reason: "only a transaction that carries a blob can be dropped",
        })?;
        let (stub, kept) = match view.transaction(position)? {
            None => return Err(StorageError::MissingBlock(block)),
            Some(StoredTransaction::Dropped { .. }) => (None, Vec::new()),
            Some(StoredTransaction::Whole(bytes)) => {
                let key = keys::position(position);
                let (tx_hash, _) = view.tx_hash_and_sender(position)?.unwrap_or_default();
                let tx = codec::decode_transaction(&bytes, tx_hash)
                    .map_err(|malformed| StorageError::corrupt(Table::Transactions, &key, malformed))?;
                let kept = data_segments(block, blob, &summary, tx.input(), keep);
                let input_bytes = tx.input().len() as u64;
                (Some(Stub { tx: codec::with_input(tx, tx_hash, Bytes::new()), input_bytes }), kept)
            }
        };
        let unlogged = self.put_segments_first(&kept)?;
        let _writer = self.write()?;
        let view = self.view();
        check_final(&view, proof, block)?;
        let mut batch = WriteBatch::default();
        self.put_segments(&view, &mut batch, &kept, unlogged)?;
        let mut held = view.column_bitmap(block, blob)?;
        kept.iter().for_each(|segment| held.insert(segment.column));
        for column in held.columns().into_iter().filter(|column| !keep.contains(column)) {
            held.remove(column);
            batch.delete_cf(self.inner.table(Table::Shards), keys::shard(block, blob, column));
        }
        batch.put_cf(self.inner.table(Table::ColumnsHeld), keys::blob(block, blob), held.to_bytes());
        let input_bytes = stub.as_ref().map_or(0, |stub| stub.input_bytes);
        if let Some(stub) = stub {
            let key = keys::position(position);
            batch.put_cf(self.inner.table(Table::TransactionStubs), key, stub.to_bytes());
            batch.delete_cf(self.inner.table(Table::Transactions), key);
        }
        let record = DispersedRecord { hash: proof.block().hash, columns: proof.columns().to_vec() };
        batch.put_cf(self.inner.table(Table::Dispersed), keys::number(block), record.to_bytes());
        self.inner.commit(batch)?;
        Ok(input_bytes)
    }

    /// Deletes columns of one blob; fsynced. [`StorageError::WouldLoseData`] when the body was
    /// dropped and fewer columns than suffice would be left.
    pub fn drop_columns(
        &self,
        block: BlockNumber,
        blob: BlobIndex,
        columns: &[ColumnIndex],
    ) -> Result<(), StorageError> {
        let _shards = self.write_shards()?;
        let _writer = self.write()?;
        let view = self.view();
        let mut held = view.column_bitmap(block, blob)?;
        let mut batch = WriteBatch::default();
        for column in columns {
            held.remove(*column);
            batch.delete_cf(self.inner.table(Table::Shards), keys::shard(block, blob, *column));
        }
        let summary = view.da_summary(block)?.ok_or(StorageError::MissingBlock(block))?;
        let reference = usize::try_from(blob.0).ok().and_then(|index| summary.blobs.get(index));
        let reference =
            reference.ok_or(StorageError::Inconsistent { block, reason: "the block has no such blob" })?;
        let stub = keys::position(TxPosition { block, index: reference.tx_index });
        let dropped = view.raw(Table::TransactionStubs, &stub)?.is_some();
        if dropped && held.count() < summary.geometry.data_shards() {
            let reason = "the body was dropped, and fewer columns than reconstruct it would be left";
            return Err(StorageError::WouldLoseData { block, blob, reason });
        }
        batch.put_cf(self.inner.table(Table::ColumnsHeld), keys::blob(block, blob), held.to_bytes());
        self.inner.commit(batch)
    }

    /// Large output goes to the disk before the lock is taken. Flushed each time a memtable's worth
    /// is written, so that this never fills the memtables and stops the writers of blocks.
    /// Returns whether it did.
    fn put_segments_first(&self, segments: &[ColumnSegment]) -> Result<bool, StorageError> {
        let bytes: usize = segments.iter().map(|segment| segment.cells.len()).sum();
        self.inner.check_space(bytes)?;
        if bytes < self.inner.options.unlogged_bytes_min {
            return Ok(false);
        }
        let mut rest = segments;
        while !rest.is_empty() {
            let mut taken = 0;
            let count = rest.iter().take_while(|segment| {
                let more = taken < options::LARGE_MEMTABLE_BYTES;
                taken += segment.cells.len();
                more
            });
            let (some, others) = rest.split_at(count.count());
            self.inner
                .put_unlogged(Table::Shards, some.iter().map(|segment| (segment.key(), &segment.cells)))?;
            rest = others;
        }
        Ok(true)
    }

    /// Notes columns as held; puts their bytes too unless they are on the disk already.
    fn put_segments(
        &self,
        view: &View<'_>,
        batch: &mut WriteBatch,
        segments: &[ColumnSegment],
        unlogged: bool,
    ) -> Result<(), StorageError> {
        let mut held: BTreeMap<(BlockNumber, BlobIndex), ColumnBitmap> = BTreeMap::new();
        let mut summaries: BTreeMap<BlockNumber, DaSummary> = BTreeMap::new();
        for segment in segments {
            let summary = match summaries.entry(segment.block) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    let summary = view.da_summary(segment.block)?;
                    entry.insert(summary.ok_or(StorageError::MissingBlock(segment.block))?)
                }
            };
            check_shape(summary, segment)?;
            let bitmap = match held.entry((segment.block, segment.blob)) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(view.column_bitmap(segment.block, segment.blob)?),
            };
            bitmap.insert(segment.column);
            if !unlogged {
                batch.put_cf(self.inner.table(Table::Shards), segment.key(), &segment.cells);
            }
        }
        for ((block, blob), bitmap) in held {
            batch.put_cf(self.inner.table(Table::ColumnsHeld), keys::blob(block, blob), bitmap.to_bytes());
        }
        Ok(())
    }

    fn remove_shards(&self, batch: &mut WriteBatch, from: &[u8], to: &[u8]) {
        if from < to {
            for table in [Table::Shards, Table::ColumnsHeld] {
                batch.delete_range_cf(self.inner.table(table), from, to);
            }
        }
    }
}

impl ColumnSegment {
    fn key(&self) -> [u8; 14] {
        keys::shard(self.block, self.blob, self.column)
    }
}

/// Blocks from `start` on of which some body was dropped, ascending.
fn blocks_with_stubs(view: &View<'_>, start: BlockNumber) -> Result<Vec<BlockNumber>, StorageError> {
    let mut blocks = Vec::new();
    let mut iterator = view.iterator(Table::TransactionStubs, ReadOptions::default());
    iterator.seek(keys::number(start));
    while let Some(key) = iterator.key() {
        let Some((number, _)) = key.split_first_chunk::<8>() else {
            return Err(StorageError::corrupt(
                Table::TransactionStubs,
                key,
                Malformed("key is not a position"),
            ));
        };
        let number = BlockNumber::from_be_bytes(*number);
        blocks.push(number);
        match number.checked_add(1) {
            Some(next) => iterator.seek(keys::number(next)),
            None => break,
        }
    }
    iterator.status().map_err(|error| view.inner.error(error))?;
    Ok(blocks)
}

/// Whether the proof is of this block, and the block is final.
fn check_final(view: &View<'_>, proof: &CustodyProof, block: BlockNumber) -> Result<(), StorageError> {
    if proof.block().number != block || view.canonical_hash(block)? != Some(proof.block().hash) {
        return Err(StorageError::MissingBlock(block));
    }
    match view.finalized()? {
        Some(finalized) if block <= finalized.number => Ok(()),
        _ => Err(StorageError::NotFinalized(block)),
    }
}

/// The data columns in `keep`, cut from the input.
fn data_segments(
    block: BlockNumber,
    blob: BlobIndex,
    summary: &DaSummary,
    input: &[u8],
    keep: &[ColumnIndex],
) -> Vec<ColumnSegment> {
    let columns = (0..).map(ColumnIndex).zip(weft_erasure::data_columns(summary.geometry, input));
    columns
        .filter(|(column, _)| keep.contains(column))
        .map(|(column, cells)| ColumnSegment { block, blob, column, cells })
        .collect()
}

/// Whether the segments are exactly the k data columns of that input (PROTOCOL §2).
fn check_data_columns(
    block: BlockNumber,
    blob: BlobIndex,
    summary: &DaSummary,
    input: &[u8],
    segments: &[ColumnSegment],
) -> Result<(), StorageError> {
    let columns = weft_erasure::data_columns(summary.geometry, input);
    let wanted = (0..).map(ColumnIndex).zip(columns).map(|(column, cells)| ColumnSegment {
        block,
        blob,
        column,
        cells,
    });
    if wanted.eq(segments.iter().cloned()) {
        return Ok(());
    }
    let reason = "the data columns are not those of the body, all and in order";
    Err(StorageError::WouldLoseData { block, blob, reason })
}

/// Whether the block has such a column, and its bytes are as many as the geometry says.
fn check_shape(summary: &DaSummary, segment: &ColumnSegment) -> Result<(), StorageError> {
    let blob = usize::try_from(segment.blob.0).ok().and_then(|blob| summary.blobs.get(blob));
    let wrong = |reason| StorageError::Inconsistent { block: segment.block, reason };
    let blob = blob.ok_or(wrong("the block has no such blob"))?;
    if usize::from(segment.column.0) >= summary.geometry.columns() {
        return Err(wrong("the block's geometry has no such column"));
    }
    let length = usize::try_from(blob.length).map_err(|_| wrong("the blob exceeds memory"))?;
    if segment.cells.len() != weft_erasure::column_bytes(summary.geometry, length) {
        return Err(wrong("a column of this blob has another length"));
    }
    Ok(())
}
