//! The built-in dev chain.

use crate::ChainSpec;

/// An ordinary genesis file, so that `geth init` or another node can read it as well.
const DEV_JSON: &str = include_str!("dev.json");

impl ChainSpec {
    /// The dev chain: chain id 1337, every fork through BPO2 from block 0, the ten accounts of
    /// "test test test test test test test test test test test junk" with 1,000,000 ether each, system
    /// contracts, and `config.weft` with the dev values of PROTOCOL §1.
    pub fn dev() -> Self {
        Self::from_json(DEV_JSON).expect("src/dev.json is a valid genesis file: tests::dev_is_valid")
    }

    /// The genesis file of [`ChainSpec::dev`].
    pub fn dev_json() -> &'static str {
        DEV_JSON
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_eips::{eip2935, eip4788, eip7002, eip7251};
    use alloy_hardforks::EthereumHardforks;
    use alloy_primitives::{U256, address, keccak256};

    #[test]
    fn dev_is_valid() {
        let spec = ChainSpec::dev();
        assert_eq!(spec.chain_id(), 1337);
        assert!(spec.is_osaka_active_at_timestamp(0) && spec.is_bpo2_active_at_timestamp(0));
        assert_eq!(spec.blob_params_at(0).unwrap().max_blob_count, 21);
        assert_eq!(spec.next_base_fee(spec.genesis_header().header()), Some(875_000_000));
        let weft = spec.weft().unwrap();
        assert_eq!(weft.geometry, weft_primitives::Geometry::DEV);
        // A whole block of non-zero calldata fits.
        let gas = weft.calldata_gas.unwrap();
        let price = (gas.token_cost * gas.non_zero_token_multiplier)
            .max(gas.floor_per_token * gas.non_zero_token_multiplier);
        assert_eq!(price, 8);
        assert!(u64::try_from(weft.max_block_bytes).unwrap() * price < spec.genesis_header().gas_limit / 2);
    }

    #[test]
    fn dev_accounts_are_funded_and_system_contracts_are_there() {
        let alloc = &ChainSpec::dev().genesis().alloc.clone();
        let million_ether = U256::from(10).pow(U256::from(24));
        for account in [
            address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
            address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"),
            address!("3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
            address!("90F79bf6EB2c4f870365E785982E1f101E93b906"),
            address!("15d34AAf54267DB7D7c367839AAf71A00a2C6A65"),
            address!("9965507D1a55bcC2695C58ba16FB37d819B0A4dc"),
            address!("976EA74026E726554dB657fA54763abd0C3a0aa9"),
            address!("14dC79964da2C08b23698B3D3cc7Ca32193d9955"),
            address!("23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f"),
            address!("a0Ee7A142d267C1f36714E4a8F75612F20a79720"),
        ] {
            assert_eq!(alloc[&account].balance, million_ether, "{account}");
        }
        for (contract, code) in [
            (eip4788::BEACON_ROOTS_ADDRESS, &eip4788::BEACON_ROOTS_CODE),
            (eip2935::HISTORY_STORAGE_ADDRESS, &eip2935::HISTORY_STORAGE_CODE),
            (eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, &eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_CODE),
            (
                eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
                &eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_CODE,
            ),
        ] {
            assert_eq!(alloc[&contract].code.as_ref(), Some(code), "{contract}");
        }
        let proxy = &alloc[&address!("4e59b44847b379578588920cA78FbF26c0B4956C")];
        // Codehash of the deployed deterministic deployment proxy, as on mainnet.
        let expected =
            alloy_primitives::b256!("2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989");
        assert_eq!(keccak256(proxy.code.as_ref().unwrap()), expected);
    }
}
