//! Asking several gateways in turn, in rounds, until one gives a good answer, all refuse, or the time is over.

use super::{Client, ClientConfig};
use crate::Error;
use rand::Rng;
use reqwest::Url;
use std::{sync::atomic::Ordering, time::Duration};
use tokio::time::{Instant, sleep, timeout_at};

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    attempt: Duration,
    call: Duration,
}

impl Budget {
    /// For a call that moves `payload` bytes.
    pub fn of(config: &ClientConfig, payload: u64) -> Self {
        let transfer = Duration::from_secs(payload / config.bytes_per_second_min);
        Self { attempt: config.attempt_timeout + transfer, call: config.call_timeout + 3 * transfer }
    }
}

/// A gateway's address, from which those of its endpoints are made.
#[derive(Clone, Debug)]
pub(super) struct Base(Url);

impl Base {
    /// The address of `path`, whose segments are separated by `/` and need no escaping.
    pub fn at(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path.split('/'));
        }
        url
    }
}

impl From<&Url> for Base {
    fn from(url: &Url) -> Self {
        Self(url.clone())
    }
}

impl Client {
    /// Asks the gateways, the last good one first.
    pub(super) async fn ask_gateways<T, F>(
        &self,
        payload: u64,
        attempt: impl Fn(Base) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let first = self.preferred.load(Ordering::Relaxed);
        let gateways = &self.config.gateways;
        let order: Vec<_> = (0..gateways.len()).map(|index| (first + index) % gateways.len()).collect();
        let bases: Vec<Base> = order.iter().map(|index| Base::from(&gateways[*index])).collect();
        let (which, answer) = self.ask(&bases, payload, attempt).await?;
        self.preferred.store(order[which], Ordering::Relaxed);
        Ok(answer)
    }

    /// Asks `bases` in their order; gives the answer with the index of who gave it.
    pub(super) async fn ask<T, F>(
        &self,
        bases: &[Base],
        payload: u64,
        attempt: impl Fn(Base) -> F,
    ) -> Result<(usize, T), Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let budget = Budget::of(&self.config, payload);
        let end = Instant::now() + budget.call;
        let mut worst: Option<Error> = None;
        let over =
            |source: Option<Error>| Error::Deadline { limit: budget.call, source: source.map(Box::new) };
        for round in 0..self.config.rounds_max {
            let mut pause = None;
            for (which, base) in bases.iter().enumerate() {
                let limit = end.min(Instant::now() + budget.attempt);
                let error = match timeout_at(limit, attempt(base.clone())).await {
                    Ok(Ok(answer)) => return Ok((which, answer)),
                    Ok(Err(error)) => error,
                    Err(_) if limit == end => return Err(over(worst)),
                    Err(_) => Error::Deadline { limit: budget.attempt, source: None },
                };
                tracing::debug!(target: "arweave", gateway = %base.0, round, %error, "request failed");
                if let Some(least) = pause_after(&error) {
                    pause = pause.max(Some(least));
                }
                worst = Error::worse(worst, error);
            }
            let Some(asked) = pause.filter(|_| round + 1 < self.config.rounds_max) else { break };
            let pause = self.backoff(round).max(asked.min(self.config.backoff_max));
            if Instant::now() + pause >= end {
                return Err(over(worst));
            }
            sleep(pause).await;
        }
        Err(worst.unwrap_or_else(|| Error::Config("nobody to ask".into())))
    }

    /// The pause after a round: doubles from the first to the longest, less up to half by chance.
    fn backoff(&self, round: u32) -> Duration {
        let full = self.config.backoff_first.saturating_mul(1 << round.min(16)).min(self.config.backoff_max);
        full.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

/// Whether another round may help, and how long the server asks to wait for it. Not for what the gateways do not have: the
/// caller knows when to ask again.
fn pause_after(error: &Error) -> Option<Duration> {
    match error {
        Error::NotFound(_) | Error::Pending(_) => None,
        Error::Status { retry_after, .. } if error.is_transient() => Some(retry_after.unwrap_or_default()),
        error => error.is_transient().then_some(Duration::ZERO),
    }
}
