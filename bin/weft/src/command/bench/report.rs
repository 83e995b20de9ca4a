//! The figures of a run, each on a line of its own, or as JSON.

use super::{BenchArgs, ledger::Totals, measure::Clock, parts::PartTime, readback::ReadBack};
use serde::Serialize;
use std::{
    fmt,
    time::{Duration, Instant},
};

/// What `weft bench` found. MB is 10^6 bytes of calldata.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub calldata_bytes: usize,
    pub seed: u64,
    /// Seconds from the first submission to the last of each.
    pub submitting_seconds: f64,
    pub including_seconds: f64,
    pub persisting_seconds: Option<f64>,
    pub transactions: u64,
    pub megabytes: f64,
    /// Submissions that the node refused as busy; each was repeated until it was taken.
    pub refused: u64,
    pub submitted_mb_per_second: f64,
    pub included_mb_per_second: f64,
    pub included_tx_per_second: f64,
    pub encoded_mb_per_second: Option<f64>,
    pub persisted_mb_per_second: Option<f64>,
    pub latency_p50_ms: Option<f64>,
    pub latency_p99_ms: Option<f64>,
    pub node_cpu_ms_per_mb: Option<f64>,
    pub generator_cpu_ms_per_mb: Option<f64>,
    pub node_cpu_us_per_tx: Option<f64>,
    pub node_peak_memory_mib: Option<f64>,
    pub parts: Vec<PartTime>,
    pub read_back: ReadBack,
}

impl Report {
    pub fn new(
        args: &BenchArgs,
        seed: u64,
        totals: &Totals,
        before: &Clock,
        after: &Clock,
        persisted_at: Option<Instant>,
    ) -> Self {
        let since = |end: Option<Instant>| end.map_or(0.0, |end| end.duration_since(before.at).as_secs_f64());
        let megabytes = totals.included_bytes as f64 / 1e6;
        let rate = |amount: f64, seconds: f64| if seconds > 0.0 { amount / seconds } else { 0.0 };
        let (submitting, including) = (since(totals.last_submitted), since(totals.last_included));
        let has_blobs = megabytes > 0.0;
        // Parity is on disk no earlier than its block.
        let persisting = persisted_at.filter(|_| has_blobs).map(|at| since(Some(at)).max(including));
        // Below the threshold there is nothing to encode; the pool counts signatures and fees as well, which are not calldata.
        let encoded = (after.metrics.get(ENCODED_BYTES) - before.metrics.get(ENCODED_BYTES))
            .min(totals.submitted_bytes as f64);
        let node_cpu =
            after.node_cpu.zip(before.node_cpu).map(|(after, before)| after.saturating_sub(before));
        let own_cpu = after.own_cpu.saturating_sub(before.own_cpu);
        let per_mb = |cpu: Duration| has_blobs.then(|| cpu.as_secs_f64() * 1e3 / megabytes);
        let ms = |quantile| totals.latency.quantile(quantile).map(|value| value.as_secs_f64() * 1e3);
        Self {
            calldata_bytes: args.size_bytes(),
            seed,
            submitting_seconds: submitting,
            including_seconds: including,
            persisting_seconds: persisting,
            transactions: totals.included_count,
            megabytes,
            refused: 0,
            submitted_mb_per_second: rate(totals.submitted_bytes as f64 / 1e6, submitting),
            included_mb_per_second: rate(megabytes, including),
            included_tx_per_second: rate(totals.included_count as f64, including),
            encoded_mb_per_second: (encoded > 0.0).then(|| rate(encoded / 1e6, submitting)),
            persisted_mb_per_second: persisting.map(|seconds| rate(megabytes, seconds)),
            latency_p50_ms: ms(0.5),
            latency_p99_ms: ms(0.99),
            node_cpu_ms_per_mb: node_cpu.and_then(per_mb),
            generator_cpu_ms_per_mb: per_mb(own_cpu),
            node_cpu_us_per_tx: node_cpu
                .map(|cpu| cpu.as_secs_f64() * 1e6 / totals.included_count.max(1) as f64),
            node_peak_memory_mib: after.node_memory.map(|bytes| bytes as f64 / f64::from(1 << 20)),
            parts: after.metrics.parts_since(&before.metrics, megabytes),
            read_back: ReadBack::default(),
        }
    }
}

