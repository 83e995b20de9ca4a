//! `build_payload`: a block from the pool's best transactions.
//!
//! Nothing is encoded or hashed again: the transactions bring their encodings, hashes and cell hashes. The root over
//! the transactions is computed beside the state root. The built block is kept as executed, so that
//! `new_payload` and `forkchoice_updated` of it cost no execution.

use crate::{
    Engine, EngineError, PayloadAttributes, da,
    engine::Place,
    metrics::timed,
    post_state::hash_bundle,
    tree::{ExecutedBlock, SideBlock},
};
use alloy_primitives::{B256, Bytes, map::B256Set};
use std::{sync::Arc, time::Instant};
use tracing::{debug, warn};
use weft_evm::{BlockBuilder, EvmError, ExecutionOutput, NextBlock, PushError, StateSource};
use weft_pool::{Pool, Room, SubPool};
use weft_primitives::{Header, PreparedBlock, PreparedTransaction, SealedHeader, keccak::ordered_root};
use weft_storage::View;

/// No transaction uses less gas.
const TRANSACTION_GAS_MIN: u64 = 21_000;
/// Transactions in a row that did not fit after which the block counts as full.
const MISFITS_MAX: usize = 64;

/// What filling a block gave.
struct Filled {
    header: Header,
    output: ExecutionOutput,
    transactions: Vec<Arc<PreparedTransaction>>,
}

impl Engine {
    /// Builds a block from the pool on `attributes.parent`, which must be canonical or in memory.
    /// Without a pool the block is empty.
    pub fn build_payload(&mut self, attributes: PayloadAttributes) -> Result<PreparedBlock, EngineError> {
        let start = Instant::now();
        let parent = self.place(attributes.parent)?.ok_or(EngineError::UnknownParent(attributes.parent))?;
        let parent_time = parent.header().timestamp;
        if attributes.timestamp <= parent_time {
            let reason =
                format!("timestamp {} is not after the parent's {parent_time}", attributes.timestamp);
            return Err(EngineError::Attributes(reason));
        }
        let executed = self.build(attributes, &parent)?;
        let block = executed.block.clone();
        if !self.tree.insert(SideBlock::Executed(Arc::new(executed))) {
            warn!(target: "weft::engine", number = block.header.number, "built block does not fit into memory beside its branch");
        }
        self.record_side_blocks();
        self.metrics.build_seconds.record(start.elapsed().as_secs_f64());
        debug!(
            target: "weft::engine",
            number = block.header.number,
            hash = %block.header.hash(),
            transactions = block.transactions.len(),
            gas_used = block.header.gas_used,
            "payload built"
        );
        Ok(block)
    }

    fn build(&self, attributes: PayloadAttributes, parent: &Place) -> Result<ExecutedBlock, EngineError> {
        let next = NextBlock {
            timestamp: attributes.timestamp,
            beneficiary: attributes.suggested_fee_recipient,
            prev_randao: attributes.prev_randao,
            gas_limit: next_gas_limit(parent.header().gas_limit, self.config.gas_limit_target),
            withdrawals: attributes.withdrawals.clone(),
            parent_beacon_block_root: attributes.parent_beacon_block_root,
            extra_data: Bytes::new(),
        };
        let view = self.store.view();
        let filled = timed(&self.metrics.execute_seconds, || self.fill(&view, parent, &next))?;
        let Filled { mut header, output, transactions } = filled;

        let state = hash_bundle(&output.bundle);
        let overlay = self.trie_overlay(&view, parent, &state.post)?;
        let mut transactions_root = B256::ZERO;
        // The view is of this thread; the other root is computed on another one meanwhile.
        let (root, trie) = rayon::in_place_scope(|scope| {
            scope.spawn(|_| {
                transactions_root = timed(&self.metrics.transactions_root_seconds, || root_of(&transactions));
            });
            timed(&self.metrics.state_root_seconds, || weft_trie::state_root(&view, &overlay))
        })?;
        drop(overlay);
        header.state_root = root;
        header.transactions_root = transactions_root;
        // From Shanghai on a block without withdrawals has an empty list of them.
        let withdrawals = header.withdrawals_root.map(|_| attributes.withdrawals.unwrap_or_default());
        let mut block =
            PreparedBlock { header: SealedHeader::default(), transactions, ommers: Vec::new(), withdrawals };
        let summary = self.spec.weft().map(|weft| {
            timed(&self.metrics.da_seconds, || {
                da::complete(weft, &mut block);
                da::summarize(weft, &block.transactions)
            })
        });
        if let Some(summary) = &summary {
            header.extra_data = Bytes::copy_from_slice(summary.da_root.as_slice());
        }
        block.header = SealedHeader::seal_slow(header);
        Ok(ExecutedBlock {
            block,
            receipts: output.receipts,
            state,
            trie,
            trie_base: self.head.hash(),
            da: summary,
        })
    }

