//! `weft config`: what `weft node` with the same options would run with.

use crate::settings::{file, resolve::Sources};
use eyre::Result;

/// Prints the effective settings as TOML.
pub fn run(sources: &Sources) -> Result<()> {
    print!("{}", file::render(&sources.effective()?)?);
    Ok(())
}
