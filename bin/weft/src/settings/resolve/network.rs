//! The settings of the peer-to-peer network.

use super::Chain;
use crate::settings::NodeArgs;
use eyre::{Context, Result, bail, ensure};
use std::{net::IpAddr, num::NonZeroU64, path::PathBuf, str::FromStr};
use weft_node::RetentionSettings;
use weft_p2p::{Limits, Multiaddr, NetworkConfig, PeerId};
use weft_storage::CustodyPolicy;

/// The key, inside of the data folder.
const IDENTITY: &str = "p2p.key";
/// Requests a second that one peer may make. A node that catches up asks once per block.
const REQUESTS_PER_SECOND: f64 = 4000.0;

/// Whether somebody is named, which turns the network on.
pub fn is_wanted(given: &NodeArgs) -> bool {
    let named = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    named(&given.p2p_sealers) || named(&given.p2p_peers) || named(&given.p2p_bootnodes)
}

/// The file of the key that makes the peer id.
pub fn identity(settings: &NodeArgs, chain: &Chain) -> Result<PathBuf> {
    match &settings.p2p_identity {
        Some(path) => Ok(path.clone()),
        None => Ok(super::datadir(settings, chain)?.join(IDENTITY)),
    }
}

/// Checks what is said of the network; `None`: it is off.
pub fn network(settings: &NodeArgs, chain: &Chain) -> Result<Option<NetworkConfig>> {
    if !settings.p2p.unwrap_or(false) {
        ensure!(
            !is_wanted(settings),
            "--p2p=false, and --p2p.sealers, --p2p.peers or --p2p.bootnodes names somebody"
        );
        return Ok(None);
    }
    let sealers = list("p2p.sealers", settings.p2p_sealers.as_deref())?;
    ensure!(
        sealers.is_empty() || !settings.dev.unwrap_or(false),
        "--dev seals blocks here, and --p2p.sealers follows those of others: give one of them"
    );
    let base = NetworkConfig::of_chain(&chain.spec).wrap_err("--p2p")?;
    let peers_max = settings.p2p_max_peers.unwrap_or(base.limits.peers_max);
    ensure!(peers_max > 0, "--p2p.max-peers: 0 peers are none; --p2p=false turns the network off");
    let quic = settings.p2p_quic.unwrap_or(false);
    Ok(Some(NetworkConfig {
        identity: Some(identity(settings, chain)?),
        listen: listen(settings, quic)?,
        quic,
        bootnodes: peers("p2p.bootnodes", settings.p2p_bootnodes.as_deref())?,
        static_peers: peers("p2p.peers", settings.p2p_peers.as_deref())?,
        mdns: settings.p2p_mdns.unwrap_or(false),
        limits: Limits {
            peers_max,
            peers_inbound_max: (peers_max - peers_max / 4).max(1),
            requests_in_per_second: REQUESTS_PER_SECOND,
            ..base.limits.clone()
        },
        // A full node keeps all columns.
        custody_count: base.columns,
        sealers,
        ..base
    }))
}

/// Columns that a node keeps by its id.
pub fn custody_count(settings: &NodeArgs, network: &NetworkConfig) -> Result<u16> {
    let count = settings.da_custody_count.unwrap_or(network.custody_count);
    ensure!(
        (1..=network.columns).contains(&count),
        "--da.custody-count: {count}, and the chain has {} columns",
        network.columns
    );
    Ok(count)
}

/// When a full node gives up bodies; it keeps its custody then instead of all columns. `None`: never.
pub fn retention(
    settings: &NodeArgs,
    network: Option<&mut NetworkConfig>,
) -> Result<Option<RetentionSettings>> {
    let Some(window_blocks) = NonZeroU64::new(settings.da_retention.unwrap_or_default()) else {
        return Ok(None);
    };
    let Some(network) = network else { bail!("--da.retention: without peers nobody else keeps anything") };
    ensure!(network.columns > 0, "--da.retention: this chain has no columns");
    let peers_per_column = usize::from(settings.da_retention_peers.unwrap_or_default());
    ensure!(peers_per_column > 0, "--da.retention-peers: 0 peers keep nothing");
    network.custody_count = custody_count(settings, network)?;
    let margin = usize::from(settings.da_retention_margin.unwrap_or_default());
    Ok(Some(RetentionSettings { window_blocks, policy: CustodyPolicy { margin, peers_per_column } }))
}

