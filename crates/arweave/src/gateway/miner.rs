//! Blocks: made on demand, at once or by interval, and taken back in a reorg.
//!
//! Data lies in one row, the weave, each transaction's at the next multiple of 256 KiB; a block's `tx_root` is the Merkle
//! root over its transactions' data roots. What waits and can no longer be paid or has too old an anchor is dropped
//! when its turn comes.

use super::{
    GatewayConfig, Mining,
    error::{GatewayError, Refusal},
    faults::Holds,
    index,
    network::{Network, now},
    pool,
    records::{BlockHash, BlockRecord, BlockTransaction, PENDING_HEIGHT, State, TransactionRecord},
    store::{BLOCK_HEIGHTS, BLOCKS, Batch, Number, PENDING, View, WEAVE},
};
use crate::{Chunk, ChunkTree, Id, merkle::CHUNK_BYTES_MAX};
use bytes::Bytes;
use redb::{ReadableTable, ReadableTableMetadata};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha384};
use std::{sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Most blocks that a reorg takes back, as far as anchors reach.
const REORG_DEPTH_MAX: u64 = pool::ANCHOR_DEPTH;

/// Least time between blocks.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// Makes the first block if there is none.
pub(super) async fn make_genesis(network: &Network) -> Result<u64, GatewayError> {
    let config = network.config.clone();
    network
        .store
        .write(move |batch| {
            if batch.table(BLOCKS)?.is_empty()? {
                let hash = block_hash(&config, None, 0, 0, &[], 0);
                batch.put_block(&BlockRecord {
                    height: 0,
                    hash,
                    previous: None,
                    timestamp: now(),
                    transactions: Vec::new(),
                    weave_bytes: 0,
                    block_bytes: 0,
                })?;
            }
            Ok(batch.tip()?.height)
        })
        .await
}

/// Bundles what was uploaded and makes blocks; gives the new height.
pub(super) async fn mine(network: &Arc<Network>, blocks: u64) -> Result<u64, GatewayError> {
    if blocks == 0 || blocks > network.config.limits.mine_blocks {
        return Err(Refusal::text(400, "that many blocks cannot be mined at once").into());
    }
    super::bundler::bundle(network).await?;
    // Bundles that nobody looked into, because whoever posted the last chunk was gone before the answer.
    super::unbundle::look_into_rest(network).await?;
    let mut height = 0;
    for _ in 0..blocks {
        let config = network.config.clone();
        let holds = network.faults.lock().holds.clone();
        height = network.store.write(move |batch| mine_one(batch, &config, &holds)).await?;
        network.height.send_replace(height);
    }
    Ok(height)
}

/// Mines as the configuration says, until it is stopped.
pub(super) async fn run(network: Arc<Network>, stop: CancellationToken) {
    let mut ticks = match network.config.mining {
        Mining::Interval { every, .. } => Some(interval(every.max(INTERVAL_MIN))),
        _ => None,
    };
    if let Some(ticks) = &mut ticks {
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first one comes at once.
        ticks.tick().await;
    }
    loop {
        let due = async {
            match &mut ticks {
                Some(ticks) => {
                    ticks.tick().await;
                }
                None => network.waiting.notified().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = due => {}
        }
        let mined = match is_wanted(&network) {
            Ok(true) => mine(&network, 1).await.map(|_| ()),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        match mined {
            Err(GatewayError::Stopped) => return,
            Err(error) => tracing::error!(target: "weft::arweave::gateway", %error, "no block"),
            Ok(()) => {}
        }
    }
}

fn is_wanted(network: &Network) -> Result<bool, GatewayError> {
    let view = network.store.view()?;
    let waiting = !view.table(PENDING)?.is_empty()? || !view.table(super::store::UPLOADS)?.is_empty()?;
    Ok(match network.config.mining {
        Mining::OnDemand => false,
        Mining::Instant => waiting,
        Mining::Interval { rest_after_confirmations, .. } => {
            let last = view.table(WEAVE)?.last()?.map(|(_, id)| Id(*id.value()));
            let height = match last {
                Some(id) => view.transaction(&id)?.and_then(|record| record.state.height()),
                None => None,
            };
            let confirmations = view.tip()?.height.saturating_sub(height.unwrap_or_default());
            waiting || (height.is_some() && confirmations < rest_after_confirmations)
        }
    })
}

fn mine_one(batch: &mut Batch, config: &GatewayConfig, holds: &Holds) -> Result<u64, GatewayError> {
    let tip = batch.tip()?;
    let height = tip.height + 1;
    let mut weave_bytes = tip.weave_bytes;
    let mut transactions = Vec::new();
    for id in pool::pending(batch, usize::MAX)? {
        if transactions.len() == config.limits.block_transactions {
            break;
        }
        if holds.hold(&id) {
            continue;
        }
        let record = batch.transaction(&id)?.ok_or(GatewayError::Damaged("a waiting transaction"))?;
        if let Some(reason) = pool::reason_to_drop(batch, &record)? {
            pool::drop_pending(batch, &id, reason)?;
            continue;
        }
        let previous = settle(batch, &record)?;
        let weave_start = weave_bytes;
        if let Some(key) = record.data() {
            batch.table(WEAVE)?.insert(weave_start, &id.0)?;
            weave_bytes += key.size.next_multiple_of(CHUNK_BYTES_MAX as u64);
        }
        let data = record.data().map(|key| (key, weave_start - tip.weave_bytes));
        transactions.push(BlockTransaction { id, previous, data });
        index::move_transaction(batch, &record, Some(PENDING_HEIGHT), Some(height))?;
        let state = State::Mined { height, weave_start };
        batch.put_transaction(&TransactionRecord { state, ..record })?;
    }
    let timestamp = now().max(tip.timestamp);
    let reorgs = batch.number(Number::Reorgs)?;
    batch.put_block(&BlockRecord {
        height,
        hash: block_hash(config, Some(&tip.hash), height, timestamp, &transactions, reorgs),
        previous: Some(tip.hash),
        timestamp,
        transactions,
        weave_bytes,
        block_bytes: weave_bytes - tip.weave_bytes,
    })?;
    Ok(height)
}

/// Takes a transaction out of the pool and pays it; gives the sender's last transaction before.
fn settle(batch: &Batch, record: &TransactionRecord) -> Result<Option<Id>, GatewayError> {
    pool::take_out(batch, record)?;
    let (transaction, cost) = (&record.transaction, record.cost());
    let mut previous = None;
    batch.update_account(&transaction.owner.address(), |account| {
        previous = account.last_tx.replace(transaction.id);
        account.balance.0 -= cost;
        account.spending.mined += 1;
        account.spending.mined_winston.0 += cost;
    })?;
    if let Some(target) = &transaction.target {
        batch.update_account(target, |account| account.balance.0 += transaction.quantity.0)?;
    }
    Ok(previous)
}

/// What becomes of the transactions of blocks that are taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Orphans {
    /// They wait for a block again.
    #[default]
    Requeue,
    /// They are gone, and may be posted again.
    Drop,
    /// These are gone, the others wait again.
    DropSome(Vec<Id>),
}

/// Replaces the newest `depth` blocks by as many and one more, which make the longer chain.
pub(super) async fn reorg(network: &Arc<Network>, depth: u64, orphans: Orphans) -> Result<u64, GatewayError> {
    let config = network.config.clone();
    let holds = network.faults.lock().holds.clone();
    let height = network
        .store
        .write(move |batch| {
            let tip = batch.tip()?.height;
            if depth == 0 || depth > REORG_DEPTH_MAX.min(tip) {
                return Err(Refusal::text(400, "a reorg takes back 1 to 50 blocks, not the first").into());
            }
            for _ in 0..depth {
                take_back(batch, &orphans)?;
            }
            let reorgs = batch.number(Number::Reorgs)?;
            batch.set_number(Number::Reorgs, reorgs + 1)?;
            let mut height = 0;
            for _ in 0..=depth {
                height = mine_one(batch, &config, &holds)?;
            }
            Ok(height)
        })
        .await?;
    network.height.send_replace(height);
    Ok(height)
}

fn take_back(batch: &mut Batch, orphans: &Orphans) -> Result<(), GatewayError> {
    let block = batch.tip()?;
    for mined in block.transactions.iter().rev() {
        let mut record =
            batch.transaction(&mined.id)?.ok_or(GatewayError::Damaged("a transaction of a block"))?;
        let State::Mined { weave_start, .. } = record.state else {
            return Err(GatewayError::Damaged("a transaction of a block is not mined"));
        };
        if record.data().is_some() {
            batch.table(WEAVE)?.remove(weave_start)?;
        }
        let cost = record.cost();
        if let Some(target) = &record.transaction.target {
            let quantity = record.transaction.quantity;
            batch.update_account(target, |account| {
                account.balance.0 = account.balance.0.saturating_sub(quantity.0)
            })?;
        }
        batch.update_account(&record.transaction.owner.address(), |account| {
            account.last_tx = mined.previous;
            account.balance.0 += cost;
            account.spending.mined -= 1;
            account.spending.mined_winston.0 -= cost;
        })?;
        let lost = match orphans {
            Orphans::Requeue => false,
            Orphans::Drop => true,
            Orphans::DropSome(ids) => ids.contains(&mined.id),
        };
        let to = (!lost).then_some(PENDING_HEIGHT);
        index::move_transaction(batch, &record, Some(block.height), to)?;
        record.state = if lost { State::Dropped("orphaned".to_owned()) } else { State::Pending };
        if !lost {
            pool::put_back(batch, &record)?;
        }
        batch.put_transaction(&record)?;
    }
    batch.table(BLOCKS)?.remove(block.height)?;
    batch.table(BLOCK_HEIGHTS)?.remove(&block.hash.0)?;
    Ok(())
}

fn block_hash(
    config: &GatewayConfig,
    previous: Option<&BlockHash>,
    height: u64,
    timestamp: u64,
    transactions: &[BlockTransaction],
    reorgs: u64,
) -> BlockHash {
    let mut hasher = Sha384::new_with_prefix(&config.network);
    if let Some(previous) = previous {
        hasher.update(previous.0);
    }
    for number in [height, timestamp, reorgs] {
        hasher.update(number.to_be_bytes());
    }
    for transaction in transactions {
        hasher.update(transaction.id.0);
    }
    BlockHash(hasher.finalize().into())
}

/// The tree over a block's data roots, with a leaf of zeros for what fills up to the next chunk.
fn tree(block: &BlockRecord) -> ChunkTree {
    let mut leaves = Vec::new();
    for (key, start) in block.transactions.iter().filter_map(|transaction| transaction.data) {
        let end = start + key.size;
        leaves.push(Chunk { hash: key.root.0, range: start..end });
        let padded = end.next_multiple_of(CHUNK_BYTES_MAX as u64);
        if padded > end {
            leaves.push(Chunk { hash: [0; 32], range: end..padded });
        }
    }
    ChunkTree::over(leaves)
}

/// The proof that a mined transaction's data is in its block.
pub(super) fn tx_path(view: &impl View, record: &TransactionRecord) -> Result<Bytes, GatewayError> {
    let State::Mined { height, .. } = record.state else { return Ok(Bytes::new()) };
    let block = view.block(height)?.ok_or(GatewayError::Damaged("no such block"))?;
    let tree = tree(&block);
    let start = block.transactions.iter().find(|each| each.id == record.transaction.id);
    let start = start.and_then(|transaction| transaction.data).map(|(_, start)| start);
    let at = tree.chunks().iter().position(|leaf| Some(leaf.range.start) == start);
    at.and_then(|at| tree.path(at)).ok_or(GatewayError::Damaged("no leaf"))
}

/// A block as nodes show it, without what only its miner's proof needs.
pub(super) fn block_json(block: &BlockRecord) -> Value {
    let ids: Vec<_> = block.transactions.iter().map(|transaction| transaction.id).collect();
    let root = if block.block_bytes > 0 { tree(block).root().to_string() } else { String::new() };
    json!({
        "height": block.height,
        "indep_hash": block.hash,
        "previous_block": block.previous.map(|hash| hash.to_string()).unwrap_or_default(),
        "timestamp": block.timestamp,
        "txs": ids,
        "tx_root": root,
        "weave_size": block.weave_bytes.to_string(),
        "block_size": block.block_bytes.to_string(),
        "tags": [],
        "reward_addr": "unclaimed",
    })
}
