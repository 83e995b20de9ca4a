//! Taking blocks off the head.

use crate::{
    StorageError, Store, Table, View,
    changes::{self, Roots},
    codec::{Malformed, StageRecord, Value},
    keys,
    types::{HEAD, SAFE},
};
use alloy_eips::BlockNumHash;
use alloy_primitives::BlockNumber;
use rocksdb::{ReadOptions, WriteBatch};
use weft_primitives::{HashedPostState, TrieUpdates};

impl Store {
    /// Drops all canonical blocks above `target` in one batch, with everything that is indexed by
    /// or derived from them, shards included. `revert` is `view.revert_state(target)`, `trie` its
    /// updates. Every stage whose checkpoint is above `target` is marked: see
    /// [`View::stage_unwind_target`]. A safe block above `target` is forgotten; below the finalized
    /// block, and below the one that the database was restored at, nothing is unwound.
    ///
    /// Memory: the batch holds the keys of all that the dropped blocks changed.
    pub fn unwind_to(
        &self,
        target: BlockNumber,
        revert: &HashedPostState,
        trie: &TrieUpdates,
    ) -> Result<(), StorageError> {
        let _writer = self.write()?;
        let view = self.view();
        let head = view.head()?;
        let hash = view.canonical_hash(target)?.ok_or(StorageError::MissingBlock(target))?;
        self.check_full(&view)?;
        view.check_state_kept(target)?;
        if let Some(finalized) = view.finalized()?.filter(|finalized| finalized.number > target) {
            return Err(StorageError::Finalized { target, finalized: finalized.number });
        }
        if target == head.number {
            return Ok(());
        }
        let mut batch = WriteBatch::default();
        changes::write_state(&view, &mut batch, revert, trie, Roots::Restore, None)?;
        for number in target + 1..=head.number {
            self.remove_indices(&view, &mut batch, number)?;
        }
        for table in Table::BY_NUMBER {
            let family = self.inner.table(table);
            batch.delete_range_cf(
                family,
                keys::number(target + 1).as_slice(),
                keys::AFTER_NUMBERS.as_slice(),
            );
        }
        let meta = self.inner.table(Table::Meta);
        batch.put_cf(meta, HEAD, BlockNumHash { number: target, hash }.to_bytes());
        if view.safe()?.is_some_and(|safe| safe.number > target) {
            batch.delete_cf(meta, SAFE);
        }
        self.mark_stages(&view, &mut batch, target)?;
        self.inner.commit(batch)?;
        self.inner.metrics.blocks_unwound.increment(head.number - target);
        tracing::info!(target: "weft::storage", from = head.number, to = target, %hash, "chain unwound");
        Ok(())
    }

    /// What refers to the block under another key than its number.
    fn remove_indices(
        &self,
        view: &View<'_>,
        batch: &mut WriteBatch,
        number: BlockNumber,
    ) -> Result<(), StorageError> {
        let hash = view.canonical_hash(number)?.ok_or(StorageError::MissingBlock(number))?;
        batch.delete_cf(self.inner.table(Table::HeaderNumbers), hash);
        for (tx_hash, _) in view.tx_hashes_and_senders(number)?.unwrap_or_default() {
            batch.delete_cf(self.inner.table(Table::TxLookup), tx_hash);
        }
        let changes = view.change_set(number)?;
        for address in changes.accounts {
            batch.delete_cf(self.inner.table(Table::AccountHistory), keys::account_history(address, number));
        }
        for storage in changes.storages {
            for slot in storage.slots {
                let key = keys::storage_history(storage.account, slot, number);
                batch.delete_cf(self.inner.table(Table::StorageHistory), key);
            }
        }
        Ok(())
    }

    pub(crate) fn mark_stages(
        &self,
        view: &View<'_>,
        batch: &mut WriteBatch,
        target: BlockNumber,
    ) -> Result<(), StorageError> {
        let mut iterator = view.iterator(Table::Stages, ReadOptions::default());
        iterator.seek_to_first();
        while let Some((name, value)) = iterator.item() {
            let mut record = StageRecord::decode(value)
                .map_err(|malformed: Malformed| StorageError::corrupt(Table::Stages, name, malformed))?;
            if record.checkpoint.number > target {
                record.unwind_to = Some(record.unwind_to.map_or(target, |pending| pending.min(target)));
                batch.put_cf(self.inner.table(Table::Stages), name, record.to_bytes());
            }
            iterator.next();
        }
        iterator.status().map_err(|error| self.inner.error(error))
    }
}
