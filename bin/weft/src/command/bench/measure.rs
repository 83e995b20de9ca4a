//! One measurement from an idle node to a checked report.

use super::{
    BenchArgs, child,
    ledger::Ledger,
    load::{self, Load, SINK, Sample},
    parts::Snapshot,
    payload::Payload,
    process, readback,
    report::Report,
    wire::{Sender, Terms},
};
use crate::{
    client::Client,
    command::{
        child::Child,
        fund,
        gas::{CalldataGas, Fees},
    },
};
use alloy_primitives::U64;
use eyre::{Context, Result, bail, eyre};
use serde::Deserialize;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};
use weft_archive::BLOB_ARCHIVE;

/// Longest silence after the last submission before what is missing counts as lost.
const DRAIN_PATIENCE: Duration = Duration::from_secs(30);
/// Distance of the looks at the archive's frontier while it catches up.
const DRAIN_PAUSE: Duration = Duration::from_millis(20);
/// The node's metric of the room on its disk, and below what the dev node seals no more (`db.min-free`), in bytes.
const FREE_BYTES: &str = "weft_datadir_free_bytes";
const FULL_BYTES: f64 = 257.0 * 1024.0 * 1024.0;
/// Transactions on their way at any moment, whatever their size.
pub(super) const IN_FLIGHT_COUNT_MAX: usize = 20_000;

/// The node under test.
pub(super) enum Target {
    Own { node: Child, folder: Folder },
    Other { url: String, pid: Option<u32> },
}

impl Target {
    pub(super) fn url(&self) -> &str {
        match self {
            Self::Own { node, .. } => &node.banner().http,
            Self::Other { url, .. } => url,
        }
    }

    fn pid(&self) -> Option<u32> {
        match self {
            Self::Own { node, .. } => Some(node.pid()),
            Self::Other { pid, .. } => *pid,
        }
    }

    fn metrics(&self) -> Result<Snapshot> {
        match self {
            Self::Own { node, .. } => {
                Ok(Snapshot::new(&node.metrics()?, process::cpu_time_by_thread(node.pid())?))
            }
            Self::Other { .. } => Ok(Snapshot::default()),
        }
    }
}

impl Target {
    /// A run that ends because its disk is full looks like many other failures.
    fn explain(&self, error: eyre::Report) -> eyre::Report {
        let Ok(metrics) = self.metrics() else { return error };
        match metrics.get(FREE_BYTES) {
            // 0: this node does not say.
            free if free > 0.0 && free < FULL_BYTES => error.wrap_err(
                "the node's disk is full; a shorter --duration, a lower --rate or another --datadir would do",
            ),
            _ => error,
        }
    }
}

/// A folder that is removed when the run is over.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn create(wanted: Option<&Path>) -> Result<Self> {
        let parent = wanted.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let folder = parent.join(format!("weft-bench-{}", std::process::id()));
        fs::create_dir_all(&folder).wrap_err_with(|| format!("create {}", folder.display()))?;
        Ok(Self(folder))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The accounts that submit, with enough of the dev accounts' ether.
pub(super) fn funded(client: &mut Client, args: &BenchArgs, seed: u64) -> Result<Vec<Sender>> {
    let senders: Vec<Sender> = (0..args.sender_count()).map(|index| Sender::derived(seed, index)).collect();
    let addresses: Vec<_> = senders.iter().map(|sender| sender.address).collect();
    fund::fund(client, &addresses).wrap_err("funding the senders")?;
    Ok(senders)
}

/// Measures; fails when a transaction is lost or a byte differs.
pub(super) fn run(args: &BenchArgs) -> Result<Report> {
    let seed = args.seed.unwrap_or_else(rand::random);
    let target = start(args)?;
    let mut client = Client::new(target.url())?;
    let payload = Payload::new(seed, args.size_bytes());
    let terms = terms(&mut client, args)?;
    let mut senders = funded(&mut client, args, seed)?;

    let ledger = Ledger::new(args.in_flight.0, IN_FLIGHT_COUNT_MAX, 1);
    let sample = Sample::new(args.sample);
    let before = Clock::read(&target)?;
    let load = Load::new(args, target.url(), terms, &payload, &ledger, &sample, before.at);
    let persisted_at = drive(&load, &mut senders, usize::from(args.connections), &[target.url()])
        .and_then(|()| archived(&mut client))
        .map_err(|error| target.explain(error))?;
    let after = Clock::read(&target)?;

    let mut report = Report::new(args, seed, &ledger.totals(), &before, &after, persisted_at);
    report.refused = load.refused.load(Ordering::Relaxed);
    report.read_back = readback::check(target, &payload, &sample.take())?;
    Ok(report)
}