    /// Executes the pool's best transactions until the block is full or the pool has no more.
    fn fill(&self, view: &View<'_>, parent: &Place, next: &NextBlock) -> Result<Filled, EngineError> {
        let state = self.overlay(view, parent)?;
        let begun = self.evm.build(parent.header(), next, state, self.root_after(view, parent));
        let mut builder = begun.map_err(|error| match error {
            EvmError::Invalid(reason) => EngineError::Attributes(reason.to_string()),
            error => error.into(),
        })?;
        let transactions = match &self.pool {
            Some(pool) => {
                let blob_params = self.spec.blob_params_at(next.timestamp);
                let blob_base_fee =
                    blob_params.and_then(|params| parent.header().next_block_blob_fee(params));
                self.push_best(pool, &mut builder, blob_base_fee, &parent.branch)?
            }
            None => Vec::new(),
        };
        let (header, output) = builder.finish()?;
        Ok(Filled { header, output, transactions })
    }
}

impl Engine {
    fn push_best<DB: StateSource>(
        &self,
        pool: &Pool,
        builder: &mut BlockBuilder<'_, DB>,
        blob_base_fee: Option<u128>,
        branch: &[Arc<ExecutedBlock>],
    ) -> Result<Vec<Arc<PreparedTransaction>>, EngineError> {
        let mut best = pool.best(builder.base_fee(), blob_base_fee);
        // The pool stands at the head: it still has what the branch has included.
        let included: B256Set =
            branch.iter().flat_map(|block| block.block.transactions.iter().map(|tx| tx.hash())).collect();
        let mut transactions: Vec<Arc<PreparedTransaction>> = Vec::new();
        let mut refused = Vec::new();
        let mut misfits = 0;
        while builder.gas_left() >= TRANSACTION_GAS_MIN && misfits < MISFITS_MAX {
            let bytes = builder.bytes_left(self.config.build_bytes_max);
            let Some(tx) = best.next_within(Room { gas: builder.gas_left(), bytes }) else { break };
            if included.contains(&tx.hash()) {
                continue;
            }
            match builder.push(&tx) {
                Ok(_) => {
                    misfits = 0;
                    transactions.push(tx);
                }
                Err(PushError::Fatal(error)) => return Err(error.into()),
                Err(PushError::DoesNotFit) => {
                    misfits += 1;
                    best.mark_invalid(&tx);
                }
                Err(PushError::Invalid(reason)) => {
                    debug!(target: "weft::engine", tx = %tx.hash(), %reason, "transaction skipped");
                    best.mark_invalid(&tx);
                    refused.push(tx);
                }
            }
        }
        // On a branch in memory the pool, which stands at the head, cannot know better.
        if branch.is_empty() {
            drop_refused(pool, &refused);
        }
        Ok(transactions)
    }
}

/// Has the pool look again at senders whose transactions were refused. What it still takes for executable it would
/// offer for ever: that goes.
fn drop_refused(pool: &Pool, refused: &[Arc<PreparedTransaction>]) {
    if refused.is_empty() {
        return;
    }
    pool.revalidate(refused.iter().map(|tx| tx.sender));
    for tx in refused {
        let pooled = pool.content_from(tx.sender);
        if pooled.iter().any(|(place, pooled)| *place == SubPool::Pending && pooled.hash() == tx.hash()) {
            warn!(target: "weft::engine", tx = %tx.hash(), "the pool's rules hold, the block's do not: dropped");
            pool.discard(tx.hash());
        }
    }
}

fn root_of(transactions: &[Arc<PreparedTransaction>]) -> B256 {
    let encodings: Vec<&[u8]> = transactions.iter().map(|tx| &tx.encoded[..]).collect();
    ordered_root(&encodings)
}

/// The parent's gas limit moved towards `target` by less than 1/1024 of it, as the header rule allows.
fn next_gas_limit(parent: u64, target: Option<u64>) -> u64 {
    const BOUND_DIVISOR: u64 = 1024;
    let step = (parent / BOUND_DIVISOR).saturating_sub(1);
    let target = target.unwrap_or(parent);
    target.clamp(parent.saturating_sub(step), parent.saturating_add(step))
}

#[cfg(test)]
mod tests {
    use super::next_gas_limit;

    #[test]
    fn the_gas_limit_moves_by_less_than_a_1024th() {
        assert_eq!(next_gas_limit(30_000_000, None), 30_000_000);
        assert_eq!(next_gas_limit(30_000_000, Some(30_000_100)), 30_000_100);
        let up = next_gas_limit(30_000_000, Some(60_000_000));
        assert_eq!(up, 30_000_000 + 30_000_000 / 1024 - 1);
        let down = next_gas_limit(30_000_000, Some(0));
        assert_eq!(down, 30_000_000 - (30_000_000 / 1024 - 1));
        assert_eq!(next_gas_limit(5_000, Some(1)), 5_000 - 3);
        assert_eq!(next_gas_limit(u64::MAX, Some(0)), u64::MAX - (u64::MAX / 1024 - 1));
        assert_eq!(next_gas_limit(100, Some(1)), 100, "too small to move");
    }
}
