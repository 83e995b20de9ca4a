//! The handle to the database of one data folder.
//!
//! One writer at a time: every operation that reads what it then changes holds `writer`. Readers
//! take a [`View`], a snapshot, and never wait. All writes go through the few functions below;
//! each is synced before it returns.

use crate::{
    StorageError, StoreOptions, Table, View,
    da::check_role,
    disk::{self, FolderLock},
    metrics::StorageMetrics,
    options,
    restore::restore_target,
};
use parking_lot::{Mutex, MutexGuard};
use rocksdb::{
    Cache, ColumnFamily, ColumnFamilyDescriptor, DB, ErrorKind, FlushOptions, Options, WriteBatch,
    WriteOptions,
};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Free space at which an I/O error is taken for a full disk.
const FULL_BYTES: u64 = 1 << 20;

/// Handle to the one database of a data folder. Cheap to clone; the last one closes it.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

/// The order of fields is the order of closing: the lock goes last.
pub(crate) struct Inner {
    pub(crate) db: DB,
    /// RocksDB's counters are read through the options.
    pub(crate) db_options: Options,
    pub(crate) path: PathBuf,
    pub(crate) options: StoreOptions,
    pub(crate) metrics: StorageMetrics,
    writer: Mutex<()>,
    shard_writer: Mutex<()>,
    ledger_writer: Mutex<()>,
    _lock: Option<FolderLock>,
}

impl Store {
    /// Opens or creates the database in folder `path`.
    ///
    /// [`StorageError::Locked`] when another handle has it, [`StorageError::Schema`] when another
    /// version wrote it, [`StorageError::HalfRestored`] while it holds an unfinished restore,
    /// [`StorageError::OtherRole`] when it is another kind of node's. With `read_only` neither lock nor writes; the folder must hold a database.
    pub fn open(path: &Path, options: StoreOptions) -> Result<Self, StorageError> {
        if !options.read_only {
            std::fs::create_dir_all(path).map_err(StorageError::io(path))?;
        }
        let lock = if options.read_only { None } else { Some(FolderLock::acquire(path)?) };
        disk::check_schema(path, !options.read_only)?;
        let inner = open_inner(path, options, lock)?;
        if let Some(target) = restore_target(&View::new(&inner))? {
            return Err(StorageError::HalfRestored { path: path.to_owned(), target });
        }
        if let Some(role) = inner.options.role {
            check_role(&View::new(&inner), role)?;
        }
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A consistent snapshot; everything read through it is of one moment.
    pub fn view(&self) -> View<'_> {
        View::new(&self.inner)
    }

    /// The database's folder.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Waits until nobody writes shards, then keeps others from it. Never taken by who holds `write`.
    pub(crate) fn write_shards(&self) -> Result<MutexGuard<'_, ()>, StorageError> {
        if self.inner.options.read_only {
            return Err(StorageError::ReadOnly);
        }
        Ok(self.inner.shard_writer.lock())
    }

    /// Waits until nobody writes the ledger, then keeps others from it. Never taken by who holds another.
    pub(crate) fn write_ledger(&self) -> Result<MutexGuard<'_, ()>, StorageError> {
        if self.inner.options.read_only {
            return Err(StorageError::ReadOnly);
        }
        Ok(self.inner.ledger_writer.lock())
    }

    /// Waits until nobody writes, then keeps others from writing.
    pub(crate) fn write(&self) -> Result<MutexGuard<'_, ()>, StorageError> {
        if self.inner.options.read_only {
            return Err(StorageError::ReadOnly);
        }
        Ok(self.inner.writer.lock())
    }
}

