//! Events on their way to the node. Gossip that finds no room is dropped; that a peer came or went is not.

use crate::NetworkEvent;
use std::collections::VecDeque;
use tokio::sync::mpsc;

/// The sending end of the event channel with what did not fit.
///
/// The backlog holds lifecycle events only. Of one peer it holds at most a departure, an arrival and a status: an arrival
/// that was not told yet is taken back by its departure, a status by the next one. So it has at most three entries per
/// connected peer and one for each that was told of and has left since.
#[derive(Debug)]
pub(super) struct Outbox {
    events: mpsc::Sender<NetworkEvent>,
    backlog: VecDeque<NetworkEvent>,
}

impl Outbox {
    pub(super) fn new(events: mpsc::Sender<NetworkEvent>) -> Self {
        Self { events, backlog: VecDeque::new() }
    }

    /// An event that is dropped, with its verdict, when there is no room. Says whether there was.
    pub(super) fn gossip(&mut self, event: NetworkEvent) -> bool {
        self.backlog.is_empty() && self.events.try_send(event).is_ok()
    }

    /// An event that is told sooner or later, unless a later one has made it untrue.
    pub(super) fn lifecycle(&mut self, event: NetworkEvent) {
        match &event {
            NetworkEvent::PeerDown(peer) => {
                let before = self.backlog.len();
                let mut told = true;
                self.backlog.retain(|waiting| match waiting {
                    NetworkEvent::PeerUp(other, _) if other == peer => {
                        told = false;
                        false
                    }
                    NetworkEvent::PeerStatus(other, _) => other != peer,
                    _ => true,
                });
                if before != self.backlog.len() && !told {
                    return;
                }
            }
            NetworkEvent::PeerStatus(peer, _) => {
                self.backlog.retain(
                    |waiting| !matches!(waiting, NetworkEvent::PeerStatus(other, _) if other == peer),
                );
            }
            _ => {}
        }
        if !self.backlog.is_empty() {
            return self.backlog.push_back(event);
        }
        match self.events.try_send(event) {
            Err(mpsc::error::TrySendError::Full(event)) => self.backlog.push_back(event),
            // Sent, or nobody listens any more.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
    }

    /// Tells one event of the backlog when there is room for it; waits for ever when there is none to tell.
    pub(super) async fn flush(&mut self) {
        if self.backlog.is_empty() {
            return std::future::pending().await;
        }
        match self.events.reserve().await {
            Ok(permit) => {
                if let Some(event) = self.backlog.pop_front() {
                    permit.send(event);
                }
            }
            Err(_) => self.backlog.clear(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Head, RemoteStatus, Role};
    use libp2p::PeerId;

    fn status() -> RemoteStatus {
        RemoteStatus {
            role: Role::Full,
            custody_count: 4,
            head: Head::default(),
            earliest_body: 0,
            earliest_columns: 0,
            signed_head: None,
        }
    }

    #[tokio::test]
    async fn comings_and_goings_survive_a_full_channel_and_cancel_each_other() {
        let (sender, mut events) = mpsc::channel(1);
        let mut outbox = Outbox::new(sender);
        let (a, b) = (PeerId::random(), PeerId::random());
        outbox.lifecycle(NetworkEvent::PeerUp(a, status()));
        outbox.lifecycle(NetworkEvent::PeerStatus(a, status()));
        for _ in 0..1000 {
            outbox.lifecycle(NetworkEvent::PeerUp(b, status()));
            outbox.lifecycle(NetworkEvent::PeerStatus(b, status()));
            outbox.lifecycle(NetworkEvent::PeerDown(b));
        }
        outbox.lifecycle(NetworkEvent::PeerDown(a));
        assert!(!outbox.gossip(NetworkEvent::PeerDown(b)), "no room, and order is kept");
        assert_eq!(outbox.backlog.len(), 1);
        assert!(matches!(events.recv().await, Some(NetworkEvent::PeerUp(peer, _)) if peer == a));
        outbox.flush().await;
        assert!(matches!(events.recv().await, Some(NetworkEvent::PeerDown(peer)) if peer == a));
        assert!(outbox.gossip(NetworkEvent::PeerDown(b)));
    }
}
