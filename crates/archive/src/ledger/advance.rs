//! One step of a shipment: asks the network one thing and writes down what follows from it.
//!
//! Every step may be done again. What is written is written before the next question is asked, so a crash between any two
//! lines costs a repetition and never a payment. Another transaction is signed for the same items in one case only:
//! every gateway was asked and none knows the old one, and the chain is longer than its anchor allows by as many blocks
//! as a reorganisation may take back.

use super::{
    LedgerError, LedgerKey, Payment, Shared,
    receipt::{Expected, verify_items, verify_transaction},
    ship::{ANCHOR_BLOCKS, affordable, assemble, blocking, parse_transaction, sign, signed_item},
};
use crate::weave::Presence;
use std::{sync::Arc, time::Duration};
use weft_arweave::{Error, Id, Transaction};
use weft_storage::{Booking, Carrier, Shipment, ShipmentState};

/// When a shipment is looked at again.
pub(super) enum Step {
    /// There is more to do at once.
    Again(Shipment),
    /// After the usual pause.
    Later(Shipment),
    /// Never.
    Done,
}

/// Takes a shipment one step further.
pub(super) async fn advance(
    shared: Arc<Shared>,
    number: u64,
    shipment: Shipment,
) -> Result<Step, LedgerError> {
    Advance { shared, number }.step(shipment).await
}

struct Advance {
    shared: Arc<Shared>,
    number: u64,
}

impl Advance {
    async fn step(&self, shipment: Shipment) -> Result<Step, LedgerError> {
        match (&shipment.carrier, &shipment.state) {
            (_, ShipmentState::Verified { .. } | ShipmentState::Failed { .. }) => Ok(Step::Done),
            (Carrier::Transaction { signed, anchor_height, .. }, state) => {
                let transaction = parse_transaction(signed)?;
                let anchor_height = *anchor_height;
                match state {
                    ShipmentState::Uploading => self.upload(shipment, transaction, anchor_height).await,
                    _ => self.look(shipment, transaction, anchor_height).await,
                }
            }
            (Carrier::Bundler { .. }, ShipmentState::Uploading) => self.hand_over(shipment).await,
            (Carrier::Bundler { transaction }, _) => {
                let carrier = *transaction;
                self.look_for_item(shipment, carrier).await
            }
        }
    }

