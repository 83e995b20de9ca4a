//! The chain of a database without execution: headers only.

use super::{DatabaseRole, check_role};
use crate::{
    StorageError, Store, Table, View,
    codec::{HeaderRecord, Value},
    keys,
    types::{BASE, COLUMNS, DA, HEAD, ROLE, SAFE},
};
use alloy_eips::BlockNumHash;
use alloy_primitives::BlockNumber;
use rocksdb::WriteBatch;
use weft_primitives::{ColumnIndex, DaSummary, Geometry, SealedHeader};

/// Room for headers and keys that a batch is checked for: a run of 2,000 headers.
const HEADERS_ROOM_BYTES: usize = 8 << 20;

/// Which columns of new blocks are to be kept here.
#[derive(Clone, Copy, Debug)]
pub struct Custody<'a> {
    /// The chain's code: a block whose `daRoot` is that of no blobs has nothing to keep.
    pub geometry: Geometry,
    /// The columns; none for a light node.
    pub columns: &'a [ColumnIndex],
}

impl Store {
    /// Begins a chain of headers; fsynced. The caller has compared the genesis with its chain's. [`StorageError::NotEmpty`]
    /// when a chain is there already.
    pub fn start_headers(&self, genesis: &SealedHeader) -> Result<(), StorageError> {
        let _writer = self.write()?;
        let view = self.view();
        if !view.is_empty()? {
            let genesis = view.canonical_hash(view.first_number()?)?;
            return Err(StorageError::NotEmpty(genesis.unwrap_or_default()));
        }
        check_hash(genesis)?;
        self.inner.check_space(HEADERS_ROOM_BYTES)?;
        let mut batch = WriteBatch::default();
        batch.put_cf(self.inner.table(Table::Meta), ROLE, DA);
        self.put_header(&mut batch, genesis);
        self.set_header_head(&mut batch, genesis.num_hash());
        self.inner.commit(batch)
    }

    /// Appends headers, each the child of the one before, the first that of the head; and notes the columns of their
    /// blocks that are due. One batch, fsynced. A run that does not link is refused as a whole
    /// ([`StorageError::NotNext`]). Memory: the batch, about 700 bytes a header.
    pub fn append_headers(&self, headers: &[SealedHeader], custody: Custody<'_>) -> Result<(), StorageError> {
        let _writer = self.write()?;
        let view = self.view();
        self.check_da(&view)?;
        self.inner.check_space(HEADERS_ROOM_BYTES)?;
        let empty = weft_erasure::empty_da_root(custody.geometry);
        let mut head = view.head()?;
        let mut batch = WriteBatch::default();
        for header in headers {
            check_hash(header)?;
            if header.parent_hash != head.hash || header.number != head.number + 1 {
                let (block, parent) = (header.num_hash(), header.parent_hash);
                return Err(StorageError::NotNext { block, parent, head });
            }
            self.put_header(&mut batch, header);
            if *header.extra_data != empty[..] {
                let table = self.inner.table(Table::ColumnsDue);
                for column in custody.columns {
                    batch.put_cf(table, keys::held_column(header.number, *column), []);
                }
            }
            head = header.num_hash();
        }
        if headers.is_empty() {
            return Ok(());
        }
        self.set_header_head(&mut batch, head);
        self.inner.commit(batch)?;
        self.inner.observe();
        Ok(())
    }

