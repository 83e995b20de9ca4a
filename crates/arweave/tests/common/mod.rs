//! What several test files use: data that both sides can make, clients, and scripts of Node.js with their libraries.

// No test file uses all of it.
#![allow(dead_code)]

#[path = "../../../../tests/common/npm.rs"]
mod npm;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use weft_arweave::{Client, ClientConfig, client::Url, install_tls_provider};

/// Byte i is (31 i + i/251) mod 256, as in `js/common.mjs`.
pub fn data(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
}

/// The scripts of `tests/js` with their libraries, or nothing where Node.js is not installed.
pub fn javascript(folder: &Path) -> Option<PathBuf> {
    let (source, target) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/js"), folder.join("js"));
    npm::install(&source, &target).then_some(target)
}

/// Runs a script to its end and gives what it printed.
pub fn run(scripts: &Path, name: &str, arguments: &[&str]) -> String {
    let output =
        Command::new("node").arg(name).args(arguments).current_dir(scripts).output().expect("node runs");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}:\n{said}");
    said.trim().to_owned()
}

/// Addresses from text.
pub fn urls(addresses: &[&str]) -> Vec<Url> {
    addresses.iter().map(|address| address.parse().expect("an address")).collect()
}

/// A configuration with short pauses for these gateways.
pub fn config(gateways: &[&str]) -> ClientConfig {
    install_tls_provider();
    ClientConfig {
        backoff_first: Duration::from_millis(1),
        backoff_max: Duration::from_millis(10),
        ..ClientConfig::new(urls(gateways))
    }
}

/// A client with that configuration.
pub fn client(gateways: &[&str]) -> Client {
    Client::new(config(gateways)).expect("a client")
}
