//! What a transaction costs before it runs, and how much gas it may ask for: one place for execution and pool.

use alloy_evm::spec_by_timestamp_and_block_number;
use alloy_hardforks::EthereumHardforks;
use revm::{
    context_interface::{
        Transaction, TransactionType,
        cfg::{GasId, GasParams},
        transaction::AccessListItemTr,
    },
    interpreter::InitialAndFloorGas,
    primitives::{eip7825, hardfork::SpecId},
};
use weft_chainspec::ChainSpec;
use weft_primitives::InputBytes;

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

/// What a transaction consists of, as far as its intrinsic gas is concerned.
#[derive(Clone, Copy, Debug)]
pub struct IntrinsicCost {
    /// Calldata or initcode.
    pub input: InputBytes,
    /// Whether it creates a contract.
    pub is_create: bool,
    /// Addresses in the access list.
    pub accounts: u64,
    /// Storage keys in the access list.
    pub slots: u64,
    /// Authorizations (EIP-7702).
    pub authorizations: u64,
}

impl IntrinsicCost {
    /// Of a transaction as revm takes it, whose input was counted.
    pub(crate) fn of(tx: &impl Transaction, input: InputBytes) -> Self {
        // A legacy transaction has no access list, whatever its environment says.
        let items =
            tx.access_list().filter(|_| tx.tx_type() != TransactionType::Legacy).into_iter().flatten();
        let (accounts, slots) = items.fold((0, 0), |(accounts, slots), item| {
            (accounts + 1, slots + item.storage_slots().count() as u64)
        });
        let authorizations = tx.authorization_list_len() as u64;
        Self { input, is_create: tx.kind().is_create(), accounts, slots, authorizations }
    }

    /// Gas that must be there before the transaction runs, and the floor of EIP-7623: revm's
    /// `GasParams::initial_tx_gas`, which goes over the input twice, from the counted input.
    pub fn gas(&self, params: &GasParams) -> InitialAndFloorGas {
        let base =
            params.initial_tx_gas(&[], self.is_create, self.accounts, self.slots, self.authorizations, None);
        let zeros = self.input.zeros();
        let non_zero = params.tx_token_non_zero_byte_multiplier();
        let others = self.input.others().saturating_mul(non_zero);
        let tokens = zeros.saturating_add(others);
        // EIP-7976: in the floor zero bytes may weigh as much as others, and else they weigh one token.
        let floor_tokens = if params.tx_floor_token_zero_byte_multiplier() == non_zero {
            zeros.saturating_mul(non_zero).saturating_add(others)
        } else {
            tokens
        };
        let length = usize::try_from(self.input.total()).expect("usize has 64 bits");
        let initcode = if self.is_create { params.tx_initcode_cost(length) } else { 0 };
        let regular = base
            .initial_total_gas()
            .saturating_add(tokens.saturating_mul(params.tx_token_cost()))
            .saturating_add(initcode);
        let floor =
            base.floor_gas().saturating_add(floor_tokens.saturating_mul(params.tx_floor_cost_per_token()));
        InitialAndFloorGas::default().with_initial_regular_gas(regular).with_floor_gas(floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_revm(
            zeros in 0usize..40_000,
            others in 0usize..40_000,
            is_create: bool,
            accounts in 0u64..10,
            slots in 0u64..10,
            authorizations in 0u64..10,
            fork in prop::sample::select(vec![SpecId::FRONTIER, SpecId::ISTANBUL, SpecId::SHANGHAI, SpecId::PRAGUE, SpecId::OSAKA]),
        ) {
            let mut input = vec![0; zeros];
            input.extend(vec![7; others]);
            let cost = IntrinsicCost { input: InputBytes::count(&input), is_create, accounts, slots, authorizations };
            for params in [GasParams::new_spec(fork), gas_params(&ChainSpec::dev(), fork)] {
                let want = params.initial_tx_gas(&input, is_create, accounts, slots, authorizations, None);
                let have = cost.gas(&params);
                prop_assert_eq!(have.initial_total_gas(), want.initial_total_gas());
                prop_assert_eq!(have.floor_gas(), want.floor_gas());
            }
        }
    }
}
