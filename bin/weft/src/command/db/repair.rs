//! `weft db repair`: computes again what is missing or damaged of columns, from what is on this disk alone.
//!
//! The archive finds, computes and compares with the headers; this walks the blocks, shows how far it is, and says what
//! was mended and what only peers can give. A `da` node asks them for that by itself when it runs again.

use super::RepairArgs;
use crate::command::progress;
use eyre::{Result, bail};
use weft_archive::{BlockRepair, Lost};
use weft_primitives::ColumnIndex;
use weft_storage::{DatabaseRole, Store};

/// Blocks with losses that are printed; further ones are counted.
const LOST_PRINTED_MAX: usize = 100;

/// Repairs a range of blocks and sums up. Fails when something cannot be mended here.
pub fn run(store: &Store, args: &RepairArgs) -> Result<()> {
    let view = store.view();
    if view.is_empty()? {
        bail!("the database holds no chain yet");
    }
    let head = view.head()?.number;
    let first = args.from.unwrap_or(0).max(view.columns_first()?).max(view.first_number()?);
    let last = args.to.unwrap_or(head).min(head);
    if first > last {
        bail!("there is no block from {first} to {last}: the head is {head}");
    }
    let role = view.role()?;
    drop(view);
    let mut summary = Summary::default();
    let bar = progress::blocks(last - first + 1, args.quiet);
    for number in first..=last {
        if let Some(block) = weft_archive::repair_block(store, None, number, args.dry_run)? {
            summary.add(block, |line| bar.suspend(|| println!("{line}")), args.dry_run);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    summary.print(role, args.dry_run, last - first + 1)
}

#[derive(Default)]
struct Summary {
    looked_at: u64,
    columns_mended: u64,
    columns_lost: u64,
    lost: Vec<Lost>,
    places_lost: u64,
}

impl Summary {
    fn add(&mut self, block: BlockRepair, print: impl Fn(String), dry_run: bool) {
        self.looked_at += block.looked_at;
        for mended in &block.mended {
            self.columns_mended += mended.columns.len() as u64;
            let blob = mended.blob.map(|blob| format!(", blob {blob}")).unwrap_or_default();
            let verb = if dry_run { "can be rebuilt" } else { "rebuilt" };
            print(format!("block {}{blob}: columns {} {verb}", mended.block, list(&mended.columns)));
        }
        for lost in block.lost {
            self.columns_lost += lost.columns.len() as u64;
            self.places_lost += 1;
            if self.lost.len() < LOST_PRINTED_MAX {
                self.lost.push(lost);
            }
        }
    }

    fn print(&self, role: DatabaseRole, dry_run: bool, blocks: u64) -> Result<()> {
        let things = match role {
            DatabaseRole::Full => "blobs",
            DatabaseRole::Da => "columns",
        };
        println!("looked at    {blocks} blocks, {} {things}", self.looked_at);
        let verb = if dry_run { "can mend" } else { "mended" };
        println!("{verb:<12} {} columns", self.columns_mended);
        for lost in &self.lost {
            let blob = lost.blob.map(|blob| format!(", blob {blob}")).unwrap_or_default();
            println!("lost here    block {}{blob}: columns {}", lost.block, list(&lost.columns));
        }
        if self.places_lost == 0 {
            println!("{}", if dry_run { "nothing was written" } else { "nothing is lost" });
            return Ok(());
        }
        let how = match role {
            DatabaseRole::Full => "too few of their columns are left here to compute them",
            DatabaseRole::Da => "the node asks its peers for them when it runs again",
        };
        bail!("{} columns in {} places can come from peers only: {how}", self.columns_lost, self.places_lost);
    }
}

fn list(columns: &[ColumnIndex]) -> String {
    columns.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
