//! Requests of this node that are under way: so many per peer and protocol, the next ones wait in order.
//!
//! A request whose asker has given up leaves the queue unasked. One that is under way keeps its slot until the peer
//! answers or the request's own timeout ends it: a peer that never answers costs its own slots and no other peer's.

use crate::{
    RequestError,
    behaviour::Requests,
    codec::{Answer, Exchange, Parcel},
    handle::Ask,
    wire::Wire,
};
use libp2p::{PeerId, request_response::OutboundRequestId};
use std::collections::{HashMap, VecDeque};
use tokio::sync::oneshot;

/// Requests that wait for a slot, as a multiple of the slots.
const WAITING_PER_SLOT: usize = 8;

type Asked<P> = Ask<<P as Exchange>::Request, <P as Exchange>::Response>;
type Reply<P> = oneshot::Sender<Result<<P as Exchange>::Response, RequestError>>;

struct Lane<P: Exchange> {
    open: usize,
    waiting: VecDeque<Asked<P>>,
}

/// All requests of one protocol.
pub(super) struct Outgoing<P: Exchange> {
    open: HashMap<OutboundRequestId, (PeerId, Reply<P>)>,
    lanes: HashMap<PeerId, Lane<P>>,
}

impl<P: Exchange> Default for Outgoing<P> {
    fn default() -> Self {
        Self { open: HashMap::new(), lanes: HashMap::new() }
    }
}

impl<P: Exchange> Outgoing<P> {
    /// Sends, or queues, or refuses. Returns the bytes that were sent.
    pub(super) fn ask(&mut self, ask: Asked<P>, slots: usize, requests: &mut Requests<P>) -> usize {
        let lane = self.lanes.entry(ask.peer).or_insert_with(|| Lane { open: 0, waiting: VecDeque::new() });
        if lane.waiting.len() >= slots * WAITING_PER_SLOT {
            lane.waiting.retain(|waiting| !waiting.reply.is_closed());
        }
        if lane.waiting.len() >= slots * WAITING_PER_SLOT {
            // Who asked may have gone.
            let _ = ask.reply.send(Err(RequestError::QueueFull));
            return 0;
        }
        let peer = ask.peer;
        lane.waiting.push_back(ask);
        self.send(&peer, slots, requests)
    }

    /// A request has ended. Returns whom it was asked of and who waits for the answer.
    pub(super) fn ended(&mut self, id: OutboundRequestId) -> Option<(PeerId, Reply<P>)> {
        let (peer, reply) = self.open.remove(&id)?;
        if let Some(lane) = self.lanes.get_mut(&peer) {
            lane.open = lane.open.saturating_sub(1);
        }
        Some((peer, reply))
    }

    /// Fills the free slots of a peer. Returns the bytes that were sent.
    pub(super) fn send(&mut self, peer: &PeerId, slots: usize, requests: &mut Requests<P>) -> usize {
        let Some(lane) = self.lanes.get_mut(peer) else { return 0 };
        let mut bytes = 0;
        while lane.open < slots {
            let Some(ask) = lane.waiting.pop_front() else { break };
            if ask.reply.is_closed() {
                continue;
            }
            let frame = ask.request.to_frame();
            bytes += frame.len() + 4;
            let id = requests.send_request(peer, Parcel::Out(frame));
            self.open.insert(id, (*peer, ask.reply));
            lane.open += 1;
        }
        if lane.open == 0 && lane.waiting.is_empty() {
            self.lanes.remove(peer);
        }
        bytes
    }

    /// The peer is gone: what waits for it fails. What is under way is told by the swarm.
    pub(super) fn lost(&mut self, peer: &PeerId) {
        let Some(lane) = self.lanes.get_mut(peer) else { return };
        for ask in lane.waiting.drain(..) {
            // Who asked may have gone.
            let _ = ask.reply.send(Err(RequestError::NotConnected));
        }
        if lane.open == 0 {
            self.lanes.remove(peer);
        }
    }
}

/// The answer inside of a parcel that came in, and its bytes.
pub(super) fn opened<T>(parcel: Parcel<Answer<T>>) -> (Result<T, RequestError>, usize) {
    match parcel {
        Parcel::In(answer, bytes) => (answer.0.map_err(RequestError::Refused), bytes),
        Parcel::Out(_) => (Err(RequestError::Io("an answer that goes out came in".to_owned())), 0),
    }
}
