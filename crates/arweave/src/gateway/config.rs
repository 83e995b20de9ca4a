//! Settings of the embedded gateway, each bound with its default.

use crate::Wallet;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// The port that Arweave's development tools expect.
pub const DEFAULT_PORT: u16 = 1984;

/// What a gateway is started with.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// Where it listens; port 0 takes a free one.
    pub address: SocketAddr,
    /// Where everything is kept. Made if it is not there; one gateway at a time.
    pub folder: PathBuf,
    /// The network's name in `/info`.
    pub network: String,
    /// When blocks are made.
    pub mining: Mining,
    /// What transactions cost.
    pub prices: Prices,
    /// Who pays for bundles of uploaded items; nothing: a key that is made at the first bundle and kept in the folder.
    pub bundler: Option<Wallet>,
    /// Whether `/mint` and `/mine` are served.
    pub open_mint: bool,
    /// Whether `/admin` is served: faults, reorgs and counters for tests in other processes.
    pub admin: bool,
    /// Seed of what faults do by chance.
    pub seed: u64,
    /// Bounds.
    pub limits: Limits,
}

impl GatewayConfig {
    /// The defaults, on the loopback address with a free port.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            folder: folder.into(),
            network: "weft.local".to_owned(),
            mining: Mining::default(),
            prices: Prices::default(),
            bundler: None,
            open_mint: true,
            admin: false,
            seed: 0,
            limits: Limits::default(),
        }
    }
}

/// When blocks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mining {
    /// Only when asked, by `/mine` or [`super::GatewayHandle::mine`].
    #[default]
    OnDemand,
    /// A block after each accepted transaction or item.
    Instant,
    /// A block every so often, until nothing waits and the last transaction has so many confirmations: a gateway
    /// that nobody uses does not grow.
    Interval {
        /// Time between blocks.
        every: Duration,
        /// Confirmations after which it rests.
        rest_after_confirmations: u64,
    },
}

/// What transactions cost, in winston. A price is `base + per_chunk · ⌈bytes / 256 KiB⌉`, and `new_account` more for a
/// transfer to an address that the network does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prices {
    /// Of every transaction.
    pub base: u128,
    /// Of each begun chunk of 256 KiB.
    pub per_chunk: u128,
    /// Of making an account.
    pub new_account: u128,
}

impl Default for Prices {
    /// About 4 AR per GiB, what the network asked for in 2024.
    fn default() -> Self {
        Self { base: 1_000_000, per_chunk: 1_000_000_000, new_account: 3_000_000_000 }
    }
}

/// Bounds of what a gateway holds and takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sockets at a time; beyond that they are closed at once.
    pub connections: usize,
    /// Time for a request's head, and between two pieces of its body.
    pub idle: Duration,
    /// Transactions in JSON that are held in memory at a time, all requests together.
    pub body_bytes_in_flight: usize,
    /// Bytes of an uploaded item.
    pub item_bytes: u64,
    /// Bytes of one bundle that the bundler makes.
    pub bundle_bytes: u64,
    /// Items that wait for a bundle.
    pub uploads: u64,
    /// Bytes of one transaction's data.
    pub data_bytes: u64,
    /// Bytes of all data on disk.
    pub storage_bytes: u64,
    /// Transactions that wait for a block.
    pub pending: u64,
    /// Transactions of a block.
    pub block_transactions: usize,
    /// Blocks of one `/mine`.
    pub mine_blocks: u64,
    /// Nodes of one page of a query.
    pub page: usize,
    /// Entries that one query may look at.
    pub scan: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            connections: 256,
            idle: Duration::from_secs(30),
            // Eight transactions of the largest size.
            body_bytes_in_flight: 8 * super::TRANSACTION_BODY_BYTES_MAX,
            item_bytes: 1024 * MIB,
            bundle_bytes: 2048 * MIB,
            uploads: 10_000,
            data_bytes: 64 * 1024 * MIB,
            storage_bytes: 1024 * 1024 * MIB,
            pending: 10_000,
            block_transactions: 1_000,
            mine_blocks: 1_000,
            page: 100,
            scan: 200_000,
        }
    }
}
