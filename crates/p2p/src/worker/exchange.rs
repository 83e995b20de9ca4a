//! The worker's part in the request/response protocols that [`Serve`](crate::Serve) answers: the same for all of them.

use super::{
    Worker,
    incoming::{Answered, Channel, Done, Incoming, Served, encode},
    outgoing::{Outgoing, opened},
};
use crate::{
    Offence, Refusal, RequestError,
    behaviour::{Behaviour, Requests, RequestsEvent},
    codec::{Bodies, Cells, Commitments, Exchange, FrameError, Headers, Parcel, Transactions},
    handle::Ask,
};
use libp2p::{
    PeerId,
    request_response::{
        Event, InboundFailure, InboundRequestId, Message, OutboundFailure, OutboundRequestId,
    },
};
use std::io;

/// So many refusals in a row are a flood.
const REFUSALS_MAX: u32 = 64;

/// Both directions of one protocol.
pub(super) struct Lanes<P: Exchange> {
    pub(super) outgoing: Outgoing<P>,
    pub(super) incoming: Incoming<P>,
}

impl<P: Exchange> Default for Lanes<P> {
    fn default() -> Self {
        Self { outgoing: Outgoing::default(), incoming: Incoming::default() }
    }
}

impl<P: Exchange> Lanes<P> {
    pub(super) fn lost(&mut self, peer: &PeerId) {
        self.outgoing.lost(peer);
    }
}

/// Where the worker keeps what belongs to a protocol.
pub(super) trait Kept: Answered {
    fn requests(behaviour: &mut Behaviour) -> &mut Requests<Self>;
    fn split(worker: &mut Worker) -> (&mut Lanes<Self>, &mut Behaviour);
}

macro_rules! kept {
    ($($protocol:ident: $field:ident;)*) => {$(
        impl Kept for $protocol {
            fn requests(behaviour: &mut Behaviour) -> &mut Requests<Self> {
                &mut behaviour.$field
            }

            fn split(worker: &mut Worker) -> (&mut Lanes<Self>, &mut Behaviour) {
                (&mut worker.$field, worker.swarm.behaviour_mut())
            }
        }
    )*};
}

kept! {
    Headers: headers;
    Bodies: bodies;
    Cells: cells;
    Commitments: commitments;
    Transactions: transactions;
}

/// The rule that a stream broke, if it broke one.
pub(super) fn offence_of(error: &io::Error) -> Option<Offence> {
    let broken = FrameError::of(error)?;
    Some(if broken.is_oversized() { Offence::Oversized } else { Offence::Undecodable })
}

impl Worker {
    /// Asks a peer on behalf of the node.
    pub(super) fn ask<P: Kept>(&mut self, ask: Ask<P::Request, P::Response>) {
        let peer = ask.peer;
        if !self.peers.contains(&peer) {
            // Who asked may have gone.
            let _ = ask.reply.send(Err(RequestError::NotConnected));
            return;
        }
        self.metrics.protocol(P::PROTOCOL).requests_out.increment(1);
        let slots = self.config.limits.requests_out_max;
        let (lanes, behaviour) = P::split(self);
        let bytes = lanes.outgoing.ask(ask, slots, P::requests(behaviour));
        self.count_out::<P>(&peer, bytes);
    }

    pub(super) fn on_exchange<P: Kept>(&mut self, event: RequestsEvent<P>) {
        match event {
            Event::Message { peer, message: Message::Request { request_id, request, channel }, .. } => {
                self.on_request::<P>(peer, request_id, request, channel);
            }
            Event::Message { peer, message: Message::Response { request_id, response }, .. } => {
                let (answer, bytes) = opened(response);
                self.count_in::<P>(&peer, bytes);
                self.on_answer::<P>(request_id, answer);
            }
            Event::OutboundFailure { peer, request_id, error, .. } => {
                let (error, offence) = self.failure(error);
                self.on_answer::<P>(request_id, Err(error));
                if let Some(offence) = offence {
                    self.punish(peer, offence);
                }
            }
            Event::InboundFailure { peer, request_id, error, .. } => {
                self.on_request_end::<P>(request_id);
                self.on_inbound_failure(peer, &error);
            }
            Event::ResponseSent { request_id, .. } => self.on_request_end::<P>(request_id),
        }
    }

    pub(super) fn on_inbound_failure(&mut self, peer: PeerId, error: &InboundFailure) {
        if let InboundFailure::Io(error) = error
            && let Some(offence) = offence_of(error)
        {
            self.punish(peer, offence);
        }
    }

    /// What a failed request is to its asker, and what it costs the peer.
    pub(super) fn failure(&self, failure: OutboundFailure) -> (RequestError, Option<Offence>) {
        match failure {
            OutboundFailure::Timeout => {
                (RequestError::Deadline(self.config.limits.request_timeout), Some(Offence::Timeout))
            }
            OutboundFailure::ConnectionClosed | OutboundFailure::DialFailure => {
                (RequestError::NotConnected, None)
            }
            OutboundFailure::UnsupportedProtocols => (RequestError::Unsupported, None),
            OutboundFailure::Io(error) => match offence_of(&error) {
                Some(offence) => (RequestError::BadAnswer(error.to_string()), Some(offence)),
                None => (RequestError::Io(error.to_string()), None),
            },
        }
    }

