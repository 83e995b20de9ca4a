//! The figures of a run over a network.

use super::{MemberClock, traffic::Bytes};
use crate::command::{
    bench::{BenchArgs, ledger::Totals},
    devnet::plan::{Kind, Member},
};
use serde::Serialize;
use std::{collections::BTreeMap, fmt, time::Instant};

/// What `weft bench --network` found. MB is 10^6 bytes of calldata.
#[derive(Clone, Debug, Serialize)]
pub struct NetworkReport {
    pub calldata_bytes: usize,
    pub seed: u64,
    pub followers: u16,
    pub da: u16,
    pub light: u16,
    /// Peers that stood still during the load.
    pub silent_peers: u16,
    pub transactions: u64,
    pub megabytes: f64,
    /// Submissions that the node refused as busy; each was repeated until it was taken.
    pub refused: u64,
    /// Seconds from the first submission to the last of each.
    pub submitting_seconds: f64,
    pub following_seconds: f64,
    pub persisting_seconds: Option<f64>,
    pub custody_seconds: Option<f64>,
    pub submitted_mb_per_second: f64,
    /// Until the last follower had it in an fsynced block.
    pub followed_mb_per_second: f64,
    /// Until the last follower had its parity columns on disk as well.
    pub persisted_mb_per_second: Option<f64>,
    /// Until the last `da` node had all columns that it is to keep.
    pub custody_mb_per_second: Option<f64>,
    pub first_latency_p50_ms: Option<f64>,
    pub first_latency_p99_ms: Option<f64>,
    pub last_latency_p50_ms: Option<f64>,
    pub last_latency_p99_ms: Option<f64>,
    pub generator_cpu_ms_per_mb: f64,
    pub members: Vec<MemberReport>,
    /// Transactions whose bytes every member gave back.
    pub read_back_transactions: usize,
}

/// The figures of one node.
#[derive(Clone, Debug, Serialize)]
pub struct MemberReport {
    pub name: String,
    pub role: &'static str,
    pub cpu_seconds_per_mb: f64,
    pub peak_memory_mib: f64,
    /// Bytes of messages per byte of calldata.
    pub in_per_byte: f64,
    pub out_per_byte: f64,
    pub traffic: BTreeMap<String, Bytes>,
    pub read_back_bytes: usize,
}

/// When the load began, when the last of it was on the last disk, and when custody was complete.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub begun: Instant,
    pub persisted_at: Option<Instant>,
    pub custody_at: Option<Instant>,
}

impl NetworkReport {
    pub fn new(args: &BenchArgs, seed: u64, totals: &Totals, span: Span) -> Self {
        let since = |end: Option<Instant>| {
            end.map_or(0.0, |end| end.saturating_duration_since(span.begun).as_secs_f64())
        };
        let rate = |bytes: u64, seconds: f64| if seconds > 0.0 { bytes as f64 / 1e6 / seconds } else { 0.0 };
        let (submitting, following) = (since(totals.last_submitted), since(totals.last_included));
        // Neither is earlier than the block.
        let after = |end: Option<Instant>| end.map(|end| since(Some(end)).max(following));
        let (persisting, custody) = (after(span.persisted_at), after(span.custody_at));
        let ms = |value: Option<std::time::Duration>| value.map(|value| value.as_secs_f64() * 1e3);
        Self {
            calldata_bytes: args.size_bytes(),
            seed,
            followers: args.followers,
            da: args.da,
            light: args.light,
            silent_peers: u16::from(args.silent_peer),
            transactions: totals.included_count,
            megabytes: totals.included_bytes as f64 / 1e6,
            refused: 0,
            submitting_seconds: submitting,
            following_seconds: following,
            persisting_seconds: persisting,
            custody_seconds: custody,
            submitted_mb_per_second: rate(totals.submitted_bytes, submitting),
            followed_mb_per_second: rate(totals.included_bytes, following),
            persisted_mb_per_second: persisting.map(|seconds| rate(totals.included_bytes, seconds)),
            custody_mb_per_second: custody.map(|seconds| rate(totals.included_bytes, seconds)),
            first_latency_p50_ms: ms(totals.first_latency.quantile(0.5)),
            first_latency_p99_ms: ms(totals.first_latency.quantile(0.99)),
            last_latency_p50_ms: ms(totals.latency.quantile(0.5)),
            last_latency_p99_ms: ms(totals.latency.quantile(0.99)),
            generator_cpu_ms_per_mb: 0.0,
            members: Vec::new(),
            read_back_transactions: 0,
        }
    }

    /// Mean of the full followers' bytes per byte of calldata.
    fn in_per_byte(&self) -> f64 {
        let followers = || self.members.iter().filter(|member| member.role == Kind::Full.as_str());
        followers().map(|member| member.in_per_byte).sum::<f64>() / followers().count().max(1) as f64
    }
}

