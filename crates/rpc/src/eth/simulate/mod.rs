//! `eth_simulateV1` (execution-apis): blocks of unsigned calls, executed one on top of the other on the state after a
//! real block, and answered as blocks with a result per call.
//!
//! The simulated chain is geth's, to the block hash: gaps between block numbers are filled with empty blocks, time
//! goes on by 12 seconds, a call without fees pays none, and a transaction has a signature of zeros. `extraData` is
//! empty on a Weft chain, too: what was only simulated has no commitment. Withdrawals cannot be overridden.
//!
//! Bounds of one request: [`BLOCKS_MAX`] blocks with the empty ones, [`RpcConfig::gas_cap`](crate::RpcConfig) gas
//! over all blocks, [`RpcConfig::evm_timeout`](crate::RpcConfig) for everything, half of the response limit in bytes
//! that calls returned or logged (each becomes two characters).

mod block;
mod call;
mod logs;
mod plan;

use crate::{Args, Registrar, RpcContext, RpcError, place::Place};
use alloy_eips::BlockId;
use alloy_rpc_types_eth::simulate::{SimulatePayload, SimulatedBlock};
use block::Simulator;
use serde::{Deserialize, de::IgnoredAny};

/// Blocks in one request, with those that fill gaps (geth's limit).
const BLOCKS_MAX: u64 = 256;

/// What is asked: the blocks, and how they are to be executed and answered.
type Payload = SimulatePayload;
/// A block as it is answered.
type Answer = SimulatedBlock<crate::types::RpcBlock>;

/// Registers the method.
pub fn register(registrar: &mut Registrar) {
    registrar.execute("eth_simulateV1", 2, simulate);
}

/// `[{blockStateCalls, traceTransfers?, validation?, returnFullTransactions?}, block?]`.
fn simulate(context: &RpcContext, args: &Args<'_>) -> Result<Vec<Answer>, RpcError> {
    let (payload, id): (Payload, Option<BlockId>) = (args.required(0)?, args.optional(1)?);
    refuse_withdrawals(args)?;
    if payload.block_state_calls.is_empty() {
        return Err(RpcError::InvalidParams("empty input".to_owned()));
    }
    let view = context.view();
    let place = Place::find(context, &view, id)?;
    let base = place.header(&view)?;
    let SimulatePayload { block_state_calls, trace_transfers, validation, return_full_transactions } =
        payload;
    let planned = plan::plan(base.header(), block_state_calls)?;
    let mut simulator = Simulator::new(context, &view, &place, validation, trace_transfers)?;
    let mut answers = Vec::with_capacity(planned.len());
    for block in planned {
        answers.push(simulator.run(block, return_full_transactions)?);
    }
    Ok(answers)
}

/// Withdrawals are the one override that is known elsewhere and not here: better refused than left out.
fn refuse_withdrawals(args: &Args<'_>) -> Result<(), RpcError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Blocks {
        #[serde(default)]
        block_state_calls: Vec<Overridden>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Overridden {
        block_overrides: Option<Withdrawn>,
    }
    #[derive(Deserialize)]
    struct Withdrawn {
        withdrawals: Option<Vec<IgnoredAny>>,
    }
    let blocks: Blocks = args.required(0)?;
    let given = |block: &Overridden| {
        let withdrawals = block.block_overrides.as_ref().and_then(|given| given.withdrawals.as_ref());
        withdrawals.is_some_and(|withdrawals| !withdrawals.is_empty())
    };
    if blocks.block_state_calls.iter().any(given) {
        return Err(RpcError::InvalidParams("withdrawals of a simulated block are not supported".to_owned()));
    }
    Ok(())
}
