//! The worker: one task that decides which shipment is looked at when, and when the next one is signed.
//!
//! It dispatches; the steps themselves are futures that it drives, at most `shipments_at_work` at a time and one that
//! forms the next shipment. Dropping it at any moment loses nothing that is not on the disk. A step that fails is tried
//! again after a pause that doubles, for ever: what is paid is not given up.

use super::{
    LedgerError, LedgerStatus, Shared,
    advance::{Step, advance},
    budget::Stop,
    ship::{Formed, form},
};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use weft_arweave::Winston;
use weft_storage::{Shipment, StorageError};

/// How long the worker sleeps when nothing is due; arrivals and commands wake it.
const IDLE: Duration = Duration::from_secs(3600);

/// What a handle asks of the worker.
#[derive(Debug)]
pub(super) enum Cmd {
    /// Forget all pauses.
    RetryNow,
}

/// When something is tried next.
#[derive(Clone, Copy, Debug)]
struct Pace {
    due: Instant,
    backoff: Duration,
}

/// A shipment that is not verified.
struct Open {
    shipment: Shipment,
    pace: Pace,
    busy: bool,
}

enum Done {
    Advanced(u64, Box<Result<Step, LedgerError>>),
    Formed(Box<Result<Formed, LedgerError>>),
}

pub(super) struct Worker {
    shared: Arc<Shared>,
    commands: mpsc::Receiver<Cmd>,
    status: watch::Sender<LedgerStatus>,
    stop: CancellationToken,
    open: BTreeMap<u64, Open>,
    running: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Whether one of `running` forms a shipment.
    forming: bool,
    form: Pace,
    /// Whether what is queued waits for more.
    lingering: bool,
    /// Whether the last attempt to form a shipment failed.
    form_failed: bool,
    stopped_by: Option<Stop>,
    error: Option<String>,
}

impl Worker {
    pub(super) fn new(
        shared: Arc<Shared>,
        commands: mpsc::Receiver<Cmd>,
        stop: CancellationToken,
        open: Vec<(u64, Shipment)>,
    ) -> Result<(Self, watch::Receiver<LedgerStatus>), LedgerError> {
        let pace = Pace { due: Instant::now(), backoff: shared.config.backoff_min };
        let open = open
            .into_iter()
            .map(|(number, shipment)| (number, Open { shipment, pace, busy: false }))
            .collect();
        let worker = Self {
            shared,
            commands,
            status: watch::Sender::default(),
            stop,
            open,
            running: FuturesUnordered::new(),
            forming: false,
            form: pace,
            lingering: true,
            form_failed: false,
            stopped_by: None,
            error: None,
        };
        worker.publish()?;
        let status = worker.status.subscribe();
        Ok((worker, status))
    }