impl MemberReport {
    pub(super) fn new(
        member: &Member,
        calldata_bytes: u64,
        before: &MemberClock,
        after: &MemberClock,
        read_back_bytes: usize,
    ) -> Self {
        let traffic = after.traffic.since(&before.traffic);
        let total = traffic.total();
        let bytes = calldata_bytes.max(1) as f64;
        Self {
            name: member.name.clone(),
            role: member.kind.as_str(),
            cpu_seconds_per_mb: after.cpu.saturating_sub(before.cpu).as_secs_f64() / (bytes / 1e6),
            peak_memory_mib: after.peak_memory_bytes as f64 / f64::from(1 << 20),
            in_per_byte: total.bytes_in as f64 / bytes,
            out_per_byte: total.bytes_out as f64 / bytes,
            traffic: traffic.0,
            read_back_bytes,
        }
    }
}

/// A latency that may not have been measured.
fn ms(value: Option<f64>) -> String {
    value.map_or("not measured".to_owned(), |value| format!("{value:.1} ms"))
}

impl fmt::Display for NetworkReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { transactions, calldata_bytes, megabytes, followers, da, light, .. } = self;
        let silent = if self.silent_peers > 0 { ", and one peer that answers nothing" } else { "" };
        writeln!(f, "{transactions} transactions of {calldata_bytes} bytes: {megabytes:.1} MB")?;
        writeln!(f, "network       one node seals, {followers} follow, {da} da, {light} light{silent}")?;
        writeln!(f, "submitted     {:.1} MB/s (acknowledged over JSON-RPC)", self.submitted_mb_per_second)?;
        let followed = self.followed_mb_per_second;
        writeln!(f, "followed      {followed:.1} MB/s (in a block that the last follower has fsynced)")?;
        match self.persisted_mb_per_second {
            Some(rate) => {
                writeln!(f, "persisted     {rate:.1} MB/s (body and parity columns on every disk)")?
            }
            None => writeln!(f, "persisted     not measured")?,
        }
        match self.custody_mb_per_second {
            Some(rate) => {
                writeln!(f, "in custody    {rate:.1} MB/s (all columns that da nodes keep on their disks)")?
            }
            None => writeln!(f, "in custody    not measured, there is no da node")?,
        }
        let (p50, p99) = (ms(self.first_latency_p50_ms), ms(self.first_latency_p99_ms));
        writeln!(f, "latency       p50 {p50}, p99 {p99} (submission to the first node's block)")?;
        let (p50, p99) = (ms(self.last_latency_p50_ms), ms(self.last_latency_p99_ms));
        writeln!(f, "              p50 {p50}, p99 {p99} (to the last follower's)")?;
        let wire = self.in_per_byte();
        writeln!(f, "on the wire   {wire:.3} bytes of messages into a full follower per byte of calldata")?;
        writeln!(f, "generator CPU {:.5} s per MB", self.generator_cpu_ms_per_mb / 1e3)?;
        writeln!(f, "refused       {} submissions as busy, each repeated until taken", self.refused)?;
        writeln!(
            f,
            "{:<10}{:<8}{:>13}{:>13}{:>11}{:>12}",
            "node", "role", "CPU s per MB", "peak memory", "in/byte", "out/byte"
        )?;
        for member in &self.members {
            let MemberReport {
                name,
                role,
                cpu_seconds_per_mb,
                peak_memory_mib,
                in_per_byte,
                out_per_byte,
                ..
            } = member;
            writeln!(
                f,
                "{name:<10}{role:<8}{cpu_seconds_per_mb:>13.5}{peak_memory_mib:>9.0} MiB{in_per_byte:>11.3}{out_per_byte:>12.3}"
            )?;
            let (million, mut parts) = (1e6 * megabytes.max(f64::MIN_POSITIVE), Vec::new());
            for (protocol, Bytes { bytes_in, bytes_out }) in &member.traffic {
                let share = |bytes: &u64| *bytes as f64 / million;
                // What is no thousandth of the calldata is in the JSON only.
                if share(bytes_in).max(share(bytes_out)) >= 0.001 {
                    parts.push(format!("{protocol} {:.3} in, {:.3} out", share(bytes_in), share(bytes_out)));
                }
            }
            if !parts.is_empty() {
                writeln!(f, "  {}", parts.join("; "))?;
            }
        }
        let bytes: usize = self.members.iter().map(|member| member.read_back_bytes).sum();
        let (count, nodes) = (self.read_back_transactions, self.members.len());
        writeln!(
            f,
            "read back     {count} transactions from each of {nodes} nodes, {bytes} bytes, every byte right"
        )?;
        writeln!(f, "seed          {}", self.seed)
    }
}
