//! `eth_subscribe` over WebSocket.
//!
//! Overflow: a subscriber that is [`SEND_PATIENCE`] behind its socket, or that missed a change of the head
//! because it was too slow, is unsubscribed; it sees the end of its subscription instead of a gap.

use super::logs::append;
use crate::{
    HeadChange, Registrar, RpcContext, RpcError,
    types::{header_response, pending_transaction},
};
use alloy_rpc_types_eth::Filter;
use jsonrpsee::{PendingSubscriptionSink, SubscriptionMessage, SubscriptionSink, types::Params};
use serde::Serialize;
use std::{sync::Arc, time::Duration};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use weft_primitives::PreparedTransaction;

/// How long a subscriber's full queue is waited for.
const SEND_PATIENCE: Duration = Duration::from_secs(20);

/// Registers the subscription.
pub fn register(registrar: &mut Registrar) {
    registrar.subscriptions(|module| {
        module
            .register_subscription(
                "eth_subscribe",
                "eth_subscription",
                "eth_unsubscribe",
                |params, pending, context, _| async move {
                    subscribe(params, pending, Arc::clone(&context)).await;
                },
            )
            .map(|_| ())
    });
}

/// What can be subscribed to.
enum Kind {
    NewHeads,
    Logs(Box<Filter>),
    Pending { full: bool },
    Syncing,
}

async fn subscribe(params: Params<'static>, pending: PendingSubscriptionSink, context: Arc<RpcContext>) {
    let kind = match parse(&context, &params) {
        Ok(kind) => kind,
        Err(error) => return pending.reject(error.into_object()).await,
    };
    // Listening begins before the subscriber learns its id: it misses nothing after that.
    let (heads, transactions) = (context.head.subscribe(), context.parts.pool.subscribe());
    let Ok(sink) = pending.accept().await else { return };
    match kind {
        Kind::NewHeads => serve(&context, &sink, heads, new_heads).await,
        Kind::Logs(filter) => {
            let logs = move |context: &RpcContext, change: &HeadChange| new_logs(context, change, &filter);
            serve(&context, &sink, heads, logs).await;
        }
        Kind::Pending { full } => note(&context, follow_pool(&sink, transactions, full).await),
        Kind::Syncing => {
            note(&context, send(&sink, &false).await);
            sink.closed().await;
        }
    }
}

/// Sends what `of` makes of every change until the subscriber is gone or does not keep up.
pub async fn serve<T, F>(
    context: &RpcContext,
    sink: &SubscriptionSink,
    changes: Receiver<Arc<HeadChange>>,
    of: F,
) where
    T: Serialize,
    F: Fn(&RpcContext, &HeadChange) -> Vec<T>,
{
    note(context, follow(context, sink, changes, of).await);
}

fn note(context: &RpcContext, outcome: Result<(), Overrun>) {
    if outcome.is_err() {
        context.metrics.server.subscriptions_overrun_total.increment(1);
    }
}

fn parse(context: &RpcContext, params: &Params<'static>) -> Result<Kind, RpcError> {
    let args = crate::Args::parse(params.as_str(), 2)?;
    let name: String = args.required(0)?;
    match name.as_str() {
        "newHeads" => Ok(Kind::NewHeads),
        "logs" if args.optional::<serde::de::IgnoredAny>(1)?.is_none() => Ok(Kind::Logs(Box::default())),
        "logs" => super::logs::parse_filter(context, &args, 1).map(|filter| Kind::Logs(Box::new(filter))),
        "newPendingTransactions" => Ok(Kind::Pending { full: args.optional(1)?.unwrap_or(false) }),
        "syncing" => Ok(Kind::Syncing),
        _ => Err(RpcError::Unsupported(format!("no {name:?} subscription in eth namespace"))),
    }
}

/// The subscriber is gone, or did not keep up.
struct Overrun;

async fn follow<T, F>(
    context: &RpcContext,
    sink: &SubscriptionSink,
    mut changes: Receiver<Arc<HeadChange>>,
    of: F,
) -> Result<(), Overrun>
where
    T: Serialize,
    F: Fn(&RpcContext, &HeadChange) -> Vec<T>,
{
    loop {
        let change = tokio::select! {
            change = changes.recv() => change,
            () = sink.closed() => return Ok(()),
        };
        match change {
            Ok(change) => {
                for item in of(context, &change) {
                    send(sink, &item).await?;
                }
            }
            Err(RecvError::Lagged(_)) => return Err(Overrun),
            Err(RecvError::Closed) => return Ok(()),
        }
    }
}

fn new_heads(_: &RpcContext, change: &HeadChange) -> Vec<alloy_rpc_types_eth::Header> {
    change.committed.iter().map(|block| header_response(&block.header, None)).collect()
}

fn new_logs(context: &RpcContext, change: &HeadChange, filter: &Filter) -> Vec<alloy_rpc_types_eth::Log> {
    let mut logs = Vec::new();
    let blocks = change
        .reverted
        .iter()
        .map(|block| (block, true))
        .chain(change.committed.iter().map(|block| (block, false)));
    for (block, removed) in blocks {
        if super::logs::matches_bloom(filter, block.header.logs_bloom) {
            // Over the limit the rest of this change is left out, as the limit's name says.
            let _ = append(context, block, filter, removed, &mut logs);
        }
    }
    logs
}

async fn follow_pool(
    sink: &SubscriptionSink,
    mut transactions: Receiver<Arc<PreparedTransaction>>,
    full: bool,
) -> Result<(), Overrun> {
    loop {
        let transaction = tokio::select! {
            transaction = transactions.recv() => transaction,
            () = sink.closed() => return Ok(()),
        };
        match transaction {
            Ok(pooled) if full => send(sink, &pending_transaction(pooled.tx.clone(), pooled.sender)).await?,
            Ok(pooled) => send(sink, &pooled.hash()).await?,
            Err(RecvError::Lagged(_)) => return Err(Overrun),
            Err(RecvError::Closed) => return Ok(()),
        }
    }
}

async fn send(sink: &SubscriptionSink, item: &impl Serialize) -> Result<(), Overrun> {
    let message =
        SubscriptionMessage::new(sink.method_name(), sink.subscription_id(), item).map_err(|_| Overrun)?;
    sink.send_timeout(message, SEND_PATIENCE).await.map_err(|_| Overrun)
}
