//! One call of a simulated block: the transaction that it stands for, and its outcome in geth's codes.

use crate::{
    RpcError,
    eth::call::{halt, max_gas_used},
};
use alloy_consensus::{EthereumTypedTransaction, SignableTransaction, TxEip4844};
use alloy_primitives::{Signature, TxKind, U256};
use alloy_rpc_types_eth::{
    TransactionRequest,
    simulate::{SimCallResult, SimulateError},
};
use revm::context_interface::result::{ExecutionResult, InvalidTransaction};
use std::cmp::Ordering;
use weft_evm::{EvmError, RuleError, TransactionError};
use weft_primitives::{Header, Transaction};

/// execution-apis, "Error codes" of `eth_simulateV1`.
mod code {
    pub const NONCE_TOO_LOW: i32 = -38010;
    pub const NONCE_TOO_HIGH: i32 = -38011;
    pub const FEE_BELOW_BASE_FEE: i32 = -38012;
    pub const INTRINSIC_GAS: i32 = -38013;
    pub const INSUFFICIENT_FUNDS: i32 = -38014;
    pub const BLOCK_GAS: i32 = -38015;
    pub const SENDER_NOT_EOA: i32 = -38024;
    pub const INITCODE_TOO_LARGE: i32 = -38025;
    pub const INVALID_PARAMS: i32 = -32602;
    pub const INTERNAL: i32 = -32603;
}

/// The call's transaction in a block with this header, with a signature of zeros. Gas and nonce are there; fees that
/// are not given are zero.
pub fn transaction(
    mut request: TransactionRequest,
    header: &Header,
    chain_id: u64,
) -> Result<Transaction, RpcError> {
    if let Some(given) = request.chain_id.filter(|given| *given != chain_id) {
        return Err(RpcError::Rejected(format!(
            "chainId does not match node's (have={given}, want={chain_id})"
        )));
    }
    let has_dynamic_fees = request.max_fee_per_gas.or(request.max_priority_fee_per_gas).is_some();
    if request.gas_price.is_some() && has_dynamic_fees {
        return Err(RpcError::Rejected(
            "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified".to_owned(),
        ));
    }
    request.chain_id = Some(chain_id);
    request.input = request
        .input
        .try_into_unique_input()
        .map_err(|error| RpcError::Rejected(error.to_string()))?
        .map(Into::into)
        .unwrap_or_default();
    request.to.get_or_insert(TxKind::Create);
    request.value.get_or_insert(U256::ZERO);
    request.sidecar = None;
    if request.gas_price.is_none() && (header.base_fee_per_gas.is_some() || has_dynamic_fees) {
        request.max_fee_per_gas.get_or_insert(0);
        request.max_priority_fee_per_gas.get_or_insert(0);
    } else {
        request.gas_price.get_or_insert(0);
    }
    let typed = typed(request).map_err(RpcError::Rejected)?;
    Ok(typed.into_signed(Signature::new(U256::ZERO, U256::ZERO, false)).into())
}

/// The type by what is given, a blob fee without blobs left aside.
fn typed(mut request: TransactionRequest) -> Result<EthereumTypedTransaction<TxEip4844>, String> {
    let typed = if request.authorization_list.is_some() {
        request.build_7702().map(Into::into)
    } else if request.blob_versioned_hashes.is_some() {
        request.max_fee_per_blob_gas.get_or_insert(0);
        request.build_4844_without_sidecar().map(Into::into)
    } else if request.gas_price.is_none() {
        request.build_1559().map(Into::into)
    } else if request.access_list.is_some() {
        request.build_2930().map(Into::into)
    } else {
        request.build_legacy().map(Into::into)
    };
    typed.map_err(|error| error.to_string())
}

