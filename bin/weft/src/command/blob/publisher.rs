//! Signs, submits and awaits one transaction after the other for one account, from several threads.

use crate::{
    client::Client,
    command::{
        gas::{CalldataGas, Fees},
        key::KeyArgs,
    },
};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U64, hex};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use eyre::{Result, bail, ensure};
use serde_json::Value;
use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Distance of the looks for a receipt, and pause before a refused submission is tried again.
const PAUSE: Duration = Duration::from_millis(50);
/// Longest wait for room in the pool, and then for the receipt.
const PATIENCE: Duration = Duration::from_secs(300);
/// One part takes at most this share (one half) of a block's gas.
const BLOCK_SHARE: u64 = 2;
/// A part's upper bound whatever the gas: dev chains take transactions of 16 MiB, and this leaves room for the rest.
const PART_BYTES_MAX: usize = 8 << 20;

/// An account that publishes calldata to itself.
#[derive(Debug)]
pub struct Publisher {
    signer: PrivateKeySigner,
    chain_id: u64,
    gas: CalldataGas,
    block_gas: u64,
    nonce: AtomicU64,
    aborted: AtomicBool,
}

/// Another thread's failure stopped this one.
#[derive(Debug, thiserror::Error)]
#[error("stopped because another part failed")]
struct Aborted;

impl Publisher {
    /// Asks the node for everything that does not change from part to part.
    pub fn open(url: &str, key: &KeyArgs) -> Result<Self> {
        let mut client = Client::new(url)?;
        let chain_id = client.call::<U64>("eth_chainId", ())?.to();
        let signer = key.signer(chain_id)?;
        let address = signer.address();
        let gas = CalldataGas::ask(&mut client, address, address)?;
        let block: Value = client.call("eth_getBlockByNumber", ("latest", false))?;
        let block_gas = serde_json::from_value::<U64>(block["gasLimit"].clone())?.to();
        let nonce = client.call::<U64>("eth_getTransactionCount", (address, "pending"))?.to();
        Ok(Self {
            signer,
            chain_id,
            gas,
            block_gas,
            nonce: AtomicU64::new(nonce),
            aborted: AtomicBool::new(false),
        })
    }

    fn address(&self) -> Address {
        self.signer.address()
    }

    /// `wanted` bytes of calldata, or as many as one transaction may carry.
    pub fn part_bytes(&self, wanted: usize) -> Result<usize> {
        let most = self.gas.bytes_within(self.block_gas / BLOCK_SHARE).min(PART_BYTES_MAX);
        let bytes = wanted.min(most);
        ensure!(bytes > 0, "a block of {} gas has no room for calldata", self.block_gas);
        Ok(bytes)
    }

    /// Tells all threads to stop.
    pub fn abort(&self) {
        self.aborted.store(true, Ordering::Relaxed);
    }

    /// Whether they were told to.
    pub fn aborted(&self) -> bool {
        self.aborted.load(Ordering::Relaxed)
    }

    /// Whether an error only says that another thread failed.
    pub fn is_aborted(error: &eyre::Report) -> bool {
        error.downcast_ref::<Aborted>().is_some()
    }

    /// Sends `data` as the calldata of one transaction and waits until it is included.
    pub fn publish(&self, client: &mut Client, data: Bytes) -> Result<B256> {
        let fees = Fees::ask(client)?;
        let tx = TxEip1559 {
            chain_id: self.chain_id,
            nonce: self.nonce.fetch_add(1, Ordering::Relaxed),
            gas_limit: self.gas.limit(data.len()),
            max_fee_per_gas: fees.max_wei,
            max_priority_fee_per_gas: fees.tip_wei,
            to: TxKind::Call(self.address()),
            input: data,
            ..Default::default()
        };
        let signature = self.signer.sign_hash_sync(&tx.signature_hash())?;
        let tx = TxEnvelope::from(tx.into_signed(signature));
        self.submit(client, &hex::encode_prefixed(tx.encoded_2718()))?;
        self.await_receipt(client, *tx.tx_hash())
    }

    fn submit(&self, client: &mut Client, raw: &str) -> Result<()> {
        let begun = Instant::now();
        loop {
            match client.call::<B256>("eth_sendRawTransaction", (raw,)) {
                Ok(_) => return Ok(()),
                Err(error) if error.is_already_known() => return Ok(()),
                Err(error) if error.is_back_pressure() && begun.elapsed() < PATIENCE => self.pause()?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn await_receipt(&self, client: &mut Client, hash: B256) -> Result<B256> {
        let begun = Instant::now();
        loop {
            let receipt: Option<Value> = client.call("eth_getTransactionReceipt", (hash,))?;
            match receipt {
                Some(receipt) if receipt["status"] == "0x1" => return Ok(hash),
                Some(_) => bail!("transaction {hash} is included, but failed"),
                None if begun.elapsed() > PATIENCE => {
                    bail!("transaction {hash} was not included in {PATIENCE:?}")
                }
                None => self.pause()?,
            }
        }
    }

    fn pause(&self) -> Result<()> {
        if self.aborted() {
            return Err(Aborted.into());
        }
        thread::sleep(PAUSE);
        Ok(())
    }
}
