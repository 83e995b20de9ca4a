//! `forkchoice_updated`: makes a known valid block the head of the canonical chain, durably.
//!
//! An extension is one batch per block. A reorg takes the old branch back in one batch and then adds the
//! new one block by block, so that a crash in the middle leaves a shorter canonical chain, never a mixed
//! one. What changed is gathered in [`Unreported`] as it becomes durable; when a commit fails halfway,
//! the next event tells the part that happened.

use crate::{
    CanonicalBlock, CanonicalEvent, Engine, EngineError, ForkchoiceState, PayloadStatus, da,
    engine::Place,
    metrics::timed,
    reverted::{is_whole, load_block},
    tree::{ExecutedBlock, SideBlock},
};
use alloy_primitives::B256;
use std::{borrow::Cow, sync::Arc};
use tracing::{debug, info};
use weft_primitives::{PreparedBlock, SealedHeader};
use weft_storage::{BlockNumHash, BlockWrite};

/// Durable changes of the canonical chain since the last event.
#[derive(Debug, Default)]
pub(crate) struct Unreported {
    /// Newest first.
    reverted: Vec<Arc<CanonicalBlock>>,
    /// Oldest first.
    committed: Vec<Arc<CanonicalBlock>>,
}

impl Unreported {
    fn commit(&mut self, block: Arc<CanonicalBlock>) {
        self.committed.push(block);
    }

    /// A block that no event has told of yet needs not be told at all.
    fn revert(&mut self, block: Arc<CanonicalBlock>) {
        match self.committed.last() {
            Some(last) if last.block.header.hash() == block.block.header.hash() => {
                self.committed.pop();
            }
            _ => self.reverted.push(block),
        }
    }
}

impl Engine {
    /// Makes a known valid block the head: unwinds and commits as needed, one durable batch per block.
    ///
    /// A head that is an ancestor of the present one is answered as valid and changes nothing, as the Engine API
    /// allows; a payload can be built on it and chosen. Errors leave the head at what was durable last.
    pub fn forkchoice_updated(
        &mut self,
        state: ForkchoiceState,
    ) -> Result<(PayloadStatus, Option<CanonicalEvent>), EngineError> {
        if let Some(known) = self.invalid.get(state.head) {
            let status = PayloadStatus::Invalid { latest_valid: known.latest_valid, reason: known.reason };
            return Ok((status, None));
        }
        let Some(target) = self.place(state.head)? else { return Ok((PayloadStatus::Syncing, None)) };
        let valid = PayloadStatus::Valid { hash: state.head };
        if target.branch.is_empty() && target.ancestor.hash() != self.head.hash() {
            debug!(target: "weft::engine", head = %state.head, "head is an ancestor of the canonical head: left as it is");
            return Ok((valid, None));
        }
        let safe = self.mark(state.safe, &target, "safe")?;
        let finalized = self.mark(state.finalized, &target, "finalized")?;
        if let Some(finalized) = self.finalized.filter(|finalized| target.ancestor.number < finalized.number)
        {
            let reason =
                format!("head {} leaves the finalized chain at block {}", state.head, finalized.number);
            return Err(EngineError::Forkchoice(reason));
        }
        if target.ancestor.hash() != self.head.hash() {
            self.unwind(&target.ancestor)?;
        }
        for executed in target.branch.into_iter().rev() {
            self.commit(executed)?;
        }
        self.set_marks(safe, finalized)?;
        self.record_side_blocks();
        Ok((valid, self.take_event()))
    }

    /// What has become canonical since the last event, after the pool was told. The handle asks for it
    /// when a forkchoice failed halfway, too.
    pub(crate) fn take_event(&mut self) -> Option<CanonicalEvent> {
        let Unreported { reverted, committed } = std::mem::take(&mut self.unreported);
        if reverted.is_empty() && committed.is_empty() {
            return None;
        }
        if !reverted.is_empty() {
            self.metrics.reorgs.increment(1);
            self.metrics.reorg_depth.record(reverted.len() as f64);
            info!(target: "weft::engine", reverted = reverted.len(), committed = committed.len(), head = self.head.number, "reorg");
        }
        if let Some(pool) = &self.pool {
            let included: Vec<_> =
                committed.iter().flat_map(|block| block.block.transactions.iter().cloned()).collect();
            let reverted: Vec<_> = reverted
                .iter()
                .rev()
                .flat_map(|block| {
                    block.block.transactions.iter().filter(|tx| !tx.encoded.is_empty()).cloned()
                })
                .collect();
            timed(&self.metrics.pool_update_seconds, || pool.on_canonical(&self.head, &included, &reverted));
        }
        Some(CanonicalEvent { reverted, committed, head: self.head.clone() })
    }

