//! `da_status`, `da_checkpoints` and `da_locate`.

use super::Quantity;
use crate::{Args, RpcContext, RpcError};
use alloy_primitives::B256;
use serde::Serialize;
use serde::de::IgnoredAny;
use weft_primitives::BlockNumHash;

/// Where the node stands.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The newest canonical block.
    head: Place,
    /// The newest block that survives a power cut: the head, as nothing is acknowledged before.
    persisted: Place,
    /// The newest block with a verified Arweave receipt.
    archived: Option<Place>,
    stages: Vec<StageStatus>,
    pool: PoolStatus,
    /// Bytes and rates since the node started are in its metrics.
    custody: Custody,
    peers: Quantity,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Place {
    number: Quantity,
    hash: B256,
}

impl From<BlockNumHash> for Place {
    fn from(block: BlockNumHash) -> Self {
        Self { number: Quantity(block.number), hash: block.hash }
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StageStatus {
    name: &'static str,
    checkpoint: Option<Place>,
    lag_blocks: Quantity,
}

#[derive(Clone, Debug, Serialize)]
struct PoolStatus {
    pending: Quantity,
    queued: Quantity,
    bytes: Quantity,
}

#[derive(Clone, Debug, Serialize)]
struct Custody {
    /// Columns that this node keeps of every blob: all, until it has peers to share with.
    columns: Vec<Quantity>,
}

/// `da_status()`.
pub fn status(context: &RpcContext, _: &Args<'_>) -> Result<Status, RpcError> {
    let view = context.view();
    let head = view.head()?;
    let stage = |id: &weft_storage::StageId| {
        let checkpoint = view.stage_checkpoint(*id)?;
        let lag = head.number.saturating_sub(checkpoint.map_or(0, |checkpoint| checkpoint.number));
        Ok(StageStatus { name: id.0, checkpoint: checkpoint.map(Place::from), lag_blocks: Quantity(lag) })
    };
    let (pending, queued) = context.parts.pool.counts();
    let columns = context.spec().weft().map_or(0, |weft| weft.geometry.columns());
    Ok(Status {
        head: head.into(),
        persisted: head.into(),
        archived: None,
        stages: context.parts.stages.iter().map(stage).collect::<Result<_, RpcError>>()?,
        pool: PoolStatus {
            pending: pending.into(),
            queued: queued.into(),
            bytes: context.parts.pool.bytes().into(),
        },
        custody: Custody { columns: (0..columns).map(Quantity::from).collect() },
        peers: Quantity(0),
    })
}

/// `da_checkpoints({from?, limit?})`: none are made yet.
pub fn checkpoints(_: &RpcContext, args: &Args<'_>) -> Result<Vec<()>, RpcError> {
    args.optional::<IgnoredAny>(0)?;
    Ok(Vec::new())
}

/// `da_locate({block} or {timestamp})`: no checkpoint holds anything yet.
pub fn locate(_: &RpcContext, args: &Args<'_>) -> Result<Option<()>, RpcError> {
    args.required::<IgnoredAny>(0)?;
    Ok(None)
}
