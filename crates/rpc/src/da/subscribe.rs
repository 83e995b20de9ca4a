//! `da_subscribe`: new blobs and checkpoints over WebSocket.

use super::{Quantity, checkpoint_events};
use crate::{Args, HeadChange, Registrar, RpcContext, RpcError, eth::pubsub};
use alloy_primitives::{B256, TxHash};
use jsonrpsee::{PendingSubscriptionSink, types::Params};
use serde::Serialize;
use std::sync::Arc;

/// A blob entered the canonical chain, or left it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BlobNotice {
    block_number: Quantity,
    block_hash: B256,
    transaction_hash: TxHash,
    transaction_index: Quantity,
    length: Quantity,
    removed: bool,
}

/// Registers the subscription.
pub fn register(registrar: &mut Registrar) {
    registrar.subscription(["da_subscribe", "da_subscription", "da_unsubscribe"], subscribe);
}

async fn subscribe(context: Arc<RpcContext>, params: Params<'static>, pending: PendingSubscriptionSink) {
    let kind = match parse(&params) {
        Ok(kind) => kind,
        Err(error) => return pending.reject(error.into_object()).await,
    };
    if matches!(kind, Kind::Checkpoints) {
        return checkpoint_events::serve(context, pending).await;
    }
    let changes = context.head.subscribe();
    if let Ok(sink) = pending.accept().await {
        pubsub::pump(&context, &sink, changes, |change| notices(&context, change)).await;
    }
}

enum Kind {
    Blobs,
    Checkpoints,
}

fn parse(params: &Params<'static>) -> Result<Kind, RpcError> {
    match Args::parse(params.as_str(), 1)?.required::<String>(0)?.as_str() {
        "blobs" => Ok(Kind::Blobs),
        "checkpoints" => Ok(Kind::Checkpoints),
        name => Err(RpcError::Unsupported(format!("no {name:?} subscription in da namespace"))),
    }
}

fn notices(context: &RpcContext, change: &HeadChange) -> Vec<BlobNotice> {
    let Some(weft) = context.spec().weft() else { return Vec::new() };
    let mut notices = Vec::new();
    for (block, removed) in change.blocks() {
        for (index, (hash, _)) in block.transactions.iter().enumerate() {
            // Blocks of changes carry their transactions; one that was read back late does not.
            let Some(length) = block.known_transaction(index).map(|digest| digest.input_bytes) else {
                continue;
            };
            if length >= weft.blob_threshold_bytes {
                notices.push(BlobNotice {
                    block_number: Quantity(block.header.number),
                    block_hash: block.header.hash(),
                    transaction_hash: *hash,
                    transaction_index: index.into(),
                    length: length.into(),
                    removed,
                });
            }
        }
    }
    notices
}
