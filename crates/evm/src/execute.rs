//! Execution of a whole block.

use crate::{
    Evm, EvmError, StateSource,
    block_machine::{BlockMachine, BlockTx},
    block_spec::BlockSpec,
    machine::machine,
    receipts::{Receipts, RootAfter},
    source::{Note, StateFailure, Watched},
};
use alloy_consensus::{Header, transaction::Recovered};
use alloy_eips::{eip4895::Withdrawals, eip7685::Requests};
use alloy_evm::{
    Evm as _,
    block::{BlockExecutionError, BlockExecutionResult, BlockExecutor},
    eth::{
        EthBlockExecutionCtx, EthBlockExecutor, EthEvmContext, EthTxResult,
        dao_fork::{DAO_HARDFORK_ACCOUNTS, DAO_HARDFORK_BENEFICIARY},
    },
};
use alloy_hardforks::{EthereumHardfork, EthereumHardforks};
use alloy_primitives::{Address, U256};
use revm::{
    Database, DatabaseCommit, Inspector,
    context::TxEnv,
    context_interface::result::HaltReason,
    database::{BundleState, State, states::bundle_state::BundleRetention},
    inspector::NoOpInspector,
    state::{Account, TransactionId},
};
use std::borrow::Cow;
use weft_primitives::{PreparedBlock, PreparedTransaction, Receipt, Transaction};

/// What executing a block yields.
#[derive(Debug)]
pub struct ExecutionOutput {
    /// Changed accounts, storage and code, without reverts: storage reads previous values itself.
    pub bundle: BundleState,
    /// One per transaction.
    pub receipts: Vec<Receipt>,
    /// EIP-7685 requests; empty before Prague.
    pub requests: Requests,
    /// Gas of all transactions.
    pub gas_used: u64,
    /// Blob gas of all transactions.
    pub blob_gas_used: u64,
}

impl Evm {
    /// Executes a whole block over its parent's state: system calls, transactions, rewards, withdrawals, requests.
    /// Checks what only execution can know of transactions, and not the header's roots: those are
    /// [`rules::check_output`](crate::rules::check_output)'s, once they are known. `root_after` is for receipts before
    /// Byzantium.
    pub fn execute<DB: StateSource>(
        &self,
        block: &PreparedBlock,
        state: DB,
        root_after: RootAfter<'_>,
    ) -> Result<ExecutionOutput, EvmError> {
        let body = Body { ommers: &block.ommers, withdrawals: block.withdrawals.as_ref() };
        let mut execution = Execution::begin(self, block.header.header(), body, state, root_after)?;
        for tx in &block.transactions {
            let result = execution.transact(tx)?;
            execution.commit(result)?;
        }
        execution.finish()
    }
}

/// What a block brings besides header and transactions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Body<'a> {
    pub(crate) ommers: &'a [Header],
    pub(crate) withdrawals: Option<&'a Withdrawals>,
}

type Executor<'a, DB, I> = EthBlockExecutor<'a, BlockMachine<DB, I>, BlockSpec, Receipts>;

/// A transaction that ran and is not yet part of the block.
pub(crate) type Ran = EthTxResult<HaltReason, alloy_consensus::TxType>;

/// A block under execution; alloy-evm's executor with its errors made this crate's.
pub(crate) struct Execution<'a, DB: StateSource, I = NoOpInspector> {
    executor: Executor<'a, DB, I>,
    failures: Note,
    /// Before Byzantium only.
    root_after: Option<RootAfter<'a>>,
}

impl<'a, DB: StateSource> Execution<'a, DB> {
    /// Sets up the machine and makes the calls that precede transactions.
    pub(crate) fn begin(
        evm: &Evm,
        header: &Header,
        body: Body<'a>,
        state: DB,
        root_after: RootAfter<'a>,
    ) -> Result<Self, EvmError> {
        let (machine, failures) = machine(state, evm.env(header), NoOpInspector, false);
        let machine = BlockMachine::new(machine, false);
        let mut execution = Self::on(machine, failures, evm, header, body);
        if !evm.spec().is_byzantium_active_at_block(header.number) {
            execution.root_after = Some(root_after);
        }
        execution.open(evm, header)?;
        Ok(execution)
    }
}

