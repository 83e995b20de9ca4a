//! Which range of blocks is asked of whom: historical sync from several peers at once. Pure; time is given, the caller
//! asks and reports.
//!
//! The range is cut into pieces. Pieces are handed out lowest first, to peers that have them, fastest first; they come
//! back in any order and are taken in the order of the chain. Nothing is asked that lies more than `window` pieces above
//! what was taken, so what waits is bounded. A piece that fails goes to another peer; when every peer has failed it, all
//! may be asked again after a pause. So does one that takes four times as long as its peer usually does; should it still
//! come, it is taken. A peer that is eight times as slow as another is asked only for what that other does not have: it
//! would hold up the window.

use crate::fetch::Speeds;
use libp2p::PeerId;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::RangeInclusive,
    time::Duration,
};

/// A peer that is slower than another by this factor is not asked for what the other has.
const SLOW_FACTOR: f64 = 8.0;
/// An ask may take so many times what its peer usually takes.
const PATIENCE_FACTOR: f64 = 4.0;

/// Bounds and deadlines.
#[derive(Clone, Copy, Debug)]
pub struct RangeSettings {
    /// Blocks of a piece.
    pub piece: u64,
    /// Pieces that may be under way or wait to be taken.
    pub window: usize,
    /// Asks of one peer at one time.
    pub per_peer_max: usize,
    /// An ask that takes longer has failed.
    pub deadline: Duration,
    /// An ask that takes longer, and four times as long as its peer usually takes, is given to another peer as well.
    pub overtake_after: Duration,
    /// Pause before peers that all failed a piece are asked for it again.
    pub pause: Duration,
}

impl Default for RangeSettings {
    fn default() -> Self {
        Self {
            piece: 64,
            window: 16,
            per_peer_max: 2,
            deadline: Duration::from_secs(15),
            overtake_after: Duration::from_secs(2),
            pause: Duration::from_secs(1),
        }
    }
}

/// Consecutive blocks to be asked of a peer now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeAsk {
    /// Whom.
    pub peer: PeerId,
    /// For which blocks.
    pub blocks: RangeInclusive<u64>,
}

#[derive(Clone, Debug)]
enum Piece {
    Wanted { not_before: Duration },
    Open { peer: PeerId, since: Duration, until: Duration },
    Done,
}

#[derive(Clone, Debug)]
struct Slot {
    last: u64,
    piece: Piece,
    /// Peers that failed it.
    failed: HashSet<PeerId>,
    /// Peers that may still bring it, though others were asked after them.
    overtaken: HashSet<PeerId>,
}

impl Slot {
    fn new(last: u64, not_before: Duration) -> Self {
        let piece = Piece::Wanted { not_before };
        Self { last, piece, failed: HashSet::new(), overtaken: HashSet::new() }
    }
}

/// One sync.
#[derive(Clone, Debug)]
pub struct Ranges {
    settings: RangeSettings,
    /// The first block that was not taken yet.
    next: u64,
    last: u64,
    /// Pieces of the window by their first block, without a gap from `next` on.
    slots: BTreeMap<u64, Slot>,
    /// What peers have.
    peers: HashMap<PeerId, RangeInclusive<u64>>,
    progress: Duration,
}

impl Ranges {
    /// All blocks of a range.
    pub fn new(blocks: RangeInclusive<u64>, settings: RangeSettings, now: Duration) -> Self {
        Self {
            settings,
            next: *blocks.start(),
            last: *blocks.end(),
            slots: BTreeMap::new(),
            peers: HashMap::new(),
            progress: now,
        }
    }

    /// The chain has grown.
    pub fn extend(&mut self, last: u64) {
        self.last = self.last.max(last);
    }

    /// A peer has these blocks; the last word counts.
    pub fn set_peer(&mut self, peer: PeerId, blocks: RangeInclusive<u64>) {
        self.peers.insert(peer, blocks);
    }

    /// A peer is gone; what was asked of it is asked of others.
    pub fn remove_peer(&mut self, peer: &PeerId) {
        self.peers.remove(peer);
        for slot in self.slots.values_mut() {
            slot.failed.remove(peer);
            slot.overtaken.remove(peer);
            if matches!(slot.piece, Piece::Open { peer: asked, .. } if asked == *peer) {
                slot.piece = Piece::Wanted { not_before: Duration::ZERO };
            }
        }
    }

    /// What to ask for now. To be called after every report and at [`Ranges::wake`].
    pub fn poll(&mut self, now: Duration, speeds: &mut Speeds) -> Vec<RangeAsk> {
        self.expire(now, speeds);
        self.fill();
        let mut load: HashMap<PeerId, usize> = HashMap::new();
        for slot in self.slots.values() {
            if let Piece::Open { peer, .. } = slot.piece {
                *load.entry(peer).or_default() += 1;
            }
        }
        let mut asks = Vec::new();
        for (first, slot) in &mut self.slots {
            if !matches!(slot.piece, Piece::Wanted { not_before } if not_before <= now) {
                continue;
            }
            let able = |peer: &&PeerId| {
                let has = &self.peers[*peer];
                has.contains(first) && has.contains(&slot.last) && !slot.failed.contains(*peer)
            };
            let busy = |peer: &PeerId| load.get(peer).copied().unwrap_or(0);
            let able: Vec<PeerId> = self.peers.keys().filter(able).copied().collect();
            let fastest = able.iter().map(|peer| speeds.expected(peer)).fold(f64::INFINITY, f64::min);
            let quick = able.into_iter().filter(|peer| {
                speeds.expected(peer) <= SLOW_FACTOR * fastest && busy(peer) < self.settings.per_peer_max
            });
            let rank = |peer: &PeerId| speeds.expected(peer) * (busy(peer) + 1) as f64;
            if let Some(peer) = quick.min_by(|a, b| rank(a).total_cmp(&rank(b))) {
                *load.entry(peer).or_default() += 1;
                let until = until(&self.settings, &peer, now, speeds);
                slot.piece = Piece::Open { peer, since: now, until };
                asks.push(RangeAsk { peer, blocks: *first..=slot.last });
            }
        }
        asks
    }

