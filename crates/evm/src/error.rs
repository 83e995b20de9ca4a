//! Why a block could not be executed.

use crate::{RuleError, StateFailure, TransactionError};
use alloy_evm::block::{BlockExecutionError, BlockValidationError};

/// A block could not be executed: because it is invalid, or because the state could not be read.
#[derive(Debug, thiserror::Error)]
pub enum EvmError {
    /// The block breaks a rule; it is invalid for ever.
    #[error(transparent)]
    Invalid(#[from] RuleError),
    /// The state could not be read; nothing is known of the block.
    #[error(transparent)]
    State(#[from] StateFailure),
    /// revm refused for a reason that is neither; a defect of this node.
    #[error("evm: {0}")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl EvmError {
    /// From alloy-evm's error. `index` = the transaction that was being executed, if any. Where the state failed the
    /// caller prefers that (see [`crate::StateSource`]).
    pub(crate) fn from_execution(error: BlockExecutionError, index: Option<usize>) -> Self {
        let validation = match error {
            BlockExecutionError::Validation(validation) => validation,
            BlockExecutionError::Internal(internal) => return Self::Internal(Box::new(internal)),
        };
        let index = index.unwrap_or_default();
        Self::Invalid(match validation {
            BlockValidationError::InvalidTx { hash, error } => match error.as_invalid_tx_err() {
                Some(reason) => {
                    RuleError::Transaction { index, hash, reason: TransactionError::from(reason.clone()) }
                }
                None => return Self::Internal(Box::new(BlockValidationError::InvalidTx { hash, error })),
            },
            BlockValidationError::TransactionGasLimitMoreThanAvailableBlockGas {
                transaction_gas_limit,
                block_available_gas,
            } => RuleError::BlockGas { index, have: transaction_gas_limit, left: block_available_gas },
            BlockValidationError::MissingParentBeaconBlockRoot => {
                RuleError::FieldMissing("parentBeaconBlockRoot")
            }
            BlockValidationError::DepositRequestDecode(reason) => RuleError::DepositLog(reason),
            other @ (BlockValidationError::BeaconRootContractCall { .. }
            | BlockValidationError::BlockHashContractCall { .. }
            | BlockValidationError::WithdrawalRequestsContractCall { .. }
            | BlockValidationError::ConsolidationRequestsContractCall { .. }) => {
                RuleError::SystemCall(other.to_string())
            }
            other => return Self::Internal(Box::new(other)),
        })
    }
}
