//! The one owner of the swarm. It waits for the swarm, the node's commands, verdicts on gossip and finished answers, and
//! calls one method for each; none of them blocks.
//!
//! Memory: peers and connections are bounded by [`Limits`](crate::Limits); requests per peer by its lanes; answers by
//! `serve_bytes_max`; events by `events_max`.

mod commands;
mod exchange;
mod gossip;
mod handshake;
mod incoming;
mod outbox;
mod outgoing;
mod peers;

use crate::{
    LocalStatus, NetworkConfig, NetworkError, NetworkEvent, Offence, Serve, SignedHead, Topic,
    behaviour::{Behaviour, BehaviourEvent},
    codec::{Bodies, Cells, Commitments, Headers, Transactions},
    event::Ruled,
    handle::{Cmd, View},
    metrics::Metrics,
    network::peer_of,
    redial::{Kind, Redial},
    score::Scores,
    transport::Meters,
};
use exchange::Lanes;
use futures::StreamExt;
use handshake::Handshakes;
use incoming::Served;
use libp2p::{
    PeerId, Swarm,
    core::{ConnectedPoint, transport::ListenerId},
    gossipsub::TopicHash,
    identity::Keypair,
    swarm::{SwarmEvent, dial_opts::DialOpts},
};
use outbox::Outbox;
use peers::{Peer, Peers};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior},
};

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How often new peers are looked for while there are few.
const WALK: Duration = Duration::from_secs(30);
/// Time for connections to close at the end.
const CLOSE: Duration = Duration::from_millis(500);

/// What a worker is made of.
pub(crate) struct Args {
    pub(crate) config: NetworkConfig,
    pub(crate) key: Keypair,
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) meters: Meters,
    pub(crate) serve: Arc<dyn Serve>,
    pub(crate) commands: mpsc::Receiver<Cmd>,
    pub(crate) events: mpsc::Sender<NetworkEvent>,
    pub(crate) view: watch::Sender<View>,
}

pub(crate) struct Worker {
    config: NetworkConfig,
    key: Keypair,
    local: PeerId,
    swarm: Swarm<Behaviour>,
    meters: Meters,
    serve: Arc<dyn Serve>,
    commands: mpsc::Receiver<Cmd>,
    outbox: Outbox,
    view: watch::Sender<View>,
    metrics: Metrics,
    started: Instant,
    /// Listeners that have an address.
    listeners: HashSet<ListenerId>,
    topics: HashMap<TopicHash, Topic>,
    status: LocalStatus,
    signed_head: Option<SignedHead>,
    peers: Peers,
    scores: Scores,
    redial: Redial,
    walked: Duration,
    handshakes: Handshakes,
    headers: Lanes<Headers>,
    bodies: Lanes<Bodies>,
    cells: Lanes<Cells>,
    commitments: Lanes<Commitments>,
    transactions: Lanes<Transactions>,
    /// Answers on their way, in bytes.
    serving_bytes: usize,
    serve_permits: Arc<Semaphore>,
    serve_tasks: JoinSet<()>,
    served_in: mpsc::Sender<Served>,
    served: mpsc::Receiver<Served>,
    rulings_in: mpsc::UnboundedSender<Ruled>,
    rulings: mpsc::UnboundedReceiver<Ruled>,
}

impl Worker {
    pub(crate) fn new(args: Args) -> Result<Self, NetworkError> {
        let Args { config, key, swarm, meters, serve, commands, events, view } = args;
        let limits = &config.limits;
        let (served_in, served) = mpsc::channel(limits.serve_threads);
        let (rulings_in, rulings) = mpsc::unbounded_channel();
        let mut redial = Redial::new(limits.redial);
        for (addresses, kind) in [(&config.static_peers, Kind::Static), (&config.bootnodes, Kind::Bootnode)] {
            for address in addresses {
                redial.add(peer_of(address)?, address.clone(), kind, Duration::ZERO);
            }
        }
        let digest = config.fork_digest;
        Ok(Self {
            key,
            local: *swarm.local_peer_id(),
            meters,
            commands,
            outbox: Outbox::new(events),
            view,
            metrics: Metrics::new(),
            started: Instant::now(),
            listeners: HashSet::new(),
            topics: Topic::all(config.columns.into()).map(|topic| (topic.hash(digest), topic)).collect(),
            status: serve.status(),
            signed_head: None,
            peers: Peers::default(),
            scores: Scores::new(limits.ban),
            redial,
            walked: Duration::ZERO,
            handshakes: Handshakes::default(),
            headers: Lanes::default(),
            bodies: Lanes::default(),
            cells: Lanes::default(),
            commitments: Lanes::default(),
            transactions: Lanes::default(),
            serving_bytes: 0,
            serve_permits: Arc::new(Semaphore::new(limits.serve_threads)),
            serve_tasks: JoinSet::new(),
            served_in,
            served,
            rulings_in,
            rulings,
            serve,
            swarm,
            config,
        })
    }

