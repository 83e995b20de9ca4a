//! Reads calldata from a node, and checks what can be checked from the transaction's hash alone.

use crate::client::{Client, ClientError};
use alloy_consensus::{Transaction, TxEnvelope};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{B256, Bytes, keccak256};
use eyre::{Result, bail, ensure, eyre};
use serde::Deserialize;

#[derive(Deserialize)]
struct Input {
    input: Bytes,
}

/// Calldata of a transaction, as the node says it is: through `da_getBlob`, or from the transaction where the
/// calldata is too small to be a blob or the node is no Weft node. The caller checks it.
pub fn calldata(client: &mut Client, hash: B256) -> Result<Bytes> {
    match client.call::<Option<Bytes>>("da_getBlob", (hash,)) {
        Ok(Some(blob)) => return Ok(blob),
        Ok(None) => {}
        Err(ClientError::Rpc { code: METHOD_NOT_FOUND, .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let tx: Option<Input> = client.call("eth_getTransactionByHash", (hash,))?;
    Ok(tx.ok_or_else(|| eyre!("the node does not know transaction {hash}"))?.input)
}

/// Calldata that is proven by the transaction's hash: the whole transaction is fetched and hashed. Of a permanent blob from before a node
/// was restored there is no transaction: it is the node that held the bytes against the block's header, and that is told.
pub fn proven_calldata(client: &mut Client, hash: B256) -> Result<Bytes> {
    let raw: Option<Bytes> = client.call("eth_getRawTransactionByHash", (hash,))?;
    let Some(raw) = raw.filter(|raw| !raw.is_empty()) else {
        let Ok(Some(blob)) = client.call::<Option<Bytes>>("da_getBlob", (hash,)) else {
            bail!("the node does not know transaction {hash}");
        };
        eprintln!(
            "the node has the blob of {hash} and not its transaction: the node checked it, not this command"
        );
        return Ok(blob);
    };
    ensure!(keccak256(&raw) == hash, "the node served a transaction that is not {hash}");
    let mut rest = &raw[..];
    Ok(TxEnvelope::decode_2718(&mut rest)?.input().clone())
}

/// JSON-RPC: the method does not exist.
const METHOD_NOT_FOUND: i64 = -32601;
