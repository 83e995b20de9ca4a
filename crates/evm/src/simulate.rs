//! Blocks that are executed to be looked at and never kept, one on top of the other (`eth_simulateV1`).
//!
//! They go through the same executor as real blocks: system calls, transactions, withdrawals, requests. What is
//! different is the caller's: an environment in which some checks are off, precompiles that were moved, accounts that
//! were changed before the first transaction, transactions that nobody signed.

use crate::{
    Evm, EvmError, StateSource,
    block_machine::BlockMachine,
    build::complete,
    execute::{Body, Execution},
    machine::{WarmPrecompiles, cached, machine_on},
    source::{Note, Watched},
};
use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawals;
use alloy_evm::{
    Evm as _, EvmEnv, FromRecoveredTx, block::BlockExecutionResult, eth::EthEvmContext,
    overrides::OverrideBlockHashes, precompiles::PrecompilesMap,
};
use alloy_primitives::{Address, B256};
use revm::{
    Inspector,
    context::TxEnv,
    context_interface::result::ExecutionResult,
    database::{BundleState, State},
};
use std::sync::LazyLock;
use weft_primitives::Transaction;

/// The state that simulated blocks run on, with all that they have changed.
#[derive(Debug)]
pub struct SimulatedState<DB: StateSource> {
    state: State<Watched<DB>>,
    failures: Note,
}

impl<DB: StateSource> SimulatedState<DB> {
    /// Begins with the state after a real block.
    pub fn new(state: DB) -> Self {
        let (state, failures) = cached(state);
        Self { state, failures }
    }

    /// What the blocks so far have changed of the state that this one was made of.
    pub fn changes(&self) -> &BundleState {
        &self.state.bundle_state
    }

    /// What BLOCKHASH shall answer for a simulated block.
    pub fn set_block_hash(&mut self, number: u64, hash: B256) {
        self.state.override_block_hashes([(number, hash)].into());
    }
}

/// A block that is being simulated.
pub struct Simulation<'a, DB: StateSource, I> {
    evm: &'a Evm,
    header: Header,
    withdrawals: Option<&'static Withdrawals>,
    execution: Execution<'a, DB, I>,
}

impl<DB: StateSource, I> std::fmt::Debug for Simulation<'_, DB, I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulation").field("number", &self.header.number).finish_non_exhaustive()
    }
}

impl Evm {
    /// Sets up the block with this header in `env`, which is [`Evm::env`]'s with whatever the caller relaxes. A block
    /// has an (empty) list of withdrawals when its header has a root of withdrawals. Nothing runs before
    /// [`Simulation::open`].
    pub fn simulate<'a, DB, I>(
        &'a self,
        header: Header,
        env: EvmEnv,
        state: SimulatedState<DB>,
        inspector: I,
    ) -> Simulation<'a, DB, I>
    where
        DB: StateSource,
        I: Inspector<EthEvmContext<State<Watched<DB>>>>,
    {
        static NO_WITHDRAWALS: LazyLock<Withdrawals> = LazyLock::new(Withdrawals::default);
        let withdrawals: Option<&'static Withdrawals> = header.withdrawals_root.map(|_| &*NO_WITHDRAWALS);
        let SimulatedState { state, failures } = state;
        let machine = BlockMachine::new(machine_on(state, env, inspector, true), true);
        let body = Body { ommers: &[], withdrawals };
        let execution = Execution::on(machine, failures, self, &header, body);
        Simulation { evm: self, header, withdrawals, execution }
    }
}

impl<DB, I> Simulation<'_, DB, I>
where
    DB: StateSource,
    I: Inspector<EthEvmContext<State<Watched<DB>>>>,
{
    /// The machine: for changes of accounts and precompiles before [`open`](Self::open), and for the inspector.
    pub fn machine_mut(
        &mut self,
    ) -> &mut (
             impl alloy_evm::Evm<DB = State<Watched<DB>>, Inspector = I, Precompiles = PrecompilesMap>
             + WarmPrecompiles
         ) {
        self.execution.machine_mut()
    }

    /// Makes the calls that precede transactions.
    pub fn open(&mut self) -> Result<(), EvmError> {
        self.execution.open(self.evm, &self.header)
    }

    /// Runs a transaction and keeps what it changes. Its signature is not looked at. Where nonces are not checked the
    /// highest one is followed by zero, as in geth.
    pub fn push(&mut self, tx: &Transaction, sender: Address) -> Result<ExecutionResult, EvmError> {
        let mut env = TxEnv::from_recovered_tx(tx, sender);
        // revm refuses the highest nonce in any case (EIP-2681).
        let wraps = env.nonce == u64::MAX && self.machine_mut().cfg_env().disable_nonce_check;
        if wraps {
            env.nonce = 0;
        }
        let mut ran = self.execution.transact_env(env, tx, sender)?;
        if wraps && let Some(account) = ran.result.state.get_mut(&sender) {
            account.info.nonce = 0;
        }
        let result = ran.result.result.clone();
        self.execution.commit(ran)?;
        Ok(result)
    }

    /// Gas of the transactions so far.
    pub fn gas_used(&self) -> u64 {
        self.execution.gas_used()
    }

    /// The header with all that execution determines, and the state after the block. Roots of state and transactions
    /// are the caller's.
    pub fn finish(self) -> Result<(Header, SimulatedState<DB>), EvmError> {
        let Self { evm, mut header, withdrawals, execution } = self;
        let failures = execution.failures();
        let (state, result) = execution.close()?;
        let BlockExecutionResult { receipts, requests, gas_used, blob_gas_used } = result;
        let gas = (gas_used, blob_gas_used);
        complete(evm.spec(), &mut header, &receipts, &requests, gas, withdrawals);
        Ok((header, SimulatedState { state, failures }))
    }
}
