//! Proof that something is permanent, and reading back what was sent: the only place where a receipt is made.
//!
//! Which lies are possible here: a gateway that gives other bytes, bytes of another transaction, or says that it has what it
//! has not. A bundle is held against the root that was signed, rebuilt from the bytes that came; each item in it against
//! the SHA-256 that it is known by. That the transaction is in a block is what the gateways' status says.

use super::{Ledger, LedgerError, LedgerKey};
use crate::weave::{ReadBack, Weave};
use weft_arweave::{Bundle, ChunkTree, Id, Transaction};
use weft_storage::{LedgerItem, LedgerPlace, Shipment, ShipmentState};

/// Proof that an item was read back from Arweave and is what was sent, in a transaction with enough confirmations.
///
/// Only made from a shipment that the verifier has verified. Whoever deletes the last copy here takes it as an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveReceipt {
    key: LedgerKey,
    item: Id,
    transaction: Id,
    height: u64,
    confirmations: u64,
    verified_at: u64,
    gateway: String,
}

impl ArchiveReceipt {
    /// What the item is known by: its kind and the SHA-256 of its bytes.
    pub fn key(&self) -> LedgerKey {
        self.key
    }

    /// The data item.
    pub fn item(&self) -> Id {
        self.item
    }

    /// The transaction that carries it.
    pub fn transaction(&self) -> Id {
        self.transaction
    }

    /// Height of the transaction's block on Arweave.
    pub fn height(&self) -> u64 {
        self.height
    }

    /// That it had when it was verified.
    pub fn confirmations(&self) -> u64 {
        self.confirmations
    }

    /// Seconds since 1970.
    pub fn verified_at(&self) -> u64 {
        self.verified_at
    }

    /// Who gave the bytes back.
    pub fn gateway(&self) -> &str {
        &self.gateway
    }

    pub(super) fn of(key: LedgerKey, item: &LedgerItem, shipment: &Shipment) -> Option<Self> {
        let ShipmentState::Verified { height, confirmations, at, gateway } = &shipment.state else {
            return None;
        };
        Some(Self {
            key,
            item: Id(item.id.0),
            transaction: Id(shipment.carrier.transaction()?.0),
            height: *height,
            confirmations: *confirmations,
            verified_at: *at,
            gateway: gateway.clone(),
        })
    }
}

impl Ledger {
    /// The proof that an item is permanent; `None` while it is not. Blocks on the disk.
    pub fn receipt(&self, key: LedgerKey) -> Result<Option<ArchiveReceipt>, LedgerError> {
        let view = self.shared.store.view();
        let Some(item) = view.ledger_item(key)? else { return Ok(None) };
        let LedgerPlace::Shipped { shipment } = item.place else { return Ok(None) };
        Ok(view.shipment(shipment)?.and_then(|shipment| ArchiveReceipt::of(key, &item, &shipment)))
    }
}

/// An item as it has to come back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub(super) key: LedgerKey,
    pub(super) id: Id,
    pub(super) bytes: u64,
}

/// Reads a transaction of ours back; gives the gateway that had it.
pub(super) async fn verify_transaction(
    weave: &dyn Weave,
    transaction: &Transaction,
    expected: Vec<Expected>,
) -> Result<String, LedgerError> {
    let ReadBack { data, gateway } = weave.read_back(transaction).await?;
    let root = transaction.data_root;
    let check = move || -> Result<(), &'static str> {
        let tree = ChunkTree::of(&data);
        if Some(tree.root()) != root {
            return Err("the data does not have the root that was signed");
        }
        let bundle = Bundle::parse(&data.0).map_err(|_| "the data is not the bundle that was sent")?;
        if bundle.items.len() != expected.len() {
            return Err("the bundle has another number of items");
        }
        for (item, expected) in bundle.items.iter().zip(&expected) {
            if item.id() != expected.id || item.data().len() as u64 != expected.bytes {
                return Err("the bundle holds another item");
            }
            if weft_erasure::sha256(&item.data()) != expected.key.sha256 {
                return Err("an item has another SHA-256");
            }
        }
        Ok(())
    };
    let checked = tokio::task::spawn_blocking(check).await.map_err(|_| LedgerError::ShutDown)?;
    checked.map_err(|reason| LedgerError::NotVerified { gateway: gateway.clone(), reason })?;
    Ok(gateway)
}

/// Reads items back one by one; gives the gateway that had the last.
pub(super) async fn verify_items(weave: &dyn Weave, expected: &[Expected]) -> Result<String, LedgerError> {
    let mut last = String::new();
    for expected in expected {
        let fetched = weave.item(expected.id, expected.bytes).await?;
        let data = fetched.item.data();
        let found = tokio::task::spawn_blocking(move || (data.len() as u64, weft_erasure::sha256(&data)));
        if found.await.map_err(|_| LedgerError::ShutDown)? != (expected.bytes, expected.key.sha256) {
            let reason = "the item has another SHA-256";
            return Err(LedgerError::NotVerified { gateway: fetched.gateway, reason });
        }
        last = fetched.gateway;
    }
    Ok(last)
}
