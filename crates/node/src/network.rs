//! The network in the node: the swarm, the follower on a node that does not seal, the publisher, the relay, and how they stop.
//!
//! Nothing of it is waited for by the head of a node that seals.

use crate::{config::RetentionSettings, serve::FullServe};
use alloy_primitives::U64;
use eyre::{Context, Result};
use futures::future::BoxFuture;
use std::{future::pending, sync::Arc};
use tokio::{runtime::Handle, sync::watch};
use tracing::{info, warn};
use weft_archive::{
    CellServer, ParityCache, RetentionConfig, Retriever,
    network::{Disperser, FetchLimits, NetworkColumns, Retainer},
};
use weft_chainspec::ChainSpec;
use weft_consensus::{
    Arrivals, Follower, FollowerArgs, FollowerConfig, Publisher, Relay, RelayArgs, RelayConfig, Routes,
    SyncProgress, route,
};
use weft_engine::EngineHandle;
use weft_p2p::{Network as Swarm, NetworkConfig, NetworkHandle, Topic, custody, peer_id};
use weft_pool::{Pool, PoolConfig};
use weft_primitives::BlockNumHash;
use weft_rpc::{NetworkParts, SyncView, Syncing};
use weft_storage::Store;

/// Blobs below this stay whole whatever their age: their columns' records would weigh as much.
const RETENTION_INPUT_BYTES_MIN: u64 = 32 << 10;

/// What a node needs for it.
pub(crate) struct NetworkArgs<'a> {
    pub(crate) config: &'a NetworkConfig,
    pub(crate) spec: &'a Arc<ChainSpec>,
    pub(crate) store: &'a Store,
    pub(crate) pool: &'a Pool,
    pub(crate) limits: &'a PoolConfig,
    pub(crate) engine: &'a EngineHandle,
    /// Coded blobs of the newest blocks, for their columns.
    pub(crate) parity: ParityCache,
    /// The newest canonical block.
    pub(crate) head: watch::Receiver<BlockNumHash>,
    /// When old bodies are given up.
    pub(crate) retention: Option<RetentionSettings>,
    /// Whether this node seals; it follows nobody then.
    pub(crate) seals: bool,
}

/// The running parts; all absent when the network is off.
#[derive(Debug, Default)]
pub(crate) struct Network(Option<Running>);

#[derive(Debug)]
struct Running {
    handle: NetworkHandle,
    publisher: Publisher,
    relay: Relay,
    follower: Option<Follower>,
    /// Peers as a source of blobs; `None` on a plain chain.
    columns: Option<NetworkColumns>,
    /// Of a node that seals.
    disperser: Option<Disperser>,
    /// Of a node that gives up old bodies.
    retainer: Option<Retainer>,
}

impl Network {
    /// Starts what is configured. A key that cannot be read and an address that cannot be listened on fail here.
    pub(crate) async fn start(args: NetworkArgs<'_>) -> Result<Self> {
        let NetworkArgs { config, spec, store, pool, limits, engine, parity, head, retention, seals } = args;
        let mut config = config.clone();
        if let (true, Some(path)) = (seals, &config.identity) {
            // Others have to be told; a node believes itself.
            let id = peer_id(path).wrap_err("--p2p.identity")?;
            if !config.sealers.contains(&id) {
                config.sealers.push(id);
            }
        }
        let follows = !seals && !config.sealers.is_empty();
        let (columns, custody_count) = (config.columns, config.custody_count);
        let cells = CellServer::new(store.clone());
        let serve = FullServe { store: store.clone(), pool: pool.clone(), cells };
        let (handle, events) = Swarm::start(config, Arc::new(serve)).await.wrap_err("start the network")?;
        let Routes { blocks, transactions, segments: _, peers } = route(events);
        let network = Arc::new(handle.clone());
        let publisher = Publisher::spawn(engine.clone(), Arc::clone(&network), seals);
        let arrivals = Arrivals::default();
        let follower = follows.then(|| {
            Follower::spawn(FollowerArgs {
                config: FollowerConfig::default(),
                spec: Arc::clone(spec),
                store: store.clone(),
                engine: engine.clone(),
                pool: pool.clone(),
                network: Arc::clone(&network),
                peers: peers.clone(),
                blocks,
                arrivals: arrivals.clone(),
            })
        });
        let relay = Relay::spawn(RelayArgs {
            config: relay_config(limits),
            pool: pool.clone(),
            engine: engine.clone(),
            network,
            peers,
            transactions,
            arrivals,
            sync: follower.as_ref().map(Follower::progress),
        });
        handle.subscribe(vec![Topic::Blocks, Topic::Transactions]).await;
        if !seals && !follows {
            warn!(target: "weft::node", "this node neither seals nor follows: --p2p.sealers names whose blocks it believes");
        }
        info!(target: "weft::node", id = %handle.local_peer_id(), listen = ?handle.listen_addresses(), "network started");
        let disperser = (seals && columns > 0)
            .then(|| Disperser::spawn(store.clone(), parity, handle.clone(), columns, head));
        let keep = custody::columns_of(&handle.local_peer_id(), custody_count, columns);
        let columns = (columns > 0)
            .then(|| NetworkColumns::new(handle.clone(), Handle::current(), FetchLimits::default()));
        let retainer = retention.zip(columns.clone()).map(|(retention, columns)| {
            let RetentionSettings { window_blocks, policy } = retention;
            let window_blocks = window_blocks.get();
            let config =
                RetentionConfig { window_blocks, input_bytes_min: RETENTION_INPUT_BYTES_MIN, policy, keep };
            Retainer::spawn(store.clone(), columns, config)
        });
        Ok(Self(Some(Running { handle, publisher, relay, follower, columns, disperser, retainer })))
    }