/// Bytes of transactions that the pool took, which it does when their cells are computed.
const ENCODED_BYTES: &str = "weft_pool_admitted_bytes_total";

/// A figure that may not have been measured.
struct Maybe(Option<f64>, &'static str);

impl fmt::Display for Maybe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => write!(f, "{value:.1} {}", self.1),
            None => f.write_str("not measured"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.calldata_bytes == 0 {
            writeln!(f, "plain transfers: {} in {:.1} s", self.transactions, self.including_seconds)?;
        } else {
            let count = self.transactions;
            writeln!(f, "{count} transactions of {} bytes: {:.1} MB", self.calldata_bytes, self.megabytes)?;
            writeln!(
                f,
                "submitted     {:.1} MB/s (acknowledged over JSON-RPC)",
                self.submitted_mb_per_second
            )?;
            writeln!(
                f,
                "included      {:.1} MB/s (in a block that is fsynced)",
                self.included_mb_per_second
            )?;
            writeln!(
                f,
                "encoded       {} (all cells and their hashes)",
                Maybe(self.encoded_mb_per_second, "MB/s")
            )?;
            writeln!(
                f,
                "persisted     {} (body and parity columns on disk)",
                Maybe(self.persisted_mb_per_second, "MB/s")
            )?;
            writeln!(f, "dispersed     not measured here: --network does")?;
            writeln!(f, "checkpointed  not measured here: cargo bench --bench checkpoint does")?;
        }
        writeln!(f, "transactions  {:.1} per second", self.included_tx_per_second)?;
        let (p50, p99) = (Maybe(self.latency_p50_ms, "ms"), Maybe(self.latency_p99_ms, "ms"));
        writeln!(f, "latency       p50 {p50}, p99 {p99} (submission to receipt)")?;
        if self.calldata_bytes == 0 {
            writeln!(f, "node CPU      {} per transaction", Maybe(self.node_cpu_us_per_tx, "µs"))?;
        } else {
            let seconds = |ms: Option<f64>| {
                ms.map_or("not measured".into(), |ms| format!("{:.5} s per MB ({ms:.2} ms)", ms / 1e3))
            };
            writeln!(f, "node CPU      {}", seconds(self.node_cpu_ms_per_mb))?;
            writeln!(f, "generator CPU {}", seconds(self.generator_cpu_ms_per_mb))?;
        }
        writeln!(f, "node memory   {} at its peak", Maybe(self.node_peak_memory_mib, "MiB"))?;
        writeln!(f, "refused       {} submissions as busy, each repeated until taken", self.refused)?;
        if !self.parts.is_empty() {
            writeln!(
                f,
                "where the node's time goes, in ms per MB over all threads (floor: one core at the speed of the fastest scalar code):"
            )?;
        }
        for PartTime { part, ms_per_mb, floor_ms_per_mb, wall } in &self.parts {
            let floor = floor_ms_per_mb.map(|floor| format!("floor {floor:.2}"));
            let note = [floor.as_deref(), wall.then_some("waiting included")]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>();
            let note = if note.is_empty() { String::new() } else { format!(" ({})", note.join(", ")) };
            writeln!(f, "  {part:<17}{ms_per_mb:.2}{note}")?;
        }
        let ReadBack { transactions, bytes, reconstructed_bytes } = self.read_back;
        writeln!(f, "read back     {transactions} transactions, {bytes} bytes, every byte right")?;
        writeln!(f, "reconstructed {reconstructed_bytes} bytes after deleting the body and m columns")?;
        writeln!(f, "seed          {}", self.seed)
    }
}
