//! An Arweave network in one process behind one port: the offline default of development nodes and of all tests.
//!
//! It is a node, a gateway and a bundler at once: it takes signed transactions, chunks and data items, checks them as
//! Arweave's own nodes do, makes blocks, serves data, looks into bundles and answers GraphQL. What it acknowledged is on
//! disk. It can be told to misbehave in the ways in which networks do, see [`Fault`] and [`Command`]; and it keeps account of
//! what every wallet paid.
//!
//! What it is not: there is one miner and no proof of work or of access; prices are constants; blocks carry only the fields
//! that clients use. The mint is open unless [`GatewayConfig::open_mint`] is off.
//!
//! [`Gateway::start`] opens the folder (one gateway per folder), finishes what a crash interrupted, and listens.
//! [`GatewayHandle::stop`] ends what is under way.

mod answers;
mod bundler;
mod chunks;
mod config;
mod counters;
mod error;
mod faults;
mod files;
mod graphql;
mod http;
mod index;
mod miner;
mod network;
mod pool;
mod records;
mod routes;
mod server;
mod store;
mod unbundle;

pub use config::{DEFAULT_PORT, GatewayConfig, Limits, Mining, Prices};
pub use counters::CounterReading;
pub use error::{GatewayError, Refusal};
pub use faults::{Action, Command, Fault};
pub use miner::Orphans;
pub use records::Spending;
pub use routes::Route;

use self::{counters::Counters, faults::Faults, network::Network, store::Store};
use crate::{Address, Id, Winston};
use parking_lot::Mutex;
use std::{net::SocketAddr, path::PathBuf, sync::Arc, thread::available_parallelism};
use store::View as _;
use tokio::{
    net::TcpListener,
    sync::{Notify, OnceCell, Semaphore, watch},
    task::JoinHandle,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Most bytes of a transaction in JSON: 12 MiB of data in base64url, and the other fields.
pub(crate) const TRANSACTION_BODY_BYTES_MAX: usize = pool::INLINE_DATA_BYTES_MAX / 3 * 4 + 64 * 1024;

/// The embedded gateway.
#[derive(Debug)]
pub struct Gateway;

impl Gateway {
    /// Opens the folder and serves.
    pub async fn start(config: GatewayConfig) -> Result<GatewayHandle, GatewayError> {
        let folder = config.folder.clone();
        let store = tokio::task::spawn_blocking(move || Store::open(&folder))
            .await
            .map_err(|_| GatewayError::Stopped)??;
        let network = Arc::new(Network {
            store,
            counters: Counters::default(),
            faults: Mutex::new(Faults::new(config.seed)),
            height: watch::Sender::new(0),
            waiting: Notify::new(),
            bodies: Arc::new(Semaphore::new(config.limits.body_bytes_in_flight)),
            workers: Arc::new(Semaphore::new(available_parallelism().map_or(1, usize::from))),
            wallet: OnceCell::new(),
            bundling: tokio::sync::Mutex::new(()),
            unbundling: tokio::sync::Mutex::new(()),
            config,
        });
        network.height.send_replace(miner::make_genesis(&network).await?);
        unbundle::look_into_rest(&network).await?;
        let address = network.config.address;
        let listen = |source| GatewayError::Listen { address, source: Arc::new(source) };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let stop = CancellationToken::new();
        let tasks = vec![
            tokio::spawn(server::run(listener, Arc::clone(&network), stop.clone())),
            tokio::spawn(miner::run(Arc::clone(&network), stop.clone())),
        ];
        // What waits since the last run.
        network.waiting.notify_one();
        tracing::info!(target: "weft::arweave::gateway", %address, "arweave gateway started");
        Ok(GatewayHandle { address, network, stop: stop.drop_guard(), tasks })
    }
}

/// A running gateway. Ends with its handle; [`GatewayHandle::stop`] waits until it has ended.
pub struct GatewayHandle {
    address: SocketAddr,
    network: Arc<Network>,
    /// Stops it when the handle goes without [`GatewayHandle::stop`].
    stop: DropGuard,
    tasks: Vec<JoinHandle<()>>,
}

impl GatewayHandle {
    /// Where it listens (the port, when 0 was configured).
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Height of the newest block, and of every one to come.
    pub fn heights(&self) -> watch::Receiver<u64> {
        self.network.height.subscribe()
    }

    /// Makes blocks, with what waits in the first of them; gives the new height.
    pub async fn mine(&self, blocks: u64) -> Result<u64, GatewayError> {
        miner::mine(&self.network, blocks).await
    }

    /// Gives a wallet winston out of nothing; gives its balance.
    pub async fn mint(&self, address: Address, amount: Winston) -> Result<Winston, GatewayError> {
        pool::mint(&self.network, address, amount.0).await
    }

    /// Makes something go wrong.
    pub fn fault(&self, fault: Fault) -> Result<(), GatewayError> {
        self.network.faults.lock().set(Command::Fault(fault))?;
        Ok(())
    }

    /// Carries out a command.
    pub async fn command(&self, command: Command) -> Result<(), GatewayError> {
        carry_out(&self.network, command).await
    }

    /// What it was asked since it was started.
    pub fn counters(&self) -> CounterReading {
        self.network.counters.read()
    }

    /// What a wallet has in the newest block.
    pub fn balance(&self, address: &Address) -> Result<Winston, GatewayError> {
        self.network.balance(&self.network.store.view()?, address)
    }

    /// What a wallet has ever paid, across restarts.
    pub fn spending(&self, address: &Address) -> Result<Spending, GatewayError> {
        Ok(self.network.store.view()?.account(address)?.unwrap_or_default().spending)
    }

    /// Transactions that wait for a block, oldest first.
    pub fn pending(&self) -> Result<Vec<Id>, GatewayError> {
        pool::pending(&self.network.store.view()?, usize::MAX)
    }

    /// Its folder.
    pub fn folder(&self) -> &PathBuf {
        &self.network.config.folder
    }

    /// Accepts nothing more, answers what is under way, and closes the folder.
    pub async fn stop(self) {
        drop(self.stop);
        for task in self.tasks {
            // A panic of a task has been printed.
            let _ = task.await;
        }
        let network = self.network;
        // It only joins a thread.
        let _ = tokio::task::spawn_blocking(move || {
            network.store.close();
            network
        })
        .await;
    }
}

impl std::fmt::Debug for GatewayHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "gateway at {}", self.address)
    }
}

async fn carry_out(network: &Arc<Network>, command: Command) -> Result<(), GatewayError> {
    let rest = network.faults.lock().set(command)?;
    match rest {
        Some(Command::Reorg { depth, orphans }) => {
            miner::reorg(network, depth, orphans).await?;
        }
        Some(Command::Mine(blocks)) => {
            miner::mine(network, blocks).await?;
        }
        Some(Command::DropPending(id)) => {
            let dropped = network.store.write(move |batch| pool::drop_pending(batch, &id, "dropped")).await?;
            if !dropped {
                return Err(Refusal::text(404, "it does not wait for a block").into());
            }
        }
        _ => {}
    }
    Ok(())
}
