//! What a gateway was asked and did: counters for tests and operators.

use super::routes::Route;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

/// Counters since the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CounterReading {
    /// Requests by route, those with a fault included; routes that nobody asked are not there.
    pub requests: BTreeMap<Route, u64>,
    /// Requests that a fault changed, by route.
    pub faults: BTreeMap<Route, u64>,
    /// Connections that were closed because there were too many.
    pub connections_refused: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    requests: [AtomicU64; Route::ALL.len()],
    faults: [AtomicU64; Route::ALL.len()],
    connections_refused: AtomicU64,
}

impl Counters {
    pub(super) fn request(&self, route: Route) {
        self.requests[route as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn fault(&self, route: Route) {
        self.faults[route as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn connection_refused(&self) {
        self.connections_refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> CounterReading {
        let of = |counters: &[AtomicU64; Route::ALL.len()]| {
            Route::ALL
                .iter()
                .map(|route| (*route, counters[*route as usize].load(Ordering::Relaxed)))
                .filter(|(_, count)| *count > 0)
                .collect()
        };
        CounterReading {
            requests: of(&self.requests),
            faults: of(&self.faults),
            connections_refused: self.connections_refused.load(Ordering::Relaxed),
        }
    }
}
