//! What the node tells the worker.

use super::Worker;
use crate::{
    Multiaddr, NetworkError, PeerInfo,
    codec::{Bodies, Cells, Commitments, Headers, Transactions},
    handle::{Ask, Cmd},
    network::peer_of,
    redial::Kind,
};

impl Worker {
    /// One command; `Shutdown` is the run loop's. That nobody waits for a reply any more is no concern here.
    pub(super) fn on_command(&mut self, command: Cmd) {
        match command {
            Cmd::Status(Ask { peer, reply, .. }) => self.ask_status(peer, Some(reply)),
            Cmd::Headers(ask) => self.ask::<Headers>(ask),
            Cmd::Body(ask) => self.ask::<Bodies>(ask),
            Cmd::Cells(ask) => self.ask::<Cells>(ask),
            Cmd::Commitment(ask) => self.ask::<Commitments>(ask),
            Cmd::Transactions(ask) => self.ask::<Transactions>(ask),
            Cmd::PublishBlock(block, reply) => {
                let _ = reply.send(self.publish_block(*block));
            }
            Cmd::AnnounceTransactions(all, reply) => {
                let _ = reply.send(self.announce_transactions(all));
            }
            Cmd::PublishSegment(segment, reply) => {
                let _ = reply.send(self.publish_segment(&segment));
            }
            Cmd::Subscribe(topics) => self.subscribe(&topics, true),
            Cmd::Unsubscribe(topics) => self.subscribe(&topics, false),
            Cmd::SetHead(head) => self.set_head(head),
            Cmd::SetEarliest { body, columns } => {
                self.status.earliest_body = body;
                self.status.earliest_columns = columns;
            }
            Cmd::Report(peer, offence) => self.punish(peer, offence),
            Cmd::Ban(peer, time) => self.ban(peer, time),
            Cmd::Unban(peer) => {
                self.scores.unban(peer);
                self.swarm.behaviour_mut().gate.unban(&peer);
            }
            Cmd::AddPeer(address, reply) => {
                let _ = reply.send(self.add_peer(address));
            }
            Cmd::RemovePeer(peer) => {
                self.redial.remove(&peer);
                if let Some(kad) = self.swarm.behaviour_mut().kad.as_mut() {
                    kad.remove_peer(&peer);
                }
                self.disconnect(peer);
            }
            Cmd::Peers(reply) => {
                let _ = reply.send(self.peer_infos());
            }
            Cmd::Shutdown(_) => {}
        }
    }

    fn add_peer(&mut self, address: Multiaddr) -> Result<(), NetworkError> {
        let peer = peer_of(&address)?;
        if peer == self.local {
            let reason = format!("{address} is this node");
            return Err(NetworkError::Config { field: "peer", reason });
        }
        let now = self.now();
        if !self.redial.add(peer, address, Kind::Static, now) {
            let reason = "as many static peers as there may be".to_owned();
            return Err(NetworkError::Config { field: "peer", reason });
        }
        if self.peers.contains(&peer) {
            self.redial.connected(&peer);
        }
        self.on_tick();
        Ok(())
    }

    fn peer_infos(&self) -> Vec<PeerInfo> {
        let now = self.now();
        let info = |(peer, state): (&_, &super::Peer)| {
            let score = self.scores.score(peer, now);
            state.info(*peer, self.config.columns, score, self.redial.is_static(peer), now)
        };
        self.peers.iter().filter_map(info).collect()
    }
}
