//! Polling filters: what is asked for, and how far it was given out.
//!
//! A filter holds no results. It holds a position in the journals of [`Head`](crate::Head), and what
//! changed since is worked out when it is polled. At most `capacity` filters exist; a new one takes the
//! place of the one that was polled longest ago. A filter that was not polled for its lifetime is gone.

use alloy_rpc_types_eth::Filter;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// What a filter watches.
#[derive(Clone, Debug)]
pub enum FilterKind {
    /// Logs that match.
    Logs(Arc<Filter>),
    /// Hashes of new blocks.
    Blocks,
    /// Hashes of pending transactions, or the transactions themselves.
    Pending {
        /// Whole transactions are asked for.
        full: bool,
    },
}

/// An installed filter.
#[derive(Clone, Debug)]
pub struct Installed {
    /// What it watches.
    pub kind: FilterKind,
    /// The first journal entry that was not given out yet.
    pub position: u64,
    polled: Instant,
}

/// All installed filters.
#[derive(Debug)]
pub struct Filters {
    installed: Mutex<HashMap<u128, Installed>>,
    capacity: usize,
    lifetime: Duration,
}

impl Filters {
    /// None installed.
    pub fn new(capacity: usize, lifetime: Duration) -> Self {
        Self { installed: Mutex::default(), capacity: capacity.max(1), lifetime }
    }

    /// Installs a filter that begins at `position`; its id cannot be guessed.
    pub fn install(&self, kind: FilterKind, position: u64, now: Instant) -> u128 {
        let mut installed = self.installed.lock();
        installed.retain(|_, filter| now.duration_since(filter.polled) < self.lifetime);
        if installed.len() >= self.capacity
            && let Some(oldest) = installed.iter().min_by_key(|(_, filter)| filter.polled).map(|(id, _)| *id)
        {
            installed.remove(&oldest);
        }
        let id: u128 = rand::random();
        installed.insert(id, Installed { kind, position, polled: now });
        id
    }

    /// The filter, which counts as polled now; `None` when it is gone.
    pub fn poll(&self, id: u128, now: Instant) -> Option<Installed> {
        let mut installed = self.installed.lock();
        let filter = installed.get_mut(&id)?;
        if now.duration_since(filter.polled) >= self.lifetime {
            installed.remove(&id);
            return None;
        }
        filter.polled = now;
        Some(filter.clone())
    }

    /// Everything up to `position` was given out.
    pub fn advance(&self, id: u128, position: u64) {
        if let Some(filter) = self.installed.lock().get_mut(&id) {
            filter.position = filter.position.max(position);
        }
    }

    /// Removes the filter; whether it was there.
    pub fn uninstall(&self, id: u128) -> bool {
        self.installed.lock().remove(&id).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(300);

    #[test]
    fn a_filter_that_is_not_polled_is_gone() {
        let filters = Filters::new(10, LIFETIME);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (kept, forgotten) =
            (filters.install(FilterKind::Blocks, 0, at(0)), filters.install(FilterKind::Blocks, 0, at(0)));
        assert!(filters.poll(kept, at(200)).is_some());
        assert!(filters.poll(kept, at(400)).is_some());
        assert!(filters.poll(forgotten, at(400)).is_none());
        assert!(!filters.uninstall(forgotten));
    }

    #[test]
    fn the_one_polled_longest_ago_makes_room() {
        let filters = Filters::new(2, LIFETIME);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let first = filters.install(FilterKind::Blocks, 0, at(0));
        let second = filters.install(FilterKind::Blocks, 0, at(1));
        assert!(filters.poll(first, at(2)).is_some());
        let third = filters.install(FilterKind::Blocks, 0, at(3));
        let there = |id| filters.poll(id, at(4)).is_some();
        assert!(there(first) && !there(second) && there(third));
    }

    #[test]
    fn a_position_never_goes_back() {
        let filters = Filters::new(2, LIFETIME);
        let now = Instant::now();
        let id = filters.install(FilterKind::Blocks, 5, now);
        filters.advance(id, 9);
        filters.advance(id, 7);
        assert_eq!(filters.poll(id, now).map(|filter| filter.position), Some(9));
    }
}
