//! What is known of a peer, for `admin_peers`, `da_peers` and whoever chooses among peers.

use crate::{RemoteStatus, Topic};
use libp2p::{Multiaddr, PeerId};
use std::{collections::BTreeMap, time::Duration};
use weft_primitives::ColumnIndex;

/// A connected peer that has said who it is.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// Its id.
    pub peer: PeerId,
    /// Where it is connected.
    pub address: Multiaddr,
    /// Where it says that it listens.
    pub listen: Vec<Multiaddr>,
    /// Name and version, empty until identified.
    pub agent: String,
    /// Whether it came by itself.
    pub inbound: bool,
    /// Whether it is one of the static peers.
    pub is_static: bool,
    /// What it last said of itself.
    pub status: RemoteStatus,
    /// Columns that it keeps, by its id and its custody count (PROTOCOL §5), ascending.
    pub columns: Vec<ColumnIndex>,
    /// Gossip topics that it listens to.
    pub topics: Vec<Topic>,
    /// 0 is spotless, -100 a ban.
    pub score: f64,
    /// Last ping.
    pub round_trip: Option<Duration>,
    /// Since it said who it is.
    pub connected: Duration,
    /// Bytes that its streams carried.
    pub traffic: Traffic,
}

/// Bytes of payload in and out, before encryption.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// All streams, frames of protocols included.
    pub total_in: u64,
    /// All streams, frames of protocols included.
    pub total_out: u64,
    /// Messages by protocol, (in, out). Of gossip only what came in is known by topic: what went out is in the total.
    pub by_protocol: BTreeMap<Protocol, (u64, u64)>,
}

/// What bytes are counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// `/weft/status/1`
    Status,
    /// `/weft/headers/1`
    Headers,
    /// `/weft/bodies/1`
    Bodies,
    /// `/weft/cells/1`
    Cells,
    /// `/weft/commitments/1`
    Commitments,
    /// `/weft/transactions/1`
    Transactions,
    /// Gossip of blocks.
    GossipBlocks,
    /// Gossip of transactions.
    GossipTransactions,
    /// Gossip of columns.
    GossipColumns,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Status,
        Self::Headers,
        Self::Bodies,
        Self::Cells,
        Self::Commitments,
        Self::Transactions,
        Self::GossipBlocks,
        Self::GossipTransactions,
        Self::GossipColumns,
    ];

    /// As it is written in metrics and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Headers => "headers",
            Self::Bodies => "bodies",
            Self::Cells => "cells",
            Self::Commitments => "commitments",
            Self::Transactions => "transactions",
            Self::GossipBlocks => "gossip_blocks",
            Self::GossipTransactions => "gossip_txs",
            Self::GossipColumns => "gossip_columns",
        }
    }
}
