//! One pooled transaction with what ordering and limits need of it, computed once.

use crate::config::Origin;
use alloy_eips::eip7594::BlobTransactionSidecarVariant;
use alloy_primitives::{Address, TxHash, U256};
use std::{ops::Deref, sync::Arc, time::Instant};
use weft_primitives::PreparedTransaction;

/// Bookkeeping of one transaction in bytes: the entry, its keys in maps and indices, decoded fields. Rounded up.
const OVERHEAD_BYTES: usize = 1024;

/// A blob sidecar in either form.
pub type Sidecar = BlobTransactionSidecarVariant;

/// What limits, replacement and ordering look at; known before the input is coded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub hash: TxHash,
    pub sender: Address,
    pub nonce: u64,
    pub gas_limit: u64,
    /// Wei per gas, at most.
    pub fee_cap: u128,
    /// Wei per gas for the proposer, at most.
    pub tip_cap: u128,
    /// Wei per blob gas, at most; only type 3.
    pub blob_fee_cap: Option<u128>,
    /// What the sender must own: gas, value and blob gas at the caps.
    pub cost: U256,
}

/// A transaction in the pool, or on its way into it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    facts: Facts,
    pub tx: Arc<PreparedTransaction>,
    pub sidecar: Option<Arc<Sidecar>>,
    pub origin: Origin,
    /// Counted against `bytes_max`.
    pub bytes: usize,
    /// Order of arrival; set when it enters the book.
    pub arrival: u64,
    pub since: Instant,
}

impl Deref for Entry {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.facts
    }
}

impl Entry {
    pub(crate) fn new(tx: Arc<PreparedTransaction>, sidecar: Option<Arc<Sidecar>>, origin: Origin) -> Self {
        let cell_hashes = tx.blob.as_ref().map_or(0, |blob| size_of_val(blob.cell_hashes.as_slice()));
        let sidecar_bytes = sidecar.as_ref().map_or(0, |sidecar| sidecar.size());
        Self {
            facts: Facts::new(&tx.tx, tx.hash(), tx.sender),
            bytes: OVERHEAD_BYTES + tx.encoded.len() + cell_hashes + sidecar_bytes,
            arrival: 0,
            since: Instant::now(),
            tx,
            sidecar,
            origin,
        }
    }
}

impl Facts {
    pub(crate) fn new(tx: &impl alloy_consensus::Transaction, hash: TxHash, sender: Address) -> Self {
        let fee_cap = tx.max_fee_per_gas();
        Self {
            hash,
            sender,
            nonce: tx.nonce(),
            gas_limit: tx.gas_limit(),
            fee_cap,
            tip_cap: tx.max_priority_fee_per_gas().unwrap_or(fee_cap),
            blob_fee_cap: tx.max_fee_per_blob_gas(),
            cost: cost(tx),
        }
    }

    /// What the proposer gets per gas at this base fee; `None` when the transaction does not pay the base fee.
    pub(crate) fn effective_tip(&self, base_fee: u64) -> Option<u128> {
        self.fee_cap.checked_sub(u128::from(base_fee)).map(|rest| rest.min(self.tip_cap))
    }

    /// Whether the blob fee is paid; true for all types but 3.
    pub(crate) fn pays_blob_fee(&self, blob_base_fee: Option<u128>) -> bool {
        self.blob_fee_cap.is_none_or(|cap| blob_base_fee.is_some_and(|fee| fee <= cap))
    }

    /// Whether every fee is at least `percent` above the other's, and strictly above (geth's rule).
    pub(crate) fn outbids(&self, other: &Self, percent: u64) -> bool {
        let above = |new: u128, old: u128| {
            // 128 bits times a percentage: in U256, where it cannot overflow.
            new > old && U256::from(new) * U256::from(100) >= U256::from(old) * U256::from(100 + percent)
        };
        above(self.fee_cap, other.fee_cap)
            && above(self.tip_cap, other.tip_cap)
            && match (self.blob_fee_cap, other.blob_fee_cap) {
                (Some(new), Some(old)) => above(new, old),
                (None, None) => true,
                _ => false,
            }
    }
}

/// Gas, value and blob gas at their caps. Saturates: no account owns that much.
fn cost(tx: &impl alloy_consensus::Transaction) -> U256 {
    let gas = U256::from(tx.gas_limit()).saturating_mul(U256::from(tx.max_fee_per_gas()));
    let blobs = U256::from(tx.blob_gas_used().unwrap_or(0))
        .saturating_mul(U256::from(tx.max_fee_per_blob_gas().unwrap_or(0)));
    gas.saturating_add(blobs).saturating_add(tx.value())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Kind};

    #[test]
    fn effective_tip() {
        let entry = testing::transaction(Kind::Eip1559).fees(100, 10).entry();
        for (base_fee, tip) in [(5, Some(10)), (90, Some(10)), (95, Some(5)), (100, Some(0)), (101, None)] {
            assert_eq!(entry.effective_tip(base_fee), tip, "base fee {base_fee}");
        }
    }

    #[test]
    fn replacements_pay_ten_percent_more() {
        let entry = |(fee, tip)| testing::transaction(Kind::Eip1559).fees(fee, tip).entry();
        let cases = [
            ((100, 100), (110, 110), true),
            ((100, 100), (109, 110), false),
            ((100, 100), (110, 109), false),
            ((1, 1), (1, 1), false), // 10 % of one wei rounds to nothing: still strictly more
            ((1, 1), (2, 2), true),
            ((u128::MAX, u128::MAX), (u128::MAX, u128::MAX), false),
        ];
        for (old, new, want) in cases {
            assert_eq!(entry(new).outbids(&entry(old), 10), want, "{new:?} for {old:?}");
        }
    }

    #[test]
    fn cost_counts_gas_value_and_blobs_and_saturates() {
        let tx = testing::transaction(Kind::Eip4844).gas(21_000).fees(7, 1).value(5).sign();
        let blob_gas = 131_072u64 * testing::BLOB_HASHES as u64;
        assert_eq!(cost(&tx), U256::from(21_000 * 7 + 5 + blob_gas * testing::BLOB_FEE_CAP as u64));
        let tx = testing::transaction(Kind::Eip1559).gas(u64::MAX).fees(u128::MAX, 1).value(u128::MAX).sign();
        assert!(cost(&tx) > U256::from(u128::MAX));
    }
}
