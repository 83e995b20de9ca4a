//! Failures of execution in geth's words.

use crate::RpcError;
use revm::{
    context_interface::result::{EVMError, ExecutionResult, HaltReason},
    database_interface::bal::EvmDatabaseError,
};
use std::time::Duration;
use weft_evm::{StateFailure, TransactionError};

/// A result that is not a success, as the error that geth answers.
pub fn failure(result: ExecutionResult) -> RpcError {
    match result {
        ExecutionResult::Revert { output, .. } => RpcError::Reverted(output),
        ExecutionResult::Halt { reason, .. } => RpcError::Rejected(halt(&reason)),
        ExecutionResult::Success { .. } => RpcError::internal("a success was taken for a failure"),
    }
}

/// A transaction that could not even begin.
pub fn refusal(error: EVMError<EvmDatabaseError<StateFailure>>) -> RpcError {
    match error {
        EVMError::Transaction(reason) => RpcError::Rejected(format!("err: {}", TransactionError(reason))),
        EVMError::Header(reason) => RpcError::Rejected(reason.to_string()),
        EVMError::Database(failure) => RpcError::internal(failure),
        EVMError::Custom(reason) => RpcError::Rejected(reason),
        EVMError::CustomAny(reason) => RpcError::Rejected(reason.to_string()),
    }
}

/// Execution that took more time than it may.
pub fn timed_out(limit: Duration) -> RpcError {
    RpcError::Rejected(format!("execution aborted (timeout = {limit:?})"))
}

/// geth's word for a halt (`core/vm/errors.go`).
pub fn halt(reason: &HaltReason) -> String {
    let words = match reason {
        HaltReason::OutOfGas(_) => "out of gas",
        HaltReason::OpcodeNotFound | HaltReason::NotActivated => "invalid opcode",
        HaltReason::InvalidFEOpcode => "invalid opcode: INVALID",
        HaltReason::InvalidJump => "invalid jump destination",
        HaltReason::StackUnderflow => "stack underflow",
        HaltReason::StackOverflow => "stack limit reached 1024",
        HaltReason::OutOfOffset => "return data out of bounds",
        HaltReason::CreateCollision => "contract address collision",
        HaltReason::NonceOverflow => "nonce uint64 overflow",
        HaltReason::CreateContractSizeLimit => "max code size exceeded",
        HaltReason::CreateContractStartingWithEF => "invalid code: must not begin with 0xef",
        HaltReason::CreateInitCodeSizeLimit => "max initcode size exceeded",
        HaltReason::StateChangeDuringStaticCall | HaltReason::CallNotAllowedInsideStatic => {
            "write protection"
        }
        HaltReason::OutOfFunds => "insufficient balance for transfer",
        HaltReason::CallTooDeep => "max call depth exceeded",
        other => return other.to_string(),
    };
    words.to_owned()
}
