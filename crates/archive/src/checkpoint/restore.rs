//! A database from a checkpoint and nothing else.
//!
//! Order: all manifests; then, several at a time, the headers, each of which is compared with the one before it; the
//! items of the full state and those of each diff above it; code is looked for that accounts name, the tries are built from
//! the records, and the state root is compared with the header. Only then does the folder become a database, in one batch. A restore that was killed is begun again and skips the items that are in already.
//!
//! Lies that are possible here: items that are altered, cut short, exchanged or missing (found by length and hash),
//! items with the right hash that hold something else (the records' own rules), records that are not the state (the
//! state root), headers that are not the chain (their hashes down to genesis), another block than the operator knows
//! (`trust_block`). Each is an error of its own, and the folder stays refused.
//!
//! Memory: per worker one item, compressed and raw (33 MiB at most), and a batch of trie nodes.

use super::{
    CheckpointError, Entry, Expected, ItemId, ItemSource, Kind, Phase, Progress, Section,
    lineage::{Lineage, fetch},
    progress::{RECORDS_STEP, fraction_of},
    record::{Record, Records},
};
use alloy_primitives::{B256, map::HashMap};
use alloy_trie::BranchNodeCompact;
use nybbles::Nibbles;
use parking_lot::Mutex;
use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};
use weft_primitives::BlockNumHash;
use weft_storage::{BulkLoad, StageId, StorageError, Store, StoreOptions, View};

/// Trie nodes that are collected before they are written; at 250 bytes each 32 MiB.
const NODES_BATCH: usize = 1 << 17;
/// Headers compared at a time.
const HEADERS_STEP: u64 = 1024;

/// Where to, and how.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// Folder of the database; empty, or of the same restore.
    pub path: PathBuf,
    /// How it is opened.
    pub store: StoreOptions,
    /// What the checkpoint has to be.
    pub expected: Expected,
    /// Items fetched and loaded at a time; at least one.
    pub parallel: usize,
    /// Stages that have nothing to do up to the restored block.
    pub stages: Vec<StageId>,
}

/// Restores the checkpoint whose manifest is `id`. Blocks. The head of the database that comes out is the checkpoint's
/// block.
pub fn restore(
    source: &dyn ItemSource,
    id: ItemId,
    options: &RestoreOptions,
    progress: &(dyn Fn(&Progress) + Sync),
) -> Result<Store, CheckpointError> {
    let lineage = Lineage::read(source, id, &options.expected)?;
    let load = BulkLoad::open(&options.path, options.store.clone(), lineage.target.sha256)?;
    let done = load.done()?;
    let state = Mutex::new(Progress { phase: Phase::Items, ..Progress::new() });
    let loader = Loader { source, load: &load, done, bytes: lineage.bytes().max(1), state, progress };
    let block = lineage.target.manifest.block;
    // Headers first: what they do not lead to is not worth fetching.
    loader.layer(0, Kind::Full, &lineage.headers, options.parallel)?;
    let state_root = check_headers(&load.view(), block, options.expected.chain.genesis)?;
    if lineage.target.manifest.state_root != state_root {
        let computed = lineage.target.manifest.state_root;
        return Err(CheckpointError::StateRoot { number: block.number, computed, expected: state_root });
    }
    for (layer, (kind, entries)) in (1..).zip(&lineage.layers) {
        loader.layer(layer, *kind, entries, options.parallel)?;
    }
    check_code(&load.view())?;
    loader.tries(block, state_root)?;
    drop(loader);
    Ok(load.finish(block, &options.stages)?)
}

struct Loader<'a> {
    source: &'a dyn ItemSource,
    load: &'a BulkLoad,
    /// What an earlier attempt loaded.
    done: BTreeSet<(u32, u32)>,
    /// Of all items.
    bytes: u64,
    state: Mutex<Progress>,
    progress: &'a (dyn Fn(&Progress) + Sync),
}

