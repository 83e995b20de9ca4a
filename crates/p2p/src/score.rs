//! What offences cost, how that is forgotten, and when it is a ban. Pure; time is given.
//!
//! A score is 0 for a peer of which nothing bad is known, and falls with each offence. Half of it is forgotten every ten
//! minutes. At -100 the peer is banned: for the configured time, twice as long each further time. After a ban it begins
//! at half of the limit, so that it has less room than others for a while.

use crate::Offence;
use libp2p::PeerId;
use std::{collections::HashMap, time::Duration};

/// At this score a peer is banned.
pub const BAN_SCORE: f64 = -100.0;
/// In this time half of a score is forgotten.
pub const HALF_LIFE: Duration = Duration::from_secs(600);
/// A ban is doubled so many times at most.
const DOUBLINGS_MAX: u32 = 6;
/// Peers that are remembered, 100 bytes each. Beyond it the one with the best score that is not banned is forgotten.
const PEERS_MAX: usize = 4096;

/// What an offence costs. Two proven lies within ten minutes are a ban; so are twenty-five timeouts at once, which an honest peer on a bad
/// link does not have within ten minutes while it is asked eight things at a time.
pub fn cost(offence: Offence) -> f64 {
    match offence {
        Offence::BadProof | Offence::BadBlock => 70.0,
        Offence::Oversized => 50.0,
        Offence::Undecodable => 40.0,
        Offence::BadHeader | Offence::StrangersBlock => 25.0,
        Offence::BadTransaction | Offence::NotServed | Offence::Flood => 10.0,
        Offence::Timeout => 4.0,
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Record {
    score: f64,
    at: Duration,
    bans: u32,
    banned_until: Option<Duration>,
}

impl Record {
    fn score(&self, now: Duration) -> f64 {
        let halves = now.saturating_sub(self.at).as_secs_f64() / HALF_LIFE.as_secs_f64();
        self.score * 0.5_f64.powf(halves)
    }
}

/// The scores of all peers that ever did something wrong.
#[derive(Debug)]
pub struct Scores {
    records: HashMap<PeerId, Record>,
    ban: Duration,
}

impl Scores {
    /// A first ban lasts `ban`.
    pub fn new(ban: Duration) -> Self {
        Self { records: HashMap::new(), ban }
    }

    /// Books an offence. Returns how long the peer is banned if this brought it there.
    pub fn report(&mut self, peer: PeerId, offence: Offence, now: Duration) -> Option<Duration> {
        self.make_room(peer, now);
        let record = self.records.entry(peer).or_default();
        record.score = record.score(now) - cost(offence);
        record.at = now;
        let banned = record.banned_until.is_some_and(|until| until > now);
        (record.score <= BAN_SCORE && !banned).then(|| self.ban(peer, None, now))
    }

    /// Bans a peer, for the time that is due unless another is given. Returns how long.
    pub fn ban(&mut self, peer: PeerId, time: Option<Duration>, now: Duration) -> Duration {
        self.make_room(peer, now);
        let record = self.records.entry(peer).or_default();
        let time = time.unwrap_or(self.ban * 2_u32.pow(record.bans.min(DOUBLINGS_MAX)));
        record.bans = record.bans.saturating_add(1);
        record.score = BAN_SCORE / 2.0;
        // The score is forgotten from the end of the ban on.
        record.at = now.saturating_add(time);
        record.banned_until = Some(record.at);
        time
    }

    /// Lifts a ban.
    pub fn unban(&mut self, peer: PeerId) {
        self.records.remove(&peer);
    }

    /// 0 is spotless.
    pub fn score(&self, peer: &PeerId, now: Duration) -> f64 {
        self.records.get(peer).map_or(0.0, |record| record.score(now))
    }

    /// Whether a peer is banned at this time.
    pub fn is_banned(&self, peer: &PeerId, now: Duration) -> bool {
        self.records.get(peer).and_then(|record| record.banned_until).is_some_and(|until| until > now)
    }

    /// Peers whose ban has ended since this was last asked, and forgets records that say nothing any more.
    pub fn expire(&mut self, now: Duration) -> Vec<PeerId> {
        let mut free = Vec::new();
        for (peer, record) in &mut self.records {
            if record.banned_until.is_some_and(|until| until <= now) {
                record.banned_until = None;
                free.push(*peer);
            }
        }
        self.records.retain(|_, record| record.banned_until.is_some() || record.score(now) < -0.01);
        free
    }

    fn make_room(&mut self, peer: PeerId, now: Duration) {
        if self.records.len() < PEERS_MAX || self.records.contains_key(&peer) {
            return;
        }
        let rank = |record: &Record| (record.banned_until.is_none(), record.score(now));
        let best = self.records.iter().max_by(|(_, a), (_, b)| {
            let ((free_a, score_a), (free_b, score_b)) = (rank(a), rank(b));
            free_a.cmp(&free_b).then(score_a.total_cmp(&score_b))
        });
        if let Some(best) = best.map(|(peer, _)| *peer) {
            self.records.remove(&best);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAN: Duration = Duration::from_secs(900);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn two_lies_are_a_ban_and_others_keep_their_score() {
        let mut scores = Scores::new(BAN);
        let (liar, honest) = (PeerId::random(), PeerId::random());
        assert_eq!(scores.report(liar, Offence::BadProof, at(0)), None);
        assert_eq!(scores.score(&liar, at(0)), -70.0);
        assert_eq!(scores.report(liar, Offence::BadProof, at(600)), Some(BAN));
        assert!(scores.is_banned(&liar, at(1499)) && !scores.is_banned(&liar, at(1500)));
        assert_eq!(scores.score(&honest, at(0)), 0.0);
        assert!(!scores.is_banned(&honest, at(0)));
    }

    #[test]
    fn half_is_forgotten_in_ten_minutes() {
        let mut scores = Scores::new(BAN);
        let peer = PeerId::random();
        scores.report(peer, Offence::Undecodable, at(0));
        assert!((scores.score(&peer, at(600)) + 20.0).abs() < 1e-9);
        assert!((scores.score(&peer, at(1800)) + 5.0).abs() < 1e-9);
        // One timeout every two minutes for ever is no ban: the sum of the series stays above -100.
        for minute in 0..10_000 {
            assert_eq!(scores.report(peer, Offence::Timeout, at(1800 + 120 * minute)), None);
        }
        // One a second is.
        let banned =
            (0..60).any(|second| scores.report(peer, Offence::Timeout, at(1_300_000 + second)).is_some());
        assert!(banned);
    }

    #[test]
    fn bans_end_and_grow() {
        let mut scores = Scores::new(BAN);
        let peer = PeerId::random();
        let mut now = Duration::ZERO;
        for doubling in [1, 2, 4, 8, 16, 32, 64, 64, 64] {
            let time = scores.ban(peer, None, now);
            assert_eq!(time, BAN * doubling);
            assert_eq!(scores.expire(now + time - at(1)), []);
            assert_eq!(scores.expire(now + time), [peer]);
            assert_eq!(scores.expire(now + time), [], "said once");
            assert_eq!(scores.score(&peer, now + time), BAN_SCORE / 2.0);
            now += time;
        }
        // Forgotten in the end, with the number of bans.
        scores.expire(now + HALF_LIFE * 20);
        assert_eq!(scores.ban(peer, None, now + HALF_LIFE * 20), BAN);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_bans_outlive_small_offences() {
        let mut scores = Scores::new(BAN);
        let banned = PeerId::random();
        scores.ban(banned, None, at(0));
        for _ in 0..PEERS_MAX + 100 {
            scores.report(PeerId::random(), Offence::Timeout, at(1));
        }
        assert_eq!(scores.records.len(), PEERS_MAX);
        assert!(scores.is_banned(&banned, at(2)));
    }

    #[test]
    fn every_offence_costs_and_none_alone_is_a_ban() {
        for offence in Offence::ALL {
            assert!(cost(offence) > 0.0 && cost(offence) < -BAN_SCORE, "{offence:?}");
        }
    }
}
