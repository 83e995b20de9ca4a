//! Announced blocks above the head, in bounded number: what is known of each, and which is next.
//!
//! When there is no room the highest goes: it is the last that is needed, and a sync brings it back.

use alloy_primitives::B256;
use std::{collections::BTreeMap, sync::Arc};
use weft_p2p::{BlockAnnouncement, Head, PeerId};
use weft_primitives::{PreparedBlock, SealedHeader};

/// How far a block is.
#[derive(Debug)]
pub(super) enum State {
    /// Nothing was done for it yet.
    Waiting,
    /// Its body is being put together.
    Assembling,
    /// It can be executed.
    Ready(Box<PreparedBlock>),
}

/// An announced block.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) announcement: Arc<BlockAnnouncement>,
    /// Who passed it to us.
    pub(super) peer: PeerId,
    pub(super) state: State,
}

/// The blocks, by number and hash.
#[derive(Debug)]
pub(super) struct Queue {
    blocks: BTreeMap<(u64, B256), Queued>,
    max: usize,
}

impl Queue {
    pub(super) fn new(max: usize) -> Self {
        Self { blocks: BTreeMap::new(), max: max.max(1) }
    }

    /// `false`: it is here already, or all others are lower and there is no room.
    pub(super) fn insert(&mut self, announcement: BlockAnnouncement, peer: PeerId) -> bool {
        let key = (announcement.header.number, announcement.header.hash());
        if self.blocks.contains_key(&key) {
            return false;
        }
        if self.blocks.len() == self.max {
            match self.blocks.last_key_value() {
                Some((highest, _)) if *highest > key => drop(self.blocks.pop_last()),
                _ => return false,
            }
        }
        let queued = Queued { announcement: Arc::new(announcement), peer, state: State::Waiting };
        self.blocks.insert(key, queued);
        true
    }

    pub(super) fn header(&self, number: u64, hash: B256) -> Option<&SealedHeader> {
        self.blocks.get(&(number, hash)).map(|queued| &queued.announcement.header)
    }

    pub(super) fn get_mut(&mut self, head: Head) -> Option<&mut Queued> {
        self.blocks.get_mut(&(head.number, head.hash))
    }

    pub(super) fn remove(&mut self, head: Head) {
        self.blocks.remove(&(head.number, head.hash));
    }

    /// Forgets what is not above the head.
    pub(super) fn prune(&mut self, head: u64) {
        self.blocks = self.blocks.split_off(&(head.saturating_add(1), B256::ZERO));
    }

    /// The child of a block, if one was announced.
    pub(super) fn child_of(&self, parent: &SealedHeader) -> Option<&Queued> {
        let children = self.blocks.range((parent.number + 1, B256::ZERO)..(parent.number + 2, B256::ZERO));
        children
            .map(|(_, queued)| queued)
            .find(|queued| queued.announcement.header.parent_hash == parent.hash())
    }

    /// Takes the child of `parent` out if it can be executed.
    pub(super) fn take_ready(
        &mut self,
        parent: &SealedHeader,
    ) -> Option<(Arc<BlockAnnouncement>, PreparedBlock)> {
        let child = self.child_of(parent)?;
        let key = match child.state {
            State::Ready(_) => child.announcement.head(),
            _ => return None,
        };
        let queued = self.blocks.remove(&(key.number, key.hash))?;
        match queued.state {
            State::Ready(block) => Some((queued.announcement, *block)),
            _ => None,
        }
    }

    /// The chain of children above `parent` that were announced, at most `count`, which nothing was done for.
    pub(super) fn waiting_above(&self, parent: &SealedHeader, count: usize) -> Vec<Head> {
        let (mut waiting, mut parent) = (Vec::new(), parent);
        for _ in 0..count {
            let Some(child) = self.child_of(parent) else { break };
            if matches!(child.state, State::Waiting) {
                waiting.push(child.announcement.head());
            }
            parent = &child.announcement.header;
        }
        waiting
    }

    /// The block that the lowest announced one builds on: what is missing ends there.
    pub(super) fn below_lowest(&self) -> Option<Head> {
        let (_, lowest) = self.blocks.first_key_value()?;
        let header = &lowest.announcement.header;
        Some(Head { number: header.number.checked_sub(1)?, hash: header.parent_hash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_primitives::Header;

    fn block(parent: &SealedHeader, salt: u64) -> BlockAnnouncement {
        let number = parent.number + 1;
        let header = Header { number, parent_hash: parent.hash(), timestamp: salt, ..Default::default() };
        BlockAnnouncement::new(SealedHeader::seal_slow(header), &[], None)
    }

    #[test]
    fn the_highest_goes_and_the_chain_above_the_head_is_found() {
        let head = SealedHeader::seal_slow(Header::default());
        let (peer, mut queue) = (PeerId::random(), Queue::new(3));
        let one = block(&head, 0);
        let two = block(&one.header, 0);
        let three = block(&two.header, 0);
        let four = block(&three.header, 0);
        for later in [&four, &two, &three] {
            assert!(queue.insert(later.clone(), peer));
        }
        assert!(queue.child_of(&head).is_none(), "a gap");
        assert!(queue.insert(one.clone(), peer), "the highest makes room");
        assert!(!queue.insert(one.clone(), peer), "twice");
        assert!(!queue.insert(four.clone(), peer), "higher than all others");
        assert_eq!(queue.below_lowest(), Some(Head { number: 0, hash: head.hash() }));
        assert_eq!(queue.waiting_above(&head, 2), [one.head(), two.head()]);
        queue.get_mut(one.head()).unwrap().state = State::Assembling;
        assert_eq!(queue.waiting_above(&head, 9), [two.head(), three.head()]);
        assert!(queue.take_ready(&head).is_none());
        queue.prune(2);
        assert_eq!((queue.below_lowest(), queue.header(2, two.header.hash())), (Some(two.head()), None));
    }
}
