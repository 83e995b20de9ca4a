//! `weft bench`: how many megabytes per second go through a whole node, with every sampled byte read back.
//!
//! The node is a child process of this binary (or an existing one, `--rpc`); the load comes from this process over
//! JSON-RPC on loopback. Every figure says what it counts: *submitted* bytes were acknowledged by the node,
//! *included* bytes were seen in a block, which this node shows only when it is fsynced, *encoded* bytes have all
//! their cells, *persisted* bytes also have their parity columns on disk. MB is 10^6 bytes of calldata.
//!
//! With `--network` a node that seals and others that follow it run on this machine, and everything is counted at the
//! last of them ([`network`]).

mod child;
mod histogram;
mod ledger;
mod load;
mod measure;
mod network;
mod parts;
mod payload;
mod process;
mod readback;
mod report;
mod wire;

use crate::settings::{ByteSize, HumanDuration};
use clap::Args;
use eyre::Result;
use serde::Serialize;
use std::{fmt, path::PathBuf};

/// Options of `weft bench`.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// Calldata per transaction, for example 1MiB, 128KiB or 10KiB
    #[arg(long, default_value = "1MiB", value_name = "SIZE", conflicts_with = "transfers")]
    pub size: ByteSize,
    /// Plain transfers instead of calldata; the figure is transactions per second
    #[arg(long)]
    pub transfers: bool,
    /// Measure a network on this machine: a node that seals, and others that follow it
    #[arg(long, conflicts_with_all = ["transfers", "rpc"])]
    pub network: bool,
    /// With --network: full nodes that follow
    #[arg(long, default_value_t = 3, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=15), requires = "network")]
    pub followers: u16,
    /// With --network: nodes that keep columns and execute nothing
    #[arg(long, default_value_t = 0, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(0..=16), requires = "network")]
    pub da: u16,
    /// With --network: nodes that sample
    #[arg(long, default_value_t = 0, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(0..=16), requires = "network")]
    pub light: u16,
    /// With --network: one more follower, which is connected and then stands still as the load begins
    #[arg(long, requires = "network")]
    pub silent_peer: bool,
    /// How long to submit; a minute at 250 MB/s fills 41 GB of disk
    #[arg(long, default_value = "60s", value_name = "DURATION")]
    pub duration: HumanDuration,
    /// Measure the node at this address instead of starting one; nothing is dropped there
    #[arg(long, value_name = "URL")]
    pub rpc: Option<String>,
    /// Process id of the node behind --rpc, for its CPU time and memory
    #[arg(long, value_name = "PID", requires = "rpc")]
    pub pid: Option<u32>,
    /// Where the node under test keeps its data, removed afterwards; 2.75 bytes are written per byte of calldata
    /// [default: a temporary folder]
    #[arg(long, value_name = "DIR", conflicts_with = "rpc")]
    pub datadir: Option<PathBuf>,
    /// Connections that submit, each with a thread of its own
    #[arg(long, default_value_t = 6, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub connections: u16,
    /// Sender accounts, funded from the dev accounts before the clock starts [default: 64, or 512 for transfers]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub senders: Option<u32>,
    /// Transactions per JSON-RPC batch [default: 1, or 100 for transfers]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub batch: Option<u16>,
    /// Calldata on its way at any moment: submitted and not yet in a block
    #[arg(long, default_value = "128MiB", value_name = "SIZE")]
    pub in_flight: ByteSize,
    /// Calldata offered per second at most, for example 100MB [default: as much as the node takes]
    #[arg(long, value_name = "SIZE", conflicts_with = "transfers")]
    pub rate: Option<ByteSize>,
    /// Transactions whose bytes are read back
    #[arg(long, default_value_t = 16, value_name = "COUNT")]
    pub sample: usize,
    /// Seed of the calldata [default: random]; printed with the result
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Further options for the node under test, or for the one that seals, after `--`
    #[arg(last = true, value_name = "NODE OPTION")]
    pub node: Vec<String>,
}

impl BenchArgs {
    fn size_bytes(&self) -> usize {
        if self.transfers { 0 } else { self.size.0.max(payload::TAG_BYTES) }
    }

    fn sender_count(&self) -> u32 {
        self.senders.unwrap_or(if self.transfers { 512 } else { 64 }).max(u32::from(self.connections))
    }

    fn batch_size(&self) -> usize {
        usize::from(self.batch.unwrap_or(if self.transfers { 100 } else { 1 }))
    }
}

/// Runs the benchmark and prints its report; an error when a byte or a transaction is missing.
pub fn run(args: &BenchArgs) -> Result<()> {
    if args.network { show(args, &network::run(args)?) } else { show(args, &measure::run(args)?) }
}

fn show<R: Serialize + fmt::Display>(args: &BenchArgs, report: &R) -> Result<()> {
    if args.json {
        println!("{}", serde_json::to_string_pretty(report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}
