//! The one fallible step from plain settings to a checked `NodeConfig`.

mod network;
mod permanence;

pub use network::identity;
pub use permanence::permanence;

use super::{NodeArgs, RoleName, file};
use alloy_primitives::B256;
use clap::Args;
use eyre::{Context, Result, bail, ensure, eyre};
use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use weft_archive::network::{FetchLimits, SamplerConfig};
use weft_chainspec::ChainSpec;
use weft_consensus::{DevSealerConfig, SealMode};
use weft_engine::EngineConfig;
use weft_node::{ColumnsConfig, ColumnsWork, DB_FOLDER, DEV_MNEMONIC, NodeConfig};
use weft_pool::PoolConfig;
use weft_rpc::RpcConfig;
use weft_storage::StoreOptions;

const MIB: usize = 1 << 20;
/// Block cache and memtables of a light node at most, in bytes.
const LIGHT_CACHE_BYTES_MAX: usize = 16 * MIB;
const LIGHT_MEMTABLE_BYTES_MAX: usize = 16 * MIB;
/// Accounts of the dev mnemonic that the node signs for.
const DEV_ACCOUNTS: u32 = 10;

/// Where settings come from besides the flags and the environment.
#[derive(Args, Clone, Debug, Default)]
pub struct Sources {
    /// Settings file in TOML with the flags' names; `weft config` prints one
    #[arg(long, env = "WEFT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The settings themselves
    #[command(flatten)]
    pub node: NodeArgs,
}

impl Sources {
    /// Flags over environment over file over defaults.
    pub fn effective(&self) -> Result<NodeArgs> {
        let file = self.config.as_deref().map(file::read).transpose()?.unwrap_or_default();
        let given = file::merge(&self.node, &file)?;
        let dev = given.dev.unwrap_or(false);
        file::merge(&given, &permanence::fitted(NodeArgs::defaults(dev), &given))
    }
}

/// A chain with the name of its folder.
pub struct Chain {
    /// `dev`, or the genesis file's name.
    pub name: String,
    /// Its parameters.
    pub spec: Arc<ChainSpec>,
}

/// Loads the chain that the settings name.
pub fn chain(settings: &NodeArgs) -> Result<Chain> {
    match settings.chain.as_deref() {
        None | Some("dev") => Ok(Chain { name: "dev".into(), spec: Arc::new(ChainSpec::dev()) }),
        Some(path) => {
            let path = Path::new(path);
            let text = fs::read_to_string(path).wrap_err_with(|| format!("--chain: {}", path.display()))?;
            let spec =
                ChainSpec::from_json(&text).wrap_err_with(|| format!("--chain: {}", path.display()))?;
            let name =
                path.file_stem().map_or_else(|| "chain".into(), |stem| stem.to_string_lossy().into_owned());
            Ok(Chain { name, spec: Arc::new(spec) })
        }
    }
}

/// The data folder of a chain.
pub fn datadir(settings: &NodeArgs, chain: &Chain) -> Result<PathBuf> {
    if let Some(folder) = &settings.datadir {
        return Ok(folder.clone());
    }
    let home = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let share = home("XDG_DATA_HOME").or_else(|| home("HOME").map(|home| home.join(".local/share")));
    let share = share.ok_or_else(|| eyre!("neither HOME nor XDG_DATA_HOME is set: give --datadir"))?;
    Ok(share.join("weft").join(&chain.name))
}

/// The database folder of effective settings.
pub fn db_folder(settings: &NodeArgs) -> Result<PathBuf> {
    Ok(datadir(settings, &chain(settings)?)?.join(DB_FOLDER))
}

/// Checks effective settings.
pub fn node_config(settings: &NodeArgs) -> Result<NodeConfig> {
    let chain = chain(settings)?;
    let dev = settings.dev.unwrap_or(false);
    ensure!(dev || settings.dev_block_time.is_none(), "--dev.block-time needs --dev");
    let mode = settings.block_time().map_or(SealMode::Instant, SealMode::Interval);
    let mut network = network::network(settings, &chain)?;
    let retention = network::retention(settings, network.as_mut())?;
    Ok(NodeConfig {
        datadir: datadir(settings, &chain)?,
        sealer: dev.then(|| DevSealerConfig { mode, ..DevSealerConfig::default() }),
        rpc: rpc(settings, &chain.spec)?,
        metrics: settings.metrics,
        pool: pool(settings),
        engine: EngineConfig { gas_limit_target: settings.builder_gaslimit, ..EngineConfig::default() },
        store: store(settings),
        permanence: permanence(settings)?,
        network,
        retention,
        chain_name: chain.name,
        spec: chain.spec,
    })
}