    fn on_answer<P: Kept>(&mut self, id: OutboundRequestId, answer: Result<P::Response, RequestError>) {
        if answer.is_err() {
            self.metrics.protocol(P::PROTOCOL).requests_failed.increment(1);
        }
        let slots = self.config.limits.requests_out_max;
        let (lanes, behaviour) = P::split(self);
        let Some((peer, reply)) = lanes.outgoing.ended(id) else { return };
        // Who asked may have given up.
        let _ = reply.send(answer);
        let bytes = lanes.outgoing.send(&peer, slots, P::requests(behaviour));
        self.count_out::<P>(&peer, bytes);
    }

    fn on_request<P: Kept>(
        &mut self,
        peer: PeerId,
        id: InboundRequestId,
        parcel: Parcel<P::Request>,
        channel: Channel<P>,
    ) {
        let Parcel::In(request, bytes) = parcel else { return };
        self.count_in::<P>(&peer, bytes);
        self.metrics.protocol(P::PROTOCOL).requests_in.increment(1);
        P::split(self).0.incoming.begin(id, peer);
        if let Some(refusal) = self.refusal::<P>(&peer) {
            self.metrics.protocol(P::PROTOCOL).requests_refused.increment(1);
            self.send_answer::<P>(Done { peer, id, channel, frame: encode::<P>(Err(refusal)) });
            return;
        }
        let (serve, permits, served) =
            (self.serve.clone(), self.serve_permits.clone(), self.served_in.clone());
        self.serve_tasks.spawn(async move {
            let Ok(_permit) = permits.acquire_owned().await else { return };
            if !channel.is_open() {
                return;
            }
            let answer = tokio::task::spawn_blocking(move || encode::<P>(P::answer(&*serve, request)));
            // A panic of the node's is an answer too.
            let frame = answer.await.unwrap_or_else(|_| encode::<P>(Err(Refusal::Failed)));
            // A worker that has ended sends nothing.
            let _ = served.send(P::served(Done { peer, id, channel, frame })).await;
        });
    }

    /// Whether a peer asks too much, in number, in bytes, at one time; or all peers together do.
    fn refusal<P: Kept>(&mut self, peer: &PeerId) -> Option<Refusal> {
        let now = self.now();
        // The one that asks now is counted.
        let open = P::split(self).0.incoming.of(peer).saturating_sub(1);
        let state = self.peers.get(peer)?;
        let refusal = if !state.requests.take(1.0, now) || !state.serve_bytes.has_some(now) {
            Refusal::RateLimited
        } else if open >= self.config.limits.requests_in_max
            || self.serving_bytes > self.config.limits.serve_bytes_max
        {
            Refusal::Busy
        } else {
            state.refusals = 0;
            return None;
        };
        state.refusals += 1;
        if state.refusals >= REFUSALS_MAX {
            state.refusals = 0;
            self.punish(*peer, Offence::Flood);
        }
        Some(refusal)
    }

    pub(super) fn on_served(&mut self, served: Served) {
        match served {
            Served::Headers(done) => self.send_answer(done),
            Served::Bodies(done) => self.send_answer(done),
            Served::Cells(done) => self.send_answer(done),
            Served::Commitments(done) => self.send_answer(done),
            Served::Transactions(done) => self.send_answer(done),
        }
    }

    fn send_answer<P: Kept>(&mut self, done: Done<P>) {
        let Done { peer, id, channel, frame } = done;
        let bytes = frame.len() + 4;
        let now = self.now();
        let (lanes, behaviour) = P::split(self);
        if !lanes.incoming.answered(id, bytes) {
            return;
        }
        // Fails when the asker is gone, which ends the request by an event of its own.
        let _ = P::requests(behaviour).send_response(channel, Parcel::Out(frame));
        self.serving_bytes += bytes;
        self.count_out::<P>(&peer, bytes);
        if let Some(state) = self.peers.get(&peer) {
            state.serve_bytes.charge(bytes as f64, now);
        }
    }

    fn on_request_end<P: Kept>(&mut self, id: InboundRequestId) {
        let bytes = P::split(self).0.incoming.end(id);
        self.serving_bytes = self.serving_bytes.saturating_sub(bytes);
    }

    pub(super) fn count_in<P: Exchange>(&mut self, peer: &PeerId, bytes: usize) {
        self.metrics.protocol(P::PROTOCOL).bytes_in.increment(bytes as u64);
        if let Some(state) = self.peers.get(peer) {
            state.count_in(P::PROTOCOL, bytes);
        }
    }

    pub(super) fn count_out<P: Exchange>(&mut self, peer: &PeerId, bytes: usize) {
        self.metrics.protocol(P::PROTOCOL).bytes_out.increment(bytes as u64);
        if let Some(state) = self.peers.get(peer) {
            state.count_out(P::PROTOCOL, bytes);
        }
    }
}
