//! Any k of n pieces from several peers: fastest first, in parallel, with a deadline for each and hedges for the slow.
//! Pure; time is given, the caller asks and reports.
//!
//! As many pieces are asked for as are still needed. One that has not come after `hedge_after` no longer counts as coming,
//! so another piece, or the same of another peer, is asked for as well; what comes first is taken. A peer that was
//! overtaken so has lost its rank, and is asked last from then on.

use libp2p::PeerId;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

/// Peers whose speed is remembered.
const SPEEDS_MAX: usize = 1024;
/// Weight of the newest measurement.
const WEIGHT: f64 = 0.3;
/// What a peer is thought to take that was never measured: quick, so that new peers are tried.
const UNKNOWN: Duration = Duration::from_millis(50);

/// How long peers take for an answer, on average, newest most.
#[derive(Clone, Debug, Default)]
pub struct Speeds(HashMap<PeerId, f64>);

impl Speeds {
    /// An answer took this long; one that did not come counts as twice what was waited.
    pub fn record(&mut self, peer: PeerId, took: Duration) {
        if self.0.len() >= SPEEDS_MAX && !self.0.contains_key(&peer) {
            // Whoever it is; it will be measured again.
            let any = self.0.keys().next().copied();
            any.map(|any| self.0.remove(&any));
        }
        let known = self.0.entry(peer).or_insert(took.as_secs_f64());
        *known += WEIGHT * (took.as_secs_f64() - *known);
    }

    /// Forgets a peer.
    pub fn forget(&mut self, peer: &PeerId) {
        self.0.remove(peer);
    }

    /// What a peer is expected to take, in seconds.
    pub fn expected(&self, peer: &PeerId) -> f64 {
        self.0.get(peer).copied().unwrap_or(UNKNOWN.as_secs_f64())
    }
}

/// Deadlines and bounds of a fetch.
#[derive(Clone, Copy, Debug)]
pub struct FetchSettings {
    /// An ask that takes longer has failed.
    pub deadline: Duration,
    /// An ask that takes longer gets company.
    pub hedge_after: Duration,
    /// Asks of one peer at one time.
    pub per_peer_max: usize,
}

impl Default for FetchSettings {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(5), hedge_after: Duration::from_millis(500), per_peer_max: 2 }
    }
}

/// Something to be asked of a peer now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchAsk<K> {
    /// Whom.
    pub peer: PeerId,
    /// For what.
    pub piece: K,
}

/// How a fetch stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchState<K> {
    /// More is to come.
    Pending,
    /// These pieces are had, as many as were needed.
    Done(Vec<K>),
    /// Too few can be had.
    Failed {
        /// Pieces that are had.
        have: Vec<K>,
        /// Pieces that nobody gave.
        missing: Vec<K>,
    },
}

#[derive(Clone, Copy, Debug)]
struct Open<K> {
    peer: PeerId,
    piece: K,
    since: Duration,
    /// It was booked as slow.
    slow: bool,
}

/// One fetch. At most as many asks are open as there are pieces times their sources.
#[derive(Clone, Debug)]
pub struct Fetch<K> {
    need: usize,
    settings: FetchSettings,
    /// Peers that have not been asked yet, by piece.
    sources: BTreeMap<K, Vec<PeerId>>,
    open: Vec<Open<K>>,
    done: Vec<K>,
}

impl<K: Copy + Ord> Fetch<K> {
    /// `need` of the pieces in `sources`, each of which any of its peers can give.
    pub fn new(need: usize, sources: BTreeMap<K, Vec<PeerId>>, settings: FetchSettings) -> Self {
        Self { need, settings, sources, open: Vec::new(), done: Vec::new() }
    }

    /// What to ask for now. To be called after every report and at [`Fetch::wake`].
    pub fn poll(&mut self, now: Duration, speeds: &mut Speeds) -> Vec<FetchAsk<K>> {
        self.expire(now, speeds);
        let mut asks = Vec::new();
        if self.done.len() >= self.need {
            return asks;
        }
        let mut wanted = (self.need - self.done.len()).saturating_sub(self.coming());
        while wanted > 0 {
            let Some((piece, peer)) = self.best(speeds) else { break };
            if let Some(peers) = self.sources.get_mut(&piece) {
                peers.retain(|other| *other != peer);
            }
            self.open.push(Open { peer, piece, since: now, slow: false });
            asks.push(FetchAsk { peer, piece });
            wanted -= 1;
        }
        asks
    }

