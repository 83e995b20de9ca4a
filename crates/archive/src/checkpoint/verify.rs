//! A checkpoint held against its own block's header, without a database.
//!
//! Every item is fetched once, in the order of its keys, and compared with its hash; the layers of a chain of diffs are
//! merged as they stream past, the newest record of a key winning; the tries are built from what comes out. Memory: one
//! item per layer and section, raw, and a trie's path.

use super::{
    Chain, CheckpointError, Entry, Expected, ItemId, ItemSource, Kind, Phase, Progress, Section,
    lineage::{Lineage, fetch},
    progress::{RECORDS_STEP, fraction_of},
    record::{Record, Records},
};
use alloy_primitives::{B256, U256};
use std::{
    cell::{Cell, RefCell},
    cmp::Reverse,
    collections::BinaryHeap,
};
use weft_primitives::{BlockNumHash, SealedHeader, StoredAccount};
use weft_storage::{KeySorter, SortOptions};

/// What a verification found; there is nothing wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Of which chain.
    pub chain: Chain,
    /// Of which block.
    pub block: BlockNumHash,
    /// That its header has, and that the records give.
    pub state_root: B256,
    /// Layers of the state: the full one, and diffs.
    pub layers: usize,
    /// Accounts of the state.
    pub accounts: u64,
    /// Slots of the state.
    pub slots: u64,
    /// Contract codes of all layers.
    pub codes: u64,
    /// Headers from genesis on.
    pub headers: u64,
    /// Bytes of the items that were read.
    pub bytes: u64,
}

/// Verifies the checkpoint whose manifest is `id`. Blocks; reads everything.
pub fn verify(
    source: &dyn ItemSource,
    id: ItemId,
    expected: &Expected,
    sort: &SortOptions,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Verified, CheckpointError> {
    let lineage = Lineage::read(source, id, expected)?;
    let manifest = &lineage.target.manifest;
    let reader = Reader { source, state: Cell::new(Progress::new()), progress: RefCell::new(progress) };
    let header = reader.headers(&lineage, expected.chain.genesis)?;
    let (accounts, slots, codes) = (Cell::new(0), Cell::new(0), RefCell::new(KeySorter::new(sort.clone())));
    let computed = reader.state_root(&lineage, &accounts, &slots, &codes)?;
    if computed != header.state_root || manifest.state_root != header.state_root {
        let expected = header.state_root;
        let computed = if computed == expected { manifest.state_root } else { computed };
        return Err(CheckpointError::StateRoot { number: header.number, computed, expected });
    }
    Ok(Verified {
        chain: manifest.chain,
        block: manifest.block,
        state_root: computed,
        layers: lineage.layers.len(),
        accounts: accounts.get(),
        slots: slots.get(),
        codes: reader.codes(&lineage, codes.into_inner())?,
        headers: header.number + 1,
        bytes: lineage.bytes(),
    })
}

/// Reads items in order and says how far it is.
struct Reader<'a> {
    source: &'a dyn ItemSource,
    state: Cell<Progress>,
    progress: RefCell<&'a mut dyn FnMut(&Progress)>,
}

type RecordStream<'a> = Box<dyn Iterator<Item = Result<Record, CheckpointError>> + 'a>;

