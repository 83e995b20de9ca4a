//! `da_checkpoints`, `da_locate`, and `admin_checkpointNow`.
//!
//! Read from the temporal index in the database, whether this node uploads or not.

use super::{Quantity, permanent::Item};
use crate::{Args, RpcContext, RpcError};
use alloy_primitives::B256;
use jsonrpsee::types::Params;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use weft_archive::{
    CheckpointIndex, PermanenceError,
    permanence::{CheckpointEntry, Moment},
};
use weft_arweave::Id;

/// Checkpoints in one answer, unless told otherwise.
const LIMIT: u64 = 20;
/// Most checkpoints in one answer.
const LIMIT_MAX: u64 = 100;

/// A checkpoint and where its items are.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    block_number: Quantity,
    block_hash: B256,
    /// Of the block, seconds since 1970.
    timestamp: Quantity,
    /// `full` or `diff`.
    kind: &'static str,
    /// Diffs between it and the full checkpoint that it is built on; 0: it is full.
    depth: Quantity,
    /// Arweave id of the manifest below; `null` of the first.
    parent: Option<Id>,
    /// Of all items.
    bytes: Quantity,
    manifest: Item,
    /// All but the manifest.
    items: Vec<Item>,
    /// Whether all of it was read back from Arweave, or seen there by an index rebuild.
    archived: bool,
    /// The least of its transactions; 0 while one is in no block.
    confirmations: Quantity,
}

impl From<CheckpointEntry> for Checkpoint {
    fn from(entry: CheckpointEntry) -> Self {
        Self {
            block_number: Quantity(entry.block.number),
            block_hash: entry.block.hash,
            timestamp: Quantity(entry.timestamp),
            kind: if entry.depth == 0 { "full" } else { "diff" },
            depth: Quantity(entry.depth),
            parent: entry.parent,
            bytes: Quantity(entry.bytes),
            archived: entry.archived,
            confirmations: Quantity(entry.confirmations()),
            manifest: entry.manifest.into(),
            items: entry.items.into_iter().map(Item::from).collect(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct ListOptions {
    from: Option<Quantity>,
    limit: Option<Quantity>,
}

/// `da_checkpoints({from?, limit?})`: newest first, from block `from` (default: the newest) down, `limit` (default
/// 20, at most 100) of them.
pub fn list(context: &RpcContext, args: &Args<'_>) -> Result<Vec<Checkpoint>, RpcError> {
    let options = args.optional::<ListOptions>(0)?.unwrap_or_default();
    let limit = options.limit.map_or(LIMIT, |limit| limit.0);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(RpcError::InvalidParams(format!("limit must be between 1 and {LIMIT_MAX}")));
    }
    let index = CheckpointIndex::new(context.parts.store.clone());
    let entries = index.list(options.from.map(|from| from.0), limit as usize)?;
    Ok(entries.into_iter().map(Checkpoint::from).collect())
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    block: Option<Quantity>,
    timestamp: Option<Quantity>,
}

/// Where a moment is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Located {
    /// The last block at or before the moment.
    block_number: Quantity,
    block_hash: B256,
    timestamp: Quantity,
    /// The first checkpoint at or above the block, which holds its header; `null` while there is none.
    checkpoint: Option<Checkpoint>,
}

/// `da_locate({block} or {timestamp})`: the block and the checkpoint of a height or of a moment in seconds since 1970. `null` before
/// the first block and above the head.
pub fn locate(context: &RpcContext, args: &Args<'_>) -> Result<Option<Located>, RpcError> {
    let moment = match args.required::<Wanted>(0)? {
        Wanted { block: Some(block), timestamp: None } => Moment::Block(block.0),
        Wanted { block: None, timestamp: Some(timestamp) } => Moment::Timestamp(timestamp.0),
        _ => return Err(RpcError::InvalidParams("either block or timestamp is needed".to_owned())),
    };
    let located = CheckpointIndex::new(context.parts.store.clone()).locate(moment)?;
    Ok(located.map(|located| Located {
        block_number: Quantity(located.block.number),
        block_hash: located.block.hash,
        timestamp: Quantity(located.timestamp),
        checkpoint: located.checkpoint.map(Checkpoint::from),
    }))
}

/// The first checkpoint at or above a block.
pub fn of_block(context: &RpcContext, number: u64) -> Result<Option<CheckpointEntry>, RpcError> {
    let located = CheckpointIndex::new(context.parts.store.clone()).locate(Moment::Block(number))?;
    Ok(located.and_then(|located| located.checkpoint))
}

/// The checkpoint whose block is `number`.
pub fn at_block(context: &RpcContext, number: u64) -> Result<Option<Checkpoint>, RpcError> {
    let found = CheckpointIndex::new(context.parts.store.clone()).list(Some(number), 1)?.pop();
    Ok(found.filter(|found| found.block.number == number).map(Checkpoint::from))
}

/// `admin_checkpointNow()`: makes a checkpoint of the newest finalized block, due or not, and gives it as `da_checkpoints`
/// does once it is queued for upload. There is only one of a block: asking again gives the same.
pub async fn now(context: Arc<RpcContext>, params: Params<'static>) -> Result<Checkpoint, RpcError> {
    Args::parse(params.as_str(), 0)?;
    let limit = context.config.call_timeout;
    let uploads = context.parts.permanence.ready(limit).await?;
    let Some(stage) = uploads.checkpoints else {
        return Err(RpcError::Rejected(
            "no checkpoints are made here: --checkpoint.interval is 0".to_owned(),
        ));
    };
    let block =
        tokio::time::timeout(limit, stage.now()).await.map_err(|_| RpcError::Timeout)?.map_err(|error| {
            match error {
                error @ (PermanenceError::NothingFinalized | PermanenceError::ShutDown) => {
                    RpcError::Rejected(error.to_string())
                }
                error => RpcError::internal(error),
            }
        })?;
    let reader = Arc::clone(&context);
    crate::registrar::run_blocking(Arc::clone(&context.read_permits), move || {
        at_block(&reader, block.number)?
            .ok_or_else(|| RpcError::internal(format!("checkpoint {} is not in the index", block.number)))
    })
    .await
}