    /// What the RPC server shows of it.
    pub(crate) fn parts(&self) -> NetworkParts {
        let Some(running) = &self.0 else { return NetworkParts::off() };
        let view = |follower: &Follower| Arc::new(Progress(follower.progress())) as Arc<dyn SyncView>;
        NetworkParts { handle: Some(running.handle.clone()), sync: running.follower.as_ref().map(view) }
    }

    /// With peers as a source of blobs, where there is a network.
    pub(crate) fn with_peers(&self, retriever: Retriever) -> Retriever {
        match self.0.as_ref().and_then(|running| running.columns.as_ref()) {
            Some(columns) => retriever.with_peers(Arc::new(columns.clone())),
            None => retriever,
        }
    }

    /// Ends all waiting for cells of peers.
    pub(crate) fn stop_fetching(&self) {
        if let Some(columns) = self.0.as_ref().and_then(|running| running.columns.as_ref()) {
            columns.stop();
        }
    }

    /// An address that others can dial, with the peer id; and how many there are.
    pub(crate) fn address(&self) -> Option<String> {
        let handle = &self.0.as_ref()?.handle;
        let id = handle.local_peer_id();
        Some(match handle.listen_addresses().first() {
            Some(address) => format!("{address}/p2p/{id}"),
            None => format!("/p2p/{id} (listens nowhere)"),
        })
    }

    /// How far the follower is that catches up; `None`: this node follows nobody.
    pub(crate) fn progress(&self) -> Option<watch::Receiver<SyncProgress>> {
        self.0.as_ref()?.follower.as_ref().map(Follower::progress)
    }

    /// Returns when the follower has ended, which is the only part of it that the node cannot do without.
    pub(crate) async fn stopped(&self) {
        match self.0.as_ref().and_then(|running| running.follower.as_ref()) {
            Some(follower) => follower.stopped().await,
            None => pending().await,
        }
    }

    /// Stops in the reverse order of the start.
    pub(crate) async fn stop(self) {
        let Some(Running { handle, publisher, relay, follower, columns: _, disperser, retainer }) = self.0
        else {
            return;
        };
        if let Some(retainer) = retainer {
            retainer.shutdown().await;
        }
        if let Some(disperser) = disperser {
            disperser.shutdown().await;
        }
        relay.shutdown().await;
        if let Some(follower) = follower {
            follower.shutdown().await;
        }
        publisher.shutdown().await;
        handle.shutdown().await;
    }
}

/// Peers get at most half of what the pool admits, and nothing when it is nearly full.
fn relay_config(limits: &PoolConfig) -> RelayConfig {
    RelayConfig {
        bytes_max: limits.admission_bytes_max / 2,
        pool_bytes_max: limits.bytes_max / 16 * 15,
        ..RelayConfig::default()
    }
}

/// The follower's progress as `eth_syncing` shows it.
#[derive(Debug)]
pub(crate) struct Progress(pub(crate) watch::Receiver<SyncProgress>);

impl SyncView for Progress {
    fn syncing(&self) -> Option<Syncing> {
        let progress = *self.0.borrow();
        progress.is_syncing().then_some(Syncing {
            starting_block: U64::from(progress.start),
            current_block: U64::from(progress.executed),
            highest_block: U64::from(progress.target),
        })
    }

    fn turned(&self, syncing: bool) -> BoxFuture<'static, ()> {
        let mut progress = self.0.clone();
        Box::pin(async move {
            if progress.wait_for(|progress| progress.is_syncing() != syncing).await.is_err() {
                pending().await
            }
        })
    }
}
