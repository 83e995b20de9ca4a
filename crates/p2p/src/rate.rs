//! A token bucket with simulated time. Pure.

use std::time::Duration;

/// So many tokens a second, twice as many at once. May be overdrawn by a charge that was not known before, and then has
/// nothing until that is made up for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    rate: f64,
    level: f64,
    at: Duration,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(tokens_per_second: f64, now: Duration) -> Self {
        Self { rate: tokens_per_second, level: 2.0 * tokens_per_second, at: now }
    }

    /// Takes tokens if there are as many.
    pub(crate) fn take(&mut self, tokens: f64, now: Duration) -> bool {
        self.fill(now);
        let enough = self.level >= tokens;
        if enough {
            self.level -= tokens;
        }
        enough
    }

    /// Whether anything is left.
    pub(crate) fn has_some(&mut self, now: Duration) -> bool {
        self.fill(now);
        self.level > 0.0
    }

    /// Takes tokens, below nothing if need be.
    pub(crate) fn charge(&mut self, tokens: f64, now: Duration) {
        self.fill(now);
        self.level -= tokens;
    }

    fn fill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.level = (self.level + passed * self.rate).min(2.0 * self.rate);
        self.at = now.max(self.at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_burst_is_two_seconds_worth_and_then_the_rate_holds() {
        let mut bucket = Bucket::new(10.0, at(0.0));
        assert_eq!((0..30).filter(|_| bucket.take(1.0, at(0.0))).count(), 20);
        // In ten seconds a hundred more, however often is asked.
        let taken = (1..=1000).filter(|step| bucket.take(1.0, at(f64::from(*step) / 100.0))).count();
        assert!((99..=100).contains(&taken), "{taken}");
        // A long rest gives no more than a burst.
        assert_eq!((0..30).filter(|_| bucket.take(1.0, at(1000.0))).count(), 20);
    }

    #[test]
    fn what_is_overdrawn_is_made_up_for_first() {
        let mut bucket = Bucket::new(10.0, at(0.0));
        bucket.charge(70.0, at(0.0));
        assert!(!bucket.has_some(at(5.0)));
        assert!(bucket.has_some(at(5.1)));
        // Time that runs backwards gives nothing.
        assert!(!bucket.take(2.0, at(0.0)));
    }
}
