//! Where checkpoints are kept, and which of them is meant: what `weft restore` and `weft checkpoint` share.
//!
//! A keeper is a folder or one or several Arweave gateways. Neither is believed: manifests are named by id, by their signer or
//! by a trusted block, items by their hash.

use super::progress;
use crate::settings::resolve::Chain as NamedChain;
use alloy_primitives::B256;
use clap::Args;
use eyre::{Context, Result, bail, ensure, eyre};
use indicatif::ProgressBar;
use std::{path::PathBuf, str::FromStr, sync::Arc};
use tokio::runtime::{Builder, Runtime};
use weft_archive::{
    Gateways, Weave,
    checkpoint::{
        Chain, Checkpoint, Expected, ItemFolder, ItemId, ItemSource, MANIFEST_BYTES_MAX, Progress,
        read_manifest,
    },
    permanence::{ArweaveSource, FoundManifest, manifests},
};
use weft_arweave::{Address, ClientConfig, Id, client::Url};

/// Steps of a bar that shows a share.
const BAR_STEPS: f64 = 10_000.0;

/// Where checkpoints are, as it is written: URLs, or a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Arweave gateways, in the order of preference.
    Gateways(Vec<Url>),
    /// A folder that `weft checkpoint export` wrote.
    Folder(PathBuf),
}

impl FromStr for Place {
    type Err = eyre::Report;

    fn from_str(text: &str) -> Result<Self> {
        if !text.contains("://") {
            ensure!(!text.is_empty(), "a URL or a folder is needed");
            return Ok(Self::Folder(text.into()));
        }
        gateways(text).map(Self::Gateways)
    }
}

/// Addresses of gateways, separated by commas.
pub fn gateways(text: &str) -> Result<Vec<Url>> {
    text.split(',').map(|url| Url::parse(url.trim()).wrap_err_with(|| format!("`{url}`"))).collect()
}

/// A client of gateways.
pub fn weave(urls: Vec<Url>) -> Result<Arc<Gateways>> {
    weft_arweave::install_tls_provider();
    Ok(Arc::new(Gateways::new(ClientConfig::new(urls))?))
}

/// Threads for the network; commands themselves are blocking.
pub fn runtime() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// Which checkpoint, and what it is held against.
#[derive(Args, Clone, Debug)]
pub struct WhichArgs {
    /// The checkpoint's manifest: an Arweave id, or in a folder the SHA-256 in hex [default: the newest]
    #[arg(long, value_name = "ID")]
    pub manifest: Option<String>,
    /// Arweave address that must have signed the manifest; without --manifest its newest checkpoint is taken
    #[arg(long, value_name = "ADDRESS")]
    pub owner: Option<Address>,
    /// The newest checkpoint that is there; the default without --manifest
    #[arg(long, conflicts_with = "manifest")]
    pub latest: bool,
    /// Hash of the checkpoint's block, from a source that you trust; another block is refused
    #[arg(long, value_name = "HASH")]
    pub trust_block: Option<B256>,
    /// Items fetched at a time, at most 33 MiB of memory each
    #[arg(long, default_value_t = 8, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub parallel: u8,
    /// No progress bar
    #[arg(long, short)]
    pub quiet: bool,
}

impl WhichArgs {
    /// What the checkpoint has to be.
    pub fn expected(&self, chain: &NamedChain) -> Expected {
        Expected { chain: chain_of(chain), trust_block: self.trust_block }
    }
}

/// The chain as checkpoints name it.
pub fn chain_of(chain: &NamedChain) -> Chain {
    Chain { id: chain.spec.chain_id(), genesis: chain.spec.genesis_hash() }
}

/// An open keeper.
pub enum Keeper {
    /// A folder.
    Folder(ItemFolder),
    /// Arweave, with the threads that talk to it.
    Arweave(Arweave),
}

/// Arweave, with the threads that talk to it.
pub struct Arweave {
    /// The gateways.
    pub weave: Arc<Gateways>,
    /// Drives them.
    pub runtime: Runtime,
    source: ArweaveSource,
}

impl Keeper {
    /// Opens a folder, or a client.
    pub fn open(place: &Place, which: &WhichArgs) -> Result<Self> {
        match place {
            Place::Folder(path) => {
                ensure!(which.owner.is_none(), "--owner is of Arweave; items in a folder have no signer");
                let folder = ItemFolder::open(path)
                    .wrap_err_with(|| format!("{} is not a folder of checkpoints", path.display()))?;
                Ok(Self::Folder(folder))
            }
            Place::Gateways(urls) => {
                let (weave, runtime) = (weave(urls.clone())?, runtime()?);
                let entered = runtime.enter();
                let shared: Arc<dyn Weave> = Arc::clone(&weave) as _;
                let source = ArweaveSource::new(shared, which.owner, usize::from(which.parallel));
                drop(entered);
                Ok(Self::Arweave(Arweave { weave, runtime, source }))
            }
        }
    }

