//! What became of every transaction of a run: submitted, then seen in a block, by one node or by several.
//!
//! It is included when the last of the nodes that are watched has shown it. Workers wait here while too many bytes are on their way ([`Ledger::admit`]), which is also what bounds the maps.
//! A block may be seen before the answer to the submission has been read; such hashes wait in `early`.

use super::histogram::Histogram;
use alloy_primitives::{B256, map::B256Map};
use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Largest number of hashes of blocks that nobody has claimed; foreign transactions, mostly.
const EARLY_MAX: usize = 1 << 20;

/// Shared by the workers and the watcher of one run.
#[derive(Debug)]
pub struct Ledger {
    state: Mutex<State>,
    changed: Condvar,
    bytes_max: usize,
    count_max: usize,
    nodes: usize,
}

/// A transaction that the node has taken.
#[derive(Debug)]
struct Waiting {
    begun: Instant,
    bytes: usize,
    seen: Seen,
}

/// Which nodes have shown a transaction: when the first did, and how many.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    first: Option<Instant>,
    count: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: B256Map<Waiting>,
    early: B256Map<Seen>,
    in_flight_bytes: usize,
    in_flight_count: usize,
    totals: Totals,
    stopped: bool,
}

/// Sums of a run.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    pub submitted_count: u64,
    pub submitted_bytes: u64,
    pub included_count: u64,
    pub included_bytes: u64,
    /// From the start of a submission until its block was seen, at the last node.
    pub latency: Histogram,
    /// The same at the first node.
    pub first_latency: Histogram,
    pub last_submitted: Option<Instant>,
    pub last_included: Option<Instant>,
}

impl Ledger {
    /// At most `bytes_max` bytes and `count_max` transactions on their way at any moment; a transaction has arrived
    /// when all of so many `nodes` have shown it.
    pub fn new(bytes_max: usize, count_max: usize, nodes: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), bytes_max, count_max, nodes }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `count` more transactions of `bytes` together may be on their way; false when the run was stopped.
    pub fn admit(&self, count: usize, bytes: usize) -> bool {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return false;
            }
            let fits = state.in_flight_bytes + bytes <= self.bytes_max
                && state.in_flight_count + count <= self.count_max;
            if fits || state.in_flight_count == 0 {
                state.in_flight_bytes += bytes;
                state.in_flight_count += count;
                return true;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The node took a transaction whose submission began at `begun`.
    pub fn submitted(&self, hash: B256, bytes: usize, begun: Instant) {
        let mut state = self.lock();
        state.totals.submitted_count += 1;
        state.totals.submitted_bytes += bytes as u64;
        state.totals.last_submitted = Some(Instant::now());
        let seen = state.early.remove(&hash).unwrap_or_default();
        let waiting = Waiting { begun, bytes, seen };
        // Seen before it was taken, as far as this process knows.
        if seen.count == self.nodes {
            self.included(&mut state, &waiting, Instant::now());
        } else {
            state.waiting.insert(hash, waiting);
        }
    }

    /// One of the nodes, each of which shows a block once, has shown these transactions at `now`.
    pub fn block(&self, hashes: &[B256], now: Instant) {
        let mut state = self.lock();
        for hash in hashes {
            if let Some(waiting) = state.waiting.get_mut(hash) {
                waiting.seen.by_another(now);
                if waiting.seen.count == self.nodes
                    && let Some(waiting) = state.waiting.remove(hash)
                {
                    self.included(&mut state, &waiting, now);
                }
            } else if state.early.len() < EARLY_MAX {
                state.early.entry(*hash).or_default().by_another(now);
            }
        }
    }

    fn included(&self, state: &mut State, waiting: &Waiting, now: Instant) {
        let Waiting { begun, bytes, seen } = *waiting;
        let totals = &mut state.totals;
        totals.included_count += 1;
        totals.included_bytes += bytes as u64;
        totals.last_included = Some(now);
        totals.latency.record(now.saturating_duration_since(begun));
        totals.first_latency.record(seen.first.unwrap_or(now).saturating_duration_since(begun));
        state.in_flight_bytes = state.in_flight_bytes.saturating_sub(bytes);
        state.in_flight_count = state.in_flight_count.saturating_sub(1);
        self.changed.notify_all();
    }

    /// Lets all workers go.
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    /// Whether the run was stopped.
    pub fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// The sums so far.
    pub fn totals(&self) -> Totals {
        self.lock().totals.clone()
    }

    /// Waits until all that was submitted is included; false when nothing more arrived for `patience`.
    pub fn drained(&self, patience: Duration) -> bool {
        let mut state = self.lock();
        while !state.waiting.is_empty() {
            let before = state.waiting.len();
            let (next, timeout) =
                self.changed.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner);
            state = next;
            if timeout.timed_out() && state.waiting.len() == before {
                return false;
            }
        }
        true
    }
}

impl Seen {
    fn by_another(&mut self, now: Instant) {
        self.first.get_or_insert(now);
        self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_block_may_be_seen_before_or_after_the_answer() {
        let ledger = Ledger::new(100, 100, 1);
        let now = Instant::now();
        let (first, second) = (B256::repeat_byte(1), B256::repeat_byte(2));
        assert!(ledger.admit(2, 20));
        ledger.submitted(first, 10, now);
        ledger.block(&[first, second], now);
        ledger.submitted(second, 10, now);
        let totals = ledger.totals();
        assert_eq!((totals.submitted_bytes, totals.included_bytes, totals.included_count), (20, 20, 2));
        assert!(ledger.drained(Duration::ZERO));
    }

    #[test]
    fn what_is_on_its_way_is_bounded_until_blocks_come() {
        let ledger = Ledger::new(10, 100, 1);
        assert!(ledger.admit(1, 10));
        ledger.submitted(B256::ZERO, 10, Instant::now());
        thread::scope(|scope| {
            let second = scope.spawn(|| ledger.admit(1, 10));
            ledger.block(&[B256::ZERO], Instant::now());
            assert!(second.join().expect("no panic"), "admitted once the first was included");
            let third = scope.spawn(|| ledger.admit(1, 10));
            ledger.stop();
            assert!(!third.join().expect("no panic"), "let go when stopped");
        });
    }

    #[test]
    fn a_transaction_larger_than_the_bound_goes_alone() {
        let ledger = Ledger::new(10, 100, 1);
        assert!(ledger.admit(1, 1000));
    }

    #[test]
    fn a_transaction_that_never_arrives_is_noticed() {
        let ledger = Ledger::new(100, 100, 1);
        ledger.submitted(B256::ZERO, 10, Instant::now());
        assert!(!ledger.drained(Duration::from_millis(1)));
    }
    #[test]
    fn of_several_nodes_the_last_one_counts() {
        let ledger = Ledger::new(100, 100, 3);
        let begun = Instant::now();
        let (early, late) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert!(ledger.admit(2, 20));
        ledger.block(&[early], at(1));
        ledger.submitted(early, 10, begun);
        ledger.submitted(late, 10, begun);
        ledger.block(&[early, late], at(2));
        assert_eq!(ledger.totals().included_count, 0);
        ledger.block(&[early, late], at(3));
        assert_eq!(ledger.totals().included_count, 1);
        assert!(!ledger.drained(Duration::ZERO));
        ledger.block(&[late], at(4));
        let totals = ledger.totals();
        assert_eq!((totals.included_count, totals.last_included), (2, Some(at(4))));
        assert!(totals.latency.quantile(1.0) > totals.first_latency.quantile(1.0));
    }
}
