//! What a new head does to the pool.
//!
//! Called by the engine after the head is durable. Reads the state of the senders that the change touched and of
//! no others: who sent something that was included or reverted, and who authorised a delegation (EIP-7702).

use crate::{config::Origin, core::Core, entry::Entry};
use alloy_consensus::Transaction as _;
use alloy_primitives::{
    Address,
    map::{AddressMap, AddressSet, B256Set},
};
use std::{sync::Arc, time::Instant};
use weft_primitives::{PreparedTransaction, SealedHeader};

impl Core {
    /// See [`Pool::on_canonical`](crate::Pool::on_canonical).
    pub(crate) fn on_canonical(
        &self,
        head: &SealedHeader,
        included: &[Arc<PreparedTransaction>],
        reverted: &[Arc<PreparedTransaction>],
    ) {
        let included_hashes: B256Set = included.iter().map(|tx| tx.hash()).collect();
        let mut returning: Vec<_> =
            reverted.iter().filter(|tx| !included_hashes.contains(&tx.hash())).cloned().collect();
        returning.sort_by_key(|tx| tx.tx.nonce());

        let mut state = self.advance(head);
        for hash in &included_hashes {
            if let Some(sidecar) = state.book.get(hash).and_then(|entry| entry.sidecar.clone()) {
                state.limbo.put(*hash, sidecar);
            }
        }
        // Transactions are taken out below, by nonce, once their senders' accounts are read: until then they
        // hold their successors in place.
        let mut touched: AddressSet = touched(included, reverted);
        touched.retain(|sender| state.book.senders().contains_key(sender));
        touched.extend(returning.iter().map(|tx| tx.sender));
        drop(state);
        self.refresh(touched, returning);
    }

    /// See [`Pool::revalidate`](crate::Pool::revalidate).
    pub(crate) fn refresh(&self, senders: AddressSet, returning: Vec<Arc<PreparedTransaction>>) {
        let senders: Vec<Address> = senders.into_iter().collect();
        let accounts: AddressMap<_> = match self.read_accounts(&senders) {
            Ok(accounts) => senders.into_iter().zip(accounts).collect(),
            Err(error) => {
                // What is stale is refused when it is executed; the next head touches it again.
                tracing::error!(target: "weft::pool", %error, "accounts could not be read after a new head");
                AddressMap::default()
            }
        };
        let mut promoted = Vec::new();
        let mut state = self.state();
        for (sender, account) in &accounts {
            promoted
                .extend(state.book.set_account(*sender, *account).into_iter().map(|entry| entry.tx.clone()));
        }
        for tx in returning {
            let sidecar = state.limbo.take(&tx.hash());
            if tx.tx.is_eip4844() && sidecar.is_none() {
                continue; // without its blobs nobody could propose it
            }
            let Some(account) = accounts.get(&tx.sender) else { continue };
            match state.book.insert(Entry::new(tx, sidecar, Origin::Local), *account) {
                Ok(inserted) => {
                    self.metrics().reinjected_total.increment(1);
                    promoted.extend(inserted.promoted);
                }
                Err(error) => {
                    tracing::debug!(target: "weft::pool", %error, "reverted transaction not taken back")
                }
            }
        }
        let expired = state.book.expire(Instant::now(), self.config().queued_lifetime);
        let totals = state.book.totals();
        drop(state);
        self.metrics().expired_total.increment(expired as u64);
        self.metrics().sizes(totals, self.preparer().parity().live());
        self.announce(promoted);
        self.room().notify_waiters();
    }
}

fn touched(included: &[Arc<PreparedTransaction>], reverted: &[Arc<PreparedTransaction>]) -> AddressSet {
    let mut touched = AddressSet::default();
    for tx in included.iter().chain(reverted) {
        touched.insert(tx.sender);
        for authorization in tx.tx.authorization_list().unwrap_or_default() {
            // One whose signature is invalid is skipped by execution as well.
            touched.extend(authorization.recover_authority().ok());
        }
    }
    touched
}
