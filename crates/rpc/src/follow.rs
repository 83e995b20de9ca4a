//! The tasks that keep [`Head`](crate::Head) at the chain's head and at the pool's newest transactions.

use crate::RpcContext;
use jsonrpsee::server::StopHandle;
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;

/// Follows the engine until the server stops.
pub async fn engine(context: Arc<RpcContext>, stop: StopHandle) {
    let mut events = context.parts.engine.subscribe();
    // Blocks between the context's birth and this subscription were missed.
    catch_up(&context).await;
    let stopped = stop.shutdown();
    tokio::pin!(stopped);
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = &mut stopped => return,
        };
        match event {
            // Applying copies headers, receipts and small inputs only.
            Ok(event) if event_continues(&context, &event) => context.head.apply(&event),
            Ok(_) | Err(RecvError::Lagged(_)) => catch_up(&context).await,
            Err(RecvError::Closed) => return,
        }
    }
}

/// Whether the event begins where we stand; it does not when [`catch_up`] has already seen it.
fn event_continues(context: &RpcContext, event: &weft_engine::CanonicalEvent) -> bool {
    let known = context.head.header().hash();
    match (event.reverted.first(), event.committed.first()) {
        (Some(newest), _) => newest.block.header.hash() == known,
        (None, Some(oldest)) => oldest.block.header.parent_hash == known,
        (None, None) => false,
    }
}

async fn catch_up(context: &Arc<RpcContext>) {
    let shared = Arc::clone(context);
    let work = move || {
        let view = shared.view();
        shared.head.catch_up(&view)
    };
    if let Err(error) = crate::registrar::run_blocking(Arc::clone(&context.read_permits), work).await {
        tracing::warn!(target: "weft::rpc", %error, "could not catch up with the chain");
    }
}

/// Follows the pool until the server stops.
pub async fn pool(context: Arc<RpcContext>, stop: StopHandle) {
    let mut transactions = context.parts.pool.subscribe();
    let stopped = stop.shutdown();
    tokio::pin!(stopped);
    loop {
        let transaction = tokio::select! {
            transaction = transactions.recv() => transaction,
            () = &mut stopped => return,
        };
        match transaction {
            Ok(transaction) => context.head.note_pending(transaction.hash()),
            // Pending transactions are a courtesy: what was missed is not looked for.
            Err(RecvError::Lagged(missed)) => {
                tracing::debug!(target: "weft::rpc", missed, "pending transactions were missed")
            }
            Err(RecvError::Closed) => return,
        }
    }
}
