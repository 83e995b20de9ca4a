//! The fork schedule as one block sees it, where Paris is decided already.
//!
//! Before the merge the block at which it happens is unknown: a block shows it by a difficulty of zero (EIP-3675).
//! alloy-evm asks the schedule by block number, so each block gets a schedule that answers for itself.

use alloy_consensus::Header;
use alloy_evm::eth::spec::EthExecutorSpec;
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::Address;
use std::sync::Arc;
use weft_chainspec::ChainSpec;

/// A chain's schedule with Paris fixed to "from genesis" or "never", as the executor asks for it.
#[derive(Clone, Debug)]
pub struct BlockSpec {
    spec: Arc<ChainSpec>,
    paris: bool,
}

impl BlockSpec {
    /// The schedule that holds for a block with this header.
    pub(crate) fn of(spec: &Arc<ChainSpec>, header: &Header) -> Self {
        Self { spec: spec.clone(), paris: is_proof_of_stake(spec, header) }
    }
}

/// Whether a header belongs to the time after the merge: by its number where the chain knows it, else by its difficulty.
pub(crate) fn is_proof_of_stake(spec: &ChainSpec, header: &Header) -> bool {
    match spec.ethereum_fork_activation(EthereumHardfork::Paris) {
        ForkCondition::Never => false,
        by_difficulty @ ForkCondition::TTD { .. } => {
            by_difficulty.active_at_block(header.number) || header.difficulty.is_zero()
        }
        known => known.active_at_block(header.number),
    }
}

impl EthereumHardforks for BlockSpec {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        match fork {
            EthereumHardfork::Paris if self.paris => ForkCondition::ZERO_BLOCK,
            EthereumHardfork::Paris => ForkCondition::Never,
            // Its change of state is made before the transactions, not by alloy-evm after them.
            EthereumHardfork::Dao => ForkCondition::Never,
            fork => self.spec.ethereum_fork_activation(fork),
        }
    }
}

impl EthExecutorSpec for BlockSpec {
    fn deposit_contract_address(&self) -> Option<Address> {
        self.spec.deposit_contract()
    }
}
