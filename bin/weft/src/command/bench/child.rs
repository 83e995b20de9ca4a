//! The node under test: `weft node --dev` as a child process, on ports that the system chooses.

use crate::command::child::Child;
use eyre::Result;
use std::{fs, path::Path};

/// Starts a node over `folder` and waits until its banner names its addresses.
pub fn start(folder: &Path, arguments: &[String]) -> Result<Child> {
    fs::create_dir_all(folder)?;
    let own = ["node", "--dev", "--http.port=0", "--metrics=127.0.0.1:0", "--arweave.embedded=off"];
    let mut all: Vec<String> = own.map(str::to_owned).to_vec();
    all.push(format!("--datadir={}", folder.join("data").display()));
    all.extend_from_slice(arguments);
    Child::start(&all, &folder.join("node.log"), || false)
}
