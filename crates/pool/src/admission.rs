//! The way into the pool: a bounded queue of raw transactions and the threads that prepare them.
//!
//! [`Admission::submit`] waits (asynchronously, up to a deadline) for room by bytes, hands the bytes to a worker
//! and waits for its verdict; a fast client is slowed down, not refused. A worker takes several transactions at a
//! time and runs each step for all of them, so that keccak can use its lanes and locks are taken once a batch.
//!
//! Bounds: permits are bytes in units of [`PERMIT_BYTES`], held from before the queue until the verdict, so that
//! queue, batches under way and transactions that wait for room in the pool together stay within
//! `admission_bytes_max`; each costs at least one permit, which bounds their number too.

use crate::{
    config::Origin,
    core::{Candidate, Core, Refused},
    error::PoolError,
};
use alloy_primitives::{Bytes, TxHash};
use parking_lot::{Condvar, Mutex};
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
    time::Instant,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit, oneshot},
    time::{Instant as Deadline, timeout_at},
};

/// Bytes per permit.
const PERMIT_BYTES: usize = 1024;
/// Transactions that a worker takes at a time, at most.
const BATCH_MAX: usize = 64;
/// Bytes that a worker takes at a time, unless the first transaction alone is larger: eight of a megabyte.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// What a worker is to do.
pub(crate) enum Work {
    /// Prepare and insert.
    Raw(Bytes, Origin),
    /// Insert what found no room before.
    Again(Box<Candidate>),
}

/// One piece of work and who waits for it.
pub(crate) struct Job {
    pub work: Work,
    pub queued: Instant,
    pub reply: oneshot::Sender<Result<TxHash, Refused>>,
}

impl Job {
    fn bytes(&self) -> usize {
        match &self.work {
            Work::Raw(raw, _) => raw.len(),
            Work::Again(_) => 0,
        }
    }
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

/// What submitters and workers share.
struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    workers: usize,
}

/// The queue and its workers; dropping it finishes the work under way and joins them.
pub(crate) struct Admission {
    core: Arc<Core>,
    shared: Arc<Shared>,
    permits: Semaphore,
    permits_max: usize,
    workers: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admission").field("workers", &self.workers.len()).finish_non_exhaustive()
    }
}

impl Admission {
    /// Starts the workers.
    pub(crate) fn spawn(core: Arc<Core>) -> std::io::Result<Self> {
        let threads = core.config().threads().max(1);
        let permits_max =
            core.config().admission_bytes_max.div_ceil(PERMIT_BYTES).min(Semaphore::MAX_PERMITS);
        let shared = Arc::new(Shared { queue: Mutex::default(), filled: Condvar::new(), workers: threads });
        let workers = (0..threads)
            .map(|index| {
                let (core, shared) = (core.clone(), shared.clone());
                std::thread::Builder::new().name(format!("weft-pool-{index}")).spawn(move || {
                    while let Some(batch) = shared.take() {
                        // A panic is a bug; it costs its batch (whose submitters see `Closed`), not the thread.
                        if catch_unwind(AssertUnwindSafe(|| core.admit(batch))).is_err() {
                            tracing::error!(target: "weft::pool", "admission panicked");
                        }
                    }
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { core, shared, permits: Semaphore::new(permits_max), permits_max, workers })
    }

    /// Bytes of transactions under way.
    pub(crate) fn in_flight(&self) -> usize {
        (self.permits_max - self.permits.available_permits()) * PERMIT_BYTES
    }

    /// See [`Pool::submit`](crate::Pool::submit).
    pub(crate) async fn submit(&self, raw: Bytes, origin: Origin) -> Result<TxHash, PoolError> {
        let deadline = Deadline::now() + self.core.config().admission_wait;
        let result = self.submit_until(raw, origin, deadline).await;
        self.core.metrics().in_flight_bytes.set(self.in_flight() as f64);
        if let Err(error) = &result {
            self.core.metrics().refused(error);
        }
        result
    }

    async fn submit_until(
        &self,
        raw: Bytes,
        origin: Origin,
        deadline: Deadline,
    ) -> Result<TxHash, PoolError> {
        self.core.rules().check_bytes(&raw)?;
        if self.core.preparer().may_carry_blob(raw.len()) {
            self.core.backlog().passable(deadline).await?;
        }
        let _permit = self.reserve(raw.len(), deadline).await?;
        let mut work = Work::Raw(raw, origin);
        loop {
            // Registered before the attempt, so that room made in between is not missed.
            let room = self.core.room().notified();
            tokio::pin!(room);
            room.as_mut().enable();
            match self.run(work).await {
                Ok(hash) => return Ok(hash),
                Err(Refused::NoRoom(candidate)) => {
                    if timeout_at(deadline, room).await.is_err() {
                        return Err(PoolError::Full);
                    }
                    work = Work::Again(candidate);
                }
                Err(Refused::Error(error)) => return Err(error),
            }
        }
    }

    async fn reserve(&self, bytes: usize, deadline: Deadline) -> Result<SemaphorePermit<'_>, PoolError> {
        // One that is larger than everything gets everything: it is admitted alone.
        let permits = bytes.div_ceil(PERMIT_BYTES).clamp(1, self.permits_max);
        let permits = u32::try_from(permits).unwrap_or(u32::MAX);
        let metrics = self.core.metrics();
        let started = Instant::now();
        let permit = match timeout_at(deadline, self.permits.acquire_many(permits)).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(PoolError::Closed),
            Err(_) => {
                let limit = self.core.config().admission_bytes_max;
                return Err(PoolError::Busy { in_flight: self.in_flight(), limit });
            }
        };
        metrics.room_wait.record(started.elapsed());
        metrics.in_flight_bytes.set(self.in_flight() as f64);
        Ok(permit)
    }

    async fn run(&self, work: Work) -> Result<TxHash, Refused> {
        let (reply, verdict) = oneshot::channel();
        self.shared.push(Job { work, queued: Instant::now(), reply });
        verdict.await.unwrap_or(Err(Refused::Error(PoolError::Closed)))
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.filled.notify_all();
        for worker in self.workers.drain(..) {
            // A worker that panicked has said so already.
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn push(&self, job: Job) {
        self.queue.lock().jobs.push_back(job);
        self.filled.notify_one();
    }

    /// This worker's share of what is queued; waits for work. `None` when the pool is closed and all is done.
    fn take(&self) -> Option<Vec<Job>> {
        let mut queue = self.queue.lock();
        while queue.jobs.is_empty() {
            if queue.closed {
                return None;
            }
            self.filled.wait(&mut queue);
        }
        let share = queue.jobs.len().div_ceil(self.workers).min(BATCH_MAX);
        let mut batch = Vec::with_capacity(share);
        let mut bytes = 0;
        while batch.len() < share {
            let Some(next) = queue.jobs.front() else { break };
            bytes += next.bytes();
            if bytes > BATCH_BYTES_MAX && !batch.is_empty() {
                break;
            }
            batch.extend(queue.jobs.pop_front());
        }
        Some(batch)
    }
}
