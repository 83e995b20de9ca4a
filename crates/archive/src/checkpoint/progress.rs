//! How far an export, a verification or a restore has come.

use std::fmt;

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Finding out which keys changed.
    Changes,
    /// Accounts are read and written, or checked.
    Accounts,
    /// Slots.
    Storage,
    /// Contract code.
    Code,
    /// Headers.
    Headers,
    /// Items are fetched, compared with their hashes and loaded.
    Items,
    /// The tries are built from the records.
    Tries,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changes => "changed keys",
            Self::Accounts => "accounts",
            Self::Storage => "storage",
            Self::Code => "code",
            Self::Headers => "headers",
            Self::Items => "items",
            Self::Tries => "tries",
        })
    }
}

/// Told after every item, and every 65,536 records.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// How much of the phase is done, 0 to 1.
    pub fraction: f64,
    /// Records so far, of all phases.
    pub records: u64,
    /// Items so far.
    pub items: u64,
    /// Bytes of these items.
    pub bytes: u64,
}

/// Records between two calls when no item is finished.
pub(crate) const RECORDS_STEP: u64 = 1 << 16;

impl Progress {
    pub(crate) const fn new() -> Self {
        Self { phase: Phase::Changes, fraction: 0.0, records: 0, items: 0, bytes: 0 }
    }
}

/// Which part of all keys lies below this one. Keys are hashes, so that is how many records do.
pub(crate) fn fraction_of(key: &[u8]) -> f64 {
    let top = key.first_chunk().map_or(0, |top| u32::from_be_bytes(*top));
    f64::from(top) / f64::from(u32::MAX)
}
