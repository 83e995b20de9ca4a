//! The lines on standard output that a person sees first, and that a script can read: what runs, where, what to try.
//!
//! Each line after the first begins with a word in the first column: `data`, `http`, `websocket`, `metrics`, `arweave`, `network`,
//! `blocks`, `accounts`, `key`, `try`.

use crate::PermanenceConfig;
use std::{fmt, net::SocketAddr, path::Path};
use weft_consensus::SealMode;
use weft_primitives::BlockNumHash;
use weft_rpc::RpcConfig;

/// The mnemonic of the ten funded accounts of the dev chain. Everybody knows it.
pub const DEV_MNEMONIC: &str = "test test test test test test test test test test test junk";
/// The first account of [`DEV_MNEMONIC`] and its key.
const DEV_ACCOUNT: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const DEV_KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// What the banner tells.
pub(crate) struct Banner<'a> {
    pub(crate) chain_name: &'a str,
    pub(crate) chain_id: u64,
    pub(crate) head: BlockNumHash,
    pub(crate) places: Places<'a>,
    pub(crate) arweave: Arweave<'a>,
    /// Where peers find this node.
    pub(crate) network: Option<String>,
    pub(crate) sealing: Option<SealMode>,
    /// Whether the well-known accounts are funded here.
    pub(crate) dev_accounts: bool,
}

/// Where the data are and what is served: the lines of every role.
pub(crate) struct Places<'a> {
    datadir: &'a Path,
    http: Option<SocketAddr>,
    websocket: Option<SocketAddr>,
    metrics: Option<SocketAddr>,
}

impl<'a> Places<'a> {
    /// With the servers' addresses in the order of their configurations.
    pub(crate) fn new(
        datadir: &'a Path,
        configs: &[RpcConfig],
        servers: &[SocketAddr],
        metrics: Option<SocketAddr>,
    ) -> Self {
        let server = |wanted: fn(&RpcConfig) -> bool| {
            configs.iter().zip(servers).find(|(config, _)| wanted(config)).map(|(_, address)| *address)
        };
        Self {
            datadir,
            http: server(|config| config.http),
            websocket: server(|config| config.websocket),
            metrics,
        }
    }
}

impl fmt::Display for Places<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  data       {}", self.datadir.display())?;
        writeln!(f, "  http       {}", At("http", self.http, "", "--http"))?;
        writeln!(f, "  websocket  {}", At("ws", self.websocket, "", "--ws"))?;
        writeln!(f, "  metrics    {}", At("http", self.metrics, "/metrics", "--metrics"))
    }
}

/// An address, or how to get one.
struct At(&'static str, Option<SocketAddr>, &'static str, &'static str);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(scheme, address, path, switch) = self;
        match address {
            Some(address) => write!(f, "{scheme}://{address}{path}"),
            None => write!(f, "off, {switch} turns it on"),
        }
    }
}

/// Which Arweave, and what for.
pub(crate) struct Arweave<'a> {
    /// Base URL of the gateway in this process.
    pub(crate) embedded: Option<String>,
    pub(crate) config: &'a PermanenceConfig,
}

impl fmt::Display for Arweave<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.embedded, self.config.gateways.first()) {
            (Some(embedded), _) => write!(f, "{embedded} embedded")?,
            (None, Some(gateway)) => write!(f, "{gateway}")?,
            (None, None) => return f.write_str("off, --arweave.gateway or --arweave.embedded turns it on"),
        }
        match self.config.checkpoints {
            Some(checkpoints) => write!(f, " · a checkpoint every {} blocks", checkpoints.interval),
            None => f.write_str(" · no checkpoints"),
        }
    }
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chain_name, chain_id, head, .. } = self;
        writeln!(
            f,
            "weft {} · chain {chain_name} (id {chain_id}) · block {} {}",
            env!("CARGO_PKG_VERSION"),
            head.number,
            head.hash
        )?;
        write!(f, "{}", self.places)?;
        writeln!(f, "  arweave    {}", self.arweave)?;
        match &self.network {
            Some(address) => writeln!(f, "  network    {address}")?,
            None => writeln!(f, "  network    off, --p2p turns it on")?,
        }
        match self.sealing {
            Some(SealMode::Instant) => writeln!(f, "  blocks     sealed as soon as there are transactions")?,
            Some(SealMode::Interval(time)) => writeln!(f, "  blocks     one every {time:?}")?,
            None => writeln!(f, "  blocks     none are sealed here, --dev seals")?,
        }
        if self.dev_accounts {
            writeln!(f, "  accounts   10 with 1000000 ether each, of the mnemonic \"{DEV_MNEMONIC}\"")?;
            writeln!(f, "  key        {DEV_KEY} of {DEV_ACCOUNT}")?;
        }
        if let Some(http) = self.places.http {
            writeln!(f, "  try        cast block latest --rpc-url http://{http}")?;
            writeln!(f, "             weft blob put README.md --rpc http://{http}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dev_node_introduces_itself_in_twelve_lines() {
        let address = Some(SocketAddr::from(([127, 0, 0, 1], 8545)));
        let permanence = PermanenceConfig::default();
        let banner = Banner {
            chain_name: "dev",
            chain_id: 1337,
            head: BlockNumHash::default(),
            places: Places { datadir: Path::new("/data"), http: address, websocket: address, metrics: None },
            arweave: Arweave { embedded: Some("http://127.0.0.1:1984".to_owned()), config: &permanence },
            network: None,
            sealing: Some(SealMode::Instant),
            dev_accounts: true,
        };
        let text = banner.to_string();
        assert_eq!(text.lines().count(), 12, "{text}");
        assert!(text.contains("\n  http       http://127.0.0.1:8545\n"), "{text}");
        assert!(text.contains("\n  metrics    off, --metrics turns it on\n"), "{text}");
        assert!(text.contains("\n  arweave    http://127.0.0.1:1984 embedded · no checkpoints\n"), "{text}");
        assert!(text.contains(DEV_MNEMONIC) && text.contains(DEV_KEY));
    }
}
