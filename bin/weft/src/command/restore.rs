//! `weft restore`: a database from a checkpoint and nothing else.
//!
//! Everything that comes is compared: items with their hashes, headers down to genesis, the state root with the header. Until
//! that was done the folder is refused by every other command. A restore that was interrupted goes on where it was when
//! it is run again. From Arweave the index of checkpoints and permanent blobs is read back as well, so that the node does
//! not pay again for what is there.

use super::keeper::{self, Keeper, Place, WhichArgs};
use crate::settings::{
    NodeArgs,
    resolve::{self, Sources},
};
use clap::Args;
use eyre::{Context, Result};
use std::{path::Path, time::Instant};
use weft_archive::{
    BLOB_ARCHIVE,
    checkpoint::{Checkpoint, CheckpointError, RestoreOptions},
    permanence,
};
use weft_arweave::Address;
use weft_node::DB_FOLDER;
use weft_primitives::BlockNumHash;
use weft_storage::{StorageError, Store, StoreOptions};

/// Options of `weft restore`, and of `weft checkpoint verify`, which reads the same and writes nothing.
#[derive(Args, Clone, Debug)]
pub struct RestoreArgs {
    /// Where the checkpoint is: gateways, separated by commas, or a folder
    #[arg(long, value_name = "URL[,…]|DIR")]
    pub from: Place,
    #[command(flatten)]
    pub which: WhichArgs,
    #[command(flatten)]
    pub sources: Sources,
}

/// Restores, and says how the node is started.
pub fn run(args: &RestoreArgs) -> Result<()> {
    restore(&args.from, &args.which, &args.sources.effective()?)
}

/// Restores from a place into the data folder of some settings.
pub fn restore(place: &Place, which: &WhichArgs, settings: &NodeArgs) -> Result<()> {
    let chain = resolve::chain(settings)?;
    let datadir = resolve::datadir(settings, &chain)?;
    let expected = which.expected(&chain);
    let keeper = Keeper::open(place, which)?;
    let id = keeper.manifest(which, &expected.chain)?;
    let checkpoint = keeper.read(id)?;
    say_what(&keeper, &checkpoint, which);

    let options = RestoreOptions {
        path: datadir.join(DB_FOLDER),
        store: resolve::store(settings),
        expected,
        parallel: usize::from(which.parallel),
        stages: vec![BLOB_ARCHIVE],
    };
    let (begun, bar) = (Instant::now(), keeper::bar(which.quiet));
    let restored = weft_archive::checkpoint::restore(keeper.source(), id, &options, &|progress| {
        keeper::show(&bar, progress);
    });
    bar.finish_and_clear();
    let block = checkpoint.manifest.block;
    let store = match restored {
        Ok(store) => {
            println!("restored     block {} {}", block.number, block.hash);
            println!(
                "state root   {}, built from the records and equal to the header's",
                checkpoint.manifest.state_root
            );
            println!("database     {}, in {:.1} s", options.path.display(), begun.elapsed().as_secs_f64());
            store
        }
        // Killed between the two, the database is there and the index is not.
        Err(CheckpointError::Storage(StorageError::NotEmpty(_)))
            if matches!(keeper, Keeper::Arweave(_)) && is_restored_at(&options, block)? =>
        {
            println!(
                "database     {} was restored at block {} {} before",
                options.path.display(),
                block.number,
                block.hash
            );
            Store::open(&options.path, options.store)?
        }
        Err(error) => return Err(error).wrap_err("not restored"),
    };
    if let Keeper::Arweave(arweave) = &keeper {
        let owner = which.owner.map_or_else(|| arweave.signer(id), Ok)?;
        index(arweave, &store, owner, expected.chain.id);
    }
    drop(store);
    println!("\nstart it with\n  {}", start_command(settings, &datadir));
    Ok(())
}

fn is_restored_at(options: &RestoreOptions, block: BlockNumHash) -> Result<bool> {
    let store = Store::open(&options.path, StoreOptions { read_only: true, ..options.store.clone() })?;
    Ok(store.view().base()? == Some(block))
}

fn say_what(keeper: &Keeper, checkpoint: &Checkpoint, which: &WhichArgs) {
    let manifest = &checkpoint.manifest;
    eprintln!(
        "checkpoint {} ({}) of block {} {}",
        keeper.show(checkpoint.id),
        manifest.kind,
        manifest.block.number,
        manifest.block.hash
    );
    if which.trust_block.is_none() {
        eprintln!(
            "without --trust-block its writer is believed in which block is final, and in nothing else"
        );
    }
}

/// What is on Arweave already, into the index. The database is whole without: a failure is told and no more.
fn index(arweave: &keeper::Arweave, store: &Store, owner: Address, chain_id: u64) {
    let rebuild = permanence::rebuild(store, &*arweave.weave, owner, chain_id);
    match arweave.runtime.block_on(rebuild) {
        Ok(rebuilt) => println!(
            "index        {} checkpoints and {} permanent blobs of {owner}",
            rebuilt.checkpoints, rebuilt.blobs
        ),
        Err(error) => eprintln!("the index of what is on Arweave could not be read back: {error}"),
    }
}

/// The command that starts the node over a folder.
fn start_command(settings: &NodeArgs, datadir: &Path) -> String {
    let chain = match settings.chain.as_deref() {
        None | Some("dev") => "--dev".to_owned(),
        Some(file) => format!("--chain {file} --http"),
    };
    format!("weft node {chain} --datadir {}", datadir.display())
}
