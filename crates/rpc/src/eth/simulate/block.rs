//! The simulated chain: its state, its newest header, what is left of the request's gas, time and bytes.

use super::{Answer, call, logs::CallLogs, plan::Planned};
use crate::{
    RpcContext, RpcError,
    eth::call::{Deadline, override_state, timed_out},
    place::{Place, State},
    types::{header_response, log_at, placed_transaction},
};
use alloy_consensus::{
    Transaction as _,
    constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_WITHDRAWALS},
    proofs::calculate_transaction_root,
};
use alloy_eips::eip4895::Withdrawals;
use alloy_evm::{Evm as _, EvmEnv};
use alloy_hardforks::EthereumHardforks;
use alloy_network::primitives::BlockTransactions;
use alloy_primitives::{Address, Log};
use alloy_rlp::Encodable;
use alloy_rpc_types_eth::{
    TransactionRequest,
    simulate::{SimCallResult, SimulatedBlock},
};
use revm::context_interface::block::BlobExcessGasAndPrice;
use std::time::Instant;
use weft_evm::{SimulatedState, Simulation, rules};
use weft_primitives::{Block, BlockBody, HashedPostState, Header, SealedHeader, Transaction};
use weft_storage::View;

/// A simulated block's machine over the state of a real block.
type Run<'a> = Simulation<'a, State<'a>, Deadline<CallLogs>>;

/// Simulates one block after the other.
pub struct Simulator<'a> {
    context: &'a RpcContext,
    view: &'a View<'a>,
    /// From the head's tries to those of the real block.
    base: HashedPostState,
    state: Option<SimulatedState<State<'a>>>,
    parent: SealedHeader,
    validation: bool,
    transfers: bool,
    gas_left: u64,
    bytes_left: usize,
    deadline: Instant,
}

/// A call that ran.
struct Ran {
    tx: Transaction,
    sender: Address,
    result: SimCallResult,
    logs: Vec<(u64, Log)>,
}

impl<'a> Simulator<'a> {
    /// Begins on the real block `base`, which may be pending.
    pub fn new(
        context: &'a RpcContext,
        view: &'a View<'a>,
        base: &Place,
        validation: bool,
        transfers: bool,
    ) -> Result<Self, RpcError> {
        Ok(Self {
            base: base.trie_overlay(context, view)?,
            state: Some(SimulatedState::new(base.state(view)?)),
            parent: base.header(view)?,
            gas_left: context.config.gas_cap,
            bytes_left: context.config.response_bytes_max / 2,
            deadline: Instant::now() + context.config.evm_timeout,
            context,
            view,
            validation,
            transfers,
        })
    }

    /// The next block, whole. After an error the simulator is of no use.
    pub fn run(&mut self, planned: Planned, full: bool) -> Result<Answer, RpcError> {
        let header = self.header(&planned);
        let env = self.env(&planned, &header);
        let state = self.state.take().ok_or_else(|| RpcError::internal("the simulation has failed"))?;
        let inspector = Deadline::until(CallLogs::new(self.transfers, self.bytes_left), self.deadline);
        let mut run = self.context.parts.evm.simulate(header.clone(), env, state, inspector);
        override_state(run.machine_mut(), planned.state)?;
        run.open().map_err(call::broken)?;
        let mut calls = Vec::with_capacity(planned.calls.len());
        for request in planned.calls {
            calls.push(self.call(&mut run, &header, request)?);
        }
        let (mut header, mut state) = run.finish().map_err(call::broken)?;
        let transactions: Vec<_> = calls.iter().map(|call| call.tx.clone()).collect();
        header.transactions_root = calculate_transaction_root(&transactions);
        header.state_root = self.state_root(&state)?;
        let header = SealedHeader::seal_slow(header);
        state.set_block_hash(header.number, header.hash());
        self.state = Some(state);
        self.parent = header.clone();
        Ok(answer(header, transactions, calls, full))
    }

    /// The header as far as it is known before anything runs.
    fn header(&self, planned: &Planned) -> Header {
        let (spec, parent, given) = (self.context.spec(), self.parent.header(), &planned.overrides);
        let (number, timestamp) = (planned.number, planned.timestamp);
        let base_fee = spec.is_london_active_at_block(number).then(|| match given.base_fee {
            Some(fee) => fee.saturating_to(),
            // A call that pays nothing is the rule where nothing is validated.
            None if self.validation => spec.next_base_fee(parent).unwrap_or_default(),
            None => 0,
        });
        let cancun = spec.is_cancun_active_at_timestamp(timestamp);
        Header {
            parent_hash: self.parent.hash(),
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: given.coinbase.unwrap_or(parent.beneficiary),
            difficulty: given.difficulty.unwrap_or(parent.difficulty),
            number,
            gas_limit: given.gas_limit.unwrap_or(parent.gas_limit),
            timestamp,
            mix_hash: given.random.unwrap_or_default(),
            base_fee_per_gas: base_fee,
            withdrawals_root: spec.is_shanghai_active_at_timestamp(timestamp).then_some(EMPTY_WITHDRAWALS),
            excess_blob_gas: rules::next_excess_blob_gas(spec, parent, timestamp),
            parent_beacon_block_root: cancun.then(|| given.beacon_root.unwrap_or_default()),
            ..Header::default()
        }
    }

