//! Looking into bundles: once all of a bundle's data is here, its items are verified and indexed, nested ones as well.
//!
//! A bundle whose table, ids or signatures are wrong counts as plain data, as a whole; a wrong bundle inside a good one is a
//! plain item. First everything is verified (88 bytes of memory per item), then headers are read again and written,
//! some at a time. The mark that a bundle has to be looked into is committed with its last chunk, so a crash in
//! between only means that it is done at the next start. An item that is known from elsewhere stays where it is.

use super::{
    error::GatewayError,
    files::Files,
    index,
    network::Network,
    records::{DataKey, ItemRecord, PENDING_HEIGHT, Source},
    store::{Batch, CARRIED, UNBUNDLED, UPLOADS, View},
};
use crate::{
    FormatError, Id,
    bundle::{BundleReader, DEPTH_MAX, ITEMS_MAX, is_bundle},
    item::{HEADER_BYTES_MAX, ItemHeader},
};
use redb::ReadableTable;
use std::{
    io::{self, BufReader, Write},
    sync::Arc,
};

/// Items of one commit.
const BATCH: usize = 256;
const READ_BYTES: usize = 256 * 1024;

/// Where an item lies in its transaction's data.
struct Found {
    id: Id,
    /// Which of the found items it is in; none: in the transaction itself.
    parent: Option<usize>,
    start: u64,
    data_start: u64,
    end: u64,
}

/// Looks into every bundle that was left over.
pub(super) async fn look_into_rest(network: &Arc<Network>) -> Result<(), GatewayError> {
    let mut ids = Vec::new();
    for entry in network.store.view()?.table(UNBUNDLED)?.iter()? {
        ids.push(Id(*entry?.0.value()));
    }
    for id in ids {
        look_into(network, id).await?;
    }
    Ok(())
}

/// Indexes the items of a transaction's bundle, if it has one that waits for this.
pub(super) async fn look_into(network: &Arc<Network>, carrier: Id) -> Result<(), GatewayError> {
    // Most have none.
    if network.store.view()?.table(UNBUNDLED)?.get(&carrier.0)?.is_none() {
        return Ok(());
    }
    let _one = network.unbundling.lock().await;
    let view = network.store.view()?;
    if view.table(UNBUNDLED)?.get(&carrier.0)?.is_none() {
        return Ok(());
    }
    let record = view.transaction(&carrier)?;
    let key =
        record.and_then(|record| record.data()).ok_or(GatewayError::Damaged("a bundle without data"))?;
    drop(view);
    let found = Arc::new(network.read(move |network| scan(&network.store.files, key)).await?);
    for first in (0..found.len()).step_by(BATCH) {
        let (found, files) = (Arc::clone(&found), Arc::clone(&network.store.files));
        let job = move |batch: &mut Batch| {
            let last = found.len().min(first + BATCH);
            (first..last).try_for_each(|at| carry(batch, &files, carrier, key, &found, at))
        };
        network.store.write(job).await?;
    }
    let done = move |batch: &mut Batch| {
        batch.table(UNBUNDLED)?.remove(&carrier.0)?;
        Ok(())
    };
    network.store.write(done).await
}

/// Every verified item of the bundle under `key`, in the order of the data, each before what is in it.
fn scan(files: &Files, key: DataKey) -> Result<Vec<Found>, GatewayError> {
    let source = Source::Data(key);
    let mut found = Vec::new();
    let mut waiting = vec![(0, key.size, None, 0)];
    while let Some((start, length, parent, depth)) = waiting.pop() {
        let reader = BufReader::with_capacity(READ_BYTES, files.reader(&source, start, length)?);
        let first = found.len();
        match scan_one(reader, start, length, parent, &mut found) {
            Ok(nested) if depth + 1 < DEPTH_MAX => {
                let inner = nested.into_iter().map(|at| {
                    let item: &Found = &found[at];
                    (item.data_start, item.end - item.data_start, Some(at), depth + 1)
                });
                waiting.extend(inner);
            }
            Ok(_) => {}
            // The disk's fault is not the bundle's.
            Err(FormatError::Io(error)) if error.kind() != io::ErrorKind::UnexpectedEof => {
                return Err(GatewayError::file(files.path(&source))(error));
            }
            Err(error) => {
                tracing::debug!(target: "weft::arweave::gateway", root = %key.root, start, %error, "not a bundle");
                found.truncate(first);
            }
        }
    }
    Ok(found)
}

/// Verifies one bundle; gives which of its items are bundles.
fn scan_one(
    reader: impl io::Read,
    start: u64,
    length: u64,
    parent: Option<usize>,
    found: &mut Vec<Found>,
) -> Result<Vec<usize>, FormatError> {
    let mut reader = BundleReader::new(reader, length)?;
    let entries = reader.entries().to_vec();
    let total = (found.len() + entries.len()) as u64;
    if total > ITEMS_MAX {
        return Err(FormatError::TooLarge { field: "items of a bundle", found: total, max: ITEMS_MAX });
    }
    let mut at = start + 32 + 64 * entries.len() as u64;
    let mut nested = Vec::new();
    for entry in entries {
        let mut data = Length(0);
        let Some(header) = reader.next_item(&mut data)? else { break };
        let end = at + entry.size;
        if is_bundle(&header.tags) {
            nested.push(found.len());
        }
        found.push(Found { id: entry.id, parent, start: at, data_start: end - data.0, end });
        at = end;
    }
    Ok(nested)
}

/// Counts what is written to it.
struct Length(u64);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes one item's record.
fn carry(
    batch: &mut Batch,
    files: &Files,
    carrier: Id,
    key: DataKey,
    found: &[Found],
    at: usize,
) -> Result<(), GatewayError> {
    let item = &found[at];
    let before = batch.item(&item.id)?;
    if let Some(before) = &before {
        match before.carrier {
            // It waited for a bundle: here is one.
            None => {
                batch.table(UPLOADS)?.remove(before.sequence)?;
                batch.remove_after(before.source);
                index::remove_item(batch, &item.id, before, PENDING_HEIGHT)?;
            }
            Some(other) if super::network::height_of_item(batch, before)?.is_some() || other == carrier => {
                return Ok(());
            }
            // What carried it is gone, and it is in the index no more.
            Some(other) => {
                batch.table(CARRIED)?.remove((&other.0, before.sequence))?;
            }
        }
    }
    let source = Source::Data(key);
    let length = (item.data_start - item.start).min(HEADER_BYTES_MAX as u64) as usize;
    let head = files.read(&source, item.start, length)?;
    let (header, _) =
        ItemHeader::parse(&head).map_err(|_| GatewayError::Damaged("a verified item does not parse"))?;
    let sequence = match before {
        Some(before) => before.sequence,
        None => batch.next_sequence()?,
    };
    let record = ItemRecord {
        header: (&header).into(),
        sequence,
        carrier: Some(carrier),
        bundled_in: Some(item.parent.map_or(carrier, |parent| found[parent].id)),
        source,
        start: item.start,
        data_start: item.data_start,
        end: item.end,
    };
    batch.table(CARRIED)?.insert((&carrier.0, sequence), &item.id.0)?;
    if let Some(height) = super::network::height_of_item(batch, &record)? {
        index::add_item(batch, &item.id, &record, height)?;
    }
    batch.put_item(&record, &item.id)
}
