//! The point of the merge (EIP-3675), for those who know total difficulties.

use super::RuleError;
use crate::block_spec::is_proof_of_stake;
use alloy_consensus::Header;
use alloy_primitives::U256;
use weft_chainspec::ChainSpec;

/// Whether a block is of the kind that the difficulty before it asks for: proof of work until the chain's terminal
/// total difficulty is reached, proof of stake from then on. `parent_total` = total difficulty up to and with the parent.
pub fn check_terminal_difficulty(
    spec: &ChainSpec,
    header: &Header,
    parent_total: U256,
) -> Result<(), RuleError> {
    let Some(terminal) = spec.terminal_total_difficulty() else { return Ok(()) };
    match (parent_total >= terminal, is_proof_of_stake(spec, header)) {
        (true, false) => Err(RuleError::ProofOfWorkAfterMerge),
        (false, true) => Err(RuleError::ProofOfStakeBeforeMerge),
        _ => Ok(()),
    }
}
