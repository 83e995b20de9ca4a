//! Executable transactions in the order in which a proposer wants them.
//!
//! A copy of the pool's pointers at one moment: what happens to the pool afterwards does not change it. Making
//! it costs one pointer per transaction, a step costs O(log senders).

use crate::entry::Entry;
use alloy_primitives::{Address, map::AddressSet};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
};
use weft_primitives::PreparedTransaction;

/// Room in the block that is being built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Gas that is left.
    pub gas: u64,
    /// Bytes of EIP-2718 encodings that are left.
    pub bytes: usize,
}

impl Room {
    /// No limit.
    pub const ANY: Self = Self { gas: u64::MAX, bytes: usize::MAX };
}

/// The first transaction of a sender that has not been yielded: tip, then arrival (older first), then whose.
type HeapItem = (u128, Reverse<u64>, usize);

/// Iterator over executable transactions: best effective tip first, older before younger at the same tip, nonce
/// order within a sender.
#[derive(Debug, Default)]
pub struct BestTransactions {
    base_fee: u64,
    /// Per sender, in nonce order; the first one is in the heap.
    chains: Vec<VecDeque<Arc<Entry>>>,
    heap: BinaryHeap<HeapItem>,
    /// Sender of what was yielded last: its successor enters the heap with the next step, unless it is skipped.
    last: Option<usize>,
    skipped: AddressSet,
}

impl BestTransactions {
    pub(crate) fn new(base_fee: u64, chains: impl Iterator<Item = VecDeque<Arc<Entry>>>) -> Self {
        let chains: Vec<_> = chains.collect();
        let mut heap = Vec::with_capacity(chains.len());
        heap.extend(chains.iter().enumerate().filter_map(|(index, chain)| heap_item(base_fee, index, chain)));
        Self { base_fee, chains, heap: heap.into(), last: None, skipped: AddressSet::default() }
    }

    /// The last one was not taken: skip its sender's successors.
    pub fn mark_invalid(&mut self, tx: &PreparedTransaction) {
        self.skip(tx.sender);
    }

    /// Skips everything of one sender from here on.
    pub fn skip(&mut self, sender: Address) {
        self.skipped.insert(sender);
    }

    /// The best transaction that fits. One that does not fit is skipped together with its successors: the room
    /// of a block only shrinks.
    pub fn next_within(&mut self, room: Room) -> Option<Arc<PreparedTransaction>> {
        if let Some(index) = self.last.take() {
            self.heap.extend(heap_item(self.base_fee, index, &self.chains[index]));
        }
        loop {
            let (_, _, index) = self.heap.pop()?;
            let chain = &mut self.chains[index];
            let Some(entry) = chain.pop_front() else { continue };
            let fits = entry.gas_limit <= room.gas && entry.tx.encoded.len() <= room.bytes;
            if !fits || (!self.skipped.is_empty() && self.skipped.contains(&entry.sender)) {
                chain.clear();
                continue;
            }
            self.last = Some(index);
            return Some(entry.tx.clone());
        }
    }
}

fn heap_item(base_fee: u64, index: usize, chain: &VecDeque<Arc<Entry>>) -> Option<HeapItem> {
    let entry = chain.front()?;
    Some((entry.effective_tip(base_fee)?, Reverse(entry.arrival), index))
}

impl Iterator for BestTransactions {
    type Item = Arc<PreparedTransaction>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_within(Room::ANY)
    }
}