impl<'a, DB, I> Execution<'a, DB, I>
where
    DB: StateSource,
    I: Inspector<EthEvmContext<State<Watched<DB>>>>,
{
    /// A block on a machine in which nothing has run yet.
    pub(crate) fn on(
        machine: BlockMachine<DB, I>,
        failures: Note,
        evm: &Evm,
        header: &Header,
        body: Body<'a>,
    ) -> Self {
        let context = EthBlockExecutionCtx {
            parent_hash: header.parent_hash,
            parent_beacon_block_root: header.parent_beacon_block_root,
            ommers: body.ommers,
            withdrawals: body.withdrawals.map(|list| Cow::Borrowed(list.as_slice())),
            extra_data: header.extra_data.clone(),
            tx_count_hint: None,
            slot_number: None,
        };
        let executor = EthBlockExecutor::new(machine, context, evm.block_spec(header), Receipts);
        Self { executor, failures, root_after: None }
    }

    /// Makes the calls that precede transactions.
    pub(crate) fn open(&mut self, evm: &Evm, header: &Header) -> Result<(), EvmError> {
        if evm.spec().ethereum_fork_activation(EthereumHardfork::Dao).transitions_at_block(header.number) {
            self.move_dao_balances()?;
        }
        let begun = self.executor.apply_pre_execution_changes();
        self.or_failure(begun, None)
    }

    /// What the block runs on.
    pub(crate) fn machine_mut(&mut self) -> &mut BlockMachine<DB, I> {
        self.executor.evm_mut()
    }

    /// The DAO fork's change of state (EIP-779). It precedes the block's transactions, while alloy-evm makes it after
    /// them; and it leaves empty accounts behind, since it is older than their clearing (EIP-161).
    fn move_dao_balances(&mut self) -> Result<(), EvmError> {
        let state = self.executor.evm_mut().db_mut();
        let moved = DAO_HARDFORK_ACCOUNTS.into_iter().try_fold(U256::ZERO, |total, address| {
            let balance = set_balance(state, address, |_| U256::ZERO)?;
            Ok(total.saturating_add(balance))
        });
        let moved = moved.and_then(|total| {
            set_balance(state, DAO_HARDFORK_BENEFICIARY, |balance| balance.saturating_add(total))
        });
        self.or_failure(moved.map_err(BlockExecutionError::other), None)?;
        Ok(())
    }

    /// Where failures to read the state are noted.
    pub(crate) fn failures(&self) -> Note {
        self.failures.clone()
    }

    /// Runs a transaction on the state so far, without keeping its changes.
    pub(crate) fn transact(&mut self, tx: &PreparedTransaction) -> Result<Ran, EvmError> {
        self.run(BlockTx::new(tx), &tx.tx, tx.sender)
    }

    /// As [`transact`](Self::transact), with what revm sees of the transaction made beforehand.
    pub(crate) fn transact_env(
        &mut self,
        env: TxEnv,
        tx: &Transaction,
        sender: Address,
    ) -> Result<Ran, EvmError> {
        self.run(BlockTx::uncounted(env), tx, sender)
    }

    fn run(&mut self, env: BlockTx, tx: &Transaction, sender: Address) -> Result<Ran, EvmError> {
        let recovered = Recovered::new_unchecked(tx, sender);
        let ran = self.executor.execute_transaction_without_commit((env, recovered));
        self.or_failure(ran, Some(self.executor.receipts.len()))
    }

    /// Makes it part of the block; gives its gas.
    pub(crate) fn commit(&mut self, ran: Ran) -> Result<u64, EvmError> {
        let gas = self.executor.commit_transaction(ran).tx_gas_used();
        if let Some(root_after) = &mut self.root_after {
            let state = self.executor.evm.db_mut();
            let root = state.transition_state.as_ref().map(root_after).transpose()?;
            // What was told goes into the bundle, so that the next transaction's changes stand alone.
            state.merge_transitions(BundleRetention::PlainState);
            if let (Some(receipt), Some(root)) = (self.executor.receipts.last_mut(), root) {
                receipt.outcome = root.into();
            }
        }
        Ok(gas)
    }

    /// Gas of the transactions so far.
    pub(crate) fn gas_used(&self) -> u64 {
        self.executor.cumulative_tx_gas_used
    }

    /// Blob gas of the transactions so far.
    pub(crate) fn blob_gas_used(&self) -> u64 {
        self.executor.blob_gas_used
    }

    /// Rewards, withdrawals and closing system calls.
    pub(crate) fn finish(self) -> Result<ExecutionOutput, EvmError> {
        let (mut state, result) = self.close()?;
        let BlockExecutionResult { receipts, requests, gas_used, blob_gas_used } = result;
        Ok(ExecutionOutput { bundle: state.take_bundle(), receipts, requests, gas_used, blob_gas_used })
    }

    /// As [`finish`](Self::finish); gives the state with all that has changed in it since it was made.
    pub(crate) fn close(self) -> Result<(State<Watched<DB>>, BlockExecutionResult<Receipt>), EvmError> {
        let Self { executor, failures, .. } = self;
        let (machine, result) = or_failure(executor.finish(), None, &failures)?;
        let (mut state, _): (State<_>, _) = machine.finish();
        state.merge_transitions(BundleRetention::PlainState);
        Ok((state, result))
    }

    fn or_failure<T>(
        &self,
        result: Result<T, BlockExecutionError>,
        index: Option<usize>,
    ) -> Result<T, EvmError> {
        or_failure(result, index, &self.failures)
    }
}

/// Changes a balance before EIP-161, where an account stays although it is empty. Gives the balance before.
fn set_balance<DB: Database + DatabaseCommit>(
    state: &mut DB,
    address: Address,
    change: impl FnOnce(U256) -> U256,
) -> Result<U256, DB::Error> {
    let mut account = match state.basic(address)? {
        Some(info) => Account::from(info),
        None => Account::new_not_existing(TransactionId::ZERO),
    };
    let before = account.info.balance;
    account.info.balance = change(before);
    account.mark_touch();
    if account.is_empty() {
        account.mark_created();
    }
    state.commit_iter(&mut std::iter::once((address, account)));
    Ok(before)
}

/// A failure of the state that was noted explains any error.
fn or_failure<T>(
    result: Result<T, BlockExecutionError>,
    index: Option<usize>,
    failures: &Note,
) -> Result<T, EvmError> {
    result.map_err(|error| match failures.get() {
        Some(failure) => EvmError::State(StateFailure::clone(failure)),
        None => EvmError::from_execution(error, index),
    })
}

#[cfg(test)]
mod tests;
