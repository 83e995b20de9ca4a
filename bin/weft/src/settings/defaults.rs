//! What holds where no source says anything, with the reasons for the numbers.

use super::{Embedded, LOOPBACK_NAMESPACES, LogFormat, NAMESPACES, NodeArgs, RoleName};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU64,
};
use weft_p2p::{DEFAULT_PORT, Limits};
use weft_pool::PoolConfig;
use weft_rpc::RpcConfig;
use weft_storage::StoreOptions;

const MIB: usize = 1 << 20;
/// Calldata of 16 MiB at Ethereum's floor price, and some.
const GAS_CAP: u64 = 1_000_000_000;
/// Port of the JSON-RPC server, HTTP and WebSocket alike.
const RPC_PORT: u16 = 8545;
/// Where `--dev` serves metrics.
const DEV_METRICS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9001);
/// Where `--dev` serves its own Arweave: the port that Arweave's development tools expect.
pub(super) const DEV_GATEWAY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1984);
/// Finalized blocks between two checkpoints with `--dev`.
const DEV_CHECKPOINT_INTERVAL: u64 = 100;
/// Of so many checkpoints one is full.
pub(super) const CHECKPOINT_FULL_EVERY: NonZeroU64 = NonZeroU64::new(16).expect("not zero");
/// Columns that a `da` node keeps.
const CUSTODY_COUNT: u16 = 4;
/// And how many MiB of them: 100 GiB.
const DA_DISK_MAX_MIB: u64 = 100 << 10;
/// Columns that peers keep beyond those that reconstruct, before bodies go: any two may be lost.
const RETENTION_MARGIN: u16 = 2;
/// Peers that keep each of them: any one may go.
const RETENTION_PEERS: u16 = 2;
/// Columns of a block that a light node asks for: with 4 + 7 columns the fewest that leave a block which cannot be
/// reconstructed no chance.
const LIGHT_SAMPLES: u16 = 4;
impl NodeArgs {
    /// What holds where no source says anything. `dev` changes some of it.
    pub fn defaults(dev: bool) -> Self {
        let (pool, store) = (PoolConfig::default(), StoreOptions::default());
        let extra = LOOPBACK_NAMESPACES.iter().filter(|_| dev);
        let namespaces: Vec<String> = NAMESPACES.iter().chain(extra).map(ToString::to_string).collect();
        Self {
            datadir: None,
            chain: Some("dev".into()),
            role: Some(RoleName::Full),
            dev: Some(dev),
            dev_block_time: None,
            builder_gaslimit: None,
            http: Some(dev),
            http_addr: Some(Ipv4Addr::LOCALHOST.into()),
            http_port: Some(RPC_PORT),
            http_api: Some(namespaces.clone()),
            http_corsdomain: dev.then(|| vec!["*".into()]),
            ws: Some(dev),
            ws_addr: None,
            ws_port: None,
            ws_api: Some(namespaces),
            rpc_max_request_size: Some(64),
            rpc_max_response_size: Some(160),
            rpc_max_connections: Some(500),
            rpc_gascap: Some(GAS_CAP),
            rpc_eth_proof_window: Some(RpcConfig::default().proof_window),
            p2p: Some(false),
            p2p_addr: Some(if dev { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED }.into()),
            p2p_port: Some(DEFAULT_PORT),
            p2p_sealers: None,
            p2p_peers: None,
            p2p_bootnodes: None,
            p2p_max_peers: Some(Limits::default().peers_max),
            p2p_mdns: Some(false),
            p2p_quic: Some(false),
            p2p_identity: None,
            da_custody_count: Some(CUSTODY_COUNT),
            da_disk_max: Some(DA_DISK_MAX_MIB),
            da_retention: Some(0),
            da_retention_margin: Some(RETENTION_MARGIN),
            da_retention_peers: Some(RETENTION_PEERS),
            light_samples: Some(LIGHT_SAMPLES),
            txpool_max_count: Some(pool.transactions_max),
            txpool_max_size: Some(pool.bytes_max / MIB),
            txpool_max_account_slots: Some(pool.account_slots_max),
            txpool_pricebump: Some(pool.price_bump_percent),
            txpool_minimum_priority_fee: Some(0),
            txpool_max_admission_size: Some(pool.admission_bytes_max / MIB),
            txpool_max_archive_backlog: Some(pool.backlog_bytes_max / MIB as u64),
            txpool_admission_threads: None,
            db_cache_size: Some(store.cache_bytes / MIB),
            db_min_free: Some(256),
            checkpoint_interval: Some(if dev { DEV_CHECKPOINT_INTERVAL } else { 0 }),
            checkpoint_full_every: Some(CHECKPOINT_FULL_EVERY),
            arweave_gateway: None,
            arweave_bundler: None,
            arweave_bundler_payment: None,
            arweave_embedded: Some(if dev { Embedded::At(DEV_GATEWAY) } else { Embedded::Off }),
            arweave_wallet: None,
            arweave_passphrase_file: None,
            arweave_max_spend: None,
            arweave_max_spend_per_hour: None,
            arweave_max_price: None,
            arweave_confirmations: None,
            arweave_ar_price_usd: None,
            metrics: dev.then_some(DEV_METRICS),
            log_format: Some(LogFormat::Terminal),
            log_filter: Some("info".into()),
        }
    }
}
