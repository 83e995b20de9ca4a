//! Unlocked accounts of dev mode: `eth_accounts`, `eth_sign`, `eth_sendTransaction` and its kin.
//!
//! What a request leaves out is filled in as geth does: nonce from the pool, gas by an estimate, fees
//! by the suggestions. Requests of unlocked accounts are taken one at a time, so that two of them do not
//! get one nonce.

use super::{
    call::{CallArgs, estimate},
    fees,
    submit::{send_raw, with_timeout},
};
use crate::{
    Args, Registrar, RpcContext, RpcError,
    place::Place,
    registrar::run_blocking,
    types::{RpcTransaction, pending_transaction},
};
use alloy_consensus::{EthereumTypedTransaction, SignableTransaction, TxEip4844};
use alloy_dyn_abi::TypedData;
use alloy_eips::{BlockId, BlockNumberOrTag, eip2718::Encodable2718};
use alloy_primitives::{Address, Bytes, Signature, TxHash, U256};
use alloy_rpc_types_eth::TransactionRequest;
use jsonrpsee::types::Params;
use serde::Serialize;
use std::sync::Arc;
use weft_primitives::Transaction;

/// A transaction in both forms.
#[derive(Clone, Debug, Serialize)]
struct Signed {
    raw: Bytes,
    tx: RpcTransaction,
}

/// Registers the methods.
pub fn register(registrar: &mut Registrar) {
    registrar.quick("eth_accounts", 0, |context, _| Ok(context.accounts.addresses().to_vec()));
    registrar.quick("eth_coinbase", 0, |context, _| Ok(context.head.header().beneficiary));
    registrar.read("eth_sign", 2, |context, args| sign(context, args, 0, 1));
    registrar.read("personal_sign", 2, |context, args| sign(context, args, 1, 0));
    for name in ["eth_signTypedData", "eth_signTypedData_v4"] {
        registrar.read(name, 2, |context, args| {
            context.accounts.sign_typed(args.required(0)?, &args.required::<TypedData>(1)?)
        });
    }
    registrar.asynchronous("eth_sendTransaction", send);
    registrar.execute("eth_signTransaction", 1, |context, args| signed(context, args.required(0)?));
    registrar.execute("eth_fillTransaction", 1, |context, args| filled(context, args.required(0)?));
}

fn sign(context: &RpcContext, args: &Args<'_>, address: usize, message: usize) -> Result<Bytes, RpcError> {
    let (address, message): (Address, Bytes) = (args.required(address)?, args.required(message)?);
    context.accounts.sign_message(address, &message)
}

async fn send(context: Arc<RpcContext>, params: Params<'static>) -> Result<TxHash, RpcError> {
    let request: TransactionRequest = Args::parse(params.as_str(), 1)?.required(0)?;
    let work = async {
        let _one_at_a_time = context.accounts.sending().await;
        let shared = Arc::clone(&context);
        let prepared =
            run_blocking(Arc::clone(&context.execute_permits), move || signed(&shared, request)).await?;
        send_raw(&context, prepared.raw).await
    };
    with_timeout(&context, work).await
}

fn signed(context: &RpcContext, request: TransactionRequest) -> Result<Signed, RpcError> {
    let from = request.from.ok_or_else(|| RpcError::InvalidParams("missing from address".to_owned()))?;
    if !context.accounts.addresses().contains(&from) {
        return Err(RpcError::Rejected("unknown account".to_owned()));
    }
    let tx: Transaction = context.accounts.sign_transaction(from, typed(fill(context, request)?)?)?;
    Ok(Signed { raw: tx.encoded_2718().into(), tx: pending_transaction(tx, from) })
}

/// As [`signed`], of any account, with a signature of zeros.
fn filled(context: &RpcContext, request: TransactionRequest) -> Result<Signed, RpcError> {
    let from = request.from.unwrap_or_default();
    let unsigned = typed(fill(context, request)?)?;
    let tx: Transaction = unsigned.into_signed(Signature::new(U256::ZERO, U256::ZERO, false)).into();
    Ok(Signed { raw: tx.encoded_2718().into(), tx: pending_transaction(tx, from) })
}

