//! Writes of the ledger's records: each one batch, synced.

use super::{
    Booking, CheckpointRecord, LedgerItem, LedgerKey, LedgerPlace, PermanentBlobRecord, Shipment,
    ShipmentState,
    read::{DONE, OPEN, TOTAL, blob_key, shipment_key},
};
use crate::{
    StageId, StorageError, Store, Table, View,
    codec::{StageRecord, Value},
    keys,
};
use rocksdb::WriteBatch;
use std::collections::BTreeMap;

/// Room that a record of the ledger is checked for: a shipment of 10,000 items and its signed transaction.
const RECORD_ROOM_BYTES: usize = 1 << 20;

impl Store {
    /// Queues an item and gives its record: what is there already where there is something, else `item` with its place in the
    /// queue. An item that was given up is queued again, with the signature that it had.
    pub fn queue_item(&self, key: LedgerKey, item: LedgerItem) -> Result<LedgerItem, StorageError> {
        let (_ledger, view, mut batch) = self.begin_ledger()?;
        let mut item = match view.ledger_item(key)? {
            Some(there) if !matches!(there.place, LedgerPlace::Failed { .. }) => return Ok(there),
            Some(failed) => failed,
            None => item,
        };
        let mut sequence = next(view.last_number(Table::LedgerQueue, &[])?);
        self.enqueue(&mut batch, key, &mut item, &mut sequence);
        self.inner.commit(batch)?;
        Ok(item)
    }

    /// Takes the shipment's items from the queue and books its cost. Gives the shipment's number.
    /// [`StorageError::Ledger`] when an item is not in the queue.
    pub fn ship(&self, shipment: &Shipment) -> Result<u64, StorageError> {
        let (_ledger, view, mut batch) = self.begin_ledger()?;
        let open = view.last_number(Table::Shipments, &[OPEN])?;
        let number = next(open.max(view.last_number(Table::Shipments, &[DONE])?));
        for key in &shipment.items {
            let mut item = view.ledger_item(*key)?.ok_or(StorageError::Ledger("no such item"))?;
            let LedgerPlace::Queued { sequence } = item.place else {
                return Err(StorageError::Ledger("an item to be shipped is not in the queue"));
            };
            batch.delete_cf(self.inner.table(Table::LedgerQueue), sequence.to_be_bytes());
            item.place = LedgerPlace::Shipped { shipment: number };
            self.put(&mut batch, Table::LedgerItems, &key.to_bytes(), &item);
        }
        self.put_shipment(&mut batch, number, shipment);
        self.book(&view, &mut batch, Booking::default(), shipment.booked)?;
        self.inner.commit(batch)?;
        Ok(number)
    }

    /// Replaces an open shipment; moves its booking. A shipment that failed gives its booking back, and its items fail with it
    /// or, with `requeue`, go back into the queue.
    pub fn update_shipment(
        &self,
        number: u64,
        shipment: &Shipment,
        requeue: bool,
    ) -> Result<(), StorageError> {
        let (_ledger, view, mut batch) = self.begin_ledger()?;
        let key = shipment_key(OPEN, number);
        let old: Shipment = view
            .value(Table::Shipments, &key)?
            .ok_or(StorageError::Ledger("a shipment that is not open was to be changed"))?;
        if shipment.state.is_final() {
            batch.delete_cf(self.inner.table(Table::Shipments), key);
        }
        self.put_shipment(&mut batch, number, shipment);
        let booked = match &shipment.state {
            ShipmentState::Failed { .. } => Booking::default(),
            _ => shipment.booked,
        };
        self.book(&view, &mut batch, old.booked, booked)?;
        if let ShipmentState::Failed { reason } = &shipment.state {
            let mut sequence = next(view.last_number(Table::LedgerQueue, &[])?);
            for key in &shipment.items {
                let mut item = view.ledger_item(*key)?.ok_or(StorageError::Ledger("no such item"))?;
                if requeue {
                    self.enqueue(&mut batch, *key, &mut item, &mut sequence);
                } else {
                    item.place = LedgerPlace::Failed { reason: reason.clone() };
                    self.put(&mut batch, Table::LedgerItems, &key.to_bytes(), &item);
                }
            }
        }
        self.inner.commit(batch)
    }

