//! The next shipment: which items, at what price, signed and booked before anybody hears of it.
//!
//! Items are taken in the order in which they came, up to the bundle's bound; what may not go yet (a manifest whose items are
//! not confirmed) is passed over. A bundle that exceeds the budget is cut until it fits.

use super::{LedgerError, LedgerKey, Payment, Shared, budget::Stop};
use alloy_primitives::Bytes;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use weft_arweave::{
    Bundle, ChunkTree, DataItem, FormatError, Tag, Transaction, TransactionDraft, Wallet, Winston, bundle,
};
use weft_storage::{Booking, Carrier, LedgerItem, LedgerPlace, Shipment, ShipmentState, View};

/// Items of one bundle; at 33 bytes each in a record, and 2 KiB each while it is chosen.
const BUNDLE_ITEMS_MAX: usize = 2048;
/// Items that are looked at for one bundle.
const QUEUE_WINDOW: usize = 2 * BUNDLE_ITEMS_MAX;

/// Blocks during which a signed transaction can be mined, from its anchor on (a rule of the network).
pub(super) const ANCHOR_BLOCKS: u64 = 50;

/// What was formed.
pub(super) enum Formed {
    /// A shipment, on the disk.
    Shipment(u64, Box<Shipment>),
    /// Nothing may go now.
    Nothing,
}

type Chosen = Vec<(LedgerKey, LedgerItem)>;

