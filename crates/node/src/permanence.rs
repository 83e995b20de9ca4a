//! Arweave in the node: its own gateway where wanted, who asks, who uploads, and how they stop.
//!
//! Nothing of it is waited for by the head. A wallet that has to be made takes seconds of CPU: that happens on a thread of
//! its own, which holds nothing but the key; uploading begins when the wallet is there.

use crate::config::{PermanenceConfig, WalletFile};
use eyre::{Context, Result, eyre};
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{oneshot, watch},
    task::{JoinHandle, spawn_blocking},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use weft_archive::{
    ArchiveSource, BlobPermanence, CheckpointStage, Clock, Gateways, ItemSigner, Ledger, LedgerArgs,
    LedgerConfig, Payment, Retriever, Weave,
    permanence::{BlobArgs, CheckpointArgs, index_is_lost, rebuild},
};
use weft_arweave::{
    ClientConfig, Gateway, GatewayConfig, GatewayHandle, Wallet, Winston, client::Url, gateway::Mining,
    install_tls_provider,
};
use weft_primitives::BlockNumHash;
use weft_rpc::{PermanenceParts, UploadState, Uploads};
use weft_storage::Store;

/// Everything of Arweave, inside of the data folder.
const FOLDER: &str = "arweave";
/// The wallet that is made for an embedded gateway, in [`FOLDER`].
const WALLET: &str = "wallet.json";
/// Blobs that are fetched from Arweave at a time.
const FETCHES: usize = 4;
/// Blocks of the embedded gateway.
const BLOCK_TIME: Duration = Duration::from_secs(1);
/// First and longest pause before the index is asked for again.
const INDEX_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Confirmations after which the embedded gateway rests; more than the ledger waits for.
const REST_AFTER: u64 = 16;
/// What a wallet is given on the embedded gateway when it holds less than [`POOR`]: 1,000 AR, and 10.
const GIFT: Winston = Winston(1_000_000_000_000_000);
const POOR: Winston = Winston(10_000_000_000_000);

/// What a node needs for it.
pub(crate) struct PermanenceArgs<'a> {
    pub(crate) config: &'a PermanenceConfig,
    pub(crate) datadir: &'a Path,
    pub(crate) store: &'a Store,
    pub(crate) chain_id: u64,
    /// Changes after every canonical block; what is finalized then is in the database.
    pub(crate) head: watch::Receiver<BlockNumHash>,
}

/// The running parts.
#[derive(Debug)]
pub(crate) struct Permanence {
    /// Also held by `opening` while that runs.
    gateway: Option<Arc<GatewayHandle>>,
    uploads: watch::Receiver<UploadState>,
    opening: Option<JoinHandle<()>>,
    stop: CancellationToken,
    weave: Option<Arc<Gateways>>,
    usd_per_ar: Option<f64>,
    store: Store,
}

impl Permanence {
    /// Starts what is configured. A gateway that cannot listen and a wallet that cannot be read fail here.
    pub(crate) async fn start(args: PermanenceArgs<'_>) -> Result<Self> {
        let PermanenceArgs { config, datadir, store, chain_id, head } = args;
        let (state, uploads) = watch::channel(UploadState::Off);
        let mut permanence = Self {
            gateway: None,
            uploads,
            opening: None,
            stop: CancellationToken::new(),
            weave: None,
            usd_per_ar: config.usd_per_ar,
            store: store.clone(),
        };
        if config.is_off() {
            return Ok(permanence);
        }
        install_tls_provider();
        let folder = datadir.join(FOLDER);
        std::fs::create_dir_all(&folder).wrap_err_with(|| format!("create {}", folder.display()))?;
        let wallet = read_wallet(config, &folder).await?;
        let mut gateways = config.gateways.clone();
        if let Some(address) = config.embedded {
            let gateway = start_gateway(&folder, address).await?;
            gateways.insert(0, gateway.url().parse().wrap_err("the embedded gateway's address")?);
            permanence.gateway = Some(Arc::new(gateway));
        }
        let weave = match client(config, gateways) {
            Ok(weave) => weave,
            Err(error) => {
                permanence.stop().await;
                return Err(error);
            }
        };
        permanence.weave = Some(Arc::clone(&weave));
        let opening = Opening {
            store: store.clone(),
            weave,
            folder,
            ledger: ledger_config(config),
            bundled: config.bundler.is_some(),
            chain_id,
            checkpoints: config.checkpoints,
            head,
        };
        permanence.begin(state, wallet, opening);
        Ok(permanence)
    }

