//! Transactions that peers have announced and that are not here: which to ask whom for. Pure.
//!
//! Large ones are asked for alone, small ones together. Each is asked of one peer at a time; when that one does not have it,
//! of the next that announced it. Bounds: [`WantedLimits`], and [`SOURCES_MAX`] peers per transaction. Bytes count from the
//! request until [`Wanted::settle`], so that a slow pool stops the fetching.

use alloy_primitives::TxHash;
use std::collections::{BTreeMap, HashMap, VecDeque};
use weft_p2p::PeerId;

/// Peers that are remembered to have a transaction.
const SOURCES_MAX: usize = 8;
/// From so many bytes on a transaction is asked for alone.
const LARGE_BYTES: usize = 64 << 10;
/// Small transactions of one request.
const TOGETHER_MAX: usize = 256;
/// Bytes of these.
const TOGETHER_BYTES_MAX: usize = 1 << 20;
/// What a transaction counts in addition to its bytes.
const OVERHEAD_BYTES: usize = 512;

/// Bounds.
#[derive(Clone, Debug)]
pub(crate) struct WantedLimits {
    /// Transactions that are known of and not settled.
    pub(crate) transactions_max: usize,
    /// Bytes of those that are asked for or wait for the pool; a single larger one goes alone.
    pub(crate) bytes_max: usize,
    /// Requests under way to one peer.
    pub(crate) peer_requests_max: usize,
}

/// What to ask a peer for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) peer: PeerId,
    pub(crate) hashes: Vec<TxHash>,
}

#[derive(Debug)]
struct Entry {
    /// As announced.
    bytes: usize,
    /// Who has it and was not asked yet.
    sources: VecDeque<PeerId>,
    asked: bool,
}

/// The announced transactions.
#[derive(Debug)]
pub(crate) struct Wanted {
    entries: HashMap<TxHash, Entry>,
    /// Those that are not asked for, in the order of arrival; may name settled ones.
    order: VecDeque<TxHash>,
    requests: BTreeMap<PeerId, usize>,
    bytes: usize,
    limits: WantedLimits,
}

