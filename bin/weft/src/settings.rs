//! The node's settings as plain data: what flags, environment, file and defaults say, before anything is believed.
//!
//! Every setting is an `Option`: `None` means "this source says nothing". [`NodeArgs`] is what clap fills from
//! flags and `WEFT_*` variables (a flag wins), what a TOML file deserialises to, and what the defaults are written
//! in; [`file::merge`] lays them over each other and [`resolve`](resolve::node_config) is the one fallible step to a
//! `NodeConfig`. Nothing else in the program reads the flags, the environment or the file.

mod defaults;
pub mod file;
pub mod resolve;
mod units;

pub use units::{ArAmount, ByteSize, Embedded, HumanDuration};

use clap::Args;
use serde::{Deserialize, Serialize};
use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroU64,
    path::PathBuf,
    time::Duration,
};

/// Namespaces that are served unless told otherwise.
const NAMESPACES: [&str; 5] = ["eth", "net", "web3", "txpool", "da"];
/// Namespaces that `--dev` serves besides, on the loopback interface only.
const LOOPBACK_NAMESPACES: [&str; 1] = ["admin"];

/// Settings of `weft node`; the TOML names are the flags' names (`http.enabled`, `ws.enabled` and `dev.enabled`
/// stand for `--http`, `--ws` and `--dev`, as a TOML name cannot be a value and a table at once).
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeArgs {
    /// Folder of the chain's data [default: ~/.local/share/weft/CHAIN]
    #[arg(long, env = "WEFT_DATADIR", value_name = "DIR", help_heading = "Chain")]
    pub datadir: Option<PathBuf>,
    /// `dev`, or a genesis file in geth's JSON format, with `config.weft` for the protocol's parameters [default: dev]
    #[arg(long, env = "WEFT_CHAIN", value_name = "dev|FILE", help_heading = "Chain")]
    pub chain: Option<String>,
    /// What the node does: `full` executes every block, `da` keeps headers and columns, `light` keeps headers and samples
    #[arg(long, env = "WEFT_ROLE", value_name = "ROLE", help_heading = "Chain")]
    pub role: Option<RoleName>,
    /// Development chain: seal blocks here, serve HTTP, WebSocket and metrics on the loopback interface
    #[arg(long, env = "WEFT_DEV", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "Chain")]
    #[serde(rename = "dev.enabled")]
    pub dev: Option<bool>,
    /// Seal a block every so often (`2s`, `250ms`), even an empty one; without it, as soon as there are transactions
    #[arg(
        long = "dev.block-time",
        env = "WEFT_DEV_BLOCK_TIME",
        value_name = "DURATION",
        help_heading = "Chain"
    )]
    #[serde(rename = "dev.block-time")]
    pub dev_block_time: Option<HumanDuration>,
    /// Gas limit that built blocks move towards [default: that of the head block]
    #[arg(
        long = "builder.gaslimit",
        env = "WEFT_BUILDER_GASLIMIT",
        value_name = "GAS",
        help_heading = "Chain"
    )]
    #[serde(rename = "builder.gaslimit")]
    pub builder_gaslimit: Option<u64>,

    /// Serve JSON-RPC over HTTP [default: true with --dev]
    #[arg(long, env = "WEFT_HTTP", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "RPC")]
    #[serde(rename = "http.enabled")]
    pub http: Option<bool>,
    /// Interface of the HTTP server
    #[arg(long = "http.addr", env = "WEFT_HTTP_ADDR", value_name = "IP", help_heading = "RPC")]
    #[serde(rename = "http.addr")]
    pub http_addr: Option<IpAddr>,
    /// Port of the HTTP server; 0 lets the system choose, and the banner says which
    #[arg(long = "http.port", env = "WEFT_HTTP_PORT", value_name = "PORT", help_heading = "RPC")]
    #[serde(rename = "http.port")]
    pub http_port: Option<u16>,
    /// Namespaces served over HTTP, comma-separated
    #[arg(
        long = "http.api",
        env = "WEFT_HTTP_API",
        value_delimiter = ',',
        value_name = "LIST",
        help_heading = "RPC"
    )]
    #[serde(rename = "http.api")]
    pub http_api: Option<Vec<String>>,
    /// Origins that browsers may call from, comma-separated, `*` for any [default: none; any with --dev]
    #[arg(
        long = "http.corsdomain",
        env = "WEFT_HTTP_CORSDOMAIN",
        value_delimiter = ',',
        value_name = "LIST",
        help_heading = "RPC"
    )]
    #[serde(rename = "http.corsdomain")]
    pub http_corsdomain: Option<Vec<String>>,
    /// Serve JSON-RPC over WebSocket [default: true with --dev]
    #[arg(long, env = "WEFT_WS", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "RPC")]
    #[serde(rename = "ws.enabled")]
    pub ws: Option<bool>,
    /// Interface of the WebSocket server
    #[arg(long = "ws.addr", env = "WEFT_WS_ADDR", value_name = "IP", help_heading = "RPC")]
    #[serde(rename = "ws.addr")]
    pub ws_addr: Option<IpAddr>,
    /// Port of the WebSocket server; the same as the HTTP server's means one server for both [default: http.port]
    #[arg(long = "ws.port", env = "WEFT_WS_PORT", value_name = "PORT", help_heading = "RPC")]
    #[serde(rename = "ws.port")]
    pub ws_port: Option<u16>,
    /// Namespaces served over WebSocket, comma-separated
    #[arg(
        long = "ws.api",
        env = "WEFT_WS_API",
        value_delimiter = ',',
        value_name = "LIST",
        help_heading = "RPC"
    )]
    #[serde(rename = "ws.api")]
    pub ws_api: Option<Vec<String>>,
    /// Largest request body in MiB; a 16 MiB transaction takes 33 as hex
    #[arg(
        long = "rpc.max-request-size",
        env = "WEFT_RPC_MAX_REQUEST_SIZE",
        value_name = "MIB",
        help_heading = "RPC"
    )]
    #[serde(rename = "rpc.max-request-size")]
    pub rpc_max_request_size: Option<u32>,
    /// Largest response body in MiB
    #[arg(
        long = "rpc.max-response-size",
        env = "WEFT_RPC_MAX_RESPONSE_SIZE",
        value_name = "MIB",
        help_heading = "RPC"
    )]
    #[serde(rename = "rpc.max-response-size")]
    pub rpc_max_response_size: Option<u32>,
    /// Connections served at once, HTTP and WebSocket together
    #[arg(
        long = "rpc.max-connections",
        env = "WEFT_RPC_MAX_CONNECTIONS",
        value_name = "COUNT",
        help_heading = "RPC"
    )]
    #[serde(rename = "rpc.max-connections")]
    pub rpc_max_connections: Option<u32>,
    /// Most gas that eth_call and eth_estimateGas may use
    #[arg(long = "rpc.gascap", env = "WEFT_RPC_GASCAP", value_name = "GAS", help_heading = "RPC")]
    #[serde(rename = "rpc.gascap")]
    pub rpc_gascap: Option<u64>,

    /// How many blocks behind the head eth_getProof reaches; the further, the longer it takes
    #[arg(
        long = "rpc.eth-proof-window",
        env = "WEFT_RPC_ETH_PROOF_WINDOW",
        value_name = "BLOCKS",
        help_heading = "RPC"
    )]
    #[serde(rename = "rpc.eth-proof-window")]
    pub rpc_eth_proof_window: Option<u64>,

    /// Take part in the peer-to-peer network [default: true when sealers, peers or bootnodes are given]
    #[arg(long, env = "WEFT_P2P", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "Network")]
    #[serde(rename = "p2p.enabled")]
    pub p2p: Option<bool>,
    /// Interface to listen on for peers [default: all; the loopback interface with --dev]
    #[arg(long = "p2p.addr", env = "WEFT_P2P_ADDR", value_name = "IP", help_heading = "Network")]
    #[serde(rename = "p2p.addr")]
    pub p2p_addr: Option<IpAddr>,
    /// Port to listen on for peers, TCP, and UDP with --p2p.quic; 0 lets the system choose
    #[arg(long = "p2p.port", env = "WEFT_P2P_PORT", value_name = "PORT", help_heading = "Network")]
    #[serde(rename = "p2p.port")]
    pub p2p_port: Option<u16>,
    /// Peer ids, comma-separated, whose blocks are believed; a node that does not seal follows them
    #[arg(
        long = "p2p.sealers",
        alias = "sealers",
        env = "WEFT_P2P_SEALERS",
        value_delimiter = ',',
        value_name = "PEER ID,…",
        help_heading = "Network"
    )]
    #[serde(rename = "p2p.sealers")]
    pub p2p_sealers: Option<Vec<String>>,
    /// Peers that are always dialled, comma-separated multiaddresses that end with /p2p/PEER ID
    #[arg(
        long = "p2p.peers",
        alias = "peers",
        env = "WEFT_P2P_PEERS",
        value_delimiter = ',',
        value_name = "MULTIADDR,…",
        help_heading = "Network"
    )]
    #[serde(rename = "p2p.peers")]
    pub p2p_peers: Option<Vec<String>>,
    /// Where to begin looking for peers, comma-separated multiaddresses that end with /p2p/PEER ID
    #[arg(
        long = "p2p.bootnodes",
        env = "WEFT_P2P_BOOTNODES",
        value_delimiter = ',',
        value_name = "MULTIADDR,…",
        help_heading = "Network"
    )]
    #[serde(rename = "p2p.bootnodes")]
    pub p2p_bootnodes: Option<Vec<String>>,
    /// Peers at one time; three quarters of them may have come by themselves
    #[arg(
        long = "p2p.max-peers",
        env = "WEFT_P2P_MAX_PEERS",
        value_name = "COUNT",
        help_heading = "Network"
    )]
    #[serde(rename = "p2p.max-peers")]
    pub p2p_max_peers: Option<u32>,
    /// Find peers of the local network by multicast DNS
    #[arg(long = "p2p.mdns", env = "WEFT_P2P_MDNS", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "Network")]
    #[serde(rename = "p2p.mdns")]
    pub p2p_mdns: Option<bool>,
    /// Listen and dial over QUIC as well
    #[arg(long = "p2p.quic", env = "WEFT_P2P_QUIC", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "Network")]
    #[serde(rename = "p2p.quic")]
    pub p2p_quic: Option<bool>,
    /// File of the key that makes the peer id; made when it is missing [default: p2p.key in the data folder]
    #[arg(long = "p2p.identity", env = "WEFT_P2P_IDENTITY", value_name = "FILE", help_heading = "Network")]
    #[serde(rename = "p2p.identity")]
    pub p2p_identity: Option<PathBuf>,

    /// Columns of every block that a `da` node keeps, and a full node beyond --da.retention; which ones follows from its peer id
    #[arg(
        long = "da.custody-count",
        env = "WEFT_DA_CUSTODY_COUNT",
        value_name = "COUNT",
        help_heading = "Data availability"
    )]
    #[serde(rename = "da.custody-count")]
    pub da_custody_count: Option<u16>,
    /// Bytes of columns that a `da` node keeps, in MiB; the oldest go first
    #[arg(
        long = "da.disk-max",
        env = "WEFT_DA_DISK_MAX",
        value_name = "MIB",
        help_heading = "Data availability"
    )]
    #[serde(rename = "da.disk-max")]
    pub da_disk_max: Option<u64>,
    /// Newest blocks of which a full node keeps all calldata; of older ones blobs of 32 KiB or more go, but for its own columns,
    /// when enough peers prove that they keep theirs. 0 keeps everything
    #[arg(
        long = "da.retention",
        env = "WEFT_DA_RETENTION",
        value_name = "BLOCKS",
        help_heading = "Data availability"
    )]
    #[serde(rename = "da.retention")]
    pub da_retention: Option<u64>,
    /// Columns that peers must keep before --da.retention deletes, beyond those that reconstruct a blob
    #[arg(
        long = "da.retention-margin",
        env = "WEFT_DA_RETENTION_MARGIN",
        value_name = "COUNT",
        help_heading = "Data availability"
    )]
    #[serde(rename = "da.retention-margin")]
    pub da_retention_margin: Option<u16>,
    /// Peers that must keep each of these columns
    #[arg(
        long = "da.retention-peers",
        env = "WEFT_DA_RETENTION_PEERS",
        value_name = "COUNT",
        help_heading = "Data availability"
    )]
    #[serde(rename = "da.retention-peers")]
    pub da_retention_peers: Option<u16>,
    /// Columns of every block that a light node asks for, one random cell of each; it accepts the block when all come
    #[arg(
        long = "light.samples",
        env = "WEFT_LIGHT_SAMPLES",
        value_name = "COUNT",
        help_heading = "Data availability"
    )]
    #[serde(rename = "light.samples")]
    pub light_samples: Option<u16>,

    /// Transactions in the pool, executable and queued together
    #[arg(
        long = "txpool.max-count",
        env = "WEFT_TXPOOL_MAX_COUNT",
        value_name = "COUNT",
        help_heading = "Transaction pool"
    )]
    #[serde(rename = "txpool.max-count")]
    pub txpool_max_count: Option<usize>,
    /// Bytes of transactions in the pool, in MiB
    #[arg(
        long = "txpool.max-size",
        env = "WEFT_TXPOOL_MAX_SIZE",
        value_name = "MIB",
        help_heading = "Transaction pool"
    )]
    #[serde(rename = "txpool.max-size")]
    pub txpool_max_size: Option<usize>,
    /// Transactions of one sender in the pool
    #[arg(
        long = "txpool.max-account-slots",
        env = "WEFT_TXPOOL_MAX_ACCOUNT_SLOTS",
        value_name = "COUNT",
        help_heading = "Transaction pool"
    )]
    #[serde(rename = "txpool.max-account-slots")]
    pub txpool_max_account_slots: Option<usize>,
    /// By how many per cent a replacement must raise both fees
    #[arg(
        long = "txpool.pricebump",
        env = "WEFT_TXPOOL_PRICEBUMP",
        value_name = "PERCENT",
        help_heading = "Transaction pool"
    )]
    #[serde(rename = "txpool.pricebump")]
    pub txpool_pricebump: Option<u64>,
    /// Smallest priority fee that is taken, in wei
    #[arg(
        long = "txpool.minimum-priority-fee",
        env = "WEFT_TXPOOL_MINIMUM_PRIORITY_FEE",
        value_name = "WEI",
        help_heading = "Transaction pool"
    )]
    #[serde(rename = "txpool.minimum-priority-fee")]
    pub txpool_minimum_priority_fee: Option<u64>,
    /// Bytes of calldata being hashed and coded at any moment, in MiB; beyond it submission is refused as busy
    #[arg(
        long = "txpool.max-admission-size",
        env = "WEFT_TXPOOL_MAX_ADMISSION_SIZE",
        value_name = "MIB",
        help_heading = "Transaction pool"
    )]
    #[serde(rename = "txpool.max-admission-size")]
    pub txpool_max_admission_size: Option<usize>,
    /// Calldata in blocks that waits for its parity to be written, in MiB; beyond it submission of large calldata waits
    #[arg(
        long = "txpool.max-archive-backlog",
        env = "WEFT_TXPOOL_MAX_ARCHIVE_BACKLOG",
        value_name = "MIB",
        help_heading = "Transaction pool"
    )]
    #[serde(rename = "txpool.max-archive-backlog")]
    pub txpool_max_archive_backlog: Option<u64>,
    /// Threads that hash and code transactions [default: one per core]
    #[arg(
        long = "txpool.admission-threads",
        env = "WEFT_TXPOOL_ADMISSION_THREADS",
        value_name = "COUNT",
        help_heading = "Transaction pool"
    )]
    #[serde(rename = "txpool.admission-threads")]
    pub txpool_admission_threads: Option<usize>,

    /// Block cache of the database in MiB; a light node takes 16 at most
    #[arg(long = "db.cache-size", env = "WEFT_DB_CACHE_SIZE", value_name = "MIB", help_heading = "Database")]
    #[serde(rename = "db.cache-size")]
    pub db_cache_size: Option<usize>,
    /// Sealing stops while the disk has less than this free, in MiB; it goes on when there is room again
    #[arg(long = "db.min-free", env = "WEFT_DB_MIN_FREE", value_name = "MIB", help_heading = "Database")]
    #[serde(rename = "db.min-free")]
    pub db_min_free: Option<u64>,

    /// Make a checkpoint of every so many finalized blocks and put it on Arweave; 0: none [default: 0; 100 with --dev]
    #[arg(
        long = "checkpoint.interval",
        env = "WEFT_CHECKPOINT_INTERVAL",
        value_name = "BLOCKS",
        help_heading = "Permanence"
    )]
    #[serde(rename = "checkpoint.interval")]
    pub checkpoint_interval: Option<u64>,
    /// Of so many checkpoints one holds the whole state, the others what changed; at most 256
    #[arg(
        long = "checkpoint.full-every",
        env = "WEFT_CHECKPOINT_FULL_EVERY",
        value_name = "COUNT",
        help_heading = "Permanence"
    )]
    #[serde(rename = "checkpoint.full-every")]
    pub checkpoint_full_every: Option<NonZeroU64>,
    /// Arweave nodes or gateways, comma-separated, the preferred first; none of them is trusted
    #[arg(
        long = "arweave.gateway",
        env = "WEFT_ARWEAVE_GATEWAY",
        value_delimiter = ',',
        value_name = "URL,…",
        help_heading = "Permanence"
    )]
    #[serde(rename = "arweave.gateway")]
    pub arweave_gateway: Option<Vec<String>>,
    /// A bundler with Turbo's upload API that takes items one by one [default: own bundles, paid by the wallet]
    #[arg(
        long = "arweave.bundler",
        env = "WEFT_ARWEAVE_BUNDLER",
        value_name = "URL",
        help_heading = "Permanence"
    )]
    #[serde(rename = "arweave.bundler")]
    pub arweave_bundler: Option<String>,
    /// Where the bundler says its prices and balances (Turbo's payment API)
    #[arg(
        long = "arweave.bundler-payment",
        env = "WEFT_ARWEAVE_BUNDLER_PAYMENT",
        value_name = "URL",
        help_heading = "Permanence"
    )]
    #[serde(rename = "arweave.bundler-payment")]
    pub arweave_bundler_payment: Option<String>,
    /// Arweave on this machine, in one process with the node: `IP:PORT` (port 0 lets the system choose), or `off` [default: off; 127.0.0.1:1984 with --dev, unless there is a gateway]
    #[arg(
        long = "arweave.embedded",
        env = "WEFT_ARWEAVE_EMBEDDED",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "on",
        value_name = "IP:PORT|off",
        help_heading = "Permanence"
    )]
    #[serde(rename = "arweave.embedded")]
    pub arweave_embedded: Option<Embedded>,
    /// Wallet that signs and pays, a JWK file [default: none; with an embedded gateway one is made in the data folder]
    #[arg(
        long = "arweave.wallet",
        env = "WEFT_ARWEAVE_WALLET",
        value_name = "FILE",
        help_heading = "Permanence"
    )]
    #[serde(rename = "arweave.wallet")]
    pub arweave_wallet: Option<PathBuf>,
    /// File with the wallet's passphrase in its first line; or the passphrase itself in WEFT_ARWEAVE_PASSPHRASE
    #[arg(
        long = "arweave.passphrase-file",
        env = "WEFT_ARWEAVE_PASSPHRASE_FILE",
        value_name = "FILE",
        help_heading = "Permanence"
    )]
    #[serde(rename = "arweave.passphrase-file")]
    pub arweave_passphrase_file: Option<PathBuf>,
    /// Most that is spent on Arweave in all, `1.5AR` or in winston [default: no bound]
    #[arg(
        long = "arweave.max-spend",
        env = "WEFT_ARWEAVE_MAX_SPEND",
        value_name = "AMOUNT",
        help_heading = "Permanence"
    )]
    #[serde(rename = "arweave.max-spend")]
    pub arweave_max_spend: Option<ArAmount>,
    /// Most that is spent on Arweave in any one hour of the clock [default: no bound]
    #[arg(
        long = "arweave.max-spend-per-hour",
        env = "WEFT_ARWEAVE_MAX_SPEND_PER_HOUR",
        value_name = "AMOUNT",
        help_heading = "Permanence"
    )]
    #[serde(rename = "arweave.max-spend-per-hour")]
    pub arweave_max_spend_per_hour: Option<ArAmount>,
    /// Most that is paid for one MiB; a higher price is waited out [default: no bound]
    #[arg(
        long = "arweave.max-price",
        env = "WEFT_ARWEAVE_MAX_PRICE",
        value_name = "AMOUNT",
        help_heading = "Permanence"
    )]
    #[serde(rename = "arweave.max-price")]
    pub arweave_max_price: Option<ArAmount>,
    /// Confirmations on Arweave after which an upload is read back [default: 10; 2 with an embedded gateway]
    #[arg(
        long = "arweave.confirmations",
        env = "WEFT_ARWEAVE_CONFIRMATIONS",
        value_name = "COUNT",
        help_heading = "Permanence"
    )]
    #[serde(rename = "arweave.confirmations")]
    pub arweave_confirmations: Option<NonZeroU64>,
    /// US dollars per AR, for what `weft cost` and `da_price` say [default: none, and no dollars are said]
    #[arg(
        long = "arweave.ar-price-usd",
        env = "WEFT_ARWEAVE_AR_PRICE_USD",
        value_name = "USD",
        help_heading = "Permanence"
    )]
    #[serde(rename = "arweave.ar-price-usd")]
    pub arweave_ar_price_usd: Option<f64>,

    /// Serve Prometheus metrics, /health and /ready on this address [default: none; 127.0.0.1:9001 with --dev]
    #[arg(long, env = "WEFT_METRICS", value_name = "IP:PORT", help_heading = "Operation")]
    pub metrics: Option<SocketAddr>,
    /// How log lines look: `terminal` or `json`
    #[arg(long = "log.format", env = "WEFT_LOG_FORMAT", value_name = "FORMAT", help_heading = "Operation")]
    #[serde(rename = "log.format")]
    pub log_format: Option<LogFormat>,
    /// What is logged, as `level` or `target=level,…`, for example `info,weft::pool=debug`
    #[arg(long = "log.filter", env = "WEFT_LOG_FILTER", value_name = "FILTER", help_heading = "Operation")]
    #[serde(rename = "log.filter")]
    pub log_filter: Option<String>,
}

/// What a node does with the chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoleName {
    /// Executes.
    #[default]
    Full,
    /// Keeps headers and columns.
    Da,
    /// Keeps headers and samples.
    Light,
}

/// Shape of log lines on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Terminal,
    /// One JSON object a line.
    Json,
}

impl NodeArgs {
    /// The interval of the dev sealer.
    pub fn block_time(&self) -> Option<Duration> {
        self.dev_block_time.map(|duration| duration.0)
    }
}

#[cfg(test)]
mod tests;
