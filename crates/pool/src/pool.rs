//! The pool as other crates see it.

use crate::{
    admission::Admission,
    best::BestTransactions,
    config::{Origin, PoolConfig},
    core::Core,
    entry::Sidecar,
    error::PoolError,
    state::Accounts,
};
use alloy_primitives::{Address, BlockNumber, Bytes, TxHash, map::AddressMap};
use std::sync::Arc;
use tokio::sync::broadcast;
use weft_chainspec::ChainSpec;
use weft_evm::gas;
use weft_primitives::{PreparedTransaction, SealedHeader};
use weft_storage::{StorageError, Store};

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubPool {
    /// Could go into the next block, fees permitting.
    Pending,
    /// Behind a nonce gap, or beyond what its sender can pay.
    Queued,
}

/// Sizes of the pool at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStatus {
    /// Executable transactions.
    pub pending: usize,
    /// All others.
    pub queued: usize,
    /// Bytes of both, as `bytes_max` counts them.
    pub bytes: usize,
    /// Bytes being prepared or waiting for room.
    pub in_flight_bytes: usize,
    /// Parity alive in the process, in bytes.
    pub parity_bytes: usize,
}

/// Handle to the pool. Cheap to clone; the last one stops the admission threads and waits for them.
#[derive(Clone, Debug)]
pub struct Pool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    // First, so that it is dropped first: its threads use the core.
    admission: Admission,
    core: Arc<Core>,
}

impl Pool {
    /// Starts a pool at the store's head, or at genesis when the store is empty.
    pub fn new(spec: Arc<ChainSpec>, store: Store, config: PoolConfig) -> Result<Self, PoolError> {
        let head = head_of(&store, &spec)?;
        Self::with_accounts(spec, Box::new(store), &head, config)
    }

    /// The same over any source of accounts.
    pub(crate) fn with_accounts(
        spec: Arc<ChainSpec>,
        accounts: Box<dyn Accounts>,
        head: &SealedHeader,
        config: PoolConfig,
    ) -> Result<Self, PoolError> {
        let core = Arc::new(Core::new(spec, accounts, head, config));
        let admission = Admission::spawn(core.clone()).map_err(PoolError::Threads)?;
        Ok(Self { inner: Arc::new(Inner { admission, core }) })
    }

    fn core(&self) -> &Core {
        &self.inner.core
    }

    /// Takes a transaction as this node's own RPC got it: decodes, hashes, recovers, validates against the head
    /// and codes it, in parallel with others and off the async threads, and puts it into the pool.
    ///
    /// `raw` is EIP-2718, type 3 with its sidecar; it is kept, so it must not be a small slice of a large buffer.
    /// Waits up to `admission_wait` for room and for the archive, then fails with [`PoolError::Busy`],
    /// [`PoolError::Full`] or [`PoolError::Archiving`].
    pub async fn submit(&self, raw: Bytes) -> Result<TxHash, PoolError> {
        self.submit_from(raw, Origin::Local).await
    }

    /// The same for a transaction of any origin.
    pub async fn submit_from(&self, raw: Bytes, origin: Origin) -> Result<TxHash, PoolError> {
        self.inner.admission.submit(raw, origin).await
    }

    /// Prepares the transactions of block `number` that comes from outside: decodes, hashes, recovers and codes
    /// them in parallel; what is pooled is not prepared again. Blocks the calling thread. Judges no rule but the
    /// signature's (EIP-2).
    pub fn prepare(
        &self,
        number: BlockNumber,
        encoded: Vec<Bytes>,
    ) -> Result<Vec<Arc<PreparedTransaction>>, PoolError> {
        let low_s = gas::is_homestead(self.core().spec(), number);
        self.core()
            .preparer()
            .block(encoded, low_s, |hash| self.core().state().book.get(hash).map(|entry| entry.tx.clone()))
    }

    /// Executable transactions, best effective tip first, nonce order per sender; what happens to the pool while
    /// it is consumed does not change it.
    pub fn best(&self, base_fee: u64, blob_base_fee: Option<u128>) -> BestTransactions {
        self.core().state().book.best(base_fee, blob_base_fee)
    }

