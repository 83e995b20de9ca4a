//! What every handler works on: the node's parts, in one place.

use crate::{
    BlockDigest, Filters, Head, RpcConfig, RpcError, dev::DevAccounts, metrics::RpcMetrics,
    network::NetworkParts, pending::PendingCache, permanence::PermanenceParts,
};
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};
use weft_archive::Retriever;
use weft_chainspec::ChainSpec;
use weft_engine::EngineHandle;
use weft_evm::Evm;
use weft_pool::Pool;
use weft_storage::{StageId, Store, View};

/// Whether the node can serve; answered at `/ready`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Readiness {
    /// Opening the database, replaying.
    #[default]
    Starting,
    /// Serving.
    Ready,
    /// Alive, and not able to serve: why.
    Unready(String),
}

/// The parts of the node that the server stands on.
#[derive(Clone, Debug)]
pub struct RpcParts {
    /// Chain parameters.
    pub spec: Arc<ChainSpec>,
    /// The database.
    pub store: Store,
    /// Pending transactions.
    pub pool: Pool,
    /// The head of the chain.
    pub engine: EngineHandle,
    /// Execution.
    pub evm: Evm,
    /// Blobs back from wherever they are.
    pub retriever: Retriever,
    /// Arweave.
    pub permanence: PermanenceParts,
    /// Peers.
    pub network: NetworkParts,
    /// Stages whose progress `da_status` shows.
    pub stages: Vec<StageId>,
    /// What `/ready` answers.
    pub readiness: watch::Receiver<Readiness>,
    /// `web3_clientVersion`.
    pub client_version: String,
}

/// The server's state, shared by all handlers.
#[derive(Debug)]
pub struct RpcContext {
    /// The node.
    pub parts: RpcParts,
    /// Limits.
    pub config: RpcConfig,
    /// The newest part of the chain.
    pub head: Head,
    /// The pending block that was built last.
    pub pending: PendingCache,
    /// Installed polling filters.
    pub filters: Filters,
    /// Unlocked accounts of dev mode.
    pub accounts: DevAccounts,
    /// Calls that read.
    pub read_permits: Arc<Semaphore>,
    /// Calls that execute or scan.
    pub execute_permits: Arc<Semaphore>,
    /// Counters per method.
    pub metrics: RpcMetrics,
}

impl RpcContext {
    /// Reads the head, so that the server starts where the chain is.
    pub fn new(parts: RpcParts, config: RpcConfig) -> Result<Self, RpcError> {
        let view = parts.store.view();
        let number = view.head()?.number;
        let header = view.header(number)?.ok_or(RpcError::HeaderNotFound)?;
        drop(view);
        Ok(Self {
            head: Head::new(header),
            pending: PendingCache::default(),
            filters: Filters::new(config.filters_max, config.filter_lifetime),
            accounts: DevAccounts::new(&config.dev_keys)?,
            read_permits: Arc::new(Semaphore::new(config.read_permits)),
            execute_permits: Arc::new(Semaphore::new(config.execute_permits)),
            metrics: RpcMetrics::default(),
            parts,
            config,
        })
    }

    /// A consistent snapshot of the database.
    pub fn view(&self) -> View<'_> {
        self.parts.store.view()
    }

    /// Chain parameters.
    pub fn spec(&self) -> &ChainSpec {
        &self.parts.spec
    }

    /// The canonical block `number` without its calldata; [`RpcError::PrunedHistory`] when only its header is kept.
    pub fn digest(&self, view: &View<'_>, number: u64) -> Result<Option<Arc<BlockDigest>>, RpcError> {
        let Some(hash) = view.canonical_hash(number)? else { return Ok(None) };
        if let Some(digest) = self.head.digest(hash) {
            return Ok(Some(digest));
        }
        let Some(digest) = BlockDigest::load(view, number)?.map(Arc::new) else {
            view.check_body_kept(number)?;
            return Ok(None);
        };
        self.head.remember(Arc::clone(&digest));
        Ok(Some(digest))
    }
}