/// The result without its logs, which are known when the block's hash is.
pub fn outcome(result: &ExecutionResult) -> SimCallResult {
    let mut outcome = SimCallResult {
        gas_used: result.tx_gas_used(),
        max_used_gas: Some(max_gas_used(result)),
        status: result.is_success(),
        ..SimCallResult::default()
    };
    match result {
        ExecutionResult::Success { output, .. } => outcome.return_data = output.data().clone(),
        ExecutionResult::Revert { output, .. } => {
            outcome.error = Some(SimulateError {
                code: SimulateError::EXECUTION_REVERTED_CODE,
                message: crate::revert_message(output),
                data: Some(output.clone()),
            });
        }
        ExecutionResult::Halt { reason, .. } => {
            outcome.error = Some(SimulateError {
                code: SimulateError::VM_EXECUTION_ERROR_CODE,
                message: halt(reason),
                data: None,
            });
        }
    }
    outcome
}

/// A call that cannot be part of its block ends the simulation. `gas` = gas that it was given.
pub fn refusal(error: EvmError, gas: u64) -> RpcError {
    match error {
        EvmError::Invalid(RuleError::Transaction { reason, .. }) => invalid(&reason, gas),
        EvmError::Invalid(RuleError::BlockGas { .. }) => {
            RpcError::Coded { code: code::BLOCK_GAS, message: error.to_string() }
        }
        error => broken(error),
    }
}

/// A block that cannot be: what is overridden may break a system contract.
pub fn broken(error: EvmError) -> RpcError {
    match error {
        EvmError::Invalid(rule) => RpcError::Rejected(rule.to_string()),
        error => RpcError::internal(error),
    }
}

fn invalid(reason: &TransactionError, gas: u64) -> RpcError {
    RpcError::Coded { code: code_of(reason), message: format!("err: {reason} (supplied gas {gas})") }
}

/// geth looks at the nonce before it looks at fees, and revm after.
pub fn check_nonce(nonce: u64, state_nonce: u64, gas: u64) -> Result<(), RpcError> {
    use InvalidTransaction as Reason;
    let (tx, state) = (nonce, state_nonce);
    let reason = match tx.cmp(&state) {
        Ordering::Less => Reason::NonceTooLow { tx, state },
        Ordering::Greater => Reason::NonceTooHigh { tx, state },
        Ordering::Equal if tx == u64::MAX => Reason::NonceOverflowInTransaction,
        Ordering::Equal => return Ok(()),
    };
    Err(invalid(&TransactionError(reason), gas))
}

/// A call for which the block has no gas left.
pub fn block_gas_reached(wanted: u64, limit: u64) -> RpcError {
    RpcError::Coded {
        code: code::BLOCK_GAS,
        message: format!("block gas limit reached: {wanted} >= {limit}"),
    }
}

/// A call that offers something, and less than the base fee.
pub fn below_base_fee(offered: u128, base_fee: u64) -> RpcError {
    RpcError::Coded {
        code: code::FEE_BELOW_BASE_FEE,
        message: format!(
            "err: max fee per gas less than block base fee: maxFeePerGas: {offered}, baseFee: {base_fee}"
        ),
    }
}

fn code_of(TransactionError(reason): &TransactionError) -> i32 {
    use InvalidTransaction as Reason;
    match reason {
        Reason::NonceTooLow { .. } => code::NONCE_TOO_LOW,
        Reason::NonceTooHigh { .. } => code::NONCE_TOO_HIGH,
        Reason::GasPriceLessThanBasefee => code::FEE_BELOW_BASE_FEE,
        Reason::CallGasCostMoreThanGasLimit { .. } | Reason::GasFloorMoreThanGasLimit { .. } => {
            code::INTRINSIC_GAS
        }
        Reason::LackOfFundForMaxFee { .. } | Reason::OverflowPaymentInTransaction => code::INSUFFICIENT_FUNDS,
        Reason::CallerGasLimitMoreThanBlock => code::BLOCK_GAS,
        Reason::RejectCallerWithCode => code::SENDER_NOT_EOA,
        Reason::CreateInitCodeSizeLimit => code::INITCODE_TOO_LARGE,
        Reason::PriorityFeeGreaterThanMaxFee => code::INVALID_PARAMS,
        _ => code::INTERNAL,
    }
}
