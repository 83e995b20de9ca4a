//! `eth_`: the chain's id, and headers that are believed.

use super::ColumnsContext;
use crate::{
    Args, Registrar, RpcError, chain,
    network::SyncStatus,
    types::{RpcBlock, header_response},
};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_network::primitives::BlockTransactions;
use alloy_primitives::{B256, U64};
use alloy_rpc_types_eth::{Block, Header};
use weft_primitives::SealedHeader;

/// Registers the methods.
pub fn register(registrar: &mut Registrar<ColumnsContext>) {
    registrar.quick("eth_chainId", 0, |context, _| Ok(U64::from(context.parts.spec.chain_id())));
    registrar.read("eth_blockNumber", 0, |context, _| Ok(U64::from(context.view().head()?.number)));
    registrar.quick("eth_syncing", 0, |context, _| Ok(SyncStatus::of(context.parts.sync.syncing())));
    registrar.read("eth_getHeaderByHash", 1, |context, args| header(context, by_hash(args)?));
    registrar.read("eth_getHeaderByNumber", 1, |context, args| header(context, by_number(args)?));
    registrar.read("eth_getBlockByHash", 2, |context, args| block(context, by_hash(args)?));
    registrar.read("eth_getBlockByNumber", 2, |context, args| block(context, by_number(args)?));
}

fn by_hash(args: &Args<'_>) -> Result<BlockId, RpcError> {
    Ok(args.required::<B256>(0)?.into())
}

fn by_number(args: &Args<'_>) -> Result<BlockId, RpcError> {
    Ok(args.required::<BlockNumberOrTag>(0)?.into())
}

/// The header of a block; `None` for an unknown one.
pub fn sealed_header(context: &ColumnsContext, id: BlockId) -> Result<Option<SealedHeader>, RpcError> {
    let view = context.view();
    let Some(number) = chain::block_number(&view, id)? else { return Ok(None) };
    Ok(view.header(number)?)
}

fn header(context: &ColumnsContext, id: BlockId) -> Result<Option<Header>, RpcError> {
    Ok(sealed_header(context, id)?.map(|header| header_response(&header, None)))
}

/// A block of its header alone: without a list of transactions, as nothing is known of them.
fn block(context: &ColumnsContext, id: BlockId) -> Result<Option<RpcBlock>, RpcError> {
    let block = |header: SealedHeader| Block {
        header: header_response(&header, None),
        uncles: Vec::new(),
        transactions: BlockTransactions::Uncle,
        withdrawals: None,
    };
    Ok(sealed_header(context, id)?.map(block))
}
