//! Who peers are: statuses, identify, ping, multicast DNS.
//!
//! Who dials asks first. The asked side checks the asker's status, answers with its own or with a goodbye, and sends a
//! stranger away once the goodbye is written; the asking side does the same with the answer. A stranger is shut out for
//! the time of a ban, without a score: it did nothing wrong.

use super::{Worker, outgoing::opened, peers::ADDRESSES_MAX};
use crate::{
    Head, NetworkEvent, Offence, RemoteStatus, RequestError, SignedHead,
    behaviour::RequestsEvent,
    codec::{Answer, Parcel, Status},
    status::{StatusMessage, StatusReply, VERSION},
    wire::Wire,
};
use libp2p::{
    PeerId, identify, mdns, ping,
    request_response::{Event, InboundRequestId, Message, OutboundRequestId},
};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};
use tokio::sync::oneshot;

/// A stranger has this long to read its goodbye.
const FAREWELL: Duration = Duration::from_secs(1);
/// Failed pings in a row after which a connection is given up.
const PING_FAILURES_MAX: u32 = 2;
/// Characters of an agent's name that are kept.
const AGENT_CHARS_MAX: usize = 64;

type Reply = oneshot::Sender<Result<RemoteStatus, RequestError>>;

/// Statuses that are under way.
#[derive(Debug, Default)]
pub(super) struct Handshakes {
    open: HashMap<OutboundRequestId, (PeerId, Option<Reply>)>,
    /// Goodbyes that are being written.
    farewells: HashSet<InboundRequestId>,
}

impl Worker {
    /// What this node says of itself.
    fn own_status(&self) -> StatusMessage {
        StatusMessage {
            version: VERSION,
            genesis_hash: self.config.genesis_hash,
            fork_digest: self.config.fork_digest,
            status: RemoteStatus {
                role: self.config.role,
                custody_count: self.config.custody_count,
                head: self.status.head,
                earliest_body: self.status.earliest_body,
                earliest_columns: self.status.earliest_columns,
                signed_head: self.signed_head.clone(),
            },
        }
    }

    pub(super) fn ask_status(&mut self, peer: PeerId, reply: Option<Reply>) {
        if !self.peers.contains(&peer) {
            if let Some(reply) = reply {
                // Who asked may have gone.
                let _ = reply.send(Err(RequestError::NotConnected));
            }
            return;
        }
        let frame = self.own_status().to_frame();
        self.count_out::<Status>(&peer, frame.len() + 4);
        let id = self.swarm.behaviour_mut().status.send_request(&peer, Parcel::Out(frame));
        self.handshakes.open.insert(id, (peer, reply));
    }

    pub(super) fn on_status_event(&mut self, event: RequestsEvent<Status>) {
        match event {
            Event::Message { peer, message: Message::Request { request_id, request, channel }, .. } => {
                let Parcel::In(theirs, bytes) = request else { return };
                self.count_in::<Status>(&peer, bytes);
                let now = self.now();
                let stranger = theirs.stranger(&self.own_status());
                if self.peers.get(&peer).is_some_and(|state| !state.requests.take(1.0, now)) {
                    return;
                }
                let reply = match stranger {
                    Some(reason) => {
                        self.handshakes.farewells.insert(request_id);
                        StatusReply::Goodbye(reason)
                    }
                    None => {
                        self.take_status(peer, theirs.status);
                        StatusReply::Status(Box::new(self.own_status()))
                    }
                };
                let frame = Answer(Ok(reply)).to_frame();
                self.count_out::<Status>(&peer, frame.len() + 4);
                // Fails when the asker is gone.
                let _ = self.swarm.behaviour_mut().status.send_response(channel, Parcel::Out(frame));
            }
            Event::Message { peer, message: Message::Response { request_id, response }, .. } => {
                let (answer, bytes) = opened(response);
                self.count_in::<Status>(&peer, bytes);
                self.on_status_answer(request_id, answer);
            }
            Event::OutboundFailure { peer, request_id, error, .. } => {
                let (error, offence) = self.failure(error);
                self.on_status_answer(request_id, Err(error));
                if let Some(offence) = offence {
                    self.punish(peer, offence);
                }
            }
            Event::InboundFailure { peer, request_id, error, .. } => {
                if self.handshakes.farewells.remove(&request_id) {
                    self.send_away(peer);
                }
                self.on_inbound_failure(peer, &error);
            }
            Event::ResponseSent { peer, request_id, .. } => {
                if self.handshakes.farewells.remove(&request_id) {
                    self.dismiss(peer);
                }
            }
        }
    }

