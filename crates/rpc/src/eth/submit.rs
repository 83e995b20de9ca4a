//! Transactions in: raw ones from wallets, unsigned ones for the unlocked accounts of dev mode.

use super::transactions::receipt_of;
use crate::{Args, Registrar, RpcContext, RpcError, registrar::run_blocking, types::RpcReceipt};
use alloy_primitives::{Bytes, TxHash};
use jsonrpsee::types::Params;
use std::{sync::Arc, time::Duration};
use tokio::{sync::broadcast::error::RecvError, time::Instant};

/// How long `eth_sendRawTransactionSync` waits when the caller does not say.
const SYNC_TIMEOUT_DEFAULT: Duration = Duration::from_secs(20);

/// Registers the methods.
pub fn register(registrar: &mut Registrar) {
    registrar.asynchronous("eth_sendRawTransaction", |context, params| async move {
        let raw: Bytes = Args::parse(params.as_str(), 1)?.required(0)?;
        drop(params);
        with_timeout(&context, send_raw(&context, raw)).await
    });
    registrar.asynchronous("eth_sendRawTransactionSync", send_raw_sync);
}

/// Hands a signed transaction to the pool, which does the work off the async threads.
pub async fn send_raw(context: &RpcContext, raw: Bytes) -> Result<TxHash, RpcError> {
    Ok(context.parts.pool.submit(raw).await?)
}

/// Refuses after the call's time.
pub async fn with_timeout<T>(
    context: &RpcContext,
    work: impl Future<Output = Result<T, RpcError>>,
) -> Result<T, RpcError> {
    tokio::time::timeout(context.config.call_timeout, work).await.unwrap_or(Err(RpcError::Timeout))
}

/// EIP-7966: submits and answers with the receipt. Parameters: raw bytes, timeout in milliseconds.
async fn send_raw_sync(context: Arc<RpcContext>, params: Params<'static>) -> Result<RpcReceipt, RpcError> {
    let (raw, timeout_ms): (Bytes, Option<u64>) = {
        let args = Args::parse(params.as_str(), 2)?;
        (args.required(0)?, args.optional(1)?)
    };
    let limit = context.config.call_timeout;
    let timeout = timeout_ms.map_or(SYNC_TIMEOUT_DEFAULT, Duration::from_millis).min(limit);
    let deadline = Instant::now() + timeout;
    // Subscribed before it is submitted, so that no block is missed.
    let mut changes = context.head.subscribe();
    let hash = send_raw(&context, raw).await?;
    loop {
        let shared = Arc::clone(&context);
        let found = run_blocking(Arc::clone(&context.read_permits), move || {
            receipt_of(&shared, &shared.view(), hash)
        })
        .await?;
        if let Some(receipt) = found {
            return Ok(receipt);
        }
        match tokio::time::timeout_at(deadline, changes.recv()).await {
            Ok(Ok(_) | Err(RecvError::Lagged(_))) => {}
            // EIP-7966: code 4, the hash as data is in the message here.
            Err(_) | Ok(Err(RecvError::Closed)) => {
                return Err(RpcError::Coded {
                    code: 4,
                    message: format!(
                        "transaction {hash} was accepted and is not in a block after {timeout:?}"
                    ),
                });
            }
        }
    }
}
