//! What a ledger is started with.

use super::budget::Budget;
use crate::weave::Weave;
use std::{
    fmt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use weft_arweave::{Address, EthereumKey, Signer, Wallet};
use weft_storage::Store;

/// What a ledger is started with.
#[derive(Clone, Debug)]
pub struct LedgerArgs {
    /// Its records are in the node's database.
    pub store: Store,
    /// Folder of items that wait; made if it is not there.
    pub spool: PathBuf,
    /// Arweave.
    pub weave: Arc<dyn Weave>,
    /// Who signs items.
    pub signer: ItemSigner,
    /// How items are paid.
    pub payment: Payment,
    /// Bounds and paces.
    pub config: LedgerConfig,
    /// What time it is.
    pub clock: Clock,
}

/// Who signs items. Its address is the owner that tags are searched by.
#[derive(Clone, Debug)]
pub enum ItemSigner {
    /// An Arweave wallet; about 10 ms an item.
    Wallet(Arc<Wallet>),
    /// An Ethereum key.
    Ethereum(Arc<EthereumKey>),
}

impl ItemSigner {
    pub(crate) fn signer(&self) -> Signer<'_> {
        match self {
            Self::Wallet(wallet) => Signer::Arweave(wallet),
            Self::Ethereum(key) => Signer::Ethereum(key),
        }
    }

    /// The owner of the items that it signs.
    pub fn address(&self) -> Address {
        match self {
            Self::Wallet(wallet) => wallet.address(),
            Self::Ethereum(key) => Address::of_owner(&key.public_key()),
        }
    }
}

/// How items are paid.
#[derive(Clone, Debug)]
pub enum Payment {
    /// In bundles of our own, each one transaction that this wallet pays.
    Wallet(Arc<Wallet>),
    /// A bundler takes them one by one, on the account of their signer.
    Bundler,
}

/// Bounds and paces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerConfig {
    /// What may be spent.
    pub budget: Budget,
    /// Confirmations after which a shipment is read back. Also how deep a reorganisation of Arweave may go before another
    /// transaction is signed for the same items.
    pub confirmations: u64,
    /// Bytes of items in the spool; beyond that, [`Ledger::put`](super::Ledger::put) refuses.
    pub spool_bytes_max: u64,
    /// Bytes of one bundle; a larger item travels alone. Memory: `shipments_at_work` times the larger of the two.
    pub bundle_bytes_max: u64,
    /// How long the first item of a bundle waits for others, unless the bundle is full.
    pub linger: Duration,
    /// Pause between two looks at a shipment that waits for confirmations.
    pub poll: Duration,
    /// How long a transaction may be unknown to all gateways before it is posted again.
    pub repost_after: Duration,
    /// First pause after a failure; it doubles.
    pub backoff_min: Duration,
    /// Longest pause after a failure.
    pub backoff_max: Duration,
    /// Shipments that talk to the network at a time.
    pub shipments_at_work: usize,
    /// Shipments that are paid and not verified yet; beyond that nothing is signed.
    pub shipments_open: usize,
}

impl Default for LedgerConfig {
    /// For the real network, with a block every two minutes.
    fn default() -> Self {
        Self {
            budget: Budget::default(),
            confirmations: 10,
            spool_bytes_max: 16 << 30,
            bundle_bytes_max: 32 << 20,
            linger: Duration::from_secs(5),
            poll: Duration::from_secs(60),
            repost_after: Duration::from_secs(600),
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(300),
            shipments_at_work: 2,
            shipments_open: 64,
        }
    }
}

impl LedgerConfig {
    /// For a gateway on the same machine that makes blocks every second.
    pub fn local() -> Self {
        Self {
            confirmations: 2,
            linger: Duration::from_millis(250),
            poll: Duration::from_millis(250),
            repost_after: Duration::from_secs(5),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
            ..Self::default()
        }
    }
}

/// What time it is: seconds since 1970.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// The system's.
    pub fn system() -> Self {
        Self::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }

    /// Any other.
    pub fn new(now: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Seconds since 1970.
    pub fn now(&self) -> u64 {
        (self.0)()
    }

    /// Hours since 1970.
    pub(crate) fn hour(&self) -> u64 {
        self.now() / 3600
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}