    pub(super) async fn run(mut self) {
        tracing::info!(target: "weft::ledger", shipments = self.open.len(), "ledger open");
        loop {
            self.start_due();
            let due = self.next_due();
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                Some(done) = self.running.next(), if !self.running.is_empty() => self.done(done),
                command = self.commands.recv() => match command {
                    Some(Cmd::RetryNow) => self.retry_now(),
                    None => break,
                },
                () = self.shared.arrivals.notified() => self.arrived(),
                () = sleep_until(due) => {}
            }
            if let Err(error) = self.publish() {
                tracing::error!(target: "weft::ledger", %error, "cannot read the ledger");
            }
        }
        tracing::info!(target: "weft::ledger", shipments = self.open.len(), "ledger closed");
    }

    fn pace(&self, pause: Duration) -> Pace {
        Pace { due: Instant::now() + pause, backoff: self.shared.config.backoff_min }
    }

    /// Something was queued. The first item of a bundle waits for others, the others do not prolong that.
    fn arrived(&mut self) {
        if self.stopped_by.is_none() && !self.lingering && !self.form_failed {
            self.lingering = true;
            self.form = self.pace(self.shared.config.linger);
        }
    }

    /// Starts what is due, within the bounds.
    fn start_due(&mut self) {
        let now = Instant::now();
        let mut busy = self.open.values().filter(|open| open.busy).count();
        for (number, open) in &mut self.open {
            if busy >= self.shared.config.shipments_at_work {
                break;
            }
            if open.busy || open.pace.due > now {
                continue;
            }
            open.busy = true;
            busy += 1;
            let (number, step) = (*number, advance(Arc::clone(&self.shared), *number, open.shipment.clone()));
            self.running.push(step.map(move |result| Done::Advanced(number, Box::new(result))).boxed());
        }
        let queued = *self.shared.queued.lock();
        let full = self.lingering && queued.bytes >= self.shared.config.bundle_bytes_max;
        let due = self.form.due <= now || full;
        if !self.forming && due && queued.items > 0 && self.open.len() < self.shared.config.shipments_open {
            (self.forming, self.lingering) = (true, false);
            let forming = form(Arc::clone(&self.shared));
            self.running.push(forming.map(|result| Done::Formed(Box::new(result))).boxed());
        }
    }

    /// When something is due that does not wake the worker by itself.
    fn next_due(&self) -> Instant {
        let busy = self.open.values().filter(|open| open.busy).count();
        let free = busy < self.shared.config.shipments_at_work;
        let shipments = self.open.values().filter(|open| free && !open.busy).map(|open| open.pace.due);
        let waits = !self.forming
            && self.shared.queued.lock().items > 0
            && self.open.len() < self.shared.config.shipments_open;
        let form = waits.then_some(self.form.due);
        shipments.chain(form).min().unwrap_or_else(|| Instant::now() + IDLE)
    }

    fn retry_now(&mut self) {
        let pace = self.pace(Duration::ZERO);
        self.form = pace;
        self.open.values_mut().for_each(|open| open.pace = pace);
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Advanced(number, result) => self.advanced(number, *result),
            Done::Formed(result) => self.formed(*result),
        }
    }

    fn advanced(&mut self, number: u64, result: Result<Step, LedgerError>) {
        let Some(mut open) = self.open.remove(&number) else { return };
        open.busy = false;
        match result {
            Ok(Step::Done) => {
                // What waited for it may go.
                self.form = self.pace(Duration::ZERO);
            }
            Ok(Step::Again(shipment)) => {
                let pace = self.pace(Duration::ZERO);
                self.open.insert(number, Open { shipment, pace, busy: false });
            }
            Ok(Step::Later(shipment)) => {
                let pace = self.pace(self.shared.config.poll);
                self.open.insert(number, Open { shipment, pace, busy: false });
            }
            Err(error) => {
                open.pace = self.failed(&error, open.pace, Some(number));
                // A step may have written a state before it failed; the disk knows.
                if let Ok(Some(shipment)) = self.shared.store.view().shipment(number) {
                    open.shipment = shipment;
                }
                self.open.insert(number, open);
                return;
            }
        }
        self.error = None;
        // A shipment that was confirmed may let a manifest go.
        let soon = self.pace(self.shared.config.linger);
        if self.stopped_by.is_none() && !self.form_failed && self.form.due > soon.due {
            self.form = soon;
        }
    }

    fn formed(&mut self, result: Result<Formed, LedgerError>) {
        self.forming = false;
        match result {
            Ok(formed) => {
                (self.stopped_by, self.error, self.form_failed) = (None, None, false);
                self.form = self.pace(Duration::ZERO);
                match formed {
                    Formed::Shipment(number, shipment) => {
                        let pace = self.pace(Duration::ZERO);
                        self.open.insert(number, Open { shipment: *shipment, pace, busy: false });
                    }
                    // Everything that is queued waits for something else.
                    Formed::Nothing => self.form = self.pace(self.shared.config.poll),
                }
            }
            Err(error) => {
                self.form = self.failed(&error, self.form, None);
                self.form_failed = true;
            }
        }
    }

    /// Notes a failure; gives when to try again.
    fn failed(&mut self, error: &LedgerError, pace: Pace, shipment: Option<u64>) -> Pace {
        let config = &self.shared.config;
        if let LedgerError::Stopped(stop) = error {
            if self.stopped_by != Some(*stop) {
                tracing::warn!(target: "weft::ledger", reason = %stop, "nothing is paid for now");
            }
            self.stopped_by = Some(*stop);
            return Pace { due: Instant::now() + config.poll, backoff: config.backoff_min };
        }
        self.shared.metrics.failures.increment(1);
        let backoff = pace.backoff;
        let text = error.to_string();
        if self.error.as_ref() != Some(&text) {
            tracing::warn!(target: "weft::ledger", shipment, error = %text, retry_ms = backoff.as_millis(), "tried again later");
        }
        self.error = Some(text);
        Pace { due: Instant::now() + backoff, backoff: (backoff * 2).min(config.backoff_max) }
    }

    /// Brings the status up to date.
    fn publish(&self) -> Result<(), StorageError> {
        let shared = &self.shared;
        let view = shared.store.view();
        let mut oldest = view.ledger_queue(1)?.first().map(|(_, item)| item.queued_at);
        for open in self.open.values() {
            let Some(first) = open.shipment.items.first() else { continue };
            let queued_at = view.ledger_item(*first)?.map(|item| item.queued_at);
            oldest = oldest.into_iter().chain(queued_at).min();
        }
        let spending = view.spending(shared.clock.hour())?;
        let queued = *shared.queued.lock();
        let status = LedgerStatus {
            queued_items: queued.items,
            queued_bytes: queued.bytes,
            spool_bytes: shared.spool.bytes(),
            shipments_open: self.open.len() as u64,
            oldest_unverified: oldest,
            spent: Winston(spending.total),
            spent_this_hour: Winston(spending.hour),
            budget: *shared.budget.lock(),
            stop: self.stopped_by,
            error: self.error.clone(),
        };
        self.observe(&status);
        self.status.send_if_modified(|known| {
            let changed = *known != status;
            *known = status;
            changed
        });
        Ok(())
    }

    fn observe(&self, status: &LedgerStatus) {
        let metrics = &self.shared.metrics;
        metrics.queued_items.set(status.queued_items as f64);
        metrics.queued_bytes.set(status.queued_bytes as f64);
        metrics.spool_bytes.set(status.spool_bytes as f64);
        metrics.shipments_open.set(status.shipments_open as f64);
        let lag = status.oldest_unverified.map_or(0, |since| self.shared.clock.now().saturating_sub(since));
        metrics.lag_seconds.set(lag as f64);
        metrics.spent_winston.set(status.spent.0 as f64);
        metrics.spent_this_hour_winston.set(status.spent_this_hour.0 as f64);
        metrics.stopped.set(match status.stop {
            None => 0.0,
            Some(Stop::Total { .. }) => 1.0,
            Some(Stop::Hour { .. }) => 2.0,
            Some(Stop::Price { .. }) => 3.0,
            Some(Stop::Balance { .. }) => 4.0,
        });
    }
}
