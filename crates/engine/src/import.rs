//! `new_payload`: a block from elsewhere is checked against every rule, executed and remembered.
//!
//! Order: what costs nothing first (hash, known, parent), header and body rules, sizes and `daRoot`,
//! execution, and the state root at last. Nothing is written.

use crate::{
    Engine, EngineError, PayloadStatus, da,
    engine::Place,
    error::BlockError,
    invalid::InvalidBlock,
    metrics::timed,
    post_state::hash_bundle,
    tree::{ExecutedBlock, SideBlock},
};
use std::{sync::Arc, time::Instant};
use tracing::{debug, warn};
use weft_evm::{EvmError, rules};
use weft_primitives::{Header, PreparedBlock, SealedHeader};

impl Engine {
    /// Checks, executes and remembers a block whose parent is known. A block that is known already
    /// costs a look-up. An invalid block changes nothing.
    pub fn new_payload(&mut self, block: PreparedBlock) -> Result<PayloadStatus, EngineError> {
        let hash = block.header.hash();
        let computed = block.header.header().hash_slow();
        if computed != hash {
            let reason = format!("block hash mismatch: the header hashes to {computed}, not {hash}");
            return Ok(PayloadStatus::Invalid { latest_valid: None, reason });
        }
        if self.tree.get(hash).is_some() || self.canonical_header(hash)?.is_some() {
            return Ok(PayloadStatus::Valid { hash });
        }
        if let Some(known) = self.known_invalid(&block) {
            return Ok(known);
        }
        let (number, parent) = (block.header.number, block.header.parent_hash);
        let start = Instant::now();
        let result = self.import(block);
        self.metrics.import_seconds.record(start.elapsed().as_secs_f64());
        match result {
            Ok(status) => {
                debug!(target: "weft::engine", number, %hash, ?status, "block imported");
                self.record_side_blocks();
                Ok(status)
            }
            Err(BlockError::Fatal(error)) => Err(*error),
            Err(BlockError::Invalid { reason, by_hash }) => {
                warn!(target: "weft::engine", number, %hash, reason, "invalid block");
                self.metrics.invalid_blocks.increment(1);
                let latest_valid = Some(parent);
                if by_hash {
                    self.invalid.insert(hash, InvalidBlock { latest_valid, reason: reason.clone() });
                }
                Ok(PayloadStatus::Invalid { latest_valid, reason })
            }
        }
    }

    /// Whether the block or its parent was refused before.
    fn known_invalid(&mut self, block: &PreparedBlock) -> Option<PayloadStatus> {
        if let Some(InvalidBlock { latest_valid, reason }) = self.invalid.get(block.header.hash()) {
            return Some(PayloadStatus::Invalid { latest_valid, reason });
        }
        let parent = self.invalid.get(block.header.parent_hash)?;
        let prefix = "descends from an invalid block: ";
        let reason = match parent.reason.starts_with(prefix) {
            true => parent.reason,
            false => format!("{prefix}{}", parent.reason),
        };
        let own = InvalidBlock { latest_valid: parent.latest_valid, reason };
        self.invalid.insert(block.header.hash(), own.clone());
        Some(PayloadStatus::Invalid { latest_valid: own.latest_valid, reason: own.reason })
    }

    fn import(&mut self, block: PreparedBlock) -> Result<PayloadStatus, BlockError> {
        let hash = block.header.hash();
        let Some(parent) = self.place(block.header.parent_hash)? else { return Ok(PayloadStatus::Syncing) };
        if self.finalized.is_some_and(|finalized| parent.ancestor.number < finalized.number) {
            return Ok(PayloadStatus::Accepted);
        }
        let executed = self.execute(block, &parent)?;
        Ok(match self.tree.insert(SideBlock::Executed(Arc::new(executed))) {
            true => PayloadStatus::Valid { hash },
            false => PayloadStatus::Accepted,
        })
    }

    /// Checks every rule and executes `block` on its parent's state.
    pub(crate) fn execute(
        &self,
        mut block: PreparedBlock,
        parent: &Place,
    ) -> Result<ExecutedBlock, BlockError> {
        rules::check_header(&self.spec, &block.header, parent.header()).map_err(BlockError::invalid)?;
        rules::check_body(&self.spec, &block).map_err(BlockError::wrong_body)?;
        if !block.ommers.is_empty() {
            let ancestors = self.ommer_ancestors(parent)?;
            rules::check_ommers(&self.spec, &block, &ancestors).map_err(BlockError::invalid)?;
        }
        let da = timed(&self.metrics.da_seconds, || self.check_da(&mut block))?;

        let view = self.store.view();
        let state = self.overlay(&view, parent)?;
        let root_after = self.root_after(&view, parent);
        let executed = timed(&self.metrics.execute_seconds, || self.evm.execute(&block, state, root_after));
        let output = executed.map_err(|error| match error {
            EvmError::Invalid(reason) => BlockError::invalid(reason),
            error => EngineError::from(error).into(),
        })?;
        rules::check_output(block.header.header(), &output).map_err(BlockError::invalid)?;

        let state = hash_bundle(&output.bundle);
        let (root, trie) = timed(&self.metrics.state_root_seconds, || {
            let overlay = self.trie_overlay(&view, parent, &state.post)?;
            weft_trie::state_root(&view, &overlay).map_err(EngineError::from)
        })?;
        if root != block.header.state_root {
            let expected = block.header.state_root;
            return Err(BlockError::invalid(format!(
                "state root mismatch: header has {expected}, execution gives {root}"
            )));
        }
        Ok(ExecutedBlock { block, receipts: output.receipts, state, trie, trie_base: self.head.hash(), da })
    }

    /// Codes what is missing and compares `daRoot` with the header, on a Weft chain.
    fn check_da(&self, block: &mut PreparedBlock) -> Result<Option<weft_primitives::DaSummary>, BlockError> {
        let Some(weft) = self.spec.weft() else { return Ok(None) };
        da::complete(weft, block);
        let summary = da::summarize(weft, &block.transactions);
        let found = &block.header.extra_data;
        if found[..] != summary.da_root[..] {
            let computed = summary.da_root;
            return Err(BlockError::invalid(format!(
                "daRoot mismatch: extraData is {found}, the blobs give {computed}"
            )));
        }
        Ok(Some(summary))
    }

    /// The ancestors that uncle rules look at, newest first, with their own uncles.
    fn ommer_ancestors(&self, parent: &Place) -> Result<Vec<(SealedHeader, Vec<Header>)>, EngineError> {
        let mut ancestors: Vec<_> = parent
            .branch
            .iter()
            .take(rules::OMMER_ANCESTORS)
            .map(|executed| (executed.block.header.clone(), executed.block.ommers.clone()))
            .collect();
        let view = self.store.view();
        let mut next = Some(parent.ancestor.number);
        while let Some(number) = next.filter(|_| ancestors.len() < rules::OMMER_ANCESTORS) {
            let Some(header) = view.header(number)? else { break };
            let ommers = view.body_meta(number)?.map(|meta| meta.ommers).unwrap_or_default();
            ancestors.push((header, ommers));
            next = number.checked_sub(1);
        }
        Ok(ancestors)
    }
}
