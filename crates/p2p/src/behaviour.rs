//! All of libp2p's behaviours that a node runs, with their settings.

use crate::{
    ForkDigest, NetworkConfig, NetworkError, Topic,
    codec::{Bodies, Cells, Codec, Commitments, Exchange, Headers, Status, Transactions},
    gate::Gate,
    wire::GOSSIP_BYTES_MAX,
};
use libp2p::{
    PeerId, StreamProtocol, connection_limits,
    gossipsub::{self, MessageAuthenticity, MessageId, ValidationMode},
    identify,
    identity::Keypair,
    kad::{self, store::MemoryStore},
    mdns, ping, request_response,
    swarm::{NetworkBehaviour, behaviour::toggle::Toggle},
};
use std::{collections::HashSet, time::Duration};

/// Kademlia messages in bytes: twenty peers with eight addresses each.
const KAD_BYTES_MAX: usize = 16 << 10;
/// Messages of one peer that wait in gossipsub, half of them published by this node and half passed on: at most 64 MiB.
const GOSSIP_QUEUE: usize = 128;
/// Gossipsub keeps messages for this many heartbeats of a second: so long may a verdict take.
const GOSSIP_HISTORY: usize = 6;
/// Longer messages are told to be unwanted once they are here.
const IDONTWANT_BYTES_MIN: usize = 16 << 10;

#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) gate: Gate,
    pub(crate) limits: connection_limits::Behaviour,
    pub(crate) identify: identify::Behaviour,
    pub(crate) ping: ping::Behaviour,
    pub(crate) kad: Toggle<kad::Behaviour<MemoryStore>>,
    pub(crate) mdns: Toggle<mdns::tokio::Behaviour>,
    pub(crate) gossip: Gossip,
    pub(crate) status: Requests<Status>,
    pub(crate) headers: Requests<Headers>,
    pub(crate) bodies: Requests<Bodies>,
    pub(crate) cells: Requests<Cells>,
    pub(crate) commitments: Requests<Commitments>,
    pub(crate) transactions: Requests<Transactions>,
}

pub(crate) type Gossip =
    gossipsub::Behaviour<gossipsub::IdentityTransform, gossipsub::WhitelistSubscriptionFilter>;
pub(crate) type Requests<P> = request_response::Behaviour<Codec<P>>;
pub(crate) type RequestsEvent<P> = request_response::Event<
    crate::codec::Parcel<<P as Exchange>::Request>,
    crate::codec::Parcel<crate::codec::Answer<<P as Exchange>::Response>>,
>;

impl Behaviour {
    pub(crate) fn new(config: &NetworkConfig, key: &Keypair) -> Result<Self, NetworkError> {
        let peer = key.public().to_peer_id();
        let limits = &config.limits;
        let identify = identify::Config::new(format!("/weft/1/{}", config.fork_digest), key.public())
            .with_agent_version(config.agent.clone())
            .with_interval(Duration::from_secs(300));
        let mdns = config
            .mdns
            .then(|| mdns::tokio::Behaviour::new(mdns::Config::default(), peer))
            .transpose()
            .map_err(|error| NetworkError::Build { part: "mdns", reason: error.to_string() })?;
        Ok(Self {
            gate: Gate::new(limits.connections_per_ip_max),
            limits: connection_limits::Behaviour::new(
                connection_limits::ConnectionLimits::default()
                    .with_max_pending_incoming(Some(limits.peers_max))
                    .with_max_pending_outgoing(Some(limits.peers_max))
                    .with_max_established_incoming(Some(limits.peers_inbound_max))
                    .with_max_established(Some(limits.peers_max))
                    .with_max_established_per_peer(Some(2)),
            ),
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(
                ping::Config::new()
                    .with_interval(Duration::from_secs(10))
                    .with_timeout(Duration::from_secs(10)),
            ),
            kad: config.discovery.then(|| kademlia(config, peer)).into(),
            mdns: mdns.into(),
            gossip: gossip(config)?,
            status: requests(config),
            headers: requests(config),
            bodies: requests(config),
            cells: requests(config),
            commitments: requests(config),
            transactions: requests(config),
        })
    }
}