/// The request with everything that it left out.
fn fill(context: &RpcContext, mut request: TransactionRequest) -> Result<TransactionRequest, RpcError> {
    let from = request.from.unwrap_or_default();
    let chain_id = context.spec().chain_id();
    if request.chain_id.is_some_and(|given| given != chain_id) {
        return Err(RpcError::Rejected(format!(
            "chainId does not match node's (have={}, want={chain_id})",
            request.chain_id.unwrap_or_default()
        )));
    }
    request.chain_id = Some(chain_id);
    if request.to.is_none() && request.input.input().is_none_or(|input| input.is_empty()) {
        return Err(RpcError::Rejected("contract creation without any data provided".to_owned()));
    }
    if request.to.is_none() {
        request.to = Some(alloy_primitives::TxKind::Create);
    }
    request.input = request.input.into_input().map(Into::into).unwrap_or_default();
    request.value.get_or_insert(U256::ZERO);
    if request.nonce.is_none() {
        request.nonce = Some(next_nonce(context, from)?);
    }
    fill_fees(context, &mut request)?;
    if request.gas.is_none() {
        let block = Some(BlockId::Number(BlockNumberOrTag::Pending));
        request.gas =
            Some(estimate(context, CallArgs { request: request.clone(), block, ..CallArgs::default() })?);
    }
    Ok(request)
}

fn next_nonce(context: &RpcContext, from: Address) -> Result<u64, RpcError> {
    if let Some(nonce) = context.parts.pool.pending_nonce(from) {
        return Ok(nonce);
    }
    let view = context.view();
    Ok(Place::find(context, &view, None)?.state(&view)?.account(from)?.nonce)
}

/// EIP-1559 fees where the chain has them and no gas price is given: twice the base fee and the suggested tip.
fn fill_fees(context: &RpcContext, request: &mut TransactionRequest) -> Result<(), RpcError> {
    if request.gas_price.is_some() {
        return match request.max_fee_per_gas.or(request.max_priority_fee_per_gas) {
            Some(_) => Err(RpcError::Rejected(
                "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified".to_owned(),
            )),
            None => Ok(()),
        };
    }
    let Some(base_fee) = fees::next_base_fee(context) else {
        request.gas_price = Some(fees::gas_price(context)?);
        return Ok(());
    };
    let tip = match request.max_priority_fee_per_gas {
        Some(tip) => tip,
        None => fees::suggest_tip(context)?.min(request.max_fee_per_gas.unwrap_or(u128::MAX)),
    };
    let cap = request.max_fee_per_gas.unwrap_or(2 * u128::from(base_fee) + tip);
    if cap < tip {
        return Err(RpcError::Rejected(format!("maxFeePerGas ({cap:#x}) < maxPriorityFeePerGas ({tip:#x})")));
    }
    request.max_priority_fee_per_gas = Some(tip);
    request.max_fee_per_gas = Some(cap);
    Ok(())
}

fn typed(request: TransactionRequest) -> Result<EthereumTypedTransaction<TxEip4844>, RpcError> {
    let typed =
        request.build_typed_tx().map_err(|_| RpcError::Rejected("transaction is incomplete".to_owned()))?;
    Ok(match typed {
        EthereumTypedTransaction::Legacy(tx) => tx.into(),
        EthereumTypedTransaction::Eip2930(tx) => tx.into(),
        EthereumTypedTransaction::Eip1559(tx) => tx.into(),
        EthereumTypedTransaction::Eip7702(tx) => tx.into(),
        EthereumTypedTransaction::Eip4844(_) => {
            return Err(RpcError::Rejected("blob transactions must be signed by their sender".to_owned()));
        }
    })
}