    /// Begins to upload, now or when there is a wallet.
    fn begin(&mut self, state: watch::Sender<UploadState>, wallet: WalletState, opening: Opening) {
        let gateway = self.gateway.clone();
        let stop = self.stop.clone();
        let made = match wallet {
            WalletState::None => return,
            WalletState::Known(wallet) => Made::Known(wallet),
            WalletState::ToMake(path) => Made::Coming(make_wallet(), path),
        };
        state.send_replace(UploadState::Starting);
        self.opening = Some(tokio::spawn(async move {
            let opened = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                opened = made.wallet() => opened,
            };
            let opened = async {
                let wallet = opened?;
                if let Some(gateway) = gateway
                    && gateway.balance(&wallet.address())? < POOR
                {
                    gateway.mint(wallet.address(), GIFT).await.wrap_err("fund the wallet")?;
                }
                // It reads the disk.
                let (runtime, stop) = (Handle::current(), stop.clone());
                spawn_blocking(move || {
                    let found = stop.run_until_cancelled(opening.find_index(wallet.address()));
                    runtime.block_on(found).ok_or_else(|| eyre!("the node stops"))?;
                    opening.open(wallet)
                })
                .await?
            };
            match opened.await {
                Err(_) if stop.is_cancelled() => {}
                Ok(uploads) => {
                    info!(target: "weft::node", owner = %uploads.ledger.owner(), "uploads to Arweave begin");
                    state.send_replace(UploadState::Ready(uploads));
                }
                Err(error) => {
                    error!(target: "weft::node", error = format!("{error:#}"), "nothing is uploaded to Arweave");
                    state.send_replace(UploadState::Failed(format!("{error:#}")));
                }
            }
        }));
    }

    /// For the JSON-RPC servers.
    pub(crate) fn parts(&self) -> PermanenceParts {
        PermanenceParts {
            weave: self.weave.clone().map(|weave| weave as Arc<dyn Weave>),
            usd_per_ar: self.usd_per_ar,
            uploads: self.uploads.clone(),
        }
    }

    /// Retrieval, with Arweave as the last source where it is set up. To be called within the runtime.
    pub(crate) fn retriever(&self) -> Retriever {
        let local = Retriever::new(self.store.clone());
        match self.weave.clone() {
            // Blobs are proven by their header, so it does not matter who put them there.
            Some(weave) => local.with_archive(ArchiveSource::new(self.store.clone(), weave, None, FETCHES)),
            None => local,
        }
    }

    /// The embedded gateway's base URL.
    pub(crate) fn embedded(&self) -> Option<String> {
        self.gateway.as_ref().map(|gateway| gateway.url())
    }

    /// Stops everything in the reverse order of its start. What is on its way is taken up by the next start.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if let Some(opening) = self.opening {
            // A panic of the task has been printed.
            let _ = opening.await;
        }
        let uploads = match &*self.uploads.borrow() {
            UploadState::Ready(uploads) => Some(uploads.clone()),
            _ => None,
        };
        if let Some(Uploads { ledger, checkpoints, blobs }) = uploads {
            blobs.shutdown().await;
            if let Some(checkpoints) = checkpoints {
                checkpoints.shutdown().await;
            }
            ledger.shutdown().await;
        }
        // Nobody else holds it any more.
        if let Some(gateway) = self.gateway.and_then(Arc::into_inner) {
            gateway.stop().await;
        }
    }
}

/// What there is of a wallet when the node starts.
enum WalletState {
    None,
    Known(Arc<Wallet>),
    /// To be made, and saved here.
    ToMake(PathBuf),
}

/// A wallet, or one that is on its way.
enum Made {
    Known(Arc<Wallet>),
    Coming(oneshot::Receiver<Result<Wallet, weft_arweave::WalletError>>, PathBuf),
}

impl Made {
    async fn wallet(self) -> Result<Arc<Wallet>> {
        match self {
            Self::Known(wallet) => Ok(wallet),
            Self::Coming(made, path) => {
                let wallet = made.await.map_err(|_| eyre!("the wallet's thread ended"))??;
                let saved = spawn_blocking(move || wallet.save(&path, None).map(|()| wallet)).await?;
                Ok(Arc::new(saved.wrap_err("save the wallet")?))
            }
        }
    }
}

/// Reads the wallet that is named, or the one that was made here before.
async fn read_wallet(config: &PermanenceConfig, folder: &Path) -> Result<WalletState> {
    let (file, made_here) = match &config.wallet {
        Some(file) => (file.clone(), false),
        None if config.embedded.is_some() => {
            (WalletFile { path: folder.join(WALLET), passphrase: None }, true)
        }
        None => return Ok(WalletState::None),
    };
    spawn_blocking(move || {
        let passphrase = file.passphrase.as_ref().map(|passphrase| passphrase.0.as_str());
        match Wallet::load(&file.path, passphrase) {
            Ok(wallet) => Ok(WalletState::Known(Arc::new(wallet))),
            Err(weft_arweave::WalletError::File { source, .. })
                if made_here && source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(WalletState::ToMake(file.path))
            }
            Err(error) => Err(error).wrap_err_with(|| format!("the wallet {}", file.path.display())),
        }
    })
    .await?
}

