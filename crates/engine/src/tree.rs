//! Valid blocks that are not canonical, in bounded memory: side chains and payloads not yet chosen.
//!
//! Only canonical blocks are in the database, so that everything else lives (and may be forgotten)
//! here. Invariants: the parent of a block is either here or canonical; count and bytes stay within
//! the bounds, the newest branch being the last to go. Whoever loses a block here gets it again
//! from its peers when a descendant arrives ([`PayloadStatus::Syncing`](crate::PayloadStatus)).
//!
//! Worst case: `side_bytes_max` plus one block.

use crate::post_state::BlockState;
use alloy_primitives::{B256, map::B256Map};
use std::{collections::VecDeque, sync::Arc};
use weft_primitives::{DaSummary, PreparedBlock, Receipt, TrieUpdates};

/// A block and everything that its execution gave.
#[derive(Clone, Debug)]
pub(crate) struct ExecutedBlock {
    pub(crate) block: PreparedBlock,
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) state: BlockState,
    pub(crate) trie: TrieUpdates,
    /// The database head that `trie` applies to. When the head is another one at commit, the trie
    /// is computed again.
    pub(crate) trie_base: B256,
    /// `None` on a chain without `config.weft`.
    pub(crate) da: Option<DaSummary>,
}

impl ExecutedBlock {
    pub(crate) fn hash(&self) -> B256 {
        self.block.header.hash()
    }

    pub(crate) fn number(&self) -> u64 {
        self.block.header.header().number
    }

    /// Bytes in memory, estimated: exact for what is large.
    fn bytes(&self) -> usize {
        const ACCOUNT: usize = 160;
        const SLOT: usize = 80;
        const NODE: usize = 600;
        let post = &self.state.post;
        let slots: usize = post.storages.values().map(|storage| storage.slots.len()).sum();
        let code: usize = self.state.code.values().map(|code| code.len()).sum();
        let nodes = self.trie.account_nodes.len()
            + self.trie.storages.values().map(|storage| storage.nodes.len()).sum::<usize>();
        let logs: usize =
            self.receipts.iter().flat_map(|receipt| &receipt.logs).map(|log| 128 + log.data.data.len()).sum();
        body_bytes(&self.block)
            + post.accounts.len() * ACCOUNT
            + slots * SLOT
            + code
            + nodes * NODE
            + self.receipts.len() * 96
            + logs
    }
}

/// A block that is in memory.
#[derive(Clone, Debug)]
pub(crate) enum SideBlock {
    /// Ready to be committed or built upon.
    Executed(Arc<ExecutedBlock>),
    /// Was canonical until a reorg; its execution is repeated when somebody needs it.
    Reverted(Arc<PreparedBlock>),
}

impl SideBlock {
    fn block(&self) -> &PreparedBlock {
        match self {
            Self::Executed(executed) => &executed.block,
            Self::Reverted(block) => block,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Executed(executed) => executed.bytes(),
            Self::Reverted(block) => body_bytes(block),
        }
    }
}

/// The side blocks.
#[derive(Debug)]
pub(crate) struct BlockTree {
    blocks: B256Map<(SideBlock, usize)>,
    /// Hashes in order of arrival.
    order: VecDeque<B256>,
    bytes: usize,
    blocks_max: usize,
    bytes_max: usize,
}

impl BlockTree {
    pub(crate) fn new(blocks_max: usize, bytes_max: usize) -> Self {
        Self { blocks: B256Map::default(), order: VecDeque::new(), bytes: 0, blocks_max, bytes_max }
    }

    pub(crate) fn get(&self, hash: B256) -> Option<&SideBlock> {
        self.blocks.get(&hash).map(|(block, _)| block)
    }