/// Opens the tables of a folder whose lock and schema the caller has seen to.
pub(crate) fn open_inner(
    path: &Path,
    options: StoreOptions,
    lock: Option<FolderLock>,
) -> Result<Inner, StorageError> {
    let cache = Cache::new_lru_cache(options.cache_bytes);
    let tables =
        Table::ALL.map(|table| ColumnFamilyDescriptor::new(table.name(), options::table(table, &cache)));
    let direct_io = !options.read_only && disk::has_direct_io(path);
    let db_options = options::database(disk::open_files(), direct_io, options.memtable_bytes_max);
    let db = if options.read_only {
        DB::open_cf_descriptors_read_only(&db_options, path, tables, false)
    } else {
        DB::open_cf_descriptors(&db_options, path, tables)
    }
    .map_err(|error| classify(error, path))?;
    tracing::info!(target: "weft::storage", path = %path.display(), read_only = options.read_only, "database open");
    Ok(Inner {
        db,
        db_options,
        path: path.to_owned(),
        options,
        metrics: StorageMetrics::default(),
        writer: Mutex::new(()),
        shard_writer: Mutex::new(()),
        ledger_writer: Mutex::new(()),
        _lock: lock,
    })
}

impl Inner {
    pub(crate) fn table(&self, table: Table) -> &ColumnFamily {
        self.db.cf_handle(table.name()).expect("every table is opened or created with the database")
    }

    pub(crate) fn error(&self, error: rocksdb::Error) -> StorageError {
        classify(error, &self.path)
    }

    /// Refuses a write that would eat into the reserve.
    pub(crate) fn check_space(&self, bytes: usize) -> Result<(), StorageError> {
        let free_bytes = disk::free_bytes(&self.path)?;
        let needed_bytes = self.options.disk_reserve_bytes.saturating_add(bytes as u64);
        if free_bytes < needed_bytes {
            return Err(StorageError::DiskFull { free_bytes, needed_bytes });
        }
        Ok(())
    }

    /// Applies a batch atomically; it is on the disk when this returns, and visible only then.
    pub(crate) fn commit(&self, batch: WriteBatch) -> Result<(), StorageError> {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.metrics.bytes_logged.increment(batch.size_in_bytes() as u64);
        self.db.write_opt(batch, &options).map_err(|error| self.error(error))
    }

    /// Applies a batch that may be lost with the power, together with nothing that came before it. Survives the
    /// process.
    pub(crate) fn note(&self, batch: WriteBatch) -> Result<(), StorageError> {
        self.metrics.bytes_logged.increment(batch.size_in_bytes() as u64);
        self.db.write(batch).map_err(|error| self.error(error))
    }

    /// Writes large values past the log, one at a time, and flushes them to the disk. They mean
    /// nothing until a batch refers to them; a crash in between leaves orphans that no read finds.
    pub(crate) fn put_unlogged<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        table: Table,
        items: impl IntoIterator<Item = (K, V)>,
    ) -> Result<(), StorageError> {
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        let family = self.table(table);
        let mut bytes = 0;
        for (key, value) in items {
            bytes += value.as_ref().len();
            self.db.put_cf_opt(family, key, value, &options).map_err(|error| self.error(error))?;
        }
        self.metrics.bytes_unlogged.increment(bytes as u64);
        let mut flush = FlushOptions::default();
        flush.set_wait(true);
        self.db.flush_cf_opt(family, &flush).map_err(|error| self.error(error))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if !self.options.read_only {
            self.db.cancel_all_background_work(true);
        }
    }
}

/// RocksDB's binding hands out text only, of which `kind` parses the beginning.
fn classify(source: rocksdb::Error, path: &Path) -> StorageError {
    match source.kind() {
        ErrorKind::Corruption => StorageError::Damaged { path: path.to_owned(), source },
        ErrorKind::IOError => {
            let free_bytes = disk::free_bytes(path).unwrap_or(u64::MAX);
            // The only trace of ENOSPC in the binding is strerror's text; free space may have come back since.
            if free_bytes < FULL_BYTES || source.as_ref().contains("No space left on device") {
                return StorageError::DiskFull { free_bytes, needed_bytes: FULL_BYTES.max(free_bytes) };
            }
            StorageError::Database(source)
        }
        _ => StorageError::Database(source),
    }
}