    /// Number and hash of a safe or finalized block, which must be the new head or an ancestor of it.
    fn mark(
        &self,
        hash: Option<B256>,
        target: &Place,
        what: &str,
    ) -> Result<Option<BlockNumHash>, EngineError> {
        let Some(hash) = hash else { return Ok(None) };
        if let Some(executed) = target.branch.iter().find(|executed| executed.hash() == hash) {
            return Ok(Some(executed.block.num_hash()));
        }
        match self.canonical_header(hash)? {
            Some(header) if header.number <= target.ancestor.number => Ok(Some(header.num_hash())),
            _ => Err(EngineError::Forkchoice(format!("{what} block {hash} is not an ancestor of the head"))),
        }
    }

    /// Finality never goes back.
    fn set_marks(
        &mut self,
        safe: Option<BlockNumHash>,
        finalized: Option<BlockNumHash>,
    ) -> Result<(), EngineError> {
        let finalized = match (finalized, self.finalized) {
            (Some(new), Some(old)) if new.number < old.number => Some(old),
            (new, old) => new.or(old),
        };
        let safe = safe.or(self.safe.filter(|safe| safe.number <= self.head.number));
        if (safe, finalized) != (self.safe, self.finalized) {
            self.store.set_forkchoice(safe, finalized)?;
            (self.safe, self.finalized) = (safe, finalized);
        }
        if let Some(finalized) = finalized {
            self.tree.prune(finalized.number);
        }
        Ok(())
    }

    /// Writes one block on top of the head; durable on return.
    fn commit(&mut self, executed: Arc<ExecutedBlock>) -> Result<(), EngineError> {
        let header = executed.block.header.clone();
        let trie = match executed.trie_base == self.head.hash() {
            true => Cow::Borrowed(&executed.trie),
            false => {
                let (root, trie) = weft_trie::state_root(&self.store.view(), &executed.state.post)?;
                expect_root(&header, root)?;
                Cow::Owned(trie)
            }
        };
        timed(&self.metrics.commit_seconds, || {
            self.store.commit_block(BlockWrite {
                block: &executed.block,
                receipts: &executed.receipts,
                state: &executed.state.post,
                code: &executed.state.code,
                trie: &trie,
                da: executed.da.as_ref(),
            })
        })?;
        drop(trie);
        self.tree.remove(header.hash());
        self.set_head(header);
        self.record_committed(&executed.block);
        let ExecutedBlock { block, receipts, .. } = Arc::unwrap_or_clone(executed);
        self.unreported.commit(Arc::new(CanonicalBlock { block, receipts }));
        Ok(())
    }

    /// Takes back all blocks above `ancestor`; durable on return. They stay in memory as side blocks, within the
    /// bounds.
    fn unwind(&mut self, ancestor: &SealedHeader) -> Result<(), EngineError> {
        let view = self.store.view();
        let mut reverted = Vec::new();
        let mut bytes = 0;
        for number in (ancestor.number + 1..=self.head.number).rev() {
            let mut block = load_block(&view, number, self.config.side_bytes_max.saturating_sub(bytes))?;
            if let Some(weft) = self.spec.weft() {
                da::complete(weft, &mut block.block);
            }
            bytes += block.block.transactions.iter().map(|tx| tx.encoded.len()).sum::<usize>();
            reverted.push(Arc::new(block));
        }
        let revert = view.revert_state(ancestor.number)?;
        let (root, trie) = weft_trie::state_root(&view, &revert)?;
        expect_root(ancestor, root)?;
        drop(view);
        self.store.unwind_to(ancestor.number, &revert, &trie)?;
        self.set_head(ancestor.clone());
        for block in &reverted {
            self.unreported.revert(block.clone());
        }
        for block in reverted.iter().rev().take_while(|block| is_whole(&block.block)) {
            if !self.tree.insert(SideBlock::Reverted(Arc::new(block.block.clone()))) {
                break;
            }
        }
        Ok(())
    }

    fn set_head(&mut self, head: SealedHeader) {
        self.metrics.head_number.set(head.number as f64);
        self.head = head;
    }

    fn record_committed(&self, block: &PreparedBlock) {
        let bytes: usize = block.transactions.iter().map(|tx| tx.encoded.len()).sum();
        self.metrics.block_bytes.record(bytes as f64);
        self.metrics.committed_bytes.increment(bytes as u64);
        self.metrics.committed_transactions.increment(block.transactions.len() as u64);
    }
}

fn expect_root(header: &SealedHeader, computed: B256) -> Result<(), EngineError> {
    match computed == header.state_root {
        true => Ok(()),
        false => Err(EngineError::StateMismatch {
            block: header.num_hash(),
            computed,
            expected: header.state_root,
        }),
    }
}