    /// Posts the signed bytes.
    async fn upload(
        &self,
        shipment: Shipment,
        transaction: Transaction,
        anchor_height: u64,
    ) -> Result<Step, LedgerError> {
        match self.post(&shipment, &transaction).await {
            Ok(()) => {
                let at = self.shared.clock.now();
                self.write(shipment, ShipmentState::Posted { at }).await.map(Step::Again)
            }
            // Refused: perhaps because it is too old. Whether it is in a block already, only its place tells.
            Err(LedgerError::Network(error)) if !error.is_transient() => {
                let place = self.shared.weave.presence(transaction.id).await?;
                match place {
                    Presence::Unknown { height } if self.expired(anchor_height, height) => {
                        self.sign_again(shipment, &transaction).await
                    }
                    Presence::Unknown { .. } => Err(LedgerError::Network(error)),
                    Presence::Pending | Presence::Mined { .. } => {
                        let at = self.shared.clock.now();
                        self.write(shipment, ShipmentState::Posted { at }).await.map(Step::Again)
                    }
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn post(&self, shipment: &Shipment, transaction: &Transaction) -> Result<(), LedgerError> {
        let keys = shipment.items.clone();
        let data = blocking(&self.shared, move |shared| assemble(shared, &keys)).await?;
        self.shared.metrics.posted.increment(1);
        Ok(self.shared.weave.post(transaction, data).await?)
    }

    /// Asks where a posted transaction is.
    async fn look(
        &self,
        shipment: Shipment,
        transaction: Transaction,
        anchor_height: u64,
    ) -> Result<Step, LedgerError> {
        match self.shared.weave.presence(transaction.id).await? {
            Presence::Mined { height, confirmations } if confirmations < self.shared.config.confirmations => {
                self.write(shipment, ShipmentState::Confirmed { height, confirmations })
                    .await
                    .map(Step::Later)
            }
            Presence::Mined { height, confirmations } => {
                let shipment =
                    self.write(shipment, ShipmentState::Confirmed { height, confirmations }).await?;
                let expected = self.expected(&shipment).await?;
                let weave = self.shared.weave.as_ref();
                match verify_transaction(weave, &transaction, expected).await {
                    Ok(gateway) => self.verified(shipment, height, confirmations, gateway).await,
                    // Mined without all of its data: chunks are free, give them again.
                    Err(LedgerError::Network(error)) if matches!(*error, Error::NotFound(_)) => {
                        self.post(&shipment, &transaction).await?;
                        Err(LedgerError::Network(error))
                    }
                    Err(error) => Err(error),
                }
            }
            Presence::Pending => {
                let shipment = self.not_in_a_block(shipment).await?;
                Ok(Step::Later(shipment))
            }
            Presence::Unknown { height } if self.expired(anchor_height, height) => {
                self.sign_again(shipment, &transaction).await
            }
            Presence::Unknown { .. } => {
                let shipment = self.not_in_a_block(shipment).await?;
                self.post_again(shipment, transaction).await
            }
        }
    }

    /// Posts the same bytes again, once the transaction has been unknown for long enough.
    async fn post_again(&self, shipment: Shipment, transaction: Transaction) -> Result<Step, LedgerError> {
        let now = self.shared.clock.now();
        let since = match shipment.state {
            ShipmentState::Posted { at } => Duration::from_secs(now.saturating_sub(at)),
            _ => Duration::ZERO,
        };
        if since < self.shared.config.repost_after {
            return Ok(Step::Later(shipment));
        }
        match self.post(&shipment, &transaction).await {
            Ok(()) => {
                tracing::info!(target: "weft::ledger", shipment = self.number, transaction = %transaction.id, "posted again");
                self.write(shipment, ShipmentState::Posted { at: now }).await.map(Step::Later)
            }
            // Too old to be taken, not old enough to be given up.
            Err(LedgerError::Network(error)) if matches!(*error, Error::Rejected { .. }) => {
                Ok(Step::Later(shipment))
            }
            Err(error) => Err(error),
        }
    }

    async fn not_in_a_block(&self, shipment: Shipment) -> Result<Shipment, LedgerError> {
        if !matches!(shipment.state, ShipmentState::Confirmed { .. }) {
            return Ok(shipment);
        }
        self.shared.metrics.orphaned.increment(1);
        tracing::warn!(target: "weft::ledger", shipment = self.number, "lost its block on Arweave");
        let at = self.shared.clock.now();
        self.write(shipment, ShipmentState::Posted { at }).await
    }

    /// Whether a transaction that nobody knows can never be mined.
    fn expired(&self, anchor_height: u64, height: u64) -> bool {
        height > anchor_height + ANCHOR_BLOCKS + self.shared.config.confirmations
    }

    /// Signs another transaction for the same data; the old one's booking is moved to it.
    async fn sign_again(&self, mut shipment: Shipment, old: &Transaction) -> Result<Step, LedgerError> {
        let (Payment::Wallet(wallet), Some(root)) = (&self.shared.payment, old.data_root) else {
            let reason = "its transaction expired, and there is no wallet to pay for another";
            return self.give_up(shipment, reason, true).await;
        };
        let _one = self.shared.paying.lock().await;
        let price = self.shared.weave.price(shipment.bytes).await?;
        affordable(&self.shared, shipment.bytes, price, shipment.booked).await?;
        let Carrier::Transaction { id, mut superseded, .. } = shipment.carrier.clone() else {
            return Ok(Step::Later(shipment));
        };
        superseded.push(id);
        shipment.carrier = sign(&self.shared, wallet, (old.data_size, root), price, superseded).await?;
        shipment.booked = Booking { hour: self.shared.clock.hour(), winston: price.0 };
        shipment.signings += 1;
        self.shared.metrics.signed.increment(1);
        self.shared.metrics.signed_again.increment(1);
        tracing::warn!(target: "weft::ledger", shipment = self.number, old = %old.id, signings = shipment.signings, "expired without being mined, signed again");
        self.write(shipment, ShipmentState::Uploading).await.map(Step::Again)
    }

    /// Hands the item to the bundler.
    async fn hand_over(&self, shipment: Shipment) -> Result<Step, LedgerError> {
        let Some(key) = shipment.items.first().copied() else {
            return self.give_up(shipment, "it has no item", false).await;
        };
        let item = blocking(&self.shared, move |shared| signed_item(shared, key)).await?;
        self.shared.metrics.posted.increment(1);
        match self.shared.weave.post_item(&item).await {
            Ok(()) => {
                let at = self.shared.clock.now();
                self.write(shipment, ShipmentState::Posted { at }).await.map(Step::Later)
            }
            Err(Error::Rejected { status: 400, reason }) => {
                self.give_up(shipment, &format!("the bundler refuses it: {reason}"), false).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Asks where an item is that others put into a transaction.
    async fn look_for_item(
        &self,
        mut shipment: Shipment,
        carrier: Option<alloy_primitives::B256>,
    ) -> Result<Step, LedgerError> {
        let expected = self.expected(&shipment).await?;
        let carrier = match (carrier, expected.first()) {
            (Some(carrier), _) => Some(Id(carrier.0)),
            (None, Some(item)) => self.shared.weave.carrier(item.id).await?,
            (None, None) => None,
        };
        let Some(carrier) = carrier else { return Ok(Step::Later(shipment)) };
        shipment.carrier = Carrier::Bundler { transaction: Some(carrier.0.into()) };
        match self.shared.weave.presence(carrier).await? {
            Presence::Mined { height, confirmations } => {
                let enough = confirmations >= self.shared.config.confirmations;
                let shipment =
                    self.write(shipment, ShipmentState::Confirmed { height, confirmations }).await?;
                if !enough {
                    return Ok(Step::Later(shipment));
                }
                let gateway = verify_items(self.shared.weave.as_ref(), &expected).await?;
                self.verified(shipment, height, confirmations, gateway).await
            }
            Presence::Pending => self.not_in_a_block(shipment).await.map(Step::Later),
            Presence::Unknown { .. } => {
                // The bundler may carry it in another transaction.
                shipment.carrier = Carrier::Bundler { transaction: None };
                self.not_in_a_block(shipment).await.map(Step::Later)
            }
        }
    }

    async fn verified(
        &self,
        shipment: Shipment,
        height: u64,
        confirmations: u64,
        gateway: String,
    ) -> Result<Step, LedgerError> {
        let at = self.shared.clock.now();
        let state = ShipmentState::Verified { height, confirmations, at, gateway };
        let shipment = self.write(shipment, state).await?;
        let items = shipment.items.clone();
        blocking(&self.shared, move |shared| {
            items.iter().for_each(|key| shared.spool.remove(*key));
            Ok(())
        })
        .await?;
        self.shared.metrics.verified_items.increment(shipment.items.len() as u64);
        self.shared.metrics.verified_bytes.increment(shipment.bytes);
        tracing::info!(target: "weft::ledger", shipment = self.number, items = shipment.items.len(), bytes = shipment.bytes, height, confirmations, "shipment verified");
        Ok(Step::Done)
    }

    async fn give_up(&self, shipment: Shipment, reason: &str, requeue: bool) -> Result<Step, LedgerError> {
        tracing::error!(target: "weft::ledger", shipment = self.number, reason, requeue, "shipment given up");
        let shipment = Shipment { state: ShipmentState::Failed { reason: reason.to_owned() }, ..shipment };
        let number = self.number;
        blocking(&self.shared, move |shared| {
            shared.store.update_shipment(number, &shipment, requeue)?;
            for key in shipment.items.iter().filter(|_| requeue) {
                let bytes = shared.store.view().ledger_item(*key)?.map_or(0, |item| item.bytes);
                shared.count(|queued| {
                    queued.items += 1;
                    queued.bytes += bytes;
                });
            }
            Ok(())
        })
        .await?;
        Ok(Step::Done)
    }

    /// Writes a new state, where it is one.
    async fn write(&self, mut shipment: Shipment, state: ShipmentState) -> Result<Shipment, LedgerError> {
        shipment.error.clear();
        shipment.state = state;
        let number = self.number;
        blocking(&self.shared, move |shared| {
            if shared.store.view().shipment(number)?.as_ref() != Some(&shipment) {
                shared.store.update_shipment(number, &shipment, false)?;
            }
            Ok(shipment)
        })
        .await
    }

    async fn expected(&self, shipment: &Shipment) -> Result<Vec<Expected>, LedgerError> {
        let keys = shipment.items.clone();
        blocking(&self.shared, move |shared| {
            let view = shared.store.view();
            let expected = |key: &LedgerKey| -> Result<Expected, LedgerError> {
                let missing = weft_storage::StorageError::Ledger("no such item");
                let item = view.ledger_item(*key)?.ok_or(missing)?;
                Ok(Expected { key: *key, id: Id(item.id.0), bytes: item.bytes })
            };
            keys.iter().map(expected).collect()
        })
        .await
    }
}
