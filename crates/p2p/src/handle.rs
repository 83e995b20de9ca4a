//! The node's end of the network: commands go in, answers come back. Cheap to clone; the network lives until
//! [`NetworkHandle::shutdown`], or until the last handle is dropped.

use crate::{
    BlockAnnouncement, BlockCommitment, BodyPart, BodyRequest, CellsRequest, CellsResponse, ColumnSegment,
    CommitmentRequest, Head, HeadersRequest, NetworkError, Offence, PeerInfo, RemoteStatus, RequestError,
    SignedHead, Topic, TxAnnouncement,
    headers::HeadersResponse,
    transactions::{TransactionsRequest, TransactionsResponse},
    wire::BODY_PART_BYTES,
};
use alloy_primitives::{BlockNumber, Bytes, TxHash};
use libp2p::{Multiaddr, PeerId};
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::{mpsc, oneshot, watch};

/// Commands that wait for the worker. A sender waits when it is full: everything that it says is heard.
pub(crate) const COMMANDS_MAX: usize = 256;

/// Speaks to the network.
#[derive(Clone, Debug)]
pub struct NetworkHandle {
    pub(crate) local: PeerId,
    pub(crate) commands: mpsc::Sender<Cmd>,
    pub(crate) view: watch::Receiver<View>,
}

/// What is read without asking the worker.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// Every listener has an address.
    pub(crate) is_listening: bool,
    pub(crate) peers: usize,
    pub(crate) listen: Vec<Multiaddr>,
    /// Peers that listen to a topic.
    pub(crate) topics: BTreeMap<Topic, usize>,
    pub(crate) signed_head: Option<SignedHead>,
}

/// One request on its way to a peer.
#[derive(Debug)]
pub(crate) struct Ask<Q, A> {
    pub(crate) peer: PeerId,
    pub(crate) request: Q,
    pub(crate) reply: oneshot::Sender<Result<A, RequestError>>,
}

/// What the worker is told.
#[derive(Debug)]
pub(crate) enum Cmd {
    Status(Ask<(), RemoteStatus>),
    Headers(Ask<HeadersRequest, HeadersResponse>),
    Body(Ask<BodyRequest, BodyPart>),
    Cells(Ask<CellsRequest, CellsResponse>),
    Commitment(Ask<CommitmentRequest, BlockCommitment>),
    Transactions(Ask<TransactionsRequest, TransactionsResponse>),
    PublishBlock(Box<BlockAnnouncement>, oneshot::Sender<Result<(), PublishError>>),
    AnnounceTransactions(Vec<TxAnnouncement>, oneshot::Sender<Result<(), PublishError>>),
    PublishSegment(Box<ColumnSegment>, oneshot::Sender<Result<(), PublishError>>),
    Subscribe(Vec<Topic>),
    Unsubscribe(Vec<Topic>),
    SetHead(Head),
    SetEarliest { body: BlockNumber, columns: BlockNumber },
    Report(PeerId, Offence),
    Ban(PeerId, Option<Duration>),
    Unban(PeerId),
    AddPeer(Multiaddr, oneshot::Sender<Result<(), NetworkError>>),
    RemovePeer(PeerId),
    Peers(oneshot::Sender<Vec<PeerInfo>>),
    Shutdown(oneshot::Sender<()>),
}

/// Why a message was not gossiped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// No peer listens to the topic.
    #[error("no peer listens to the topic")]
    NobodyListens,
    /// Every peer that would get it has megabytes to write first; try again in a moment.
    #[error("every peer that would get it has megabytes to write first")]
    QueuesFull,
    /// It was published or received before.
    #[error("it was gossiped before")]
    Duplicate,
    /// Longer than a gossiped message may be, or empty.
    #[error("longer than a gossiped message may be, or empty")]
    Length,
    /// This node's key is not one of the sealers'.
    #[error("this node is not one of the sealers")]
    NotSealer,
    /// The network was shut down.
    #[error("the network is shut down")]
    Closed,
}

impl NetworkHandle {
    /// This node's id.
    pub fn local_peer_id(&self) -> PeerId {
        self.local
    }

    /// Where this node listens, with the ports that the system chose.
    pub fn listen_addresses(&self) -> Vec<Multiaddr> {
        self.view.borrow().listen.clone()
    }

    /// Peers that have said who they are.
    pub fn peer_count(&self) -> usize {
        self.view.borrow().peers
    }

    /// Peers that listen to a topic.
    pub fn topic_peers(&self, topic: Topic) -> usize {
        self.view.borrow().topics.get(&topic).copied().unwrap_or(0)
    }

    /// Waits until so many peers listen to a topic. `false` when the network was shut down before.
    pub async fn wait_for_topic_peers(&self, topic: Topic, peers: usize) -> bool {
        let mut view = self.view.clone();
        let enough = view.wait_for(|view| view.topics.get(&topic).is_some_and(|now| *now >= peers));
        enough.await.is_ok()
    }

    /// The newest head that is known here with the signature of a sealer.
    pub fn signed_head(&self) -> Option<SignedHead> {
        self.view.borrow().signed_head.clone()
    }

    /// Announces a block of this node's own; it must be one of the sealers.
    pub async fn publish_block(&self, block: BlockAnnouncement) -> Result<(), PublishError> {
        self.publish(|reply| Cmd::PublishBlock(Box::new(block), reply)).await
    }

    /// Announces transactions that this node has, at most [`ANNOUNCEMENTS_MAX`](crate::gossip::ANNOUNCEMENTS_MAX).
    pub async fn announce_transactions(&self, transactions: Vec<TxAnnouncement>) -> Result<(), PublishError> {
        self.publish(|reply| Cmd::AnnounceTransactions(transactions, reply)).await
    }

