//! Execution without a block: `eth_call`, `eth_estimateGas`, `eth_createAccessList`.
//!
//! Every run happens on the state after some block in that block's environment (with overrides),
//! on the bounded pool for execution, with at most [`RpcConfig::gas_cap`](crate::RpcConfig) gas and
//! [`RpcConfig::evm_timeout`](crate::RpcConfig) time.

mod access_list;
mod deadline;
mod estimate;
mod overrides;
mod words;

pub use deadline::Deadline;
pub use estimate::{estimate, max_gas_used};
pub use overrides::{Session, override_state};
pub use words::{failure, halt, timed_out};

use crate::{Args, Registrar, RpcContext, RpcError};
use alloy_eips::BlockId;
use alloy_primitives::Bytes;
use alloy_rpc_types_eth::{BlockOverrides, TransactionRequest, state::StateOverride};
use revm::context_interface::result::ExecutionResult;

/// Registers the methods.
pub fn register(registrar: &mut Registrar) {
    registrar.execute("eth_call", 4, call);
    registrar.execute("eth_estimateGas", 4, estimate::estimate_gas);
    registrar.execute("eth_createAccessList", 3, access_list::create);
}

/// What `eth_call` and `eth_estimateGas` take.
#[derive(Clone, Debug, Default)]
pub struct CallArgs {
    /// The transaction, as far as it is given.
    pub request: TransactionRequest,
    /// State and environment; the head when absent.
    pub block: Option<BlockId>,
    /// Accounts to change first.
    pub state: StateOverride,
    /// Environment to change first.
    pub block_overrides: BlockOverrides,
}

impl CallArgs {
    /// `[transaction, block?, stateOverrides?, blockOverrides?]`.
    pub fn parse(args: &Args<'_>) -> Result<Self, RpcError> {
        Ok(Self {
            request: args.required(0)?,
            block: args.optional(1)?,
            state: args.optional(2)?.unwrap_or_default(),
            block_overrides: args.optional(3)?.unwrap_or_default(),
        })
    }
}

fn call(context: &RpcContext, args: &Args<'_>) -> Result<Bytes, RpcError> {
    let view = context.view();
    let mut session = Session::plain(context, &view, CallArgs::parse(args)?)?;
    let limit = session.request.gas.filter(|gas| *gas > 0).unwrap_or(u64::MAX).min(context.config.gas_cap);
    let tx = session.transaction(limit)?;
    let gas_limit = session.affordable(&tx, limit)?;
    match session.run(tx, gas_limit)?.result {
        ExecutionResult::Success { output, .. } => Ok(output.into_data()),
        result => Err(failure(result)),
    }
}
