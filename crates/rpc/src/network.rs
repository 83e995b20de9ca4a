//! The peer-to-peer network as the server sees it: `admin_peers` and its kin, `da_peers`, what `net_` and `eth_syncing` say.

use crate::{Args, Registrar, RpcContext, RpcError, da::Quantity};
use alloy_primitives::{B256, U64};
use futures::future::BoxFuture;
use jsonrpsee::types::Params;
use serde::Serialize;
use std::{collections::BTreeMap, fmt, sync::Arc};
use weft_p2p::{ForkDigest, Multiaddr, NetworkHandle, PeerId, PeerInfo, Protocol};

/// The network, as the node is set up for it.
#[derive(Clone, Debug, Default)]
pub struct NetworkParts {
    /// Speaks to it; `None`: it is off.
    pub handle: Option<NetworkHandle>,
    /// Whether the node follows, and how far it is; `None`: it does not.
    pub sync: Option<Arc<dyn SyncView>>,
}

/// How far a node is that catches up.
pub trait SyncView: fmt::Debug + Send + Sync {
    /// `None`: it is where its chain is, as far as it knows.
    fn syncing(&self) -> Option<Syncing>;

    /// Resolves when it begins to catch up (`syncing` is false) or has caught up (`syncing` is true); never when nobody tells
    /// any more.
    fn turned(&self, syncing: bool) -> BoxFuture<'static, ()>;
}

/// What `eth_syncing` answers, in geth's words.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Syncing {
    /// The head when it began.
    pub starting_block: U64,
    /// The head.
    pub current_block: U64,
    /// Where it goes to.
    pub highest_block: U64,
}

/// An object while the node catches up, `false` otherwise.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum SyncStatus {
    Syncing(Syncing),
    Synced(bool),
}

/// What a `syncing` subscription sends, as geth does: `false`, or the status beside `true`.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum SyncChange {
    Began { syncing: bool, status: Syncing },
    Ended(bool),
}

impl SyncStatus {
    pub(crate) fn of(syncing: Option<Syncing>) -> Self {
        syncing.map_or(Self::Synced(false), Self::Syncing)
    }
}

impl NetworkParts {
    /// Without a network.
    pub fn off() -> Self {
        Self::default()
    }

    pub(crate) fn peer_count(&self) -> u64 {
        self.handle.as_ref().map_or(0, |handle| handle.peer_count() as u64)
    }

    pub(crate) fn is_listening(&self) -> bool {
        self.handle.as_ref().is_some_and(|handle| !handle.listen_addresses().is_empty())
    }

    pub(crate) fn sync_status(&self) -> SyncStatus {
        SyncStatus::of(self.sync.as_ref().and_then(|sync| sync.syncing()))
    }

    /// What a subscriber is told now.
    pub(crate) fn sync_change(&self) -> SyncChange {
        match self.sync_status() {
            SyncStatus::Syncing(status) => SyncChange::Began { syncing: true, status },
            SyncStatus::Synced(_) => SyncChange::Ended(false),
        }
    }

    /// Resolves when a subscriber has to be told something else than this.
    pub(crate) async fn sync_turned(&self, told: &SyncChange) {
        match &self.sync {
            Some(sync) => sync.turned(matches!(told, SyncChange::Began { .. })).await,
            None => std::future::pending().await,
        }
    }

    fn handle(&self) -> Result<&NetworkHandle, RpcError> {
        let off = || RpcError::Rejected("the network is off: --p2p turns it on".to_owned());
        self.handle.as_ref().ok_or_else(off)
    }

    async fn peers(&self) -> Vec<PeerInfo> {
        match &self.handle {
            Some(handle) => handle.peers().await,
            None => Vec::new(),
        }
    }
}

/// Registers what `admin` has of it.
pub(crate) fn register_admin(registrar: &mut Registrar) {
    registrar.asynchronous("admin_peers", admin_peers);
    registrar.asynchronous("admin_nodeInfo", node_info);
    registrar.asynchronous("admin_addPeer", add_peer);
    registrar.asynchronous("admin_removePeer", remove_peer);
}

/// Registers what `da` has of it.
pub(crate) fn register_da(registrar: &mut Registrar) {
    registrar.asynchronous("da_peers", da_peers);
}

