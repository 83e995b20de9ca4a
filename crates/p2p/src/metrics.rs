//! What an operator sees of the network; scope `weft_p2p`.

use crate::{Offence, Protocol};
use metrics::{Counter, Gauge};
use metrics_derive::Metrics;

/// Peers and events.
#[derive(Metrics, Clone)]
#[metrics(scope = "weft_p2p")]
pub(crate) struct NetworkMetrics {
    /// Peers that have said who they are
    pub(crate) peers: Gauge,
    /// Connections, peers that have not said who they are included
    pub(crate) connections: Gauge,
    /// Peers that were sent away because they are of another chain
    pub(crate) strangers: Counter,
    /// Bans
    pub(crate) bans: Counter,
    /// Peers that are banned now
    pub(crate) banned: Gauge,
    /// Gossiped messages that were accepted and passed on
    pub(crate) gossip_accepted: Counter,
    /// Gossiped messages that were ignored
    pub(crate) gossip_ignored: Counter,
    /// Gossiped messages that were rejected
    pub(crate) gossip_rejected: Counter,
    /// Gossiped messages that were ignored because the node does not keep up or a peer sends too fast
    pub(crate) gossip_overflow: Counter,
    /// Gossiped messages that did not reach a peer in time
    pub(crate) gossip_slow_peer: Counter,
    /// Bytes of answers that wait for the socket
    pub(crate) serving_bytes: Gauge,
}

/// One protocol; label `protocol`.
#[derive(Metrics, Clone)]
#[metrics(scope = "weft_p2p")]
pub(crate) struct ProtocolMetrics {
    /// Bytes of messages that came in
    pub(crate) bytes_in: Counter,
    /// Bytes of messages that went out; of gossip what this node published
    pub(crate) bytes_out: Counter,
    /// Requests that this node made
    pub(crate) requests_out: Counter,
    /// Requests that this node made and that were refused or failed
    pub(crate) requests_failed: Counter,
    /// Requests of others
    pub(crate) requests_in: Counter,
    /// Requests of others that were refused
    pub(crate) requests_refused: Counter,
}

/// One offence; label `offence`.
#[derive(Metrics, Clone)]
#[metrics(scope = "weft_p2p")]
pub(crate) struct OffenceMetrics {
    /// Offences of peers
    pub(crate) offences: Counter,
}

/// All of them.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) network: NetworkMetrics,
    protocols: Vec<ProtocolMetrics>,
    offences: Vec<OffenceMetrics>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let protocol = |one: Protocol| ProtocolMetrics::new_with_labels(&[("protocol", one.as_str())]);
        let offence = |one: Offence| OffenceMetrics::new_with_labels(&[("offence", one.as_str())]);
        Self {
            network: NetworkMetrics::default(),
            protocols: Protocol::ALL.into_iter().map(protocol).collect(),
            offences: Offence::ALL.into_iter().map(offence).collect(),
        }
    }

    pub(crate) fn protocol(&self, protocol: Protocol) -> &ProtocolMetrics {
        &self.protocols[protocol as usize]
    }

    pub(crate) fn offence(&self, offence: Offence) -> &OffenceMetrics {
        &self.offences[offence as usize]
    }
}
