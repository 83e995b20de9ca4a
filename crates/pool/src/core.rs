//! What admission's threads, the engine and readers share: rules, the book, and the steps between them.
//!
//! One lock guards the book; it is held for map operations only, never while hashing, coding or reading state.
//! State that was read without the lock carries the *generation* of the head it belongs to, and is read again
//! when the head has changed in between: no transaction enters on the strength of an account that is out of date.

use crate::{
    admission::{Job, Work},
    backlog::Backlog,
    book::{Book, Inserted},
    config::{Origin, PoolConfig},
    decode::Decoded,
    entry::{Entry, Facts, Sidecar},
    error::PoolError,
    limbo::Limbo,
    metrics::{PoolMetrics, StepClock},
    parity::ParityBudget,
    prepare::{self, Preparer},
    rules::{self, Rules},
    state::{Account, Accounts},
};
use alloy_primitives::{Address, Bytes, TxHash};
use parking_lot::{Mutex, MutexGuard, RwLock};
use std::sync::Arc;
use tokio::sync::{Notify, broadcast, oneshot};
use weft_chainspec::ChainSpec;
use weft_primitives::{PreparedTransaction, SealedHeader};
use weft_storage::StorageError;

/// A prepared transaction with the account that it was judged by.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub entry: Entry,
    account: Account,
    generation: u64,
}

/// Why a piece of work did not end in the pool.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Valid, but nothing cheaper can make room; worth trying again.
    NoRoom(Box<Candidate>),
    /// For good.
    Error(PoolError),
}

impl From<PoolError> for Refused {
    fn from(error: PoolError) -> Self {
        Self::Error(error)
    }
}

/// What the lock guards.
#[derive(Debug)]
pub(crate) struct State {
    pub book: Book,
    pub limbo: Limbo,
    /// Counts heads.
    pub generation: u64,
}

/// Work of one job between two steps.
struct Stage<T> {
    reply: oneshot::Sender<Result<TxHash, Refused>>,
    value: T,
}

/// See the module's documentation.
pub(crate) struct Core {
    spec: Arc<ChainSpec>,
    config: PoolConfig,
    accounts: Box<dyn Accounts>,
    rules: RwLock<Arc<Rules>>,
    state: Mutex<State>,
    preparer: Preparer,
    events: broadcast::Sender<Arc<PreparedTransaction>>,
    room: Notify,
    backlog: Backlog,
    metrics: PoolMetrics,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Applies a fallible step to every piece of work; answers those that fail.
fn keep<T, U>(stages: Vec<Stage<T>>, mut step: impl FnMut(T) -> Result<U, PoolError>) -> Vec<Stage<U>> {
    let apply = |Stage { reply, value }| match step(value) {
        Ok(value) => Some(Stage { reply, value }),
        Err(error) => {
            answer(reply, Err(error.into()));
            None
        }
    };
    stages.into_iter().filter_map(apply).collect()
}

fn answer(reply: oneshot::Sender<Result<TxHash, Refused>>, verdict: Result<TxHash, Refused>) {
    // Nobody waits any more when the client has gone; the transaction is treated like any other.
    let _ = reply.send(verdict);
}

impl Core {
    pub(crate) fn new(
        spec: Arc<ChainSpec>,
        accounts: Box<dyn Accounts>,
        head: &SealedHeader,
        config: PoolConfig,
    ) -> Self {
        let rules = Rules::after(&spec, head, &config);
        let state = State {
            book: Book::new(config.clone(), rules.base_fee),
            limbo: Limbo::new(config.limbo_bytes_max),
            generation: 0,
        };
        Self {
            preparer: Preparer::new(&spec, ParityBudget::new(config.parity_bytes_max)),
            events: broadcast::Sender::new(config.notifications_max.max(1)),
            rules: RwLock::new(Arc::new(rules)),
            state: Mutex::new(state),
            room: Notify::new(),
            backlog: Backlog::new(config.backlog_bytes_max),
            metrics: PoolMetrics::default(),
            spec,
            config,
            accounts,
        }
    }

