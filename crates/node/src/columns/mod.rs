//! Nodes without execution: headers of a sealer's chain, and the work that the role brings. A `da` node keeps its custody
//! columns and serves them; a light node samples.
//!
//! Both are one composition over a database without bodies: the network, the follower of headers, the custodian or the
//! sampler, and a small RPC. No EVM, no state, no pool. Stops in the reverse order of the start.

mod banner;
mod serve;

use crate::{
    Recorder,
    banner::Places,
    config::DB_FOLDER,
    monitoring::{Monitoring, MonitoringArgs},
    network::Progress,
    node::{Stopped, client_version},
};
use alloy_primitives::BlockNumber;
use banner::Banner;
use eyre::{Context, Result, ensure, eyre};
use serve::ColumnsServe;
use std::{net::SocketAddr, path::PathBuf, sync::Arc};
use tokio::{runtime::Handle, sync::watch};
use tracing::{info, warn};
use weft_archive::{
    CellServer, Retriever,
    network::{
        Custodian, CustodianArgs, CustodianConfig, FetchLimits, NetworkColumns, Sampler, SamplerArgs,
        SamplerConfig, SamplingBook,
    },
};
use weft_chainspec::ChainSpec;
use weft_consensus::{HeaderFollower, HeaderFollowerArgs, HeaderFollowerConfig, Routes, SyncProgress, route};
use weft_p2p::{Network as Swarm, NetworkConfig, NetworkHandle, Role, Topic, custody};
use weft_primitives::{ColumnIndex, Geometry};
use weft_rpc::{ColumnsContext, ColumnsParts, Readiness, RpcConfig, RpcServer};
use weft_storage::{DatabaseRole, Store, StoreOptions};

/// What the role brings.
#[derive(Clone, Debug)]
pub enum ColumnsWork {
    /// Samples.
    Light(SamplerConfig),
    /// Keeps its custody columns in at most so many bytes of cells; how many columns is in the network's configuration.
    Da {
        /// Bytes of cells.
        disk_bytes_max: u64,
    },
}

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct ColumnsConfig {
    /// The role, and its bounds.
    pub work: ColumnsWork,
    /// The chain's parameters, those of Weft among them.
    pub spec: Arc<ChainSpec>,
    /// What people call the chain.
    pub chain_name: String,
    /// Folder of everything that the node keeps.
    pub datadir: PathBuf,
    /// JSON-RPC servers.
    pub rpc: Vec<RpcConfig>,
    /// Where metrics, health and readiness are served.
    pub metrics: Option<SocketAddr>,
    /// Peers; `sealers` names whose headers are believed. Role and custody of a light node are set here.
    pub network: NetworkConfig,
    /// The database's.
    pub store: StoreOptions,
    /// How long peers are waited for.
    pub fetch: FetchLimits,
}

/// A running `da` or light node.
#[derive(Debug)]
pub struct ColumnsNode {
    config: ColumnsConfig,
    store: Store,
    network: NetworkHandle,
    columns: NetworkColumns,
    headers: HeaderFollower,
    worker: Worker,
    custody: Vec<ColumnIndex>,
    rpc: Vec<RpcServer<ColumnsContext>>,
    monitoring: Monitoring,
}

#[derive(Debug)]
enum Worker {
    Sampler(Sampler),
    Custodian(Custodian),
}

