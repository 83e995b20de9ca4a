//! What the pool counts and measures. Names begin with `weft_pool_`.

use crate::{book::Totals, error::PoolError};
use metrics::{Counter, Gauge, Histogram};
use metrics_derive::Metrics;
use std::time::Duration;
use weft_primitives::cpu_time;

/// Metrics of one pool.
#[derive(Metrics, Clone)]
#[metrics(scope = "weft_pool")]
pub(crate) struct PoolMetrics {
    /// Transactions taken into the pool.
    pub admitted_total: Counter,
    /// Bytes of transactions taken into the pool, as encoded.
    pub admitted_bytes_total: Counter,
    /// Transactions that took the place of one with the same nonce.
    pub replaced_total: Counter,
    /// Transactions dropped to make room for ones that pay more.
    pub evicted_total: Counter,
    /// Transactions dropped because they waited behind a nonce gap for too long.
    pub expired_total: Counter,
    /// Transactions taken back from reorganised blocks.
    pub reinjected_total: Counter,
    /// Executable transactions.
    pub pending: Gauge,
    /// Transactions behind a nonce gap or beyond the balance.
    pub queued: Gauge,
    /// Bytes of all pooled transactions.
    pub bytes: Gauge,
    /// Bytes of transactions that are being prepared or wait for room.
    pub in_flight_bytes: Gauge,
    /// Bytes of parity alive in the process.
    pub parity_bytes: Gauge,
    /// Bytes of blobs in blocks that wait for the archive; above the bound blobs wait in admission.
    pub backlog_bytes: Gauge,
    /// Seconds that a transaction waited for room in admission.
    pub room_wait: Histogram,
    /// Seconds that a transaction waited for a worker.
    pub queue_wait: Histogram,
    /// CPU nanoseconds: decoding and rules without state.
    pub cpu_decode_nanoseconds: Counter,
    /// CPU nanoseconds: keccak of signing payloads and encodings.
    pub cpu_hash_nanoseconds: Counter,
    /// CPU nanoseconds: signature recovery.
    pub cpu_recover_nanoseconds: Counter,
    /// CPU nanoseconds: reading accounts and rules with state.
    pub cpu_state_nanoseconds: Counter,
    /// CPU nanoseconds: KZG proofs, parity and cell hashes.
    pub cpu_encode_nanoseconds: Counter,
    /// CPU nanoseconds: insertion.
    pub cpu_insert_nanoseconds: Counter,
}

impl PoolMetrics {
    /// Counts a refusal under its reason.
    pub(crate) fn refused(&self, error: &PoolError) {
        metrics::counter!("weft_pool_refused_total", "reason" => error.reason()).increment(1);
    }

    /// Publishes sizes.
    pub(crate) fn sizes(&self, totals: Totals, parity_bytes: usize) {
        self.pending.set(totals.executable as f64);
        self.queued.set(totals.queued() as f64);
        self.bytes.set(totals.bytes as f64);
        self.parity_bytes.set(parity_bytes as f64);
    }
}

/// Splits a thread's CPU time into steps.
pub(crate) struct StepClock {
    last: Duration,
}

impl StepClock {
    pub(crate) fn start() -> Self {
        Self { last: cpu_time::thread() }
    }

    /// Books the time since the last call.
    pub(crate) fn step(&mut self, counter: &Counter) {
        let now = cpu_time::thread();
        let nanoseconds = now.saturating_sub(self.last).as_nanos();
        counter.increment(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        self.last = now;
    }
}
