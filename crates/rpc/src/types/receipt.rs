//! Receipts.

use super::logs_of;
use crate::{BlockDigest, RpcContext, RpcError, TransactionDigest};
use alloy_consensus::{Transaction as _, TxType, Typed2718};
use alloy_primitives::{Address, B256, Bloom, TxHash, U64, U128};
use alloy_rpc_types_eth::Log;
use serde::Serialize;

/// A receipt as geth answers it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RpcReceipt {
    block_hash: B256,
    block_number: U64,
    contract_address: Option<Address>,
    cumulative_gas_used: U64,
    effective_gas_price: U128,
    from: Address,
    gas_used: U64,
    logs: Vec<Log>,
    logs_bloom: Bloom,
    /// From Byzantium on (EIP-658).
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<U64>,
    /// Before: the state root after the transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<B256>,
    to: Option<Address>,
    transaction_hash: TxHash,
    transaction_index: U64,
    #[serde(rename = "type")]
    transaction_type: U64,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob_gas_used: Option<U64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob_gas_price: Option<U128>,
}

/// The receipt of transaction `index`, which is `digest`.
pub fn receipt_response(
    context: &RpcContext,
    block: &BlockDigest,
    index: usize,
    digest: &TransactionDigest,
) -> Result<RpcReceipt, RpcError> {
    let header = &block.header;
    let receipt = block
        .receipts
        .get(index)
        .ok_or_else(|| RpcError::internal(format!("no receipt {index} in block {}", header.number)))?;
    let tx = &digest.tx;
    let is_blob = tx.ty() == u8::from(TxType::Eip4844);
    let blob_gas_price = context
        .spec()
        .blob_params_at(header.timestamp)
        .zip(header.excess_blob_gas)
        .map(|(params, excess)| params.calc_blob_fee(excess));
    Ok(RpcReceipt {
        block_hash: header.hash(),
        block_number: U64::from(header.number),
        contract_address: tx.kind().is_create().then(|| digest.sender.create(tx.nonce())),
        cumulative_gas_used: U64::from(receipt.cumulative_gas_used),
        effective_gas_price: U128::from(tx.effective_gas_price(header.base_fee_per_gas)),
        from: digest.sender,
        gas_used: U64::from(block.gas_used(index)),
        logs: logs_of(block, index, false).collect(),
        logs_bloom: block.receipt_bloom(index),
        status: receipt.outcome.as_eip658().map(|success| U64::from(u8::from(success))),
        root: receipt.outcome.as_post_state(),
        to: tx.to(),
        transaction_hash: digest.hash(),
        transaction_index: U64::from(index),
        transaction_type: U64::from(tx.ty()),
        blob_gas_used: is_blob.then(|| tx.blob_gas_used().map(U64::from)).flatten(),
        blob_gas_price: is_blob.then_some(blob_gas_price).flatten().map(U128::from),
    })
}
