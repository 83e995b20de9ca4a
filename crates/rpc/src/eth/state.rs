//! Accounts and storage, at any block.

use crate::{Args, Registrar, RpcContext, RpcError, place::Place, types::StorageKey};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, U64, U256, map::AddressMap};
use std::collections::HashMap;

/// Registers the methods.
pub fn register(registrar: &mut Registrar) {
    registrar.read("eth_getBalance", 2, balance);
    registrar.read("eth_getTransactionCount", 2, nonce);
    registrar.read("eth_getCode", 2, code);
    registrar.read("eth_getStorageAt", 3, storage_at);
    registrar.read("eth_getStorageValues", 2, storage_values);
}

fn balance(context: &RpcContext, args: &Args<'_>) -> Result<U256, RpcError> {
    let (address, id): (Address, _) = (args.required(0)?, args.optional(1)?);
    let view = context.view();
    Ok(Place::find(context, &view, id)?.state(&view)?.account(address)?.balance)
}

fn nonce(context: &RpcContext, args: &Args<'_>) -> Result<U64, RpcError> {
    let (address, id): (Address, Option<BlockId>) = (args.required(0)?, args.optional(1)?);
    let view = context.view();
    // What wallets poll for: the pool knows it, and no block has to be built.
    let id = match id {
        Some(BlockId::Number(BlockNumberOrTag::Pending)) => {
            if let Some(nonce) = context.parts.pool.pending_nonce(address) {
                return Ok(U64::from(nonce));
            }
            None
        }
        id => id,
    };
    Ok(U64::from(Place::find(context, &view, id)?.state(&view)?.account(address)?.nonce))
}

fn code(context: &RpcContext, args: &Args<'_>) -> Result<Bytes, RpcError> {
    let (address, id): (Address, _) = (args.required(0)?, args.optional(1)?);
    let view = context.view();
    Ok(Place::find(context, &view, id)?.state(&view)?.code(address)?)
}

fn storage_at(context: &RpcContext, args: &Args<'_>) -> Result<B256, RpcError> {
    let (address, key, id): (Address, String, _) = (args.required(0)?, args.required(1)?, args.optional(2)?);
    let key = StorageKey::parse(&key)?;
    let view = context.view();
    Ok(Place::find(context, &view, id)?.state(&view)?.slot(address, key.slot)?.into())
}

/// Many slots of many accounts at one block: `{address: [slot]}` to `{address: [value]}`.
fn storage_values(context: &RpcContext, args: &Args<'_>) -> Result<AddressMap<Vec<B256>>, RpcError> {
    let (requests, id): (HashMap<Address, Vec<B256>>, _) = (args.required(0)?, args.optional(1)?);
    let slots: usize = requests.values().map(Vec::len).sum();
    if slots == 0 {
        return Err(RpcError::InvalidParams("empty request".to_owned()));
    }
    if slots > context.config.storage_keys_max {
        return Err(RpcError::Limit(format!("too many slots (max {})", context.config.storage_keys_max)));
    }
    let view = context.view();
    let state = Place::find(context, &view, id)?.state(&view)?;
    let mut values = AddressMap::default();
    for (address, slots) in requests {
        let read = |slot: B256| Ok(state.slot(address, slot)?.into());
        values.insert(address, slots.into_iter().map(read).collect::<Result<_, RpcError>>()?);
    }
    Ok(values)
}