    /// Gives items.
    pub fn source(&self) -> &dyn ItemSource {
        match self {
            Self::Folder(folder) => folder,
            Self::Arweave(arweave) => &arweave.source,
        }
    }

    /// The manifest that is meant.
    pub fn manifest(&self, which: &WhichArgs, chain: &Chain) -> Result<ItemId> {
        match (self, &which.manifest) {
            (Self::Folder(_), Some(id)) => {
                let id = id.parse().wrap_err("--manifest: in a folder it is a SHA-256 in hex")?;
                Ok(ItemId(id))
            }
            (Self::Arweave(_), Some(id)) => {
                let id: Id = id.parse().wrap_err("--manifest")?;
                Ok(ItemId(id.0.into()))
            }
            (Self::Folder(folder), None) => {
                let mut of_chain = folder.checkpoints()?;
                of_chain.retain(|checkpoint| checkpoint.manifest.chain == *chain && which.trusts(checkpoint));
                let newest = of_chain.pop().ok_or_else(|| {
                    eyre!("there is no such checkpoint of chain {chain} in {}", folder.path().display())
                })?;
                Ok(newest.id)
            }
            (Self::Arweave(arweave), None) => {
                let Some(owner) = which.owner else {
                    bail!(
                        "from a gateway, say which checkpoint: --manifest ID, or --owner ADDRESS for its newest"
                    )
                };
                let found = arweave.manifests(owner, chain.genesis)?;
                let wanted = |found: &&FoundManifest| {
                    which.trust_block.is_none_or(|trusted| found.block.hash == trusted)
                };
                let newest = found.iter().find(wanted).ok_or_else(|| {
                    eyre!("the gateways know no such checkpoint of chain {chain} that {owner} signed")
                })?;
                Ok(ItemId(newest.id.0.into()))
            }
        }
    }

    /// Reads a manifest.
    pub fn read(&self, id: ItemId) -> Result<Checkpoint> {
        Ok(read_manifest(self.source(), id, None)?)
    }

    /// An id as this keeper writes it.
    pub fn show(&self, id: ItemId) -> String {
        match self {
            Self::Folder(_) => id.to_string(),
            Self::Arweave(_) => Id(id.0.0).to_string(),
        }
    }
}

impl WhichArgs {
    fn trusts(&self, checkpoint: &Checkpoint) -> bool {
        self.trust_block.is_none_or(|trusted| checkpoint.manifest.block.hash == trusted)
    }
}

impl Arweave {
    /// Manifests that an address signed, newest block first; the gateways' word.
    pub fn manifests(&self, owner: Address, genesis: B256) -> Result<Vec<FoundManifest>> {
        Ok(self.runtime.block_on(manifests(&*self.weave, owner, genesis))?)
    }

    /// Who signed a manifest.
    pub fn signer(&self, manifest: ItemId) -> Result<Address> {
        let fetched = self.runtime.block_on(self.weave.item(Id(manifest.0.0), MANIFEST_BYTES_MAX))?;
        Ok(fetched.item.header().address())
    }
}

/// A bar for export, verification and restore.
pub fn bar(quiet: bool) -> ProgressBar {
    progress::share(BAR_STEPS as u64, quiet)
}

/// Moves the bar.
pub fn show(bar: &ProgressBar, progress: &Progress) {
    // 0 to 1, so never outside of a u64.
    bar.set_position((progress.fraction.clamp(0.0, 1.0) * BAR_STEPS) as u64);
    bar.set_message(format!(
        "{}: {} items, {:.1} MB, {} records",
        progress.phase,
        progress.items,
        progress.bytes as f64 / 1e6,
        progress.records
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_urls_or_folders() {
        let two: Place = "https://arweave.net, http://127.0.0.1:1984".parse().expect("gateways");
        let Place::Gateways(urls) = two else { panic!("{two:?}") };
        assert_eq!(urls[1].as_str(), "http://127.0.0.1:1984/");
        assert_eq!("./kept".parse::<Place>().expect("a folder"), Place::Folder("./kept".into()));
        assert!("".parse::<Place>().is_err());
        assert!("http://a,b".parse::<Place>().is_err());
    }
}
