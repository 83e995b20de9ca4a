//! The upload ledger: what is to be on Arweave, how far each item has come, and what was paid for it.
//!
//! An item is known by its kind and the SHA-256 of its bytes, and is paid once. [`Ledger::put`] signs it, writes its bytes to
//! the spool and its record to the database, both fsynced, before the network is asked for anything. A private worker
//! bundles queued items into transactions (or hands them to a bundler one by one) and moves each shipment through
//!
//! ```text
//! queued → uploading → posted → confirmed(n) → verified
//!            ↑            ↑__________| lost its block: posted again, the same bytes
//!            |____________| its anchor expired and no gateway knows it: it can never be mined, another is signed
//! ```
//!
//! The signed transaction is on the disk before it is posted, so whatever happens in between, what is posted next is the
//! same bytes. An item that a manifest names is confirmed, or in the same bundle, before the manifest is posted. Nothing
//! here is on the path of a block.
//!
//! | file | what |
//! |---|---|
//! | `config`, `budget`, `error`, `metrics` | what it is started with, what it may spend, why it fails, what it counts |
//! | `spool` | bytes that wait |
//! | `ship` | choosing, pricing and signing the next shipment |
//! | `advance` | one step of a shipment |
//! | `receipt` | reading back |
//! | `worker` | who does what when |

mod advance;
mod budget;
mod config;
mod error;
mod metrics;
mod receipt;
mod ship;
mod spool;
mod worker;

pub use budget::{Budget, Stop};
pub use config::{Clock, ItemSigner, LedgerArgs, LedgerConfig, Payment};
pub use error::LedgerError;
pub use receipt::ArchiveReceipt;
pub use spool::SpoolError;
pub use weft_storage::{LedgerKey, LedgerKind};

use crate::{task::Task, weave::Weave};
use alloy_primitives::{BlockNumber, Bytes};
use metrics::LedgerMetrics;
use parking_lot::Mutex;
use spool::Spool;
use std::{fmt, sync::Arc};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use weft_arweave::{Id, ItemDraft, Tag, Winston, tag};
use weft_storage::{LedgerItem, LedgerPlace, ShipmentState, Store, View};
use worker::{Cmd, Worker};

/// Commands that wait for the worker; who gives more waits.
const COMMANDS_MAX: usize = 16;

const KIND_TAG: &str = "Weft-Kind";

/// An item to be made permanent.
#[derive(Clone, Debug)]
pub struct NewItem {
    /// `Weft-Kind`.
    pub kind: LedgerKind,
    /// The content.
    pub bytes: Bytes,
    /// Tags of the data item; `Weft-Kind` is added where it is missing, so that no two kinds ever share an id.
    pub tags: Vec<Tag>,
    /// The block that it belongs to.
    pub block: BlockNumber,
    /// Items that are confirmed, or in the same bundle, before this one is posted: those that a manifest names.
    pub after: Vec<LedgerKey>,
}

/// How far an item has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upload {
    /// On the disk, not shipped.
    Queued,
    /// Signed and booked; not known to have arrived.
    Uploading,
    /// Taken by a gateway or a bundler.
    Posted,
    /// In a block with so many confirmations.
    Confirmed(u64),
    /// Read back and compared.
    Verified(ArchiveReceipt),
    /// Seen on Arweave when the index was rebuilt, not read back.
    Found,
    /// Given up, with the reason; it is queued again when it is put again.
    Failed(String),
}

impl Upload {
    /// Confirmations of the transaction that carries it; of a verified one, those that it had then.
    pub fn confirmations(&self) -> u64 {
        match self {
            Self::Confirmed(confirmations) => *confirmations,
            Self::Verified(receipt) => receipt.confirmations(),
            _ => 0,
        }
    }
}

/// Where an item is, and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemStatus {
    /// What it is known by here.
    pub key: LedgerKey,
    /// What it is known by on Arweave.
    pub id: Id,
    /// Of the content.
    pub bytes: u64,
    /// The transaction that carries it, once known.
    pub transaction: Option<Id>,
    /// How far.
    pub upload: Upload,
}

