//! Requests of others that are being answered.

use crate::{
    Refusal, Serve,
    codec::{Answer, Bodies, Cells, Commitments, Exchange, Headers, Parcel, Transactions},
    headers::HeadersResponse,
    transactions::TransactionsResponse,
    wire::{Frame, Wire},
};
use libp2p::{
    PeerId,
    request_response::{InboundRequestId, ResponseChannel},
};
use std::collections::HashMap;

/// Where an answer goes.
pub(super) type Channel<P> = ResponseChannel<Parcel<Answer<<P as Exchange>::Response>>>;

/// An encoded answer on its way back to the worker.
pub(super) struct Done<P: Exchange> {
    pub(super) peer: PeerId,
    pub(super) id: InboundRequestId,
    pub(super) channel: Channel<P>,
    pub(super) frame: Frame,
}

/// The same of any protocol.
pub(super) enum Served {
    Headers(Done<Headers>),
    Bodies(Done<Bodies>),
    Cells(Done<Cells>),
    Commitments(Done<Commitments>),
    Transactions(Done<Transactions>),
}

/// A protocol that is answered by [`Serve`].
pub(super) trait Answered: Exchange {
    fn answer(serve: &dyn Serve, request: Self::Request) -> Result<Self::Response, Refusal>;
    fn served(done: Done<Self>) -> Served;
}

impl Answered for Headers {
    fn answer(serve: &dyn Serve, request: Self::Request) -> Result<Self::Response, Refusal> {
        let mut headers = serve.headers(request);
        headers.truncate(request.count as usize);
        if headers.is_empty() { Err(Refusal::NotFound) } else { Ok(HeadersResponse(headers)) }
    }

    fn served(done: Done<Self>) -> Served {
        Served::Headers(done)
    }
}

impl Answered for Bodies {
    fn answer(serve: &dyn Serve, request: Self::Request) -> Result<Self::Response, Refusal> {
        serve.body(request).ok_or(Refusal::NotFound)
    }

    fn served(done: Done<Self>) -> Served {
        Served::Bodies(done)
    }
}

impl Answered for Cells {
    fn answer(serve: &dyn Serve, request: Self::Request) -> Result<Self::Response, Refusal> {
        serve.cells(request).ok_or(Refusal::NotFound)
    }

    fn served(done: Done<Self>) -> Served {
        Served::Cells(done)
    }
}

impl Answered for Commitments {
    fn answer(serve: &dyn Serve, request: Self::Request) -> Result<Self::Response, Refusal> {
        serve.commitment(request).ok_or(Refusal::NotFound)
    }

    fn served(done: Done<Self>) -> Served {
        Served::Commitments(done)
    }
}

impl Answered for Transactions {
    fn answer(serve: &dyn Serve, request: Self::Request) -> Result<Self::Response, Refusal> {
        Ok(TransactionsResponse(serve.transactions(&request.hashes, request.max_bytes as usize)))
    }

    fn served(done: Done<Self>) -> Served {
        Served::Transactions(done)
    }
}

/// An answer as it is sent. One that is longer than the protocol allows is refused here, not by the asker.
pub(super) fn encode<P: Answered>(answer: Result<P::Response, Refusal>) -> Frame {
    let frame = Answer(answer).to_frame();
    if frame.len() <= <Answer<P::Response> as Wire>::BYTES_MAX {
        return frame;
    }
    tracing::error!(target: "weft::p2p", protocol = P::NAME, bytes = frame.len(), "an answer is too long to be sent");
    Answer::<P::Response>(Err(Refusal::Failed)).to_frame()
}

/// Requests of one protocol that are open: whose they are, and how many bytes of answer are on their way.
pub(super) struct Incoming<P> {
    open: HashMap<InboundRequestId, (PeerId, usize)>,
    protocol: std::marker::PhantomData<P>,
}

impl<P> Default for Incoming<P> {
    fn default() -> Self {
        Self { open: HashMap::new(), protocol: std::marker::PhantomData }
    }
}

impl<P> Incoming<P> {
    /// Requests of a peer that are open.
    pub(super) fn of(&self, peer: &PeerId) -> usize {
        self.open.values().filter(|(other, _)| other == peer).count()
    }

    pub(super) fn begin(&mut self, id: InboundRequestId, peer: PeerId) {
        self.open.insert(id, (peer, 0));
    }

    /// The answer was handed to the socket. Says whether anybody still waits for it.
    pub(super) fn answered(&mut self, id: InboundRequestId, bytes: usize) -> bool {
        let Some((_, open)) = self.open.get_mut(&id) else { return false };
        *open = bytes;
        true
    }

    /// It is written, or never will be. Returns the bytes that are no longer on their way.
    pub(super) fn end(&mut self, id: InboundRequestId) -> usize {
        self.open.remove(&id).map_or(0, |(_, bytes)| bytes)
    }
}