/// A peer in `admin_peers`: geth's fields where libp2p has what they mean.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AdminPeer {
    id: String,
    /// Name and version.
    name: String,
    /// Where it can be dialled.
    addresses: Vec<String>,
    network: AdminNetwork,
    protocols: BTreeMap<&'static str, AdminProtocol>,
    score: f64,
    connected_seconds: u64,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AdminNetwork {
    remote_address: String,
    inbound: bool,
    #[serde(rename = "static")]
    is_static: bool,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AdminProtocol {
    version: u64,
    role: &'static str,
    head: Block,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Block {
    number: Quantity,
    hash: B256,
}

impl From<weft_p2p::Head> for Block {
    fn from(head: weft_p2p::Head) -> Self {
        Self { number: Quantity(head.number), hash: head.hash }
    }
}

impl From<PeerInfo> for AdminPeer {
    fn from(peer: PeerInfo) -> Self {
        let role = peer.status.role.as_str();
        let protocol = AdminProtocol { version: 1, role, head: peer.status.head.into() };
        Self {
            id: peer.peer.to_string(),
            name: peer.agent,
            addresses: peer.listen.iter().map(ToString::to_string).collect(),
            network: AdminNetwork {
                remote_address: peer.address.to_string(),
                inbound: peer.inbound,
                is_static: peer.is_static,
            },
            protocols: BTreeMap::from([("weft", protocol)]),
            score: peer.score,
            connected_seconds: peer.connected.as_secs(),
        }
    }
}

async fn admin_peers(context: Arc<RpcContext>, params: Params<'static>) -> Result<Vec<AdminPeer>, RpcError> {
    Args::parse(params.as_str(), 0)?;
    Ok(context.parts.network.peers().await.into_iter().map(AdminPeer::from).collect())
}

/// This node in `admin_nodeInfo`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeInfo {
    id: String,
    name: String,
    /// Where it listens, each with its peer id: what others give to `--p2p.peers`.
    addresses: Vec<String>,
    peers: Quantity,
    protocols: BTreeMap<&'static str, NodeProtocol>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeProtocol {
    version: u64,
    network: u64,
    genesis: B256,
    fork_digest: String,
    head: Block,
    /// The newest head that is known with a sealer's signature.
    signed_head: Option<Block>,
}

async fn node_info(context: Arc<RpcContext>, params: Params<'static>) -> Result<NodeInfo, RpcError> {
    Args::parse(params.as_str(), 0)?;
    let parts = &context.parts;
    let handle = parts.network.handle()?;
    let id = handle.local_peer_id();
    let head = parts.engine.head();
    let protocol = NodeProtocol {
        version: 1,
        network: parts.spec.chain_id(),
        genesis: parts.spec.genesis_hash(),
        fork_digest: ForkDigest::of(&parts.spec).to_string(),
        head: Block { number: Quantity(head.number), hash: head.hash },
        signed_head: handle.signed_head().map(|signed| signed.head.into()),
    };
    Ok(NodeInfo {
        id: id.to_string(),
        name: parts.client_version.clone(),
        addresses: handle.listen_addresses().iter().map(|address| format!("{address}/p2p/{id}")).collect(),
        peers: Quantity(parts.network.peer_count()),
        protocols: BTreeMap::from([("weft", protocol)]),
    })
}

/// `admin_addPeer(multiaddr)`: dialled now, and again whenever it is away.
async fn add_peer(context: Arc<RpcContext>, params: Params<'static>) -> Result<bool, RpcError> {
    let address: String = Args::parse(params.as_str(), 1)?.required(0)?;
    let address: Multiaddr = address.parse().map_err(|error| RpcError::argument(0, error))?;
    let handle = context.parts.network.handle()?;
    handle.add_peer(address).await.map_err(|error| RpcError::argument(0, error))?;
    Ok(true)
}

/// `admin_removePeer(peer id or multiaddr)`: disconnected, and no longer dialled.
async fn remove_peer(context: Arc<RpcContext>, params: Params<'static>) -> Result<bool, RpcError> {
    let peer: String = Args::parse(params.as_str(), 1)?.required(0)?;
    // Of an address, the id that it ends with.
    let id = peer.rsplit('/').next().unwrap_or_default();
    let id: PeerId = id.parse().map_err(|error| RpcError::argument(0, error))?;
    context.parts.network.handle()?.remove_peer(id).await;
    Ok(true)
}

/// `da_peers()`: who holds what.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DaPeers {
    peers: Vec<DaPeer>,
    /// For each column, how many of the peers keep it.
    columns: Vec<Quantity>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DaPeer {
    id: String,
    role: &'static str,
    head: Block,
    /// Columns that it keeps, by its id and its word (PROTOCOL §5).
    columns: Vec<Quantity>,
    /// First block whose body it keeps.
    earliest_body: Quantity,
    /// First block whose columns it keeps.
    earliest_columns: Quantity,
    /// 0 is spotless, -100 a ban.
    score: f64,
    round_trip_ms: Option<f64>,
    traffic: BTreeMap<&'static str, Traffic>,
}

/// Bytes of one protocol.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Traffic {
    bytes_in: Quantity,
    bytes_out: Quantity,
}

impl From<&PeerInfo> for DaPeer {
    fn from(peer: &PeerInfo) -> Self {
        let traffic = |protocol: &Protocol| {
            let (bytes_in, bytes_out) = peer.traffic.by_protocol.get(protocol).copied().unwrap_or_default();
            Traffic { bytes_in: Quantity(bytes_in), bytes_out: Quantity(bytes_out) }
        };
        Self {
            id: peer.peer.to_string(),
            role: peer.status.role.as_str(),
            head: peer.status.head.into(),
            columns: peer.columns.iter().map(|column| Quantity(column.0.into())).collect(),
            earliest_body: Quantity(peer.status.earliest_body),
            earliest_columns: Quantity(peer.status.earliest_columns),
            score: peer.score,
            round_trip_ms: peer.round_trip.map(|time| time.as_secs_f64() * 1e3),
            traffic: Protocol::ALL.iter().map(|protocol| (protocol.as_str(), traffic(protocol))).collect(),
        }
    }
}

async fn da_peers(context: Arc<RpcContext>, params: Params<'static>) -> Result<DaPeers, RpcError> {
    Args::parse(params.as_str(), 0)?;
    let peers = context.parts.network.peers().await;
    Ok(DaPeers::of(&peers, context.spec().weft().map_or(0, |weft| weft.geometry.columns())))
}

impl DaPeers {
    /// Of the connected peers, on a chain with so many columns.
    pub(crate) fn of(peers: &[PeerInfo], count: usize) -> Self {
        let mut columns = vec![Quantity(0); count];
        for column in peers.iter().flat_map(|peer| &peer.columns) {
            if let Some(keepers) = columns.get_mut(usize::from(column.0)) {
                keepers.0 += 1;
            }
        }
        Self { peers: peers.iter().map(DaPeer::from).collect(), columns }
    }
}
