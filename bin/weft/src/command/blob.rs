//! `weft blob`: files in and out of the chain as calldata.
//!
//! A file of one part is the calldata of one transaction, and its handle is that transaction's hash. A larger one
//! ends with an index transaction (see [`index`]) whose hash is the handle. Either way the handle alone is enough
//! to get the bytes back and to know that they are the right ones: it is the hash of what names every part's
//! SHA-256.

pub mod fetch;
mod get;
pub mod index;
mod journal;
mod permanent;
mod publisher;
mod put;
mod verify;

use crate::{command::key::KeyArgs, settings::ByteSize};
use alloy_primitives::B256;
use clap::{Args, Subcommand};
use eyre::Result;
use std::path::PathBuf;

/// Where the node answers.
#[derive(Args, Clone, Debug)]
pub struct RpcArgs {
    /// JSON-RPC address of the node
    #[arg(long, env = "WEFT_RPC", default_value = "http://127.0.0.1:8545", value_name = "URL")]
    pub rpc: String,
}

/// `weft blob …`
#[derive(Subcommand, Clone, Debug)]
pub enum BlobCommand {
    /// Publish a file; prints its handle on standard output
    ///
    /// The file is read in parts, each the calldata of one transaction. An interrupted run goes on where it
    /// stopped when it is repeated: what is included already is noted in FILE.weft-put, which is removed at the end.
    Put(PutArgs),
    /// Get a file back by its handle; every part and the whole are checked
    Get(GetArgs),
    /// Check against a block hash that a file is available: random cells, each with its proof
    ///
    /// Nothing that the node says is believed: every cell is proven down to the block hash.
    Verify(VerifyArgs),
}

/// Options of `weft blob put`.
#[derive(Args, Clone, Debug)]
pub struct PutArgs {
    /// What to publish
    pub file: PathBuf,
    #[command(flatten)]
    pub rpc: RpcArgs,
    #[command(flatten)]
    pub key: KeyArgs,
    /// Calldata per transaction, lowered to what a block's gas allows
    #[arg(long, default_value = "1MiB", value_name = "SIZE")]
    pub part_size: ByteSize,
    /// Transactions on their way at any moment
    #[arg(long, default_value_t = 8, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub in_flight: u8,
    /// Have the node put the blobs on Arweave as well, and wait until they were read back from there
    #[arg(long)]
    pub permanent: bool,
    /// With --permanent: return as soon as the node has taken the request
    #[arg(long, requires = "permanent")]
    pub no_wait: bool,
    /// No progress bar
    #[arg(long, short)]
    pub quiet: bool,
}

/// Options of `weft blob get`.
#[derive(Args, Clone, Debug)]
pub struct GetArgs {
    /// What `weft blob put` printed
    pub handle: B256,
    /// Where to write it; appears whole or not at all [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub rpc: RpcArgs,
    /// No progress bar
    #[arg(long, short)]
    pub quiet: bool,
}

/// Options of `weft blob verify`.
#[derive(Args, Clone, Debug)]
pub struct VerifyArgs {
    /// What `weft blob put` printed, or any transaction that carries a blob
    pub handle: B256,
    /// Block hash that the (last) transaction must be proven against, from a source that you trust [default: the node's]
    #[arg(long, value_name = "HASH")]
    pub block: Option<B256>,
    /// Random cells to check per transaction
    #[arg(long, default_value_t = 16, value_name = "COUNT")]
    pub samples: u32,
    #[command(flatten)]
    pub rpc: RpcArgs,
}

/// Runs a subcommand.
pub fn run(command: &BlobCommand) -> Result<()> {
    match command {
        BlobCommand::Put(args) => put::run(args),
        BlobCommand::Get(args) => get::run(args),
        BlobCommand::Verify(args) => verify::run(args),
    }
}
