//! What the network tells the node: peers that come and go, and gossip that waits for a verdict.
//!
//! Gossip is passed on only after [`Announced::accept`]. A message whose verdict is dropped is ignored: it is not
//! passed on, and nobody is blamed.

use crate::{BlockAnnouncement, ColumnSegment, Offence, RemoteStatus, TxAnnouncement};
use libp2p::{PeerId, gossipsub::MessageId};
use std::{fmt, ops::Deref};
use tokio::sync::mpsc;

/// What happened.
#[allow(
    clippy::large_enum_variant,
    reason = "a block is 1 KiB and comes once a second; its reader matches on it directly"
)]
#[derive(Debug)]
pub enum NetworkEvent {
    /// A peer of our chain is connected, and this is what it says of itself.
    PeerUp(PeerId, RemoteStatus),
    /// It is gone.
    PeerDown(PeerId),
    /// It said something new of itself.
    PeerStatus(PeerId, RemoteStatus),
    /// A block by one of the sealers.
    Block(Announced<BlockAnnouncement>),
    /// Transactions that a peer has.
    Transactions(Announced<Vec<TxAnnouncement>>),
    /// Cells of a column that we subscribe to; not verified yet.
    Segment(Announced<ColumnSegment>),
}

/// A gossiped value that waits for a verdict.
pub struct Announced<T> {
    /// Who passed it to us, and pays for it when it is bad.
    pub peer: PeerId,
    /// Who made it, proven by a signature; blocks have one.
    pub author: Option<PeerId>,
    /// What was announced.
    pub value: T,
    verdict: Verdict,
}

impl<T> Announced<T> {
    pub(crate) fn new(peer: PeerId, author: Option<PeerId>, value: T, verdict: Verdict) -> Self {
        Self { peer, author, value, verdict }
    }

    /// It is good: pass it on to others.
    pub fn accept(self) {
        self.verdict.give(Ruling::Accept);
    }

    /// It is of no use here: do not pass it on, blame nobody.
    pub fn ignore(self) {
        self.verdict.give(Ruling::Ignore);
    }

    /// It is bad: do not pass it on, and let the peer who sent it pay.
    pub fn reject(self, offence: Offence) {
        self.verdict.give(Ruling::Reject(offence));
    }

    /// Takes the value out; the verdict is given later with what is returned beside it.
    pub fn split(self) -> (T, Announced<()>) {
        let Self { peer, author, value, verdict } = self;
        (value, Announced { peer, author, value: (), verdict })
    }
}

impl<T> Deref for Announced<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Announced<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announced")
            .field("peer", &self.peer)
            .field("value", &self.value)
            .finish_non_exhaustive()
    }
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    Accept,
    Ignore,
    Reject(Offence),
}

/// A message's ruling on its way to the worker.
#[derive(Debug)]
pub(crate) struct Ruled {
    pub(crate) peer: PeerId,
    pub(crate) message: MessageId,
    pub(crate) ruling: Ruling,
}

/// The right to rule once; dropped, it rules `Ignore`.
///
/// The channel is unbounded, and its length bounded all the same: one ruling per event, and at most `events_max`
/// events wait for theirs plus those that the node has taken out, whose number the node bounds.
pub(crate) struct Verdict {
    open: Option<(PeerId, MessageId)>,
    worker: mpsc::UnboundedSender<Ruled>,
}

impl Verdict {
    pub(crate) fn new(peer: PeerId, message: MessageId, worker: mpsc::UnboundedSender<Ruled>) -> Self {
        Self { open: Some((peer, message)), worker }
    }

    fn give(mut self, ruling: Ruling) {
        self.send(ruling);
    }

    fn send(&mut self, ruling: Ruling) {
        if let Some((peer, message)) = self.open.take() {
            // A worker that has ended needs no rulings.
            let _ = self.worker.send(Ruled { peer, message, ruling });
        }
    }
}

impl Drop for Verdict {
    fn drop(&mut self) {
        self.send(Ruling::Ignore);
    }
}
