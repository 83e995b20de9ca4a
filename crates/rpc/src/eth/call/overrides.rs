//! One run's state and environment: a block's, with what the caller overrides.

use super::{
    CallArgs,
    deadline::Deadline,
    words::{refusal, timed_out},
};
use crate::{
    RpcContext, RpcError,
    place::{Place, State as BlockState},
};
use alloy_evm::{
    Evm, EvmEnv,
    eth::EthEvmContext,
    overrides::{OverrideBlockHashes, apply_block_overrides, apply_state_overrides},
    precompiles::PrecompilesMap,
    rpc::TryIntoTxEnv,
};
use alloy_primitives::{Address, U256};
use alloy_rpc_types_eth::{TransactionRequest, state::StateOverride};
use revm::{
    Inspector,
    context::{BlockEnv, TxEnv},
    context_interface::{Transaction as _, result::ResultAndState},
    database::{CacheDB, EmptyDB, State},
    inspector::NoOpInspector,
};
use weft_evm::{Machine, WarmPrecompiles, Watched};
use weft_storage::View;

/// What this server inspects with.
pub trait CallInspector<'a>: Inspector<EthEvmContext<State<Watched<BlockState<'a>>>>> {}

impl<'a, I: Inspector<EthEvmContext<State<Watched<BlockState<'a>>>>>> CallInspector<'a> for I {}

/// A machine on a block's state, ready to run a caller's transaction any number of times.
pub struct Session<'a, I> {
    machine: Machine<BlockState<'a>, Deadline<I>>,
    env: EvmEnv,
    timeout: std::time::Duration,
    /// The transaction as it was given.
    pub request: TransactionRequest,
    /// Gas that one transaction of the block could have: its limit, or EIP-7825's cap.
    pub gas_limit_max: u64,
}

impl<'a> Session<'a, NoOpInspector> {
    /// Without an inspector of its own.
    pub fn plain(context: &'a RpcContext, view: &'a View<'a>, args: CallArgs) -> Result<Self, RpcError> {
        Session::open(context, view, args, NoOpInspector)
    }
}

impl<'a, I: CallInspector<'a>> Session<'a, I> {
    /// Opens the block's state and applies the overrides.
    pub fn open(
        context: &'a RpcContext,
        view: &'a View<'a>,
        args: CallArgs,
        inspector: I,
    ) -> Result<Self, RpcError> {
        let CallArgs { request, block, state, block_overrides } = args;
        let place = Place::find(context, view, block)?;
        let header = place.header(view)?;
        let mut env = context.parts.evm.env(header.header());
        let gas_limit_max = env.cfg_env.tx_gas_limit_cap.unwrap_or(u64::MAX).min(env.block_env.gas_limit);
        relax(&mut env, &request);
        let block_hashes = block_overrides.block_hash.clone().unwrap_or_default();
        override_block(block_overrides, &mut env.block_env);
        let timeout = context.config.evm_timeout;
        let mut machine =
            context.parts.evm.caller(env.clone(), place.state(view)?, Deadline::new(inspector, timeout));
        machine.db_mut().override_block_hashes(block_hashes);
        override_state(&mut machine, state)?;
        Ok(Self { machine, env, timeout, request, gas_limit_max })
    }

    /// The request as revm takes it, with this gas limit.
    pub fn transaction(&mut self, gas_limit: u64) -> Result<TxEnv, RpcError> {
        let mut request = self.request.clone();
        request.gas = Some(gas_limit);
        if request.nonce.is_none() {
            let caller = request.from.unwrap_or_default();
            let account = revm::Database::basic(self.machine.db_mut(), caller).map_err(RpcError::internal)?;
            request.nonce = Some(account.unwrap_or_default().nonce);
        }
        request.try_into_tx_env(&self.env).map_err(|error| RpcError::Rejected(error.to_string()))
    }

    /// `limit`, or less when the caller cannot pay for it at the offered price.
    pub fn affordable(&mut self, tx: &TxEnv, limit: u64) -> Result<u64, RpcError> {
        if tx.gas_price() == 0 {
            return Ok(limit);
        }
        let balance = self.account(tx.caller())?.unwrap_or_default().balance;
        let left = balance
            .checked_sub(tx.value())
            .ok_or_else(|| RpcError::Rejected("insufficient funds for transfer".to_owned()))?;
        Ok(limit.min((left / U256::from(tx.gas_price())).saturating_to()))
    }

    /// Runs it; nothing is kept of what it changes.
    pub fn run(&mut self, mut tx: TxEnv, gas_limit: u64) -> Result<ResultAndState, RpcError> {
        tx.gas_limit = gas_limit;
        let outcome = self.machine.transact_raw(tx);
        if self.machine.inspector().expired() {
            return Err(timed_out(self.timeout));
        }
        outcome.map_err(refusal)
    }

    /// Code and balance of an account before the run.
    pub fn account(&mut self, address: Address) -> Result<Option<revm::state::AccountInfo>, RpcError> {
        revm::Database::basic(self.machine.db_mut(), address).map_err(RpcError::internal)
    }

    /// The caller's inspector.
    pub fn inspector(&mut self) -> &mut I {
        &mut self.machine.inspector_mut().inner
    }
}

