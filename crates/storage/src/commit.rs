//! Writing blocks: genesis, then one child of the head at a time.
//!
//! A block is one atomic batch, synced before the call returns. When its large values (transactions,
//! cell hashes) exceed [`unlogged_bytes_min`](crate::StoreOptions), they are first written past the
//! log and flushed, so that a megabyte of calldata is written once and not twice, and no batch of
//! the block's size is ever in memory. The batch then refers to them: until it is applied nobody can
//! find them, and a crash in between leaves orphans above the head, which the next large block of that
//! number removes.

use crate::{
    BlockWrite, StorageError, Store, StoredBodyMeta, Table, TxPosition, View,
    changes::{self, Roots},
    codec::{HeaderRecord, SenderRecord, Value},
    keys,
    store::Inner,
    types::{FINALIZED, HEAD, SAFE},
};
use alloy_eips::{BlockNumHash, eip4895::Withdrawals};
use alloy_primitives::{BlockNumber, Bytes, map::B256Map};
use rocksdb::{ReadOptions, WriteBatch};
use std::time::Instant;
use weft_primitives::{HashedPostState, PreparedBlock, Receipt, SealedHeader, TrieUpdates};

/// Room for keys, headers and nodes that a batch is checked for in addition to its large values.
const BATCH_ROOM_BYTES: usize = 8 << 20;

impl Store {
    /// The first block with its state, trie and code; fsynced. [`StorageError::NotEmpty`] when a chain is there already.
    pub fn commit_genesis(
        &self,
        header: &SealedHeader,
        state: &HashedPostState,
        code: &B256Map<Bytes>,
        trie: &TrieUpdates,
    ) -> Result<(), StorageError> {
        let _writer = self.write()?;
        let view = self.view();
        self.check_full(&view)?;
        if !view.is_empty()? {
            let genesis = view.canonical_hash(view.first_number()?)?;
            return Err(StorageError::NotEmpty(genesis.unwrap_or_default()));
        }
        self.inner.check_space(BATCH_ROOM_BYTES)?;
        let mut batch = WriteBatch::default();
        changes::write_state(&view, &mut batch, state, trie, Roots::Keep, None)?;
        let body = StoredBodyMeta {
            withdrawals: header.withdrawals_root.map(|_| Withdrawals::default()),
            ..StoredBodyMeta::default()
        };
        let mut writer = BlockWriter { inner: &self.inner, batch: &mut batch, number: header.number };
        writer.block(header, &body, SenderRecord(Vec::new()), &[]);
        writer.code(code);
        self.inner.commit(batch)
    }

    /// Appends a child of the head. ONE batch (large values go first, unlogged and flushed, when
    /// that is cheaper), fsynced: when this returns the block survives power loss.
    pub fn commit_block(&self, write: BlockWrite<'_>) -> Result<(), StorageError> {
        let started = Instant::now();
        let _writer = self.write()?;
        let view = self.view();
        let block = write.block;
        let number = block.header.number;
        self.check_full(&view)?;
        check_block(&view, &write)?;

        let cell_hashes = cell_hashes(&write)?;
        let transactions_bytes: usize = block.transactions.iter().map(|tx| tx.encoded.len()).sum();
        self.inner.check_space(transactions_bytes + cell_hashes.len() + BATCH_ROOM_BYTES)?;
        self.remove_orphans(number)?;

        let mut batch = WriteBatch::default();
        let transactions = block.transactions.iter().enumerate().map(|(index, tx)| {
            let index = u32::try_from(index).expect("check_block refuses more transactions than u32 counts");
            (keys::position(TxPosition { block: number, index }), &tx.encoded)
        });
        self.put_large(&mut batch, Table::Transactions, transactions_bytes, transactions)?;
        let hashes = (!cell_hashes.is_empty()).then(|| (keys::number(number), &cell_hashes));
        self.put_large(&mut batch, Table::CellHashes, cell_hashes.len(), hashes)?;

        let changes =
            changes::write_state(&view, &mut batch, write.state, write.trie, Roots::Keep, Some(number))?;
        let mut writer = BlockWriter { inner: &self.inner, batch: &mut batch, number };
        writer.put(Table::ChangeSets, &changes);
        if let Some(summary) = write.da {
            writer.put(Table::DaSummaries, summary);
        }
        writer.transactions(block);
        let ids = block.transactions.iter().map(|tx| (tx.hash(), tx.sender)).collect();
        writer.block(&block.header, &body_meta(block), SenderRecord(ids), write.receipts);
        writer.code(write.code);
        self.inner.commit(batch)?;

        self.inner.metrics.commit_seconds.record(started.elapsed());
        self.inner.observe();
        tracing::debug!(target: "weft::storage", number, hash = %block.header.hash(), transactions = block.transactions.len(),
            bytes = transactions_bytes, elapsed = ?started.elapsed(), "block committed");
        Ok(())
    }

    /// Notes the fork choice's safe and finalized blocks; `None` leaves what is there. Not
    /// fsynced: a power cut may bring back the marks of before, and no block waits twice for the disk.
    pub fn set_forkchoice(
        &self,
        safe: Option<BlockNumHash>,
        finalized: Option<BlockNumHash>,
    ) -> Result<(), StorageError> {
        let _writer = self.write()?;
        let view = self.view();
        let mut batch = WriteBatch::default();
        for (key, new, old) in [(SAFE, safe, view.safe()?), (FINALIZED, finalized, view.finalized()?)] {
            let Some(new) = new.filter(|new| Some(*new) != old) else { continue };
            if view.canonical_hash(new.number)? != Some(new.hash) {
                return Err(StorageError::MissingBlock(new.number));
            }
            batch.put_cf(self.inner.table(Table::Meta), key, new.to_bytes());
        }
        if batch.is_empty() { Ok(()) } else { self.inner.note(batch) }
    }

