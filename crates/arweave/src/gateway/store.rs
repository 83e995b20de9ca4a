//! The gateway's index on disk, in `index.redb`, and the one thread that writes it.
//!
//! Readers see the last commit. Writers send jobs; the thread runs as many as wait in one transaction, flushes the data
//! files that they touched, commits, and only then lets them answer: what a client was told is on disk. A job checks
//! before it writes, so that a refused one leaves nothing behind in the shared transaction; when anything but a
//! refusal comes up, the whole transaction is given up and every job of it fails.
//!
//! Bounds: [`JOBS_MAX`] waiting jobs (senders wait), [`CACHE_BYTES`] of cache.

use super::{
    error::GatewayError,
    files::Files,
    records::{Account, BlockRecord, DataKey, ItemRecord, Source, TransactionRecord},
};
use crate::{Address, Id};
use parking_lot::Mutex;
use redb::{
    Database, Key, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition,
    Value, WriteTransaction,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::HashSet, path::Path, sync::Arc, thread};
use tokio::sync::{mpsc, oneshot};

/// Version of tables and records; a folder with another one is refused.
pub(super) const SCHEMA: u64 = 1;
const CACHE_BYTES: usize = 32 << 20;
const JOBS_MAX: usize = 1_024;
/// Jobs of one commit.
const BATCH_MAX: usize = 256;

type Bytes32 = &'static [u8; 32];

/// Id → [`TransactionRecord`].
pub(super) const TRANSACTIONS: TableDefinition<Bytes32, &[u8]> = TableDefinition::new("transactions");
/// Sequence → id of a transaction that waits for a block.
pub(super) const PENDING: TableDefinition<u64, Bytes32> = TableDefinition::new("pending");
/// Address → [`Account`].
pub(super) const ACCOUNTS: TableDefinition<Bytes32, &[u8]> = TableDefinition::new("accounts");
/// Height → [`BlockRecord`].
pub(super) const BLOCKS: TableDefinition<u64, &[u8]> = TableDefinition::new("blocks");
/// Block hash → height.
pub(super) const BLOCK_HEIGHTS: TableDefinition<&[u8; 48], u64> = TableDefinition::new("block_heights");
/// First byte of a transaction's data among all data → id.
pub(super) const WEAVE: TableDefinition<u64, Bytes32> = TableDefinition::new("weave");
/// Root and size → bytes of chunks that are here.
pub(super) const DATA: TableDefinition<(Bytes32, u64), u64> = TableDefinition::new("data");
/// Root, size and id of each transaction with this data.
pub(super) const DATA_USERS: TableDefinition<(Bytes32, u64, Bytes32), ()> =
    TableDefinition::new("data_users");
/// Root, size and a chunk's end → its start and path.
pub(super) const CHUNKS: TableDefinition<(Bytes32, u64, u64), (u64, &[u8])> = TableDefinition::new("chunks");
/// Id → [`ItemRecord`].
pub(super) const ITEMS: TableDefinition<Bytes32, &[u8]> = TableDefinition::new("items");
/// Id of a carrying transaction and sequence of an item → the item's id.
pub(super) const CARRIED: TableDefinition<(Bytes32, u64), Bytes32> = TableDefinition::new("carried");
/// Sequence → id of an uploaded item that waits for a bundle.
pub(super) const UPLOADS: TableDefinition<u64, Bytes32> = TableDefinition::new("uploads");
/// Ids of transactions with a bundle that is here and not looked into yet.
pub(super) const UNBUNDLED: TableDefinition<Bytes32, ()> = TableDefinition::new("unbundled");
/// Hash of what is looked for, height, sequence → id. See [`super::index`].
pub(super) const INDEX: TableDefinition<(Bytes32, u64, u64), Bytes32> = TableDefinition::new("index");
/// Numbers of the whole: see [`Number`].
const NUMBERS: TableDefinition<&str, u64> = TableDefinition::new("numbers");

