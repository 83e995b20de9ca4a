//! Filling an empty database with a whole state at once, in steps that a crash cannot tear apart.
//!
//! A restore calls this with records in key order, some megabytes at a time, from several threads. Each batch
//! becomes a sorted file that RocksDB takes in as it is (no log, no memtable, no compaction); when
//! [`BulkWriter::finish`] returns it is on the disk. What is done is noted under the step's number, so a restore that was
//! killed goes on after its last step; a step that is done twice writes the same again.
//!
//! The folder is marked from before the first record until [`BulkLoad::finish`], whose one batch sets the head
//! and takes the mark away: until then [`Store::open`] refuses it ([`StorageError::HalfRestored`]), and no read can
//! see a part of a state. Memory: the data block and the index of one file per writer.

use crate::{
    DatabaseRole, StageId, StorageError, Store, StoreOptions, Table, View,
    codec::{HeaderRecord, SlotValue, StageRecord, Value},
    da::check_role,
    disk::{self, FolderLock},
    keys, options,
    store::{self, Inner},
    types::{BASE, FINALIZED, HEAD, RESTORE, RESTORE_STEP, SAFE},
};
use alloy_eips::BlockNumHash;
use alloy_primitives::{B256, Bytes, U256};
use alloy_trie::BranchNodeCompact;
use nybbles::Nibbles;
use rocksdb::{Cache, IngestExternalFileOptions, Options, ReadOptions, SstFileWriter, WriteBatch};
use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};
use weft_primitives::{DaSummary, SealedHeader, StoredAccount};

/// Folder of files that are not taken in yet, inside of the database's.
const FOLDER: &str = "restore";
/// Free space asked for before each file: more than the largest of them.
const FILE_ROOM_BYTES: usize = 64 << 20;

/// A database that is being filled. Shared by the threads that fill it.
pub struct BulkLoad {
    inner: Inner,
    folder: PathBuf,
    files: AtomicU64,
    /// By [`Table::ALL`]: files must be made as the table would make them.
    table_options: Vec<Options>,
}

impl fmt::Debug for BulkLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkLoad").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl BulkLoad {
    /// Opens an empty folder, or goes on with the restore of the same `target` (the hash of its manifest).
    /// [`StorageError::NotEmpty`] where a chain is, [`StorageError::OtherRestore`] where another restore was begun.
    pub fn open(path: &Path, options: StoreOptions, target: B256) -> Result<Self, StorageError> {
        if options.read_only {
            return Err(StorageError::ReadOnly);
        }
        std::fs::create_dir_all(path).map_err(StorageError::io(path))?;
        let lock = FolderLock::acquire(path)?;
        disk::check_schema(path, true)?;
        let cache = Cache::new_lru_cache(options.cache_bytes);
        let table_options = Table::ALL.iter().map(|table| options::table(*table, &cache)).collect();
        let inner = store::open_inner(path, options, Some(lock))?;
        let view = View::new(&inner);
        check_role(&view, DatabaseRole::Full)?;
        if !view.is_empty()? {
            let genesis = view.canonical_hash(view.first_number()?)?;
            return Err(StorageError::NotEmpty(genesis.unwrap_or_default()));
        }
        match restore_target(&view)? {
            Some(found) if found != target => {
                return Err(StorageError::OtherRestore { path: path.to_owned(), found, wanted: target });
            }
            Some(_) => {}
            None => {
                let mut batch = WriteBatch::default();
                batch.put_cf(inner.table(Table::Meta), RESTORE, target);
                inner.commit(batch)?;
            }
        }
        drop(view);
        let folder = path.join(FOLDER);
        // Files of a killed restore that were not taken in.
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StorageError::io(&folder)(error));
            }
            _ => std::fs::create_dir_all(&folder).map_err(StorageError::io(&folder))?,
        }
        Ok(Self { inner, folder, files: AtomicU64::new(0), table_options })
    }

    /// What is there so far.
    pub fn view(&self) -> View<'_> {
        View::new(&self.inner)
    }

    /// The database's folder.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Steps that are done, as numbered by [`Self::note_done`].
    pub fn done(&self) -> Result<BTreeSet<(u32, u32)>, StorageError> {
        let view = self.view();
        let mut done = BTreeSet::new();
        let mut iterator = view.iterator(Table::Meta, ReadOptions::default());
        iterator.seek(RESTORE_STEP);
        while let Some(step) = iterator.key().and_then(|key| key.strip_prefix(RESTORE_STEP)) {
            if let Some((layer, step)) = step.split_first_chunk::<4>()
                && let Ok(step) = <[u8; 4]>::try_from(step)
            {
                done.insert((u32::from_be_bytes(*layer), u32::from_be_bytes(step)));
            }
            iterator.next();
        }
        iterator.status().map_err(|error| self.inner.error(error))?;
        Ok(done)
    }

    /// Notes a step as done. Not fsynced: after a power cut the newest steps may have to be done again, never one
    /// before a step that is noted.
    pub fn note_done(&self, layer: u32, step: u32) -> Result<(), StorageError> {
        let mut batch = WriteBatch::default();
        let key = [RESTORE_STEP, &layer.to_be_bytes(), &step.to_be_bytes()].concat();
        batch.put_cf(self.inner.table(Table::Meta), key, []);
        self.inner.note(batch)
    }

    /// A writer of one file.
    pub fn writer(&self) -> BulkWriter<'_> {
        BulkWriter { load: self, open: None }
    }

    fn table_options(&self, table: Table) -> &Options {
        let at = Table::ALL.iter().position(|other| *other == table).expect("ALL has every table");
        &self.table_options[at]
    }

    /// Makes the database a chain whose head is `head`, in one batch, fsynced: head, safe and finalized block, the
    /// checkpoints of stages that have nothing to do up to there. Headers up to `head` must be there.
    pub fn finish(self, head: BlockNumHash, stages: &[StageId]) -> Result<Store, StorageError> {
        let view = self.view();
        if view.canonical_hash(head.number)? != Some(head.hash) {
            return Err(StorageError::MissingBlock(head.number));
        }
        drop(view);
        let mut batch = WriteBatch::default();
        let meta = self.inner.table(Table::Meta);
        for name in [HEAD, SAFE, FINALIZED, BASE] {
            batch.put_cf(meta, name, head.to_bytes());
        }
        let record = StageRecord { checkpoint: head, unwind_to: None };
        for stage in stages {
            batch.put_cf(self.inner.table(Table::Stages), stage.0, record.to_bytes());
        }
        batch.delete_cf(meta, RESTORE);
        if let Some(end) = keys::after_prefix(RESTORE_STEP) {
            batch.delete_range_cf(meta, RESTORE_STEP, end.as_slice());
        }
        self.inner.commit(batch)?;
        // The database is whole; an empty folder more does no harm.
        let _ = std::fs::remove_dir_all(&self.folder);
        tracing::info!(target: "weft::storage", number = head.number, hash = %head.hash, "restored");
        Ok(Store { inner: std::sync::Arc::new(self.inner) })
    }
}