    /// Any sender, any gas; where nothing is validated, any nonce and no fee.
    fn env(&self, planned: &Planned, header: &Header) -> EvmEnv {
        let mut env = self.context.parts.evm.env(header);
        env.cfg_env.disable_eip3607 = true;
        env.cfg_env.tx_gas_limit_cap = Some(u64::MAX);
        env.cfg_env.disable_nonce_check = !self.validation;
        env.cfg_env.disable_base_fee = !self.validation;
        if let Some(fee) = planned.overrides.blob_base_fee {
            let excess = env.block_env.blob_excess_gas_and_price.map_or(0, |blob| blob.excess_blob_gas);
            env.block_env.blob_excess_gas_and_price =
                Some(BlobExcessGasAndPrice { excess_blob_gas: excess, blob_gasprice: fee.saturating_to() });
        }
        env
    }

    fn call(
        &mut self,
        run: &mut Run<'a>,
        header: &Header,
        mut request: TransactionRequest,
    ) -> Result<Ran, RpcError> {
        self.in_time(run)?;
        let sender = request.from.unwrap_or_default();
        let account =
            revm::Database::basic(run.machine_mut().db_mut(), sender).map_err(RpcError::internal)?;
        let state_nonce = account.unwrap_or_default().nonce;
        let nonce = *request.nonce.get_or_insert(state_nonce);
        let left = header.gas_limit.saturating_sub(run.gas_used());
        let wanted = request.gas.unwrap_or(left);
        if wanted > left {
            return Err(call::block_gas_reached(run.gas_used().saturating_add(wanted), header.gas_limit));
        }
        let gas = wanted.min(self.gas_left);
        request.gas = Some(gas);
        if self.validation {
            call::check_nonce(nonce, state_nonce, gas)?;
        }
        let tx = call::transaction(request, header, self.context.spec().chain_id())?;
        let (offered, base_fee) = (tx.max_fee_per_gas(), header.base_fee_per_gas.unwrap_or_default());
        let is_free = offered == 0 && tx.max_priority_fee_per_gas().unwrap_or_default() == 0;
        if !self.validation && !is_free && offered < u128::from(base_fee) {
            return Err(call::below_base_fee(offered, base_fee));
        }
        let result = run.push(&tx, sender).map_err(|error| call::refusal(error, gas))?;
        self.in_time(run)?;
        self.gas_left = self.gas_left.saturating_sub(result.tx_gas_used());
        let gathered = &mut run.machine_mut().inspector_mut().inner;
        let left = gathered
            .bytes_left()
            .and_then(|left| left.checked_sub(result.output().map_or(0, |output| output.len())));
        self.bytes_left = left.ok_or(RpcError::ResponseTooLarge(self.context.config.response_bytes_max))?;
        let logs = gathered.take(self.bytes_left);
        Ok(Ran { tx, sender, result: call::outcome(&result), logs })
    }

    fn in_time(&self, run: &mut Run<'a>) -> Result<(), RpcError> {
        let expired = run.machine_mut().inspector_mut().expired() || Instant::now() >= self.deadline;
        if expired { Err(timed_out(self.context.config.evm_timeout)) } else { Ok(()) }
    }

    fn state_root(&self, state: &SimulatedState<State<'a>>) -> Result<alloy_primitives::B256, RpcError> {
        if Instant::now() >= self.deadline {
            return Err(timed_out(self.context.config.evm_timeout));
        }
        let mut overlay = self.base.clone();
        overlay.extend(weft_engine::hash_bundle(state.changes()).post);
        Ok(weft_trie::state_root(self.view, &overlay)?.0)
    }
}

fn answer(header: SealedHeader, transactions: Vec<Transaction>, calls: Vec<Ran>, full: bool) -> Answer {
    let withdrawals = header.withdrawals_root.map(|_| Withdrawals::default());
    let body = BlockBody { transactions, ommers: Vec::new(), withdrawals: withdrawals.clone() };
    let block = Block { header: header.header().clone(), body };
    let size = block.length();
    let (mut results, mut whole, mut hashes) = (Vec::with_capacity(calls.len()), Vec::new(), Vec::new());
    for (index, call) in calls.into_iter().enumerate() {
        let place = (index, *call.tx.tx_hash());
        let logs = call.logs.iter().map(|(log_index, log)| log_at(&header, place, log, *log_index, false));
        let logs = logs.collect();
        results.push(SimCallResult { logs, ..call.result });
        match full {
            true => whole.push(placed_transaction(&header, index, call.tx, call.sender)),
            false => hashes.push(place.1),
        }
    }
    let inner = alloy_rpc_types_eth::Block {
        header: header_response(&header, Some(size)),
        uncles: Vec::new(),
        transactions: match full {
            true => BlockTransactions::Full(whole),
            false => BlockTransactions::Hashes(hashes),
        },
        withdrawals,
    };
    SimulatedBlock { inner, calls: results }
}
