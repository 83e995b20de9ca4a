//! `weft identity`: the peer id of a data folder.

use crate::settings::resolve::{Sources, chain, identity};
use eyre::Result;

/// Prints the id on a line of its own. A key is made when there is none, so that sealers can be named before they run.
pub fn run(sources: &Sources) -> Result<()> {
    let settings = sources.effective()?;
    let path = identity(&settings, &chain(&settings)?)?;
    println!("{}", weft_p2p::peer_id(&path)?);
    Ok(())
}
