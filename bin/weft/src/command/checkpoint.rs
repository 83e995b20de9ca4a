//! `weft checkpoint`: checkpoints of a running node, of a stopped one's database, and in folders.

mod export;
mod list;
mod now;
mod verify;

use super::{
    blob::RpcArgs,
    keeper::{Place, WhichArgs},
    restore::{self, RestoreArgs},
};
use crate::settings::resolve::Sources;
use clap::{Args, Subcommand};
use eyre::Result;
use std::path::PathBuf;
use weft_arweave::Address;

/// `weft checkpoint …`
#[derive(Subcommand, Clone, Debug)]
pub enum CheckpointCommand {
    /// Let a running node make a checkpoint of its newest finalized block
    ///
    /// Returns once it is queued for Arweave; `weft checkpoint list --rpc` says when it is there.
    Now(NowArgs),
    /// List checkpoints: of a running node, of the database, of a folder, or of an address on Arweave
    List(ListArgs),
    /// Derive a checkpoint's state root from its items, without a database
    ///
    /// Reads everything: each item is compared with its hash, each header with the one before it, the state root with
    /// the header. Keys are sorted in the folder that TMPDIR names.
    Verify(RestoreArgs),
    /// Write a checkpoint of a stopped node's database to a folder
    ///
    /// An interrupted export goes on where it was when it is repeated.
    Export(ExportArgs),
    /// Make a database from a folder; the same as `weft restore --from DIR`
    Import(ImportArgs),
}

/// Options of `weft checkpoint now`.
#[derive(Args, Clone, Debug)]
pub struct NowArgs {
    #[command(flatten)]
    pub rpc: RpcArgs,
}

/// Options of `weft checkpoint list`.
#[derive(Args, Clone, Debug)]
pub struct ListArgs {
    /// Ask the node at this address
    #[arg(long, value_name = "URL", conflicts_with_all = ["from", "owner"])]
    pub rpc: Option<String>,
    /// Look there: gateways, separated by commas, with --owner, or a folder
    #[arg(long, value_name = "URL[,…]|DIR")]
    pub from: Option<Place>,
    /// Arweave address that signed the checkpoints
    #[arg(long, value_name = "ADDRESS", requires = "from")]
    pub owner: Option<Address>,
    /// Checkpoints shown, the newest first
    #[arg(long, default_value_t = 20, value_name = "COUNT")]
    pub limit: u16,
    #[command(flatten)]
    pub sources: Sources,
}

/// Options of `weft checkpoint export`.
#[derive(Args, Clone, Debug)]
pub struct ExportArgs {
    /// Folder to write to; made if it is not there
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Number of the block, finalized and not far below the head [default: the newest finalized]
    #[arg(long, value_name = "NUMBER")]
    pub block: Option<u64>,
    /// Only what changed since the newest checkpoint below it in the folder; a restore needs that one as well
    #[arg(long)]
    pub diff: bool,
    /// No progress bar
    #[arg(long, short)]
    pub quiet: bool,
    #[command(flatten)]
    pub sources: Sources,
}

/// Options of `weft checkpoint import`.
#[derive(Args, Clone, Debug)]
pub struct ImportArgs {
    /// Folder that was exported to
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    #[command(flatten)]
    pub which: WhichArgs,
    #[command(flatten)]
    pub sources: Sources,
}

/// Runs a subcommand.
pub fn run(command: &CheckpointCommand) -> Result<()> {
    match command {
        CheckpointCommand::Now(args) => now::run(args),
        CheckpointCommand::List(args) => list::run(args),
        CheckpointCommand::Verify(args) => verify::run(args),
        CheckpointCommand::Export(args) => export::run(args),
        CheckpointCommand::Import(args) => {
            let place = Place::Folder(args.folder.clone());
            restore::restore(&place, &args.which, &args.sources.effective()?)
        }
    }
}