impl Loader<'_> {
    /// Loads all items of a layer. Nothing of the next layer may be loaded before: it overwrites this one.
    fn layer(
        &self,
        layer: u32,
        kind: Kind,
        entries: &[Entry],
        parallel: usize,
    ) -> Result<(), CheckpointError> {
        let (next, failure) = (AtomicUsize::new(0), Mutex::new(None));
        let work = || {
            while failure.lock().is_none() {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(entry) = entries.get(at) else { return };
                if let Err(error) = self.item(layer, at, kind, entry) {
                    failure.lock().get_or_insert(error);
                }
            }
        };
        std::thread::scope(|scope| {
            let workers = parallel.clamp(1, entries.len().max(1));
            let threads: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
            work();
            for thread in threads {
                if thread.join().is_err() {
                    failure.lock().get_or_insert(CheckpointError::Worker);
                }
            }
        });
        match failure.into_inner() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn item(&self, layer: u32, at: usize, kind: Kind, entry: &Entry) -> Result<(), CheckpointError> {
        let step = u32::try_from(at).map_err(|_| CheckpointError::TooManyItems(at))?;
        if !self.done.contains(&(layer, step)) {
            let item = fetch(self.source, entry)?;
            let malformed = |reason| CheckpointError::Item { id: entry.id, reason };
            let records = Records::open(entry, kind, &item).map_err(malformed)?;
            drop(item);
            let records = records.map(|record| record.map_err(malformed));
            match entry.section {
                Section::Headers => self.headers(records)?,
                _ => self.records(records)?,
            }
            self.tell(|_| {});
            self.load.note_done(layer, step)?;
        }
        self.tell(|state| {
            state.items += 1;
            state.bytes += entry.bytes;
            state.records += entry.records;
            state.fraction = state.bytes as f64 / self.bytes as f64;
        });
        Ok(())
    }

    fn records(
        &self,
        records: impl Iterator<Item = Result<Record, CheckpointError>>,
    ) -> Result<(), CheckpointError> {
        let mut writer = self.load.writer();
        for record in records {
            match record? {
                Record::Account(address, account) => writer.account(address, account.as_ref())?,
                Record::Slot(address, slot, value) => writer.slot(address, slot, value)?,
                Record::Code(hash, code) => writer.code(hash, &code)?,
                Record::Header(..) => {}
            }
        }
        Ok(writer.finish()?)
    }

    fn headers(
        &self,
        records: impl Iterator<Item = Result<Record, CheckpointError>>,
    ) -> Result<(), CheckpointError> {
        let (mut headers, mut summaries) = (self.load.writer(), self.load.writer());
        let mut numbers = Vec::new();
        for record in records {
            if let Record::Header(header, summary) = record? {
                headers.header(&header)?;
                numbers.push((header.hash(), header.number));
                if let Some(summary) = summary {
                    summaries.summary(header.number, &summary)?;
                }
            }
        }
        numbers.sort_unstable();
        let mut by_hash = self.load.writer();
        for (hash, number) in numbers {
            by_hash.header_number(hash, number)?;
        }
        summaries.finish()?;
        by_hash.finish()?;
        Ok(headers.finish()?)
    }

    /// Builds the tries and compares their root with the header.
    fn tries(&self, block: BlockNumHash, expected: B256) -> Result<(), CheckpointError> {
        self.tell(|state| (state.phase, state.fraction) = (Phase::Tries, 0.0));
        let view = self.load.view();
        let mut nodes = NodeBatch { load: self.load, nodes: HashMap::default() };
        let mut count = 0_u64;
        let computed = weft_trie::rebuild_nodes(&view, |(owner, path, node)| {
            count += 1;
            if count.is_multiple_of(RECORDS_STEP) {
                let key = owner.unwrap_or_else(|| B256::right_padding_from(&path.pack()));
                self.tell(|state| state.fraction = fraction_of(key.as_slice()));
            }
            nodes.push(owner, path, node)
        })?;
        nodes.write()?;
        if computed != expected {
            return Err(CheckpointError::StateRoot { number: block.number, computed, expected });
        }
        self.tell(|state| state.fraction = 1.0);
        Ok(())
    }

    fn tell(&self, change: impl FnOnce(&mut Progress)) {
        let mut state = self.state.lock();
        change(&mut state);
        (self.progress)(&state);
    }
}

/// Nodes come children first; they are written sorted.
struct NodeBatch<'a> {
    load: &'a BulkLoad,
    nodes: HashMap<(Option<B256>, Nibbles), BranchNodeCompact>,
}

impl NodeBatch<'_> {
    fn push(
        &mut self,
        owner: Option<B256>,
        path: Nibbles,
        node: BranchNodeCompact,
    ) -> Result<(), StorageError> {
        self.nodes.insert((owner, path), node);
        if self.nodes.len() < NODES_BATCH { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> Result<(), StorageError> {
        let mut nodes: Vec<_> = self.nodes.drain().collect();
        nodes.sort_unstable_by_key(|(key, _)| *key);
        let storage = nodes.partition_point(|((owner, _), _)| owner.is_none());
        for some in [&nodes[..storage], &nodes[storage..]] {
            let mut writer = self.load.writer();
            for ((owner, path), node) in some {
                writer.node(*owner, path, node)?;
            }
            writer.finish()?;
        }
        Ok(())
    }
}

/// Every header is the child of the one before it, from genesis to the checkpoint's block. Their hashes were computed
/// when they were loaded. Returns the state root of the last one.
fn check_headers(view: &View<'_>, block: BlockNumHash, genesis: B256) -> Result<B256, CheckpointError> {
    let (mut parent, mut state_root) = (None, B256::ZERO);
    let mut next = 0;
    while next <= block.number {
        let end = block.number.min(next.saturating_add(HEADERS_STEP - 1));
        for header in view.headers(next..=end)? {
            super::check_header(header.num_hash(), header.parent_hash, next, parent, genesis)?;
            (parent, state_root) = (Some(header.hash()), header.state_root);
            next += 1;
        }
        if next <= end {
            return Err(CheckpointError::Header { number: next, reason: "is missing" });
        }
    }
    if parent == Some(block.hash) {
        return Ok(state_root);
    }
    Err(CheckpointError::Header { number: block.number, reason: "is not the checkpoint's block" })
}

/// All code that accounts name is there. One look-up per contract.
fn check_code(view: &View<'_>) -> Result<(), CheckpointError> {
    for account in view.all_accounts() {
        let (_, account) = account?;
        if account.has_code() && !view.has_code(account.code_hash)? {
            return Err(CheckpointError::MissingCode { code: account.code_hash });
        }
    }
    Ok(())
}