    /// Gossips cells to those who keep their column.
    pub async fn publish_segment(&self, segment: ColumnSegment) -> Result<(), PublishError> {
        self.publish(|reply| Cmd::PublishSegment(Box::new(segment), reply)).await
    }

    /// Asks a peer for its status now.
    pub async fn status(&self, peer: PeerId, deadline: Duration) -> Result<RemoteStatus, RequestError> {
        self.ask(peer, (), deadline, Cmd::Status).await
    }

    /// Headers, the first one first; RLP. Not checked for links or hashes.
    pub async fn headers(
        &self,
        peer: PeerId,
        request: HeadersRequest,
        deadline: Duration,
    ) -> Result<Vec<Bytes>, RequestError> {
        Ok(self.ask(peer, request, deadline, Cmd::Headers).await?.0)
    }

    /// Part of a body. Not checked against a header.
    pub async fn body(
        &self,
        peer: PeerId,
        request: BodyRequest,
        deadline: Duration,
    ) -> Result<BodyPart, RequestError> {
        self.ask(peer, request, deadline, Cmd::Body).await
    }

    /// Cells with their proof; [`CellsResponse::verify`] checks them.
    pub async fn cells(
        &self,
        peer: PeerId,
        request: CellsRequest,
        deadline: Duration,
    ) -> Result<CellsResponse, RequestError> {
        self.ask(peer, request, deadline, Cmd::Cells).await
    }

    /// What a block's `daRoot` commits to; [`BlockCommitment::check`] compares it with the header.
    pub async fn commitment(
        &self,
        peer: PeerId,
        request: CommitmentRequest,
        deadline: Duration,
    ) -> Result<BlockCommitment, RequestError> {
        self.ask(peer, request, deadline, Cmd::Commitment).await
    }

    /// Pooled transactions, those of the hashes that the peer has and that fit into one answer; not hashed yet.
    pub async fn transactions(
        &self,
        peer: PeerId,
        hashes: Vec<TxHash>,
        deadline: Duration,
    ) -> Result<Vec<Bytes>, RequestError> {
        let request = TransactionsRequest { hashes, max_bytes: BODY_PART_BYTES as u32 };
        Ok(self.ask(peer, request, deadline, Cmd::Transactions).await?.0)
    }

    /// All peers that have said who they are.
    pub async fn peers(&self) -> Vec<PeerInfo> {
        let (reply, answer) = oneshot::channel();
        self.send(Cmd::Peers(reply)).await;
        answer.await.unwrap_or_default()
    }

    /// Lets a peer pay for an offence.
    pub async fn report(&self, peer: PeerId, offence: Offence) {
        self.send(Cmd::Report(peer, offence)).await;
    }

    /// Bans a peer, for the configured time unless told otherwise.
    pub async fn ban(&self, peer: PeerId, time: Option<Duration>) {
        self.send(Cmd::Ban(peer, time)).await;
    }

    /// Lifts a ban.
    pub async fn unban(&self, peer: PeerId) {
        self.send(Cmd::Unban(peer)).await;
    }

    /// Adds a static peer: dialled now, and again whenever it is away. The address ends with `/p2p/<peer id>`.
    pub async fn add_peer(&self, address: Multiaddr) -> Result<(), NetworkError> {
        let (reply, answer) = oneshot::channel();
        self.send(Cmd::AddPeer(address, reply)).await;
        answer.await.unwrap_or(Err(NetworkError::Closed))
    }

    /// Disconnects a peer, which is no longer a static one.
    pub async fn remove_peer(&self, peer: PeerId) {
        self.send(Cmd::RemovePeer(peer)).await;
    }

    /// Tells others that this block is durable here. A sealer signs it.
    pub async fn set_head(&self, head: Head) {
        self.send(Cmd::SetHead(head)).await;
    }

    /// Tells others from which block on bodies and custody columns are kept.
    pub async fn set_earliest(&self, body: BlockNumber, columns: BlockNumber) {
        self.send(Cmd::SetEarliest { body, columns }).await;
    }

    /// Listens to topics; twice is once.
    pub async fn subscribe(&self, topics: Vec<Topic>) {
        self.send(Cmd::Subscribe(topics)).await;
    }

    /// Listens no more.
    pub async fn unsubscribe(&self, topics: Vec<Topic>) {
        self.send(Cmd::Unsubscribe(topics)).await;
    }

    /// Ends the network: peers are left, the event channel ends. Returns when it is done.
    pub async fn shutdown(&self) {
        let (reply, done) = oneshot::channel();
        self.send(Cmd::Shutdown(reply)).await;
        // An error says that the worker is gone, which is what was asked for.
        let _ = done.await;
    }

    /// A worker that is gone hears nothing; who waits for an answer sees its channel end.
    async fn send(&self, command: Cmd) {
        let _ = self.commands.send(command).await;
    }

    async fn publish(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), PublishError>>) -> Cmd,
    ) -> Result<(), PublishError> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply)).await;
        answer.await.unwrap_or(Err(PublishError::Closed))
    }

    async fn ask<Q, A>(
        &self,
        peer: PeerId,
        request: Q,
        deadline: Duration,
        command: impl FnOnce(Ask<Q, A>) -> Cmd,
    ) -> Result<A, RequestError> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.send(command(Ask { peer, request, reply })).await;
            answer.await.unwrap_or(Err(RequestError::Closed))
        };
        tokio::time::timeout(deadline, asked).await.unwrap_or(Err(RequestError::Deadline(deadline)))
    }
}
