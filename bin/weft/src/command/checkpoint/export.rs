//! `weft checkpoint export`: from a stopped node's database to a folder.

use super::ExportArgs;
use crate::{
    command::{db, keeper},
    settings::resolve,
};
use eyre::{Result, WrapErr, eyre};
use weft_archive::checkpoint::{Chain, CheckpointOptions, Cut, ItemFolder, Kind, Parent, write_checkpoint};
use weft_node::DB_FOLDER;
use weft_primitives::BlockNumber;
use weft_storage::{SortOptions, Store};

/// Writes the checkpoint and prints its manifest's name.
pub fn run(args: &ExportArgs) -> Result<()> {
    let settings = args.sources.effective()?;
    let chain = resolve::chain(&settings)?;
    let store = db::open(&resolve::datadir(&settings, &chain)?.join(DB_FOLDER))?;
    let finalized = store.view().finalized()?.map(|block| block.number);
    let number = args.block.or(finalized).ok_or_else(|| eyre!("the database has no finalized block yet"))?;
    let mut folder = ItemFolder::create(&args.folder)?;
    let chain = keeper::chain_of(&chain);
    let parent = if args.diff { Some(parent(&folder, &store, &chain, number)?) } else { None };
    let sort = tempfile::tempdir_in(&args.folder).wrap_err("a folder for sorting")?;
    let options = CheckpointOptions {
        chain_id: chain.id,
        kind: if args.diff { Kind::Diff } else { Kind::Full },
        parent,
        cut: Cut::default(),
        sort: SortOptions::in_folder(sort.path()),
    };
    let bar = keeper::bar(args.quiet);
    let made = write_checkpoint(&store, number, &options, &mut folder, &mut |progress| {
        keeper::show(&bar, progress);
    });
    bar.finish_and_clear();
    let made = made?;
    let (items, bytes) = made
        .manifest
        .entries
        .iter()
        .fold((0_u64, 0_u64), |(items, bytes), entry| (items + 1, bytes + entry.bytes));
    eprintln!(
        "{} checkpoint of block {} {}: {items} items, {bytes} bytes, state root {}",
        made.manifest.kind, made.manifest.block.number, made.manifest.block.hash, made.manifest.state_root
    );
    println!("{}", made.id);
    Ok(())
}

/// The newest checkpoint of the folder that is below a block and on its chain.
fn parent(folder: &ItemFolder, store: &Store, chain: &Chain, number: BlockNumber) -> Result<Parent> {
    let view = store.view();
    for checkpoint in folder.checkpoints()?.into_iter().rev() {
        let block = checkpoint.manifest.block;
        if checkpoint.manifest.chain == *chain
            && block.number < number
            && view.canonical_hash(block.number)? == Some(block.hash)
        {
            return Ok(checkpoint.as_parent());
        }
    }
    Err(eyre!(
        "{} has no checkpoint of this chain below block {number}: export a full one first, without --diff",
        folder.path().display()
    ))
}
