//! Blocks, their parts, and where the chain stands.

use crate::{
    Args, BlockDigest, Registrar, RpcContext, RpcError, chain,
    pending::pending_block,
    types::{
        MaybePending, RpcBlock, RpcReceipt, block_response, header_response, receipt_response, uncle_response,
    },
};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, U64};
use alloy_rpc_types_eth::Index;

/// Registers the methods.
pub fn register(registrar: &mut Registrar) {
    registrar.quick("eth_chainId", 0, |context, _| Ok(U64::from(context.spec().chain_id())));
    registrar.quick("eth_blockNumber", 0, |context, _| Ok(U64::from(context.parts.engine.head().number)));
    registrar.quick("eth_syncing", 0, |context, _| Ok(context.parts.network.sync_status()));
    registrar.read("eth_getBlockByHash", 2, by_hash);
    registrar.read("eth_getBlockByNumber", 2, by_number);
    registrar.read("eth_getHeaderByHash", 1, |context, args| {
        header(context, BlockId::from(args.required::<B256>(0)?))
    });
    registrar.read("eth_getHeaderByNumber", 1, |context, args| {
        header(context, args.required::<BlockNumberOrTag>(0)?.into())
    });
    registrar.read("eth_getBlockTransactionCountByHash", 1, |context, args| {
        count(context, args.required::<B256>(0)?.into(), |block| block.transactions.len())
    });
    registrar.read("eth_getBlockTransactionCountByNumber", 1, |context, args| {
        count(context, args.required::<BlockNumberOrTag>(0)?.into(), |block| block.transactions.len())
    });
    registrar.read("eth_getUncleCountByBlockHash", 1, |context, args| {
        count(context, args.required::<B256>(0)?.into(), |block| block.ommers.len())
    });
    registrar.read("eth_getUncleCountByBlockNumber", 1, |context, args| {
        count(context, args.required::<BlockNumberOrTag>(0)?.into(), |block| block.ommers.len())
    });
    registrar.read("eth_getUncleByBlockHashAndIndex", 2, |context, args| {
        uncle(context, args.required::<B256>(0)?.into(), args.required(1)?)
    });
    registrar.read("eth_getUncleByBlockNumberAndIndex", 2, |context, args| {
        uncle(context, args.required::<BlockNumberOrTag>(0)?.into(), args.required(1)?)
    });
    registrar.read("eth_getBlockReceipts", 1, receipts);
}

type Block = MaybePending<RpcBlock>;
type Header = MaybePending<alloy_rpc_types_eth::Header>;

fn by_hash(context: &RpcContext, args: &Args<'_>) -> Result<Option<Block>, RpcError> {
    block(context, BlockId::from(args.required::<B256>(0)?), args.optional(1)?.unwrap_or(false))
}

fn by_number(context: &RpcContext, args: &Args<'_>) -> Result<Option<Block>, RpcError> {
    block(context, args.required::<BlockNumberOrTag>(0)?.into(), args.optional(1)?.unwrap_or(false))
}

fn block(context: &RpcContext, id: BlockId, full: bool) -> Result<Option<Block>, RpcError> {
    let view = context.view();
    let Some(digest) = chain::block(context, &view, id)? else { return Ok(None) };
    MaybePending::new(block_response(context, &view, &digest, full)?, digest.is_pending()).map(Some)
}

fn header(context: &RpcContext, id: BlockId) -> Result<Option<Header>, RpcError> {
    let view = context.view();
    if id == BlockId::Number(BlockNumberOrTag::Pending)
        && let Some(pending) = pending_block(context, &view)?
    {
        return MaybePending::new(header_response(&pending.digest.header, None), true).map(Some);
    }
    // Not by way of the block: where a database was restored from a checkpoint there are headers without.
    let Some(number) = chain::block_number(&view, id)? else { return Ok(None) };
    MaybePending::new(header_response(&chain::header(&view, number)?, None), false).map(Some)
}

fn count(context: &RpcContext, id: BlockId, of: fn(&BlockDigest) -> usize) -> Result<Option<U64>, RpcError> {
    let view = context.view();
    Ok(chain::block(context, &view, id)?.map(|block| U64::from(of(&block))))
}

fn uncle(context: &RpcContext, id: BlockId, index: Index) -> Result<Option<RpcBlock>, RpcError> {
    let view = context.view();
    let Some(block) = chain::block(context, &view, id)? else { return Ok(None) };
    Ok(block.ommers.get(index.0).map(uncle_response))
}

fn receipts(context: &RpcContext, args: &Args<'_>) -> Result<Option<Vec<RpcReceipt>>, RpcError> {
    let view = context.view();
    let Some(block) = chain::block(context, &view, args.required(0)?)? else { return Ok(None) };
    let transactions = block.all_transactions(&view)?.iter().enumerate();
    transactions
        .map(|(index, digest)| receipt_response(context, &block, index, digest))
        .collect::<Result<_, _>>()
        .map(Some)
}
