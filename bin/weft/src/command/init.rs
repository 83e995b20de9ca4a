//! `weft init`: the genesis block on disk, before any node runs.

use crate::{
    logging,
    settings::resolve::{Sources, node_config},
};
use eyre::{Context, Result};
use weft_storage::Store;

/// Writes genesis into the data folder, or finds it there; refuses another chain's folder.
pub fn run(sources: &Sources) -> Result<()> {
    let settings = sources.effective()?;
    logging::init(&settings)?;
    let config = node_config(&settings)?;
    let folder = config.db_folder();
    let store = Store::open(&folder, config.store).wrap_err("open the database")?;
    weft_engine::init_genesis(&config.spec, &store)?;
    println!("{}", config.spec.genesis_hash());
    eprintln!("chain {} (id {}) is in {}", config.chain_name, config.spec.chain_id(), folder.display());
    Ok(())
}
