//! What the worker knows of connected peers.

use crate::{
    Limits, PeerInfo, Protocol, RemoteStatus, Topic, Traffic, custody, rate::Bucket, transport::Meter,
};
use libp2p::{Multiaddr, PeerId, core::ConnectedPoint};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

/// Addresses of a peer that are remembered.
pub(super) const ADDRESSES_MAX: usize = 8;

/// One connected peer.
#[derive(Debug)]
pub(super) struct Peer {
    address: Multiaddr,
    pub(super) inbound: bool,
    since: Duration,
    /// When it said who it is, and what it said last.
    up: Option<(Duration, RemoteStatus)>,
    pub(super) asked_status: Duration,
    pub(super) agent: String,
    pub(super) listen: Vec<Multiaddr>,
    /// Topics that it listens to.
    pub(super) topics: BTreeSet<Topic>,
    pub(super) round_trip: Option<Duration>,
    pub(super) ping_failures: u32,
    /// A stranger that was told goodbye is sent away at this time.
    pub(super) leave: Option<Duration>,
    /// Requests that it may make.
    pub(super) requests: Bucket,
    /// Bytes of answers that it may cause.
    pub(super) serve_bytes: Bucket,
    /// Bytes of gossip that are taken from it.
    pub(super) gossip_bytes: Bucket,
    /// Refusals since it last kept to the limits.
    pub(super) refusals: u32,
    /// Bytes out of its meter at which all that was published for it will have been written, or more.
    owed_until: u64,
    traffic: [(u64, u64); Protocol::ALL.len()],
    meter: Arc<Meter>,
}

impl Peer {
    pub(super) fn new(endpoint: &ConnectedPoint, meter: Arc<Meter>, limits: &Limits, now: Duration) -> Self {
        Self {
            address: endpoint.get_remote_address().clone(),
            inbound: endpoint.is_listener(),
            since: now,
            up: None,
            asked_status: now,
            agent: String::new(),
            listen: Vec::new(),
            topics: BTreeSet::new(),
            round_trip: None,
            ping_failures: 0,
            leave: None,
            requests: Bucket::new(limits.requests_in_per_second, now),
            serve_bytes: Bucket::new(limits.serve_bytes_per_second, now),
            gossip_bytes: Bucket::new(limits.gossip_bytes_per_second, now),
            refusals: 0,
            owed_until: 0,
            traffic: Default::default(),
            meter,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.up.is_some()
    }

    /// Takes what it says of itself. `None`: it says it for the first time; else whether it is new.
    pub(super) fn set_status(&mut self, status: RemoteStatus, now: Duration) -> Option<bool> {
        match &mut self.up {
            None => {
                self.up = Some((now, status));
                None
            }
            Some((_, known)) => {
                let is_new = *known != status;
                *known = status;
                Some(is_new)
            }
        }
    }

    pub(super) fn count_in(&mut self, protocol: Protocol, bytes: usize) {
        self.traffic[protocol as usize].0 += bytes as u64;
    }

    pub(super) fn count_out(&mut self, protocol: Protocol, bytes: usize) {
        self.traffic[protocol as usize].1 += bytes as u64;
    }

    /// Published bytes that are not written yet, at most: other streams count as if they were part of it.
    pub(super) fn backlog(&self) -> u64 {
        self.owed_until.saturating_sub(self.meter.read().1)
    }

    /// So many bytes were published for it.
    pub(super) fn owe(&mut self, bytes: usize) {
        self.owed_until = self.owed_until.max(self.meter.read().1) + bytes as u64;
    }

    /// `None` while it has not said who it is.
    pub(super) fn info(
        &self,
        peer: PeerId,
        columns: u16,
        score: f64,
        is_static: bool,
        now: Duration,
    ) -> Option<PeerInfo> {
        let (since, status) = self.up.as_ref()?;
        let (total_in, total_out) = self.meter.read();
        let mut kept = custody::columns_of(&peer, status.custody_count, columns);
        kept.sort_unstable();
        Some(PeerInfo {
            peer,
            address: self.address.clone(),
            listen: self.listen.clone(),
            agent: self.agent.clone(),
            inbound: self.inbound,
            is_static,
            status: status.clone(),
            columns: kept,
            score,
            topics: self.topics.iter().copied().collect(),
            round_trip: self.round_trip,
            connected: now.saturating_sub(*since),
            traffic: Traffic {
                total_in,
                total_out,
                by_protocol: Protocol::ALL.into_iter().zip(self.traffic).collect(),
            },
        })
    }
}

/// All of them. At most as many as there may be connections.
#[derive(Debug, Default)]
pub(super) struct Peers(HashMap<PeerId, Peer>);

impl Peers {
    pub(super) fn insert(&mut self, peer: PeerId, state: Peer) {
        self.0.insert(peer, state);
    }

