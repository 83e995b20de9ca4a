//! `weft db`: looks into the database of a stopped node, checks it, and deletes data from it.

pub mod drop;
mod get;
mod repair;
mod stats;
mod verify;

use crate::settings::resolve::{Sources, db_folder};
use alloy_primitives::{Address, B256, U256};
use clap::{Args, Subcommand};
use eyre::{Result, ensure, eyre};
use std::path::Path;
use weft_primitives::{BlobIndex, ColumnIndex, Geometry};
use weft_storage::{StorageError, Store, StoreOptions, TxPosition, View};

/// `weft db …`
#[derive(Args, Clone, Debug)]
pub struct DbArgs {
    #[command(flatten)]
    pub sources: Sources,
    #[command(subcommand)]
    pub command: DbCommand,
}

/// What to do with the database.
#[derive(Subcommand, Clone, Debug)]
pub enum DbCommand {
    /// Sizes and heights: what is stored, how much of it, how far the stages are
    Stats,
    /// Print a record as JSON
    #[command(subcommand)]
    Get(GetCommand),
    /// Delete a transaction's calldata from its block's body, or some of its columns
    ///
    /// What is left must be enough to give the bytes back: the body, or as many columns as the chain has data
    /// shards. A command that would leave less is refused.
    Drop(DropArgs),
    /// Check everything: records, links, roots, the state root from leaves, and every blob against its header
    Verify(VerifyArgs),
    /// Compute again what is missing or damaged of columns, from what is on this disk, and say what only peers can give
    Repair(RepairArgs),
}

/// Which record.
#[derive(Subcommand, Clone, Debug)]
pub enum GetCommand {
    /// Header, transactions and commitment of a block, by number
    Block {
        /// Block number
        number: u64,
    },
    /// A transaction by its hash, and which columns of its blob are held
    Tx {
        /// Transaction hash
        hash: B256,
    },
    /// An account after the head, or after an earlier block
    Account {
        /// The account
        address: Address,
        /// Block number
        #[arg(long)]
        at: Option<u64>,
    },
    /// A storage slot after the head, or after an earlier block
    Storage {
        /// The account
        address: Address,
        /// The slot
        slot: U256,
        /// Block number
        #[arg(long)]
        at: Option<u64>,
    },
}

/// Options of `weft db drop`.
#[derive(Args, Clone, Debug)]
pub struct DropArgs {
    /// The transaction that carries the blob
    pub transaction: B256,
    /// Delete the calldata from the block's body; the data columns take its place
    #[arg(long)]
    pub body: bool,
    /// Delete these columns, for example 0,5,7
    #[arg(long, value_delimiter = ',', value_name = "LIST", required_unless_present = "body")]
    pub columns: Vec<u16>,
}

/// Options of `weft db verify`.
#[derive(Args, Clone, Debug)]
pub struct VerifyArgs {
    /// No progress bar
    #[arg(long, short)]
    pub quiet: bool,
}

/// Options of `weft db repair`.
#[derive(Args, Clone, Debug)]
pub struct RepairArgs {
    /// Find what can be mended, compute and compare it, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// First block
    #[arg(long, value_name = "NUMBER")]
    pub from: Option<u64>,
    /// Last block
    #[arg(long, value_name = "NUMBER")]
    pub to: Option<u64>,
    /// No progress bar
    #[arg(long, short)]
    pub quiet: bool,
}

/// Runs a subcommand.
pub fn run(args: &DbArgs) -> Result<()> {
    let folder = db_folder(&args.sources.effective()?)?;
    match &args.command {
        DbCommand::Stats => stats::run(&folder),
        DbCommand::Get(command) => get::run(&open(&folder)?, command),
        DbCommand::Drop(drop) => {
            let columns: Vec<ColumnIndex> = drop.columns.iter().copied().map(ColumnIndex).collect();
            println!("{}", drop::drop_data(&open(&folder)?, drop.transaction, drop.body, &columns)?);
            Ok(())
        }
        DbCommand::Verify(verify) => verify::run(&open(&folder)?, verify),
        DbCommand::Repair(repair) => repair::run(&open(&folder)?, repair),
    }
}

/// Opens the database of a folder in which no node runs, whatever its role; never creates one.
pub fn open(folder: &Path) -> Result<Store> {
    ensure_there(folder)?;
    match Store::open(folder, StoreOptions { role: None, ..StoreOptions::default() }) {
        Err(error @ StorageError::Locked { .. }) => {
            Err(eyre!("{error}: stop the node first; weft db works on the folder of a stopped node"))
        }
        other => Ok(other?),
    }
}

/// Opens the database of a folder for reading only, beside a running node too.
pub fn open_read_only(folder: &Path) -> Result<Store> {
    ensure_there(folder)?;
    Ok(Store::open(folder, StoreOptions { read_only: true, role: None, ..StoreOptions::default() })?)
}

fn ensure_there(folder: &Path) -> Result<()> {
    ensure!(folder.join("CURRENT").exists(), "there is no database in {}", folder.display());
    Ok(())
}

/// The code of the block that holds a transaction's blob.
pub fn geometry_of(store: &Store, transaction: B256) -> Result<Geometry> {
    Ok(blob_place(&store.view(), transaction)?.geometry)
}

/// Where a transaction's blob lies.
#[derive(Clone, Copy, Debug)]
pub struct BlobPlace {
    /// The transaction.
    pub position: TxPosition,
    /// Its place among the block's blobs.
    pub blob: BlobIndex,
    /// The block's code.
    pub geometry: Geometry,
}

/// Finds a transaction's blob; an error says which part of the way there is missing.
pub fn blob_place(view: &View<'_>, transaction: B256) -> Result<BlobPlace> {
    let position = view
        .tx_position(transaction)?
        .ok_or_else(|| eyre!("transaction {transaction} is not in the chain"))?;
    let summary = view.da_summary(position.block)?.ok_or_else(|| eyre!("this chain has no blobs"))?;
    let index = summary.blobs.iter().position(|blob| blob.tx_index == position.index);
    let index =
        index.ok_or_else(|| eyre!("transaction {transaction} carries no blob: its calldata is too small"))?;
    let blob = BlobIndex(u32::try_from(index)?);
    Ok(BlobPlace { position, blob, geometry: summary.geometry })
}
