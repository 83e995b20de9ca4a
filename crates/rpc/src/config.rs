//! Limits and switches of the JSON-RPC server; every one of them is a flag of the node.
//!
//! Worst-case memory at the defaults: request bodies [`RpcConfig::request_bytes_in_flight`]
//! (256 MiB), responses under construction `read_permits + execute_permits` × the response limit
//! in theory (a result is built in the blocking pool only), journals and caches as stated in `head`.

use std::{net::SocketAddr, time::Duration};

/// A 16 MiB transaction in hex is 33.6 MB; the rest of a request fits in the slack.
pub const BODY_SLACK_BYTES: usize = 64 * 1024;

/// Configuration of the server.
#[derive(Clone, Debug)]
pub struct RpcConfig {
    /// Where HTTP and WebSocket are served, on one port.
    pub address: SocketAddr,
    /// Serve HTTP POST.
    pub http: bool,
    /// Serve WebSocket upgrades.
    pub websocket: bool,
    /// Namespaces that are served, e.g. `eth`.
    pub namespaces: Vec<String>,
    /// Origins that browsers may call from: exact origins, or `*`. Empty: no CORS headers, and a
    /// WebSocket upgrade that carries an `Origin` other than localhost is refused.
    pub cors_origins: Vec<String>,
    /// `Host` names that are served beside IP addresses and `localhost`; `*` for all (DNS rebinding).
    pub virtual_hosts: Vec<String>,
    /// Bytes of one request body or WebSocket message.
    pub request_bytes_max: usize,
    /// Bytes of all request bodies being received or handled; beyond it, bodies wait for their turn.
    pub request_bytes_in_flight: usize,
    /// Bytes of one response (a batch counts as one).
    pub response_bytes_max: usize,
    /// Calls in one batch.
    pub batch_calls_max: u32,
    /// TCP connections.
    pub connections_max: usize,
    /// Subscriptions of one WebSocket connection.
    pub subscriptions_per_connection_max: u32,
    /// Messages queued towards one WebSocket connection before its subscriptions wait.
    pub subscription_queue: u32,
    /// Calls of one WebSocket connection being handled; beyond it, its socket is not read.
    pub calls_per_connection_max: usize,
    /// Time for one call, from parsed to answered.
    pub call_timeout: Duration,
    /// Time until a request's head is there.
    pub header_timeout: Duration,
    /// Time between two pieces of a request's body.
    pub body_idle_timeout: Duration,
    /// A body that comes slower than this many bytes a second is given up.
    pub body_rate_min: usize,
    /// Calls that read the database at the same time.
    pub read_permits: usize,
    /// Calls that execute or scan at the same time.
    pub execute_permits: usize,
    /// Gas that `eth_call` and its kin may use.
    pub gas_cap: u64,
    /// Time that the EVM may take in one call.
    pub evm_timeout: Duration,
    /// Blocks that one `eth_getLogs` may span.
    pub log_blocks_max: u64,
    /// Logs that one `eth_getLogs` may return.
    pub logs_max: usize,
    /// Addresses, or alternatives of one topic, in a log filter.
    pub filter_terms_max: usize,
    /// Filters installed at the same time; beyond it the one that was polled longest ago goes.
    pub filters_max: usize,
    /// A filter that is not polled for so long is removed.
    pub filter_lifetime: Duration,
    /// Storage keys in one `eth_getProof`, slots in one `eth_getStorageValues`.
    pub storage_keys_max: usize,
    /// How many blocks behind the head `eth_getProof` and simulations reach: each costs a read of about 10 µs even
    /// when nothing changed in it, so 10,000 take a tenth of a second.
    pub proof_window: u64,
    /// Accounts and slots that may have changed since the block of a proof or a simulation. About 400 bytes each with
    /// the trie's own lists: 50 MiB a call, [`execute_permits`](Self::execute_permits) of them at a time.
    pub proof_keys_max: usize,
    /// Private keys of the dev accounts that `eth_sendTransaction` and `eth_sign` may use; empty outside dev mode.
    pub dev_keys: Vec<alloy_primitives::B256>,
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 8545)),
            http: true,
            websocket: true,
            namespaces: ["eth", "net", "web3", "txpool", "da"].map(str::to_owned).to_vec(),
            cors_origins: Vec::new(),
            virtual_hosts: Vec::new(),
            request_bytes_max: 2 * 16 * 1024 * 1024 + BODY_SLACK_BYTES,
            request_bytes_in_flight: 256 * 1024 * 1024,
            response_bytes_max: 160 * 1024 * 1024,
            batch_calls_max: 1000,
            connections_max: 500,
            subscriptions_per_connection_max: 1024,
            subscription_queue: 1024,
            calls_per_connection_max: 256,
            call_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(30),
            body_idle_timeout: Duration::from_secs(10),
            body_rate_min: 128 * 1024,
            read_permits: 64,
            execute_permits: std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            gas_cap: 50_000_000,
            evm_timeout: Duration::from_secs(5),
            log_blocks_max: 100_000,
            logs_max: 20_000,
            filter_terms_max: 1000,
            filters_max: 1024,
            filter_lifetime: Duration::from_secs(300),
            storage_keys_max: 1024,
            proof_window: 10_000,
            proof_keys_max: 131_072,
            dev_keys: Vec::new(),
        }
    }
}

impl RpcConfig {
    /// Raises the body limit so that a transaction of `tx_bytes_max` fits in hex, and the gas cap so that
    /// it can be called and estimated: 16 gas a byte, and what it had before to run on.
    pub fn fit_transactions(mut self, tx_bytes_max: usize) -> Self {
        self.request_bytes_max = self.request_bytes_max.max(2 * tx_bytes_max + BODY_SLACK_BYTES);
        self.gas_cap = self.gas_cap.saturating_add(16 * tx_bytes_max as u64);
        self
    }
}