    pub(crate) fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    pub(crate) fn config(&self) -> &PoolConfig {
        &self.config
    }

    pub(crate) fn metrics(&self) -> &PoolMetrics {
        &self.metrics
    }

    pub(crate) fn preparer(&self) -> &Preparer {
        &self.preparer
    }

    pub(crate) fn events(&self) -> &broadcast::Sender<Arc<PreparedTransaction>> {
        &self.events
    }

    /// Signalled when transactions left the pool.
    pub(crate) fn room(&self) -> &Notify {
        &self.room
    }

    pub(crate) fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.rules.read().clone()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(crate) fn read_accounts(&self, addresses: &[Address]) -> Result<Vec<Account>, StorageError> {
        self.accounts.accounts(addresses)
    }

    /// A new head: new rules, new base fee. What was read of the state before is out of date from here on.
    pub(crate) fn advance(&self, head: &SealedHeader) -> MutexGuard<'_, State> {
        let rules = Arc::new(Rules::after(&self.spec, head, &self.config));
        let mut state = self.state.lock();
        state.generation += 1;
        state.book.set_base_fee(rules.base_fee);
        *self.rules.write() = rules;
        state
    }

    /// Runs a batch from bytes to the book and answers every submitter. Runs on an admission thread.
    pub(crate) fn admit(&self, batch: Vec<Job>) {
        let mut clock = StepClock::start();
        let (mut raw, mut again) = (Vec::new(), Vec::new());
        for Job { work, queued, reply } in batch {
            self.metrics.queue_wait.record(queued.elapsed());
            match work {
                Work::Raw(bytes, origin) => raw.push(Stage { reply, value: (bytes, origin) }),
                Work::Again(candidate) => again.push(Stage { reply, value: *candidate }),
            }
        }
        let mut candidates = self.prepare(raw, &mut clock);
        candidates.append(&mut again);
        self.insert(candidates);
        clock.step(&self.metrics.cpu_insert_nanoseconds);
    }

    fn prepare(&self, raw: Vec<Stage<(Bytes, Origin)>>, clock: &mut StepClock) -> Vec<Stage<Candidate>> {
        let rules = self.rules();
        let decoded = keep(raw, |(bytes, origin)| {
            let decoded = Decoded::from_network(bytes)?;
            rules.check(&decoded, origin)?;
            Ok((decoded, origin))
        });
        clock.step(&self.metrics.cpu_decode_nanoseconds);

        let hashes = prepare::hash_all(&decoded.iter().map(|stage| &stage.value.0).collect::<Vec<_>>());
        let mut hashes = hashes.into_iter();
        let hashed = keep(decoded, |(decoded, origin)| {
            let hashes = hashes.next().ok_or(PoolError::Closed)?; // one per transaction
            if self.state().book.contains(&hashes.transaction) {
                return Err(PoolError::AlreadyKnown(hashes.transaction));
            }
            Ok((decoded, origin, hashes))
        });
        clock.step(&self.metrics.cpu_hash_nanoseconds);

        let recovered = keep(hashed, |(decoded, origin, hashes)| {
            let sender = prepare::recover(&decoded, hashes.signing)?;
            let facts = Facts::new(&decoded.tx, hashes.transaction, sender);
            Ok((decoded, origin, facts))
        });
        clock.step(&self.metrics.cpu_recover_nanoseconds);

        let judged = self.judge(recovered);
        clock.step(&self.metrics.cpu_state_nanoseconds);

        let candidates = keep(judged, |(decoded, origin, facts, account, generation)| {
            rules::check_sidecar(&decoded)?;
            let sidecar: Option<Arc<Sidecar>> = decoded.sidecar.clone();
            let tx = self.preparer.finish(decoded, facts.hash, facts.sender);
            Ok(Candidate { entry: Entry::new(Arc::new(tx), sidecar, origin), account, generation })
        });
        clock.step(&self.metrics.cpu_encode_nanoseconds);
        candidates
    }

