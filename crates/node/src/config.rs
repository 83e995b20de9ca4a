//! What a node is made from.

use std::{fmt, net::SocketAddr, num::NonZeroU64, path::PathBuf, sync::Arc};
use weft_archive::{Budget, permanence::CheckpointConfig};
use weft_arweave::client::Url;
use weft_chainspec::ChainSpec;
use weft_consensus::DevSealerConfig;
use weft_engine::EngineConfig;
use weft_p2p::NetworkConfig;
use weft_pool::PoolConfig;
use weft_rpc::RpcConfig;
use weft_storage::{CustodyPolicy, StoreOptions};

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
    /// Peers; `None`: no network. `sealers` names whose blocks are followed when this node does not seal.
    pub network: Option<NetworkConfig>,
    /// When old bodies are given up to peers; `None`: never. Needs `network`, whose `custody_count` says what stays.
    pub retention: Option<RetentionSettings>,
    /// The pool's limits.
    pub pool: PoolConfig,
    /// The engine's limits.
    pub engine: EngineConfig,
    /// The database's.
    pub store: StoreOptions,
    /// Arweave.
    pub permanence: PermanenceConfig,
}

/// When bodies go, and how much of them others must keep.
#[derive(Clone, Copy, Debug)]
pub struct RetentionSettings {
    /// Newest blocks whose bodies are kept.
    pub window_blocks: NonZeroU64,
    /// What peers must prove.
    pub policy: CustodyPolicy,
}

/// Whom of Arweave the node talks to, and what for.
#[derive(Clone, Debug, Default)]
pub struct PermanenceConfig {
    /// Arweave in this process, and where it listens.
    pub embedded: Option<SocketAddr>,
    /// Nodes or gateways, the preferred first; after the embedded one.
    pub gateways: Vec<Url>,
    /// Takes items one by one, instead of bundles that the wallet pays.
    pub bundler: Option<Url>,
    /// The bundler's prices and balances.
    pub bundler_payment: Option<Url>,
    /// Who signs and pays. `None`: nobody; with an embedded gateway, a wallet in the data folder that is made if it is not there.
    pub wallet: Option<WalletFile>,
    /// What may be spent.
    pub budget: Budget,
    /// Confirmations after which an upload is read back; `None`: as many as suit the network.
    pub confirmations: Option<NonZeroU64>,
    /// When checkpoints are made; `None`: never.
    pub checkpoints: Option<CheckpointConfig>,
    /// US dollars per AR, for what `da_price` says.
    pub usd_per_ar: Option<f64>,
}

impl PermanenceConfig {
    /// Whether there is nobody to talk to.
    pub fn is_off(&self) -> bool {
        self.embedded.is_none() && self.gateways.is_empty()
    }
}

/// A wallet in a file.
#[derive(Clone, Debug)]
pub struct WalletFile {
    /// A JWK, plain or sealed.
    pub path: PathBuf,
    /// Of a sealed one.
    pub passphrase: Option<Passphrase>,
}

/// Never printed; overwritten when it goes.
#[derive(Clone)]
pub struct Passphrase(pub zeroize::Zeroizing<String>);

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

impl NodeConfig {
    /// Where the database is.
    pub fn db_folder(&self) -> PathBuf {
        self.datadir.join(DB_FOLDER)
    }
}
