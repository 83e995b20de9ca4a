//! The pooled transactions themselves: by hash, by sender and nonce, and in order of eviction.
//!
//! Plain data behind the pool's lock; knows neither threads nor storage. Invariants, which
//! [`Book::assert_consistent`] checks in tests:
//! - every transaction is in `hashes` and in its sender's `transactions`, once;
//! - a sender's first `executable` transactions have consecutive nonces from the account's on, and the account
//!   can pay for all of them at their caps; whatever comes after is *queued*;
//! - `totals` are the sums over all senders and stay within the limits;
//! - no sender is without transactions.

use crate::{
    best::BestTransactions,
    config::{Origin, PoolConfig},
    entry::{Entry, Facts},
    error::PoolError,
    pool::SubPool,
    state::Account,
};
use alloy_primitives::{
    Address, TxHash, U256,
    map::{AddressMap, B256Map},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};
use weft_primitives::PreparedTransaction;

/// Sums over all senders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub count: usize,
    pub bytes: usize,
    pub executable: usize,
    pub executable_bytes: usize,
}

impl Totals {
    pub(crate) fn queued(&self) -> usize {
        self.count - self.executable
    }

    pub(crate) fn queued_bytes(&self) -> usize {
        self.bytes - self.executable_bytes
    }
}

/// One account's transactions.
#[derive(Debug)]
pub(crate) struct Sender {
    pub account: Account,
    pub transactions: BTreeMap<u64, Arc<Entry>>,
    /// How many of them, from the first on, could go into a block one after the other.
    pub executable: usize,
    /// What those cost at most.
    executable_cost: U256,
    /// What all cost at most.
    cost: U256,
}

/// Order of eviction: what pays nothing goes first, then the lowest tip, external before local, youngest first.
type EvictionKey = (Option<u128>, bool, Reverse<u64>, Address, u64);