    /// The blocks from `first` on have come, `count` of them and not 0, verified. The rest of the piece is asked for again.
    pub fn done(&mut self, first: u64, count: u64, peer: PeerId, now: Duration, speeds: &mut Speeds) {
        let Some(slot) = self.slots.get_mut(&first) else { return };
        match slot.piece {
            Piece::Open { peer: asked, since, .. } if asked == peer => {
                speeds.record(peer, now.saturating_sub(since))
            }
            Piece::Done => return,
            _ if !slot.overtaken.contains(&peer) => return,
            _ => {}
        }
        if count == 0 {
            return;
        }
        self.progress = now;
        let (last, end) = (slot.last, first.saturating_add(count - 1));
        slot.piece = Piece::Done;
        if end < last {
            slot.last = end;
            self.slots.insert(end + 1, Slot::new(last, now));
        }
    }

    /// A peer refused, lied, or broke off.
    pub fn failed(&mut self, first: u64, peer: PeerId, now: Duration, speeds: &mut Speeds) {
        let open = |slot: &Slot| matches!(slot.piece, Piece::Open { peer: asked, .. } if asked == peer);
        if self.slots.get(&first).is_some_and(open) {
            speeds.record(peer, self.settings.deadline);
            self.give_back(first, peer, now);
        }
        if let Some(slot) = self.slots.get_mut(&first) {
            slot.overtaken.remove(&peer);
        }
    }

    /// The next blocks in the order of the chain, if they have come.
    pub fn take(&mut self) -> Option<RangeInclusive<u64>> {
        let entry = self.slots.first_entry().filter(|entry| matches!(entry.get().piece, Piece::Done))?;
        let (first, slot) = entry.remove_entry();
        self.next = slot.last + 1;
        Some(first..=slot.last)
    }

    /// Whether all blocks were taken.
    pub fn is_finished(&self) -> bool {
        self.next > self.last
    }

    /// The block that holds up the rest when nothing has come for so long.
    pub fn stalled(&self, now: Duration, patience: Duration) -> Option<u64> {
        (!self.is_finished() && now.saturating_sub(self.progress) >= patience).then_some(self.next)
    }

    /// When [`Ranges::poll`] has something to do if nothing is reported before.
    pub fn wake(&self, now: Duration) -> Option<Duration> {
        let time = |slot: &Slot| match slot.piece {
            Piece::Wanted { not_before } => Some(not_before),
            Piece::Open { until, .. } => Some(until),
            Piece::Done => None,
        };
        self.slots.values().filter_map(time).filter(|time| *time > now).min()
    }

    fn expire(&mut self, now: Duration, speeds: &mut Speeds) {
        let late = |(first, slot): (&u64, &Slot)| match slot.piece {
            Piece::Open { peer, since, until } if until <= now => Some((*first, peer, now - since)),
            _ => None,
        };
        for (first, peer, waited) in self.slots.iter().filter_map(late).collect::<Vec<_>>() {
            speeds.record(peer, 2 * waited);
            self.give_back(first, peer, now);
            if let Some(slot) = self.slots.get_mut(&first) {
                slot.overtaken.insert(peer);
            }
        }
    }

    /// To another peer at once, or to all again after a pause.
    fn give_back(&mut self, first: u64, peer: PeerId, now: Duration) {
        let Some(slot) = self.slots.get_mut(&first) else { return };
        slot.failed.insert(peer);
        let able =
            |(_, has): &(&PeerId, &RangeInclusive<u64>)| has.contains(&first) && has.contains(&slot.last);
        let all_failed = self.peers.iter().filter(able).all(|(peer, _)| slot.failed.contains(peer));
        let mut not_before = now;
        if all_failed {
            slot.failed.clear();
            not_before += self.settings.pause;
        }
        slot.piece = Piece::Wanted { not_before };
    }

    /// Cuts new pieces while the window has room.
    fn fill(&mut self) {
        let mut first = self.slots.last_key_value().map_or(self.next, |(_, slot)| slot.last + 1);
        while self.slots.len() < self.settings.window && first <= self.last {
            let last = first.saturating_add(self.settings.piece - 1).min(self.last);
            self.slots.insert(first, Slot::new(last, Duration::ZERO));
            first = last + 1;
        }
    }
}

/// When an ask that is made now is given to another peer as well.
fn until(settings: &RangeSettings, peer: &PeerId, now: Duration, speeds: &Speeds) -> Duration {
    let usual = Duration::from_secs_f64(PATIENCE_FACTOR * speeds.expected(peer));
    now + usual.max(settings.overtake_after).min(settings.deadline)
}

#[cfg(test)]
mod tests;
