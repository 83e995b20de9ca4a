//! Gossip: what comes in is decoded and handed to the node with a verdict to give, what the node says goes out.

use super::Worker;
use crate::{
    Announced, BlockAnnouncement, ColumnSegment, NetworkEvent, Offence, Protocol, PublishError, Topic,
    TxAnnouncement,
    event::{Ruled, Ruling, Verdict},
    gossip::{Announcements, SignedAnnouncement},
    wire::Wire,
};
use libp2p::{
    PeerId,
    gossipsub::{self, Message, MessageAcceptance, MessageId, TopicHash},
};

/// Published bytes that the quickest of the getters may have to wait for: half of gossipsub's queue of megabytes.
const BACKLOG_BYTES_MAX: u64 = 32 << 20;

impl Topic {
    fn protocol(self) -> Protocol {
        match self {
            Self::Blocks => Protocol::GossipBlocks,
            Self::Transactions => Protocol::GossipTransactions,
            Self::Column(_) => Protocol::GossipColumns,
        }
    }
}

impl Worker {
    pub(super) fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                self.on_message(propagation_source, message_id, message);
            }
            gossipsub::Event::SlowPeer { peer_id, failed_messages } => {
                let lost = failed_messages.publish + failed_messages.forward + failed_messages.timeout;
                self.metrics.network.gossip_slow_peer.increment(lost as u64);
                tracing::debug!(target: "weft::p2p", peer = %peer_id, lost, "peer is too slow for gossip");
            }
            gossipsub::Event::Subscribed { peer_id, topic } => self.on_subscribed(peer_id, &topic, true),
            gossipsub::Event::Unsubscribed { peer_id, topic } => self.on_subscribed(peer_id, &topic, false),
            gossipsub::Event::GossipsubNotSupported { .. } => {}
        }
    }

    fn on_subscribed(&mut self, peer: PeerId, topic: &TopicHash, listens: bool) {
        let (Some(topic), Some(state)) = (self.topics.get(topic), self.peers.get(&peer)) else { return };
        if listens {
            state.topics.insert(*topic);
        } else {
            state.topics.remove(topic);
        }
        self.update_view();
    }

    fn on_message(&mut self, peer: PeerId, id: MessageId, message: Message) {
        let Some(topic) = self.topics.get(&message.topic).copied() else { return };
        let (bytes, now) = (message.data.len(), self.now());
        self.metrics.protocol(topic.protocol()).bytes_in.increment(bytes as u64);
        let verdict = Verdict::new(peer, id, self.rulings_in.clone());
        let Some(state) = self.peers.get(&peer) else { return };
        state.count_in(topic.protocol(), bytes);
        if !state.gossip_bytes.take(bytes as f64, now) {
            // The verdict is dropped: ignored.
            return self.metrics.network.gossip_overflow.increment(1);
        }
        let event = match self.decode(topic, peer, message.data.into()) {
            Ok(decoded) => decoded.with(peer, verdict),
            Err(offence) => return Announced::new(peer, None, (), verdict).reject(offence),
        };
        if !self.outbox.gossip(event) {
            self.metrics.network.gossip_overflow.increment(1);
        }
    }

    fn decode(&mut self, topic: Topic, peer: PeerId, data: bytes::Bytes) -> Result<Decoded, Offence> {
        let undecodable = |error| {
            tracing::debug!(target: "weft::p2p", %peer, ?topic, %error, "gossip cannot be decoded");
            Offence::Undecodable
        };
        match topic {
            Topic::Blocks => {
                let signed = SignedAnnouncement::from_frame(&data).map_err(undecodable)?;
                let author = signed.signed_head.signer;
                if !self.config.sealers.contains(&author) {
                    return Err(Offence::StrangersBlock);
                }
                if !signed.is_valid(self.config.fork_digest) {
                    return Err(Offence::BadProof);
                }
                self.adopt(&signed.signed_head);
                Ok(Decoded::Block(author, signed.announcement))
            }
            Topic::Transactions => {
                Ok(Decoded::Transactions(Announcements::from_frame(&data).map_err(undecodable)?.0))
            }
            Topic::Column(column) => {
                let segment = ColumnSegment::from_frame(&data).map_err(undecodable)?;
                if segment.column() != column || segment.range.cells.is_empty() {
                    return Err(Offence::Undecodable);
                }
                Ok(Decoded::Segment(segment))
            }
        }
    }

    pub(super) fn on_ruled(&mut self, ruled: Ruled) {
        let network = &self.metrics.network;
        let acceptance = match ruled.ruling {
            Ruling::Accept => {
                network.gossip_accepted.increment(1);
                MessageAcceptance::Accept
            }
            Ruling::Ignore => {
                network.gossip_ignored.increment(1);
                MessageAcceptance::Ignore
            }
            Ruling::Reject(_) => {
                network.gossip_rejected.increment(1);
                MessageAcceptance::Reject
            }
        };
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        // Says no when the verdict came after the message was forgotten; then it is not passed on.
        gossip.report_message_validation_result(&ruled.message, &ruled.peer, acceptance);
        if let Ruling::Reject(offence) = ruled.ruling {
            self.punish(ruled.peer, offence);
        }
    }

    pub(super) fn publish_block(&mut self, announcement: BlockAnnouncement) -> Result<(), PublishError> {
        if !self.config.sealers.contains(&self.local) {
            return Err(PublishError::NotSealer);
        }
        let signed = SignedAnnouncement::sign(announcement, self.config.fork_digest, &self.key)
            .ok_or(PublishError::NotSealer)?;
        self.adopt(&signed.signed_head);
        self.publish(Topic::Blocks, &signed)
    }

    pub(super) fn announce_transactions(
        &mut self,
        transactions: Vec<TxAnnouncement>,
    ) -> Result<(), PublishError> {
        self.publish(Topic::Transactions, &Announcements(transactions))
    }

    pub(super) fn publish_segment(&mut self, segment: &ColumnSegment) -> Result<(), PublishError> {
        if segment.column().0 >= self.config.columns {
            return Err(PublishError::NobodyListens);
        }
        self.publish(Topic::Column(segment.column()), segment)
    }

    fn publish<T: Wire>(&mut self, topic: Topic, message: &T) -> Result<(), PublishError> {
        let data = message.to_frame().to_vec();
        // What others would refuse is not sent: they would blame us.
        if T::from_frame(&data.clone().into()).is_err() {
            return Err(PublishError::Length);
        }
        let bytes = data.len();
        self.make_room(topic, bytes)?;
        let published = self.swarm.behaviour_mut().gossip.publish(topic.hash(self.config.fork_digest), data);
        published.map_err(|error| match error {
            gossipsub::PublishError::Duplicate => PublishError::Duplicate,
            gossipsub::PublishError::NoPeersSubscribedToTopic => PublishError::NobodyListens,
            gossipsub::PublishError::AllQueuesFull(_) => PublishError::QueuesFull,
            _ => PublishError::Length,
        })?;
        self.metrics.protocol(topic.protocol()).bytes_out.increment(bytes as u64);
        Ok(())
    }

    /// Books a message for those who will get it, or says that all of them have enough to do. Gossipsub would say so as well,
    /// but takes the message for published then.
    fn make_room(&mut self, topic: Topic, bytes: usize) -> Result<(), PublishError> {
        let hash = topic.hash(self.config.fork_digest);
        let mut getters: Vec<PeerId> = self.swarm.behaviour().gossip.mesh_peers(&hash).copied().collect();
        if getters.is_empty() {
            getters = self.peers.listeners_of(topic);
        }
        let backlog =
            getters.iter().filter_map(|peer| self.peers.get(peer).map(|state| state.backlog())).min();
        if backlog.is_some_and(|bytes| bytes > BACKLOG_BYTES_MAX) {
            return Err(PublishError::QueuesFull);
        }
        for peer in getters {
            if let Some(state) = self.peers.get(&peer) {
                state.owe(bytes);
            }
        }
        Ok(())
    }

    pub(super) fn subscribe(&mut self, topics: &[Topic], listen: bool) {
        let digest = self.config.fork_digest;
        for topic in topics {
            let gossip = &mut self.swarm.behaviour_mut().gossip;
            let ident = topic.ident(digest);
            if !listen {
                gossip.unsubscribe(&ident);
            } else if let Err(error) = gossip.subscribe(&ident) {
                tracing::warn!(target: "weft::p2p", topic = %ident, %error, "this chain has no such topic");
            }
        }
    }
}

/// A message without its verdict.
#[allow(clippy::large_enum_variant, reason = "it lives for one call")]
enum Decoded {
    Block(PeerId, BlockAnnouncement),
    Transactions(Vec<TxAnnouncement>),
    Segment(ColumnSegment),
}

impl Decoded {
    fn with(self, peer: PeerId, verdict: Verdict) -> NetworkEvent {
        match self {
            Self::Block(author, block) => {
                NetworkEvent::Block(Announced::new(peer, Some(author), block, verdict))
            }
            Self::Transactions(all) => NetworkEvent::Transactions(Announced::new(peer, None, all, verdict)),
            Self::Segment(segment) => NetworkEvent::Segment(Announced::new(peer, None, segment, verdict)),
        }
    }
}
