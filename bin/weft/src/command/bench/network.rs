//! `weft bench --network`: a node that seals and others that follow it on this machine, counted at the last of them.
//!
//! The load goes to the node that seals. A transaction has arrived when the last follower shows its block, which it
//! does when the block is fsynced there; it is persisted when the last follower has its parity columns on disk as well,
//! and custody is complete when the `da` nodes have all columns that they are to keep.
//! Bytes on the wire are those of messages, by the nodes' own metrics: what noise, yamux and TCP add is not in them.

mod report;
mod traffic;

use super::{
    BenchArgs,
    ledger::Ledger,
    load::{Load, Sample},
    measure::{Folder, IN_FLIGHT_COUNT_MAX, archived, drive, funded, terms},
    payload::Payload,
    process, readback,
};
use crate::{
    client::Client,
    command::devnet::{
        fleet::{Fleet, Running},
        plan::{Kind, Plan, Shape},
    },
};
use alloy_primitives::U64;
use eyre::{Result, WrapErr, bail, eyre};
use report::{MemberReport, NetworkReport, Span};
use serde::Deserialize;
use std::{
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};
use traffic::Traffic;

/// Calldata from which on the dev chain makes a blob of it.
const BLOB_BYTES_MIN: usize = 4096;
/// Longest standstill of a `da` node before what it is to keep counts as lost.
const CUSTODY_PATIENCE: Duration = Duration::from_secs(60);
/// Distance of the looks at its custody.
const CUSTODY_PAUSE: Duration = Duration::from_millis(20);

/// Measures; fails when a transaction is lost, a byte differs or a node ends.
pub fn run(args: &BenchArgs) -> Result<NetworkReport> {
    if args.size_bytes() < BLOB_BYTES_MIN {
        bail!("--network reads blobs back from every node: --size is at least {BLOB_BYTES_MIN}");
    }
    let folder = Folder::create(args.datadir.as_deref())?;
    let shape =
        Shape { nodes: 1 + args.followers + u16::from(args.silent_peer), da: args.da, light: args.light };
    let plan = Plan::new(folder.path(), shape, None, &args.node)?;
    let mut fleet = Fleet::default();
    fleet.start(&plan, &|| false)?;
    fleet.await_connected(&|| false)?;
    let measured = measure(args, &mut fleet).map_err(|error| match fleet.obituary() {
        // A node that is gone looks like many other failures.
        Ok(Some(obituary)) => error.wrap_err(obituary),
        _ => error,
    });
    let stopped = fleet.stop(&|| false);
    let report = measured?;
    stopped?;
    Ok(report)
}

/// A node whose figures count: all but the silent one.
#[derive(Clone, Debug)]
struct Counted {
    /// In the fleet.
    index: usize,
    kind: Kind,
    url: String,
}

impl Counted {
    /// Whether it has blocks to show.
    fn executes(&self) -> bool {
        matches!(self.kind, Kind::Sealer | Kind::Full)
    }
}

/// Those that count, the one that seals first; and the silent one.
fn counted(fleet: &Fleet, args: &BenchArgs) -> (Vec<Counted>, Option<usize>) {
    let silent = args.silent_peer.then_some(1 + usize::from(args.followers));
    let all = fleet.running().iter().enumerate();
    let counted = all.filter(|(index, _)| Some(*index) != silent).map(|(index, running)| Counted {
        index,
        kind: running.member.kind,
        url: running.child.banner().http.clone(),
    });
    (counted.collect(), silent)
}