/// On a thread that nobody has to wait for: a node that stops meanwhile leaves it behind, with nothing but half a key.
fn make_wallet() -> oneshot::Receiver<Result<Wallet, weft_arweave::WalletError>> {
    let (give, made) = oneshot::channel();
    let work = move || {
        // Nobody may want it any more.
        let _ = give.send(Wallet::generate());
    };
    if let Err(error) = std::thread::Builder::new().name("weft-wallet".to_owned()).spawn(work) {
        error!(target: "weft::node", %error, "no thread for the wallet");
    }
    made
}

async fn start_gateway(folder: &Path, address: SocketAddr) -> Result<GatewayHandle> {
    let config = GatewayConfig {
        address,
        mining: Mining::Interval { every: BLOCK_TIME, rest_after_confirmations: REST_AFTER },
        ..GatewayConfig::new(folder.join("gateway"))
    };
    Gateway::start(config).await.wrap_err("--arweave.embedded")
}

fn client(config: &PermanenceConfig, gateways: Vec<Url>) -> Result<Arc<Gateways>> {
    let mut client = ClientConfig::new(gateways);
    client.bundler.clone_from(&config.bundler);
    client.payment.clone_from(&config.bundler_payment);
    Ok(Arc::new(Gateways::new(client).wrap_err("--arweave.gateway")?))
}

fn ledger_config(config: &PermanenceConfig) -> LedgerConfig {
    let base = if config.embedded.is_some() { LedgerConfig::local() } else { LedgerConfig::default() };
    let confirmations = config.confirmations.map_or(base.confirmations, std::num::NonZeroU64::get);
    LedgerConfig { budget: config.budget, confirmations, ..base }
}

/// What uploading begins with, but for the wallet.
struct Opening {
    store: Store,
    weave: Arc<Gateways>,
    folder: PathBuf,
    ledger: LedgerConfig,
    bundled: bool,
    chain_id: u64,
    checkpoints: Option<weft_archive::permanence::CheckpointConfig>,
    head: watch::Receiver<BlockNumHash>,
}

impl Opening {
    /// Reads the index of a restored database back where it is lost: the first checkpoint would pay for the whole state again
    /// without it. Tried until a gateway answers.
    async fn find_index(&self, owner: weft_arweave::Address) {
        let mut pause = INDEX_PAUSES.0;
        loop {
            let found = async {
                if !index_is_lost(&self.store)? {
                    return Ok(None);
                }
                rebuild(&self.store, &*self.weave, owner, self.chain_id).await.map(Some)
            };
            match found.await {
                Ok(None) => return,
                Ok(Some(found)) => {
                    let (checkpoints, blobs) = (found.checkpoints, found.blobs);
                    info!(target: "weft::node", %owner, checkpoints, blobs, "index read back from Arweave");
                    return;
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    warn!(target: "weft::node", error, "the index is not read back yet, nothing is uploaded before");
                }
            }
            sleep(pause).await;
            pause = INDEX_PAUSES.1.min(pause * 2);
        }
    }

    /// Ledger, then those who give it items. Blocks on the disk.
    fn open(self, wallet: Arc<Wallet>) -> Result<Uploads> {
        let Self { store, weave, folder, ledger, bundled, chain_id, checkpoints, head } = self;
        let ledger = Ledger::spawn(LedgerArgs {
            store: store.clone(),
            spool: folder.join("spool"),
            weave,
            signer: ItemSigner::Wallet(Arc::clone(&wallet)),
            payment: if bundled { Payment::Bundler } else { Payment::Wallet(wallet) },
            config: ledger,
            clock: Clock::system(),
        })
        .wrap_err("open the upload ledger")?;
        let checkpoints = checkpoints.map(|config| {
            CheckpointStage::spawn(CheckpointArgs {
                store: store.clone(),
                ledger: ledger.clone(),
                chain_id,
                config,
                folder: folder.join("sort"),
                head: head.clone(),
            })
        });
        let blobs = BlobPermanence::spawn(BlobArgs {
            retriever: Retriever::new(store.clone()),
            store,
            ledger: ledger.clone(),
            chain_id,
            head,
        });
        Ok(Uploads { ledger, checkpoints, blobs })
    }
}