    /// Drops all headers above `target` and all that is kept of their blocks; one batch, fsynced. Below the finalized
    /// block nothing is unwound.
    pub fn unwind_headers(&self, target: BlockNumber) -> Result<(), StorageError> {
        let _shards = self.write_shards()?;
        let _writer = self.write()?;
        let view = self.view();
        self.check_da(&view)?;
        let head = view.head()?;
        let hash = view.canonical_hash(target)?.ok_or(StorageError::MissingBlock(target))?;
        if let Some(finalized) = view.finalized()?.filter(|finalized| finalized.number > target) {
            return Err(StorageError::Finalized { target, finalized: finalized.number });
        }
        if target == head.number {
            return Ok(());
        }
        let mut batch = WriteBatch::default();
        for number in target + 1..=head.number {
            let hash = view.canonical_hash(number)?.ok_or(StorageError::MissingBlock(number))?;
            batch.delete_cf(self.inner.table(Table::HeaderNumbers), hash);
            for blob in view.da_summary(number)?.map(|summary| summary.blobs).unwrap_or_default() {
                batch.delete_cf(self.inner.table(Table::TxLookup), blob.tx_hash);
            }
        }
        let mut totals = view.column_totals()?;
        totals.bytes = totals.bytes.saturating_sub(view.column_bytes_of(target + 1..head.number + 1)?);
        totals.first = totals.first.min(target + 1);
        for table in Table::BY_NUMBER {
            let family = self.inner.table(table);
            batch.delete_range_cf(
                family,
                keys::number(target + 1).as_slice(),
                keys::AFTER_NUMBERS.as_slice(),
            );
        }
        let meta = self.inner.table(Table::Meta);
        batch.put_cf(meta, COLUMNS, totals.to_bytes());
        if view.safe()?.is_some_and(|safe| safe.number > target) {
            batch.delete_cf(meta, SAFE);
        }
        self.set_header_head(&mut batch, BlockNumHash { number: target, hash });
        self.mark_stages(&view, &mut batch, target)?;
        self.inner.commit(batch)?;
        self.inner.metrics.blocks_unwound.increment(head.number - target);
        tracing::info!(target: "weft::storage", from = head.number, to = target, %hash, "headers unwound");
        Ok(())
    }

    /// Keeps what a block's `daRoot` commits to, blobs and column roots; fsynced. Compared with the header first
    /// ([`StorageError::Commitment`]). From then on the blobs' transactions are found by their hashes.
    pub fn put_summary(&self, block: BlockNumHash, summary: &DaSummary) -> Result<(), StorageError> {
        let _writer = self.write()?;
        let view = self.view();
        self.check_da(&view)?;
        let header = canonical(&view, block)?;
        let wrong = |source| StorageError::Commitment { block: block.number, source };
        let again = weft_erasure::summary_of_roots(
            summary.geometry,
            summary.blobs.clone(),
            summary.column_roots.clone(),
        );
        let found = again.map_err(wrong)?;
        if *header.extra_data != found.da_root[..] || found != *summary {
            let expected = alloy_primitives::B256::try_from(header.extra_data.as_ref()).unwrap_or_default();
            return Err(wrong(weft_erasure::CheckError::DaRoot { expected, found: found.da_root }));
        }
        self.inner.check_space(HEADERS_ROOM_BYTES)?;
        let mut batch = WriteBatch::default();
        batch.put_cf(self.inner.table(Table::DaSummaries), keys::number(block.number), summary.to_bytes());
        for blob in &summary.blobs {
            let position = crate::TxPosition { block: block.number, index: blob.tx_index };
            batch.put_cf(self.inner.table(Table::TxLookup), blob.tx_hash, keys::position(position));
        }
        self.inner.commit(batch)
    }

    fn put_header(&self, batch: &mut WriteBatch, header: &SealedHeader) {
        let key = keys::number(header.number);
        batch.put_cf(self.inner.table(Table::Headers), key, HeaderRecord(header.clone()).to_bytes());
        batch.put_cf(self.inner.table(Table::HeaderNumbers), header.hash(), key);
    }

    /// Head, and that there is no body up to it.
    fn set_header_head(&self, batch: &mut WriteBatch, head: BlockNumHash) {
        for name in [HEAD, BASE] {
            batch.put_cf(self.inner.table(Table::Meta), name, head.to_bytes());
        }
    }
}

/// The header of a block that is on the chain.
pub(super) fn canonical(view: &View<'_>, block: BlockNumHash) -> Result<SealedHeader, StorageError> {
    let header = view.header(block.number)?.filter(|header| header.hash() == block.hash);
    header.ok_or(StorageError::MissingBlock(block.number))
}

/// A header is its hash's word only after it was hashed.
fn check_hash(header: &SealedHeader) -> Result<(), StorageError> {
    if header.header().hash_slow() == header.hash() {
        return Ok(());
    }
    let reason = "the header has another hash than it is said to have";
    Err(StorageError::Inconsistent { block: header.number, reason })
}

/// Keeps the other kind of node's writes out of a database that was opened as whatever it is.
impl Store {
    pub(crate) fn check_full(&self, view: &View<'_>) -> Result<(), StorageError> {
        check_role(view, DatabaseRole::Full)
    }
}