/// Numbers of the whole gateway.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Schema,
    /// Transactions and items that ever came.
    Sequence,
    /// Bytes of data on disk.
    StoredBytes,
    /// Reorgs so far: makes the hashes of replaced blocks differ.
    Reorgs,
}

impl Number {
    fn name(self) -> &'static str {
        match self {
            Self::Schema => "schema",
            Self::Sequence => "sequence",
            Self::StoredBytes => "stored_bytes",
            Self::Reorgs => "reorgs",
        }
    }
}

/// Tables that can be read, in a snapshot or in the middle of a batch.
pub(super) trait View {
    /// A table of this view.
    type Table<'t, K: Key + 'static, V: Value + 'static>: ReadableTable<K, V>
    where
        Self: 't;

    fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        definition: TableDefinition<K, V>,
    ) -> Result<Self::Table<'_, K, V>, GatewayError>;

    fn transaction(&self, id: &Id) -> Result<Option<TransactionRecord>, GatewayError> {
        decode(self.table(TRANSACTIONS)?.get(&id.0)?.map(|value| value.value().to_vec()))
    }

    fn item(&self, id: &Id) -> Result<Option<ItemRecord>, GatewayError> {
        decode(self.table(ITEMS)?.get(&id.0)?.map(|value| value.value().to_vec()))
    }

    fn account(&self, address: &Address) -> Result<Option<Account>, GatewayError> {
        decode(self.table(ACCOUNTS)?.get(&address.0)?.map(|value| value.value().to_vec()))
    }

    fn block(&self, height: u64) -> Result<Option<BlockRecord>, GatewayError> {
        decode(self.table(BLOCKS)?.get(height)?.map(|value| value.value().to_vec()))
    }

    /// The newest block; there is always one.
    fn tip(&self) -> Result<BlockRecord, GatewayError> {
        let value = self.table(BLOCKS)?.last()?.map(|(_, value)| value.value().to_vec());
        decode(value)?.ok_or(GatewayError::Damaged("no block"))
    }

    fn height_of(&self, hash: &[u8; 48]) -> Result<Option<u64>, GatewayError> {
        Ok(self.table(BLOCK_HEIGHTS)?.get(hash)?.map(|value| value.value()))
    }

    /// Bytes of chunks that are here, or nothing where no transaction with this data is known.
    fn present_bytes(&self, key: &DataKey) -> Result<Option<u64>, GatewayError> {
        Ok(self.table(DATA)?.get((&key.root.0, key.size))?.map(|value| value.value()))
    }

    fn number(&self, number: Number) -> Result<u64, GatewayError> {
        Ok(self.table(NUMBERS)?.get(number.name())?.map_or(0, |value| value.value()))
    }
}

impl View for ReadTransaction {
    type Table<'t, K: Key + 'static, V: Value + 'static> = ReadOnlyTable<K, V>;

    fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        definition: TableDefinition<K, V>,
    ) -> Result<ReadOnlyTable<K, V>, GatewayError> {
        Ok(self.open_table(definition)?)
    }
}

impl View for Batch {
    type Table<'t, K: Key + 'static, V: Value + 'static> = Table<'t, K, V>;

    fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        definition: TableDefinition<K, V>,
    ) -> Result<Table<'_, K, V>, GatewayError> {
        Ok(self.transaction.open_table(definition)?)
    }
}

fn decode<T: DeserializeOwned>(value: Option<Vec<u8>>) -> Result<Option<T>, GatewayError> {
    value
        .map(|bytes| serde_json::from_slice(&bytes))
        .transpose()
        .map_err(|_| GatewayError::Damaged("a record does not parse"))
}

fn encode(record: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(record).expect("records have string keys only")
}

/// A transaction of the index under construction, shared by the jobs of one commit.
pub(super) struct Batch {
    transaction: WriteTransaction,
    /// Data files that jobs wrote to: flushed before the commit.
    touched: HashSet<Source>,
    /// Files that nothing refers to after the commit.
    unneeded: Vec<Source>,
}

