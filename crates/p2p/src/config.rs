//! What a network is started with: plain data, checked by [`Network::start`](crate::Network::start).
//!
//! Durations and sizes carry their unit in the name or the type; each bound is stated where it is used.

use crate::{ForkDigest, NetworkError, wire};
use alloy_primitives::B256;
use libp2p::{Multiaddr, PeerId};
use std::{path::PathBuf, time::Duration};
use weft_chainspec::ChainSpec;

/// The port that a node listens on unless told otherwise.
pub const DEFAULT_PORT: u16 = 30310;

/// What a node does with the chain; others see it in its status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// Executes every block; has bodies and its custody columns.
    #[default]
    Full,
    /// Keeps headers and its custody columns; executes nothing.
    Da,
    /// Keeps headers and samples; serves nothing but what it sampled.
    Light,
}

impl Role {
    /// As it is written in configurations and shown to people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Da => "da",
            Self::Light => "light",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Everything that [`Network::start`](crate::Network::start) needs.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// File of the node's key; made with mode 0600 when it is missing. `None`: a key for this run only.
    pub identity: Option<PathBuf>,
    /// Where to listen: `/ip4/…/tcp/…`, and `/ip4/…/udp/…/quic-v1` when [`quic`](Self::quic) is on. Empty: dial only.
    pub listen: Vec<Multiaddr>,
    /// Addresses that others are told besides those that were observed.
    pub external: Vec<Multiaddr>,
    /// Listen and dial over QUIC as well.
    pub quic: bool,
    /// Where to begin looking for peers; each ends with `/p2p/<peer id>`.
    pub bootnodes: Vec<Multiaddr>,
    /// Peers that are dialled again whenever they are away; each ends with `/p2p/<peer id>`.
    pub static_peers: Vec<Multiaddr>,
    /// Find peers by asking peers (Kademlia), and be found.
    pub discovery: bool,
    /// Find peers of the local network by multicast DNS.
    pub mdns: bool,
    /// Name and version that others see.
    pub agent: String,
    /// Bounds on peers, requests, bytes.
    pub limits: Limits,
    /// Columns that this node keeps (PROTOCOL §5); told to others.
    pub custody_count: u16,
    /// What this node is.
    pub role: Role,
    /// Whose blocks and signed heads are believed.
    pub sealers: Vec<PeerId>,
    /// Hash of block 0.
    pub genesis_hash: B256,
    /// See [`ForkDigest`].
    pub fork_digest: ForkDigest,
    /// n, the chain's columns; 0 on a plain Ethereum chain.
    pub columns: u16,
}

impl NetworkConfig {
    /// A full node of this chain that listens on the default port on all interfaces and knows nobody. Refuses a chain
    /// whose largest transaction or cell is too large for the wire.
    pub fn of_chain(spec: &ChainSpec) -> Result<Self, NetworkError> {
        let mut columns = 0;
        if let Some(weft) = spec.weft() {
            let cell_bytes = weft.geometry.cell_bytes(weft.geometry.chunk_bytes());
            if cell_bytes > wire::CELLS_BYTES_MAX || weft.max_tx_bytes > wire::TX_BYTES_MAX {
                let reason = format!(
                    "cells of {cell_bytes} bytes and transactions of {}; at most {} and {} can be sent",
                    weft.max_tx_bytes,
                    wire::CELLS_BYTES_MAX,
                    wire::TX_BYTES_MAX
                );
                return Err(NetworkError::Config { field: "config.weft", reason });
            }
            columns = u16::try_from(weft.geometry.columns()).expect("Geometry allows at most 256 columns");
        }
        Ok(Self::new(spec.genesis_hash(), ForkDigest::of(spec), columns))
    }

    /// The same from its parts, which must fit the wire.
    pub fn new(genesis_hash: B256, fork_digest: ForkDigest, columns: u16) -> Self {
        let listen = format!("/ip4/0.0.0.0/tcp/{DEFAULT_PORT}");
        Self {
            identity: None,
            listen: vec![listen.parse().expect("a literal address")],
            external: Vec::new(),
            quic: false,
            bootnodes: Vec::new(),
            static_peers: Vec::new(),
            discovery: true,
            mdns: false,
            agent: concat!("weft/", env!("CARGO_PKG_VERSION")).to_owned(),
            limits: Limits::default(),
            custody_count: columns.min(4),
            role: Role::Full,
            sealers: Vec::new(),
            genesis_hash,
            fork_digest,
            columns,
        }
    }
}

/// Bounds. Worst-case memory of the network is about `peers_max` × `connection_window_bytes` when every peer attacks,
/// plus `serve_bytes_max`; see the README for the arithmetic.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Peers at one time, in and out together.
    pub peers_max: u32,
    /// Of these, peers that came by themselves.
    pub peers_inbound_max: u32,
    /// Connections from one IP address; loopback is exempt.
    pub connections_per_ip_max: u32,
    /// Bytes that one connection may have sent ahead of our reading, all streams together; at least 32 MiB.
    pub connection_window_bytes: usize,
    /// After this a request is given up and its slot is free again.
    pub request_timeout: Duration,
    /// Time for a new peer to say who it is.
    pub handshake_timeout: Duration,
    /// Requests under way to one peer per protocol; as many again may wait eight times over.
    pub requests_out_max: usize,
    /// Requests of one peer that are being answered at one time, per protocol.
    pub requests_in_max: usize,
    /// Requests a second of one peer, all protocols; twice as many at once.
    pub requests_in_per_second: f64,
    /// Bytes a second that one peer may make us send in answers; twice as many at once.
    pub serve_bytes_per_second: f64,
    /// Bytes a second of gossip that are taken from one peer; twice as many at once. More is ignored.
    pub gossip_bytes_per_second: f64,
    /// Answers of all peers that are not yet written to the socket, in bytes.
    pub serve_bytes_max: usize,
    /// Calls of [`Serve`](crate::Serve) at one time.
    pub serve_threads: usize,
    /// How often peers are asked for their status.
    pub status_interval: Duration,
    /// How long a ban lasts; doubled each time, at most 64 times as long.
    pub ban: Duration,
    /// First wait before a static peer is dialled again; doubled up to 32 times as long.
    pub redial: Duration,
    /// Events that wait for the reader of the event channel; beyond it gossip is dropped as ignored.
    pub events_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            peers_max: 64,
            peers_inbound_max: 48,
            connections_per_ip_max: 16,
            connection_window_bytes: 64 << 20,
            request_timeout: Duration::from_secs(20),
            handshake_timeout: Duration::from_secs(10),
            requests_out_max: 8,
            requests_in_max: 8,
            requests_in_per_second: 200.0,
            serve_bytes_per_second: 512e6,
            gossip_bytes_per_second: 128e6,
            serve_bytes_max: 256 << 20,
            serve_threads: 4,
            status_interval: Duration::from_secs(5),
            ban: Duration::from_secs(15 * 60),
            redial: Duration::from_secs(1),
            events_max: 1024,
        }
    }
}
