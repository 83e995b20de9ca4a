//! `weft checkpoint verify`: a checkpoint held against its own block's header, without a database.

use crate::{
    command::{
        keeper::{self, Keeper},
        restore::RestoreArgs,
    },
    settings::resolve,
};
use eyre::{Result, WrapErr};
use weft_storage::SortOptions;

/// Verifies, and prints what there is.
pub fn run(args: &RestoreArgs) -> Result<()> {
    let chain = resolve::chain(&args.sources.effective()?)?;
    let expected = args.which.expected(&chain);
    let keeper = Keeper::open(&args.from, &args.which)?;
    let id = keeper.manifest(&args.which, &expected.chain)?;
    let sort = tempfile::tempdir().wrap_err("a folder for sorting")?;
    let bar = keeper::bar(args.which.quiet);
    let sort = SortOptions::in_folder(sort.path());
    let verified = weft_archive::checkpoint::verify(keeper.source(), id, &expected, &sort, &mut |progress| {
        keeper::show(&bar, progress);
    });
    bar.finish_and_clear();
    let verified = verified.wrap_err_with(|| format!("checkpoint {}", keeper.show(id)))?;
    println!("checkpoint   {}", keeper.show(id));
    println!("block        {} {}", verified.block.number, verified.block.hash);
    println!("state root   {}, derived from the records and equal to the header's", verified.state_root);
    println!(
        "state        {} accounts, {} slots, {} codes, in {} layers",
        verified.accounts, verified.slots, verified.codes, verified.layers
    );
    println!("headers      {}, each the child of the one before, from genesis", verified.headers);
    println!("bytes        {}", verified.bytes);
    Ok(())
}
