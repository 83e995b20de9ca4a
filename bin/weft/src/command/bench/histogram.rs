//! Latencies in buckets of constant relative width: bounded memory, quantiles good to 5 %.

use std::time::Duration;

/// Lower end of the first bucket.
const FIRST_US: f64 = 100.0;
/// Each bucket's upper end over its lower end.
const RATIO: f64 = 1.05;
/// 100 µs · 1.05^400 is more than eight hours.
const BUCKETS: usize = 400;

/// Counts per bucket.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }
}

impl Histogram {
    /// Counts one value.
    pub fn record(&mut self, value: Duration) {
        let ratio = value.as_secs_f64() * 1e6 / FIRST_US;
        let bucket = if ratio <= 1.0 { 0 } else { (ratio.ln() / RATIO.ln()) as usize };
        self.counts[bucket.min(BUCKETS - 1)] += 1;
        self.total += 1;
    }

    /// Upper end of the bucket in which the quantile lies; `None` without values.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let rank = ((self.total as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(Duration::from_secs_f64(FIRST_US * RATIO.powi(bucket as i32 + 1) / 1e6))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_bucket() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for ms in 1..=1000 {
            histogram.record(Duration::from_millis(ms));
        }
        for (quantile, expected_ms) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let ms = histogram.quantile(quantile).expect("values").as_secs_f64() * 1e3;
            assert!((ms / expected_ms - 1.0).abs() < 0.06, "{quantile}: {ms} ms");
        }
    }

    #[test]
    fn the_extremes_have_a_bucket() {
        let mut histogram = Histogram::default();
        histogram.record(Duration::ZERO);
        histogram.record(Duration::MAX);
        assert!(histogram.quantile(0.0).expect("values") < Duration::from_millis(1));
        assert!(histogram.quantile(1.0).expect("values") > Duration::from_secs(8 * 3600));
    }
}