    /// Reads the senders' accounts and refuses early what the book would refuse later, before work is spent on it.
    #[allow(clippy::type_complexity)] // one use, one step
    fn judge(
        &self,
        stages: Vec<Stage<(Decoded, Origin, Facts)>>,
    ) -> Vec<Stage<(Decoded, Origin, Facts, Account, u64)>> {
        if stages.is_empty() {
            return Vec::new();
        }
        let generation = self.state().generation;
        let senders: Vec<Address> = stages.iter().map(|stage| stage.value.2.sender).collect();
        let accounts = match self.read_accounts(&senders) {
            Ok(accounts) => accounts,
            Err(error) => return refuse_all(stages, &error),
        };
        let mut accounts = accounts.into_iter();
        let state = self.state();
        keep(stages, |(decoded, origin, facts)| {
            let account = accounts.next().ok_or(PoolError::Closed)?; // one per address
            state.book.check(&facts, &account)?;
            Ok((decoded, origin, facts, account, generation))
        })
    }

    /// Puts candidates into the book; all of them see one head.
    fn insert(&self, mut candidates: Vec<Stage<Candidate>>) {
        let mut state = self.state();
        while candidates.iter().any(|stage| stage.value.generation != state.generation) {
            let generation = state.generation;
            drop(state);
            let senders: Vec<Address> = candidates.iter().map(|stage| stage.value.entry.sender).collect();
            match self.read_accounts(&senders) {
                Ok(accounts) => {
                    for (stage, account) in candidates.iter_mut().zip(accounts) {
                        (stage.value.account, stage.value.generation) = (account, generation);
                    }
                }
                Err(error) => candidates = refuse_all(candidates, &error),
            }
            state = self.state();
        }
        let mut verdicts = Vec::with_capacity(candidates.len());
        let mut promoted = Vec::new();
        for Stage { reply, value: candidate } in candidates {
            let (hash, bytes) = (candidate.entry.hash, candidate.entry.tx.encoded.len());
            match state.book.insert(candidate.entry.clone(), candidate.account) {
                Ok(inserted) => {
                    self.count(&inserted, bytes);
                    promoted.extend(inserted.promoted);
                    verdicts.push((reply, Ok(hash)));
                }
                Err(PoolError::Full) => verdicts.push((reply, Err(Refused::NoRoom(Box::new(candidate))))),
                Err(error) => verdicts.push((reply, Err(error.into()))),
            }
        }
        let totals = state.book.totals();
        drop(state);
        self.metrics.sizes(totals, self.preparer.parity().live());
        self.announce(promoted);
        verdicts.into_iter().for_each(|(reply, verdict)| answer(reply, verdict));
    }

    fn count(&self, inserted: &Inserted, bytes: usize) {
        self.metrics.admitted_total.increment(1);
        self.metrics.admitted_bytes_total.increment(bytes as u64);
        self.metrics.replaced_total.increment(u64::from(inserted.replaced));
        self.metrics.evicted_total.increment(inserted.evicted as u64);
    }

    /// Tells subscribers what became executable. Without subscribers there is nobody to tell.
    pub(crate) fn announce(&self, promoted: impl IntoIterator<Item = Arc<PreparedTransaction>>) {
        if self.events.receiver_count() > 0 {
            promoted.into_iter().for_each(|tx| drop(self.events.send(tx)));
        }
    }
}

/// Answers all with one storage error, which is not cloneable.
fn refuse_all<T, U>(stages: Vec<Stage<T>>, error: &StorageError) -> Vec<Stage<U>> {
    tracing::error!(target: "weft::pool", %error, "accounts could not be read");
    for stage in stages {
        answer(stage.reply, Err(PoolError::State(error.to_string()).into()));
    }
    Vec::new()
}