impl ColumnsNode {
    /// Starts all parts.
    pub async fn start(config: ColumnsConfig, recorder: Recorder) -> Result<Self> {
        let weft = config.spec.weft();
        let geometry =
            weft.ok_or_else(|| eyre!("the chain has no `config.weft`: there are no columns"))?.geometry;
        ensure!(
            !config.network.sealers.is_empty(),
            "whose headers are to be believed: --p2p.sealers names them"
        );
        let store = open(&config)?;
        let (network, routes) = start_network(&config, &store).await?;
        let custody = custody_of(&config, &network);
        let headers = HeaderFollower::spawn(HeaderFollowerArgs {
            config: HeaderFollowerConfig::new(custody.clone()),
            spec: Arc::clone(&config.spec),
            store: store.clone(),
            network: Arc::new(network.clone()),
            peers: routes.peers,
            blocks: routes.blocks,
        })?;
        let columns = NetworkColumns::new(network.clone(), Handle::current(), config.fetch.clone());
        let retriever = Retriever::new(store.clone()).with_peers(Arc::new(columns.clone()));
        let head = headers.head();
        let worker = match &config.work {
            ColumnsWork::Light(sampler) => Worker::Sampler(Sampler::spawn(SamplerArgs {
                config: sampler.clone(),
                geometry,
                store: store.clone(),
                columns: columns.clone(),
                retriever: retriever.clone(),
                head,
            })),
            ColumnsWork::Da { disk_bytes_max } => Worker::Custodian(Custodian::spawn(CustodianArgs {
                config: CustodianConfig::new(custody.clone(), *disk_bytes_max),
                geometry,
                store: store.clone(),
                columns: columns.clone(),
                retriever: retriever.clone(),
                segments: routes.segments,
                head,
            })?),
        };
        let topics = custody.iter().map(|column| Topic::Column(*column));
        network.subscribe(std::iter::once(Topic::Blocks).chain(topics).collect()).await;
        let (readiness, ready) = watch::channel(Readiness::Starting);
        let parts = Parts { config: &config, geometry, store: &store, retriever, network: &network };
        let parts = parts.rpc(&headers, &worker, custody.clone(), ready);
        let mut rpc = Vec::with_capacity(config.rpc.len());
        for server in &config.rpc {
            let context = Arc::new(ColumnsContext::new(parts.clone(), server.clone()));
            rpc.push(RpcServer::start_columns(context).await?);
        }
        let monitoring = MonitoringArgs {
            datadir: &config.datadir,
            reserve_bytes: config.store.disk_reserve_bytes,
            metrics: config.metrics,
            recorder,
            readiness,
        };
        let monitoring = Monitoring::start(monitoring).await?;
        info!(target: "weft::node", role = %config.work.role(), chain = config.chain_name, id = %network.local_peer_id(), listen = ?network.listen_addresses(), columns = custody.len(), "started");
        Ok(Self { config, store, network, columns, headers, worker, custody, rpc, monitoring })
    }

    /// The lines that introduce the node to a person.
    pub fn banner(&self) -> String {
        let head = *self.headers.head().borrow();
        Banner {
            role: self.config.work.role(),
            chain_name: &self.config.chain_name,
            chain_id: self.config.spec.chain_id(),
            head,
            places: Places::new(
                &self.config.datadir,
                &self.config.rpc,
                &self.rpc_addresses(),
                self.monitoring.address(),
            ),
            network: &self.network,
            custody: &self.custody,
            samples: match &self.config.work {
                ColumnsWork::Light(sampler) => Some(sampler.samples),
                ColumnsWork::Da { .. } => None,
            },
        }
        .to_string()
    }

