//! `txpool_`: what waits for a block.

use crate::{
    Args, Registrar, RpcContext, RpcError,
    types::{RpcTransaction, pending_transaction},
};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, U64};
use serde::Serialize;
use std::collections::BTreeMap;
use weft_pool::SubPool;
use weft_primitives::PreparedTransaction;

/// By sender, then by nonce in decimal: `{address: {"0": transaction}}`.
type BySender<T> = BTreeMap<String, BTreeMap<String, T>>;

#[derive(Clone, Debug, Serialize)]
struct Content<T> {
    pending: T,
    queued: T,
}

/// Registers the namespace.
pub fn register(registrar: &mut Registrar) {
    registrar.quick("txpool_status", 0, status);
    registrar.read("txpool_content", 0, |context, _| Ok(collect(context, whole)));
    registrar.read("txpool_inspect", 0, |context, _| Ok(collect(context, inspect)));
    registrar.read("txpool_contentFrom", 1, content_from);
}

fn status(context: &RpcContext, _: &Args<'_>) -> Result<Content<U64>, RpcError> {
    let (pending, queued) = context.parts.pool.counts();
    Ok(Content { pending: U64::from(pending), queued: U64::from(queued) })
}

fn whole(pooled: &PreparedTransaction) -> RpcTransaction {
    pending_transaction(pooled.tx.clone(), pooled.sender)
}

/// geth's one-line form.
fn inspect(pooled: &PreparedTransaction) -> String {
    let tx = &pooled.tx;
    let to = tx.to().map_or_else(|| "contract creation".to_owned(), |to| to.to_checksum(None));
    format!("{to}: {} wei + {} gas × {} wei", tx.value(), tx.gas_limit(), tx.max_fee_per_gas())
}

fn collect<T>(context: &RpcContext, of: fn(&PreparedTransaction) -> T) -> Content<BySender<T>> {
    let mut content = Content { pending: BySender::new(), queued: BySender::new() };
    for (sender, transactions) in context.parts.pool.content() {
        for (sub_pool, pooled) in transactions {
            let side = match sub_pool {
                SubPool::Pending => &mut content.pending,
                SubPool::Queued => &mut content.queued,
            };
            side.entry(sender.to_checksum(None))
                .or_default()
                .insert(pooled.tx.nonce().to_string(), of(&pooled));
        }
    }
    content
}

fn content_from(
    context: &RpcContext,
    args: &Args<'_>,
) -> Result<Content<BTreeMap<String, RpcTransaction>>, RpcError> {
    let mut content = Content { pending: BTreeMap::new(), queued: BTreeMap::new() };
    for (sub_pool, pooled) in context.parts.pool.content_from(args.required::<Address>(0)?) {
        let side = match sub_pool {
            SubPool::Pending => &mut content.pending,
            SubPool::Queued => &mut content.queued,
        };
        side.insert(pooled.tx.nonce().to_string(), whole(&pooled));
    }
    Ok(content)
}