/// The manifest of an unfinished restore in this database.
pub(crate) fn restore_target(view: &View<'_>) -> Result<Option<B256>, StorageError> {
    let Some(bytes) = view.raw(Table::Meta, RESTORE)? else { return Ok(None) };
    Ok(Some(B256::try_from(bytes.as_ref()).unwrap_or_default()))
}

/// Records for one table, in ascending key order. Nothing of them is in the database before
/// [`finish`](Self::finish).
pub struct BulkWriter<'a> {
    load: &'a BulkLoad,
    open: Option<OpenFile<'a>>,
}

impl fmt::Debug for BulkWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.open.as_ref().map(|open| open.table);
        f.debug_struct("BulkWriter").field("table", &table).finish_non_exhaustive()
    }
}

struct OpenFile<'a> {
    table: Table,
    path: PathBuf,
    writer: SstFileWriter<'a>,
}

impl BulkWriter<'_> {
    /// An account after a change, `None` deletes it.
    pub fn account(&mut self, address: B256, account: Option<&StoredAccount>) -> Result<(), StorageError> {
        self.put(Table::HashedAccounts, address.as_slice(), account.map(Value::to_bytes))
    }

    /// A slot after a change, zero deletes it.
    pub fn slot(&mut self, address: B256, slot: B256, value: U256) -> Result<(), StorageError> {
        let value = (!value.is_zero()).then(|| SlotValue(value).to_bytes());
        self.put(Table::HashedStorage, &keys::slot(address, slot), value)
    }

    /// Code under its hash.
    pub fn code(&mut self, hash: B256, code: &Bytes) -> Result<(), StorageError> {
        self.put(Table::Code, hash.as_slice(), Some(code.to_vec()))
    }

    /// A branch node of the account trie, or of the storage trie of `owner`.
    pub fn node(
        &mut self,
        owner: Option<B256>,
        path: &Nibbles,
        node: &BranchNodeCompact,
    ) -> Result<(), StorageError> {
        match owner {
            None => self.put(Table::AccountTrie, &keys::trie(&[], path), Some(node.to_bytes())),
            Some(owner) => {
                let key = keys::trie(owner.as_slice(), path);
                self.put(Table::StorageTrie, &key, Some(node.to_bytes()))
            }
        }
    }

    /// A header under its number.
    pub fn header(&mut self, header: &SealedHeader) -> Result<(), StorageError> {
        let record = HeaderRecord(header.clone()).to_bytes();
        self.put(Table::Headers, &keys::number(header.number), Some(record))
    }

    /// The number of the header of that hash.
    pub fn header_number(&mut self, hash: B256, number: u64) -> Result<(), StorageError> {
        self.put(Table::HeaderNumbers, hash.as_slice(), Some(number.to_bytes()))
    }

    /// What the block's `daRoot` commits to.
    pub fn summary(&mut self, number: u64, summary: &DaSummary) -> Result<(), StorageError> {
        self.put(Table::DaSummaries, &keys::number(number), Some(summary.to_bytes()))
    }

    fn put(&mut self, table: Table, key: &[u8], value: Option<Vec<u8>>) -> Result<(), StorageError> {
        let load = self.load;
        let open = match &mut self.open {
            Some(open) => open,
            empty => {
                load.inner.check_space(FILE_ROOM_BYTES)?;
                let number = load.files.fetch_add(1, Ordering::Relaxed);
                let path = load.folder.join(format!("{number}.sst"));
                let writer = SstFileWriter::create(load.table_options(table));
                writer.open(&path).map_err(|error| load.inner.error(error))?;
                empty.insert(OpenFile { table, path, writer })
            }
        };
        if open.table != table {
            return Err(StorageError::MixedTables { first: open.table.name(), second: table.name() });
        }
        match value {
            Some(value) => open.writer.put(key, value),
            None => open.writer.delete(key),
        }
        .map_err(|error| load.inner.error(error))
    }

    /// Makes the records part of the database; they are on the disk when this returns.
    pub fn finish(self) -> Result<(), StorageError> {
        let Some(mut open) = self.open else { return Ok(()) };
        let inner = &self.load.inner;
        open.writer.finish().map_err(|error| inner.error(error))?;
        let mut options = IngestExternalFileOptions::default();
        options.set_move_files(true);
        inner
            .db
            .ingest_external_file_cf_opts(inner.table(open.table), &options, vec![&open.path])
            .map_err(|error| inner.error(error))
    }
}
