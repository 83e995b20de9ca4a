//! The network as consensus sees it: what peers may be asked, and gossip that waits for a ruling.
//!
//! [`Peers`] stands between the workers here and `weft-p2p`, so that tests put peers of their own at the mailbox: silent
//! ones, liars, and those that answer out of order.

use alloy_primitives::{Bytes, TxHash};
use std::{collections::BTreeMap, fmt, future::Future, time::Duration};
use weft_p2p::{
    Announced, BlockAnnouncement, BodyPart, BodyRequest, Head, HeadersRequest, NetworkHandle, Offence,
    PeerId, PublishError, RemoteStatus, RequestError, TxAnnouncement,
};

/// Connected peers and what they last said of themselves; as many as the network allows (`peers_max`).
pub type PeerTable = BTreeMap<PeerId, RemoteStatus>;

/// What consensus asks of the network. Implemented by [`NetworkHandle`].
pub trait Peers: Send + Sync + 'static {
    /// RLP of headers, not checked.
    fn headers(
        &self,
        peer: PeerId,
        request: HeadersRequest,
        deadline: Duration,
    ) -> impl Future<Output = Result<Vec<Bytes>, RequestError>> + Send;

    /// Part of a body, not checked against a header.
    fn body(
        &self,
        peer: PeerId,
        request: BodyRequest,
        deadline: Duration,
    ) -> impl Future<Output = Result<BodyPart, RequestError>> + Send;

    /// Those transactions that the peer has and that fit into one answer, not hashed.
    fn transactions(
        &self,
        peer: PeerId,
        hashes: Vec<TxHash>,
        deadline: Duration,
    ) -> impl Future<Output = Result<Vec<Bytes>, RequestError>> + Send;

    /// Lets a peer pay.
    fn report(&self, peer: PeerId, offence: Offence) -> impl Future<Output = ()> + Send;

    /// Gossips transactions that this node has.
    fn announce_transactions(
        &self,
        transactions: Vec<TxAnnouncement>,
    ) -> impl Future<Output = Result<(), PublishError>> + Send;

    /// Gossips a block of this node's own.
    fn publish_block(
        &self,
        block: BlockAnnouncement,
    ) -> impl Future<Output = Result<(), PublishError>> + Send;

    /// Makes the head that others see.
    fn set_head(&self, head: Head) -> impl Future<Output = ()> + Send;
}

impl Peers for NetworkHandle {
    async fn headers(
        &self,
        peer: PeerId,
        request: HeadersRequest,
        deadline: Duration,
    ) -> Result<Vec<Bytes>, RequestError> {
        Self::headers(self, peer, request, deadline).await
    }

    async fn body(
        &self,
        peer: PeerId,
        request: BodyRequest,
        deadline: Duration,
    ) -> Result<BodyPart, RequestError> {
        Self::body(self, peer, request, deadline).await
    }

    async fn transactions(
        &self,
        peer: PeerId,
        hashes: Vec<TxHash>,
        deadline: Duration,
    ) -> Result<Vec<Bytes>, RequestError> {
        Self::transactions(self, peer, hashes, deadline).await
    }

    async fn report(&self, peer: PeerId, offence: Offence) {
        Self::report(self, peer, offence).await;
    }

    async fn announce_transactions(&self, transactions: Vec<TxAnnouncement>) -> Result<(), PublishError> {
        Self::announce_transactions(self, transactions).await
    }

    async fn publish_block(&self, block: BlockAnnouncement) -> Result<(), PublishError> {
        Self::publish_block(self, block).await
    }

    async fn set_head(&self, head: Head) {
        Self::set_head(self, head).await;
    }
}

/// What becomes of a gossiped message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Passed on.
    Accept,
    /// Not passed on; nobody is blamed.
    Ignore,
    /// Not passed on; who sent it pays.
    Reject(Offence),
}

/// Gossip on its way to a worker. When its ruling is never given it is ignored.
pub struct Incoming<T> {
    /// Who passed it to us.
    pub peer: PeerId,
    /// Who made it, proven by a signature; blocks have one.
    pub author: Option<PeerId>,
    /// What was said.
    pub value: T,
    /// Takes the ruling.
    pub verdict: Verdict,
}

/// The right to rule on a message once. Dropped, the message is ignored.
pub struct Verdict(Box<dyn FnOnce(Ruling) + Send>);

impl Verdict {
    /// Calls `rule` with the ruling.
    pub fn new(rule: impl FnOnce(Ruling) + Send + 'static) -> Self {
        Self(Box::new(rule))
    }

    /// Rules.
    pub fn give(self, ruling: Ruling) {
        (self.0)(ruling);
    }
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verdict")
    }
}

impl<T: fmt::Debug> fmt::Debug for Incoming<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("peer", &self.peer)
            .field("value", &self.value)
            .finish_non_exhaustive()
    }
}

impl<T> From<Announced<T>> for Incoming<T> {
    fn from(announced: Announced<T>) -> Self {
        let (peer, author) = (announced.peer, announced.author);
        let (value, open) = announced.split();
        let verdict = Verdict::new(move |ruling| match ruling {
            Ruling::Accept => open.accept(),
            Ruling::Ignore => open.ignore(),
            Ruling::Reject(offence) => open.reject(offence),
        });
        Self { peer, author, value, verdict }
    }
}