    /// The network, for who introduces nodes to each other.
    pub fn network(&self) -> &NetworkHandle {
        &self.network
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The newest believed header.
    pub fn head(&self) -> watch::Receiver<weft_primitives::BlockNumHash> {
        self.headers.head()
    }

    /// Columns that are kept here.
    pub fn custody(&self) -> &[ColumnIndex] {
        &self.custody
    }

    /// What sampling found out, on a light node.
    pub fn sampling(&self) -> Option<SamplingBook> {
        self.worker.book()
    }

    /// Where JSON-RPC is served.
    pub fn rpc_addresses(&self) -> Vec<SocketAddr> {
        self.rpc.iter().map(RpcServer::address).collect()
    }

    /// How far the headers are.
    pub fn sync_progress(&self) -> watch::Receiver<SyncProgress> {
        self.headers.progress()
    }

    /// Returns when a part that the node cannot do without has ended.
    pub async fn stopped(&self) -> Stopped {
        let custodian = async {
            match &self.worker {
                Worker::Custodian(custodian) => custodian.stopped().await,
                Worker::Sampler(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.headers.stopped() => Stopped::Failed("the follower of headers"),
            () = custodian => Stopped::Failed("the custodian"),
        }
    }

    /// Stops all parts in the reverse order of their start; each finishes what it took on.
    pub async fn shutdown(mut self) {
        self.monitoring.leave().await;
        self.monitoring.stop().await;
        // Whoever waits for peers hears that they are not asked any more.
        self.columns.stop();
        for server in self.rpc.into_iter().rev() {
            server.stop().await;
        }
        match self.worker {
            Worker::Sampler(sampler) => sampler.shutdown().await,
            Worker::Custodian(custodian) => custodian.shutdown().await,
        }
        self.headers.shutdown().await;
        self.network.shutdown().await;
        info!(target: "weft::node", "stopped");
    }
}

impl ColumnsWork {
    /// Which role that is.
    pub fn role(&self) -> Role {
        match self {
            Self::Light(_) => Role::Light,
            Self::Da { .. } => Role::Da,
        }
    }
}

impl Worker {
    fn book(&self) -> Option<SamplingBook> {
        match self {
            Self::Sampler(sampler) => Some(sampler.book()),
            Self::Custodian(_) => None,
        }
    }
}

/// What the RPC servers are put together from.
struct Parts<'a> {
    config: &'a ColumnsConfig,
    geometry: Geometry,
    store: &'a Store,
    retriever: Retriever,
    network: &'a NetworkHandle,
}

impl Parts<'_> {
    fn rpc(
        self,
        headers: &HeaderFollower,
        worker: &Worker,
        mut custody: Vec<ColumnIndex>,
        readiness: watch::Receiver<Readiness>,
    ) -> ColumnsParts {
        custody.sort_unstable();
        ColumnsParts {
            role: self.config.work.role(),
            spec: Arc::clone(&self.config.spec),
            geometry: self.geometry,
            store: self.store.clone(),
            retriever: self.retriever,
            network: self.network.clone(),
            sync: Arc::new(Progress(headers.progress())),
            custody,
            disk_bytes_max: match self.config.work {
                ColumnsWork::Light(_) => 0,
                ColumnsWork::Da { disk_bytes_max } => disk_bytes_max,
            },
            sampling: worker.book(),
            readiness,
            client_version: client_version(),
        }
    }
}

/// Opens the database, begun with the chain's genesis; refuses that of another chain and of a full node.
fn open(config: &ColumnsConfig) -> Result<Store> {
    std::fs::create_dir_all(&config.datadir)
        .wrap_err_with(|| format!("create the data folder {}", config.datadir.display()))?;
    let options = StoreOptions { role: Some(DatabaseRole::Da), ..config.store.clone() };
    let store = Store::open(&config.datadir.join(DB_FOLDER), options).wrap_err("open the database")?;
    let genesis = config.spec.genesis_header();
    let found = store.view().canonical_hash(0)?;
    match found {
        None => store.start_headers(genesis).wrap_err("begin with the genesis")?,
        Some(found) => ensure!(
            found == genesis.hash(),
            "the database begins with {found}, the chain with {}: it is another chain's",
            genesis.hash()
        ),
    }
    Ok(store)
}

async fn start_network(config: &ColumnsConfig, store: &Store) -> Result<(NetworkHandle, Routes)> {
    let mut network = config.network.clone();
    network.role = config.work.role();
    if network.role == Role::Light {
        network.custody_count = 0;
    }
    if network.static_peers.is_empty() && network.bootnodes.is_empty() && !network.mdns {
        warn!(target: "weft::node", "nobody is named to begin with: --p2p.peers and --p2p.bootnodes name peers");
    }
    let serve =
        ColumnsServe { store: store.clone(), cells: CellServer::new(store.clone()), role: network.role };
    let (handle, events) = Swarm::start(network, Arc::new(serve)).await.wrap_err("start the network")?;
    Ok((handle, route(events)))
}

/// PROTOCOL §5, in the order of the sequence; none on a light node.
fn custody_of(config: &ColumnsConfig, network: &NetworkHandle) -> Vec<ColumnIndex> {
    match config.work {
        ColumnsWork::Light(_) => Vec::new(),
        ColumnsWork::Da { .. } => {
            let NetworkConfig { custody_count, columns, .. } = config.network;
            custody::columns_of(&network.local_peer_id(), custody_count, columns)
        }
    }
}

/// No body is kept, of whatever block.
const NO_BODIES: BlockNumber = BlockNumber::MAX;
