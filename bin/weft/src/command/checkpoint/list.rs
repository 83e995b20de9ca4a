//! `weft checkpoint list`: of a running node, a database, a folder, or an address on Arweave.

use super::ListArgs;
use crate::{
    client::Client,
    command::{
        db,
        keeper::{self, Place},
    },
    settings::resolve::{self, Chain},
};
use alloy_primitives::{B256, U64};
use eyre::{Result, bail, eyre};
use serde::Deserialize;
use serde_json::json;
use std::{fmt, path::Path};
use weft_archive::{
    CheckpointIndex,
    checkpoint::ItemFolder,
    permanence::{CheckpointEntry, manifests},
};
use weft_arweave::Address;
use weft_node::DB_FOLDER;

/// Most checkpoints that a node gives in one answer.
const ANSWER_MAX: u16 = 100;

/// A checkpoint as a node tells of it (`da_checkpoints`).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Remote {
    block_number: U64,
    block_hash: B256,
    kind: String,
    bytes: U64,
    /// Its manifest.
    pub manifest: RemoteItem,
    items: Vec<RemoteItem>,
    archived: bool,
    confirmations: U64,
}

/// An item as a node tells of it.
#[derive(Clone, Debug, Deserialize)]
pub struct RemoteItem {
    /// Arweave id.
    pub id: String,
    state: String,
    error: Option<String>,
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>10} {} {:<4} {:>4} items {:>12} bytes  {}  ",
            self.block_number,
            self.block_hash,
            self.kind,
            self.items.len(),
            self.bytes,
            self.manifest.id
        )?;
        let failed = self.items.iter().chain([&self.manifest]).find_map(|item| item.error.as_ref());
        match failed {
            Some(reason) => write!(f, "failed: {reason}"),
            None if self.archived => write!(f, "archived, {} confirmations", self.confirmations),
            None => f.write_str(&self.manifest.state),
        }
    }
}

/// Prints them, the newest first.
pub fn run(args: &ListArgs) -> Result<()> {
    if let Some(url) = &args.rpc {
        return of_node(url, args.limit);
    }
    let settings = args.sources.effective()?;
    let chain = resolve::chain(&settings)?;
    match (&args.from, args.owner) {
        (Some(Place::Folder(folder)), None) => of_folder(folder, args.limit),
        (Some(Place::Folder(_)), Some(_)) => bail!("--owner is of Arweave; items in a folder have no signer"),
        (Some(Place::Gateways(urls)), Some(owner)) => {
            of_owner(keeper::weave(urls.clone())?.as_ref(), owner, &chain, args.limit)
        }
        (Some(Place::Gateways(_)), None) => Err(eyre!("from a gateway, say whose: --owner ADDRESS")),
        (None, _) => of_database(&resolve::datadir(&settings, &chain)?.join(DB_FOLDER), args.limit),
    }
}

fn of_node(url: &str, limit: u16) -> Result<()> {
    let limit = U64::from(limit.clamp(1, ANSWER_MAX));
    let found: Vec<Remote> = Client::new(url)?.call("da_checkpoints", (json!({ "limit": limit }),))?;
    found.iter().for_each(|checkpoint| println!("{checkpoint}"));
    count(found.len(), "the node knows")
}

fn of_folder(path: &Path, limit: u16) -> Result<()> {
    let found = ItemFolder::open(path)?.checkpoints()?;
    for checkpoint in found.iter().rev().take(limit.into()) {
        let manifest = &checkpoint.manifest;
        println!(
            "{:>10} {} {:<4} {:>4} items {:>12} bytes  {}",
            manifest.block.number,
            manifest.block.hash,
            manifest.kind.to_string(),
            manifest.entries.len(),
            manifest.entries.iter().map(|entry| entry.bytes).sum::<u64>(),
            checkpoint.id
        );
    }
    count(found.len(), "the folder holds")
}

fn of_owner(weave: &dyn weft_archive::Weave, owner: Address, chain: &Chain, limit: u16) -> Result<()> {
    let genesis = chain.spec.genesis_hash();
    let found = keeper::runtime()?.block_on(manifests(weave, owner, genesis))?;
    for manifest in found.iter().take(limit.into()) {
        println!("{:>10} {}  {}", manifest.block.number, manifest.block.hash, manifest.id);
    }
    count(found.len(), "the gateways say that there are")
}

fn of_database(folder: &Path, limit: u16) -> Result<()> {
    let found = CheckpointIndex::new(db::open_read_only(folder)?).list(None, limit.into())?;
    found.iter().for_each(print_entry);
    count(found.len(), "shown of the database's index:")
}

fn print_entry(entry: &CheckpointEntry) {
    println!(
        "{:>10} {} {:<4} {:>4} items {:>12} bytes  {}  {}",
        entry.block.number,
        entry.block.hash,
        if entry.depth == 0 { "full" } else { "diff" },
        entry.items.len(),
        entry.bytes,
        entry.manifest.id,
        if entry.archived { "archived" } else { "not archived yet" }
    );
}

fn count(found: usize, who: &str) -> Result<()> {
    eprintln!("{who} {found} checkpoints");
    Ok(())
}
