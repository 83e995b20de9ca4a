//! The EVM that blocks run on: revm's, told how many bytes of a transaction's input are zero.
//!
//! revm's handler goes over the input twice to find the intrinsic gas and the floor of EIP-7623. Whoever prepared the
//! transaction has counted already; here its count takes the place of both passes. Everything else is
//! [`MainnetHandler`]'s, and so are inspected transactions and those that nobody has counted.

use crate::{
    Machine, StateSource,
    gas::IntrinsicCost,
    machine::WarmPrecompiles,
    source::{StateFailure, Watched},
};
use alloy_evm::{
    Evm, EvmEnv, FromRecoveredTx, FromTxWithEncoded, IntoTxEnv, eth::EthEvmContext,
    precompiles::PrecompilesMap,
};
use alloy_primitives::{Address, Bytes, map::AddressSet};
use revm::{
    Context, ExecuteEvm, InspectEvm, Inspector, SystemCallEvm,
    context::{BlockEnv, CfgEnv, ContextSetters, ContextTr, JournalTr, TxEnv},
    context_interface::{
        Cfg, Transaction as _,
        result::{EVMError, HaltReason, InvalidTransaction, ResultAndState},
    },
    database::State,
    database_interface::bal::EvmDatabaseError,
    handler::{
        EthFrame, EvmTr, EvmTrError, FrameResult, FrameTr, Handler, MainnetHandler,
        instructions::EthInstructions,
    },
    inspector::NoOpInspector,
    interpreter::{InitialAndFloorGas, interpreter::EthInterpreter, interpreter_action::FrameInit},
    primitives::hardfork::SpecId,
    state::EvmState,
};
use std::marker::PhantomData;
use weft_primitives::{InputBytes, PreparedTransaction, Transaction};

type BlockState<DB> = State<Watched<DB>>;

/// revm over the state of a block.
type Inner<DB, I> = revm::context::Evm<
    EthEvmContext<BlockState<DB>>,
    I,
    EthInstructions<EthInterpreter, EthEvmContext<BlockState<DB>>>,
    PrecompilesMap,
    EthFrame,
>;

/// A transaction of a block, as revm takes it.
#[derive(Clone, Debug)]
pub(crate) struct BlockTx {
    env: TxEnv,
    /// `None`: not counted yet, which leaves it to revm.
    input: Option<InputBytes>,
}

impl BlockTx {
    pub(crate) fn new(tx: &PreparedTransaction) -> Self {
        Self { env: TxEnv::from_recovered_tx(&tx.tx, tx.sender), input: Some(tx.input_bytes) }
    }

    /// One whose input nobody has counted.
    pub(crate) fn uncounted(env: TxEnv) -> Self {
        Self { env, input: None }
    }
}

impl FromRecoveredTx<Transaction> for BlockTx {
    fn from_recovered_tx(tx: &Transaction, sender: Address) -> Self {
        Self::uncounted(TxEnv::from_recovered_tx(tx, sender))
    }
}

impl FromTxWithEncoded<Transaction> for BlockTx {
    fn from_encoded_tx(tx: &Transaction, sender: Address, _: Bytes) -> Self {
        Self::from_recovered_tx(tx, sender)
    }
}

impl IntoTxEnv<Self> for BlockTx {
    fn into_tx_env(self) -> Self {
        self
    }
}

/// [`Machine`] for the transactions of a block.
pub(crate) struct BlockMachine<DB: StateSource, I = NoOpInspector> {
    inner: Inner<DB, I>,
    inspect: bool,
}

impl<DB: StateSource, I> BlockMachine<DB, I> {
    /// `inspect` = whether the machine's inspector is asked.
    pub(crate) fn new(machine: Machine<DB, I>, inspect: bool) -> Self {
        Self { inner: machine.into_inner(), inspect }
    }
}

impl<DB: StateSource, I> WarmPrecompiles for BlockMachine<DB, I> {
    fn warm_precompiles(&mut self, addresses: &AddressSet) {
        self.inner.ctx.journal_mut().warm_precompiles(addresses);
    }
}

