//! Making a checkpoint of a finalized block while the head moves on.
//!
//! Everything is read through one view (a RocksDB snapshot, which costs the head nothing), past the block cache. The
//! block may lie below the head: what the blocks above it changed is taken from the histories. Items are made in an
//! order and with bytes that depend on the state alone, so an export that was interrupted is simply done again: what the
//! sink has already is not kept, or paid, twice.
//!
//! A `full` checkpoint holds the whole state, in chunks that keep their names where nothing changed. A `diff` holds the
//! records that differ from the parent's state and nothing else. It is by record and not by chunk because keys are
//! hashes: a block's changes fall everywhere, and a ten-thousandth of all records is enough to touch every chunk.
//!
//! Memory: one chunk raw and compressed (32 MiB at most), and 3 × 32 MiB for sorting keys, whatever the size of the
//! state. Disk: what the keys take that changed above the block, or since the parent.

use super::{
    Chain, CheckpointError, Chunk, ChunkWriter, Cut, ENTRIES_MAX, Entry, Item, ItemId, ItemKind, ItemSink,
    Kind, Manifest, Parent, Phase, Progress, Section,
    progress::{RECORDS_STEP, fraction_of},
    record,
};
use alloy_primitives::B256;
use alloy_rlp::Encodable;
use weft_primitives::{BlockNumHash, BlockNumber};
use weft_storage::{ChangedKeys, KeySorter, SortOptions, StorageError, Store, View, split_slot};

/// Headers read at a time.
const HEADERS_STEP: u64 = 512;

/// What kind of checkpoint is to be made.
#[derive(Clone, Debug)]
pub struct CheckpointOptions {
    /// EIP-155 chain id; storage does not know it.
    pub chain_id: u64,
    /// Whole state, or what changed since the parent.
    pub kind: Kind,
    /// The checkpoint before: headers begin after it, a diff is against it.
    pub parent: Option<Parent>,
    /// Where chunks end; the default, unless for a test.
    pub cut: Cut,
    /// Where changed keys are sorted, and how many of them before the block is refused as too old.
    pub sort: SortOptions,
}

/// A checkpoint that is made: its manifest, and where that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Where the manifest is kept.
    pub id: ItemId,
    /// Of the manifest.
    pub sha256: B256,
    /// The manifest.
    pub manifest: Manifest,
}

impl Checkpoint {
    /// The checkpoint as the next one's parent.
    pub fn as_parent(&self) -> Parent {
        Parent { id: self.id, sha256: self.sha256, block: self.manifest.block }
    }
}

/// Writes the checkpoint of block `number` to `sink`, its manifest last. Blocks; use a thread of its own. The sink
/// should take items to a disk and not over a network, since the view is held meanwhile.
pub fn write_checkpoint(
    store: &Store,
    number: BlockNumber,
    options: &CheckpointOptions,
    sink: &mut dyn ItemSink,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Checkpoint, CheckpointError> {
    let view = store.view();
    let header = view.header(number)?.ok_or(StorageError::MissingBlock(number))?;
    let finalized = view.finalized()?.map(|block| block.number);
    if number > finalized.unwrap_or(0) {
        return Err(CheckpointError::NotFinalized { block: number, finalized });
    }
    check_parent(&view, number, options)?;
    let mut writer = Writer {
        view: &view,
        chain: Chain::of(&view, options.chain_id)?,
        block: header.num_hash(),
        options,
        sink,
        progress,
        state: Progress::new(),
        entries: Vec::new(),
        codes: KeySorter::new(options.sort.clone()),
        value: Vec::new(),
    };
    match (options.kind, options.parent) {
        (Kind::Diff, Some(parent)) => writer.diff(parent.block.number)?,
        _ => writer.full()?,
    }
    writer.code()?;
    writer.headers()?;
    writer.manifest(header.state_root)
}

fn check_parent(
    view: &View<'_>,
    number: BlockNumber,
    options: &CheckpointOptions,
) -> Result<(), CheckpointError> {
    let bad = |reason| Err(CheckpointError::BadParent { block: number, reason });
    match options.parent {
        None if options.kind == Kind::Diff => bad("a diff needs a parent"),
        Some(parent) if parent.block.number >= number => bad("the parent is not below it"),
        Some(parent) if view.canonical_hash(parent.block.number)? != Some(parent.block.hash) => {
            bad("the parent is of another chain")
        }
        _ => Ok(()),
    }
}

struct Writer<'a> {
    view: &'a View<'a>,
    chain: Chain,
    block: BlockNumHash,
    options: &'a CheckpointOptions,
    sink: &'a mut dyn ItemSink,
    progress: &'a mut dyn FnMut(&Progress),
    state: Progress,
    entries: Vec<Entry>,
    /// Hashes of the code that the accounts name.
    codes: KeySorter<32>,
    value: Vec<u8>,
}

