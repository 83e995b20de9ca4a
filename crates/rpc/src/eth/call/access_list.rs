//! `eth_createAccessList`: the list with which the transaction touches nothing unlisted.

use super::{CallArgs, Session, words};
use crate::{Args, RpcContext, RpcError};
use alloy_eips::eip2930::AccessList;
use alloy_primitives::U64;
use revm::context_interface::result::ExecutionResult;
use revm_inspectors::access_list::AccessListInspector;
use serde::Serialize;

/// Runs until the list no longer grows; each adds at least one entry, and few transactions need three.
const ROUNDS_MAX: usize = 16;

/// The list, and what the transaction costs with it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessListResponse {
    access_list: AccessList,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    gas_used: U64,
}

/// `[transaction, block?, stateOverrides?]`.
pub fn create(context: &RpcContext, args: &Args<'_>) -> Result<AccessListResponse, RpcError> {
    let mut call = CallArgs::parse(args)?;
    let view = context.view();
    for _ in 0..ROUNDS_MAX {
        let known = call.request.access_list.clone().unwrap_or_default();
        let mut session =
            Session::open(context, &view, call.clone(), AccessListInspector::new(known.clone()))?;
        let limit = session.request.gas.unwrap_or(u64::MAX).min(context.config.gas_cap);
        let tx = session.transaction(limit)?;
        let limit = session.affordable(&tx, limit)?;
        let result = session.run(tx, limit)?.result;
        let found = session.inspector().access_list();
        if found == known || found.0.is_empty() {
            return Ok(AccessListResponse {
                access_list: found,
                gas_used: U64::from(result.tx_gas_used()),
                error: error_of(result),
            });
        }
        call.request.access_list = Some(found);
    }
    Err(RpcError::Rejected("access list does not settle".to_owned()))
}

fn error_of(result: ExecutionResult) -> Option<String> {
    match result {
        ExecutionResult::Success { .. } => None,
        ExecutionResult::Revert { output, .. } => Some(crate::revert_message(&output)),
        ExecutionResult::Halt { reason, .. } => Some(words::halt(&reason)),
    }
}
