//! `eth_estimateGas`: the smallest gas limit with which the transaction succeeds, within 1.5 %.
//!
//! geth's search (`eth/gasestimator`), so that the answers are geth's.

use super::{CallArgs, Session, failure};
use crate::{Args, RpcContext, RpcError};
use alloy_primitives::{TxKind, U64};
use revm::{
    context::TxEnv,
    context_interface::{
        Transaction as _,
        result::{ExecutionResult, HaltReason},
    },
    inspector::NoOpInspector,
};

/// Gas of a plain transfer.
const TRANSFER_GAS: u64 = 21_000;
/// Gas that a call with value gives the callee for free.
const CALL_STIPEND: u64 = 2_300;
/// The search ends when the limits are so close.
const ERROR_RATIO: f64 = 0.015;

/// `[transaction, block?, stateOverrides?, blockOverrides?]`.
pub fn estimate_gas(context: &RpcContext, args: &Args<'_>) -> Result<U64, RpcError> {
    estimate(context, CallArgs::parse(args)?).map(U64::from)
}

/// The estimate for a request.
pub fn estimate(context: &RpcContext, args: CallArgs) -> Result<u64, RpcError> {
    let view = context.view();
    let mut session = Session::plain(context, &view, args)?;
    let asked = session.request.gas.filter(|gas| *gas >= TRANSFER_GAS);
    let limit = asked
        .unwrap_or(session.gas_limit_max)
        .min(session.gas_limit_max)
        .min(context.config.gas_cap.max(TRANSFER_GAS));
    let tx = session.transaction(limit)?;
    let limit = session.affordable(&tx, limit)?;
    if is_plain_transfer(&mut session, &tx)?
        && limit >= TRANSFER_GAS
        && session.run(tx.clone(), TRANSFER_GAS)?.result.is_success()
    {
        return Ok(TRANSFER_GAS);
    }
    search(&mut session, &tx, limit)
}

/// Nothing but value, to an account without code. A precompile among them fails with a transfer's gas, or needs no more.
fn is_plain_transfer(session: &mut Session<'_, NoOpInspector>, tx: &TxEnv) -> Result<bool, RpcError> {
    let TxKind::Call(to) = tx.kind() else { return Ok(false) };
    let bare = tx.input().is_empty() && tx.authorization_list_len() == 0 && tx.access_list.0.is_empty();
    Ok(bare && session.account(to)?.is_none_or(|account| account.is_empty_code_hash()))
}

fn search(session: &mut Session<'_, NoOpInspector>, tx: &TxEnv, limit: u64) -> Result<u64, RpcError> {
    let first = session.run(tx.clone(), limit).map_err(|error| beyond(error, limit))?.result;
    let (used, most) = (first.tx_gas_used(), max_gas_used(&first));
    match first {
        ExecutionResult::Success { .. } => {}
        ExecutionResult::Halt { reason: HaltReason::OutOfGas(_), .. } => {
            return Err(RpcError::Rejected(format!("gas required exceeds allowance ({limit})")));
        }
        result => return Err(failure(result)),
    }
    let (mut low, mut high) = (used.saturating_sub(1), limit);
    let likely = (most + CALL_STIPEND).saturating_mul(64) / 63;
    if likely < high {
        if succeeds(session, tx, likely)? { high = likely } else { low = likely }
    }
    while low + 1 < high {
        if (high - low) as f64 / (high as f64) < ERROR_RATIO {
            break;
        }
        let middle = (low + (high - low) / 2).min(low.saturating_mul(2));
        if succeeds(session, tx, middle)? { high = middle } else { low = middle }
    }
    Ok(high)
}

/// Most gas that was spent at any time: before refunds, and not less than the floor (EIP-7623).
pub fn max_gas_used(result: &ExecutionResult) -> u64 {
    result.gas().total_gas_spent().max(result.gas().floor_gas())
}

/// The limit did not even cover the transaction's own bytes.
fn beyond(error: RpcError, limit: u64) -> RpcError {
    match error {
        RpcError::Rejected(reason)
            if reason.contains("gas") && (reason.contains("intrinsic") || reason.contains("floor")) =>
        {
            RpcError::Rejected(format!("gas required exceeds allowance ({limit})"))
        }
        error => error,
    }
}

/// Whether it succeeds with this limit; too little for its own bytes is a failure like any other.
fn succeeds(session: &mut Session<'_, NoOpInspector>, tx: &TxEnv, gas_limit: u64) -> Result<bool, RpcError> {
    match session.run(tx.clone(), gas_limit) {
        Ok(outcome) => Ok(outcome.result.is_success()),
        Err(RpcError::Rejected(reason))
            if reason.contains("intrinsic gas") || reason.contains("floor data gas") =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