    /// Into the batch, or past the log and onto the disk when there is much of it.
    pub(crate) fn put_large<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        batch: &mut WriteBatch,
        table: Table,
        bytes: usize,
        items: impl IntoIterator<Item = (K, V)>,
    ) -> Result<(), StorageError> {
        if bytes >= self.inner.options.unlogged_bytes_min {
            return self.inner.put_unlogged(table, items);
        }
        let family = self.inner.table(table);
        for (key, value) in items {
            batch.put_cf(family, key, value);
        }
        Ok(())
    }

    /// Large values above the head belong to a write that did not finish. One seek per table.
    fn remove_orphans(&self, number: BlockNumber) -> Result<(), StorageError> {
        let mut batch = WriteBatch::default();
        for table in [Table::Transactions, Table::CellHashes, Table::Shards] {
            let family = self.inner.table(table);
            let mut iterator = self.inner.db.raw_iterator_cf_opt(family, ReadOptions::default());
            iterator.seek(keys::number(number));
            if iterator.valid() {
                batch.delete_range_cf(
                    family,
                    keys::number(number).as_slice(),
                    keys::AFTER_NUMBERS.as_slice(),
                );
            }
            iterator.status().map_err(|error| self.inner.error(error))?;
        }
        if batch.is_empty() {
            return Ok(());
        }
        tracing::info!(target: "weft::storage", number, "removing large values of an unfinished write");
        self.inner.commit(batch)
    }
}

fn check_block(view: &View<'_>, write: &BlockWrite<'_>) -> Result<(), StorageError> {
    let block = write.block;
    let head = view.head()?;
    let parent = block.header.parent_hash;
    if parent != head.hash || block.header.number != head.number + 1 {
        return Err(StorageError::NotNext { block: block.num_hash(), parent, head });
    }
    let wrong = |reason| Err(StorageError::Inconsistent { block: block.header.number, reason });
    if write.receipts.len() != block.transactions.len() {
        return wrong("as many receipts as transactions are needed");
    }
    if u32::try_from(block.transactions.len()).is_err() {
        return wrong("more transactions than 32 bits count");
    }
    Ok(())
}

/// Hashes of all cells of the block, from the blobs that its transactions bring.
fn cell_hashes(write: &BlockWrite<'_>) -> Result<Vec<u8>, StorageError> {
    let Some(summary) = write.da else { return Ok(Vec::new()) };
    let blobs = write.block.transactions.iter().filter_map(|tx| tx.blob.as_deref());
    let mut bytes = Vec::with_capacity(summary.chunk_count as usize * summary.geometry.columns() * 32);
    for blob in blobs {
        bytes.extend(blob.cell_hashes.iter().flat_map(|hash| hash.0));
    }
    if bytes.len() != summary.chunk_count as usize * summary.geometry.columns() * 32 {
        let reason = "the commitment counts other cells than the transactions bring";
        return Err(StorageError::Inconsistent { block: write.block.header.number, reason });
    }
    Ok(bytes)
}

fn body_meta(block: &PreparedBlock) -> StoredBodyMeta {
    let rlp_bytes = |encoded: &Bytes| match encoded.first() {
        // A legacy transaction is a list as it is; a typed one is a string around its bytes (EIP-2718).
        Some(first) if *first >= 0xc0 => encoded.len() as u64,
        _ => (alloy_rlp::length_of_length(encoded.len()) + encoded.len()) as u64,
    };
    StoredBodyMeta {
        tx_count: u32::try_from(block.transactions.len()).expect("check_block refuses more"),
        transactions_rlp_bytes: block.transactions.iter().map(|tx| rlp_bytes(&tx.encoded)).sum(),
        ommers: block.ommers.clone(),
        withdrawals: block.withdrawals.clone(),
    }
}

/// Puts the small records of a block into its batch.
struct BlockWriter<'a> {
    inner: &'a Inner,
    batch: &'a mut WriteBatch,
    number: BlockNumber,
}

impl BlockWriter<'_> {
    fn put(&mut self, table: Table, value: &impl Value) {
        self.batch.put_cf(self.inner.table(table), keys::number(self.number), value.to_bytes());
    }

    fn block(
        &mut self,
        header: &SealedHeader,
        body: &StoredBodyMeta,
        ids: SenderRecord,
        receipts: &[Receipt],
    ) {
        self.put(Table::Headers, &HeaderRecord(header.clone()));
        self.put(Table::BodyMeta, body);
        self.put(Table::Senders, &ids);
        self.put(Table::Receipts, &receipts.to_vec());
        let family = self.inner.table(Table::HeaderNumbers);
        self.batch.put_cf(family, header.hash(), keys::number(self.number));
        self.batch.put_cf(self.inner.table(Table::Meta), HEAD, header.num_hash().to_bytes());
    }

    fn transactions(&mut self, block: &PreparedBlock) {
        let family = self.inner.table(Table::TxLookup);
        for (index, tx) in (0..).zip(&block.transactions) {
            self.batch.put_cf(family, tx.hash(), keys::position(TxPosition { block: self.number, index }));
        }
    }

    fn code(&mut self, code: &B256Map<Bytes>) {
        let family = self.inner.table(Table::Code);
        for (hash, code) in code {
            self.batch.put_cf(family, hash, code);
        }
    }
}
