//! The index from Arweave's tags alone, for a database that lost it or was restored.
//!
//! Which lies are possible here: a query may hide, invent or alter anything. A manifest is taken when its signature is the
//! owner's, its chain ours and its block canonical here; its items are taken on its word, which is our own, and only if the
//! index knows each of them. A blob is fetched, and taken when the owner signed it and the header commits to it. What is taken
//! is `found`: never paid again, and never a receipt.

use super::{
    PermanenceError,
    archive_source::{TX_TAG, check_blob, stub_of},
};
use crate::{
    checkpoint::{Chain, ItemId, Kind, MANIFEST_BYTES_MAX, Manifest},
    weave::{Hit, ItemQuery, Weave},
};
use alloy_primitives::{B256, Bytes, TxHash};
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::HashMap;
use weft_arweave::{Address, Id};
use weft_primitives::BlockNumHash;
use weft_storage::{
    CheckpointRecord, LedgerItem, LedgerKey, LedgerKind, LedgerPlace, PermanentBlobRecord, StorageError,
    Store,
};

/// Manifests and blobs that one rebuild looks for; at about 3 kB each.
const FOUND_MAX: usize = 16_384;
/// Items asked for at a time, which is what gateways give in one page.
const IDS_MAX: usize = 100;
/// Blobs fetched at a time; each is as large as a transaction.
const BLOBS_AT_A_TIME: usize = 4;
/// A blob's item is as large as the largest transaction of any chain, and more than that is not read.
const BLOB_BYTES_MAX: u64 = 256 << 20;

/// A manifest that a query found: what its tags say, which is nobody's word until it was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundManifest {
    /// The item.
    pub id: Id,
    /// `Weft-Block` and `Weft-Block-Hash`.
    pub block: BlockNumHash,
    /// Where it is on Arweave.
    place: (B256, u64),
}

/// What a rebuild brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Checkpoints that were not in the index.
    pub checkpoints: usize,
    /// Items that the ledger did not know.
    pub items: usize,
    /// Permanent blobs that were not known.
    pub blobs: usize,
    /// Manifests and blobs that were found and not taken: of another branch, incomplete, or not what they say.
    pub refused: usize,
}

/// Manifests of `owner` for the chain with that genesis that are in a block, newest block of the chain first.
pub async fn manifests(
    weave: &dyn Weave,
    owner: Address,
    genesis: B256,
) -> Result<Vec<FoundManifest>, PermanenceError> {
    let hits = weave.find(&query(owner, genesis, LedgerKind::Manifest), FOUND_MAX).await?;
    let found = |hit: &Hit| {
        let block = BlockNumHash {
            number: hit.tag("Weft-Block")?.parse().ok()?,
            hash: hit.tag("Weft-Block-Hash")?.parse().ok()?,
        };
        Some(FoundManifest { id: hit.id, block, place: place(hit)? })
    };
    let mut manifests: Vec<_> = hits.iter().filter_map(found).collect();
    manifests.sort_by_key(|manifest| std::cmp::Reverse(manifest.block.number));
    Ok(manifests)
}

/// Whether a database was restored and knows of no checkpoint. Its index is to be rebuilt before the stage is started, which
/// would pay for the whole state again otherwise.
pub fn index_is_lost(store: &Store) -> Result<bool, StorageError> {
    let view = store.view();
    Ok(view.base()?.is_some() && view.checkpoint_from(0)?.is_none())
}

