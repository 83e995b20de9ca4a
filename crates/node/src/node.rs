//! The running node: its parts in the order of their start, and how they stop.

use crate::{
    NodeConfig, Recorder,
    backlog::watch_backlog,
    banner::{Arweave, Banner, Places},
    follow::follow,
    monitoring::{Monitoring, MonitoringArgs},
    network::{Network, NetworkArgs},
    permanence::{Permanence, PermanenceArgs},
};
use eyre::{Context, Result};
use std::sync::Arc;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::info;
use weft_archive::{BLOB_ARCHIVE, BlobArchive, ParityCache, RETENTION, permanence::CHECKPOINT};
use weft_consensus::{DevSealer, DevSealerConfig, SyncProgress};
use weft_engine::{Engine, EngineHandle, init_genesis};
use weft_evm::Evm;
use weft_pool::{Pool, PoolConfig};
use weft_primitives::BlockNumHash;
use weft_rpc::{Readiness, RpcContext, RpcParts, RpcServer};
use weft_stages::{Pipeline, PipelineHandle};
use weft_storage::{StageId, Store};

/// Why a node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Somebody asked it to.
    Asked,
    /// A part cannot go on; which one. Its last log line says why.
    Failed(&'static str),
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    config: NodeConfig,
    engine: EngineHandle,
    stages: Stages,
    permanence: Permanence,
    network: Network,
    rpc: Vec<RpcServer>,
    sealer: Option<DevSealer>,
    monitoring: Monitoring,
}

impl Node {
    /// Starts all parts; when it fails, those that were started are gone again.
    pub async fn start(config: NodeConfig, recorder: Recorder) -> Result<Self> {
        std::fs::create_dir_all(&config.datadir)
            .wrap_err_with(|| format!("create the data folder {}", config.datadir.display()))?;
        let store = Store::open(&config.db_folder(), config.store.clone()).wrap_err("open the database")?;
        init_genesis(&config.spec, &store)?;
        let pool = Pool::new(Arc::clone(&config.spec), store.clone(), config.pool.clone())?;
        let engine =
            Engine::new(Arc::clone(&config.spec), store.clone(), Some(pool.clone()), config.engine.clone())?;
        let engine = EngineHandle::spawn(engine).wrap_err("start the engine's thread")?;
        let stages = Stages::start(&engine, &store, &pool, &config.pool);
        let view = store.view();
        let first_at_once = view.base()? == Some(view.head()?);
        drop(view);
        let permanence = PermanenceArgs {
            config: &config.permanence,
            datadir: &config.datadir,
            store: &store,
            chain_id: config.spec.chain_id(),
            head: stages.head.clone(),
        };
        let permanence = Permanence::start(permanence).await?;
        let network = start_network(&config, &store, &pool, &engine, &stages).await?;
        let (readiness, ready) = watch::channel(Readiness::Starting);
        let parts = RpcParts {
            spec: Arc::clone(&config.spec),
            retriever: network.with_peers(permanence.retriever()),
            permanence: permanence.parts(),
            network: network.parts(),
            store,
            pool: pool.clone(),
            engine: engine.clone(),
            evm: Evm::new(Arc::clone(&config.spec)),
            stages: stage_names(&config),
            readiness: ready,
            client_version: client_version(),
        };
        let mut rpc = Vec::with_capacity(config.rpc.len());
        for server in &config.rpc {
            let context = Arc::new(RpcContext::new(parts.clone(), server.clone())?);
            rpc.push(RpcServer::start(context).await?);
        }
        let monitoring = MonitoringArgs {
            datadir: &config.datadir,
            reserve_bytes: config.store.disk_reserve_bytes,
            metrics: config.metrics,
            recorder,
            readiness,
        };
        let monitoring = Monitoring::start(monitoring).await?;
        let sealer = config
            .sealer
            .clone()
            .map(|sealer| DevSealerConfig { first_at_once, ..sealer })
            .map(|sealer| DevSealer::spawn(sealer, Arc::clone(&config.spec), engine.clone(), pool));
        info!(target: "weft::node", chain = config.chain_name, datadir = %config.datadir.display(), "started");
        Ok(Self { config, engine, stages, permanence, network, rpc, monitoring, sealer })
    }

