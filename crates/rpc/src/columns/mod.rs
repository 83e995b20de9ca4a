//! The server of a node without execution: what a light and a `da` node answer.
//!
//! Headers, what blocks commit to, blobs by reconstruction from own columns and peers, what sampling found out, and on a
//! `da` node cells with their proofs. Methods of accounts, state and transactions are not served: nobody here has executed
//! anything. Errors and forms are those of the full node's methods of the same name.

mod blocks;
mod data;
mod sampling;
mod status;

use crate::{
    Args, Readiness, Registrar, RpcConfig, RpcError, RpcMetrics, Serving, SyncView, network::DaPeers,
};
use alloy_primitives::U64;
use jsonrpsee::{RpcModule, server::RegisterMethodError, types::Params};
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};
use weft_archive::{CellServer, Retriever, network::SamplingBook};
use weft_chainspec::ChainSpec;
use weft_p2p::{NetworkHandle, Role};
use weft_pool::Pool;
use weft_primitives::{ColumnIndex, Geometry};
use weft_storage::{Store, View};

/// The parts of the node that the server stands on.
#[derive(Clone, Debug)]
pub struct ColumnsParts {
    /// Light or `da`.
    pub role: Role,
    /// Chain parameters.
    pub spec: Arc<ChainSpec>,
    /// The chain's code.
    pub geometry: Geometry,
    /// A database without bodies.
    pub store: Store,
    /// Blobs back from wherever they are.
    pub retriever: Retriever,
    /// Peers.
    pub network: NetworkHandle,
    /// How far the headers are.
    pub sync: Arc<dyn SyncView>,
    /// Columns that are kept here, ascending.
    pub custody: Vec<ColumnIndex>,
    /// Bytes of cells that may be kept; 0 on a light node.
    pub disk_bytes_max: u64,
    /// What sampling found out, on a light node.
    pub sampling: Option<SamplingBook>,
    /// What `/ready` answers.
    pub readiness: watch::Receiver<Readiness>,
    /// `web3_clientVersion`.
    pub client_version: String,
}

/// The server's state, shared by all handlers.
#[derive(Debug)]
pub struct ColumnsContext {
    /// The node.
    pub parts: ColumnsParts,
    config: RpcConfig,
    cells: CellServer,
    metrics: RpcMetrics,
    read_permits: Arc<Semaphore>,
    execute_permits: Arc<Semaphore>,
}

impl ColumnsContext {
    /// Of these parts.
    pub fn new(parts: ColumnsParts, config: RpcConfig) -> Self {
        Self {
            cells: CellServer::new(parts.store.clone()),
            metrics: RpcMetrics::default(),
            read_permits: Arc::new(Semaphore::new(config.read_permits)),
            execute_permits: Arc::new(Semaphore::new(config.execute_permits)),
            parts,
            config,
        }
    }

    fn view(&self) -> View<'_> {
        self.parts.store.view()
    }
}

impl Serving for ColumnsContext {
    fn config(&self) -> &RpcConfig {
        &self.config
    }

    fn metrics(&self) -> &RpcMetrics {
        &self.metrics
    }

    fn readiness(&self) -> Readiness {
        self.parts.readiness.borrow().clone()
    }

    fn read_permits(&self) -> &Arc<Semaphore> {
        &self.read_permits
    }

    fn execute_permits(&self) -> &Arc<Semaphore> {
        &self.execute_permits
    }

    fn pool(&self) -> Option<&Pool> {
        None
    }
}

/// All methods of the configured namespaces.
pub(crate) fn module(
    context: &Arc<ColumnsContext>,
) -> Result<RpcModule<Arc<ColumnsContext>>, RegisterMethodError> {
    type Register = fn(&mut Registrar<ColumnsContext>);
    const NAMESPACES: [(&str, Register); 4] =
        [("eth", blocks::register), ("net", net), ("web3", web3), ("da", da)];
    let mut registrar = Registrar::new(Arc::clone(context));
    for (name, register) in NAMESPACES {
        if context.config.namespaces.iter().any(|wanted| wanted == name) {
            register(&mut registrar);
        }
    }
    registrar.finish()
}

fn net(registrar: &mut Registrar<ColumnsContext>) {
    registrar.quick("net_version", 0, |context, _| Ok(context.parts.spec.chain_id().to_string()));
    registrar
        .quick("net_listening", 0, |context, _| Ok(!context.parts.network.listen_addresses().is_empty()));
    registrar
        .quick("net_peerCount", 0, |context, _| Ok(U64::from(context.parts.network.peer_count() as u64)));
}

fn web3(registrar: &mut Registrar<ColumnsContext>) {
    registrar.quick("web3_clientVersion", 0, |context, _| Ok(context.parts.client_version.clone()));
}

fn da(registrar: &mut Registrar<ColumnsContext>) {
    registrar.read("da_status", 0, status::status);
    registrar.execute("da_commitment", 1, data::commitment);
    registrar.execute("da_getBlob", 3, data::blob);
    registrar.execute("da_cells", 4, data::cells);
    registrar.execute("da_cellProof", 3, data::cell_proof);
    registrar.read("da_sampling", 1, sampling::of_block);
    registrar.asynchronous("da_peers", peers);
}

/// `da_peers()`, as a full node answers it.
async fn peers(context: Arc<ColumnsContext>, params: Params<'static>) -> Result<DaPeers, RpcError> {
    Args::parse(params.as_str(), 0)?;
    Ok(DaPeers::of(&context.parts.network.peers().await, context.parts.geometry.columns()))
}