impl<DB, I> Evm for BlockMachine<DB, I>
where
    DB: StateSource,
    I: Inspector<EthEvmContext<BlockState<DB>>>,
{
    type DB = BlockState<DB>;
    type Tx = BlockTx;
    type Error = EVMError<EvmDatabaseError<StateFailure>>;
    type HaltReason = HaltReason;
    type Spec = SpecId;
    type BlockEnv = BlockEnv;
    type Precompiles = PrecompilesMap;
    type Inspector = I;

    fn block(&self) -> &BlockEnv {
        &self.inner.ctx.block
    }

    fn cfg_env(&self) -> &CfgEnv {
        &self.inner.ctx.cfg
    }

    fn chain_id(&self) -> u64 {
        self.inner.ctx.cfg.chain_id
    }

    fn transact_raw(&mut self, tx: BlockTx) -> Result<ResultAndState, Self::Error> {
        let input = match tx.input {
            _ if self.inspect => return self.inner.inspect_tx(tx.env),
            None => return self.inner.transact(tx.env),
            Some(input) => input,
        };
        // As revm's `transact`, with the other handler.
        self.inner.ctx.set_tx(tx.env);
        let ran: Result<_, Self::Error> = CountedHandler::new(input).run(&mut self.inner);
        let state = self.inner.ctx.journaled_state.finalize();
        Ok(ResultAndState::new(ran?, state))
    }

    fn transact_system_call(
        &mut self,
        caller: Address,
        contract: Address,
        data: Bytes,
    ) -> Result<ResultAndState, Self::Error> {
        self.inner.system_call_with_caller(caller, contract, data)
    }

    fn finish(self) -> (Self::DB, EvmEnv) {
        let Context { block: block_env, cfg: cfg_env, journaled_state, .. } = self.inner.ctx;
        (journaled_state.database, EvmEnv { block_env, cfg_env })
    }

    fn set_inspector_enabled(&mut self, enabled: bool) {
        self.inspect = enabled;
    }

    fn components(&self) -> (&Self::DB, &I, &PrecompilesMap) {
        (&self.inner.ctx.journaled_state.database, &self.inner.inspector, &self.inner.precompiles)
    }

    fn components_mut(&mut self) -> (&mut Self::DB, &mut I, &mut PrecompilesMap) {
        (&mut self.inner.ctx.journaled_state.database, &mut self.inner.inspector, &mut self.inner.precompiles)
    }
}

/// [`MainnetHandler`] with the count of the input of the one transaction that it runs.
struct CountedHandler<EVM, ERROR, FRAME> {
    input: InputBytes,
    inner: MainnetHandler<EVM, ERROR, FRAME>,
}

impl<EVM, ERROR, FRAME> CountedHandler<EVM, ERROR, FRAME> {
    fn new(input: InputBytes) -> Self {
        Self { input, inner: MainnetHandler { _phantom: PhantomData } }
    }
}

impl<EVM, ERROR, FRAME> Handler for CountedHandler<EVM, ERROR, FRAME>
where
    EVM: EvmTr<Context: ContextTr<Journal: JournalTr<State = EvmState>>, Frame = FRAME>,
    ERROR: EvmTrError<EVM>,
    FRAME: FrameTr<FrameResult = FrameResult, FrameInit = FrameInit>,
{
    type Evm = EVM;
    type Error = ERROR;
    type HaltReason = HaltReason;

    /// revm's `validate_initial_tx_gas_with_gas_params` for forks up to Osaka.
    fn validate_initial_tx_gas(&self, evm: &mut EVM) -> Result<InitialAndFloorGas, ERROR> {
        let (cfg, tx) = (evm.ctx_ref().cfg(), evm.ctx_ref().tx());
        debug_assert_eq!(self.input.total(), tx.input().len() as u64);
        let other_rules = cfg.is_eip7623_disabled()
            || cfg.is_amsterdam_eip2780_enabled()
            || cfg.is_amsterdam_eip8037_enabled();
        if other_rules {
            return self.inner.validate_initial_tx_gas(evm);
        }
        let gas = IntrinsicCost::of(tx, self.input).gas(cfg.gas_params());
        let (gas_limit, initial_gas, gas_floor) = (tx.gas_limit(), gas.initial_total_gas(), gas.floor_gas());
        if initial_gas > gas_limit {
            return Err(InvalidTransaction::CallGasCostMoreThanGasLimit { gas_limit, initial_gas }.into());
        }
        if cfg.spec().into().is_enabled_in(SpecId::PRAGUE) && gas_floor > gas_limit {
            return Err(InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor, gas_limit }.into());
        }
        Ok(gas)
    }
}

#[cfg(test)]
mod tests;
