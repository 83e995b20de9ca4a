//! What a node is made from.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};
use weft_chainspec::ChainSpec;
use weft_consensus::DevSealerConfig;
use weft_engine::EngineConfig;
use weft_pool::PoolConfig;
use weft_rpc::RpcConfig;
use weft_storage::StoreOptions;

/// The database, inside of the data folder.
pub const DB_FOLDER: &str = "db";

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The chain's parameters.
    pub spec: Arc<ChainSpec>,
    /// What people call the chain: `dev`, or the genesis file's name.
    pub chain_name: String,
    /// Folder of everything that the node keeps.
    pub datadir: PathBuf,
    /// The dev sealer; `None`: this node proposes no blocks.
    pub sealer: Option<DevSealerConfig>,
    /// JSON-RPC servers: none, one for HTTP and WebSocket, or one for each.
    pub rpc: Vec<RpcConfig>,
    /// Where metrics, health and readiness are served.
    pub metrics: Option<SocketAddr>,
    /// The pool's limits.
    pub pool: PoolConfig,
    /// The engine's limits.
    pub engine: EngineConfig,
    /// The database's.
    pub store: StoreOptions,
}

impl NodeConfig {
    /// Where the database is.
    pub fn db_folder(&self) -> PathBuf {
        self.datadir.join(DB_FOLDER)
    }
}