impl Writer<'_> {
    fn full(&mut self) -> Result<(), CheckpointError> {
        let (view, number) = (self.view, self.block.number);
        let head = view.head()?.number;
        self.enter(Phase::Changes);
        let changed = match number < head {
            true => view.changed_keys(number + 1..=head, &self.options.sort)?,
            false => ChangedKeys::none(),
        };
        let mut chunks = self.begin(Phase::Accounts, Section::Accounts);
        for account in view.accounts_at(number, changed.accounts)? {
            let (address, account) = account?;
            if account.has_code() {
                self.codes.push(account.code_hash.0)?;
            }
            self.value.clear();
            record::encode_account(Some(&account), &mut self.value);
            self.push(&mut chunks, address.as_slice())?;
        }
        self.end(chunks)?;
        let mut chunks = self.begin(Phase::Storage, Section::Storage);
        for slot in view.slots_at(number, changed.slots)? {
            let (address, slot, value) = slot?;
            self.value.clear();
            value.encode(&mut self.value);
            self.push(&mut chunks, [address.0, slot.0].as_flattened())?;
        }
        self.end(chunks)
    }

    fn diff(&mut self, parent: BlockNumber) -> Result<(), CheckpointError> {
        let (view, number) = (self.view, self.block.number);
        let (before, after) = (view.state_at(parent)?, view.state_at(number)?);
        self.enter(Phase::Changes);
        let changed = view.changed_keys(parent + 1..=number, &self.options.sort)?;
        let mut chunks = self.begin(Phase::Accounts, Section::Accounts);
        for address in changed.accounts {
            let address = B256::new(address?);
            let (was, is) = (before.account(address)?, after.account(address)?);
            if was == is {
                continue;
            }
            let code = |account: Option<weft_primitives::StoredAccount>| {
                account.filter(|account| account.has_code()).map(|account| account.code_hash)
            };
            if let Some(hash) = code(is).filter(|hash| code(was) != Some(*hash)) {
                self.codes.push(hash.0)?;
            }
            self.value.clear();
            record::encode_account(is.as_ref(), &mut self.value);
            self.push(&mut chunks, address.as_slice())?;
        }
        self.end(chunks)?;
        let mut chunks = self.begin(Phase::Storage, Section::Storage);
        for key in changed.slots {
            let key = key?;
            let (address, slot) = split_slot(&key);
            let is = after.storage(address, slot)?;
            if before.storage(address, slot)? == is {
                continue;
            }
            self.value.clear();
            is.encode(&mut self.value);
            self.push(&mut chunks, &key)?;
        }
        self.end(chunks)
    }

    fn code(&mut self) -> Result<(), CheckpointError> {
        let sorter = std::mem::replace(&mut self.codes, KeySorter::new(self.options.sort.clone()));
        let mut chunks = self.begin(Phase::Code, Section::Code);
        for hash in sorter.finish()? {
            let hash = B256::new(hash?);
            let code = self.view.code(hash)?.ok_or(StorageError::MissingCode(hash))?;
            self.value.clear();
            code.encode(&mut self.value);
            self.push(&mut chunks, hash.as_slice())?;
        }
        self.end(chunks)
    }

    fn headers(&mut self) -> Result<(), CheckpointError> {
        let first = self.options.parent.map_or(0, |parent| parent.block.number + 1);
        let last = self.block.number;
        let mut chunks = self.begin(Phase::Headers, Section::Headers);
        let mut next = first;
        while next <= last {
            let end = last.min(next.saturating_add(HEADERS_STEP - 1));
            for header in self.view.headers(next..=end)? {
                let summary = self.view.da_summary(header.number)?;
                self.value.clear();
                record::encode_header(header.header(), summary.as_ref(), &mut self.value);
                self.push(&mut chunks, &header.number.to_be_bytes())?;
            }
            self.state.fraction = (end - first + 1) as f64 / (last - first + 1) as f64;
            next = end + 1;
        }
        self.end(chunks)
    }

    fn manifest(self, state_root: B256) -> Result<Checkpoint, CheckpointError> {
        let manifest = Manifest {
            chain: self.chain,
            block: self.block,
            state_root,
            kind: self.options.kind,
            parent: self.options.parent,
            entries: self.entries,
        };
        let item = Item::new(ItemKind::Manifest, manifest.encode().into(), &self.chain, self.block);
        let id = put(self.sink, &item)?;
        Ok(Checkpoint { id, sha256: item.sha256, manifest })
    }

    fn enter(&mut self, phase: Phase) {
        (self.state.phase, self.state.fraction) = (phase, 0.0);
        (self.progress)(&self.state);
    }

    fn begin(&mut self, phase: Phase, section: Section) -> ChunkWriter {
        self.enter(phase);
        ChunkWriter::new(section, self.options.cut)
    }

    /// Adds a record with `self.value`.
    fn push(&mut self, chunks: &mut ChunkWriter, key: &[u8]) -> Result<(), CheckpointError> {
        self.state.records += 1;
        if self.state.phase != Phase::Headers {
            self.state.fraction = fraction_of(key);
        }
        for chunk in chunks.push(key, &self.value)? {
            self.store(chunks.section(), chunk)?;
        }
        if self.state.records.is_multiple_of(RECORDS_STEP) {
            (self.progress)(&self.state);
        }
        Ok(())
    }

    fn end(&mut self, mut chunks: ChunkWriter) -> Result<(), CheckpointError> {
        if let Some(chunk) = chunks.finish() {
            self.store(chunks.section(), chunk)?;
        }
        self.state.fraction = 1.0;
        (self.progress)(&self.state);
        Ok(())
    }

    fn store(&mut self, section: Section, chunk: Chunk) -> Result<(), CheckpointError> {
        if self.entries.len() == ENTRIES_MAX {
            return Err(CheckpointError::TooManyItems(ENTRIES_MAX));
        }
        let item = Item::new(section.item_kind(), chunk.item, &self.chain, self.block);
        let entry = Entry {
            section,
            id: put(self.sink, &item)?,
            sha256: item.sha256,
            bytes: item.bytes.len() as u64,
            raw_bytes: chunk.raw_bytes,
            records: chunk.records,
            first_key: chunk.first_key.into(),
            last_key: chunk.last_key.into(),
        };
        self.state.items += 1;
        self.state.bytes += entry.bytes;
        self.entries.push(entry);
        (self.progress)(&self.state);
        Ok(())
    }
}

fn put(sink: &mut dyn ItemSink, item: &Item) -> Result<ItemId, CheckpointError> {
    let failed =
        |source| CheckpointError::Sink { sha256: item.sha256, bytes: item.bytes.len() as u64, source };
    sink.put(item).map_err(failed)
}