fn start(args: &BenchArgs) -> Result<Target> {
    if let Some(url) = &args.rpc {
        return Ok(Target::Other { url: url.clone(), pid: args.pid });
    }
    let folder = Folder::create(args.datadir.as_deref())?;
    let node = child::start(folder.path(), &args.node)?;
    Ok(Target::Own { node, folder })
}

pub(super) fn terms(client: &mut Client, args: &BenchArgs) -> Result<(Terms, u64)> {
    let chain_id: U64 = client.call("eth_chainId", ())?;
    let fees = Fees::ask(client)?;
    let gas = CalldataGas::ask(client, SINK, SINK)?.limit(args.size_bytes());
    let block: Value = client.call("eth_getBlockByNumber", ("latest", false))?;
    let limit: U64 = serde_json::from_value(block["gasLimit"].clone())?;
    if gas > limit.to::<u64>() {
        bail!("a transaction of this size takes {gas} gas, a block has {limit}");
    }
    // A base fee that rises by an eighth per full block must not end the run.
    let terms = Terms {
        chain_id: chain_id.to(),
        tip_wei: fees.tip_wei.max(1),
        fee_wei: fees.max_wei.saturating_mul(10),
    };
    Ok((terms, gas))
}

/// Submits until the deadline, then waits until all of it is in the blocks of every node that is watched.
pub(super) fn drive(
    load: &Load<'_>,
    senders: &mut [Sender],
    connections: usize,
    watched: &[&str],
) -> Result<()> {
    let heads = watched.iter().map(|url| Ok(Client::new(url)?.call::<U64>("eth_blockNumber", ())?.to()));
    let heads: Vec<u64> = heads.collect::<Result<_>>()?;
    let share = senders.len().div_ceil(connections);
    thread::scope(|scope| {
        let watchers = watched.iter().zip(heads).map(|(url, head)| {
            scope.spawn(move || {
                let result = load::watch(url, head, load.ledger);
                load.ledger.stop();
                result
            })
        });
        let watchers: Vec<_> = watchers.collect();
        let workers: Vec<_> = senders
            .chunks_mut(share)
            .map(|senders| {
                scope.spawn(|| {
                    let result = load.work(senders);
                    if result.is_err() {
                        load.ledger.stop();
                    }
                    result
                })
            })
            .collect();
        let mut outcome = Ok(());
        for worker in workers {
            outcome = outcome.and(worker.join().map_err(|_| eyre!("a worker panicked"))?);
        }
        let complete = outcome.is_ok() && load.ledger.drained(DRAIN_PATIENCE);
        load.ledger.stop();
        for watcher in watchers {
            outcome = outcome.and(watcher.join().map_err(|_| eyre!("a watcher panicked"))?);
        }
        outcome?;
        let totals = load.ledger.totals();
        if !complete {
            bail!(
                "{} of {} transactions were never included",
                totals.submitted_count - totals.included_count,
                totals.submitted_count
            );
        }
        Ok(())
    })
}

/// Waits until the BlobArchive stage has reached the head; `None` on a node that has no `da` namespace.
pub(super) fn archived(client: &mut Client) -> Result<Option<Instant>> {
    let (mut moved, mut last) = (Instant::now(), None);
    loop {
        let Ok(status) = client.call::<Status>("da_status", ()) else { return Ok(None) };
        let stage = status.stages.iter().find(|stage| stage.name == BLOB_ARCHIVE.0);
        let Some(stage) = stage else { return Ok(None) };
        if stage.lag_blocks.is_zero() {
            return Ok(Some(Instant::now()));
        }
        if last != Some(stage.lag_blocks) {
            (last, moved) = (Some(stage.lag_blocks), Instant::now());
        } else if moved.elapsed() > DRAIN_PATIENCE {
            bail!("the BlobArchive stage stands still, {} blocks behind the head", stage.lag_blocks);
        }
        thread::sleep(DRAIN_PAUSE);
    }
}

/// The part of `da_status` that says how far stages have come.
#[derive(Deserialize)]
struct Status {
    stages: Vec<StageStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StageStatus {
    name: String,
    lag_blocks: U64,
}

/// Both processes' clocks and the node's metrics at one moment.
pub(super) struct Clock {
    pub(super) at: Instant,
    pub(super) node_cpu: Option<Duration>,
    pub(super) own_cpu: Duration,
    pub(super) node_memory: Option<u64>,
    pub(super) metrics: Snapshot,
}

impl Clock {
    fn read(target: &Target) -> Result<Self> {
        let pid = target.pid();
        Ok(Self {
            metrics: target.metrics()?,
            node_cpu: pid.map(process::cpu_time).transpose()?,
            node_memory: pid.map(process::peak_memory).transpose()?,
            own_cpu: process::cpu_time(std::process::id())?,
            at: Instant::now(),
        })
    }
}
