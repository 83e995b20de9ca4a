//! Which blocks are simulated: numbers and times in order, gaps filled with empty blocks.

use super::BLOCKS_MAX;
use crate::RpcError;
use alloy_primitives::U256;
use alloy_rpc_types_eth::{BlockOverrides, TransactionRequest, simulate::SimBlock, state::StateOverride};
use weft_primitives::Header;

/// Seconds between blocks of which no time is given.
const BLOCK_SECONDS: u64 = 12;

/// execution-apis: "block number in sequence did not increase".
const NUMBER_NOT_INCREASED: i32 = -38020;
/// execution-apis: "block timestamp in sequence did not increase or stay the same".
const TIME_NOT_INCREASED: i32 = -38021;
/// execution-apis: "too many blocks".
const TOO_MANY_BLOCKS: i32 = -38026;

/// A block to simulate.
#[derive(Clone, Debug, Default)]
pub struct Planned {
    /// Above the one before by one.
    pub number: u64,
    /// Above the one before; in seconds.
    pub timestamp: u64,
    /// What else of its header is given.
    pub overrides: BlockOverrides,
    /// Accounts to change before its calls.
    pub state: StateOverride,
    /// Its transactions.
    pub calls: Vec<TransactionRequest>,
}

/// Puts the blocks asked for on top of `base`.
pub fn plan(base: &Header, blocks: Vec<SimBlock>) -> Result<Vec<Planned>, RpcError> {
    let coded = |code, message| RpcError::Coded { code, message };
    let mut planned: Vec<Planned> = Vec::with_capacity(blocks.len().min(BLOCKS_MAX as usize));
    let (mut number, mut timestamp) = (base.number, base.timestamp);
    let last = base.number.saturating_add(BLOCKS_MAX);
    for block in blocks {
        let overrides = block.block_overrides.unwrap_or_default();
        let wanted = overrides.number.unwrap_or(U256::from(number) + U256::ONE);
        if wanted <= U256::from(number) {
            let message = format!("block numbers must be in order: {wanted} <= {number}");
            return Err(coded(NUMBER_NOT_INCREASED, message));
        }
        let wanted = u64::try_from(wanted).ok().filter(|wanted| *wanted <= last);
        let wanted = wanted.ok_or_else(|| coded(TOO_MANY_BLOCKS, "too many blocks".to_owned()))?;
        for number in number + 1..wanted {
            timestamp = timestamp.saturating_add(BLOCK_SECONDS);
            planned.push(Planned { number, timestamp, ..Planned::default() });
        }
        number = wanted;
        let time = overrides.time.unwrap_or(timestamp.saturating_add(BLOCK_SECONDS));
        if time <= timestamp {
            let message = format!("block timestamps must be in order: {time} <= {timestamp}");
            return Err(coded(TIME_NOT_INCREASED, message));
        }
        timestamp = time;
        let state = block.state_overrides.unwrap_or_default();
        planned.push(Planned { number, timestamp, overrides, state, calls: block.calls });
    }
    Ok(planned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn base() -> Header {
        Header { number: 100, timestamp: 1_000, ..Default::default() }
    }

    fn at(number: Option<u64>, time: Option<u64>) -> SimBlock {
        let overrides = BlockOverrides { number: number.map(U256::from), time, ..Default::default() };
        SimBlock { block_overrides: Some(overrides), ..Default::default() }
    }

    fn code(blocks: Vec<SimBlock>) -> i32 {
        plan(&base(), blocks).expect_err("refused").code()
    }

    #[test]
    fn gaps_are_filled_and_time_goes_on() {
        let planned =
            plan(&base(), vec![at(Some(103), None), at(None, Some(5_000)), at(None, None)]).unwrap();
        let places: Vec<_> = planned.iter().map(|block| (block.number, block.timestamp)).collect();
        assert_eq!(places, [(101, 1_012), (102, 1_024), (103, 1_036), (104, 5_000), (105, 5_012)]);
    }

    #[test]
    fn numbers_and_times_must_rise() {
        assert_eq!(code(vec![at(Some(100), None)]), NUMBER_NOT_INCREASED);
        assert_eq!(code(vec![at(Some(102), None), at(Some(102), None)]), NUMBER_NOT_INCREASED);
        assert_eq!(code(vec![at(None, Some(1_000))]), TIME_NOT_INCREASED);
        assert_eq!(code(vec![at(None, Some(u64::MAX)), at(None, None)]), TIME_NOT_INCREASED);
    }

    #[test]
    fn a_chain_has_at_most_256_blocks() {
        assert_eq!(plan(&base(), vec![at(Some(356), None)]).unwrap().len(), 256);
        assert_eq!(code(vec![at(Some(357), None)]), TOO_MANY_BLOCKS);
        assert_eq!(code(vec![SimBlock::default(); 257]), TOO_MANY_BLOCKS);
        let mut far = at(None, None);
        far.block_overrides = Some(BlockOverrides { number: Some(U256::MAX), ..Default::default() });
        assert_eq!(code(vec![far]), TOO_MANY_BLOCKS);
    }

    proptest! {
        #[test]
        fn a_plan_has_no_gap_and_rises(
            blocks in prop::collection::vec((prop::option::of(90u64..400), prop::option::of(900u64..9_000)), 1..20),
        ) {
            let blocks = blocks.into_iter().map(|(number, time)| at(number, time)).collect();
            if let Ok(planned) = plan(&base(), blocks) {
                prop_assert!(planned.len() <= 256);
                let (mut number, mut timestamp) = (100, 1_000);
                for block in planned {
                    prop_assert_eq!(block.number, number + 1);
                    prop_assert!(block.timestamp > timestamp);
                    (number, timestamp) = (block.number, block.timestamp);
                }
            }
        }
    }
}
