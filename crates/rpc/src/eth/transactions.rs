//! Transactions and receipts, by hash or by place.

use crate::{
    Args, Registrar, RpcContext, RpcError, chain,
    types::{RpcReceipt, RpcTransaction, included_transaction, pending_transaction, receipt_response},
};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, Bytes, TxHash};
use alloy_rpc_types_eth::Index;

/// Registers the methods.
pub fn register(registrar: &mut Registrar) {
    registrar.read("eth_getTransactionByHash", 1, by_hash);
    registrar.read("eth_getTransactionReceipt", 1, receipt);
    registrar.read("eth_getRawTransactionByHash", 1, raw_by_hash);
    registrar.read("eth_getTransactionByBlockHashAndIndex", 2, |context, args| {
        at(context, args.required::<B256>(0)?.into(), args.required(1)?)
    });
    registrar.read("eth_getTransactionByBlockNumberAndIndex", 2, |context, args| {
        at(context, args.required::<BlockNumberOrTag>(0)?.into(), args.required(1)?)
    });
    registrar.read("eth_getRawTransactionByBlockHashAndIndex", 2, |context, args| {
        raw_at(context, args.required::<B256>(0)?.into(), args.required(1)?)
    });
    registrar.read("eth_getRawTransactionByBlockNumberAndIndex", 2, |context, args| {
        raw_at(context, args.required::<BlockNumberOrTag>(0)?.into(), args.required(1)?)
    });
}

fn by_hash(context: &RpcContext, args: &Args<'_>) -> Result<Option<RpcTransaction>, RpcError> {
    let hash: TxHash = args.required(0)?;
    let view = context.view();
    if let Some((block, index)) = chain::find_transaction(context, &view, hash)? {
        let tx = chain::whole_transaction(context, &view, &block, index)?;
        return Ok(Some(included_transaction(&block, index, tx)));
    }
    Ok(context.parts.pool.get(hash).map(|pooled| pending_transaction(pooled.tx.clone(), pooled.sender)))
}

fn raw_by_hash(context: &RpcContext, args: &Args<'_>) -> Result<Option<Bytes>, RpcError> {
    let hash: TxHash = args.required(0)?;
    let view = context.view();
    match chain::find_transaction(context, &view, hash)? {
        Some((block, index)) => chain::encoded_transaction(context, &view, &block, index).map(Some),
        None => Ok(context.parts.pool.get(hash).map(|pooled| pooled.encoded.clone())),
    }
}

fn at(context: &RpcContext, id: BlockId, index: Index) -> Result<Option<RpcTransaction>, RpcError> {
    let view = context.view();
    let Some(block) = chain::block(context, &view, id)? else { return Ok(None) };
    if index.0 >= block.transactions.len() {
        return Ok(None);
    }
    let tx = chain::whole_transaction(context, &view, &block, index.0)?;
    Ok(Some(included_transaction(&block, index.0, tx)))
}

fn raw_at(context: &RpcContext, id: BlockId, index: Index) -> Result<Option<Bytes>, RpcError> {
    let view = context.view();
    let Some(block) = chain::block(context, &view, id)? else { return Ok(None) };
    if index.0 >= block.transactions.len() {
        return Ok(None);
    }
    chain::encoded_transaction(context, &view, &block, index.0).map(Some)
}

fn receipt(context: &RpcContext, args: &Args<'_>) -> Result<Option<RpcReceipt>, RpcError> {
    let view = context.view();
    receipt_of(context, &view, args.required(0)?)
}

/// The receipt of an included transaction.
pub fn receipt_of(
    context: &RpcContext,
    view: &weft_storage::View<'_>,
    hash: TxHash,
) -> Result<Option<RpcReceipt>, RpcError> {
    let Some((block, index)) = chain::find_transaction(context, view, hash)? else { return Ok(None) };
    receipt_response(context, &block, index, &block.transaction(view, index)?).map(Some)
}
