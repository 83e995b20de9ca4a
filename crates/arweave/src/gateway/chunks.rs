//! Chunks: `POST /chunk` with its proof, and `GET /chunk/{offset}`.
//!
//! A chunk is taken for any transaction that is known, waiting or mined, with its root and size. Its bytes are written to
//! their place first, by as many requests at a time as like; the record that makes them count is committed after. Under one
//! root and size every byte belongs to one leaf, so chunks that are proven never overlap.

use super::{
    error::{GatewayError, Refusal},
    miner,
    network::{Network, has_bundle},
    records::{DataKey, Source, State},
    store::{Batch, CHUNKS, DATA, DATA_USERS, Number, UNBUNDLED, View, WEAVE},
    unbundle,
};
use crate::{
    Id,
    chunk::{PostedChunk, ServedChunk},
};
use bytes::Bytes;
use redb::ReadableTable;
use serde_json::{Value, json};
use std::{ops::Range, sync::Arc};

/// A chunk's place and what proves it.
pub(super) struct Piece {
    pub(super) range: Range<u64>,
    pub(super) path: Bytes,
}

/// Takes a chunk; when it returns, the chunk is on disk.
pub(super) async fn post(network: &Arc<Network>, body: Bytes) -> Result<(), GatewayError> {
    let (key, piece, bytes) = network.work(move |network| check(network, &body)).await?;
    let start = piece.range.start;
    network.read(move |network| network.store.files.write(&Source::Data(key), start, &bytes)).await?;
    let completed = {
        let limit = network.config.limits.storage_bytes;
        network.store.write(move |batch| take(batch, &key, &piece, limit)).await?
    };
    for id in completed {
        unbundle::look_into(network, id).await?;
    }
    Ok(())
}

fn check(network: &Network, body: &[u8]) -> Result<(DataKey, Piece, Bytes), GatewayError> {
    let posted: PostedChunk = serde_json::from_slice(body).map_err(|_| Refusal::code("invalid_json"))?;
    let range = posted.verify().map_err(|_| Refusal::code("invalid_proof"))?;
    // A proof that is larger than what it proves is only taken for the end of the data.
    if range.end != posted.data_size && posted.data_path.len() > posted.chunk.len() {
        return Err(Refusal::code("chunk_proof_ratio_not_attractive").into());
    }
    let key = DataKey { root: posted.data_root, size: posted.data_size };
    if network.store.view()?.present_bytes(&key)?.is_none() {
        return Err(Refusal::code("data_root_not_found").into());
    }
    Ok((key, Piece { range, path: posted.data_path }, posted.chunk))
}

/// Makes a chunk count; gives the transactions with a bundle that is complete with it.
fn take(batch: &mut Batch, key: &DataKey, piece: &Piece, limit: u64) -> Result<Vec<Id>, GatewayError> {
    if batch.present_bytes(key)?.is_none() {
        return Err(Refusal::code("data_root_not_found").into());
    }
    let length = piece.range.end - piece.range.start;
    if batch.number(Number::StoredBytes)?.saturating_add(length) > limit {
        return Err(Refusal::code("exceeds_disk_pool_size_limit").into());
    }
    if !record(batch, key, piece)? || batch.present_bytes(key)? != Some(key.size) {
        return Ok(Vec::new());
    }
    let mut bundles = Vec::new();
    for id in users(batch, key)? {
        if batch.transaction(&id)?.is_some_and(|record| has_bundle(&record)) {
            batch.table(UNBUNDLED)?.insert(&id.0, ())?;
            bundles.push(id);
        }
    }
    Ok(bundles)
}

/// Records a chunk whose bytes are written; says whether it is new.
pub(super) fn record(batch: &mut Batch, key: &DataKey, piece: &Piece) -> Result<bool, GatewayError> {
    let (root, size, range) = (&key.root.0, key.size, &piece.range);
    if batch.table(CHUNKS)?.get((root, size, range.end))?.is_some() {
        return Ok(false);
    }
    let length = range.end - range.start;
    batch.table(CHUNKS)?.insert((root, size, range.end), (range.start, &piece.path[..]))?;
    let present = batch.present_bytes(key)?.unwrap_or_default();
    batch.table(DATA)?.insert((root, size), present + length)?;
    let stored = batch.number(Number::StoredBytes)?;
    batch.set_number(Number::StoredBytes, stored + length)?;
    batch.touch(Source::Data(*key));
    Ok(true)
}

fn users(view: &impl View, key: &DataKey) -> Result<Vec<Id>, GatewayError> {
    let (root, size) = (&key.root.0, key.size);
    let mut ids = Vec::new();
    for entry in view.table(DATA_USERS)?.range((root, size, &[0; 32])..=(root, size, &[0xFF; 32]))? {
        ids.push(Id(*entry?.0.value().2));
    }
    Ok(ids)
}

/// The chunk with byte `offset` of all data (from 1), with its proof.
pub(super) fn get(network: &Network, offset: u64) -> Result<Value, GatewayError> {
    let view = network.store.view()?;
    let before = offset.checked_sub(1).ok_or_else(|| Refusal::text(404, ""))?;
    let found = view.table(WEAVE)?.range(..=before)?.next_back().transpose()?;
    let (start, id) =
        found.map(|(start, id)| (start.value(), Id(*id.value()))).ok_or_else(|| Refusal::text(404, ""))?;
    let record = view.transaction(&id)?.ok_or(GatewayError::Damaged("no such transaction"))?;
    let key = record
        .data()
        .filter(|key| before - start < key.size && matches!(record.state, State::Mined { .. }))
        .ok_or_else(|| Refusal::text(404, ""))?;
    let piece = holding(&view, &key, before - start)?.ok_or_else(|| Refusal::text(404, ""))?;
    if network.faults.lock().hides(&key, &piece.range) {
        return Err(Refusal::text(404, "").into());
    }
    let length = (piece.range.end - piece.range.start) as usize;
    let chunk = network.store.files.read(&Source::Data(key), piece.range.start, length)?;
    let tx_path = miner::tx_path(&view, &record)?;
    let mut served = json!(ServedChunk { chunk: chunk.into(), data_path: piece.path, tx_path });
    served["packing"] = json!("unpacked");
    Ok(served)
}

fn holding(view: &impl View, key: &DataKey, at: u64) -> Result<Option<Piece>, GatewayError> {
    let (root, size) = (&key.root.0, key.size);
    let chunks = view.table(CHUNKS)?;
    let found = chunks.range((root, size, at + 1)..=(root, size, u64::MAX))?.next().transpose()?;
    Ok(found
        .map(|(end, value)| {
            let (start, path) = value.value();
            Piece { range: start..end.value().2, path: Bytes::copy_from_slice(path) }
        })
        .filter(|piece| piece.range.start <= at))
}