fn listen(settings: &NodeArgs, quic: bool) -> Result<Vec<Multiaddr>> {
    let address = settings.p2p_addr.unwrap_or(IpAddr::from([0, 0, 0, 0]));
    let port = settings.p2p_port.unwrap_or(weft_p2p::DEFAULT_PORT);
    let family = if address.is_ipv4() { "ip4" } else { "ip6" };
    let tcp = format!("/{family}/{address}/tcp/{port}");
    let udp = format!("/{family}/{address}/udp/{port}/quic-v1");
    let texts = [Some(tcp), quic.then_some(udp)];
    texts
        .into_iter()
        .flatten()
        .map(|text| text.parse().wrap_err_with(|| format!("--p2p.addr: {text}")))
        .collect()
}

/// Addresses that say whose they are.
fn peers(name: &str, texts: Option<&[String]>) -> Result<Vec<Multiaddr>> {
    let addresses: Vec<Multiaddr> = list(name, texts)?;
    for address in &addresses {
        let text = address.to_string();
        let id = text.rsplit_once("/p2p/").and_then(|(_, id)| id.parse::<PeerId>().ok());
        ensure!(
            id.is_some(),
            "--{name}: {address} does not end with /p2p/PEER ID, which `weft identity` prints"
        );
    }
    Ok(addresses)
}

fn list<T: FromStr>(name: &str, texts: Option<&[String]>) -> Result<Vec<T>>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let texts = texts.unwrap_or_default().iter().map(|text| text.trim()).filter(|text| !text.is_empty());
    texts.map(|text| text.parse().wrap_err_with(|| format!("--{name}: `{text}`"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::resolve::{Sources, node_config};

    const ID: &str = "12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq";

    fn config(change: impl FnOnce(&mut NodeArgs)) -> Result<Option<NetworkConfig>> {
        let mut node = NodeArgs { datadir: Some("/nowhere".into()), ..NodeArgs::default() };
        change(&mut node);
        let settings = Sources { config: None, node }.effective()?;
        Ok(node_config(&settings)?.network)
    }

    #[test]
    fn naming_a_sealer_is_enough_and_nobody_is_dialled_or_heard_otherwise() {
        assert!(config(|_| {}).expect("off").is_none());
        assert!(config(|node| node.dev = Some(true)).expect("off").is_none());
        let follower = config(|node| node.p2p_sealers = Some(vec![ID.into()])).expect("valid").expect("on");
        assert_eq!(follower.sealers, [ID.parse().expect("an id")]);
        assert_eq!(follower.listen, ["/ip4/0.0.0.0/tcp/30310".parse().expect("an address")]);
        assert_eq!(follower.identity, Some("/nowhere/p2p.key".into()));
        let dev = config(|node| (node.dev, node.p2p, node.p2p_quic) = (Some(true), Some(true), Some(true)));
        let listen = dev.expect("valid").expect("on").listen;
        let listen: Vec<String> = listen.iter().map(ToString::to_string).collect();
        assert_eq!(listen, ["/ip4/127.0.0.1/tcp/30310", "/ip4/127.0.0.1/udp/30310/quic-v1"]);
    }

    #[test]
    fn mistakes_are_named() {
        for (change, named) in [
            ((|node| node.p2p_sealers = Some(vec!["me".into()])) as fn(&mut NodeArgs), "--p2p.sealers: `me`"),
            (|node| (node.dev, node.p2p_sealers) = (Some(true), Some(vec![ID.into()])), "--dev seals"),
            (|node| node.p2p_peers = Some(vec!["/ip4/1.2.3.4/tcp/1".into()]), "does not end with /p2p/"),
            (|node| node.p2p_bootnodes = Some(vec!["1.2.3.4:1".into()]), "--p2p.bootnodes: `1.2.3.4:1`"),
            (|node| (node.p2p, node.p2p_max_peers) = (Some(true), Some(0)), "--p2p.max-peers"),
            (|node| node.da_retention = Some(9), "--da.retention: without peers"),
            (
                |node| (node.p2p, node.da_retention, node.da_custody_count) = (Some(true), Some(9), Some(12)),
                "--da.custody-count: 12",
            ),
            (
                |node| {
                    (node.p2p, node.da_retention, node.da_retention_peers) = (Some(true), Some(9), Some(0))
                },
                "--da.retention-peers",
            ),
            (|node| (node.p2p, node.p2p_sealers) = (Some(false), Some(vec![ID.into()])), "--p2p=false"),
        ] {
            let error = format!("{:#}", config(change).expect_err(named));
            assert!(error.contains(named), "{error}");
        }
    }
}