impl Wanted {
    pub(crate) fn new(limits: WantedLimits) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), requests: BTreeMap::new(), bytes: 0, limits }
    }

    /// Bytes asked for or waiting for the pool.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether something is not asked for yet.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.order.is_empty()
    }

    pub(crate) fn contains(&self, hash: &TxHash) -> bool {
        self.entries.contains_key(hash)
    }

    /// As announced.
    pub(crate) fn bytes_of(&self, hash: &TxHash) -> Option<usize> {
        self.entries.get(hash).map(|entry| entry.bytes)
    }

    /// A peer has it. `false`: there is no room.
    pub(crate) fn announce(&mut self, hash: TxHash, bytes: usize, peer: PeerId) -> bool {
        if let Some(entry) = self.entries.get_mut(&hash) {
            if !entry.sources.contains(&peer) && entry.sources.len() < SOURCES_MAX {
                entry.sources.push_back(peer);
            }
            return true;
        }
        if self.entries.len() >= self.limits.transactions_max {
            return false;
        }
        self.entries.insert(hash, Entry { bytes, sources: VecDeque::from([peer]), asked: false });
        self.order.push_back(hash);
        true
    }

    /// It came with its announcement and goes to the pool. `false`: there is no room, or it is under way.
    pub(crate) fn inline(&mut self, hash: TxHash, bytes: usize) -> bool {
        let full = self.entries.len() >= self.limits.transactions_max || !self.has_room(bytes);
        if full || self.entries.contains_key(&hash) {
            return false;
        }
        self.bytes += bytes + OVERHEAD_BYTES;
        self.entries.insert(hash, Entry { bytes, sources: VecDeque::new(), asked: true });
        true
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.bytes == 0 || self.bytes + bytes + OVERHEAD_BYTES <= self.limits.bytes_max
    }

    /// The next request, as far as bounds allow. `gone`: peers that are not connected any more.
    pub(crate) fn next(&mut self, gone: impl Fn(&PeerId) -> bool) -> Option<Request> {
        let mut looked_at = 0;
        while looked_at < self.order.len() {
            let hash = self.order[looked_at];
            let Some(entry) = self.entries.get_mut(&hash).filter(|entry| !entry.asked) else {
                self.order.remove(looked_at);
                continue;
            };
            entry.sources.retain(|peer| !gone(peer));
            if entry.sources.is_empty() {
                self.entries.remove(&hash);
                self.order.remove(looked_at);
                continue;
            }
            let (requests, most) = (&self.requests, self.limits.peer_requests_max);
            let free = |peer: &&PeerId| requests.get(*peer).is_none_or(|count| *count < most);
            let (bytes, peer) = (entry.bytes, entry.sources.iter().find(free).copied());
            match peer {
                Some(peer) if self.has_room(bytes) => return Some(self.request(looked_at, peer)),
                // The oldest goes first: smaller ones behind it must not keep it waiting for ever.
                Some(_) => return None,
                None => looked_at += 1,
            }
        }
        None
    }

    /// Takes the transaction at `index` of the order, and with a small one the small ones behind it that `peer` has.
    fn request(&mut self, index: usize, peer: PeerId) -> Request {
        let mut request = Request { peer, hashes: Vec::new() };
        let (mut bytes, mut at) = (0, index);
        while at < self.order.len() && request.hashes.len() < TOGETHER_MAX {
            let hash = self.order[at];
            let more = self.entries.get(&hash).filter(|entry| !entry.asked && entry.sources.contains(&peer));
            let more = more.map(|entry| entry.bytes).filter(|more| {
                let first = request.hashes.is_empty();
                first || *more < LARGE_BYTES && bytes + more <= TOGETHER_BYTES_MAX && self.has_room(*more)
            });
            let (Some(more), Some(entry)) = (more, self.entries.get_mut(&hash)) else {
                at += 1;
                continue;
            };
            entry.asked = true;
            entry.sources.retain(|source| *source != peer);
            self.order.remove(at);
            self.bytes += more + OVERHEAD_BYTES;
            bytes += more;
            request.hashes.push(hash);
            if more >= LARGE_BYTES {
                break;
            }
        }
        *self.requests.entry(peer).or_default() += 1;
        request
    }

    /// A request to this peer has ended.
    pub(crate) fn answered(&mut self, peer: PeerId) {
        if let Some(count) = self.requests.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.requests.remove(&peer);
            }
        }
    }

    /// The peer that was asked does not have it. `false`: nor has anybody else, and it is forgotten.
    pub(crate) fn lacked(&mut self, hash: TxHash) -> bool {
        let Some(entry) = self.entries.get_mut(&hash).filter(|entry| entry.asked) else { return true };
        self.bytes -= entry.bytes + OVERHEAD_BYTES;
        if entry.sources.is_empty() {
            self.entries.remove(&hash);
            return false;
        }
        entry.asked = false;
        self.order.push_back(hash);
        true
    }

    /// The pool has ruled on it.
    pub(crate) fn settle(&mut self, hash: TxHash) {
        if let Some(entry) = self.entries.remove(&hash).filter(|entry| entry.asked) {
            self.bytes -= entry.bytes + OVERHEAD_BYTES;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hash(index: u8) -> TxHash {
        TxHash::repeat_byte(index)
    }

    fn wanted(transactions_max: usize, bytes_max: usize) -> Wanted {
        Wanted::new(WantedLimits { transactions_max, bytes_max, peer_requests_max: 1 })
    }

    #[test]
    fn large_ones_go_alone_and_small_ones_together() {
        let (peer, mut wanted) = (PeerId::random(), wanted(100, usize::MAX));
        for (index, bytes) in [(1, LARGE_BYTES), (2, 10), (3, LARGE_BYTES), (4, 20)] {
            assert!(wanted.announce(hash(index), bytes, peer));
        }
        for hashes in [vec![hash(1)], vec![hash(2), hash(4)], vec![hash(3)]] {
            assert_eq!(wanted.next(|_| false), Some(Request { peer, hashes }));
            assert_eq!(wanted.next(|_| false), None, "one request a peer");
            wanted.answered(peer);
        }
        (1..=4).for_each(|index| wanted.settle(hash(index)));
        assert_eq!((wanted.bytes(), wanted.next(|_| false)), (0, None));
    }

    #[test]
    fn the_next_source_is_asked_when_one_lacks_it_and_at_last_it_is_forgotten() {
        let (first, second, mut wanted) = (PeerId::random(), PeerId::random(), wanted(1, 100));
        assert!(wanted.announce(hash(1), 1000, first), "larger than the bound: alone");
        assert!(wanted.announce(hash(1), 1000, second), "known");
        assert!(!wanted.announce(hash(2), 1, first), "no room");
        assert_eq!(wanted.next(|_| false).map(|request| request.peer), Some(first));
        wanted.answered(first);
        assert!(wanted.lacked(hash(1)));
        assert_eq!(wanted.next(|_| false).map(|request| request.peer), Some(second));
        wanted.answered(second);
        assert!(!wanted.lacked(hash(1)));
        assert!(!wanted.contains(&hash(1)) && wanted.bytes() == 0);
    }

    #[test]
    fn who_is_gone_is_not_asked_and_bytes_that_wait_for_the_pool_stop_the_fetching() {
        let (gone, here, mut wanted) = (PeerId::random(), PeerId::random(), wanted(100, 4 * LARGE_BYTES));
        wanted.announce(hash(1), LARGE_BYTES, gone);
        for index in 2..7 {
            wanted.announce(hash(index), LARGE_BYTES, here);
        }
        let mut asked = 0;
        while let Some(request) = wanted.next(|peer| *peer == gone) {
            assert_eq!(request.peer, here);
            wanted.answered(here);
            asked += 1;
        }
        assert_eq!(asked, 3, "the fourth does not fit with what each counts besides its bytes");
        assert!(!wanted.inline(hash(9), LARGE_BYTES) && wanted.inline(hash(9), 100));
        wanted.settle(hash(2));
        assert!(wanted.next(|_| false).is_some());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_counted_twice_or_beyond_its_bounds(
            steps in prop::collection::vec((0u8..5, 0u8..12, 0u8..3, 1usize..200_000), 1..200),
        ) {
            let peers: Vec<PeerId> = (0..3).map(|_| PeerId::random()).collect();
            let mut wanted = Wanted::new(WantedLimits {
                transactions_max: 8, bytes_max: 400_000, peer_requests_max: 2,
            });
            let mut asked: Vec<(TxHash, usize)> = Vec::new();
            for (step, index, peer, bytes) in steps {
                let (hash, peer) = (hash(index), peers[usize::from(peer)]);
                match step {
                    0 | 1 => drop(wanted.announce(hash, bytes, peer)),
                    2 => if let Some(request) = wanted.next(|_| false) {
                        for hash in &request.hashes {
                            asked.push((*hash, wanted.bytes_of(hash).unwrap()));
                        }
                        wanted.answered(request.peer);
                    },
                    3 => if let Some((hash, _)) = asked.pop() { wanted.settle(hash) },
                    _ => if let Some((hash, _)) = asked.pop() { wanted.lacked(hash); },
                }
                let counted: usize = asked.iter().map(|(_, bytes)| bytes + OVERHEAD_BYTES).sum();
                prop_assert_eq!(wanted.bytes(), counted);
                prop_assert!(wanted.entries.len() <= 8);
                prop_assert!(counted <= 400_000 || asked.len() == 1);
            }
            for (hash, _) in asked { wanted.settle(hash) }
            while let Some(request) = wanted.next(|_| false) {
                request.hashes.iter().for_each(|hash| wanted.settle(*hash));
                wanted.answered(request.peer);
            }
            prop_assert!(wanted.entries.is_empty() && wanted.bytes() == 0 && wanted.requests.is_empty());
        }
    }
}