impl Reader<'_> {
    /// All headers, each the child of the one before; returns the last one, which is the checkpoint's.
    fn headers(&self, lineage: &Lineage, genesis: B256) -> Result<SealedHeader, CheckpointError> {
        self.enter(Phase::Headers);
        let block = lineage.target.manifest.block;
        let mut last: Option<SealedHeader> = None;
        for record in self.stream(Kind::Full, &lineage.headers) {
            let Record::Header(header, _) = record? else { continue };
            let next = last.as_ref().map_or(0, |last| last.number + 1);
            let parent = last.as_ref().map(SealedHeader::hash);
            super::check_header(header.num_hash(), header.parent_hash, next, parent, genesis)?;
            self.count(|state| state.fraction = (next + 1) as f64 / (block.number + 1) as f64);
            last = Some(*header);
        }
        last.filter(|last| last.num_hash() == block)
            .ok_or(CheckpointError::Header { number: block.number, reason: "is not the checkpoint's block" })
    }

    fn state_root(
        &self,
        lineage: &Lineage,
        accounts: &Cell<u64>,
        slots: &Cell<u64>,
        codes: &RefCell<KeySorter<32>>,
    ) -> Result<B256, CheckpointError> {
        self.enter(Phase::Tries);
        // The tries take what cannot fail: an error ends the records and is found afterwards.
        let failure = Failure::default();
        let account = |record: Record| -> Result<Option<(B256, StoredAccount)>, CheckpointError> {
            let Record::Account(address, Some(account)) = record else { return Ok(None) };
            if account.has_code() {
                codes.borrow_mut().push(account.code_hash.0)?;
            }
            accounts.set(accounts.get() + 1);
            self.count(|state| state.fraction = fraction_of(address.as_slice()));
            Ok(Some((address, account)))
        };
        let slot = |record: Record| -> Result<Option<(B256, B256, U256)>, CheckpointError> {
            let Record::Slot(address, slot, value) = record else { return Ok(None) };
            if value.is_zero() {
                return Ok(None);
            }
            slots.set(slots.get() + 1);
            self.count(|state| state.fraction = fraction_of(address.as_slice()));
            Ok(Some((address, slot, value)))
        };
        let root = weft_trie::state_root_of_leaves(
            failure.until(self.merged(lineage, Section::Accounts), account),
            failure.until(self.merged(lineage, Section::Storage), slot),
        );
        match failure.0.into_inner() {
            Some(error) => Err(error),
            None => Ok(root?),
        }
    }

    /// Every code that accounts name is there; returns how many codes there are.
    fn codes(&self, lineage: &Lineage, named: KeySorter<32>) -> Result<u64, CheckpointError> {
        self.enter(Phase::Code);
        let mut there = self.merged(lineage, Section::Code);
        let mut count = 0;
        let mut next = |there: &mut RecordStream<'_>| -> Result<Option<B256>, CheckpointError> {
            let Some(record) = there.next().transpose()? else { return Ok(None) };
            let Record::Code(hash, _) = record else { return Ok(None) };
            self.count(|state| state.fraction = fraction_of(hash.as_slice()));
            count += 1;
            Ok(Some(hash))
        };
        let mut here = next(&mut there)?;
        for code in named.finish()? {
            let code = B256::new(code?);
            while here.is_some_and(|hash| hash < code) {
                here = next(&mut there)?;
            }
            if here != Some(code) {
                return Err(CheckpointError::MissingCode { code });
            }
        }
        while here.is_some() {
            here = next(&mut there)?;
        }
        Ok(count)
    }

    /// The records of all layers, by key, of each key the newest.
    fn merged<'s>(&'s self, lineage: &'s Lineage, section: Section) -> RecordStream<'s> {
        let streams = lineage.layers.iter().map(|(kind, entries)| {
            let start = entries.partition_point(|entry| entry.section < section);
            let end = entries.partition_point(|entry| entry.section <= section);
            self.stream(*kind, &entries[start..end])
        });
        Box::new(Merge::new(streams.collect()))
    }

    fn stream<'s>(&'s self, kind: Kind, entries: &'s [Entry]) -> RecordStream<'s> {
        Box::new(entries.iter().flat_map(move |entry| -> RecordStream<'s> {
            let malformed = |reason| CheckpointError::Item { id: entry.id, reason };
            let opened = fetch(self.source, entry)
                .and_then(|item| Records::open(entry, kind, &item).map_err(malformed));
            match opened {
                Ok(records) => {
                    self.count_item(entry);
                    Box::new(records.map(move |record| record.map_err(malformed)))
                }
                Err(error) => Box::new(std::iter::once(Err(error))),
            }
        }))
    }

    fn enter(&self, phase: Phase) {
        self.state.set(Progress { phase, fraction: 0.0, ..self.state.get() });
        self.tell();
    }

    fn count(&self, change: impl FnOnce(&mut Progress)) {
        let mut state = self.state.get();
        change(&mut state);
        state.records += 1;
        self.state.set(state);
        if state.records.is_multiple_of(RECORDS_STEP) {
            self.tell();
        }
    }

    fn count_item(&self, entry: &Entry) {
        let state = self.state.get();
        self.state.set(Progress { items: state.items + 1, bytes: state.bytes + entry.bytes, ..state });
        self.tell();
    }

    fn tell(&self) {
        (self.progress.borrow_mut())(&self.state.get());
    }
}

/// The first error of streams that must not fail.
#[derive(Default)]
struct Failure(RefCell<Option<CheckpointError>>);

impl Failure {
    fn until<'s, T>(
        &'s self,
        records: RecordStream<'s>,
        take: impl Fn(Record) -> Result<Option<T>, CheckpointError> + 's,
    ) -> impl Iterator<Item = T> + 's {
        let fallible = records.filter_map(move |record| record.and_then(&take).transpose());
        fallible.map_while(|result| match result {
            Ok(value) if self.0.borrow().is_none() => Some(value),
            Ok(_) => None,
            Err(error) => {
                self.0.borrow_mut().get_or_insert(error);
                None
            }
        })
    }
}

/// Streams merged by key; of equal keys the last stream's record.
struct Merge<'a> {
    streams: Vec<RecordStream<'a>>,
    /// One record per stream that has one. Of equal keys the newest is on top.
    next: BinaryHeap<Head>,
    /// Streams whose next record is not in the heap yet.
    due: Vec<usize>,
    last: Option<Vec<u8>>,
    done: bool,
}

struct Head {
    key: Reverse<Vec<u8>>,
    stream: usize,
    record: Record,
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key).then(self.stream.cmp(&other.stream))
    }
}

impl<'a> Merge<'a> {
    fn new(streams: Vec<RecordStream<'a>>) -> Self {
        let due = (0..streams.len()).collect();
        Self { streams, next: BinaryHeap::new(), due, last: None, done: false }
    }

    fn step(&mut self) -> Result<Option<Record>, CheckpointError> {
        loop {
            for stream in self.due.drain(..) {
                if let Some(record) = self.streams[stream].next().transpose()? {
                    self.next.push(Head { key: Reverse(record.key()), stream, record });
                }
            }
            let Some(Head { key: Reverse(key), stream, record }) = self.next.pop() else { return Ok(None) };
            self.due.push(stream);
            if self.last.as_ref() != Some(&key) {
                self.last = Some(key);
                return Ok(Some(record));
            }
        }
    }
}

impl Iterator for Merge<'_> {
    type Item = Result<Record, CheckpointError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let record = self.step().transpose();
        self.done = !matches!(record, Some(Ok(_)));
        record
    }
}
