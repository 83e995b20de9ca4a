//! Counters of the upload ledger; scope `weft_ledger`.

use metrics::{Counter, Gauge};
use metrics_derive::Metrics;

/// What an operator sees of the way to Arweave.
#[derive(Metrics, Clone)]
#[metrics(scope = "weft_ledger")]
pub(crate) struct LedgerMetrics {
    /// Items that wait to be shipped
    pub(crate) queued_items: Gauge,
    /// Bytes of items that wait to be shipped
    pub(crate) queued_bytes: Gauge,
    /// Bytes of items that are not verified yet
    pub(crate) spool_bytes: Gauge,
    /// Shipments that are paid and not verified yet
    pub(crate) shipments_open: Gauge,
    /// Seconds since the oldest item that is not verified was queued
    pub(crate) lag_seconds: Gauge,
    /// Winston booked since the database was made
    pub(crate) spent_winston: Gauge,
    /// Winston booked in this hour
    pub(crate) spent_this_hour_winston: Gauge,
    /// Whether nothing is paid for now: 1 by the total budget, 2 by the hour's, 3 by the price, 4 by the wallet's balance
    pub(crate) stopped: Gauge,
    /// Transactions and items that were signed to be paid
    pub(crate) signed: Counter,
    /// Of these, how many in place of one that can never be mined
    pub(crate) signed_again: Counter,
    /// Times that signed bytes were posted
    pub(crate) posted: Counter,
    /// Items that were read back and compared
    pub(crate) verified_items: Counter,
    /// Bytes of items that were read back and compared
    pub(crate) verified_bytes: Counter,
    /// Shipments that lost their block or their place in line
    pub(crate) orphaned: Counter,
    /// Steps that failed and are tried again
    pub(crate) failures: Counter,
}
