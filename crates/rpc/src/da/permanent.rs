//! `da_requestPermanence`, and what is told of items on Arweave.

use super::Quantity;
use crate::{Args, RpcContext, RpcError};
use alloy_primitives::{B256, TxHash};
use jsonrpsee::types::Params;
use serde::Serialize;
use std::sync::Arc;
use weft_archive::{
    ArchiveReceipt, ItemStatus, Upload,
    ledger::item_status,
    permanence::{CheckpointEntry, PermanentBlob},
};
use weft_arweave::Id;
use weft_storage::View;

/// One item in the upload ledger.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// `manifest`, `state`, `headers` or `blob`.
    kind: &'static str,
    /// Of its content.
    sha256: B256,
    /// Id of the data item on Arweave.
    id: Id,
    /// The transaction that carries it, once known.
    transaction: Option<Id>,
    /// Of its content.
    bytes: Quantity,
    /// `queued`, `uploading`, `posted`, `confirmed`, `verified`, `found` or `failed`.
    state: &'static str,
    /// Of the transaction; when it is verified, those that it had then.
    confirmations: Quantity,
    /// Why it failed.
    error: Option<String>,
}

impl From<ItemStatus> for Item {
    fn from(item: ItemStatus) -> Self {
        let confirmations = Quantity(item.upload.confirmations());
        let (state, error) = match item.upload {
            Upload::Queued => ("queued", None),
            Upload::Uploading => ("uploading", None),
            Upload::Posted => ("posted", None),
            Upload::Confirmed(_) => ("confirmed", None),
            Upload::Verified(_) => ("verified", None),
            Upload::Found => ("found", None),
            Upload::Failed(reason) => ("failed", Some(reason)),
        };
        Self {
            kind: item.key.kind.name(),
            sha256: item.key.sha256,
            id: item.id,
            transaction: item.transaction,
            bytes: Quantity(item.bytes),
            state,
            confirmations,
            error,
        }
    }
}

/// A blob whose permanence was asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Requested {
    transaction_hash: TxHash,
    block_number: Quantity,
    block_hash: B256,
    length: Quantity,
    /// Its item; `null` until its block is finalized.
    item: Option<Item>,
}

impl From<PermanentBlob> for Requested {
    fn from(blob: PermanentBlob) -> Self {
        Self {
            transaction_hash: blob.tx,
            block_number: Quantity(blob.block.number),
            block_hash: blob.block.hash,
            length: Quantity(blob.length),
            item: blob.item.map(Item::from),
        }
    }
}

/// `da_requestPermanence(txHash)`: asks that the transaction's blob be put on Arweave whole; the request is on the disk when it is
/// answered. Asking again changes nothing and tells how far it is. `null` for an unknown transaction or one without a blob.
pub async fn request(
    context: Arc<RpcContext>,
    params: Params<'static>,
) -> Result<Option<Requested>, RpcError> {
    let tx: TxHash = Args::parse(params.as_str(), 1)?.required(0)?;
    let uploads = context.parts.permanence.ready(context.config.call_timeout).await?;
    crate::registrar::run_blocking(Arc::clone(&context.read_permits), move || {
        Ok(uploads.blobs.request(tx).map_err(RpcError::internal)?.map(Requested::from))
    })
    .await
}

/// What of a blob is on Arweave, read back and compared: `da_blobInfo.archived`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Archived {
    /// Manifest of the checkpoint that holds the block's header and commitment.
    checkpoint: Option<Id>,
    /// The item with the blob itself, where permanence was bought.
    item: Option<Id>,
    /// The least of their transactions.
    confirmations: Quantity,
}

/// `None`: nothing of it is.
pub fn archived(
    view: &View<'_>,
    tx: TxHash,
    checkpoint: Option<&CheckpointEntry>,
) -> Result<Option<Archived>, RpcError> {
    let checkpoint = checkpoint.filter(|entry| entry.archived);
    let item = blob_item(view, tx)?.filter(|item| matches!(item.upload, Upload::Verified(_) | Upload::Found));
    let confirmations = [
        checkpoint.map(CheckpointEntry::confirmations),
        item.as_ref().map(|item| item.upload.confirmations()),
    ];
    let least = confirmations.into_iter().flatten().min();
    Ok(least.map(|confirmations| Archived {
        checkpoint: checkpoint.map(|entry| entry.manifest.id),
        item: item.map(|item| item.id),
        confirmations: Quantity(confirmations),
    }))
}

/// The blob's own item.
fn blob_item(view: &View<'_>, tx: TxHash) -> Result<Option<ItemStatus>, RpcError> {
    let key = view.permanent_blob(tx)?.and_then(|record| record.item);
    Ok(key.map(|key| item_status(view, key)).transpose()?.flatten())
}

/// Proof that an item was read back from Arweave: what `da_receipt` has of a blob and of a checkpoint's manifest.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ArweaveProof {
    /// The data item: its id is the SHA-256 of its signature.
    item: Id,
    /// Of its content.
    sha256: B256,
    /// The transaction that carries it.
    transaction: Id,
    /// Of the transaction's block on Arweave.
    height: Quantity,
    /// That it had when it was read back.
    confirmations: Quantity,
    /// Seconds since 1970.
    verified_at: Quantity,
    /// Who gave the bytes back.
    gateway: String,
}

impl From<&ArchiveReceipt> for ArweaveProof {
    fn from(receipt: &ArchiveReceipt) -> Self {
        Self {
            item: receipt.item(),
            sha256: receipt.key().sha256,
            transaction: receipt.transaction(),
            height: Quantity(receipt.height()),
            confirmations: Quantity(receipt.confirmations()),
            verified_at: Quantity(receipt.verified_at()),
            gateway: receipt.gateway().to_owned(),
        }
    }
}

/// The checkpoint that holds a block's header and commitment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckpointProof {
    block_number: Quantity,
    block_hash: B256,
    /// Arweave id of its manifest.
    manifest: Id,
    /// Whether all its items were read back.
    archived: bool,
    /// The manifest's proof; `null` while it is not read back by this node.
    receipt: Option<ArweaveProof>,
}

impl From<&CheckpointEntry> for CheckpointProof {
    fn from(entry: &CheckpointEntry) -> Self {
        Self {
            block_number: Quantity(entry.block.number),
            block_hash: entry.block.hash,
            manifest: entry.manifest.id,
            archived: entry.archived,
            receipt: proof_of(&entry.manifest),
        }
    }
}

/// The proof of a blob's own item; `None` while there is none.
pub fn blob_proof(view: &View<'_>, tx: TxHash) -> Result<Option<ArweaveProof>, RpcError> {
    Ok(blob_item(view, tx)?.as_ref().and_then(proof_of))
}

fn proof_of(item: &ItemStatus) -> Option<ArweaveProof> {
    match &item.upload {
        Upload::Verified(receipt) => Some(receipt.into()),
        _ => None,
    }
}
