//! The bundler: takes signed data items one by one, answers a receipt, and posts them in bundles that it pays for.
//!
//! An item is on disk, and served, when its receipt is given. Before a block is made all items that wait go into bundles,
//! signed by the bundler's wallet, which is given the winston that it needs. One bundle is made at a time, so an item
//! is in one bundle only.

use super::{
    error::{GatewayError, Refusal},
    files::Temporary,
    index,
    network::{Network, height_of_item},
    pool,
    records::{DataKey, ItemRecord, PENDING_HEIGHT, Source, State},
    store::{Batch, CARRIED, Number, UPLOADS, View},
};
use crate::{
    Anchor, ChunkTree, ChunkTreeBuilder, Id, Transaction, TransactionDraft, Wallet, Winston, base64url,
    bundle::{self, Entry},
    deep_hash::{BlobHasher, Node, deep_hash},
    item::{HEADER_BYTES_MAX, ItemHeader},
    merkle::CHUNK_BYTES_MAX,
};
use redb::{ReadableTable, ReadableTableMetadata};
use serde_json::{Value, json};
use std::{
    fs::File,
    io::{self, BufWriter, Read, Write},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// Version of the receipts' form.
const RECEIPT_VERSION: &str = "0.2.0";
/// Blocks within which a receipt promises that the item is mined.
const RECEIPT_BLOCKS: u64 = 200;
const BUFFER_BYTES: usize = 256 * 1024;

/// Takes the item in `file`, unless it is to be forgotten; gives its receipt.
pub(super) async fn take(
    network: &Arc<Network>,
    file: Temporary,
    forget: bool,
) -> Result<Value, GatewayError> {
    let (file, header, record) = network.work(move |network| verify(network, file)).await?;
    let id = header.id();
    let (address, price) = (record.header.address, price(network, record.end));
    if forget {
        return receipt(network, id, address.to_string(), price).await;
    }
    refuse_known(network, &network.store.view()?, &id)?;
    network.read(move |network| network.store.files.adopt(&file.0, &Source::Upload(id))).await?;
    let shared = Arc::clone(network);
    let job = move |batch: &mut Batch| {
        refuse_known(&shared, batch, &id)?;
        // What carried it before is gone.
        if let Some(ItemRecord { carrier: Some(carrier), sequence, .. }) = batch.item(&id)? {
            batch.table(CARRIED)?.remove((&carrier.0, sequence))?;
        }
        let record = ItemRecord { sequence: batch.next_sequence()?, ..record };
        batch.table(UPLOADS)?.insert(record.sequence, &id.0)?;
        index::add_item(batch, &id, &record, PENDING_HEIGHT)?;
        let stored = batch.number(Number::StoredBytes)?;
        batch.set_number(Number::StoredBytes, stored + record.end)?;
        batch.update_account(&address, |account| {
            account.spending.items += 1;
            account.spending.items_winston.0 += price;
        })?;
        batch.put_item(&record, &id)
    };
    network.store.write(job).await?;
    network.waiting.notify_one();
    receipt(network, id, address.to_string(), price).await
}

fn verify(network: &Network, file: Temporary) -> Result<(Temporary, ItemHeader, ItemRecord), GatewayError> {
    let refused = || Refusal::text(400, "Invalid Data Item!");
    let read = || -> io::Result<(Vec<u8>, BlobHasher, u64, usize)> {
        let mut reader = File::open(&file.0)?;
        let mut head = Vec::new();
        (&mut reader).take(HEADER_BYTES_MAX as u64).read_to_end(&mut head)?;
        let length = ItemHeader::parse(&head).map_or(0, |(_, length)| length);
        let mut hasher = BlobHasher::default();
        hasher.update(&head[length..]);
        let (mut total, mut buffer) = (head.len() as u64, vec![0; BUFFER_BYTES]);
        loop {
            let read = reader.read(&mut buffer)?;
            if read == 0 {
                return Ok((head, hasher, total, length));
            }
            hasher.update(&buffer[..read]);
            total += read as u64;
        }
    };
    let (head, hasher, total, length) = read().map_err(GatewayError::file(&file.0))?;
    if total > network.config.limits.item_bytes {
        return Err(Refusal::text(413, "Payload too large").into());
    }
    let (header, _) = ItemHeader::parse(&head).map_err(|_| refused())?;
    header.verify(hasher.finish()).map_err(|_| refused())?;
    let record = ItemRecord {
        header: (&header).into(),
        sequence: 0,
        carrier: None,
        bundled_in: None,
        source: Source::Upload(header.id()),
        start: 0,
        data_start: length as u64,
        end: total,
    };
    Ok((file, header, record))
}

fn refuse_known(network: &Network, view: &impl View, id: &Id) -> Result<(), GatewayError> {
    if let Some(item) = view.item(id)?
        && height_of_item(view, &item)?.is_some()
    {
        let text = format!("Data item with ID {id} has already been uploaded to this service!");
        return Err(Refusal::text(202, text).into());
    }
    if view.table(UPLOADS)?.len()? >= network.config.limits.uploads {
        return Err(Refusal::text(503, "Too many items wait for a bundle.").into());
    }
    if view.number(Number::StoredBytes)? > network.config.limits.storage_bytes {
        return Err(Refusal::text(503, "The disk is full.").into());
    }
    Ok(())
}

/// By the byte, at the price of a whole chunk.
fn price(network: &Network, bytes: u64) -> u128 {
    u128::from(bytes).saturating_mul(network.config.prices.per_chunk) / CHUNK_BYTES_MAX as u128
}

/// A receipt in the form of Turbo's and its forerunners, signed by the bundler's wallet.
async fn receipt(network: &Arc<Network>, id: Id, owner: String, price: u128) -> Result<Value, GatewayError> {
    let deadline = network.store.view()?.tip()?.height + RECEIPT_BLOCKS;
    let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let wallet = wallet(network).await?;
    let network_name = network.config.network.clone();
    network
        .work(move |_| {
            let (id, deadline_text, time) = (id.to_string(), deadline.to_string(), timestamp.to_string());
            let parts = ["Bundlr", RECEIPT_VERSION, &id, &deadline_text, &time];
            let parts = parts.iter().map(|part| Node::Blob(part.as_bytes())).collect();
            let signature = wallet.sign(&deep_hash(&Node::List(parts)));
            Ok(json!({
                "id": id,
                "owner": owner,
                "winc": price.to_string(),
                "dataCaches": [network_name],
                "fastFinalityIndexes": [network_name],
                "deadlineHeight": deadline,
                "timestamp": timestamp as u64,
                "version": RECEIPT_VERSION,
                "public": base64url::encode(wallet.owner().as_bytes()),
                "signature": base64url::encode(signature),
            }))
        })
        .await
}

/// Where an uploaded item is on its way.
pub(super) fn status(network: &Network, id: &Id) -> Result<Value, GatewayError> {
    let view = network.store.view()?;
    let item = network.known_item(&view, id)?.ok_or_else(Refusal::not_found)?;
    let carrier = match &item.carrier {
        Some(carrier) => view.transaction(carrier)?,
        None => None,
    };
    let height = match carrier.map(|record| record.state) {
        Some(State::Mined { height, .. }) => Some(height),
        _ => None,
    };
    let (status, info) = if height.is_some() { ("FINALIZED", "permanent") } else { ("CONFIRMED", "new") };
    Ok(json!({ "status": status, "info": info, "bundleId": item.carrier, "blockHeight": height }))
}

/// The bundler's wallet: the configured one, the one in the folder, or a new one.
async fn wallet(network: &Arc<Network>) -> Result<Wallet, GatewayError> {
    let path = network.config.folder.join("bundler.json");
    let make = network.wallet.get_or_try_init(|| {
        network.work(move |network| {
            if let Some(wallet) = &network.config.bundler {
                return Ok(wallet.clone());
            }
            if path.exists() {
                return Ok(Wallet::load(&path, None)?);
            }
            tracing::info!(target: "weft::arweave::gateway", "making the bundler's wallet");
            let wallet = Wallet::generate()?;
            wallet.save(&path, None)?;
            Ok(wallet)
        })
    });
    make.await.cloned()
}

/// Posts everything that waits, in as many bundles as it takes.
pub(super) async fn bundle(network: &Arc<Network>) -> Result<(), GatewayError> {
    let _one = network.bundling.lock().await;
    let mut last = None;
    loop {
        let items = waiting(network)?;
        let Some(first) = items.first().map(|entry| entry.id) else { return Ok(()) };
        if last.replace(first) == Some(first) {
            return Err(GatewayError::Damaged("a bundled item still waits"));
        }
        let wallet = wallet(network).await?;
        let address = wallet.address();
        let (transaction, tree) = network.work(move |network| make(network, &wallet, &items)).await?;
        let cost = transaction.reward.0;
        let fund = move |batch: &mut Batch| {
            batch.update_account(&address, |account| {
                account.balance.0 = account.balance.0.max(account.reserved.0.saturating_add(cost));
            })
        };
        network.store.write(fund).await?;
        match pool::admit(network, transaction, Some(tree)).await {
            Ok(()) => {}
            // They wait for the next time.
            Err(GatewayError::Refused(refusal)) => {
                tracing::warn!(target: "weft::arweave::gateway", %refusal, "a bundle was not posted");
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
}

/// Items for one bundle, oldest first.
fn waiting(network: &Network) -> Result<Vec<Entry>, GatewayError> {
    let view = network.store.view()?;
    let (mut entries, mut bytes) = (Vec::new(), 0);
    for entry in view.table(UPLOADS)?.iter()? {
        let id = Id(*entry?.1.value());
        let item = view.item(&id)?.ok_or(GatewayError::Damaged("an upload without its item"))?;
        bytes += item.end + 64;
        if bytes > network.config.limits.bundle_bytes && !entries.is_empty() {
            break;
        }
        entries.push(Entry { size: item.end, id });
    }
    Ok(entries)
}

/// Writes a bundle to its file and signs the transaction for it.
fn make(
    network: &Network,
    wallet: &Wallet,
    entries: &[Entry],
) -> Result<(Transaction, ChunkTree), GatewayError> {
    let files = &network.store.files;
    let file = Temporary(files.temporary());
    let write = || -> io::Result<ChunkTree> {
        let mut builder = ChunkTreeBuilder::default();
        let mut writer = BufWriter::with_capacity(BUFFER_BYTES, File::create(&file.0)?);
        let table = bundle::table(entries);
        builder.push(&table);
        writer.write_all(&table)?;
        let mut buffer = vec![0; BUFFER_BYTES];
        for entry in entries {
            let mut item = File::open(files.path(&Source::Upload(entry.id)))?.take(entry.size);
            loop {
                let read = item.read(&mut buffer)?;
                if read == 0 {
                    break;
                }
                builder.push(&buffer[..read]);
                writer.write_all(&buffer[..read])?;
            }
        }
        writer.flush()?;
        Ok(builder.finish())
    };
    let tree = write().map_err(GatewayError::file(&file.0))?;
    files.adopt(&file.0, &Source::Data(DataKey { root: tree.root(), size: tree.size() }))?;
    let view = network.store.view()?;
    let draft = TransactionDraft {
        last_tx: Anchor::new(pool::suggested_anchor(&view)?.0.to_vec())
            .map_err(|error| GatewayError::Bundler(Arc::new(error)))?,
        tags: bundle::tags(),
        reward: Winston(network.price(&view, tree.size(), None)?),
        ..TransactionDraft::publishing(&tree)
    };
    let transaction = draft.sign(wallet).map_err(|error| GatewayError::Bundler(Arc::new(error)))?;
    Ok((transaction, tree))
}
