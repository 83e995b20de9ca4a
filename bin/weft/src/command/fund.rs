//! Gives accounts of a test run their money, from the dev accounts.

use super::{gas::Fees, key::derive};
use crate::client::Client;
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, TxKind, U64, U256, hex};
use alloy_signer::SignerSync;
use eyre::{Result, bail};
use serde_json::Value;
use std::{
    thread,
    time::{Duration, Instant},
};
use weft_node::DEV_MNEMONIC;

/// Accounts of the dev mnemonic that are funded in genesis.
const DEV_ACCOUNTS: u32 = 10;
/// Plain transfer.
const TRANSFER_GAS: u64 = 21_000;
/// Transfers sent before their receipts are awaited.
const WAVE: usize = 64;
/// Longest wait for a wave.
const PATIENCE: Duration = Duration::from_secs(60);
/// Distance of the looks for a receipt.
const PAUSE: Duration = Duration::from_millis(10);

/// Spreads half of what the dev accounts own over `accounts`, evenly, and waits for the receipts.
pub fn fund(client: &mut Client, accounts: &[Address]) -> Result<()> {
    let chain_id: U64 = client.call("eth_chainId", ())?;
    let fees = Fees::ask(client)?;
    let share = accounts.len().div_ceil(DEV_ACCOUNTS as usize).max(1);
    for (index, accounts) in (0..DEV_ACCOUNTS).zip(accounts.chunks(share)) {
        let signer = derive(DEV_MNEMONIC, index)?;
        let from = signer.address();
        let balance: U256 = client.call("eth_getBalance", (from, "latest"))?;
        let value = balance / U256::from(2 * accounts.len());
        if value.is_zero() {
            bail!("dev account {from} has no money: is this a dev chain?");
        }
        let nonce: U64 = client.call("eth_getTransactionCount", (from, "pending"))?;
        let mut nonce = nonce.to::<u64>();
        for wave in accounts.chunks(WAVE) {
            let mut last = B256::ZERO;
            for to in wave {
                let tx = TxEip1559 {
                    chain_id: chain_id.to(),
                    nonce,
                    gas_limit: TRANSFER_GAS,
                    max_fee_per_gas: fees.max_wei,
                    max_priority_fee_per_gas: fees.tip_wei,
                    to: TxKind::Call(*to),
                    value,
                    ..Default::default()
                };
                let signature = signer.sign_hash_sync(&tx.signature_hash())?;
                let raw = TxEnvelope::from(tx.into_signed(signature)).encoded_2718();
                last = client.call("eth_sendRawTransaction", (hex::encode_prefixed(raw),))?;
                nonce += 1;
            }
            await_receipt(client, last)?;
        }
    }
    Ok(())
}

/// Waits for a transaction's receipt and fails when it says that the transaction did.
pub fn await_receipt(client: &mut Client, hash: B256) -> Result<Value> {
    let begun = Instant::now();
    loop {
        let receipt: Option<Value> = client.call("eth_getTransactionReceipt", (hash,))?;
        match receipt {
            Some(receipt) if receipt["status"] == "0x1" => return Ok(receipt),
            Some(_) => bail!("transaction {hash} failed"),
            None if begun.elapsed() > PATIENCE => {
                bail!("transaction {hash} was not included in {PATIENCE:?}")
            }
            None => thread::sleep(PAUSE),
        }
    }
}
