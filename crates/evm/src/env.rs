//! The environment of a block: forks, prices and limits of this chain, made into revm's terms.

use crate::{
    NextBlock, RuleError,
    block_spec::{BlockSpec, is_proof_of_stake},
    gas, rules,
};
use alloy_consensus::Header;
use alloy_evm::EvmEnv;
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::B64;
use std::sync::Arc;
use weft_chainspec::ChainSpec;
use weft_primitives::SealedHeader;

/// Executes blocks and single transactions of one chain. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Evm {
    spec: Arc<ChainSpec>,
}

impl Evm {
    /// An executor for a chain.
    pub fn new(spec: Arc<ChainSpec>) -> Self {
        Self { spec }
    }

    /// The chain.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.spec
    }

    /// Environment in which the block with this header is executed.
    pub fn env(&self, header: &Header) -> EvmEnv {
        let blobs = self.spec.blob_params_at(header.timestamp);
        let mut env = EvmEnv::for_eth_block(header, self.block_spec(header), self.spec.chain_id(), blobs);
        let fork = env.cfg_env.spec;
        env.cfg_env.set_gas_params(gas::gas_params(&self.spec, fork));
        env.cfg_env.tx_gas_limit_cap = gas::tx_gas_limit_cap(&self.spec, fork, header.gas_limit);
        env
    }

    /// The header of the block after `parent` as far as it is known before any transaction runs: what
    /// [`Evm::env`] needs. Fees and excess blob gas follow from the parent. What belongs to a later fork is refused.
    pub fn next_header(&self, parent: &SealedHeader, next: &NextBlock) -> Result<Header, RuleError> {
        let header = Header {
            parent_hash: parent.hash(),
            beneficiary: next.beneficiary,
            number: parent.number.saturating_add(1),
            gas_limit: next.gas_limit,
            timestamp: next.timestamp,
            extra_data: next.extra_data.clone(),
            mix_hash: next.prev_randao,
            nonce: B64::ZERO,
            base_fee_per_gas: self.spec.next_base_fee(parent.header()),
            excess_blob_gas: rules::next_excess_blob_gas(&self.spec, parent.header(), next.timestamp),
            parent_beacon_block_root: next.parent_beacon_block_root,
            ..Default::default()
        };
        if !is_proof_of_stake(&self.spec, &header) {
            return Err(RuleError::ProofOfWork);
        }
        if next.withdrawals.is_some() && !self.spec.is_shanghai_active_at_timestamp(next.timestamp) {
            return Err(RuleError::WithdrawalsUnexpected);
        }
        if next.parent_beacon_block_root.is_some() && !self.spec.is_cancun_active_at_timestamp(next.timestamp)
        {
            return Err(RuleError::FieldUnexpected("parentBeaconBlockRoot"));
        }
        Ok(header)
    }

    pub(crate) fn block_spec(&self, header: &Header) -> BlockSpec {
        BlockSpec::of(&self.spec, header)
    }
}
