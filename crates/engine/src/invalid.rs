//! Blocks known to be invalid, so that they and their descendants are refused without work.
//!
//! Only faults that the block's hash commits to come in here: a body that does not belong to its
//! header says nothing about the hash. Bounded: at most [`INVALID_BLOCKS_MAX`] entries, the least
//! recently used one goes first, each with a reason of at most [`REASON_BYTES_MAX`] bytes (about
//! 1 MB in all).

use alloy_primitives::B256;
use lru::LruCache;
use std::num::NonZeroUsize;

const INVALID_BLOCKS_MAX: NonZeroUsize = match NonZeroUsize::new(512) {
    Some(max) => max,
    None => unreachable!(),
};
const REASON_BYTES_MAX: usize = 2048;

/// Why a block is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InvalidBlock {
    /// The closest valid ancestor.
    pub(crate) latest_valid: Option<B256>,
    pub(crate) reason: String,
}

#[derive(Debug)]
pub(crate) struct InvalidBlocks {
    blocks: LruCache<B256, InvalidBlock>,
}

impl InvalidBlocks {
    pub(crate) fn new() -> Self {
        Self { blocks: LruCache::new(INVALID_BLOCKS_MAX) }
    }

    pub(crate) fn get(&mut self, hash: B256) -> Option<InvalidBlock> {
        self.blocks.get(&hash).cloned()
    }

    pub(crate) fn insert(&mut self, hash: B256, mut block: InvalidBlock) {
        if block.reason.len() > REASON_BYTES_MAX {
            let end = (0..=REASON_BYTES_MAX).rev().find(|at| block.reason.is_char_boundary(*at)).unwrap_or(0);
            block.reason.truncate(end);
        }
        self.blocks.put(hash, block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;

    fn invalid(reason: &str) -> InvalidBlock {
        InvalidBlock { latest_valid: None, reason: reason.to_owned() }
    }

    #[test]
    fn it_forgets_the_least_recently_asked_for() {
        let mut blocks = InvalidBlocks::new();
        let hash = |i: usize| B256::from(U256::from(i));
        for i in 0..INVALID_BLOCKS_MAX.get() {
            blocks.insert(hash(i), invalid("x"));
        }
        assert!(blocks.get(hash(0)).is_some());
        blocks.insert(hash(INVALID_BLOCKS_MAX.get()), invalid("x"));
        assert!(blocks.get(hash(0)).is_some(), "was asked for");
        assert!(blocks.get(hash(1)).is_none());
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        let mut blocks = InvalidBlocks::new();
        blocks.insert(B256::ZERO, invalid(&format!("a{}", "ä".repeat(REASON_BYTES_MAX))));
        let reason = blocks.get(B256::ZERO).expect("was inserted").reason;
        assert!(reason.len() <= REASON_BYTES_MAX && reason.ends_with('ä'));
    }
}
