//! Reads of the ledger's records.

use super::{CheckpointRecord, LedgerItem, LedgerKey, PermanentBlobRecord, Shipment, Spending};
use crate::{StorageError, Table, View, codec::Value, keys};
use alloy_primitives::{BlockNumber, TxHash};
use rocksdb::{DBRawIterator, ReadOptions};

/// First byte of a key in a table that keeps what is open apart from what is done.
pub(super) const OPEN: u8 = 0;
pub(super) const DONE: u8 = 1;
/// The key of the total in `spending`: no hour comes that late.
pub(super) const TOTAL: [u8; 8] = [0xff; 8];

pub(super) fn shipment_key(state: u8, number: u64) -> [u8; 9] {
    let mut key = [state; 9];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

pub(super) fn blob_key(state: u8, tx: TxHash) -> [u8; 33] {
    let mut key = [state; 33];
    key[1..].copy_from_slice(tx.as_slice());
    key
}

impl View<'_> {
    /// An item of the ledger.
    pub fn ledger_item(&self, key: LedgerKey) -> Result<Option<LedgerItem>, StorageError> {
        self.value(Table::LedgerItems, &key.to_bytes())
    }

    /// Items that wait for a shipment, in the order of arrival, at most `limit`.
    pub fn ledger_queue(&self, limit: usize) -> Result<Vec<(LedgerKey, LedgerItem)>, StorageError> {
        let mut queue = Vec::new();
        self.walk_queue(|key, item| {
            if queue.len() < limit {
                queue.push((key, item));
            }
            queue.len() < limit
        })?;
        Ok(queue)
    }

    /// How many items wait for a shipment, and their bytes. Reads them all.
    pub fn ledger_queue_size(&self) -> Result<(u64, u64), StorageError> {
        let (mut items, mut bytes) = (0, 0);
        self.walk_queue(|_, item| {
            items += 1;
            bytes += item.bytes;
            true
        })?;
        Ok((items, bytes))
    }

    /// Hands over queued items in their order, as long as `more` says so.
    fn walk_queue(&self, mut more: impl FnMut(LedgerKey, LedgerItem) -> bool) -> Result<(), StorageError> {
        let mut iterator = self.iterator(Table::LedgerQueue, ReadOptions::default());
        iterator.seek_to_first();
        while let Some((key, value)) = iterator.item() {
            let item_key = decode::<LedgerKey>(Table::LedgerQueue, key, value)?;
            let item = self.ledger_item(item_key)?.ok_or_else(|| {
                let reason = crate::codec::Malformed("an item that is queued has no record");
                StorageError::corrupt(Table::LedgerQueue, key, reason)
            })?;
            if !more(item_key, item) {
                break;
            }
            iterator.next();
        }
        self.ended(&iterator)
    }

    /// A shipment, open or done.
    pub fn shipment(&self, number: u64) -> Result<Option<Shipment>, StorageError> {
        match self.value(Table::Shipments, &shipment_key(OPEN, number))? {
            Some(open) => Ok(Some(open)),
            None => self.value(Table::Shipments, &shipment_key(DONE, number)),
        }
    }

    /// Shipments that are neither verified nor given up, oldest first.
    pub fn open_shipments(&self) -> Result<Vec<(u64, Shipment)>, StorageError> {
        let mut open = Vec::new();
        let mut iterator = self.iterator(Table::Shipments, ReadOptions::default());
        iterator.seek([OPEN]);
        while let Some((key, value)) = iterator.item().filter(|(key, _)| key.first() == Some(&OPEN)) {
            let number = decode::<u64>(Table::Shipments, key, &key[1..])?;
            open.push((number, decode(Table::Shipments, key, value)?));
            iterator.next();
        }
        self.ended(&iterator)?;
        Ok(open)
    }

    /// What was booked, in all and in that hour (since 1970).
    pub fn spending(&self, hour: u64) -> Result<Spending, StorageError> {
        let amount = |key: [u8; 8]| Ok(self.value::<u128>(Table::Spending, &key)?.unwrap_or_default());
        Ok(Spending { total: amount(TOTAL)?, hour: amount(hour.to_be_bytes())? })
    }

    /// The checkpoint of exactly that block.
    pub fn checkpoint(&self, number: BlockNumber) -> Result<Option<CheckpointRecord>, StorageError> {
        self.value(Table::Checkpoints, &keys::number(number))
    }

    /// The first checkpoint at or above a block.
    pub fn checkpoint_from(&self, number: BlockNumber) -> Result<Option<CheckpointRecord>, StorageError> {
        let mut iterator = self.iterator(Table::Checkpoints, ReadOptions::default());
        iterator.seek(keys::number(number));
        let found = iterator.item().map(|(key, value)| decode(Table::Checkpoints, key, value)).transpose()?;
        self.ended(&iterator)?;
        Ok(found)
    }

    /// Checkpoints at or below a block, newest first, at most `limit`.
    pub fn checkpoints_down(
        &self,
        from: BlockNumber,
        limit: usize,
    ) -> Result<Vec<CheckpointRecord>, StorageError> {
        let mut found = Vec::new();
        let mut iterator = self.iterator(Table::Checkpoints, ReadOptions::default());
        iterator.seek_for_prev(keys::number(from));
        while let (Some((key, value)), true) = (iterator.item(), found.len() < limit) {
            found.push(decode(Table::Checkpoints, key, value)?);
            iterator.prev();
        }
        self.ended(&iterator)?;
        Ok(found)
    }

    /// What became of a request for a blob's permanence.
    pub fn permanent_blob(&self, tx: TxHash) -> Result<Option<PermanentBlobRecord>, StorageError> {
        match self.value(Table::PermanentBlobs, &blob_key(DONE, tx))? {
            Some(done) => Ok(Some(done)),
            None => self.value(Table::PermanentBlobs, &blob_key(OPEN, tx)),
        }
    }

    /// Requests whose blob has no item yet, by transaction hash, those above `after`, at most `limit`.
    pub fn permanent_blobs_waiting(
        &self,
        after: Option<TxHash>,
        limit: usize,
    ) -> Result<Vec<PermanentBlobRecord>, StorageError> {
        let mut waiting = Vec::new();
        let mut iterator = self.iterator(Table::PermanentBlobs, ReadOptions::default());
        match after {
            None => iterator.seek([OPEN]),
            Some(tx) => {
                let key = blob_key(OPEN, tx);
                iterator.seek(key);
                if iterator.key() == Some(&key[..]) {
                    iterator.next();
                }
            }
        }
        while let Some((key, value)) =
            iterator.item().filter(|(key, _)| key.first() == Some(&OPEN) && waiting.len() < limit)
        {
            waiting.push(decode(Table::PermanentBlobs, key, value)?);
            iterator.next();
        }
        self.ended(&iterator)?;
        Ok(waiting)
    }

    /// The largest number in a table whose keys end with one, under a prefix.
    pub(super) fn last_number(&self, table: Table, prefix: &[u8]) -> Result<Option<u64>, StorageError> {
        let mut iterator = self.iterator(table, ReadOptions::default());
        let after: Vec<u8> = prefix.iter().copied().chain([0xff; 8]).collect();
        iterator.seek_for_prev(after);
        let last = iterator
            .key()
            .filter(|key| key.starts_with(prefix))
            .map(|key| decode(table, key, &key[prefix.len()..]))
            .transpose()?;
        self.ended(&iterator)?;
        Ok(last)
    }

    fn ended(&self, iterator: &DBRawIterator<'_>) -> Result<(), StorageError> {
        iterator.status().map_err(|error| self.inner.error(error))
    }
}

fn decode<V: Value>(table: Table, key: &[u8], value: &[u8]) -> Result<V, StorageError> {
    V::decode(value).map_err(|malformed| StorageError::corrupt(table, key, malformed))
}
