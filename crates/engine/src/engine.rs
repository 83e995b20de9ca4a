//! The engine: what it holds, how it opens, and how it finds the state of a block.
//!
//! One thread owns it ([`EngineHandle`](crate::EngineHandle), or a test runner). `import.rs` checks and
//! executes blocks, `forkchoice.rs` makes one of them the head, `payload.rs` builds new ones.
//! Invariants: the head is durable; an invalid block changes nothing but the memory of its hash; a
//! failed commit leaves the head where it was.

use crate::{
    EngineConfig, EngineError,
    error::BlockError,
    forkchoice::Unreported,
    genesis::init_genesis,
    invalid::InvalidBlocks,
    metrics::EngineMetrics,
    overlay::Overlay,
    tree::{BlockTree, ExecutedBlock, SideBlock},
};
use alloy_primitives::B256;
use std::{borrow::Cow, sync::Arc};
use tracing::info;
use weft_chainspec::ChainSpec;
use weft_evm::Evm;
use weft_pool::Pool;
use weft_primitives::{HashedPostState, SealedHeader};
use weft_storage::{BlockNumHash, StorageError, Store, View};

/// The engine itself: synchronous. Executes, checks, decides, persists.
#[derive(Debug)]
pub struct Engine {
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) evm: Evm,
    pub(crate) store: Store,
    pub(crate) pool: Option<Pool>,
    pub(crate) config: EngineConfig,
    pub(crate) tree: BlockTree,
    pub(crate) invalid: InvalidBlocks,
    /// The durable head.
    pub(crate) head: SealedHeader,
    pub(crate) safe: Option<BlockNumHash>,
    pub(crate) finalized: Option<BlockNumHash>,
    /// Changes of the canonical chain that no event has told yet.
    pub(crate) unreported: Unreported,
    pub(crate) metrics: EngineMetrics,
}

/// Where a block's state is to be found.
#[derive(Debug)]
pub(crate) struct Place {
    /// The block and its ancestors down to the canonical chain, newest first; empty when it is canonical.
    pub(crate) branch: Vec<Arc<ExecutedBlock>>,
    /// The canonical block that the branch stands on.
    pub(crate) ancestor: SealedHeader,
}

impl Place {
    /// Header of the block that this is the place of.
    pub(crate) fn header(&self) -> &SealedHeader {
        self.branch.first().map_or(&self.ancestor, |executed| &executed.block.header)
    }
}

impl Engine {
    /// Opens over a store: writes genesis when it is empty, refuses another chain's folder.
    pub fn new(
        spec: Arc<ChainSpec>,
        store: Store,
        pool: Option<Pool>,
        config: EngineConfig,
    ) -> Result<Self, EngineError> {
        init_genesis(&spec, &store)?;
        let view = store.view();
        let number = view.head()?.number;
        let head = view.header(number)?.ok_or(StorageError::MissingBlock(number))?;
        let (safe, finalized) = (view.safe()?, view.finalized()?);
        drop(view);
        info!(target: "weft::engine", number, hash = %head.hash(), "opened");
        let metrics = EngineMetrics::default();
        metrics.head_number.set(number as f64);
        Ok(Self {
            evm: Evm::new(spec.clone()),
            tree: BlockTree::new(config.side_blocks_max, config.side_bytes_max),
            invalid: InvalidBlocks::new(),
            unreported: Unreported::default(),
            spec,
            store,
            pool,
            config,
            head,
            safe,
            finalized,
            metrics,
        })
    }

    /// The durable head.
    pub const fn head(&self) -> &SealedHeader {
        &self.head
    }

    /// The block that is unlikely to be reorganised away.
    pub const fn safe(&self) -> Option<BlockNumHash> {
        self.safe
    }

    /// The block that cannot be reorganised away.
    pub const fn finalized(&self) -> Option<BlockNumHash> {
        self.finalized
    }

    /// Valid blocks in memory that are not canonical.
    pub fn side_blocks(&self) -> usize {
        self.tree.len()
    }

    /// Finds a block's state. Repeats the execution of blocks that a reorg took back. `None`: the block is
    /// neither canonical nor in memory.
    pub(crate) fn place(&mut self, hash: B256) -> Result<Option<Place>, EngineError> {
        let hashes = self.tree.branch(hash);
        let ancestor_hash = match hashes.last() {
            Some(oldest) => self.tree.parent(*oldest).unwrap_or(hash),
            None => hash,
        };
        let Some(ancestor) = self.canonical_header(ancestor_hash)? else { return Ok(None) };
        let mut place = Place { branch: Vec::with_capacity(hashes.len()), ancestor };
        for hash in hashes.into_iter().rev() {
            let executed = match self.tree.get(hash) {
                Some(SideBlock::Executed(executed)) => executed.clone(),
                Some(SideBlock::Reverted(block)) => {
                    let block = block.clone();
                    let executed = self.execute_again(&block, &place)?;
                    self.tree.insert(SideBlock::Executed(executed.clone()));
                    executed
                }
                None => return Ok(None),
            };
            // Newest first, while we walk oldest first: branches are short.
            place.branch.insert(0, executed);
        }
        Ok(Some(place))
    }

    fn execute_again(
        &self,
        block: &weft_primitives::PreparedBlock,
        parent: &Place,
    ) -> Result<Arc<ExecutedBlock>, EngineError> {
        match self.execute(block.clone(), parent) {
            Ok(executed) => Ok(Arc::new(executed)),
            Err(BlockError::Fatal(error)) => Err(*error),
            Err(BlockError::Invalid { reason, .. }) => {
                Err(EngineError::Unrepeatable { block: block.num_hash(), reason })
            }
        }
    }

    /// Header of a canonical block.
    pub(crate) fn canonical_header(&self, hash: B256) -> Result<Option<SealedHeader>, EngineError> {
        if hash == self.head.hash() {
            return Ok(Some(self.head.clone()));
        }
        let view = self.store.view();
        Ok(match view.block_number(hash)? {
            Some(number) => view.header(number)?,
            None => None,
        })
    }

    /// What turns the database head's state into that of `place` with `change` on top.
    pub(crate) fn trie_overlay<'a>(
        &self,
        view: &View<'_>,
        place: &Place,
        change: &'a HashedPostState,
    ) -> Result<Cow<'a, HashedPostState>, StorageError> {
        if place.branch.is_empty() && place.ancestor.hash() == self.head.hash() {
            return Ok(Cow::Borrowed(change));
        }
        let mut overlay = match place.ancestor.hash() == self.head.hash() {
            true => HashedPostState::default(),
            false => view.revert_state(place.ancestor.number)?,
        };
        for executed in place.branch.iter().rev() {
            overlay.extend(executed.state.post.clone());
        }
        overlay.extend(change.clone());
        Ok(Cow::Owned(overlay))
    }

    /// The state of `place`, as execution reads it.
    pub(crate) fn overlay<'a>(
        &self,
        view: &'a View<'_>,
        place: &'a Place,
    ) -> Result<Overlay<'a>, StorageError> {
        Ok(Overlay::new(&place.branch, view.state_at(place.ancestor.number)?))
    }

    pub(crate) fn record_side_blocks(&self) {
        self.metrics.side_blocks.set(self.tree.len() as f64);
        self.metrics.side_bytes.set(self.tree.bytes() as f64);
    }
}