    /// The lines that introduce the node to a person.
    pub fn banner(&self) -> String {
        let servers: Vec<_> = self.rpc.iter().map(RpcServer::address).collect();
        Banner {
            chain_name: &self.config.chain_name,
            chain_id: self.config.spec.chain_id(),
            head: self.engine.head(),
            places: Places::new(&self.config.datadir, &self.config.rpc, &servers, self.monitoring.address()),
            arweave: Arweave { embedded: self.permanence.embedded(), config: &self.config.permanence },
            network: self.network.address(),
            sealing: self.config.sealer.as_ref().map(|sealer| sealer.mode),
            dev_accounts: self.config.rpc.iter().any(|config| !config.dev_keys.is_empty()),
        }
        .to_string()
    }

    /// How far the node is that catches up with a sealer; `None`: it follows nobody.
    pub fn sync_progress(&self) -> Option<watch::Receiver<SyncProgress>> {
        self.network.progress()
    }

    /// Returns when a part that the node cannot do without has ended.
    pub async fn stopped(&self) -> Stopped {
        let sealer = async {
            match &self.sealer {
                Some(sealer) => sealer.stopped().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.engine.stopped() => Stopped::Failed("the engine"),
            () = sealer => Stopped::Failed("the sealer"),
            () = self.network.stopped() => Stopped::Failed("the follower"),
        }
    }

    /// Stops all parts in the reverse order of their start; each finishes what it took on.
    pub async fn shutdown(mut self) {
        self.monitoring.leave().await;
        if let Some(sealer) = self.sealer {
            sealer.shutdown().await;
        }
        self.monitoring.stop().await;
        // Whoever waits for peers hears that they are not asked any more.
        self.network.stop_fetching();
        for server in self.rpc.into_iter().rev() {
            server.stop().await;
        }
        self.network.stop().await;
        self.permanence.stop().await;
        self.engine.shutdown().await;
        self.stages.stop().await;
        info!(target: "weft::node", "stopped");
    }
}

/// The work behind the head, and what tells it of the head.
#[derive(Debug)]
struct Stages {
    pipeline: PipelineHandle,
    follower: JoinHandle<()>,
    backlog: JoinHandle<()>,
    /// The newest canonical block.
    head: watch::Receiver<BlockNumHash>,
    /// Coded blobs of the newest blocks.
    parity: ParityCache,
    stop: CancellationToken,
}

impl Stages {
    fn start(engine: &EngineHandle, store: &Store, pool: &Pool, limits: &PoolConfig) -> Self {
        // The pool counts parity until its last holder has dropped it.
        let parity = ParityCache::new(limits.parity_bytes_max);
        let events = engine.subscribe();
        let (head, followed) = watch::channel(engine.head());
        let stop = CancellationToken::new();
        let pipeline = Pipeline::new(store.clone())
            .with(BlobArchive::new(parity.clone()))
            .run(followed.clone(), stop.clone());
        let follower = tokio::spawn(follow(engine.clone(), events, parity.clone(), head));
        let progress = pipeline.watch()[0].clone();
        let backlog =
            watch_backlog(store.clone(), pool.clone(), limits.backlog_bytes_max, followed.clone(), progress);
        Self { pipeline, follower, backlog: tokio::spawn(backlog), head: followed, parity, stop }
    }

    /// To be called when the engine has stopped, which ends the follower.
    async fn stop(self) {
        self.stop.cancel();
        self.pipeline.stopped().await;
        // An error would be a panic of the task, which has been logged.
        let _ = self.follower.await;
        let _ = self.backlog.await;
    }
}

/// The network, where it is on.
async fn start_network(
    config: &NodeConfig,
    store: &Store,
    pool: &Pool,
    engine: &EngineHandle,
    stages: &Stages,
) -> Result<Network> {
    let Some(network) = &config.network else { return Ok(Network::default()) };
    let args = NetworkArgs {
        config: network,
        spec: &config.spec,
        store,
        pool,
        limits: &config.pool,
        engine,
        parity: stages.parity.clone(),
        head: stages.head.clone(),
        retention: config.retention,
        seals: config.sealer.is_some(),
    };
    Network::start(args).await
}

/// What `da_status` shows the progress of.
fn stage_names(config: &NodeConfig) -> Vec<StageId> {
    let checkpoints = config.permanence.checkpoints.filter(|_| !config.permanence.is_off());
    let more = [checkpoints.map(|_| CHECKPOINT), config.retention.map(|_| RETENTION)];
    [BLOB_ARCHIVE].into_iter().chain(more.into_iter().flatten()).collect()
}

/// `web3_clientVersion`, in the form that other clients use.
pub(crate) fn client_version() -> String {
    format!("weft/v{}/{}-{}", env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH)
}