/// What the ledger does, for status pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerStatus {
    /// Items that wait to be shipped.
    pub queued_items: u64,
    /// Bytes of these.
    pub queued_bytes: u64,
    /// Bytes in the spool: queued, or shipped and not verified.
    pub spool_bytes: u64,
    /// Shipments that are not verified yet.
    pub shipments_open: u64,
    /// When the oldest item that is not verified was queued, in seconds since 1970.
    pub oldest_unverified: Option<u64>,
    /// Booked in all.
    pub spent: Winston,
    /// Booked in this hour.
    pub spent_this_hour: Winston,
    /// What may be spent.
    pub budget: Budget,
    /// Why nothing is paid for now, if so.
    pub stop: Option<Stop>,
    /// What the last failure said, until a step succeeds.
    pub error: Option<String>,
}

/// Handle to a running ledger. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Cmd>,
    status: watch::Receiver<LedgerStatus>,
    task: Task,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("status", &*self.status.borrow()).finish_non_exhaustive()
    }
}

/// What handle, worker and steps share.
struct Shared {
    store: Store,
    spool: Spool,
    weave: Arc<dyn Weave>,
    signer: ItemSigner,
    payment: Payment,
    config: LedgerConfig,
    clock: Clock,
    budget: Mutex<Budget>,
    /// One item at a time is signed and queued.
    putting: Mutex<()>,
    /// One payment at a time is held against the budget and booked.
    paying: tokio::sync::Mutex<()>,
    queued: Mutex<Queued>,
    /// What runs off the async threads.
    blocking: TaskTracker,
    arrivals: Notify,
    metrics: LedgerMetrics,
}

/// What is in the queue.
#[derive(Clone, Copy, Debug, Default)]
struct Queued {
    items: u64,
    bytes: u64,
}

impl Ledger {
    /// Opens the spool, holds it against the records, and starts the worker. To be called within a tokio runtime. Blocks on
    /// the disk.
    pub fn spawn(args: LedgerArgs) -> Result<Self, LedgerError> {
        let LedgerArgs { store, spool, weave, signer, payment, config, clock } = args;
        let view = store.view();
        let open = view.open_shipments()?;
        let waits = |key| -> Result<bool, LedgerError> {
            Ok(match view.ledger_item(key)?.map(|item| item.place) {
                Some(LedgerPlace::Queued { .. }) => true,
                Some(LedgerPlace::Shipped { shipment }) => open.iter().any(|(number, _)| *number == shipment),
                _ => false,
            })
        };
        let spool = Spool::open(&spool, config.spool_bytes_max, waits)?;
        let (items, bytes) = view.ledger_queue_size()?;
        let queued = Queued { items, bytes };
        drop(view);
        let shared = Arc::new(Shared {
            store,
            spool,
            weave,
            signer,
            payment,
            config,
            clock,
            budget: Mutex::new(config.budget),
            putting: Mutex::new(()),
            paying: tokio::sync::Mutex::new(()),
            queued: Mutex::new(queued),
            blocking: TaskTracker::new(),
            arrivals: Notify::new(),
            metrics: LedgerMetrics::default(),
        });
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let stop = CancellationToken::new();
        let (worker, status) = Worker::new(Arc::clone(&shared), receiver, stop.clone(), open)?;
        Ok(Self { shared, commands, status, task: Task::spawn("ledger", stop, worker.run()) })
    }

    /// Takes an item; on the disk when this returns. The same kind and bytes give the same id, whatever became of the first,
    /// and are paid once. Blocks on the disk.
    pub fn put(&self, item: NewItem) -> Result<Id, LedgerError> {
        let shared = &self.shared;
        let key = LedgerKey { kind: item.kind, sha256: weft_erasure::sha256(&item.bytes) };
        let _one = shared.putting.lock();
        let known = shared.store.view().ledger_item(key)?;
        if let Some(known) = &known {
            match known.place {
                LedgerPlace::Queued { .. } => shared.spool.put(key, &item.bytes)?,
                LedgerPlace::Shipped { shipment } => {
                    // Bytes that were lost from the spool are given back to a shipment that still needs them.
                    let shipment = shared.store.view().shipment(shipment)?;
                    if shipment.is_some_and(|shipment| !shipment.state.is_final()) {
                        shared.spool.put(key, &item.bytes)?;
                    }
                }
                LedgerPlace::Found { .. } => {}
                LedgerPlace::Failed { .. } => return shared.queue(key, &item.bytes, known.clone()),
            }
            return Ok(Id(known.id.0));
        }
        let mut tags = item.tags;
        if tag::value_of(&tags, KIND_TAG).is_none() {
            tags.push(Tag::new(KIND_TAG, item.kind.name()));
        }
        let draft = ItemDraft { tags, data: item.bytes.0.clone(), ..ItemDraft::default() };
        let signed = draft.sign(shared.signer.signer()).map_err(LedgerError::Sign)?;
        let record = LedgerItem {
            id: signed.id().0.into(),
            bytes: item.bytes.len() as u64,
            header: Bytes::copy_from_slice(&signed.bytes()[..signed.bytes().len() - item.bytes.len()]),
            block: item.block,
            queued_at: shared.clock.now(),
            after: item.after,
            // Storage gives the place in the queue.
            place: LedgerPlace::Queued { sequence: 0 },
        };
        shared.queue(key, &item.bytes, record)
    }