    /// Removes what was included or became invalid and takes back what was reorganised out. Called by the engine
    /// after the new head is durable; `included` and `reverted` are the transactions of all blocks that joined
    /// and left the canonical chain.
    pub fn on_canonical(
        &self,
        head: &SealedHeader,
        included: &[Arc<PreparedTransaction>],
        reverted: &[Arc<PreparedTransaction>],
    ) {
        self.core().on_canonical(head, included, reverted);
    }

    /// Tells how many bytes of blobs are in blocks and wait for the archive; beyond `backlog_bytes_max` blobs wait in
    /// admission.
    pub fn set_backlog(&self, bytes: u64) {
        self.core().metrics().backlog_bytes.set(bytes as f64);
        self.core().backlog().set(bytes);
    }

    /// Looks at accounts again whose transactions turned out to be invalid while a block was built.
    pub fn revalidate(&self, senders: impl IntoIterator<Item = Address>) {
        self.core().refresh(senders.into_iter().collect(), Vec::new());
    }

    /// Drops a transaction that execution refuses although every rule here holds; its successors are queued.
    pub fn discard(&self, hash: TxHash) {
        let removed = self.core().state().book.remove_hash(&hash).is_some();
        if removed {
            self.core().room().notify_waiters();
        }
    }

    /// A pooled transaction.
    pub fn get(&self, hash: TxHash) -> Option<Arc<PreparedTransaction>> {
        self.core().state().book.get(&hash).map(|entry| entry.tx.clone())
    }

    /// Next nonce of the sender after its executable transactions; `None` when it has none.
    pub fn pending_nonce(&self, sender: Address) -> Option<u64> {
        let state = self.core().state();
        state
            .book
            .senders()
            .get(&sender)
            .filter(|sender| sender.executable > 0)
            .map(|sender| sender.executable_end())
    }

    /// (pending, queued)
    pub fn counts(&self) -> (usize, usize) {
        let totals = self.core().state().book.totals();
        (totals.executable, totals.queued())
    }

    /// Bytes of pooled transactions.
    pub fn bytes(&self) -> usize {
        self.core().state().book.totals().bytes
    }

    /// All sizes.
    pub fn status(&self) -> PoolStatus {
        let totals = self.core().state().book.totals();
        PoolStatus {
            pending: totals.executable,
            queued: totals.queued(),
            bytes: totals.bytes,
            in_flight_bytes: self.inner.admission.in_flight(),
            parity_bytes: self.core().preparer().parity().live(),
        }
    }

    /// Every sender's transactions in nonce order, for `txpool_content` and `txpool_inspect`.
    pub fn content(&self) -> AddressMap<Vec<(SubPool, Arc<PreparedTransaction>)>> {
        let state = self.core().state();
        let senders = state.book.senders().iter();
        senders.map(|(address, sender)| (*address, sender.content())).collect()
    }

    /// One sender's transactions in nonce order, for `txpool_contentFrom`.
    pub fn content_from(&self, sender: Address) -> Vec<(SubPool, Arc<PreparedTransaction>)> {
        self.core().state().book.senders().get(&sender).map(|sender| sender.content()).unwrap_or_default()
    }

    /// Transactions as they become executable, for the sealer and `newPendingTransactions`. A subscriber that
    /// lags by more than `notifications_max` loses the oldest and is told so.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<PreparedTransaction>> {
        self.core().events().subscribe()
    }

    /// Sidecar of a type-3 transaction that is pooled or was included lately.
    pub fn sidecar(&self, hash: TxHash) -> Option<Arc<Sidecar>> {
        let state = self.core().state();
        let pooled = state.book.get(&hash).filter(|entry| entry.tx.tx.is_eip4844());
        pooled.and_then(|entry| entry.sidecar.clone()).or_else(|| state.limbo.get(&hash))
    }
}

fn head_of(store: &Store, spec: &ChainSpec) -> Result<SealedHeader, PoolError> {
    let view = store.view();
    if view.is_empty()? {
        return Ok(spec.genesis_header().clone());
    }
    let number = view.head()?.number;
    view.header(number)?.ok_or(PoolError::Storage(StorageError::MissingBlock(number)))
}

#[cfg(test)]
mod tests;