/// Reads checkpoints and permanent blobs of `owner` back into the index of `store`.
pub async fn rebuild(
    store: &Store,
    weave: &dyn Weave,
    owner: Address,
    chain_id: u64,
) -> Result<Rebuilt, PermanenceError> {
    let chain = Chain::of(&store.view(), chain_id)?;
    let rebuild = Rebuild { store, weave, owner, chain };
    let mut rebuilt = Rebuilt::default();
    let mut manifests = manifests(weave, owner, chain.genesis).await?;
    manifests.reverse();
    for manifest in &manifests {
        match rebuild.checkpoint(manifest).await? {
            Some(items) => {
                rebuilt.checkpoints += usize::from(items > 0);
                rebuilt.items += items;
            }
            None => rebuilt.refused += 1,
        }
    }
    let hits = weave.find(&query(owner, chain.genesis, LedgerKind::Blob), FOUND_MAX).await?;
    let mut blobs = stream::iter(&hits).map(|hit| rebuild.blob(hit)).buffer_unordered(BLOBS_AT_A_TIME);
    while let Some(taken) = blobs.try_next().await? {
        match taken {
            Some(new) => {
                rebuilt.blobs += usize::from(new);
                rebuilt.items += usize::from(new);
            }
            None => rebuilt.refused += 1,
        }
    }
    tracing::info!(target: "weft::checkpoint", ?rebuilt, "index rebuilt");
    Ok(rebuilt)
}

fn query(owner: Address, genesis: B256, kind: LedgerKind) -> ItemQuery {
    let tag = |name: &str, value: String| (name.to_owned(), value);
    ItemQuery {
        ids: Vec::new(),
        owner: Some(owner),
        tags: vec![
            tag("App-Name", "weft".to_owned()),
            tag("Weft-Genesis", genesis.to_string()),
            tag("Weft-Kind", kind.name().to_owned()),
        ],
    }
}

/// What carries an item that is in a block.
fn place(hit: &Hit) -> Option<(B256, u64)> {
    Some((B256::new(hit.bundled_in.unwrap_or(hit.id).0), hit.height?))
}

struct Rebuild<'a> {
    store: &'a Store,
    weave: &'a dyn Weave,
    owner: Address,
    chain: Chain,
}

