//! `weft db get`: records as JSON.

use super::{GetCommand, blob_place};
use alloy_consensus::{Transaction as _, TxEnvelope};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::B256;
use eyre::{Result, eyre};
use serde_json::{Value, json};
use weft_storage::{Store, StoredTransaction, View};

/// Prints one record.
pub fn run(store: &Store, command: &GetCommand) -> Result<()> {
    let view = store.view();
    let value = match command {
        GetCommand::Block { number } => block(&view, *number)?,
        GetCommand::Tx { hash } => transaction(&view, *hash)?,
        GetCommand::Account { address, at } => {
            let account = view.state_at(at.unwrap_or(view.head()?.number))?.account_of(*address)?;
            let account = account.ok_or_else(|| eyre!("there is no account {address}"))?;
            json!({
                "nonce": account.nonce,
                "balance": account.balance.to_string(),
                "storageRoot": account.storage_root,
                "codeHash": account.code_hash,
            })
        }
        GetCommand::Storage { address, slot, at } => {
            let value = view.state_at(at.unwrap_or(view.head()?.number))?.storage_of(*address, *slot)?;
            json!(B256::from(value))
        }
    };
    println!("{}", serde_json::to_string_pretty(&value)?);
    Ok(())
}

fn block(view: &View<'_>, number: u64) -> Result<Value> {
    let header = view.header(number)?.ok_or_else(|| eyre!("block {number} is not in the database"))?;
    let transactions = view.tx_hashes_and_senders(number)?.unwrap_or_default();
    let transactions: Vec<Value> =
        transactions.iter().map(|(hash, from)| json!({ "hash": hash, "from": from })).collect();
    Ok(json!({
        "hash": header.hash(),
        "header": header.header(),
        "transactions": transactions,
        "da": view.da_summary(number)?,
    }))
}

fn transaction(view: &View<'_>, hash: B256) -> Result<Value> {
    let position = view.tx_position(hash)?.ok_or_else(|| eyre!("transaction {hash} is not in the chain"))?;
    let stored = view
        .transaction(position)?
        .ok_or_else(|| eyre!("the body of block {} is incomplete", position.block))?;
    let (input_bytes, body) = match &stored {
        StoredTransaction::Whole(raw) => {
            (TxEnvelope::decode_2718(&mut &raw[..])?.input().len() as u64, "held")
        }
        StoredTransaction::Dropped { input_bytes, .. } => (*input_bytes, "dropped"),
    };
    let columns = match blob_place(view, hash) {
        Ok(place) => json!(view.columns_held(position.block, place.blob)?),
        Err(_) => Value::Null,
    };
    let sender = view.tx_hash_and_sender(position)?.map(|(_, sender)| sender);
    Ok(json!({
        "block": position.block,
        "index": position.index,
        "from": sender,
        "inputBytes": input_bytes,
        "body": body,
        "columnsHeld": columns,
    }))
}
