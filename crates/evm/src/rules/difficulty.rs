//! Proof-of-work difficulty of a block: yellow paper (section 4.3.4), EIP-2, EIP-100 and the bomb's delays.

use alloy_consensus::{Header, constants::EMPTY_OMMER_ROOT_HASH};
use alloy_hardforks::{EthereumHardfork as Fork, EthereumHardforks};
use alloy_primitives::U256;
use weft_chainspec::ChainSpec;

/// Difficulty never falls below this.
const DIFFICULTY_MIN: u64 = 131_072;
/// One step is this part of the parent's difficulty.
const BOUND_DIVISOR: u64 = 2048;
/// Most steps down at once.
const STEPS_DOWN_MAX: u64 = 99;
/// Blocks in which the bomb doubles.
const BOMB_PERIOD: u64 = 100_000;

/// Forks that set the bomb back, newest first, with the blocks by which they do (EIP-649, 1234, 2384, 3554, 4345, 5133).
const BOMB_DELAYS: [(Fork, u64); 6] = [
    (Fork::GrayGlacier, 11_400_000),
    (Fork::ArrowGlacier, 10_700_000),
    (Fork::London, 9_700_000),
    (Fork::MuirGlacier, 9_000_000),
    (Fork::Constantinople, 5_000_000),
    (Fork::Byzantium, 3_000_000),
];

/// Difficulty of the proof-of-work block after `parent` at a time later than the parent's.
pub fn difficulty(spec: &ChainSpec, timestamp: u64, parent: &Header) -> U256 {
    let number = parent.number.saturating_add(1);
    let delay = BOMB_DELAYS.iter().find(|(fork, _)| spec.is_ethereum_fork_active_at_block(*fork, number));
    let seconds = timestamp.saturating_sub(parent.timestamp);
    let (up, down) = match delay {
        Some(_) => byzantium_steps(seconds, parent),
        None if spec.is_homestead_active_at_block(number) => steps(1, seconds / 10),
        None => steps(u64::from(seconds < 13), u64::from(seconds >= 13)),
    };
    let step = parent.difficulty / U256::from(BOUND_DIVISOR);
    let moved = (parent.difficulty + step * U256::from(up)).saturating_sub(step * U256::from(down));
    let floor = U256::from(DIFFICULTY_MIN);
    moved.max(floor) + bomb(number.saturating_sub(delay.map_or(0, |(_, blocks)| *blocks)))
}

/// EIP-100: ommers of the parent count as a block more.
fn byzantium_steps(seconds: u64, parent: &Header) -> (u64, u64) {
    steps(if parent.ommers_hash == EMPTY_OMMER_ROOT_HASH { 1 } else { 2 }, seconds / 9)
}

/// `plus - minus`, as (steps up, steps down), at most 99 down.
fn steps(plus: u64, minus: u64) -> (u64, u64) {
    (plus.saturating_sub(minus), minus.saturating_sub(plus).min(STEPS_DOWN_MAX))
}

/// 2^(period - 2), nothing in the first two periods.
fn bomb(number: u64) -> U256 {
    match (number / BOMB_PERIOD).checked_sub(2) {
        // Beyond 2^255 no chain goes; the shift gives zero there instead of a panic.
        Some(exponent) => U256::ONE << usize::try_from(exponent).unwrap_or(usize::MAX),
        None => U256::ZERO,
    }
}
