//! The network in small: what is shared by requests, the miner and the handle.

use super::{
    GatewayConfig, Refusal,
    counters::Counters,
    error::GatewayError,
    faults::Faults,
    records::{DataKey, ItemRecord, PENDING_HEIGHT, Source, State, TransactionRecord},
    store::{Store, View},
};
use crate::{Address, Id, Wallet, Winston, bundle, merkle::CHUNK_BYTES_MAX, tag::value_of};
use parking_lot::Mutex;
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::sync::{Notify, OnceCell, OwnedSemaphorePermit, Semaphore, watch};

/// Everything behind the port.
pub(super) struct Network {
    pub(super) config: GatewayConfig,
    pub(super) store: Store,
    pub(super) counters: Counters,
    pub(super) faults: Mutex<Faults>,
    /// Height of the newest block.
    pub(super) height: watch::Sender<u64>,
    /// Wakes the miner: something waits.
    pub(super) waiting: Notify,
    /// Permits are bytes of request bodies in memory.
    pub(super) bodies: Arc<Semaphore>,
    /// Signatures and hashes are checked by at most so many threads at a time.
    pub(super) workers: Arc<Semaphore>,
    /// The bundler's wallet, once it was needed.
    pub(super) wallet: OnceCell<Wallet>,
    /// One bundle is made at a time.
    pub(super) bundling: tokio::sync::Mutex<()>,
    /// One bundle is looked into at a time.
    pub(super) unbundling: tokio::sync::Mutex<()>,
}

/// What a `GET` of data finds.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) source: Option<Source>,
    pub(super) start: u64,
    pub(super) length: u64,
    pub(super) content_type: Option<String>,
}

impl Network {
    /// Runs what takes the processor's time, off the async threads and few at a time.
    pub(super) async fn work<T, J>(self: &Arc<Self>, job: J) -> Result<T, GatewayError>
    where
        T: Send + 'static,
        J: FnOnce(&Self) -> Result<T, GatewayError> + Send + 'static,
    {
        let permit = Arc::clone(&self.workers).acquire_owned().await.map_err(|_| GatewayError::Stopped)?;
        self.run(Some(permit), job).await
    }

    /// Runs what waits for the disk, off the async threads; as many at a time as there are connections.
    pub(super) async fn read<T, J>(self: &Arc<Self>, job: J) -> Result<T, GatewayError>
    where
        T: Send + 'static,
        J: FnOnce(&Self) -> Result<T, GatewayError> + Send + 'static,
    {
        self.run(None, job).await
    }

    async fn run<T, J>(
        self: &Arc<Self>,
        permit: Option<OwnedSemaphorePermit>,
        job: J,
    ) -> Result<T, GatewayError>
    where
        T: Send + 'static,
        J: FnOnce(&Self) -> Result<T, GatewayError> + Send + 'static,
    {
        let network = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            job(&network)
        });
        // Cancelled only with the runtime; a panic has been printed.
        task.await.map_err(|_| GatewayError::Stopped)?
    }

    /// What a transaction with `bytes` of data costs, in winston.
    pub(super) fn price(
        &self,
        view: &impl View,
        bytes: u64,
        target: Option<&Address>,
    ) -> Result<u128, GatewayError> {
        let prices = &self.config.prices;
        let chunks = bytes.div_ceil(CHUNK_BYTES_MAX as u64);
        let mut price = prices.base.saturating_add(prices.per_chunk.saturating_mul(u128::from(chunks)));
        if let Some(target) = target
            && view.account(target)?.is_none()
        {
            price = price.saturating_add(prices.new_account);
        }
        Ok(price.saturating_mul(u128::from(self.faults.lock().price_percent)) / 100)
    }

    /// The data of a transaction or an item, once all of it is here.
    pub(super) fn content(&self, view: &impl View, id: &Id) -> Result<Content, GatewayError> {
        if let Some(record) = view.transaction(id)? {
            return self.content_of_transaction(view, &record);
        }
        let item = self.known_item(view, id)?.ok_or_else(Refusal::not_found)?;
        Ok(Content {
            source: Some(item.source),
            start: item.data_start,
            length: item.end - item.data_start,
            content_type: content_type(&item.header.tags),
        })
    }

    fn content_of_transaction(
        &self,
        view: &impl View,
        record: &TransactionRecord,
    ) -> Result<Content, GatewayError> {
        let (key, tags) = (record.data(), &record.transaction.tags);
        let there = match &key {
            _ if matches!(record.state, State::Dropped(_)) => false,
            Some(key) => self.is_complete(view, key)?,
            None => true,
        };
        if !there {
            return Err(Refusal::not_found().into());
        }
        Ok(Content {
            source: key.map(Source::Data),
            start: 0,
            length: record.transaction.data_size,
            content_type: content_type(tags),
        })
    }

    /// Whether every chunk is here and none is hidden.
    pub(super) fn is_complete(&self, view: &impl View, key: &DataKey) -> Result<bool, GatewayError> {
        let complete = view.present_bytes(key)? == Some(key.size);
        Ok(complete && !self.faults.lock().hides_part_of(key))
    }

    /// An item, unless the transaction that carries it is gone.
    pub(super) fn known_item(&self, view: &impl View, id: &Id) -> Result<Option<ItemRecord>, GatewayError> {
        let Some(item) = view.item(id)? else { return Ok(None) };
        if height_of_item(view, &item)?.is_none() {
            return Ok(None);
        }
        match &item.source {
            Source::Data(key) if !self.is_complete(view, key)? => Ok(None),
            _ => Ok(Some(item)),
        }
    }

    /// The winston that `address` owns in the newest block.
    pub(super) fn balance(&self, view: &impl View, address: &Address) -> Result<Winston, GatewayError> {
        Ok(view.account(address)?.unwrap_or_default().balance)
    }
}

/// Where the query index has an item; nothing when its carrier is gone.
pub(super) fn height_of_item(view: &impl View, item: &ItemRecord) -> Result<Option<u64>, GatewayError> {
    match &item.carrier {
        None => Ok(Some(PENDING_HEIGHT)),
        Some(carrier) => Ok(view.transaction(carrier)?.and_then(|record| record.state.height())),
    }
}

/// Whether a transaction's data is a bundle.
pub(super) fn has_bundle(record: &TransactionRecord) -> bool {
    record.transaction.data_size > 0 && bundle::is_bundle(&record.transaction.tags)
}

fn content_type(tags: &[crate::Tag]) -> Option<String> {
    String::from_utf8(value_of(tags, "Content-Type")?.to_vec()).ok()
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
