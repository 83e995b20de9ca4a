//! What a transaction costs before it runs, and how much gas it may ask for: one place for execution and pool.

use alloy_evm::spec_by_timestamp_and_block_number;
use alloy_hardforks::EthereumHardforks;
use revm::{
    context_interface::cfg::{GasId, GasParams},
    primitives::{eip7825, hardfork::SpecId},
};
use weft_chainspec::ChainSpec;

/// The fork of a block, in revm's terms.
pub fn fork_at(spec: &ChainSpec, number: u64, timestamp: u64) -> SpecId {
    spec_by_timestamp_and_block_number(spec, timestamp, number)
}

/// Whether EIP-2 (among others: no signatures with a high `s`) holds in a block.
pub fn is_homestead(spec: &ChainSpec, number: u64) -> bool {
    spec.is_homestead_active_at_block(number)
}

/// The fork's gas table, with `config.weft.calldataGas` in place of the fork's own price of calldata
/// (PROTOCOL §1).
pub fn gas_params(spec: &ChainSpec, fork: SpecId) -> GasParams {
    let mut params = GasParams::new_spec(fork);
    if let Some(gas) = spec.weft().and_then(|weft| weft.calldata_gas) {
        params.override_gas([
            (GasId::tx_token_cost(), gas.token_cost),
            (GasId::tx_token_non_zero_byte_multiplier(), gas.non_zero_token_multiplier),
            (GasId::tx_floor_cost_per_token(), gas.floor_per_token),
        ]);
    }
    params
}

/// Most gas one transaction may ask for in a block of this gas limit: `config.weft.txGasLimitCap`, else the
/// block's limit on a Weft chain, else EIP-7825's cap from Osaka on. `None`: no cap of its own.
pub fn tx_gas_limit_cap(spec: &ChainSpec, fork: SpecId, block_gas_limit: u64) -> Option<u64> {
    match spec.weft() {
        Some(weft) => Some(weft.tx_gas_limit_cap.unwrap_or(block_gas_limit)),
        None => fork.is_enabled_in(SpecId::OSAKA).then_some(eip7825::TX_GAS_LIMIT_CAP),
    }
}