    /// Where an item is. Blocks on the disk.
    pub fn item(&self, key: LedgerKey) -> Result<Option<ItemStatus>, LedgerError> {
        Ok(item_status(&self.shared.store.view(), key)?)
    }

    /// The owner of the items that are put here.
    pub fn owner(&self) -> weft_arweave::Address {
        self.shared.signer.address()
    }

    /// As of the worker's last step.
    pub fn status(&self) -> LedgerStatus {
        self.status.borrow().clone()
    }

    /// Changes with the worker's steps.
    pub fn watch(&self) -> watch::Receiver<LedgerStatus> {
        self.status.clone()
    }

    /// Sets what may be spent from now on; what the old bounds stopped goes on.
    pub async fn set_budget(&self, budget: Budget) -> Result<(), LedgerError> {
        *self.shared.budget.lock() = budget;
        self.retry_now().await
    }

    /// Looks at everything now, whatever pauses there are.
    pub async fn retry_now(&self) -> Result<(), LedgerError> {
        self.commands.send(Cmd::RetryNow).await.map_err(|_| LedgerError::ShutDown)
    }

    /// Ends the worker; what is on its way is taken up by the next start. Safe to call more than once.
    pub async fn shutdown(&self) {
        self.task.shutdown().await;
        self.shared.blocking.close();
        self.shared.blocking.wait().await;
    }
}

impl Shared {
    /// Bytes first, then the record.
    fn queue(&self, key: LedgerKey, bytes: &[u8], record: LedgerItem) -> Result<Id, LedgerError> {
        self.spool.put(key, bytes)?;
        let item = self.store.queue_item(key, record)?;
        self.count(|queued| {
            queued.items += 1;
            queued.bytes += item.bytes;
        });
        self.arrivals.notify_one();
        Ok(Id(item.id.0))
    }

    fn count(&self, change: impl FnOnce(&mut Queued)) {
        change(&mut self.queued.lock());
    }
}

/// Where an item is, as a snapshot sees it.
pub fn item_status(
    view: &View<'_>,
    key: LedgerKey,
) -> Result<Option<ItemStatus>, weft_storage::StorageError> {
    let Some(item) = view.ledger_item(key)? else { return Ok(None) };
    let (upload, transaction) = match &item.place {
        LedgerPlace::Queued { .. } => (Upload::Queued, None),
        LedgerPlace::Found { carrier, .. } => (Upload::Found, Some(*carrier)),
        LedgerPlace::Failed { reason } => (Upload::Failed(reason.clone()), None),
        LedgerPlace::Shipped { shipment } => match view.shipment(*shipment)? {
            None => (Upload::Queued, None),
            Some(shipment) => {
                let upload = match &shipment.state {
                    ShipmentState::Uploading => Upload::Uploading,
                    ShipmentState::Posted { .. } => Upload::Posted,
                    ShipmentState::Confirmed { confirmations, .. } => Upload::Confirmed(*confirmations),
                    ShipmentState::Failed { reason } => Upload::Failed(reason.clone()),
                    ShipmentState::Verified { .. } => {
                        ArchiveReceipt::of(key, &item, &shipment).map_or(Upload::Posted, Upload::Verified)
                    }
                };
                (upload, shipment.carrier.transaction())
            }
        },
    };
    let transaction = transaction.map(|id| Id(id.0));
    Ok(Some(ItemStatus { key, id: Id(item.id.0), bytes: item.bytes, transaction, upload }))
}
