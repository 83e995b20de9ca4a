//! What may be spent, and whether a price is within it. Pure.

use weft_arweave::{Winston, merkle::CHUNK_BYTES_MAX};
use weft_storage::{Booking, Spending};

/// Chunks of 256 KiB, by which Arweave counts data, in a MiB.
const CHUNKS_PER_MIB: u128 = (1 << 20) / CHUNK_BYTES_MAX as u128;

/// What may be spent; `None` is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// In all, since the database was made.
    pub total: Option<Winston>,
    /// In any one hour of the clock.
    pub per_hour: Option<Winston>,
    /// For one MiB, counted in whole chunks of 256 KiB: a quote above it is a price spike, or a lie, and not paid.
    pub per_mib: Option<Winston>,
}

/// Why nothing is paid for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// The next shipment would exceed the total.
    #[error(
        "the budget is used up: {spent} of {cap} winston are spent, the next upload costs {wanted}; \
         raise --arweave.max-spend"
    )]
    Total {
        /// So far.
        spent: Winston,
        /// What the next shipment costs.
        wanted: Winston,
        /// Allowed.
        cap: Winston,
    },
    /// The next shipment would exceed this hour's share; goes on by itself in a later one, if it fits into any.
    #[error(
        "this hour's budget is used up: {spent} of {cap} winston are spent, the next upload costs {wanted}"
    )]
    Hour {
        /// In this hour.
        spent: Winston,
        /// What the next shipment costs.
        wanted: Winston,
        /// Allowed.
        cap: Winston,
    },
    /// The quoted price is above the cap; goes on by itself when it has fallen.
    #[error("the price is {quoted} winston per MiB, more than the {cap} that may be paid")]
    Price {
        /// Asked for.
        quoted: Winston,
        /// Allowed.
        cap: Winston,
    },
    /// The wallet cannot pay.
    #[error("the wallet holds {balance} winston, the next upload costs {wanted}")]
    Balance {
        /// Of the wallet.
        balance: Winston,
        /// What the next shipment costs.
        wanted: Winston,
    },
}

impl Budget {
    /// Whether `price` may be paid for `bytes` in `hour`. What `replaced` booked, which this payment stands for, is given back.
    pub(super) fn check(
        &self,
        spending: Spending,
        replaced: Booking,
        hour: u64,
        bytes: u64,
        price: Winston,
    ) -> Result<(), Stop> {
        if let Some(cap) = self.per_mib {
            let chunks = u128::from(bytes.div_ceil(CHUNK_BYTES_MAX as u64).max(1));
            let quoted = Winston(price.0.saturating_mul(CHUNKS_PER_MIB) / chunks);
            if quoted > cap {
                return Err(Stop::Price { quoted, cap });
            }
        }
        let total = Winston(spending.total.saturating_sub(replaced.winston));
        let same_hour = if replaced.hour == hour { replaced.winston } else { 0 };
        let this_hour = Winston(spending.hour.saturating_sub(same_hour));
        let exceeds = |spent: Winston, cap: Winston| spent.0.saturating_add(price.0) > cap.0;
        match (self.total, self.per_hour) {
            (Some(cap), _) if exceeds(total, cap) => Err(Stop::Total { spent: total, wanted: price, cap }),
            (_, Some(cap)) if exceeds(this_hour, cap) => {
                Err(Stop::Hour { spent: this_hour, wanted: price, cap })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(budget: Budget, total: u128, hour: u128, bytes: u64, price: u128) -> Result<(), Stop> {
        budget.check(Spending { total, hour }, Booking::default(), 7, bytes, Winston(price))
    }

    #[test]
    fn the_last_winston_may_be_spent_and_none_more() {
        let total = Budget { total: Some(Winston(100)), ..Budget::default() };
        assert_eq!(check(total, 60, 0, 1, 40), Ok(()));
        let (spent, wanted, cap) = (Winston(60), Winston(41), Winston(100));
        assert_eq!(check(total, 60, 0, 1, 41), Err(Stop::Total { spent, wanted, cap }));
        let hour = Budget { per_hour: Some(Winston(100)), ..Budget::default() };
        assert_eq!(check(hour, u128::MAX, 60, 1, 40), Ok(()));
        assert_eq!(check(hour, 0, 60, 1, 41), Err(Stop::Hour { spent, wanted, cap }));
        assert_eq!(check(Budget::default(), u128::MAX, u128::MAX, 1, u128::MAX), Ok(()));
    }

    #[test]
    fn a_spike_is_found_by_chunk_whatever_the_size() {
        let budget = Budget { per_mib: Some(Winston(400)), ..Budget::default() };
        for (bytes, price) in [(0, 100), (1, 100), (256 << 10, 100), ((256 << 10) + 1, 200), (1 << 20, 400)] {
            assert_eq!(check(budget, 0, 0, bytes, price), Ok(()), "{bytes}");
            let refused = check(budget, 0, 0, bytes, price + price / 50);
            assert!(matches!(refused, Err(Stop::Price { cap: Winston(400), .. })), "{bytes}: {refused:?}");
        }
    }

    #[test]
    fn what_a_payment_replaces_is_not_counted_twice() {
        let budget = Budget { total: Some(Winston(100)), per_hour: Some(Winston(50)), per_mib: None };
        let spending = Spending { total: 100, hour: 50 };
        let again = |hour, replaced_hour| {
            budget.check(spending, Booking { hour: replaced_hour, winston: 30 }, hour, 1, Winston(30))
        };
        assert_eq!(again(7, 7), Ok(()));
        // Booked in an earlier hour: the total has room again, this hour has not.
        assert!(matches!(again(7, 6), Err(Stop::Hour { .. })));
    }
}
