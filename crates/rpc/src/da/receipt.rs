//! `da_receipt`: one object that proves a publication: inclusion, availability, permanence.

use super::{
    Quantity, checkpoints,
    inclusion::transaction_path,
    permanent::{ArweaveProof, CheckpointProof, blob_proof},
};
use crate::{Args, RpcContext, RpcError, chain};
use alloy_consensus::Transaction as _;
use alloy_primitives::{B256, Bytes, TxHash, U256};
use serde::Serialize;
use weft_erasure::BlobProof;

/// `importance` of PROTOCOL §8 while no transaction can say otherwise.
const IMPORTANCE: u64 = 1;

/// The storage proof. `header`, the preimage and the blob's path are the blob proof's fields;
/// `transactionPath` leads from the header's `transactionsRoot` to the transaction (Merkle Patricia,
/// key `rlp(transactionIndex)`, root first).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageReceipt {
    block_number: Quantity,
    block_hash: B256,
    #[serde(flatten)]
    proof: BlobProof,
    transaction_path: Vec<Bytes>,
    /// The first checkpoint at or above the block; `null` while there is none.
    checkpoint: Option<CheckpointProof>,
    /// That the blob itself was read back from Arweave; `null` where permanence was not bought, or is on its way.
    archived: Option<ArweaveProof>,
    /// Wei: gas used times effective price.
    price_paid: U256,
    etd: Quantity,
}

/// `da_receipt(txHash)`; `null` for an unknown transaction or one without a blob.
pub fn receipt(context: &RpcContext, args: &Args<'_>) -> Result<Option<StorageReceipt>, RpcError> {
    let hash: TxHash = args.required(0)?;
    let view = context.view();
    let Some(proof) = context.parts.retriever.blob_proof(hash)? else { return Ok(None) };
    let Some((block, index)) = chain::find_transaction(context, &view, hash)? else { return Ok(None) };
    let header = &block.header;
    let price = block.transaction(&view, index)?.tx.effective_gas_price(header.base_fee_per_gas);
    let checkpoint = checkpoints::of_block(context, header.number)?;
    Ok(Some(StorageReceipt {
        block_number: Quantity(header.number),
        block_hash: header.hash(),
        transaction_path: transaction_path(context, &view, &block, index)?,
        checkpoint: checkpoint.as_ref().map(CheckpointProof::from),
        archived: blob_proof(&view, hash)?,
        price_paid: U256::from(block.gas_used(index)) * U256::from(price),
        etd: Quantity(proof.length.saturating_mul(IMPORTANCE)),
        proof,
    }))
}
