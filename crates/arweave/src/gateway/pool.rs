//! Transactions that come in: the rules of admission, and what waits for a block.
//!
//! Outside of the writing thread: form, id, signature, inline data against its root. Inside, where nothing changes
//! meanwhile: whether it is known, its anchor, its reward against the price, the sender's balance less what waits already,
//! and room in the pool. Statuses and texts are those of Arweave's nodes.

use super::{
    chunks::{self, Piece},
    error::{GatewayError, Refusal},
    index,
    network::{Network, has_bundle},
    records::{Account, BlockHash, DataKey, PENDING_HEIGHT, Source, State, TransactionRecord},
    store::{Batch, DATA, DATA_USERS, Number, PENDING, UNBUNDLED, View},
    unbundle,
};
use crate::{Address, ChunkTree, Format, Id, Transaction, Winston};
use bytes::Bytes;
use redb::{ReadableTable, ReadableTableMetadata};
use std::sync::Arc;

/// Blocks during which an anchor is good.
pub(super) const ANCHOR_DEPTH: u64 = 50;
/// How far below the newest block the suggested anchor lies, so that a small reorg does not take it away.
pub(super) const ANCHOR_SUGGESTED_DEPTH: u64 = 5;
/// Most bytes of data in a transaction's JSON.
pub(super) const INLINE_DATA_BYTES_MAX: usize = 12 << 20;

const VERIFICATION: &str = "Transaction verification failed.";

/// Takes a transaction in JSON; when it returns, the transaction is on disk.
pub(super) async fn post(network: &Arc<Network>, body: Bytes) -> Result<(), GatewayError> {
    let (transaction, tree) = network.work(move |network| prepare(network, &body)).await?;
    admit(network, transaction, tree).await
}

/// Checks a transaction and writes its inline data to its place; gives it without, and the tree over it.
fn prepare(network: &Network, body: &[u8]) -> Result<(Transaction, Option<ChunkTree>), GatewayError> {
    let transaction: Transaction =
        serde_json::from_slice(body).map_err(|_| Refusal::text(400, "Invalid JSON."))?;
    let data = transaction.data.clone();
    if transaction.format != Format::Two
        || transaction.verify().is_err()
        || transaction.data_size > network.config.limits.data_bytes
        || data.len() > INLINE_DATA_BYTES_MAX
    {
        return Err(Refusal::text(400, VERIFICATION).into());
    }
    admissible(network, &network.store.view()?, &transaction)?;
    let transaction = Transaction { data: Bytes::new(), ..transaction };
    let Some(root) = transaction.data_root.filter(|_| !data.is_empty()) else {
        return Ok((transaction, None));
    };
    let tree = ChunkTree::of(&data);
    if transaction.verify_data(&tree).is_err() {
        return Err(Refusal::text(400, "The attached data is split in an unknown way.").into());
    }
    let source = Source::Data(DataKey { root, size: tree.size() });
    network.store.files.write(&source, 0, &data)?;
    Ok((transaction, Some(tree)))
}

/// Takes a verified transaction without its data; where there is a tree, the data under it is in its file.
pub(super) async fn admit(
    network: &Arc<Network>,
    transaction: Transaction,
    tree: Option<ChunkTree>,
) -> Result<(), GatewayError> {
    let id = transaction.id;
    let shared = Arc::clone(network);
    let job = move |batch: &mut Batch| {
        admissible(&shared, batch, &transaction)?;
        insert(batch, transaction, tree.as_ref())
    };
    network.store.write(job).await?;
    network.waiting.notify_one();
    unbundle::look_into(network, id).await
}

/// Every rule that looks at the chain or the pool.
fn admissible(network: &Network, view: &impl View, transaction: &Transaction) -> Result<(), GatewayError> {
    if let Some(known) = view.transaction(&transaction.id)?
        && known.state.height().is_some()
    {
        return Err(Refusal::text(208, "Transaction already processed.").into());
    }
    let sender = transaction.owner.address();
    let account = view.account(&sender)?.unwrap_or_default();
    if let Some(anchor) = anchor_transaction(transaction)
        && view.transaction(&anchor)?.is_some_and(|record| record.state == State::Pending)
    {
        return Err(Refusal::text(400, "Invalid anchor (last_tx from mempool).").into());
    }
    if !anchor_is_good(view, transaction, &account)? {
        return Err(Refusal::text(400, "Invalid anchor (last_tx).").into());
    }
    let price = network.price(view, transaction.data_size, transaction.target.as_ref())?;
    let cost = transaction.quantity.0.checked_add(transaction.reward.0);
    let free = account.balance.0.saturating_sub(account.reserved.0);
    let to_itself = transaction.target == Some(sender);
    if transaction.reward.0 < price || to_itself || cost.is_none_or(|cost| cost > free) {
        return Err(Refusal::text(400, VERIFICATION).into());
    }
    if view.table(PENDING)?.len()? >= network.config.limits.pending {
        return Err(Refusal::text(400, "Mempool is full.").into());
    }
    let stored = view.number(Number::StoredBytes)?.saturating_add(transaction.data.len() as u64);
    if stored > network.config.limits.storage_bytes {
        return Err(Refusal::code("exceeds_disk_pool_size_limit").into());
    }
    Ok(())
}

/// The transaction that an anchor names, if it is not a block.
fn anchor_transaction(transaction: &Transaction) -> Option<Id> {
    transaction.last_tx.as_bytes().try_into().ok().map(Id)
}