/// What a call may do that a transaction may not: any sender, no base fee at price 0, any gas.
fn relax(env: &mut EvmEnv, request: &TransactionRequest) {
    env.cfg_env.disable_eip3607 = true;
    env.cfg_env.disable_block_gas_limit = true;
    env.cfg_env.disable_base_fee = true;
    env.cfg_env.tx_gas_limit_cap = Some(u64::MAX);
    // A nonce that is given is checked by nobody in geth either.
    env.cfg_env.disable_nonce_check = true;
    let free = request.gas_price.is_none() && request.max_fee_per_gas.is_none();
    if free {
        // BASEFEE reads 0 when nothing is paid, as in geth.
        env.block_env.basefee = 0;
    }
    if request.max_fee_per_blob_gas.is_none_or(|fee| fee == 0)
        && let Some(blob) = &mut env.block_env.blob_excess_gas_and_price
    {
        blob.blob_gasprice = 0;
    }
}

fn override_block(overrides: alloy_rpc_types_eth::BlockOverrides, env: &mut BlockEnv) {
    // Its block hashes go to the machine's own database.
    let mut nowhere = CacheDB::new(EmptyDB::new());
    apply_block_overrides(overrides, &mut nowhere, env);
}

/// Changes accounts and moves precompiles before the first run, by geth's rules: an account that is named ceases to be
/// a precompile, and a precompile cannot be moved onto an account that is named.
pub fn override_state<'a>(
    machine: &mut (impl Evm<DB = State<Watched<BlockState<'a>>>, Precompiles = PrecompilesMap> + WarmPrecompiles),
    state: StateOverride,
) -> Result<(), RpcError> {
    // What is warm from the start is not changed by that (EIP-2929).
    let warm = machine.precompiles().addresses().copied().collect();
    machine.warm_precompiles(&warm);
    let mut moved = Vec::new();
    for (address, account) in &state {
        let mut precompile = None;
        machine.precompiles_mut().apply_precompile(address, |found| {
            precompile = found;
            None
        });
        if let Some(target) = account.move_precompile_to {
            let precompile = precompile
                .ok_or_else(|| RpcError::Rejected(format!("account {address} is not a precompile")))?;
            check_target(&state, *address, target)?;
            moved.push((target, precompile));
        }
        if account.state.is_some() && account.state_diff.is_some() {
            return Err(RpcError::Rejected(format!("account {address} has both 'state' and 'stateDiff'")));
        }
    }
    machine.precompiles_mut().extend_precompiles(moved);
    apply_state_overrides(state, machine.db_mut()).map_err(|error| RpcError::Rejected(error.to_string()))
}

/// Whether a precompile may be moved there. -38022 is execution-apis' code for a move onto itself.
fn check_target(state: &StateOverride, address: Address, target: Address) -> Result<(), RpcError> {
    if target == address {
        let message = format!("account {address} is moved onto itself");
        return Err(RpcError::Coded { code: -38022, message });
    }
    if state.contains_key(&target) {
        return Err(RpcError::Rejected(format!("account {target} is already overridden")));
    }
    Ok(())
}
