//! `da_status`.

use super::Quantity;
use crate::{Args, RpcContext, RpcError, UploadState};
use alloy_primitives::{B256, U256};
use serde::Serialize;
use weft_archive::{LedgerStatus, permanence::CheckpointProgress};
use weft_arweave::Address;
use weft_primitives::BlockNumHash;

/// Where the node stands.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The newest canonical block.
    head: Place,
    /// The newest block that survives a power cut: the head, as nothing is acknowledged before.
    persisted: Place,
    /// The newest checkpoint that is on Arweave with all those below it, read back; `null`: none.
    archived: Option<Place>,
    /// Calldata of at least so many bytes is a blob; `null` on a chain without blobs.
    blob_threshold_bytes: Option<Quantity>,
    permanence: Permanence,
    stages: Vec<StageStatus>,
    pool: PoolStatus,
    /// Bytes and rates since the node started are in its metrics.
    custody: Custody,
    peers: Quantity,
}

/// A block.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Place {
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
    /// Columns that this node keeps of every blob: a full node keeps all.
    columns: Vec<Quantity>,
}

/// Who uploads to Arweave, and how far they are.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Permanence {
    /// `off`, `starting` (the wallet is read or made), `failed` or `ready`.
    state: &'static str,
    /// Why it failed.
    error: Option<String>,
    /// Arweave address that signs; what `weft restore --owner` takes.
    owner: Option<Address>,
    checkpoints: Option<Checkpoints>,
    ledger: Option<LedgerState>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Checkpoints {
    /// The newest that is queued for upload.
    queued: Option<Place>,
    /// What is being made.
    making: Option<MakingState>,
    /// Finalized blocks above the newest archived checkpoint.
    lag_blocks: Quantity,
    /// Bytes that are not read back yet, of blobs as well.
    lag_bytes: Quantity,
    /// Seconds between the newest archived checkpoint and the finalized block.
    lag_seconds: Quantity,
    error: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MakingState {
    block_number: Quantity,
    full: bool,
    phase: String,
    /// How much of the phase is done, 0 to 1.
    fraction: f64,
}

/// Amounts in winston.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LedgerState {
    queued_items: Quantity,
    queued_bytes: Quantity,
    /// Of items that are not read back yet.
    spool_bytes: Quantity,
    open_shipments: Quantity,
    /// When the oldest item that is not read back was queued, seconds since 1970.
    oldest_unverified: Option<Quantity>,
    spent: U256,
    spent_this_hour: U256,
    max_spend: Option<U256>,
    max_spend_per_hour: Option<U256>,
    /// Highest price for one MiB that is paid.
    max_price: Option<U256>,
    /// Why nothing is paid for now: the budget, the price or the balance.
    stop: Option<String>,
    /// What the last failure said, until a step succeeds.
    error: Option<String>,
}

impl From<LedgerStatus> for LedgerState {
    fn from(status: LedgerStatus) -> Self {
        let winston = |amount: weft_arweave::Winston| U256::from(amount.0);
        Self {
            queued_items: Quantity(status.queued_items),
            queued_bytes: Quantity(status.queued_bytes),
            spool_bytes: Quantity(status.spool_bytes),
            open_shipments: Quantity(status.shipments_open),
            oldest_unverified: status.oldest_unverified.map(Quantity),
            spent: winston(status.spent),
            spent_this_hour: winston(status.spent_this_hour),
            max_spend: status.budget.total.map(winston),
            max_spend_per_hour: status.budget.per_hour.map(winston),
            max_price: status.budget.per_mib.map(winston),
            stop: status.stop.map(|stop| stop.to_string()),
            error: status.error,
        }
    }
}

impl From<CheckpointProgress> for Checkpoints {
    fn from(progress: CheckpointProgress) -> Self {
        Self {
            queued: progress.queued.map(Place::from),
            making: progress.making.map(|making| MakingState {
                block_number: Quantity(making.block),
                full: making.full,
                phase: making.progress.phase.to_string(),
                fraction: making.progress.fraction,
            }),
            lag_blocks: Quantity(progress.lag_blocks),
            lag_bytes: Quantity(progress.lag_bytes),
            lag_seconds: Quantity(progress.lag_seconds),
            error: progress.error,
        }
    }
}

/// State and frontier.
fn permanence(context: &RpcContext) -> (Permanence, Option<BlockNumHash>) {
    let uploads = match &*context.parts.permanence.uploads.borrow() {
        UploadState::Off => return (Permanence { state: "off", ..Permanence::default() }, None),
        UploadState::Starting => return (Permanence { state: "starting", ..Permanence::default() }, None),
        UploadState::Failed(reason) => {
            let error = Some(reason.clone());
            return (Permanence { state: "failed", error, ..Permanence::default() }, None);
        }
        UploadState::Ready(uploads) => uploads.clone(),
    };
    let progress = uploads.checkpoints.as_ref().map(weft_archive::CheckpointStage::progress);
    let archived = progress.as_ref().and_then(|progress| progress.archived);
    let permanence = Permanence {
        state: "ready",
        error: None,
        owner: Some(uploads.ledger.owner()),
        checkpoints: progress.map(Checkpoints::from),
        ledger: Some(uploads.ledger.status().into()),
    };
    (permanence, archived)
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
    let weft = context.spec().weft();
    let columns = weft.map_or(0, |weft| weft.geometry.columns());
    let (permanence, archived) = permanence(context);
    Ok(Status {
        head: head.into(),
        persisted: head.into(),
        archived: archived.map(Place::from),
        blob_threshold_bytes: weft.map(|weft| weft.blob_threshold_bytes.into()),
        permanence,
        stages: context.parts.stages.iter().map(stage).collect::<Result<_, RpcError>>()?,
        pool: PoolStatus {
            pending: pending.into(),
            queued: queued.into(),
            bytes: context.parts.pool.bytes().into(),
        },
        custody: Custody { columns: (0..columns).map(Quantity::from).collect() },
        peers: Quantity(context.parts.network.peer_count()),
    })
}