impl Rebuild<'_> {
    /// Takes a checkpoint; gives how many of its items were new. `None`: not taken.
    async fn checkpoint(&self, found: &FoundManifest) -> Result<Option<usize>, PermanenceError> {
        let view = self.store.view();
        if view.canonical_hash(found.block.number)? != Some(found.block.hash) {
            return self.refuse(found, "its block is not canonical here");
        }
        if view.checkpoint(found.block.number)?.is_some() {
            return Ok(Some(0));
        }
        drop(view);
        let item = match self.weave.item(found.id, MANIFEST_BYTES_MAX).await {
            Ok(fetched) if fetched.item.header().address() == self.owner => fetched.item,
            Ok(_) => return self.refuse(found, "somebody else signed it"),
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(_) => return self.refuse(found, "no gateway gives it as it was signed"),
        };
        let data = Bytes(item.data());
        let Ok(manifest) = Manifest::decode(&data) else { return self.refuse(found, "it is not a manifest") };
        if manifest.chain != self.chain || manifest.block != found.block {
            return self.refuse(found, "it is of another chain or block than its tags say");
        }
        let ids: Vec<Id> = manifest.entries.iter().map(|entry| Id(entry.id.0.0)).collect();
        let places = self.places(&ids).await?;
        if ids.iter().any(|id| !places.contains_key(id)) {
            return self.refuse(found, "not all of its items are in a block");
        }
        self.take(found, &data, &manifest, &places)
    }

    fn take(
        &self,
        found: &FoundManifest,
        data: &Bytes,
        manifest: &Manifest,
        places: &HashMap<Id, (B256, u64)>,
    ) -> Result<Option<usize>, PermanenceError> {
        let view = self.store.view();
        let number = manifest.block.number;
        let header = view.header(number)?.ok_or(StorageError::MissingBlock(number))?;
        let item = |id: ItemId, bytes: u64, (carrier, height): (B256, u64)| LedgerItem {
            id: id.0,
            bytes,
            header: Bytes::new(),
            block: number,
            queued_at: header.timestamp,
            after: Vec::new(),
            place: LedgerPlace::Found { carrier, height },
        };
        let mut items: Vec<(LedgerKey, LedgerItem)> = Vec::with_capacity(manifest.entries.len() + 1);
        for entry in &manifest.entries {
            let kind = entry.section.item_kind().in_ledger();
            let place = places.get(&Id(entry.id.0.0)).copied().unwrap_or_default();
            items.push((LedgerKey { kind, sha256: entry.sha256 }, item(entry.id, entry.bytes, place)));
        }
        let keys: Vec<LedgerKey> = items.iter().map(|(key, _)| *key).collect();
        let key = LedgerKey { kind: LedgerKind::Manifest, sha256: weft_erasure::sha256(data) };
        items.push((key, item(ItemId(found.id.0.into()), data.len() as u64, found.place)));
        let below = manifest.parent.map(|parent| view.checkpoint(parent.block.number)).transpose()?.flatten();
        let depth = match (manifest.kind, manifest.parent, below) {
            (Kind::Full, ..) => 0,
            (Kind::Diff, Some(parent), Some(below)) if below.manifest.sha256 == parent.sha256 => {
                below.depth + 1
            }
            (Kind::Diff, ..) => return self.refuse(found, "the checkpoint below it was not found"),
        };
        let record = CheckpointRecord {
            block: manifest.block,
            timestamp: header.timestamp,
            depth,
            manifest: key,
            parent: manifest.parent.map(|parent| parent.id.0),
            bytes: items.iter().map(|(_, item)| item.bytes).sum(),
            items: keys,
        };
        drop(view);
        let new = self.store.note_found(&items)?;
        self.store.put_checkpoint(&record, None)?;
        Ok(Some(new))
    }

    /// Where items are on Arweave; those that are in no block are left out.
    async fn places(&self, ids: &[Id]) -> Result<HashMap<Id, (B256, u64)>, PermanenceError> {
        let mut places = HashMap::with_capacity(ids.len());
        for some in ids.chunks(IDS_MAX) {
            let query = ItemQuery { ids: some.to_vec(), ..ItemQuery::default() };
            let hits = self.weave.find(&query, some.len()).await?;
            places.extend(hits.iter().filter_map(|hit| Some((hit.id, place(hit)?))));
        }
        Ok(places)
    }

    /// Takes a blob; gives whether it was new. `None`: not taken.
    async fn blob(&self, hit: &Hit) -> Result<Option<bool>, PermanenceError> {
        let (Some(tx), Some(number), Some(place)) = (
            hit.tag(TX_TAG).and_then(|tx| tx.parse::<TxHash>().ok()),
            hit.tag("Weft-Block").and_then(|number| number.parse().ok()),
            place(hit),
        ) else {
            return Ok(None);
        };
        if self.store.view().permanent_blob(tx)?.is_some_and(|known| known.item.is_some()) {
            return Ok(Some(false));
        }
        let item = match self.weave.item(hit.id, BLOB_BYTES_MAX).await {
            Ok(fetched) if fetched.item.header().address() == self.owner => fetched.item,
            Err(error) if error.is_transient() => return Err(error.into()),
            _ => return Ok(None),
        };
        let data = Bytes(item.data());
        let stub = stub_of(item.tags());
        let view = self.store.view();
        let Ok(block) = check_blob(&view, tx, number, &data, stub.as_deref()) else { return Ok(None) };
        drop(view);
        let key = LedgerKey { kind: LedgerKind::Blob, sha256: weft_erasure::sha256(&data) };
        let record = LedgerItem {
            id: hit.id.0.into(),
            bytes: data.len() as u64,
            header: Bytes::new(),
            block: number,
            queued_at: 0,
            after: Vec::new(),
            place: LedgerPlace::Found { carrier: place.0, height: place.1 },
        };
        self.store.note_found(&[(key, record)])?;
        self.store.put_permanent_blob(&PermanentBlobRecord {
            tx,
            block,
            length: data.len() as u64,
            item: Some(key),
            requested_at: 0,
        })?;
        Ok(Some(true))
    }

    fn refuse<T>(&self, found: &FoundManifest, reason: &'static str) -> Result<Option<T>, PermanenceError> {
        tracing::warn!(target: "weft::checkpoint", manifest = %found.id, block = found.block.number, reason, "checkpoint on Arweave is not taken into the index");
        Ok(None)
    }
}