    /// Runs until it is told to end or nobody can tell it any more.
    pub(crate) async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        self.set_head(self.status.head);
        self.update_view();
        let done = loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm(event),
                Some(ruled) = self.rulings.recv() => self.on_ruled(ruled),
                Some(served) = self.served.recv() => self.on_served(served),
                () = self.outbox.flush() => {}
                _ = tick.tick() => self.on_tick(),
                command = self.commands.recv() => match command {
                    Some(Cmd::Shutdown(done)) => break Some(done),
                    Some(command) => self.on_command(command),
                    None => break None,
                },
            }
        };
        Box::pin(self.close(done)).await;
    }

    /// Leaves the peers, then lets go of what serves them.
    async fn close(mut self, done: Option<oneshot::Sender<()>>) {
        self.commands.close();
        for peer in self.swarm.connected_peers().copied().collect::<Vec<_>>() {
            // Fails when the peer is gone already.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let closed = async {
            while self.swarm.network_info().num_peers() > 0 {
                self.swarm.select_next_some().await;
            }
        };
        // Who does not close in time is dropped with the swarm.
        let _ = tokio::time::timeout(CLOSE, closed).await;
        drop(self.swarm);
        self.serve_permits.close();
        drop(self.served);
        while self.serve_tasks.join_next().await.is_some() {}
        drop(self.serve);
        if let Some(done) = done {
            // Who asked may have gone.
            let _ = done.send(());
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::NewListenAddr { listener_id, address } => self.on_listen(listener_id, &address),
            SwarmEvent::ExpiredListenAddr { .. } => self.update_view(),
            SwarmEvent::ConnectionEstablished { peer_id, endpoint, num_established, .. }
                if num_established.get() == 1 =>
            {
                self.on_connected(peer_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => self.on_disconnected(peer_id),
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), error, .. } => {
                tracing::debug!(target: "weft::p2p", %peer, %error, "cannot connect");
            }
            SwarmEvent::IncomingConnectionError { error, .. } => {
                tracing::debug!(target: "weft::p2p", %error, "a connection was refused or failed");
            }
            SwarmEvent::ListenerError { error, .. } => {
                tracing::warn!(target: "weft::p2p", %error, "a listener has a problem");
            }
            _ => {}
        }
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Identify(event) => self.on_identify(event),
            BehaviourEvent::Ping(event) => self.on_ping(event),
            BehaviourEvent::Mdns(event) => self.on_mdns(event),
            BehaviourEvent::Gossip(event) => self.on_gossip(event),
            BehaviourEvent::Status(event) => self.on_status_event(event),
            BehaviourEvent::Headers(event) => self.on_exchange::<Headers>(event),
            BehaviourEvent::Bodies(event) => self.on_exchange::<Bodies>(event),
            BehaviourEvent::Cells(event) => self.on_exchange::<Cells>(event),
            BehaviourEvent::Commitments(event) => self.on_exchange::<Commitments>(event),
            BehaviourEvent::Transactions(event) => self.on_exchange::<Transactions>(event),
            // Kademlia dials by itself what it finds.
            BehaviourEvent::Kad(_) => {}
        }
    }

    fn on_listen(&mut self, listener: ListenerId, address: &libp2p::Multiaddr) {
        tracing::info!(target: "weft::p2p", %address, peer = %self.local, "listening");
        self.listeners.insert(listener);
        self.update_view();
    }

    fn on_connected(&mut self, peer: PeerId, endpoint: &ConnectedPoint) {
        let now = self.now();
        let state = Peer::new(endpoint, self.meters.of(peer), &self.config.limits, now);
        self.peers.insert(peer, state);
        self.redial.connected(&peer);
        if endpoint.is_dialer() {
            self.ask_status(peer, None);
        }
    }

    fn on_disconnected(&mut self, peer: PeerId) {
        let now = self.now();
        self.headers.lost(&peer);
        self.bodies.lost(&peer);
        self.cells.lost(&peer);
        self.commitments.lost(&peer);
        self.transactions.lost(&peer);
        self.redial.lost(&peer, now, &mut rand::rng());
        let was_up = self.peers.remove(&peer).is_some_and(|state| state.is_up());
        self.update_view();
        if was_up {
            tracing::debug!(target: "weft::p2p", %peer, "peer is gone");
            self.outbox.lifecycle(NetworkEvent::PeerDown(peer));
        }
    }

    fn disconnect(&mut self, peer: PeerId) {
        // Fails when the peer is gone already.
        let _ = self.swarm.disconnect_peer_id(peer);
    }

    /// Books an offence, and bans when it is one too many.
    fn punish(&mut self, peer: PeerId, offence: Offence) {
        let now = self.now();
        self.metrics.offence(offence).offences.increment(1);
        let banned = self.scores.report(peer, offence, now);
        let score = self.scores.score(&peer, now);
        tracing::debug!(target: "weft::p2p", %peer, offence = offence.as_str(), score, "offence");
        if let Some(time) = banned {
            tracing::info!(target: "weft::p2p", %peer, offence = offence.as_str(), ?time, "peer banned");
            self.shut_out(peer);
        }
    }

    fn ban(&mut self, peer: PeerId, time: Option<Duration>) {
        let now = self.now();
        self.scores.ban(peer, time, now);
        self.shut_out(peer);
    }

    fn shut_out(&mut self, peer: PeerId) {
        self.metrics.network.bans.increment(1);
        let behaviour = self.swarm.behaviour_mut();
        behaviour.gate.ban(peer);
        if let Some(kad) = behaviour.kad.as_mut() {
            kad.remove_peer(&peer);
        }
        self.disconnect(peer);
    }

    /// From a port of its own: two nodes that dial each other at once, each from the port that it listens on, make one
    /// connection with two dialers, who never come to terms.
    fn dial(&mut self, peer: PeerId, addresses: Vec<libp2p::Multiaddr>) {
        let options = DialOpts::peer_id(peer).addresses(addresses).allocate_new_port().build();
        if let Err(error) = self.swarm.dial(options) {
            tracing::debug!(target: "weft::p2p", %peer, %error, "cannot dial");
        }
    }

    fn on_tick(&mut self) {
        let now = self.now();
        for peer in self.scores.expire(now) {
            self.swarm.behaviour_mut().gate.unban(&peer);
        }
        for peer in self.peers.leaving(now) {
            self.send_away(peer);
        }
        let late = self.peers.silent_since(now.saturating_sub(self.config.limits.handshake_timeout));
        for peer in late {
            tracing::debug!(target: "weft::p2p", %peer, "peer did not say who it is");
            self.punish(peer, Offence::Timeout);
            self.disconnect(peer);
        }
        for peer in self.peers.stale(now.saturating_sub(self.config.limits.status_interval), now) {
            self.ask_status(peer, None);
        }
        let alone = self.peers.up() == 0;
        for (peer, addresses) in self.redial.due(now, alone, &mut rand::rng()) {
            self.dial(peer, addresses);
        }
        if now.saturating_sub(self.walked) >= WALK {
            self.walked = now;
            self.meters.sweep();
            let has_few = self.swarm.network_info().num_peers() < self.config.limits.peers_max as usize / 2;
            if let Some(kad) = self.swarm.behaviour_mut().kad.as_mut().filter(|_| has_few) {
                kad.get_closest_peers(PeerId::random());
            }
        }
        while self.serve_tasks.try_join_next().is_some() {}
        self.update_gauges();
    }

    fn update_gauges(&self) {
        let network = &self.metrics.network;
        network.peers.set(self.peers.up() as f64);
        network.connections.set(self.swarm.network_info().num_peers() as f64);
        network.banned.set(self.swarm.behaviour().gate.banned() as f64);
        network.serving_bytes.set(self.serving_bytes as f64);
    }

    fn update_view(&mut self) {
        let listen: Vec<_> = self.swarm.listeners().cloned().collect();
        let is_listening = self.listeners.len() >= self.config.listen.len();
        self.view.send_modify(|view| {
            view.is_listening = is_listening;
            view.peers = self.peers.up();
            view.listen = listen;
            view.topics = self.peers.listeners();
            view.signed_head = self.signed_head.clone();
        });
    }
}
