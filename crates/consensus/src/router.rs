//! Where the network's events go: blocks to the follower, transactions to the relay, segments to whoever keeps columns,
//! and who is there into a table that all of them read.
//!
//! The queues are bounded; gossip for which there is no room, or no reader, is ignored. Comings and goings are never lost.

use crate::network::{Incoming, PeerTable};
use tokio::sync::{mpsc, watch};
use weft_p2p::{Announced, BlockAnnouncement, ColumnSegment, NetworkEvent, TxAnnouncement};

/// Announced blocks that wait for the follower; an announcement has at most 1.1 MiB.
const BLOCKS_MAX: usize = 32;
/// Messages that wait for the relay; one has at most 0.6 MiB.
const TRANSACTIONS_MAX: usize = 64;
/// Segments that wait; one has at most 1.1 MiB.
const SEGMENTS_MAX: usize = 32;

/// The readers' ends.
#[derive(Debug)]
pub struct Routes {
    /// Blocks by the sealers.
    pub blocks: mpsc::Receiver<Incoming<BlockAnnouncement>>,
    /// Transactions that peers have.
    pub transactions: mpsc::Receiver<Incoming<Vec<TxAnnouncement>>>,
    /// Cells of columns.
    pub segments: mpsc::Receiver<Announced<ColumnSegment>>,
    /// Who is connected.
    pub peers: watch::Receiver<PeerTable>,
}

/// Starts to distribute; ends when the events do. To be called within a tokio runtime.
pub fn route(mut events: mpsc::Receiver<NetworkEvent>) -> Routes {
    let (blocks, blocks_out) = mpsc::channel(BLOCKS_MAX);
    let (transactions, transactions_out) = mpsc::channel(TRANSACTIONS_MAX);
    let (segments, segments_out) = mpsc::channel(SEGMENTS_MAX);
    let (peers, peers_out) = watch::channel(PeerTable::new());
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            // What finds no room is dropped, which rules `Ignore`.
            match event {
                NetworkEvent::PeerUp(peer, status) | NetworkEvent::PeerStatus(peer, status) => {
                    peers.send_modify(|peers| drop(peers.insert(peer, status)));
                }
                NetworkEvent::PeerDown(peer) => {
                    peers.send_modify(|peers| drop(peers.remove(&peer)));
                }
                NetworkEvent::Block(block) => drop(blocks.try_send(block.into())),
                NetworkEvent::Transactions(message) => drop(transactions.try_send(message.into())),
                NetworkEvent::Segment(segment) => drop(segments.try_send(segment)),
            }
        }
    });
    Routes { blocks: blocks_out, transactions: transactions_out, segments: segments_out, peers: peers_out }
}