fn measure(args: &BenchArgs, fleet: &mut Fleet) -> Result<NetworkReport> {
    let seed = args.seed.unwrap_or_else(rand::random);
    let (counted, silent) = counted(fleet, args);
    let sealer = counted.first().ok_or_else(|| eyre!("nobody seals"))?.url.clone();

    let mut client = Client::new(&sealer)?;
    let payload = Payload::new(seed, args.size_bytes());
    let terms = terms(&mut client, args)?;
    let mut senders = funded(&mut client, args, seed)?;
    if let Some(running) = silent.and_then(|index| fleet.running_mut().get_mut(index)) {
        // From now on it answers nothing: its connections stay open, and nobody reads them.
        running.child.signal(libc::SIGSTOP)?;
    }

    let executing: Vec<&Counted> = counted.iter().filter(|node| node.executes()).collect();
    let ledger = Ledger::new(args.in_flight.0, IN_FLIGHT_COUNT_MAX, executing.len());
    let sample = Sample::new(args.sample);
    let before = Clock::read(fleet, &counted)?;
    let load = Load::new(args, &sealer, terms, &payload, &ledger, &sample, before.at);
    let watched: Vec<&str> = executing.iter().map(|node| node.url.as_str()).collect();
    drive(&load, &mut senders, usize::from(args.connections), &watched)?;
    let mut span = Span { begun: before.at, persisted_at: None, custody_at: None };
    for node in &executing {
        let persisted_at = archived(&mut Client::new(&node.url)?).wrap_err_with(|| node.url.clone())?;
        span.persisted_at = span.persisted_at.max(persisted_at);
    }
    let head: U64 = client.call("eth_blockNumber", ())?;
    for node in counted.iter().filter(|node| node.kind == Kind::Da) {
        let complete_at = custody_complete(&mut Client::new(&node.url)?, head.to())?;
        span.custody_at = span.custody_at.max(Some(complete_at));
    }
    let after = Clock::read(fleet, &counted)?;

    let totals = ledger.totals();
    let mut report = NetworkReport::new(args, seed, &totals, span);
    let own_cpu = after.own_cpu.saturating_sub(before.own_cpu);
    report.generator_cpu_ms_per_mb = own_cpu.as_secs_f64() * 1e3 / report.megabytes;
    report.refused = load.refused.load(Ordering::Relaxed);
    let sample = sample.take();
    report.read_back_transactions = sample.len();
    for (node, (before, after)) in counted.iter().zip(before.members.iter().zip(&after.members)) {
        let member = &fleet.running()[node.index].member;
        // A node without bodies has to be told in which block a transaction is.
        let places = (!node.executes()).then_some(&mut client);
        let bytes = readback::compare_blobs(&mut Client::new(&node.url)?, places, &payload, &sample)
            .wrap_err_with(|| format!("read back from {}", member.name))?;
        report.members.push(MemberReport::new(member, totals.included_bytes, before, after, bytes));
    }
    Ok(report)
}

/// The part of a `da` node's `da_status` that says what it still lacks.
#[derive(Deserialize)]
struct Holding {
    head: Place,
    custody: Custody,
}

#[derive(Deserialize)]
struct Place {
    number: U64,
}

#[derive(Deserialize)]
struct Custody {
    /// Columns that are to be kept and are not whole.
    due: U64,
    bytes: U64,
}

/// Waits until a `da` node has all columns that it is to keep, up to this block.
fn custody_complete(client: &mut Client, head: u64) -> Result<Instant> {
    let (mut moved, mut last) = (Instant::now(), None);
    loop {
        let Holding { head: Place { number }, custody } = client.call("da_status", ())?;
        if number.to::<u64>() >= head && custody.due.is_zero() {
            return Ok(Instant::now());
        }
        let now = Some((number, custody.due, custody.bytes));
        if last != now {
            (last, moved) = (now, Instant::now());
        } else if moved.elapsed() > CUSTODY_PATIENCE {
            bail!("a da node stands still at block {number} of {head}, and {} columns are due", custody.due);
        }
        thread::sleep(CUSTODY_PAUSE);
    }
}

/// Every process's clocks and counters at one moment.
struct Clock {
    at: Instant,
    own_cpu: Duration,
    members: Vec<MemberClock>,
}

/// Those of one member.
struct MemberClock {
    cpu: Duration,
    peak_memory_bytes: u64,
    traffic: Traffic,
}

impl Clock {
    fn read(fleet: &Fleet, counted: &[Counted]) -> Result<Self> {
        let members = counted.iter().map(|node| MemberClock::read(&fleet.running()[node.index]));
        let members = members.collect::<Result<_>>()?;
        Ok(Self { members, own_cpu: process::cpu_time(std::process::id())?, at: Instant::now() })
    }
}

impl MemberClock {
    fn read(running: &Running) -> Result<Self> {
        let pid = running.child.pid();
        Ok(Self {
            traffic: Traffic::read(&running.child.metrics()?),
            cpu: process::cpu_time(pid)?,
            peak_memory_bytes: process::peak_memory(pid)?,
        })
    }
}
