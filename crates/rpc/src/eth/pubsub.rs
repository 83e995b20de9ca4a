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
    registrar.subscription(["eth_subscribe", "eth_subscription", "eth_unsubscribe"], subscribe);
}

/// What can be subscribed to.
enum Kind {
    NewHeads,
    Logs(Box<Filter>),
    Pending { full: bool },
    Syncing,
}

async fn subscribe(context: Arc<RpcContext>, params: Params<'static>, pending: PendingSubscriptionSink) {
    let kind = match parse(&context, &params) {
        Ok(kind) => kind,
        Err(error) => return pending.reject(error.into_object()).await,
    };
    // Listening begins before the subscriber learns its id: it misses nothing after that.
    let (heads, transactions) = (context.head.subscribe(), context.parts.pool.subscribe());
    let Ok(sink) = pending.accept().await else { return };
    match kind {
        Kind::NewHeads => pump(&context, &sink, heads, new_heads).await,
        Kind::Logs(filter) => {
            pump(&context, &sink, heads, |change| new_logs(&context, change, &filter)).await;
        }
        Kind::Pending { full: true } => {
            let whole =
                |pooled: &PreparedTransaction| [pending_transaction(pooled.tx.clone(), pooled.sender)];
            pump(&context, &sink, transactions, whole).await;
        }
        Kind::Pending { full: false } => pump(&context, &sink, transactions, |pooled| [pooled.hash()]).await,
        Kind::Syncing => note(&context, follow_sync(&context, &sink).await),
    }
}

/// Sends what `of` makes of every event until the subscriber is gone or does not keep up.
pub async fn pump<E, I>(
    context: &RpcContext,
    sink: &SubscriptionSink,
    events: Receiver<Arc<E>>,
    of: impl Fn(&E) -> I,
) where
    I: IntoIterator<Item: Serialize>,
{
    note(context, follow(sink, events, of).await);
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

async fn follow<E, I>(
    sink: &SubscriptionSink,
    mut events: Receiver<Arc<E>>,
    of: impl Fn(&E) -> I,
) -> Result<(), Overrun>
where
    I: IntoIterator<Item: Serialize>,
{
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = sink.closed() => return Ok(()),
        };
        match event {
            Ok(event) => {
                for item in of(&event) {
                    send(sink, &item).await?;
                }
            }
            Err(RecvError::Lagged(_)) => return Err(Overrun),
            Err(RecvError::Closed) => return Ok(()),
        }
    }
}

fn new_heads(change: &HeadChange) -> Vec<alloy_rpc_types_eth::Header> {
    change.committed.iter().map(|block| header_response(&block.header, None)).collect()
}

fn new_logs(context: &RpcContext, change: &HeadChange, filter: &Filter) -> Vec<alloy_rpc_types_eth::Log> {
    let mut logs = Vec::new();
    for (block, removed) in change.blocks() {
        if super::logs::matches_bloom(filter, block.header.logs_bloom) {
            // Over the limit the rest of this change is left out, as the limit's name says.
            let _ = append(context, block, filter, removed, &mut logs);
        }
    }
    logs
}

/// Sends one item; `false` when the subscriber is gone or does not keep up, which is counted.
pub async fn send_noted(context: &RpcContext, sink: &SubscriptionSink, item: &impl Serialize) -> bool {
    let outcome = send(sink, item).await;
    let sent = outcome.is_ok();
    note(context, outcome);
    sent
}

/// Says how it is, and each change of whether the node catches up.
async fn follow_sync(context: &RpcContext, sink: &SubscriptionSink) -> Result<(), Overrun> {
    let network = &context.parts.network;
    loop {
        let told = network.sync_change();
        send(sink, &told).await?;
        tokio::select! {
            () = network.sync_turned(&told) => {}
            () = sink.closed() => return Ok(()),
        }
    }
}

async fn send(sink: &SubscriptionSink, item: &impl Serialize) -> Result<(), Overrun> {
    let message =
        SubscriptionMessage::new(sink.method_name(), sink.subscription_id(), item).map_err(|_| Overrun)?;
    sink.send_timeout(message, SEND_PATIENCE).await.map_err(|_| Overrun)
}