impl Batch {
    pub(super) fn put_transaction(&self, record: &TransactionRecord) -> Result<(), GatewayError> {
        let id = record.transaction.id.0;
        self.table(TRANSACTIONS)?.insert(&id, encode(record).as_slice())?;
        Ok(())
    }

    pub(super) fn put_item(&self, record: &ItemRecord, id: &Id) -> Result<(), GatewayError> {
        self.table(ITEMS)?.insert(&id.0, encode(record).as_slice())?;
        Ok(())
    }

    pub(super) fn put_account(&self, address: &Address, account: &Account) -> Result<(), GatewayError> {
        self.table(ACCOUNTS)?.insert(&address.0, encode(account).as_slice())?;
        Ok(())
    }

    /// Changes an account, which is made if it is not there.
    pub(super) fn update_account(
        &self,
        address: &Address,
        change: impl FnOnce(&mut Account),
    ) -> Result<(), GatewayError> {
        let mut account = self.account(address)?.unwrap_or_default();
        change(&mut account);
        self.put_account(address, &account)
    }

    pub(super) fn put_block(&self, block: &BlockRecord) -> Result<(), GatewayError> {
        self.table(BLOCKS)?.insert(block.height, encode(block).as_slice())?;
        self.table(BLOCK_HEIGHTS)?.insert(&block.hash.0, block.height)?;
        Ok(())
    }

    pub(super) fn set_number(&self, number: Number, value: u64) -> Result<(), GatewayError> {
        self.table(NUMBERS)?.insert(number.name(), value)?;
        Ok(())
    }

    /// The next place in the order of arrival.
    pub(super) fn next_sequence(&self) -> Result<u64, GatewayError> {
        let sequence = self.number(Number::Sequence)?;
        self.set_number(Number::Sequence, sequence + 1)?;
        Ok(sequence)
    }

    /// Asks for the source's file to be flushed before the commit.
    pub(super) fn touch(&mut self, source: Source) {
        self.touched.insert(source);
    }

    /// Asks for the source's file to be removed after the commit.
    pub(super) fn remove_after(&mut self, source: Source) {
        self.unneeded.push(source);
    }
}

type Answer = Box<dyn FnOnce(Result<(), GatewayError>) + Send>;
/// Gives what to do after the commit, or why there can be none.
type Job = Box<dyn FnOnce(&mut Batch) -> (Answer, Option<GatewayError>) + Send>;

/// The index.
pub(super) struct Store {
    database: Arc<Database>,
    /// Gone once closed.
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    writer: Mutex<Option<thread::JoinHandle<()>>>,
    pub(super) files: Arc<Files>,
}

impl Store {
    /// Opens or makes the index in `folder`. Blocks.
    pub(super) fn open(folder: &Path) -> Result<Self, GatewayError> {
        let files = Arc::new(Files::open(folder)?);
        let path = folder.join("index.redb");
        let database = Database::builder().set_cache_size(CACHE_BYTES).create(path)?;
        let batch = Batch::begin(&database)?;
        make_tables(&batch)?;
        match batch.number(Number::Schema)? {
            0 => batch.set_number(Number::Schema, SCHEMA)?,
            SCHEMA => {}
            found => return Err(GatewayError::Schema { found, known: SCHEMA }),
        }
        batch.finish(&files)?;
        let database = Arc::new(database);
        remove_strangers(&database.begin_read()?, &files)?;
        let (jobs, receiver) = mpsc::channel(JOBS_MAX);
        let writer = {
            let (database, files) = (Arc::clone(&database), Arc::clone(&files));
            thread::Builder::new()
                .name("arweave-gateway".to_owned())
                .spawn(move || write(&database, &files, receiver))
                .map_err(GatewayError::file(folder))?
        };
        Ok(Self { database, jobs: Mutex::new(Some(jobs)), writer: Mutex::new(Some(writer)), files })
    }

    /// The last commit.
    pub(super) fn view(&self) -> Result<ReadTransaction, GatewayError> {
        Ok(self.database.begin_read()?)
    }

