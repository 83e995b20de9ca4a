//! Transactions that are on their way into the pool: being fetched from a peer, or being prepared.
//!
//! The relay says what is on its way, the follower looks here before it fetches what a block needs, so that no transaction
//! crosses a link twice. As many entries as the relay has under way. The other way round, the relay does not fetch what a
//! block claims: the follower gets that itself.

use alloy_primitives::{Bytes, TxHash};
use lru::LruCache;
use parking_lot::Mutex;
use std::{collections::HashMap, num::NonZeroUsize, sync::Arc};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

/// Hashes of blocks that are remembered: eight times what one announcement has room for; about 12 MB.
const CLAIMED_MAX: NonZeroUsize = NonZeroUsize::new(131_072).expect("not zero");

/// What is on its way. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Arrivals(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// With bytes once they are here.
    under_way: Mutex<HashMap<TxHash, Option<Bytes>>>,
    changed: Notify,
    /// Of blocks lately.
    claimed: Mutex<LruCache<TxHash, ()>>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            under_way: Mutex::default(),
            changed: Notify::new(),
            claimed: Mutex::new(LruCache::new(CLAIMED_MAX)),
        }
    }
}

impl Arrivals {
    /// A peer was asked for it.
    pub(crate) fn begin(&self, hash: TxHash) {
        self.0.under_way.lock().entry(hash).or_default();
    }

    /// Its bytes are here and go to the pool.
    pub(crate) fn arrived(&self, hash: TxHash, bytes: Bytes) {
        self.0.under_way.lock().insert(hash, Some(bytes));
    }

    /// It is in the pool, or will not come.
    pub(crate) fn end(&self, hash: TxHash) {
        self.0.under_way.lock().remove(&hash);
        self.0.changed.notify_waiters();
    }

    /// A block has these.
    pub(crate) fn claim(&self, hashes: impl IntoIterator<Item = TxHash>) {
        let mut claimed = self.0.claimed.lock();
        for hash in hashes {
            claimed.put(hash, ());
        }
    }

    /// Whether a block has it.
    pub(crate) fn is_claimed(&self, hash: &TxHash) -> bool {
        self.0.claimed.lock().contains(hash)
    }

    /// Bytes that have arrived; whether they are the transaction's is not known yet.
    pub(crate) fn bytes(&self, hash: &TxHash) -> Option<Bytes> {
        self.0.under_way.lock().get(hash).cloned().flatten()
    }

    /// Returns when none of `hashes` is on its way any more, or at `deadline`.
    pub(crate) async fn settled(&self, hashes: impl Fn() -> Vec<TxHash>, deadline: Instant) {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that no change in between is missed.
            changed.as_mut().enable();
            let waiting = {
                let under_way = self.0.under_way.lock();
                hashes().iter().any(|hash| under_way.contains_key(hash))
            };
            if !waiting || timeout_at(deadline, changed).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_with_the_last_one_or_at_the_deadline() {
        let (arrivals, hashes) = (Arrivals::default(), [TxHash::repeat_byte(1), TxHash::repeat_byte(2)]);
        hashes.iter().for_each(|hash| arrivals.begin(*hash));
        let begun = Instant::now();
        let deadline = begun + Duration::from_secs(5);
        let ends = async {
            for hash in hashes {
                tokio::time::sleep(Duration::from_secs(1)).await;
                arrivals.end(hash);
            }
        };
        tokio::join!(arrivals.settled(|| hashes.to_vec(), deadline), ends);
        assert_eq!(begun.elapsed(), Duration::from_secs(2));
        arrivals.begin(hashes[0]);
        arrivals.settled(|| hashes.to_vec(), deadline).await;
        assert_eq!(Instant::now(), deadline);
        arrivals.arrived(hashes[0], Bytes::from_static(b"tx"));
        assert_eq!(arrivals.bytes(&hashes[0]), Some(Bytes::from_static(b"tx")));
        assert_eq!(arrivals.bytes(&hashes[1]), None);
    }
}
