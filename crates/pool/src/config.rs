//! The pool's limits; every one of them is a flag of the node.

use std::time::Duration;

/// Where a transaction came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// This node's own RPC: needs no minimum tip and is evicted after external ones of the same price.
    Local,
    /// A peer.
    External,
}

/// Limits of a [`Pool`](crate::Pool).
///
/// Worst-case memory: `bytes_max` of pooled transactions, `admission_bytes_max` of those under way,
/// `parity_bytes_max` of parity (counted until the last holder lets it go, also after the pool has), and
/// `limbo_bytes_max` of sidecars. With the defaults that is 1152 MiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// Pooled transactions.
    pub transactions_max: usize,
    /// Bytes of pooled transactions: encoding, sidecar, cell hashes and a constant for bookkeeping each.
    pub bytes_max: usize,
    /// Share of `transactions_max` and of `bytes_max` that transactions behind a nonce gap may take, in percent.
    pub queued_percent_max: usize,
    /// Transactions of one sender.
    pub account_slots_max: usize,
    /// Transactions of a sender whose account is delegated (EIP-7702): others can empty it at any time.
    pub delegated_slots_max: usize,
    /// How much more a replacement pays, in percent.
    pub price_bump_percent: u64,
    /// The same for type-3 transactions, in percent.
    pub blob_price_bump_percent: u64,
    /// What an external transaction tips at least, in wei per gas.
    pub minimum_tip_wei: u128,
    /// How long a transaction may wait behind a nonce gap.
    pub queued_lifetime: Duration,
    /// Largest transaction in bytes, without sidecar. `None`: the chain's `maxTxBytes`, or geth's 128 KiB on a
    /// plain chain.
    pub transaction_bytes_max: Option<usize>,
    /// Bytes of transactions that are being decoded, hashed and coded, or wait for room, at any moment.
    pub admission_bytes_max: usize,
    /// How long `submit` waits for room, in admission and in the pool together, before it refuses.
    pub admission_wait: Duration,
    /// Threads that prepare transactions. 0: one per core.
    pub admission_threads: usize,
    /// Blobs in blocks that wait for the archive, in bytes; above it blobs wait in admission.
    pub backlog_bytes_max: u64,
    /// Parity kept in memory with prepared transactions. Above it only cell hashes are kept, and whoever needs
    /// the parity codes it again.
    pub parity_bytes_max: usize,
    /// Sidecars of included type-3 transactions, for a reorganisation.
    pub limbo_bytes_max: usize,
    /// Notifications a slow subscriber may lag behind before it loses the oldest.
    pub notifications_max: usize,
}

const MIB: usize = 1 << 20;

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            transactions_max: 200_000,
            bytes_max: 512 * MIB,
            queued_percent_max: 50,
            account_slots_max: 16_384,
            delegated_slots_max: 1,
            price_bump_percent: 10,
            blob_price_bump_percent: 100,
            minimum_tip_wei: 0,
            queued_lifetime: Duration::from_secs(3 * 60 * 60),
            transaction_bytes_max: None,
            admission_bytes_max: 64 * MIB,
            admission_wait: Duration::from_secs(20),
            admission_threads: 0,
            backlog_bytes_max: 128 * MIB as u64,
            parity_bytes_max: 512 * MIB,
            limbo_bytes_max: 64 * MIB,
            notifications_max: 8192,
        }
    }
}

impl PoolConfig {
    /// Threads to start.
    pub(crate) fn threads(&self) -> usize {
        match self.admission_threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }

    /// Transactions that may be behind a gap.
    pub(crate) fn queued_max(&self) -> usize {
        percent(self.transactions_max, self.queued_percent_max)
    }

    /// Bytes that may be behind a gap.
    pub(crate) fn queued_bytes_max(&self) -> usize {
        percent(self.bytes_max, self.queued_percent_max)
    }
}

fn percent(of: usize, percent: usize) -> usize {
    // Divided first where the product could overflow; limits are far above 100.
    of.checked_mul(percent).map_or(of / 100 * percent, |product| product / 100)
}