/// Chooses, prices, signs and books the next shipment.
pub(super) async fn form(shared: Arc<Shared>) -> Result<Formed, LedgerError> {
    let alone = matches!(shared.payment, Payment::Bundler);
    let mut chosen = blocking(&shared, move |shared| choose(shared, alone)).await?;
    let paying = Arc::clone(&shared);
    let _one = paying.paying.lock().await;
    loop {
        if chosen.is_empty() {
            return Ok(Formed::Nothing);
        }
        let bytes = bundle_bytes(&chosen, alone);
        let price = match &shared.payment {
            Payment::Wallet(_) => shared.weave.price(bytes).await?,
            Payment::Bundler => shared.weave.price_of_item(bytes).await?,
        };
        match affordable(&shared, bytes, price, Booking::default()).await {
            Ok(()) => return sign_and_book(shared, chosen, bytes, price).await,
            // Half of it may fit into what is left; a price does not change by that.
            Err(LedgerError::Stopped(stop)) if chosen.len() > 1 && !matches!(stop, Stop::Price { .. }) => {
                let half = chosen.len() / 2;
                chosen.truncate(half);
                chosen = blocking(&shared, |shared| without_early(shared, chosen)).await?;
                if chosen.is_empty() {
                    return Err(stop.into());
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether `price` may be paid now, instead of `replaced`.
pub(super) async fn affordable(
    shared: &Arc<Shared>,
    bytes: u64,
    price: Winston,
    replaced: Booking,
) -> Result<(), LedgerError> {
    let hour = shared.clock.hour();
    let spending = shared.store.view().spending(hour)?;
    let budget = *shared.budget.lock();
    budget.check(spending, replaced, hour, bytes, price)?;
    if let Payment::Wallet(wallet) = &shared.payment {
        let balance = shared.weave.balance(wallet.address()).await?;
        if balance < price {
            return Err(Stop::Balance { balance, wanted: price }.into());
        }
    }
    Ok(())
}

async fn sign_and_book(
    shared: Arc<Shared>,
    chosen: Chosen,
    bytes: u64,
    price: Winston,
) -> Result<Formed, LedgerError> {
    let carrier = match &shared.payment {
        Payment::Bundler => Carrier::Bundler { transaction: None },
        Payment::Wallet(wallet) => {
            let keys: Vec<_> = chosen.iter().map(|(key, _)| *key).collect();
            let tree = blocking(&shared, move |shared| Ok(ChunkTree::of(&assemble(shared, &keys)?))).await?;
            sign(&shared, wallet, (tree.size(), tree.root()), price, Vec::new()).await?
        }
    };
    let booked = Booking { hour: shared.clock.hour(), winston: price.0 };
    let shipment = Shipment {
        items: chosen.iter().map(|(key, _)| *key).collect(),
        bytes,
        carrier,
        state: ShipmentState::Uploading,
        booked,
        signings: 1,
        created_at: shared.clock.now(),
        error: String::new(),
    };
    let (number, shipment) =
        blocking(&shared, |shared| Ok((shared.store.ship(&shipment)?, shipment))).await?;
    shared.count(|queued| {
        queued.items = queued.items.saturating_sub(chosen.len() as u64);
        let bytes: u64 = chosen.iter().map(|(_, item)| item.bytes).sum();
        queued.bytes = queued.bytes.saturating_sub(bytes);
    });
    shared.metrics.signed.increment(1);
    tracing::info!(target: "weft::ledger", shipment = number, items = shipment.items.len(), bytes, winston = price.0, "shipment signed");
    Ok(Formed::Shipment(number, Box::new(shipment)))
}

/// A signed transaction for data of that size and root.
pub(super) async fn sign(
    shared: &Arc<Shared>,
    wallet: &Arc<Wallet>,
    data: (u64, weft_arweave::DataRoot),
    price: Winston,
    superseded: Vec<alloy_primitives::B256>,
) -> Result<Carrier, LedgerError> {
    // The anchor first: what counts its age then begins at or above its block.
    let anchor = shared.weave.anchor().await?;
    let anchor_height = shared.weave.height().await?;
    let draft = TransactionDraft {
        last_tx: anchor,
        tags: transaction_tags(),
        reward: price,
        data: Some(data),
        ..TransactionDraft::default()
    };
    let wallet = Arc::clone(wallet);
    blocking(shared, move |_| {
        let transaction = draft.sign(&wallet).map_err(LedgerError::Sign)?;
        let json = |error| LedgerError::Damaged(FormatError::Json(error));
        let signed = serde_json::to_vec(&transaction).map_err(json)?.into();
        Ok(Carrier::Transaction { id: transaction.id.0.into(), signed, anchor_height, superseded })
    })
    .await
}

fn transaction_tags() -> Vec<Tag> {
    let mut tags = bundle::tags();
    tags.push(Tag::new("App-Name", "weft"));
    tags.push(Tag::new("Weft-Protocol", "1"));
    tags
}

/// Signed bytes of a shipment's transaction.
pub(super) fn parse_transaction(signed: &[u8]) -> Result<Transaction, LedgerError> {
    serde_json::from_slice(signed).map_err(|error| LedgerError::Damaged(FormatError::Json(error)))
}

/// The items that may go next.
fn choose(shared: &Shared, alone: bool) -> Result<Chosen, LedgerError> {
    let view = shared.store.view();
    let mut chosen = Chosen::new();
    let mut gate = Gate::new(&view);
    let mut bytes = 32;
    for (key, item) in view.ledger_queue(QUEUE_WINDOW)? {
        let size = 64 + item_bytes(&item);
        let full = bytes + size > shared.config.bundle_bytes_max || chosen.len() == BUNDLE_ITEMS_MAX;
        if !chosen.is_empty() && (full || alone) {
            break;
        }
        if gate.admit(key, &item)? {
            bytes += size;
            chosen.push((key, item));
        }
    }
    Ok(chosen)
}

/// What is left of a bundle that was cut: nothing whose items were cut off.
fn without_early(shared: &Shared, chosen: Chosen) -> Result<Chosen, LedgerError> {
    let view = shared.store.view();
    let mut gate = Gate::new(&view);
    let mut left = Chosen::new();
    for (key, item) in chosen {
        if gate.admit(key, &item)? {
            left.push((key, item));
        }
    }
    Ok(left)
}

/// Holds back items until those that go before them are on their way for sure.
struct Gate<'a> {
    view: &'a View<'a>,
    /// In the same bundle.
    with: HashSet<LedgerKey>,
    /// Shipments that were looked at, and whether they are confirmed.
    confirmed: HashMap<u64, bool>,
}

impl<'a> Gate<'a> {
    fn new(view: &'a View<'a>) -> Self {
        Self { view, with: HashSet::new(), confirmed: HashMap::new() }
    }

    /// Whether an item may go; those that come after it may then go with it.
    fn admit(&mut self, key: LedgerKey, item: &LedgerItem) -> Result<bool, LedgerError> {
        let may_go = self.is_open(item)?;
        if may_go {
            self.with.insert(key);
        }
        Ok(may_go)
    }

    fn is_open(&mut self, item: &LedgerItem) -> Result<bool, LedgerError> {
        for key in &item.after {
            if self.with.contains(key) {
                continue;
            }
            match self.view.ledger_item(*key)?.map(|item| item.place) {
                Some(LedgerPlace::Found { .. }) => {}
                Some(LedgerPlace::Shipped { shipment }) if self.is_confirmed(shipment)? => {}
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    fn is_confirmed(&mut self, number: u64) -> Result<bool, LedgerError> {
        if let Some(known) = self.confirmed.get(&number) {
            return Ok(*known);
        }
        let state = self.view.shipment(number)?.map(|shipment| shipment.state);
        let confirmed =
            matches!(state, Some(ShipmentState::Confirmed { .. } | ShipmentState::Verified { .. }));
        self.confirmed.insert(number, confirmed);
        Ok(confirmed)
    }
}

/// Bytes of the signed item.
fn item_bytes(item: &LedgerItem) -> u64 {
    item.header.len() as u64 + item.bytes
}

fn bundle_bytes(chosen: &Chosen, alone: bool) -> u64 {
    let items: u64 = chosen.iter().map(|(_, item)| item_bytes(item)).sum();
    if alone { items } else { 32 + 64 * chosen.len() as u64 + items }
}

/// A signed item, put together again from its record and the spool.
pub(super) fn signed_item(shared: &Shared, key: LedgerKey) -> Result<DataItem, LedgerError> {
    let missing = weft_storage::StorageError::Ledger("no such item");
    let item = shared.store.view().ledger_item(key)?.ok_or(missing)?;
    let content = shared.spool.get(key)?;
    let mut bytes = Vec::with_capacity(item.header.len() + content.len());
    bytes.extend_from_slice(&item.header);
    bytes.extend_from_slice(&content);
    DataItem::parse(Bytes::from(bytes).0).map_err(LedgerError::Damaged)
}

/// The bundle of these items; the same bytes each time.
pub(super) fn assemble(shared: &Shared, keys: &[LedgerKey]) -> Result<Bytes, LedgerError> {
    let items = keys.iter().map(|key| signed_item(shared, *key)).collect::<Result<Vec<_>, _>>()?;
    Ok(Bytes(Bundle::new(items).map_err(LedgerError::Damaged)?.to_bytes()))
}

/// Runs what takes long off the async threads. Shutting down waits for it, so that nothing is written after that.
pub(super) async fn blocking<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Arc<Shared>) -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, LedgerError> {
    let handed_over = Arc::clone(shared);
    let task = shared.blocking.spawn_blocking(move || work(&handed_over));
    // Cancelled only with the runtime; a panic has been printed.
    task.await.map_err(|_| LedgerError::ShutDown)?
}