/// Checks effective settings of a node without execution; `None`: they are a full node's.
pub fn columns_config(settings: &NodeArgs) -> Result<Option<ColumnsConfig>> {
    let role = settings.role.unwrap_or_default();
    if role == RoleName::Full {
        return Ok(None);
    }
    ensure!(!settings.dev.unwrap_or(false), "--dev seals blocks, which only --role full can");
    let chain = chain(settings)?;
    let network = network::network(settings, &chain)?;
    let mut network = network.ok_or_else(|| eyre!("--p2p=false: a node of this role lives by its peers"))?;
    ensure!(!network.sealers.is_empty(), "--p2p.sealers: whose headers are to be believed");
    let work = match role {
        RoleName::Light => {
            let samples = settings.light_samples.map_or(SamplerConfig::default().samples, usize::from);
            ensure!(
                (1..=usize::from(network.columns)).contains(&samples),
                "--light.samples: {samples}, and the chain has {} columns",
                network.columns
            );
            ColumnsWork::Light(SamplerConfig { samples, ..SamplerConfig::default() })
        }
        RoleName::Da | RoleName::Full => {
            network.custody_count = network::custody_count(settings, &network)?;
            let mib = settings.da_disk_max.unwrap_or_default();
            ensure!(mib > 0, "--da.disk-max: nothing could be kept");
            ColumnsWork::Da { disk_bytes_max: mib.saturating_mul(MIB as u64) }
        }
    };
    Ok(Some(ColumnsConfig {
        work,
        datadir: datadir(settings, &chain)?,
        rpc: rpc(settings, &chain.spec)?,
        metrics: settings.metrics,
        network,
        store: match role {
            RoleName::Light => light_store(settings),
            RoleName::Da | RoleName::Full => store(settings),
        },
        fetch: FetchLimits::default(),
        chain_name: chain.name,
        spec: chain.spec,
    }))
}

/// How the database is opened.
pub fn store(settings: &NodeArgs) -> StoreOptions {
    let defaults = StoreOptions::default();
    StoreOptions {
        cache_bytes: settings.db_cache_size.map_or(defaults.cache_bytes, |mib| mib.saturating_mul(MIB)),
        disk_reserve_bytes: settings
            .db_min_free
            .map_or(defaults.disk_reserve_bytes, |mib| mib.saturating_mul(MIB as u64)),
        ..defaults
    }
}

/// Of a node that keeps headers only and is to stay small.
fn light_store(settings: &NodeArgs) -> StoreOptions {
    let base = store(settings);
    let cache_bytes = base.cache_bytes.min(LIGHT_CACHE_BYTES_MAX);
    StoreOptions { cache_bytes, memtable_bytes_max: Some(LIGHT_MEMTABLE_BYTES_MAX), ..base }
}

fn pool(settings: &NodeArgs) -> PoolConfig {
    let defaults = PoolConfig::default();
    let mib = |value: Option<usize>, default: usize| value.map_or(default, |mib| mib.saturating_mul(MIB));
    PoolConfig {
        transactions_max: settings.txpool_max_count.unwrap_or(defaults.transactions_max),
        bytes_max: mib(settings.txpool_max_size, defaults.bytes_max),
        account_slots_max: settings.txpool_max_account_slots.unwrap_or(defaults.account_slots_max),
        price_bump_percent: settings.txpool_pricebump.unwrap_or(defaults.price_bump_percent),
        minimum_tip_wei: settings.txpool_minimum_priority_fee.map_or(defaults.minimum_tip_wei, u128::from),
        admission_bytes_max: mib(settings.txpool_max_admission_size, defaults.admission_bytes_max),
        backlog_bytes_max: settings
            .txpool_max_archive_backlog
            .map_or(defaults.backlog_bytes_max, |mib| mib.saturating_mul(MIB as u64)),
        admission_threads: settings.txpool_admission_threads.unwrap_or(defaults.admission_threads),
        ..defaults
    }
}

/// No server, one for HTTP and WebSocket, or one for each.
fn rpc(settings: &NodeArgs, spec: &ChainSpec) -> Result<Vec<RpcConfig>> {
    let (http, websocket) = (settings.http.unwrap_or(false), settings.ws.unwrap_or(false));
    let base = RpcConfig::default();
    let http_address = SocketAddr::new(
        settings.http_addr.unwrap_or(base.address.ip()),
        settings.http_port.unwrap_or(base.address.port()),
    );
    let ws_address = SocketAddr::new(
        settings.ws_addr.unwrap_or(http_address.ip()),
        settings.ws_port.unwrap_or(http_address.port()),
    );
    let mib =
        |value: Option<u32>, default: usize| value.map_or(default, |mib| (mib as usize).saturating_mul(MIB));
    let common = RpcConfig {
        cors_origins: settings.http_corsdomain.clone().unwrap_or_default(),
        request_bytes_max: mib(settings.rpc_max_request_size, base.request_bytes_max),
        response_bytes_max: mib(settings.rpc_max_response_size, base.response_bytes_max),
        connections_max: settings.rpc_max_connections.map_or(base.connections_max, |count| count as usize),
        gas_cap: settings.rpc_gascap.unwrap_or(base.gas_cap),
        proof_window: settings.rpc_eth_proof_window.unwrap_or(base.proof_window),
        dev_keys: dev_keys(settings)?,
        ..base
    };
    let common = match spec.weft() {
        Some(weft) => common.fit_transactions(weft.max_tx_bytes),
        None => common,
    };
    let http_api = namespaces("http.api", settings.http_api.as_deref(), http_address)?;
    let ws_api = namespaces("ws.api", settings.ws_api.as_deref(), ws_address)?;
    let server = |address, http, websocket, namespaces| RpcConfig {
        address,
        http,
        websocket,
        namespaces,
        ..common.clone()
    };
    Ok(match (http, websocket) {
        (false, false) => Vec::new(),
        (true, false) => vec![server(http_address, true, false, http_api)],
        (false, true) => vec![server(ws_address, false, true, ws_api)],
        (true, true) if http_address == ws_address => {
            ensure!(http_api == ws_api, "--http.api and --ws.api differ: give --ws.port a port of its own");
            vec![server(http_address, true, true, http_api)]
        }
        (true, true) => {
            vec![server(http_address, true, false, http_api), server(ws_address, false, true, ws_api)]
        }
    })
}