    fn on_status_answer(&mut self, id: OutboundRequestId, answer: Result<StatusReply, RequestError>) {
        let Some((peer, reply)) = self.handshakes.open.remove(&id) else { return };
        let result = match answer {
            Ok(StatusReply::Status(theirs)) => match theirs.stranger(&self.own_status()) {
                None => Ok(self.take_status(peer, theirs.status)),
                Some(reason) => {
                    tracing::debug!(target: "weft::p2p", %peer, ?reason, "a stranger answers as if it were one of us");
                    self.send_away(peer);
                    Err(RequestError::NotConnected)
                }
            },
            Ok(StatusReply::Goodbye(reason)) => {
                tracing::info!(target: "weft::p2p", %peer, ?reason, "peer says goodbye");
                self.send_away(peer);
                Err(RequestError::NotConnected)
            }
            Err(error) => {
                // Who cannot be greeted is of no use; who is known may have a bad moment.
                if self.peers.get(&peer).is_some_and(|state| !state.is_up()) {
                    self.disconnect(peer);
                }
                Err(error)
            }
        };
        if let Some(reply) = reply {
            // Who asked may have given up.
            let _ = reply.send(result);
        }
    }

    /// A peer of our chain says something of itself. Returns what of it is believed.
    fn take_status(&mut self, peer: PeerId, mut status: RemoteStatus) -> RemoteStatus {
        let now = self.now();
        status.custody_count = status.custody_count.min(self.config.columns);
        if let Some(signed) = status.signed_head.take() {
            match self.check_signed(&signed) {
                Ok(true) => {
                    self.adopt(&signed);
                    status.signed_head = Some(signed);
                }
                // Of a sealer that is none of ours: not an offence, the peer may follow more than we do.
                Ok(false) => {}
                Err(offence) => self.punish(peer, offence),
            }
        }
        let Some(state) = self.peers.get(&peer) else { return status };
        match state.set_status(status.clone(), now) {
            None => {
                tracing::debug!(target: "weft::p2p", %peer, role = %status.role, head = status.head.number, "peer is here");
                self.update_view();
                self.outbox.lifecycle(NetworkEvent::PeerUp(peer, status.clone()));
            }
            Some(true) => self.outbox.lifecycle(NetworkEvent::PeerStatus(peer, status.clone())),
            Some(false) => {}
        }
        status
    }

    /// Whether a head is signed by one of the sealers; an offence when the signature is not the signer's.
    fn check_signed(&self, signed: &SignedHead) -> Result<bool, Offence> {
        if !self.config.sealers.contains(&signed.signer) {
            return Ok(false);
        }
        if self.signed_head.as_ref() == Some(signed) || signed.is_valid(self.config.fork_digest) {
            Ok(true)
        } else {
            Err(Offence::BadProof)
        }
    }

    /// Remembers a head that was checked, if it is newer than the one that is known.
    pub(super) fn adopt(&mut self, signed: &SignedHead) {
        if self.signed_head.as_ref().is_none_or(|known| known.head.number < signed.head.number) {
            self.signed_head = Some(signed.clone());
            self.update_view();
        }
    }

    /// Others will hear of this head; a sealer signs it.
    pub(super) fn set_head(&mut self, head: Head) {
        self.status.head = head;
        if self.config.sealers.contains(&self.local) {
            self.signed_head = SignedHead::sign(head, self.config.fork_digest, &self.key);
            self.update_view();
        }
    }

    /// A stranger that was told goodbye has a moment to read it and to go by itself.
    fn dismiss(&mut self, peer: PeerId) {
        let leave = self.now() + FAREWELL;
        if let Some(state) = self.peers.get(&peer) {
            state.leave = Some(leave);
        }
    }

    /// A stranger goes, and stays away for a while.
    pub(super) fn send_away(&mut self, peer: PeerId) {
        self.metrics.network.strangers.increment(1);
        self.ban(peer, Some(self.config.limits.ban));
    }

    pub(super) fn on_identify(&mut self, event: identify::Event) {
        let identify::Event::Received { peer_id, info, .. } = event else { return };
        let addresses: Vec<_> = info.listen_addrs.into_iter().take(ADDRESSES_MAX).collect();
        if let Some(kad) = self.swarm.behaviour_mut().kad.as_mut()
            && info.protocols.iter().any(|protocol| kad.protocol_names().contains(protocol))
        {
            for address in &addresses {
                kad.add_address(&peer_id, address.clone());
            }
        }
        if let Some(state) = self.peers.get(&peer_id) {
            let printable = info.agent_version.chars().filter(|one| !one.is_control());
            state.agent = printable.take(AGENT_CHARS_MAX).collect();
            state.listen = addresses;
        }
    }

    pub(super) fn on_ping(&mut self, event: ping::Event) {
        let Some(state) = self.peers.get(&event.peer) else { return };
        match event.result {
            Ok(round_trip) => {
                state.round_trip = Some(round_trip);
                state.ping_failures = 0;
            }
            Err(ping::Failure::Unsupported) => {}
            Err(_) => {
                state.ping_failures += 1;
                if state.ping_failures >= PING_FAILURES_MAX {
                    tracing::debug!(target: "weft::p2p", peer = %event.peer, "peer does not answer pings");
                    self.swarm.close_connection(event.connection);
                }
            }
        }
    }

    pub(super) fn on_mdns(&mut self, event: mdns::Event) {
        let mdns::Event::Discovered(found) = event else { return };
        for (peer, address) in found {
            let has_room = self.swarm.network_info().num_peers() < self.config.limits.peers_max as usize;
            if peer != self.local && has_room && !self.peers.contains(&peer) {
                self.dial(peer, vec![address]);
            }
        }
    }
}