    pub(crate) fn len(&self) -> usize {
        self.blocks.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Inserts or replaces. To make room, the oldest blocks that are not ancestors of this one go, with
    /// their descendants. `false`: its branch alone is over the bounds, the block was not kept.
    pub(crate) fn insert(&mut self, block: SideBlock) -> bool {
        let hash = block.block().header.hash();
        self.remove(hash);
        let bytes = block.bytes();
        let branch = self.branch(block.block().header.parent_hash);
        while self.blocks.len() + 1 > self.blocks_max || self.bytes + bytes > self.bytes_max {
            match self.order.iter().find(|hash| !branch.contains(hash)).copied() {
                Some(victim) => self.remove_with_descendants(victim),
                // A single block may be larger than the bound: a proposer must be able to build it.
                None if branch.is_empty() => break,
                None => return false,
            }
        }
        self.bytes += bytes;
        self.blocks.insert(hash, (block, bytes));
        self.order.push_back(hash);
        true
    }

    /// Removes one block; its descendants stay (their parent has become canonical).
    pub(crate) fn remove(&mut self, hash: B256) {
        if let Some((_, bytes)) = self.blocks.remove(&hash) {
            self.bytes -= bytes;
            self.order.retain(|other| *other != hash);
        }
    }

    /// Hashes of the branch that ends in `hash`, newest first; empty when `hash` is not here.
    pub(crate) fn branch(&self, hash: B256) -> Vec<B256> {
        let mut branch = Vec::new();
        let mut next = hash;
        while let Some(block) = self.get(next) {
            branch.push(next);
            next = block.block().header.parent_hash;
        }
        branch
    }

    /// Parent of a block that is here.
    pub(crate) fn parent(&self, hash: B256) -> Option<B256> {
        self.get(hash).map(|block| block.block().header.parent_hash)
    }

    /// Forgets all blocks that cannot descend from the finalized one: at or below its height, and what
    /// builds on them.
    pub(crate) fn prune(&mut self, finalized: u64) {
        while let Some(hash) = self
            .blocks
            .iter()
            .find(|(_, (side, _))| side.block().header.number <= finalized)
            .map(|(hash, _)| *hash)
        {
            self.remove_with_descendants(hash);
        }
    }

    fn remove_with_descendants(&mut self, hash: B256) {
        let mut doomed = vec![hash];
        while let Some(hash) = doomed.pop() {
            self.remove(hash);
            doomed.extend(
                self.blocks
                    .iter()
                    .filter(|(_, (side, _))| side.block().header.parent_hash == hash)
                    .map(|(child, _)| *child),
            );
        }
    }
}

/// Bytes of a block's transactions with their cells and parity.
fn body_bytes(block: &PreparedBlock) -> usize {
    const HEADER: usize = 1024;
    let transactions: usize = block
        .transactions
        .iter()
        .map(|tx| {
            let blob = tx.blob.as_ref().map_or(0, |blob| {
                blob.cell_hashes.len() * 32 + blob.parity.iter().map(|parity| parity.len()).sum::<usize>()
            });
            tx.encoded.len() + blob + 256
        })
        .sum();
    HEADER + transactions
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_primitives::{Header, SealedHeader};

    fn block(parent: B256, number: u64, salt: u64) -> SideBlock {
        let header = Header { parent_hash: parent, number, timestamp: salt, ..Default::default() };
        SideBlock::Reverted(Arc::new(PreparedBlock {
            header: SealedHeader::seal_slow(header),
            transactions: vec![],
            ommers: vec![],
            withdrawals: None,
        }))
    }

    fn hash(block: &SideBlock) -> B256 {
        block.block().header.hash()
    }

    /// A chain of `length` blocks on `parent`, inserted oldest first.
    fn chain(tree: &mut BlockTree, mut parent: B256, first: u64, length: u64, salt: u64) -> Vec<B256> {
        (first..first + length)
            .map(|number| {
                let block = block(parent, number, salt);
                parent = hash(&block);
                assert!(tree.insert(block), "block {number} of chain {salt}");
                parent
            })
            .collect()
    }

    #[test]
    fn a_branch_is_newest_first_and_ends_at_the_canonical_chain() {
        let mut tree = BlockTree::new(10, usize::MAX);
        let mut hashes = chain(&mut tree, B256::ZERO, 1, 3, 0);
        let tip = hashes[2];
        hashes.reverse();
        assert_eq!(tree.branch(tip), hashes);
        assert_eq!(tree.branch(B256::ZERO), Vec::<B256>::new());
        assert_eq!(tree.parent(hashes[2]), Some(B256::ZERO));
    }

    #[test]
    fn the_oldest_branch_goes_first_and_whole() {
        let mut tree = BlockTree::new(5, usize::MAX);
        let old = chain(&mut tree, B256::ZERO, 1, 3, 0);
        let new = chain(&mut tree, B256::ZERO, 1, 3, 1);
        assert!(
            old.iter().all(|hash| tree.get(*hash).is_none()),
            "an orphan cannot be executed: it must not stay"
        );
        assert!(new.iter().all(|hash| tree.get(*hash).is_some()));
        assert_eq!(tree.len(), 3);
    }

    #[test]
    fn a_branch_over_the_bound_refuses_its_next_block_instead_of_losing_its_root() {
        let mut tree = BlockTree::new(4, usize::MAX);
        let hashes = chain(&mut tree, B256::ZERO, 1, 4, 0);
        assert!(!tree.insert(block(hashes[3], 5, 0)));
        assert_eq!(tree.branch(hashes[3]).len(), 4);
    }

    #[test]
    fn bytes_are_bounded_and_a_single_oversize_block_is_kept() {
        let one = block(B256::ZERO, 1, 0).bytes();
        let mut tree = BlockTree::new(10, 2 * one);
        for salt in 0..10 {
            assert!(tree.insert(block(B256::ZERO, 1, salt)));
            assert!(tree.bytes() <= 2 * one);
        }
        assert_eq!(tree.len(), 2);
        let mut tiny = BlockTree::new(10, 1);
        assert!(tiny.insert(block(B256::ZERO, 1, 0)));
        assert!(tiny.insert(block(B256::ZERO, 1, 1)));
        assert_eq!(tiny.len(), 1);
    }

    #[test]
    fn inserting_twice_counts_once() {
        let mut tree = BlockTree::new(10, usize::MAX);
        assert!(tree.insert(block(B256::ZERO, 1, 0)));
        let bytes = tree.bytes();
        assert!(tree.insert(block(B256::ZERO, 1, 0)));
        assert_eq!((tree.len(), tree.bytes()), (1, bytes));
        tree.remove(hash(&block(B256::ZERO, 1, 0)));
        assert_eq!((tree.len(), tree.bytes()), (0, 0));
    }

    #[test]
    fn finality_forgets_what_cannot_descend_from_it() {
        let mut tree = BlockTree::new(20, usize::MAX);
        let dead = chain(&mut tree, B256::ZERO, 3, 4, 0);
        let finalized = B256::repeat_byte(9);
        let alive = chain(&mut tree, finalized, 6, 2, 1);
        tree.prune(5);
        assert!(
            dead.iter().all(|hash| tree.get(*hash).is_none()),
            "block 6 of the dead branch builds on its block 5"
        );
        assert!(alive.iter().all(|hash| tree.get(*hash).is_some()));
    }
}
