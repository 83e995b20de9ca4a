//! Payload attributes of the next block of a dev chain: all that a proposer decides without votes.

use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, B256, keccak256};
use std::time::{SystemTime, UNIX_EPOCH};
use weft_chainspec::ChainSpec;
use weft_engine::PayloadAttributes;
use weft_primitives::SealedHeader;

/// Attributes of a child of `parent`, sealed at `now` (seconds since 1970).
pub(crate) fn next_attributes(
    spec: &ChainSpec,
    parent: &SealedHeader,
    fee_recipient: Address,
    now: u64,
) -> PayloadAttributes {
    let timestamp = now.max(parent.timestamp.saturating_add(1));
    PayloadAttributes {
        parent: parent.hash(),
        timestamp,
        suggested_fee_recipient: fee_recipient,
        // Not random: a single proposer could choose it anyway, and a chain that can be repeated helps tests.
        prev_randao: keccak256(parent.hash()),
        withdrawals: spec.is_shanghai_active_at_timestamp(timestamp).then(Default::default),
        // There is no beacon chain; geth's dev mode has zero here, too.
        parent_beacon_block_root: spec.is_cancun_active_at_timestamp(timestamp).then_some(B256::ZERO),
    }
}

/// The clock in seconds since 1970; 0 when it is set before that.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_primitives::Header;

    fn parent(timestamp: u64) -> SealedHeader {
        SealedHeader::seal_slow(Header { timestamp, ..Default::default() })
    }

    #[test]
    fn time_follows_the_clock_and_never_stands_still() {
        let spec = ChainSpec::dev();
        let at =
            |parent_time, now| next_attributes(&spec, &parent(parent_time), Address::ZERO, now).timestamp;
        assert_eq!(at(100, 200), 200);
        assert_eq!(at(200, 200), 201, "a second block within the second");
        assert_eq!(at(205, 200), 206, "ahead of the clock by what is needed and no more");
        assert_eq!(at(u64::MAX, 200), u64::MAX, "no overflow; the engine refuses it");
    }

    #[test]
    fn the_fields_are_those_of_the_fork() {
        let spec = ChainSpec::dev();
        let first = next_attributes(&spec, &parent(0), Address::ZERO, 1);
        assert_eq!(first.withdrawals, Some(Default::default()));
        assert_eq!(first.parent_beacon_block_root, Some(B256::ZERO));
        let other = next_attributes(&spec, &parent(1), Address::ZERO, 2);
        assert_ne!(first.prev_randao, other.prev_randao);
    }
}