/// An anchor is the sender's last transaction in a block (nothing if there is none), or one of the newest blocks.
fn anchor_is_good(
    view: &impl View,
    transaction: &Transaction,
    account: &Account,
) -> Result<bool, GatewayError> {
    let Ok(hash) = <&[u8; 48]>::try_from(transaction.last_tx.as_bytes()) else {
        return Ok(anchor_transaction(transaction) == account.last_tx);
    };
    let tip = view.tip()?.height;
    Ok(view.height_of(hash)?.is_some_and(|height| tip - height < ANCHOR_DEPTH))
}

/// A block whose hash is good as an anchor for long.
pub(super) fn suggested_anchor(view: &impl View) -> Result<BlockHash, GatewayError> {
    let tip = view.tip()?;
    let block = view.block(tip.height.saturating_sub(ANCHOR_SUGGESTED_DEPTH))?;
    Ok(block.ok_or(GatewayError::Damaged("no such block"))?.hash)
}

/// Why a transaction that waits can no longer be mined, as Arweave's nodes name it.
pub(super) fn reason_to_drop(
    view: &impl View,
    record: &TransactionRecord,
) -> Result<Option<&'static str>, GatewayError> {
    let account = view.account(&record.transaction.owner.address())?.unwrap_or_default();
    if !anchor_is_good(view, &record.transaction, &account)? {
        return Ok(Some("tx_bad_anchor"));
    }
    Ok((account.balance.0 < record.cost()).then_some("overspend"))
}

fn insert(batch: &mut Batch, transaction: Transaction, tree: Option<&ChunkTree>) -> Result<(), GatewayError> {
    let before = batch.transaction(&transaction.id)?;
    let sequence = match &before {
        Some(record) => record.sequence,
        None => batch.next_sequence()?,
    };
    let record = TransactionRecord { transaction, sequence, state: State::Pending };
    let cost = record.cost();
    batch.update_account(&record.transaction.owner.address(), |account| {
        account.reserved.0 += cost;
        // Once, however often it is posted again after it was dropped.
        if before.is_none() {
            account.spending.accepted += 1;
            account.spending.accepted_winston.0 += cost;
        }
    })?;
    batch.put_transaction(&record)?;
    batch.table(PENDING)?.insert(sequence, &record.transaction.id.0)?;
    index::move_transaction(batch, &record, None, Some(PENDING_HEIGHT))?;
    let Some(key) = record.data() else { return Ok(()) };
    batch.table(DATA_USERS)?.insert((&key.root.0, key.size, &record.transaction.id.0), ())?;
    if batch.present_bytes(&key)?.is_none() {
        batch.table(DATA)?.insert((&key.root.0, key.size), 0)?;
    }
    if let Some(tree) = tree {
        for (at, chunk) in tree.chunks().iter().enumerate() {
            let path = tree.path(at).ok_or(GatewayError::Damaged("a chunk without a path"))?;
            chunks::record(batch, &key, &Piece { range: chunk.range.clone(), path })?;
        }
    }
    if has_bundle(&record) && batch.present_bytes(&key)? == Some(key.size) {
        batch.table(UNBUNDLED)?.insert(&record.transaction.id.0, ())?;
    }
    Ok(())
}

/// Takes a transaction out of the pool and gives back what it reserved. The caller writes its next state.
pub(super) fn take_out(batch: &Batch, record: &TransactionRecord) -> Result<(), GatewayError> {
    batch.table(PENDING)?.remove(record.sequence)?;
    batch.update_account(&record.transaction.owner.address(), |account| {
        account.reserved.0 = account.reserved.0.saturating_sub(record.cost());
    })
}

/// Puts a transaction that lost its block back into the pool.
pub(super) fn put_back(batch: &Batch, record: &TransactionRecord) -> Result<(), GatewayError> {
    batch.table(PENDING)?.insert(record.sequence, &record.transaction.id.0)?;
    batch.update_account(&record.transaction.owner.address(), |account| {
        account.reserved.0 += record.cost();
    })
}

/// Drops a transaction wherever it waits: it is gone, and may be posted again.
pub(super) fn drop_pending(batch: &Batch, id: &Id, reason: &str) -> Result<bool, GatewayError> {
    let Some(mut record) = batch.transaction(id)?.filter(|record| record.state == State::Pending) else {
        return Ok(false);
    };
    take_out(batch, &record)?;
    index::move_transaction(batch, &record, Some(PENDING_HEIGHT), None)?;
    record.state = State::Dropped(reason.to_owned());
    batch.put_transaction(&record)?;
    Ok(true)
}

/// Ids of what waits, oldest first.
pub(super) fn pending(view: &impl View, most: usize) -> Result<Vec<Id>, GatewayError> {
    let mut ids = Vec::new();
    for entry in view.table(PENDING)?.iter()?.take(most) {
        ids.push(Id(*entry?.1.value()));
    }
    Ok(ids)
}

/// Gives an address winston out of nothing.
pub(super) async fn mint(network: &Network, address: Address, amount: u128) -> Result<Winston, GatewayError> {
    network
        .store
        .write(move |batch| {
            let mut account = batch.account(&address)?.unwrap_or_default();
            // All accounts together stay far below the largest number.
            let balance = account.balance.0.checked_add(amount).filter(|sum| *sum <= u128::MAX >> 32);
            account.balance = Winston(balance.ok_or_else(|| Refusal::text(400, "Too much."))?);
            batch.put_account(&address, &account)?;
            Ok(account.balance)
        })
        .await
}