    /// Notes items that are on Arweave already; those that the ledger knows stay as they are. Gives how many were new.
    pub fn note_found(&self, items: &[(LedgerKey, LedgerItem)]) -> Result<usize, StorageError> {
        let (_ledger, view, mut batch) = self.begin_ledger()?;
        let mut new = 0;
        for (key, item) in items {
            if view.ledger_item(*key)?.is_none() {
                self.put(&mut batch, Table::LedgerItems, &key.to_bytes(), item);
                new += 1;
            }
        }
        self.inner.commit(batch)?;
        Ok(new)
    }

    /// Notes a checkpoint whose items are all in the ledger, and that the stage has come to its block, in one batch.
    /// Without a stage: a checkpoint that was found. [`StorageError::Reorged`] when its block is not canonical.
    pub fn put_checkpoint(
        &self,
        record: &CheckpointRecord,
        stage: Option<StageId>,
    ) -> Result<(), StorageError> {
        let (_ledger, view, mut batch) = self.begin_ledger()?;
        for key in record.items.iter().chain([&record.manifest]) {
            if view.ledger_item(*key)?.is_none() {
                return Err(StorageError::Ledger("an item of a checkpoint is not in the ledger"));
            }
        }
        self.put(&mut batch, Table::Checkpoints, &keys::number(record.block.number), record);
        // A found checkpoint may be of a block that this database is not at yet.
        let Some(stage) = stage else { return self.inner.commit(batch) };
        let _writer = self.write()?;
        if self.view().canonical_hash(record.block.number)? != Some(record.block.hash) {
            return Err(StorageError::Reorged(record.block));
        }
        let reached = StageRecord { checkpoint: record.block, unwind_to: None };
        self.put(&mut batch, Table::Stages, stage.0.as_bytes(), &reached);
        self.inner.commit(batch)
    }

    /// Notes a request for permanence, or the item that it led to.
    pub fn put_permanent_blob(&self, record: &PermanentBlobRecord) -> Result<(), StorageError> {
        let (_ledger, _view, mut batch) = self.begin_ledger()?;
        let state = if record.item.is_some() { DONE } else { OPEN };
        if state == DONE {
            batch.delete_cf(self.inner.table(Table::PermanentBlobs), blob_key(OPEN, record.tx));
        }
        self.put(&mut batch, Table::PermanentBlobs, &blob_key(state, record.tx), record);
        self.inner.commit(batch)
    }

    fn begin_ledger(&self) -> Result<(parking_lot::MutexGuard<'_, ()>, View<'_>, WriteBatch), StorageError> {
        let guard = self.write_ledger()?;
        self.inner.check_space(RECORD_ROOM_BYTES)?;
        Ok((guard, self.view(), WriteBatch::default()))
    }

    fn put(&self, batch: &mut WriteBatch, table: Table, key: &[u8], value: &impl Value) {
        batch.put_cf(self.inner.table(table), key, value.to_bytes());
    }

    fn put_shipment(&self, batch: &mut WriteBatch, number: u64, shipment: &Shipment) {
        let state = if shipment.state.is_final() { DONE } else { OPEN };
        self.put(batch, Table::Shipments, &shipment_key(state, number), shipment);
    }

    fn enqueue(&self, batch: &mut WriteBatch, key: LedgerKey, item: &mut LedgerItem, sequence: &mut u64) {
        item.place = LedgerPlace::Queued { sequence: *sequence };
        self.put(batch, Table::LedgerQueue, &sequence.to_be_bytes(), &key);
        self.put(batch, Table::LedgerItems, &key.to_bytes(), item);
        *sequence += 1;
    }

    /// Takes `old` from what was booked and adds `new`.
    fn book(
        &self,
        view: &View<'_>,
        batch: &mut WriteBatch,
        old: Booking,
        new: Booking,
    ) -> Result<(), StorageError> {
        if old == new {
            return Ok(());
        }
        let mut amounts = BTreeMap::new();
        for key in [old.hour.to_be_bytes(), new.hour.to_be_bytes(), TOTAL] {
            amounts.insert(key, view.value::<u128>(Table::Spending, &key)?.unwrap_or_default());
        }
        for (hour, add, winston) in [(old.hour, false, old.winston), (new.hour, true, new.winston)] {
            for key in [hour.to_be_bytes(), TOTAL] {
                let amount = amounts.entry(key).or_default();
                *amount = if add { amount.saturating_add(winston) } else { amount.saturating_sub(winston) };
            }
        }
        for (key, amount) in amounts {
            // Hour 0 stands for nothing booked.
            if amount > 0 || key != [0; 8] {
                self.put(batch, Table::Spending, &key, &amount);
            }
        }
        Ok(())
    }
}

fn next(last: Option<u64>) -> u64 {
    last.map_or(0, |last| last + 1)
}
