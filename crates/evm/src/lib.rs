//! SKELETON: EVM configuration, block execution, header and body rules.
#![allow(unused_variables, clippy::todo)]

pub mod gas;

use alloy_consensus::Header;
use alloy_eips::eip7685::Requests;
use alloy_primitives::{Address, B256, Bytes, U256};
use revm::{database::BundleState, DatabaseRef};
use std::sync::Arc;
use weft_chainspec::ChainSpec;
use weft_primitives::{PreparedBlock, PreparedTransaction, Receipt, SealedHeader};

/// Executes blocks and single transactions of one chain. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Evm {
    spec: Arc<ChainSpec>,
}

/// What executing a block yields.
#[derive(Debug)]
pub struct ExecutionOutput {
    pub bundle: BundleState,
    pub receipts: Vec<Receipt>,
    pub requests: Requests,
    pub gas_used: u64,
    pub blob_gas_used: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum EvmError {
    #[error("invalid block: {0}")]
    Invalid(String),
    #[error("state: {0}")]
    State(String),
}

/// What the proposer decides before any transaction runs (payload attributes resolved against the parent).
#[derive(Clone, Debug)]
pub struct NextBlock {
    pub timestamp: u64,
    pub beneficiary: Address,
    pub prev_randao: B256,
    pub gas_limit: u64,
    pub withdrawals: Option<alloy_eips::eip4895::Withdrawals>,
    pub parent_beacon_block_root: Option<B256>,
    /// Plain chains only; on a Weft chain it is the daRoot.
    pub extra_data: Bytes,
}

impl Evm {
    pub fn new(spec: Arc<ChainSpec>) -> Self { todo!() }
    pub fn spec(&self) -> &Arc<ChainSpec> { &self.spec }

    /// Executes a whole block over its parent's state. Does not compare the header's roots: the engine does
    /// with `rules::check_output` once roots are known.
    pub fn execute<DB: DatabaseRef>(&self, block: &PreparedBlock, parent: &SealedHeader, state: DB) -> Result<ExecutionOutput, EvmError>
    where DB::Error: std::error::Error + Send + Sync + 'static { todo!() }

    /// Step-wise execution for a payload: pre-block calls are applied here, then `push` per transaction, then `finish`.
    pub fn build<'a, DB: DatabaseRef + 'a>(&'a self, parent: &'a SealedHeader, next: &'a NextBlock, state: DB) -> Result<BlockBuilder<'a, DB>, EvmError>
    where DB::Error: std::error::Error + Send + Sync + 'static { todo!() }
    // eth_call, estimate, access lists, traces: `call` module; the owner designs it with the RPC in mind
    // (EvmEnv for a header, state and block overrides, inspector access).
}

/// A block being built.
pub struct BlockBuilder<'a, DB> {
    marker: std::marker::PhantomData<&'a DB>,
}

/// Why a transaction was not taken into a block.
#[derive(Debug)]
pub enum PushError {
    /// Does not fit the gas that is left; try smaller ones.
    DoesNotFit,
    /// Invalid now; it and its successors of the same sender are skipped.
    Invalid(String),
    /// The build itself failed.
    Fatal(EvmError),
}

impl<DB> BlockBuilder<'_, DB> {
    /// Gas used by the transaction.
    pub fn push(&mut self, tx: &Arc<PreparedTransaction>) -> Result<u64, PushError> { todo!() }
    pub fn gas_left(&self) -> u64 { todo!() }
    pub fn base_fee(&self) -> u64 { todo!() }
    /// The header with everything that execution determines; state root, transactions root and extraData are the engine's.
    pub fn finish(self) -> Result<(Header, ExecutionOutput), EvmError> { todo!() }
}

/// Header and body rules per fork.
pub mod rules {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    pub enum RuleError {
        #[error("{0}")]
        Broken(String), // the owner makes one variant per rule
    }
    /// Rules of a header against its parent (number, timestamp, gas limit, base fee, blob gas, difficulty, extraData size …).
    pub fn check_header(spec: &ChainSpec, header: &SealedHeader, parent: &SealedHeader) -> Result<(), RuleError> { todo!() }
    /// Rules of a body against its header (transactions root, ommers hash, withdrawals root, blob gas, sizes, tx types per fork).
    pub fn check_body(spec: &ChainSpec, block: &PreparedBlock) -> Result<(), RuleError> { todo!() }
    /// Uncles against up to seven ancestors (`ancestors` newest first, with their own ommers).
    pub fn check_ommers(spec: &ChainSpec, block: &PreparedBlock, ancestors: &[(SealedHeader, Vec<Header>)]) -> Result<(), RuleError> { todo!() }
    /// Gas used, receipts root, bloom, requests hash.
    pub fn check_output(spec: &ChainSpec, header: &Header, output: &ExecutionOutput) -> Result<(), RuleError> { todo!() }
}