    /// A piece has come and was verified. Says whether it was still wanted.
    pub fn done(&mut self, piece: K, peer: PeerId, now: Duration, speeds: &mut Speeds) -> bool {
        if let Some(open) = self.close(piece, peer) {
            speeds.record(peer, now.saturating_sub(open.since));
        }
        let wanted = self.done.len() < self.need && !self.done.contains(&piece);
        if wanted {
            self.done.push(piece);
            self.open.retain(|open| open.piece != piece);
        }
        wanted
    }

    /// A peer refused, lied or left. It is not asked for this piece again.
    pub fn failed(&mut self, piece: K, peer: PeerId, speeds: &mut Speeds) {
        if self.close(piece, peer).is_some() {
            speeds.record(peer, self.settings.deadline);
        }
    }

    /// A peer is gone: nothing is asked of it any more, and nothing comes.
    pub fn lost(&mut self, peer: &PeerId) {
        self.open.retain(|open| open.peer != *peer);
        self.sources.values_mut().for_each(|peers| peers.retain(|other| other != peer));
    }

    /// A peer that has a piece was found.
    pub fn add_source(&mut self, piece: K, peer: PeerId) {
        let asked = self.open.iter().any(|open| open.piece == piece && open.peer == peer);
        let peers = self.sources.entry(piece).or_default();
        if !asked && !peers.contains(&peer) {
            peers.push(peer);
        }
    }

    /// When [`Fetch::poll`] has something to do if nothing is reported before.
    pub fn wake(&self, now: Duration) -> Option<Duration> {
        let times = self
            .open
            .iter()
            .flat_map(|open| [open.since + self.settings.hedge_after, open.since + self.settings.deadline]);
        times.filter(|time| *time > now).min()
    }

    /// How it stands. It has failed as soon as too few pieces can come.
    pub fn state(&self) -> FetchState<K> {
        if self.done.len() >= self.need {
            return FetchState::Done(self.done.clone());
        }
        let possible = |piece: &K| {
            self.sources.get(piece).is_some_and(|peers| !peers.is_empty())
                || self.open.iter().any(|open| open.piece == *piece)
        };
        let missing: Vec<K> = self
            .sources
            .keys()
            .filter(|piece| !self.done.contains(piece) && !possible(piece))
            .copied()
            .collect();
        if self.sources.len() - missing.len() < self.need {
            return FetchState::Failed { have: self.done.clone(), missing };
        }
        FetchState::Pending
    }

    fn expire(&mut self, now: Duration, speeds: &mut Speeds) {
        let deadline = self.settings.deadline;
        for open in &mut self.open {
            let slow = now.saturating_sub(open.since) >= self.settings.hedge_after;
            if slow && !open.slow {
                speeds.record(open.peer, 2 * self.settings.hedge_after);
            }
            open.slow |= slow;
        }
        self.open.retain(|open| {
            let late = now.saturating_sub(open.since) >= deadline;
            if late {
                speeds.record(open.peer, 2 * deadline);
            }
            !late
        });
    }

    /// Asks that are expected to bring a piece: one per piece, none that is slow.
    fn coming(&self) -> usize {
        self.open.iter().filter(|open| !open.slow).map(|open| open.piece).collect::<BTreeSet<K>>().len()
    }

    /// The piece and peer that are expected first. Pieces that nobody is asked for come before second asks.
    fn best(&self, speeds: &Speeds) -> Option<(K, PeerId)> {
        let mut best: Option<((bool, f64), K, PeerId)> = None;
        for (piece, peers) in self.sources.iter().filter(|(piece, _)| !self.done.contains(piece)) {
            let hedge = self.open.iter().any(|open| open.piece == *piece);
            for peer in peers {
                let load = self.open.iter().filter(|open| open.peer == *peer).count();
                if load >= self.settings.per_peer_max {
                    continue;
                }
                let rank = (hedge, speeds.expected(peer) * (load + 1) as f64);
                if best.as_ref().is_none_or(|(other, ..)| rank < *other) {
                    best = Some((rank, *piece, *peer));
                }
            }
        }
        best.map(|(_, piece, peer)| (piece, peer))
    }

    fn close(&mut self, piece: K, peer: PeerId) -> Option<Open<K>> {
        let at = self.open.iter().position(|open| open.piece == piece && open.peer == peer)?;
        Some(self.open.swap_remove(at))
    }
}

#[cfg(test)]
mod tests;
