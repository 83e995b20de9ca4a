//! The pending block: what a block of this node would hold now, for the tag `pending`.
//!
//! Built when it is asked for, from the pool's best transactions on the head, and kept until the head or the pool has
//! changed. A poll must not cost what a block costs, so it is cut short at [`GAS_MAX`] and [`BYTES_MAX`], and it is
//! built again after [`REST`] times the time that it took at the earliest: under a load that changes the pool all the
//! time, pollers cost a fifth of one core however many they are, and see a block that is a little old.
//!
//! It has no hash, nonce and beneficiary, as in geth, and `extraData` is empty: cells are committed to by a proposer.
//! Memory: one block's transactions (shared with the pool), its changed accounts and slots, at most
//! `GAS_MAX / 5,000` of them, about 4 MiB.
//! Where no block can be built (before the merge), `pending` is the head.

use crate::{BlockDigest, RpcContext, RpcError};
use alloy_eips::eip4895::Withdrawals;
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{B256, keccak256};
use parking_lot::Mutex;
use revm::database::BundleState;
use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use weft_engine::{CanonicalBlock, root_after_head};
use weft_evm::{BlockBuilder, EvmError, NextBlock, PushError, RuleError, StateSource};
use weft_pool::Room;
use weft_primitives::{PreparedBlock, PreparedTransaction, SealedHeader, keccak::ordered_root};
use weft_storage::View;

/// Gas of its transactions: some tenths of a second of execution.
const GAS_MAX: u64 = 100_000_000;
/// Bytes of its transactions: 8 ms of hashing for the transactions' root.
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// How many times its own time has to pass before it is built again for the same head.
const REST: u32 = 4;
/// No transaction uses less gas.
const TRANSACTION_GAS_MIN: u64 = 21_000;

/// A block that is not there yet.
#[derive(Debug)]
pub struct PendingBlock {
    /// The block with its transactions. Its hash is that of a header without `extraData` and is told to nobody.
    pub digest: Arc<BlockDigest>,
    /// What it changes of the head's state.
    pub changes: BundleState,
}

/// The pending block that was built last.
#[derive(Debug, Default)]
pub struct PendingCache(Mutex<Option<Built>>);

#[derive(Debug)]
struct Built {
    head: B256,
    pool: PoolState,
    /// `None` where no block can be built.
    block: Option<Arc<PendingBlock>>,
    done: Instant,
    took: Duration,
}

/// What tells one state of the pool from another: executable ones seen, transactions, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PoolState {
    seen: u64,
    counts: (usize, usize),
    bytes: usize,
}

impl PoolState {
    fn of(context: &RpcContext) -> Self {
        let pool = &context.parts.pool;
        Self { seen: context.head.pending_position(), counts: pool.counts(), bytes: pool.bytes() }
    }
}

impl Built {
    fn is_fresh(&self, head: B256, pool: PoolState) -> bool {
        self.head == head && (self.pool == pool || self.done.elapsed() < self.took * REST)
    }
}

/// The pending block on the view's head; `None` where none can be built. One builds at a time, others wait for it.
pub fn pending_block(context: &RpcContext, view: &View<'_>) -> Result<Option<Arc<PendingBlock>>, RpcError> {
    let head = view.head()?;
    let mut last = context.pending.0.lock();
    let pool = PoolState::of(context);
    if let Some(built) = last.as_ref().filter(|built| built.is_fresh(head.hash, pool)) {
        return Ok(built.block.clone());
    }
    let start = Instant::now();
    let parent = view.header(head.number)?.ok_or(RpcError::HeaderNotFound)?;
    let block = build(context, view, &parent)?.map(Arc::new);
    let (head, took) = (head.hash, start.elapsed());
    *last = Some(Built { head, pool, block: block.clone(), done: Instant::now(), took });
    Ok(block)
}

fn build(
    context: &RpcContext,
    view: &View<'_>,
    parent: &SealedHeader,
) -> Result<Option<PendingBlock>, RpcError> {
    let next = next_block(context, parent);
    let state = view.state_at(parent.number)?;
    let mut builder = match context.parts.evm.build(parent, &next, state, root_after_head(view)) {
        Ok(builder) => builder,
        Err(EvmError::Invalid(RuleError::ProofOfWork)) => return Ok(None),
        Err(error) => return Err(RpcError::internal(error)),
    };
    let transactions = fill(context, parent, &mut builder)?;
    let (mut header, output) = builder.finish().map_err(RpcError::internal)?;
    let encodings: Vec<&[u8]> = transactions.iter().map(|tx| &tx.encoded[..]).collect();
    header.transactions_root = ordered_root(&encodings);
    let state = weft_engine::hash_bundle(&output.bundle);
    header.state_root = weft_trie::state_root(view, &state.post)?.0;
    let withdrawals = header.withdrawals_root.map(|_| Withdrawals::default());
    let header = SealedHeader::seal_slow(header);
    let block = PreparedBlock { header, transactions, ommers: Vec::new(), withdrawals };
    let digest = BlockDigest::pending(&CanonicalBlock { block, receipts: output.receipts });
    Ok(Some(PendingBlock { digest: Arc::new(digest), changes: output.bundle }))
}

/// As the proposer of a development chain decides it; the beneficiary is the head's.
fn next_block(context: &RpcContext, parent: &SealedHeader) -> NextBlock {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let timestamp = now.max(parent.timestamp.saturating_add(1));
    let cancun = context.spec().is_cancun_active_at_timestamp(timestamp);
    NextBlock {
        timestamp,
        beneficiary: parent.beneficiary,
        prev_randao: keccak256(parent.hash()),
        gas_limit: parent.gas_limit,
        parent_beacon_block_root: cancun.then_some(B256::ZERO),
        ..NextBlock::default()
    }
}

fn fill<DB: StateSource>(
    context: &RpcContext,
    parent: &SealedHeader,
    builder: &mut BlockBuilder<'_, DB>,
) -> Result<Vec<Arc<PreparedTransaction>>, RpcError> {
    let blob_params = context.spec().blob_params_at(builder.header().timestamp);
    let blob_fee = blob_params.and_then(|params| parent.next_block_blob_fee(params));
    let mut best = context.parts.pool.best(builder.base_fee(), blob_fee);
    let mut room = Room { gas: builder.gas_left().min(GAS_MAX), bytes: BYTES_MAX };
    let mut transactions = Vec::new();
    while room.gas >= TRANSACTION_GAS_MIN {
        let Some(tx) = best.next_within(room) else { break };
        match builder.push(&tx) {
            Ok(gas) => {
                room.gas = room.gas.saturating_sub(gas);
                room.bytes -= tx.encoded.len();
                transactions.push(tx);
            }
            Err(PushError::Fatal(error)) => return Err(RpcError::internal(error)),
            Err(PushError::DoesNotFit | PushError::Invalid(_)) => best.mark_invalid(&tx),
        }
    }
    Ok(transactions)
}
