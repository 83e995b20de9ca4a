//! The environment of a block: forks, prices and limits of this chain, made into revm's terms.

use crate::{NextBlock, RuleError, block_spec::BlockSpec, rules};
use alloy_consensus::{Header, Transaction as _};
use alloy_evm::EvmEnv;
use alloy_primitives::B64;
use revm::context_interface::cfg::{GasId, GasParams, gas::InitialAndFloorGas};
use std::sync::Arc;
use weft_chainspec::ChainSpec;
use weft_primitives::{SealedHeader, Transaction};

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
        if let Some(weft) = self.spec.weft() {
            if let Some(gas) = weft.calldata_gas {
                let mut params = env.cfg_env.gas_params.clone();
                params.override_gas([
                    (GasId::tx_token_cost(), gas.token_cost),
                    (GasId::tx_token_non_zero_byte_multiplier(), gas.non_zero_token_multiplier),
                    (GasId::tx_floor_cost_per_token(), gas.floor_per_token),
                ]);
                env.cfg_env.set_gas_params(params);
            }
            env.cfg_env.tx_gas_limit_cap = Some(weft.tx_gas_limit_cap.unwrap_or(header.gas_limit));
        }
        env
    }

    /// The header of the block after `parent` as far as it is known before any transaction runs: what
    /// [`Evm::env`] needs. Fees and excess blob gas follow from the parent.
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
        if !crate::block_spec::is_proof_of_stake(&self.spec, &header) {
            return Err(RuleError::ProofOfWork);
        }
        Ok(header)
    }

    /// Prices of the block with this header.
    pub fn gas_params(&self, header: &Header) -> GasParams {
        self.env(header).cfg_env.gas_params
    }

    /// What a transaction costs before its first instruction, and the least that it pays (EIP-7623), in gas.
    pub fn intrinsic_gas(prices: &GasParams, tx: &Transaction) -> InitialAndFloorGas {
        let (accounts, slots) = tx.access_list().map_or((0, 0), |list| {
            (list.len(), list.iter().map(|item| item.storage_keys.len()).sum::<usize>())
        });
        let authorizations = tx.authorization_list().map_or(0, <[_]>::len);
        prices.initial_tx_gas(
            tx.input(),
            tx.is_create(),
            accounts as u64,
            slots as u64,
            authorizations as u64,
            None,
        )
    }

    pub(crate) fn block_spec(&self, header: &Header) -> BlockSpec {
        BlockSpec::of(&self.spec, header)
    }
}
