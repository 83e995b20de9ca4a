//! `weft db verify`: nothing in the database is believed; everything is derived again and compared.
//!
//! Storage checks the chain block by block (links, roots, receipts, senders, histories, cell hashes); the archive codes
//! every blob that is still in a body again and compares body and columns with the header's commitment; the trie crate
//! derives the state root, and every stored node, from the leaves. Memory: one block, and one window of the trie.

use super::VerifyArgs;
use crate::command::progress;
use eyre::{Result, bail};
use std::fmt::Display;
use weft_storage::{DatabaseRole, Store};

/// Findings that are printed; further ones are counted.
const FINDINGS_MAX: usize = 100;

/// Checks all and fails when anything is wrong.
pub fn run(store: &Store, args: &VerifyArgs) -> Result<()> {
    let view = store.view();
    if view.is_empty()? {
        bail!("the database holds no chain yet");
    }
    let head = view.head()?.number;
    let mut findings = Findings::default();
    let (mut headers_only, mut transactions, mut blobs, mut bodies, mut columns, mut held) =
        (0, 0, 0, 0, 0, 0);
    let bar = progress::blocks(head + 1, args.quiet);
    for number in 0..=head {
        let chain = store.verify_chain(number..=number)?;
        findings.note_all(&chain.problems, chain.problem_count);
        headers_only += chain.headers_only;
        transactions += chain.transactions;
        held += chain.columns;
        if let Some(block) = weft_archive::verify_block(store, number)? {
            findings.note_all(&block.problems, block.problems.len() as u64);
            blobs += block.blobs;
            bodies += block.bodies;
            columns += block.columns;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if view.role()? == DatabaseRole::Da {
        println!("headers      {}", head + 1);
        println!("columns      {held} whole, of blocks from {} on", view.columns_first()?);
        return findings.print();
    }
    let trie = weft_trie::verify_trie(&view)?;
    findings.note_all(&trie.differences, trie.differences.len() as u64 + trie.further_differences);

    println!("blocks       {}, with {transactions} transactions", head + 1);
    if let Some(base) = view.base()? {
        println!(
            "headers only {headers_only}: restored at block {}, bodies begin with block {}",
            base.number,
            base.number + 1
        );
    }
    println!("blobs        {blobs}, {bodies} of them in bodies; {columns} columns");
    println!(
        "state        {} accounts, {} slots, {} trie nodes, root {}",
        trie.accounts, trie.slots, trie.nodes, trie.root
    );
    findings.print()
}

/// What is wrong.
#[derive(Default)]
struct Findings {
    texts: Vec<String>,
    count: u64,
}

impl Findings {
    /// Keeps the first ones; `count` is of all, those that were not kept by the checker included.
    fn note_all<T: Display>(&mut self, found: &[T], count: u64) {
        self.count += count;
        let room = FINDINGS_MAX.saturating_sub(self.texts.len());
        self.texts.extend(found.iter().take(room).map(ToString::to_string));
    }

    fn print(&self) -> Result<()> {
        self.texts.iter().for_each(|text| println!("wrong        {text}"));
        if self.count > 0 {
            bail!("{} findings: the database is damaged", self.count);
        }
        println!("clean");
        Ok(())
    }
}
