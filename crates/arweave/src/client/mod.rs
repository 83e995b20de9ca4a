//! The HTTP client: talks to nodes, gateways and a bundler, and believes none of them.
//!
//! Every call has a deadline. It asks the gateways in turn, the one that answered last first, and goes round again after a
//! pause when a failure may pass: no answer, a server's fault, too many requests, a wrong answer. A refusal is final
//! at that gateway. Requests are repeated without harm: reading changes nothing, and what is posted is signed, so that
//! the network knows it again by its id.
//!
//! Names: methods that begin with `untrusted_`, and what is documented as a gateway's word, are only that. Everything else was checked
//! against a signature, a hash or a root before it is returned.

mod bundler;
mod failover;
mod graphql;
mod http;
mod inclusion;
mod network;
mod read;
mod upload;

use crate::Error;
pub use bundler::{ItemReceipt, ItemStatus, ItemUpload};
pub use graphql::{Found, FoundBlock, Page, Query};
use http::Http;
pub use inclusion::{Inclusion, verify_placement};
pub use network::{BlockHeader, NetworkInfo, Placement, Posted, TransactionStatus};
pub use reqwest::Url;
use std::{
    fmt,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};
pub use upload::UploadData;

/// Most gateways of one client.
pub const GATEWAYS_MAX: usize = 16;

/// Installs `ring` as the TLS provider of this process, which a [`Client`] needs. Call it once, first thing in `main`; where
/// one is installed already, that one stays.
pub fn install_tls_provider() {
    // An error says that there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Whom a client talks to, and how patient it is.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Nodes or gateways, in the order of preference; at least one.
    pub gateways: Vec<Url>,
    /// A bundler with Turbo's upload API.
    pub bundler: Option<Url>,
    /// Prices and balances of the bundler (Turbo's payment API).
    pub payment: Option<Url>,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long an answer may pause.
    pub idle_timeout: Duration,
    /// How long one request may take, not counting its payload.
    pub attempt_timeout: Duration,
    /// How long a call may take with all its requests and pauses, not counting its payload.
    pub call_timeout: Duration,
    /// The slowest transfer that is waited for: adds payload / rate to a request's time, three times that to a call's.
    pub bytes_per_second_min: u64,
    /// How often all gateways are asked.
    pub rounds_max: u32,
    /// The pause after the first round; doubles with each, less up to half by chance.
    pub backoff_first: Duration,
    /// The longest pause, also of those that a server asks for.
    pub backoff_max: Duration,
    /// Requests in flight in one upload or download; each holds up to 1 MiB.
    pub parallel_max: usize,
}

impl ClientConfig {
    /// The defaults for these gateways.
    pub fn new(gateways: Vec<Url>) -> Self {
        Self {
            gateways,
            bundler: None,
            payment: None,
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(15),
            attempt_timeout: Duration::from_secs(20),
            call_timeout: Duration::from_secs(90),
            bytes_per_second_min: 128 * 1024,
            rounds_max: 4,
            backoff_first: Duration::from_millis(500),
            backoff_max: Duration::from_secs(20),
            parallel_max: 8,
        }
    }

    fn check(&self) -> Result<(), Error> {
        if self.gateways.is_empty() || self.gateways.len() > GATEWAYS_MAX {
            return Err(Error::Config(format!("1 to {GATEWAYS_MAX} gateways are needed")));
        }
        if self.rounds_max == 0 || self.parallel_max == 0 || self.bytes_per_second_min == 0 {
            return Err(Error::Config(
                "rounds, parallel requests and the slowest rate are at least 1".into(),
            ));
        }
        for url in self.gateways.iter().chain(&self.bundler).chain(&self.payment) {
            if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
                return Err(Error::Config(format!("not an HTTP address: {}", url.scheme())));
            }
            // Addresses appear in errors and logs.
            if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
                return Err(Error::Config("an address with a user, a password or a query".into()));
            }
        }
        Ok(())
    }
}

/// A client. Clones share connections, and which gateway answered last.
#[derive(Clone)]
pub struct Client {
    http: Http,
    config: Arc<ClientConfig>,
    /// Index of the gateway to ask first.
    preferred: Arc<AtomicUsize>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Client {
    /// A client with this configuration. Needs [`install_tls_provider`] before, even where no address is HTTPS.
    pub fn new(config: ClientConfig) -> Result<Self, Error> {
        config.check()?;
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(Error::Config("install_tls_provider was not called".into()));
        }
        Ok(Self { http: Http::new(&config)?, config: Arc::new(config), preferred: Arc::default() })
    }

    /// The configuration.
    pub fn config(&self) -> &ClientConfig {
        &self.config
    }
}