/// What an insertion changed.
#[derive(Debug, Default)]
pub(crate) struct Inserted {
    /// Transactions that can go into a block now and could not before, in nonce order.
    pub promoted: Vec<Arc<PreparedTransaction>>,
    /// Whether it took the place of another one.
    pub replaced: bool,
    /// How many cheaper ones made room.
    pub evicted: usize,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Book {
    config: PoolConfig,
    hashes: B256Map<(Address, u64)>,
    senders: AddressMap<Sender>,
    totals: Totals,
    base_fee: u64,
    arrivals: u64,
    /// Built when the pool is full for the first time after the base fee changed, kept up from then on.
    evictions: Option<BTreeSet<EvictionKey>>,
}

impl Book {
    pub(crate) fn new(config: PoolConfig, base_fee: u64) -> Self {
        Self {
            config,
            hashes: B256Map::default(),
            senders: AddressMap::default(),
            totals: Totals::default(),
            base_fee,
            arrivals: 0,
            evictions: None,
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    pub(crate) fn senders(&self) -> &AddressMap<Sender> {
        &self.senders
    }

    pub(crate) fn contains(&self, hash: &TxHash) -> bool {
        self.hashes.contains_key(hash)
    }

    pub(crate) fn get(&self, hash: &TxHash) -> Option<&Arc<Entry>> {
        let (sender, nonce) = self.hashes.get(hash)?;
        self.senders.get(sender)?.transactions.get(nonce)
    }

    /// Refuses what [`insert`](Self::insert) would refuse for reasons other than room.
    pub(crate) fn check(&self, entry: &Facts, account: &Account) -> Result<(), PoolError> {
        if self.contains(&entry.hash) {
            return Err(PoolError::AlreadyKnown(entry.hash));
        }
        if account.is_contract() {
            return Err(PoolError::SenderNotEoa { sender: entry.sender, code_hash: account.code_hash });
        }
        if entry.nonce < account.nonce {
            return Err(PoolError::NonceTooLow { next: account.nonce, nonce: entry.nonce });
        }
        if entry.cost > account.balance {
            return Err(PoolError::Funds { balance: account.balance, cost: entry.cost });
        }
        let blob = entry.blob_fee_cap.is_some();
        let Some(sender) = self.senders.get(&entry.sender) else {
            return if blob && entry.nonce > account.nonce {
                Err(PoolError::NonceTooHigh { nonce: entry.nonce, gap: account.nonce })
            } else {
                Ok(())
            };
        };
        let first = sender.transactions.range(account.nonce..).next();
        if first.is_some_and(|(_, tx)| tx.blob_fee_cap.is_some() != blob) {
            return Err(PoolError::Reserved);
        }
        let replaced = sender.transactions.get(&entry.nonce);
        let queued = sender.cost_as_of(account).saturating_sub(replaced.map_or(U256::ZERO, |old| old.cost));
        if queued.saturating_add(entry.cost) > account.balance {
            return Err(PoolError::FundsWithPooled { balance: account.balance, queued, cost: entry.cost });
        }
        match replaced {
            Some(old) => self.check_replacement(entry, old),
            None => self.check_slots(entry, account, sender),
        }
    }

    fn check_replacement(&self, entry: &Facts, old: &Facts) -> Result<(), PoolError> {
        let bump = match entry.blob_fee_cap {
            Some(_) => self.config.blob_price_bump_percent,
            None => self.config.price_bump_percent,
        };
        if entry.outbids(old, bump) { Ok(()) } else { Err(PoolError::ReplacementUnderpriced) }
    }

    fn check_slots(&self, entry: &Facts, account: &Account, sender: &Sender) -> Result<(), PoolError> {
        let used = sender.transactions.len() - sender.executed(account).count();
        if used >= self.config.account_slots_max {
            return Err(PoolError::AccountLimit(used));
        }
        if account.delegated && used >= self.config.delegated_slots_max {
            return Err(PoolError::DelegatedLimit);
        }
        let gap = sender.executable_end().max(account.nonce);
        if entry.blob_fee_cap.is_some() && entry.nonce > gap {
            return Err(PoolError::NonceTooHigh { nonce: entry.nonce, gap });
        }
        Ok(())
    }

    /// Takes a transaction in, in place of one with the same nonce if it pays enough more, and evicts cheaper
    /// ones when there is no room. Leaves everything as it was when it refuses.
    pub(crate) fn insert(&mut self, mut entry: Entry, account: Account) -> Result<Inserted, PoolError> {
        // The account is newer than what the book has, or the same.
        self.check(&entry, &account)?;
        let address = entry.sender;
        let victims = self.room_for(&entry, &account)?;
        let evicted = victims.len();
        for (_, _, _, sender, nonce) in victims {
            self.remove(sender, nonce);
        }
        let replaced =
            self.senders.get(&address).is_some_and(|sender| sender.transactions.contains_key(&entry.nonce));
        // A replaced transaction leaves the executable ones as they are but for this nonce; `set_account` below
        // extends them again.
        let end_before = self.executable_end(address, &account);
        if replaced {
            self.remove(address, entry.nonce);
        }
        self.arrivals += 1;
        entry.arrival = self.arrivals;
        let entry = Arc::new(entry);
        self.hashes.insert(entry.hash, (address, entry.nonce));
        self.totals.count += 1;
        self.totals.bytes += entry.bytes;
        if let Some(evictions) = &mut self.evictions {
            evictions.insert(eviction_key(&entry, self.base_fee));
        }
        let sender = self.senders.entry(address).or_insert_with(|| Sender::new(account));
        sender.cost = sender.cost.saturating_add(entry.cost);
        let nonce = entry.nonce;
        sender.transactions.insert(nonce, entry.clone());
        let mut promoted = if sender.account == account {
            sender.extend(&mut self.totals)
        } else {
            self.set_account(address, account)
        };
        promoted.retain(|tx| tx.nonce >= end_before || tx.nonce == nonce);
        Ok(Inserted { promoted: promoted.iter().map(|tx| tx.tx.clone()).collect(), replaced, evicted })
    }

    fn executable_end(&self, address: Address, account: &Account) -> u64 {
        self.senders.get(&address).map_or(account.nonce, Sender::executable_end)
    }

    /// Which transactions must go so that this one fits; none of them is touched yet.
    fn room_for(&mut self, entry: &Entry, account: &Account) -> Result<Vec<EvictionKey>, PoolError> {
        let address = entry.sender;
        let (end, replaced) = match self.senders.get(&address) {
            Some(sender) => {
                (sender.executable_end(), sender.transactions.get(&entry.nonce).map_or(0, |old| old.bytes))
            }
            None => (account.nonce, 0),
        };
        let is_new = replaced == 0;
        let count = self.totals.count + usize::from(is_new);
        let bytes = self.totals.bytes - replaced + entry.bytes;
        if entry.nonce > end
            && is_new
            && (self.totals.queued() + 1 > self.config.queued_max()
                || self.totals.queued_bytes() + entry.bytes > self.config.queued_bytes_max())
        {
            return Err(PoolError::Full);
        }
        let mut excess_count = count.saturating_sub(self.config.transactions_max);
        let mut excess_bytes = bytes.saturating_sub(self.config.bytes_max);
        if excess_count == 0 && excess_bytes == 0 {
            return Ok(Vec::new());
        }
        let tip = entry.effective_tip(self.base_fee);
        let mut victims = Vec::new();
        self.build_evictions();
        for key in self.evictions.iter().flatten() {
            let (victim_tip, _, _, sender, nonce) = *key;
            if sender == address {
                continue;
            }
            if victim_tip >= tip {
                let underpriced = victims.is_empty() && victim_tip > tip;
                return Err(if underpriced { PoolError::Underpriced } else { PoolError::Full });
            }
            victims.push(*key);
            let freed =
                self.senders.get(&sender).and_then(|s| s.transactions.get(&nonce)).map_or(0, |tx| tx.bytes);
            excess_count = excess_count.saturating_sub(1);
            excess_bytes = excess_bytes.saturating_sub(freed);
            if excess_count == 0 && excess_bytes == 0 {
                return Ok(victims);
            }
        }
        Err(PoolError::Full)
    }

    /// Builds the order of eviction when it is not there.
    fn build_evictions(&mut self) {
        let (senders, base_fee) = (&self.senders, self.base_fee);
        self.evictions.get_or_insert_with(|| {
            let all = senders.values().flat_map(|sender| sender.transactions.values());
            all.map(|tx| eviction_key(tx, base_fee)).collect()
        });
    }

    /// Takes one transaction out; its successors become queued.
    fn remove(&mut self, address: Address, nonce: u64) -> Option<Arc<Entry>> {
        let sender = self.senders.get_mut(&address)?;
        if sender.transactions.contains_key(&nonce) {
            sender.shrink(nonce, &mut self.totals);
        }
        let entry = sender.transactions.remove(&nonce)?;
        sender.cost = sender.cost.saturating_sub(entry.cost);
        if sender.transactions.is_empty() {
            self.senders.remove(&address);
        }
        self.hashes.remove(&entry.hash);
        self.totals.count -= 1;
        self.totals.bytes -= entry.bytes;
        if let Some(evictions) = &mut self.evictions {
            evictions.remove(&eviction_key(&entry, self.base_fee));
        }
        Some(entry)
    }

    /// Takes one transaction out by its hash.
    pub(crate) fn remove_hash(&mut self, hash: &TxHash) -> Option<Arc<Entry>> {
        let (sender, nonce) = *self.hashes.get(hash)?;
        self.remove(sender, nonce)
    }

    /// The account changed: drops what can never be executed any more, and tells what became executable.
    pub(crate) fn set_account(&mut self, address: Address, account: Account) -> Vec<Arc<Entry>> {
        let Some(sender) = self.senders.get_mut(&address) else { return Vec::new() };
        let end_before = sender.executable_end();
        sender.shrink(0, &mut self.totals);
        sender.account = account;
        let gone: Vec<u64> = sender
            .transactions
            .iter()
            .filter(|(nonce, tx)| {
                **nonce < account.nonce || tx.cost > account.balance || account.is_contract()
            })
            .map(|(nonce, _)| *nonce)
            .collect();
        for nonce in gone {
            self.remove(address, nonce);
        }
        let Some(sender) = self.senders.get_mut(&address) else { return Vec::new() };
        let mut promoted = sender.extend(&mut self.totals);
        promoted.retain(|tx| tx.nonce >= end_before);
        promoted
    }

    /// Drops transactions that waited behind a gap for too long; says how many.
    pub(crate) fn expire(&mut self, now: Instant, lifetime: Duration) -> usize {
        let old: Vec<TxHash> = self
            .senders
            .values()
            .flat_map(|sender| sender.transactions.values().skip(sender.executable))
            .filter(|tx| now.saturating_duration_since(tx.since) >= lifetime)
            .map(|tx| tx.hash)
            .collect();
        old.iter().filter(|hash| self.remove_hash(hash).is_some()).count()
    }

    pub(crate) fn set_base_fee(&mut self, base_fee: u64) {
        if self.base_fee != base_fee {
            self.base_fee = base_fee;
            self.evictions = None;
        }
    }

    /// A copy of everything executable at these fees.
    pub(crate) fn best(&self, base_fee: u64, blob_base_fee: Option<u128>) -> BestTransactions {
        let chains = self.senders.values().filter(|sender| sender.executable > 0).map(|sender| {
            sender
                .transactions
                .values()
                .take(sender.executable)
                .take_while(|tx| tx.fee_cap >= u128::from(base_fee) && tx.pays_blob_fee(blob_base_fee))
                .cloned()
                .collect()
        });
        BestTransactions::new(base_fee, chains)
    }

    /// Panics when an invariant of the module's documentation is broken.
    #[cfg(test)]
    pub(crate) fn assert_consistent(&self) {
        let mut totals = Totals::default();
        for (address, sender) in &self.senders {
            assert!(!sender.transactions.is_empty(), "sender without transactions");
            let (mut cost, mut executable_cost) = (U256::ZERO, U256::ZERO);
            for (index, (nonce, tx)) in sender.transactions.iter().enumerate() {
                assert_eq!(self.hashes.get(&tx.hash), Some(&(*address, *nonce)));
                assert_eq!((tx.nonce, tx.sender), (*nonce, *address));
                assert!(*nonce >= sender.account.nonce, "stale nonce");
                totals.count += 1;
                totals.bytes += tx.bytes;
                cost += tx.cost;
                if index < sender.executable {
                    assert_eq!(*nonce, sender.account.nonce + index as u64, "gap among executable");
                    executable_cost += tx.cost;
                    totals.executable += 1;
                    totals.executable_bytes += tx.bytes;
                }
                if let Some(evictions) = &self.evictions {
                    assert!(evictions.contains(&eviction_key(tx, self.base_fee)));
                }
            }
            assert!(executable_cost <= sender.account.balance, "executable beyond the balance");
            assert_eq!((sender.cost, sender.executable_cost), (cost, executable_cost));
        }
        assert_eq!(self.totals, totals);
        assert_eq!(self.hashes.len(), totals.count);
        assert!(self.evictions.as_ref().is_none_or(|evictions| evictions.len() == totals.count));
        assert!(totals.count <= self.config.transactions_max && totals.bytes <= self.config.bytes_max);
    }
}

fn eviction_key(tx: &Entry, base_fee: u64) -> EvictionKey {
    let local = tx.origin == Origin::Local;
    (tx.effective_tip(base_fee), local, Reverse(tx.arrival), tx.sender, tx.nonce)
}

impl Sender {
    fn new(account: Account) -> Self {
        Self {
            account,
            transactions: BTreeMap::new(),
            executable: 0,
            executable_cost: U256::ZERO,
            cost: U256::ZERO,
        }
    }

    /// The first nonce that is not executable.
    pub(crate) fn executable_end(&self) -> u64 {
        self.account.nonce.saturating_add(self.executable as u64)
    }

    /// What was executed as of `account`. It is newer than what the book knows while a block is durable and its
    /// transactions are not yet taken out.
    fn executed(&self, account: &Account) -> impl Iterator<Item = &Arc<Entry>> {
        self.transactions.range(..account.nonce).map(|(_, tx)| tx)
    }

    /// What the others cost at most.
    fn cost_as_of(&self, account: &Account) -> U256 {
        self.executed(account).fold(self.cost, |cost, tx| cost.saturating_sub(tx.cost))
    }

    /// In nonce order, with where each stands.
    pub(crate) fn content(&self) -> Vec<(SubPool, Arc<PreparedTransaction>)> {
        let place = |index| if index < self.executable { SubPool::Pending } else { SubPool::Queued };
        self.transactions.values().enumerate().map(|(index, tx)| (place(index), tx.tx.clone())).collect()
    }

    /// Makes executable what follows without a gap and can be paid; returns it.
    fn extend(&mut self, totals: &mut Totals) -> Vec<Arc<Entry>> {
        let mut promoted = Vec::new();
        while let Some(tx) = self.transactions.get(&self.executable_end()) {
            let cost = self.executable_cost.saturating_add(tx.cost);
            if cost > self.account.balance {
                break;
            }
            self.executable_cost = cost;
            self.executable += 1;
            totals.executable += 1;
            totals.executable_bytes += tx.bytes;
            promoted.push(tx.clone());
        }
        promoted
    }

    /// Makes queued whatever has this nonce or a higher one.
    fn shrink(&mut self, nonce: u64, totals: &mut Totals) {
        let from = nonce.max(self.account.nonce);
        let end = self.executable_end();
        if from >= end {
            return;
        }
        for tx in self.transactions.range(from..end).map(|(_, tx)| tx) {
            self.executable_cost = self.executable_cost.saturating_sub(tx.cost);
            self.executable -= 1;
            totals.executable -= 1;
            totals.executable_bytes -= tx.bytes;
        }
    }
}

#[cfg(test)]
mod tests;