    pub(super) fn remove(&mut self, peer: &PeerId) -> Option<Peer> {
        self.0.remove(peer)
    }

    pub(super) fn get(&mut self, peer: &PeerId) -> Option<&mut Peer> {
        self.0.get_mut(peer)
    }

    pub(super) fn contains(&self, peer: &PeerId) -> bool {
        self.0.contains_key(peer)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&PeerId, &Peer)> {
        self.0.iter()
    }

    /// Those that have said who they are.
    pub(super) fn up(&self) -> usize {
        self.0.values().filter(|peer| peer.is_up()).count()
    }

    /// How many listen to each topic.
    pub(super) fn listeners(&self) -> BTreeMap<Topic, usize> {
        let mut listeners = BTreeMap::new();
        for topic in self.0.values().flat_map(|peer| &peer.topics) {
            *listeners.entry(*topic).or_default() += 1;
        }
        listeners
    }

    /// Those that listen to a topic.
    pub(super) fn listeners_of(&self, topic: Topic) -> Vec<PeerId> {
        self.0.iter().filter(|(_, peer)| peer.topics.contains(&topic)).map(|(id, _)| *id).collect()
    }

    /// Those that are connected since before `time` and have not said who they are.
    pub(super) fn silent_since(&self, time: Duration) -> Vec<PeerId> {
        self.0.iter().filter(|(_, peer)| !peer.is_up() && peer.since < time).map(|(peer, _)| *peer).collect()
    }

    /// Those whose time to leave has come.
    pub(super) fn leaving(&self, now: Duration) -> Vec<PeerId> {
        let leaving = self.0.iter().filter(|(_, peer)| peer.leave.is_some_and(|leave| leave <= now));
        leaving.map(|(peer, _)| *peer).collect()
    }

    /// Those that we dialled and asked for their status before `time`; they count as asked `now`. Who dialled us asks us.
    pub(super) fn stale(&mut self, time: Duration, now: Duration) -> Vec<PeerId> {
        let stale =
            self.0.iter_mut().filter(|(_, peer)| peer.is_up() && !peer.inbound && peer.asked_status < time);
        stale
            .map(|(id, peer)| {
                peer.asked_status = now;
                *id
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_published_is_owed_until_as_much_is_written() {
        let address: Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
        let endpoint = ConnectedPoint::Listener { local_addr: address.clone(), send_back_addr: address };
        let meter = Arc::new(Meter::default());
        let mut peer = Peer::new(&endpoint, meter.clone(), &Limits::default(), Duration::ZERO);
        meter.wrote(500);
        assert_eq!(peer.backlog(), 0);
        peer.owe(100);
        peer.owe(50);
        assert_eq!(peer.backlog(), 150);
        meter.wrote(120);
        assert_eq!(peer.backlog(), 30);
        meter.wrote(1000);
        assert_eq!(peer.backlog(), 0, "what else is written is no credit");
        peer.owe(10);
        assert_eq!(peer.backlog(), 10);
    }
}