fn namespaces(name: &str, wanted: Option<&[String]>, address: SocketAddr) -> Result<Vec<String>> {
    let wanted = wanted.unwrap_or_default();
    for namespace in wanted {
        let known = super::NAMESPACES.iter().chain(&super::LOOPBACK_NAMESPACES);
        if !known.clone().any(|known| known == namespace) {
            bail!(
                "--{name}: there is no namespace `{namespace}`; there are {}",
                known.copied().collect::<Vec<_>>().join(", ")
            );
        }
    }
    if let Some(private) = wanted.iter().find(|wanted| super::LOOPBACK_NAMESPACES.contains(&wanted.as_str()))
    {
        ensure!(
            address.ip().is_loopback(),
            "--{name}: `{private}` is served on the loopback interface only, not on {}",
            address.ip()
        );
    }
    Ok(wanted.to_vec())
}

/// The keys that everybody knows, on the dev chain only.
fn dev_keys(settings: &NodeArgs) -> Result<Vec<B256>> {
    let built_in = matches!(settings.chain.as_deref(), None | Some("dev"));
    if !settings.dev.unwrap_or(false) || !built_in {
        return Ok(Vec::new());
    }
    (0..DEV_ACCOUNTS).map(|index| Ok(crate::command::key::derive(DEV_MNEMONIC, index)?.to_bytes())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(change: impl FnOnce(&mut NodeArgs)) -> Result<NodeConfig> {
        let mut settings = NodeArgs { datadir: Some("/nowhere".into()), ..NodeArgs::defaults(true) };
        change(&mut settings);
        node_config(&settings)
    }

    #[test]
    fn http_and_websocket_share_a_server_unless_they_are_told_apart() {
        let one = config(|_| {}).expect("dev").rpc;
        assert!(one.len() == 1 && one[0].http && one[0].websocket);
        let two = config(|settings| settings.ws_port = Some(8546)).expect("dev").rpc;
        assert_eq!(
            two.iter().map(|rpc| (rpc.address.port(), rpc.http, rpc.websocket)).collect::<Vec<_>>(),
            [(8545, true, false), (8546, false, true)]
        );
        assert!(
            config(|settings| (settings.http, settings.ws) = (Some(false), Some(false)))
                .expect("dev")
                .rpc
                .is_empty()
        );
        assert!(
            config(|settings| settings.ws_api = Some(vec!["eth".into()])).is_err(),
            "one port, two lists"
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (change, named) in [
            ((|settings| settings.http_api = Some(vec!["ethh".into()])) as fn(&mut NodeArgs), "`ethh`"),
            (|settings| settings.chain = Some("/no/such/genesis.json".into()), "/no/such/genesis.json"),
            (
                |settings| {
                    settings.dev = Some(false);
                    settings.dev_block_time = Some("1s".parse().expect("duration"));
                },
                "--dev.block-time",
            ),
        ] {
            let error = format!("{:#}", config(change).expect_err(named));
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn what_only_the_operator_may_ask_is_on_the_loopback_interface() {
        let sources = |address: [u8; 4], api: Option<&str>| Sources {
            config: None,
            node: NodeArgs {
                datadir: Some("/nowhere".into()),
                dev: Some(true),
                http_addr: Some(address.into()),
                http_api: api.map(|api| vec![api.to_owned()]),
                ws_api: api.map(|api| vec![api.to_owned()]),
                ..NodeArgs::default()
            },
        };
        let served = |sources: Sources| Ok::<_, eyre::Report>(node_config(&sources.effective()?)?.rpc);
        let local = served(sources([127, 0, 0, 1], None)).expect("loopback");
        assert!(local[0].namespaces.iter().any(|name| name == "admin"));
        let open = served(sources([0, 0, 0, 0], None)).expect("every interface");
        assert!(open[0].namespaces.iter().all(|name| name != "admin"));
        let error = format!("{:#}", served(sources([0, 0, 0, 0], Some("admin"))).expect_err("asked for"));
        assert!(error.contains("loopback"), "{error}");
    }

    #[test]
    fn the_well_known_keys_are_for_the_dev_chain_only() {
        assert_eq!(config(|_| {}).expect("dev").rpc[0].dev_keys.len(), 10);
        let plain = config(|settings| settings.dev = Some(false)).expect("not dev");
        assert!(plain.rpc[0].dev_keys.is_empty() && plain.sealer.is_none());
    }
}