fn requests<P: Exchange>(config: &NetworkConfig) -> Requests<P> {
    let limits = &config.limits;
    // Twice what we allow, so that who goes beyond hears a refusal and not a broken stream.
    let streams = 2 * (limits.requests_out_max + limits.requests_in_max);
    let settings = request_response::Config::default()
        .with_request_timeout(limits.request_timeout)
        .with_max_concurrent_streams(streams);
    Requests::new([(StreamProtocol::new(P::NAME), request_response::ProtocolSupport::Full)], settings)
}

/// Discovery only: no records are kept for others.
fn kademlia(config: &NetworkConfig, peer: PeerId) -> kad::Behaviour<MemoryStore> {
    let name = StreamProtocol::try_from_owned(format!("/weft/1/{}/kad", config.fork_digest))
        .expect("it begins with a slash");
    let mut settings = kad::Config::new(name);
    settings.set_max_packet_size(KAD_BYTES_MAX);
    settings.set_record_filtering(kad::StoreInserts::FilterBoth);
    settings.set_query_timeout(Duration::from_secs(20));
    let mut kad = kad::Behaviour::with_config(peer, MemoryStore::new(peer), settings);
    let listens = !config.listen.is_empty();
    kad.set_mode(Some(if listens { kad::Mode::Server } else { kad::Mode::Client }));
    kad
}

/// What a message is called: its content under its topic, whoever made it.
fn message_id(message: &gossipsub::Message) -> MessageId {
    // The topic's name is of a length that its prefix fixes up to the column; data follows after a zero byte.
    let topic = weft_erasure::sha256(message.topic.as_str().as_bytes());
    let data = weft_erasure::sha256(&message.data);
    weft_erasure::node(topic, data)[..20].into()
}

fn gossip(config: &NetworkConfig) -> Result<Gossip, NetworkError> {
    let failed = |reason: String| NetworkError::Build { part: "gossipsub", reason };
    let digest: ForkDigest = config.fork_digest;
    let mut settings = gossipsub::ConfigBuilder::default();
    settings
        .protocol_id_prefix(format!("/weft/1/{digest}/meshsub"))
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(message_id)
        .max_transmit_size(GOSSIP_BYTES_MAX + 1024)
        .heartbeat_interval(Duration::from_secs(1))
        .heartbeat_initial_delay(Duration::from_millis(100))
        .history_length(GOSSIP_HISTORY)
        .history_gossip(3)
        .duplicate_cache_time(Duration::from_secs(120))
        // The author's message goes to the mesh like everybody's, or a sealer would send each megabyte to all.
        .flood_publish(false)
        .prune_backoff(Duration::from_secs(15))
        .mesh_n_low(3)
        .mesh_n(5)
        .mesh_n_high(10)
        .mesh_outbound_min(2)
        .idontwant_message_size_threshold(IDONTWANT_BYTES_MIN)
        .connection_handler_queue_len(GOSSIP_QUEUE)
        .publish_queue_duration(Duration::from_secs(10))
        .forward_queue_duration(Duration::from_secs(5));
    for topic in Topic::all(config.columns.into()).skip(2) {
        // Megabytes: each more in the mesh is one more copy that crosses a link before IDONTWANT does.
        let topic = topic.hash(digest);
        settings
            .mesh_n_low_for_topic(2, topic.clone())
            .mesh_n_for_topic(3, topic.clone())
            .mesh_n_high_for_topic(4, topic.clone())
            .mesh_outbound_min_for_topic(1, topic);
    }
    let settings = settings.build().map_err(|error| failed(error.to_string()))?;
    let topics: HashSet<_> = Topic::all(config.columns.into()).map(|topic| topic.hash(digest)).collect();
    let filter = gossipsub::WhitelistSubscriptionFilter(topics);
    Gossip::new_with_subscription_filter(MessageAuthenticity::Anonymous, settings, filter)
        .map_err(|reason| failed(reason.to_owned()))
}
