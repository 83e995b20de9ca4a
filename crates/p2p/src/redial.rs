//! Who is dialled, and when again: static peers always, bootnodes while nobody else is there. Pure; time is given.
//!
//! A wait begins at the configured time, doubles with each failure up to 32 times as long, and is spread by a quarter, so
//! that nodes that lost the same peer do not come back in step.

use libp2p::{Multiaddr, PeerId};
use rand::Rng;
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

const DOUBLINGS_MAX: u32 = 5;
/// Addresses kept per peer.
const ADDRESSES_MAX: usize = 8;
/// Peers in the table; more are refused.
const PEERS_MAX: usize = 1024;

/// Why a peer is in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Static,
    Bootnode,
}

#[derive(Debug)]
struct Target {
    kind: Kind,
    addresses: BTreeSet<Multiaddr>,
    connected: bool,
    failures: u32,
    next: Duration,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Redial {
    targets: HashMap<PeerId, Target>,
    first_wait: Duration,
}

impl Redial {
    pub(crate) fn new(first_wait: Duration) -> Self {
        Self { targets: HashMap::new(), first_wait }
    }

    /// Due at once. A static peer stays static. Says whether there was room.
    pub(crate) fn add(&mut self, peer: PeerId, address: Multiaddr, kind: Kind, now: Duration) -> bool {
        if self.targets.len() >= PEERS_MAX && !self.targets.contains_key(&peer) {
            return false;
        }
        let target = self.targets.entry(peer).or_insert_with(|| Target {
            kind,
            addresses: BTreeSet::new(),
            connected: false,
            failures: 0,
            next: now,
        });
        if kind == Kind::Static {
            target.kind = kind;
        }
        if target.addresses.len() < ADDRESSES_MAX {
            target.addresses.insert(address);
        }
        target.next = now;
        true
    }

    pub(crate) fn remove(&mut self, peer: &PeerId) {
        self.targets.remove(peer);
    }

    pub(crate) fn is_static(&self, peer: &PeerId) -> bool {
        self.targets.get(peer).is_some_and(|target| target.kind == Kind::Static)
    }

    pub(crate) fn connected(&mut self, peer: &PeerId) {
        if let Some(target) = self.targets.get_mut(peer) {
            target.connected = true;
            target.failures = 0;
        }
    }

    pub(crate) fn lost(&mut self, peer: &PeerId, now: Duration, rng: &mut impl Rng) {
        if let Some(target) = self.targets.get_mut(peer) {
            target.connected = false;
            target.next = now + wait(self.first_wait, target.failures, rng);
        }
    }

    /// Those to dial now, with their addresses; each counts as failed until it is connected.
    pub(crate) fn due(
        &mut self,
        now: Duration,
        alone: bool,
        rng: &mut impl Rng,
    ) -> Vec<(PeerId, Vec<Multiaddr>)> {
        let mut due = Vec::new();
        for (peer, target) in &mut self.targets {
            if target.connected || target.next > now || (target.kind == Kind::Bootnode && !alone) {
                continue;
            }
            target.failures = target.failures.saturating_add(1);
            target.next = now + wait(self.first_wait, target.failures, rng);
            due.push((*peer, target.addresses.iter().cloned().collect()));
        }
        due
    }
}

fn wait(first: Duration, failures: u32, rng: &mut impl Rng) -> Duration {
    let doubled = first * 2_u32.pow(failures.saturating_sub(1).min(DOUBLINGS_MAX));
    doubled.mul_f64(rng.random_range(0.75..1.25))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    fn address() -> Multiaddr {
        "/ip4/127.0.0.1/tcp/1".parse().unwrap()
    }

    #[test]
    fn a_static_peer_is_dialled_ever_more_rarely_and_at_once_after_it_was_there() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut redial = Redial::new(Duration::from_secs(1));
        let peer = PeerId::random();
        redial.add(peer, address(), Kind::Static, Duration::ZERO);
        let dials = |redial: &mut Redial, rng: &mut StdRng, from: u64, to: u64| {
            (from..to).filter(|ms| !redial.due(Duration::from_millis(*ms), false, rng).is_empty()).count()
        };
        // 0, 1, 3, 7, 15, 31, 63, 95 …: within 100 seconds seven to ten dials, then about two a minute.
        let first = dials(&mut redial, &mut rng, 0, 100_000);
        assert!((7..=10).contains(&first), "{first}");
        let later = dials(&mut redial, &mut rng, 100_000, 700_000);
        assert!((15..=25).contains(&later), "{later}");
        redial.connected(&peer);
        assert_eq!(dials(&mut redial, &mut rng, 700_000, 800_000), 0);
        redial.lost(&peer, Duration::from_secs(800), &mut rng);
        assert_eq!(dials(&mut redial, &mut rng, 800_000, 801_250), 1);
    }

    #[test]
    fn bootnodes_are_for_the_lonely() {
        let mut rng = StdRng::seed_from_u64(2);
        let mut redial = Redial::new(Duration::from_secs(1));
        let peer = PeerId::random();
        redial.add(peer, address(), Kind::Bootnode, Duration::ZERO);
        assert!(redial.due(Duration::ZERO, false, &mut rng).is_empty());
        assert_eq!(redial.due(Duration::ZERO, true, &mut rng).len(), 1);
        assert!(!redial.is_static(&peer));
        redial.add(peer, address(), Kind::Static, Duration::ZERO);
        assert!(redial.is_static(&peer));
        redial.remove(&peer);
        assert!(redial.due(Duration::from_secs(9), true, &mut rng).is_empty());
    }
}