    /// Runs `job` on the writing thread; answers when its commit is on disk.
    pub(super) async fn write<T, J>(&self, job: J) -> Result<T, GatewayError>
    where
        T: Send + 'static,
        J: FnOnce(&mut Batch) -> Result<T, GatewayError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |batch| {
            let outcome = job(batch);
            let fatal = match &outcome {
                Ok(_) | Err(GatewayError::Refused(_)) => None,
                Err(error) => Some(error.clone()),
            };
            let answer: Answer = Box::new(move |committed| {
                // The one who asked may have gone.
                let _ = answer.send(committed.and(outcome));
            });
            (answer, fatal)
        });
        let jobs = self.jobs.lock().clone().ok_or(GatewayError::Stopped)?;
        jobs.send(job).await.map_err(|_| GatewayError::Stopped)?;
        drop(jobs);
        answered.await.map_err(|_| GatewayError::Stopped)?
    }

    /// Ends the writing thread after what was sent to it. Blocks.
    pub(super) fn close(&self) {
        self.jobs.lock().take();
        if let Some(writer) = self.writer.lock().take() {
            // A panic of the thread has been printed.
            let _ = writer.join();
        }
    }
}

impl Batch {
    fn begin(database: &Database) -> Result<Self, GatewayError> {
        Ok(Self { transaction: database.begin_write()?, touched: HashSet::new(), unneeded: Vec::new() })
    }

    fn finish(self, files: &Files) -> Result<(), GatewayError> {
        for source in &self.touched {
            files.flush(source)?;
        }
        self.transaction.commit()?;
        for source in &self.unneeded {
            files.remove(source)?;
        }
        Ok(())
    }
}

fn write(database: &Database, files: &Files, mut jobs: mpsc::Receiver<Job>) {
    let mut waiting = Vec::with_capacity(BATCH_MAX);
    while jobs.blocking_recv_many(&mut waiting, BATCH_MAX) > 0 {
        let mut answers = Vec::with_capacity(waiting.len());
        let outcome = Batch::begin(database).and_then(|mut batch| {
            let mut failed = None;
            for job in waiting.drain(..) {
                let (answer, fatal) = job(&mut batch);
                answers.push(answer);
                failed = failed.or(fatal);
            }
            match failed {
                Some(error) => Err(error),
                None => batch.finish(files),
            }
        });
        // Where no batch could be begun the jobs were not run; their askers see the thread as stopped.
        waiting.clear();
        if let Err(error) = &outcome {
            tracing::error!(target: "weft::arweave::gateway", %error, "not written");
        }
        for answer in answers {
            answer(outcome.clone());
        }
    }
}

fn make_tables(batch: &Batch) -> Result<(), GatewayError> {
    batch.table(TRANSACTIONS)?;
    batch.table(PENDING)?;
    batch.table(ACCOUNTS)?;
    batch.table(BLOCKS)?;
    batch.table(BLOCK_HEIGHTS)?;
    batch.table(WEAVE)?;
    batch.table(DATA)?;
    batch.table(DATA_USERS)?;
    batch.table(CHUNKS)?;
    batch.table(ITEMS)?;
    batch.table(CARRIED)?;
    batch.table(UPLOADS)?;
    batch.table(UNBUNDLED)?;
    batch.table(INDEX)?;
    batch.table(NUMBERS)?;
    Ok(())
}

/// Removes files that a crash left behind: written, but never committed, or committed as unneeded.
fn remove_strangers(view: &ReadTransaction, files: &Files) -> Result<(), GatewayError> {
    let mut known = HashSet::new();
    for entry in view.table(DATA)?.iter()? {
        let (key, _) = entry?;
        let (root, size) = key.value();
        known.insert(Files::name(&Source::Data(DataKey { root: crate::DataRoot(*root), size })));
    }
    for entry in view.table(UPLOADS)?.iter()? {
        known.insert(Files::name(&Source::Upload(Id(*entry?.1.value()))));
    }
    files.retain(&known)
}
