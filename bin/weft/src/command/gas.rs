//! What calldata costs on a chain, asked of its node rather than assumed.

use crate::client::{Client, ClientError};
use alloy_primitives::{Address, Bytes, U64, U256};
use serde_json::json;

/// Size of the probe: large enough that the estimator's tolerance does not matter per byte.
const PROBE_BYTES: u64 = 8 << 10;

/// Price of a transaction that only carries calldata.
#[derive(Clone, Copy, Debug)]
pub struct CalldataGas {
    base: u64,
    probe: u64,
}

impl CalldataGas {
    /// Asks the node for two estimates: without calldata, and with non-zero bytes only, which cost most.
    pub fn ask(client: &mut Client, from: Address, to: Address) -> Result<Self, ClientError> {
        let mut estimate = |bytes: u64| -> Result<u64, ClientError> {
            let data = Bytes::from(vec![0xff; usize::try_from(bytes).expect("a small constant")]);
            client
                .call("eth_estimateGas", (json!({ "from": from, "to": to, "data": data }),))
                .map(|gas: U64| gas.to())
        };
        Ok(Self { base: estimate(0)?, probe: estimate(PROBE_BYTES)? })
    }

    /// Gas limit for `bytes` of any calldata, with one per cent to spare.
    pub fn limit(&self, bytes: usize) -> u64 {
        if bytes == 0 {
            return self.base;
        }
        let per_probe = u128::from(self.probe.saturating_sub(self.base));
        let calldata = (per_probe * bytes as u128).div_ceil(u128::from(PROBE_BYTES));
        self.base + u64::try_from(calldata + calldata / 100).unwrap_or(u64::MAX)
    }

    /// Most bytes of any calldata whose limit is within `gas`.
    pub fn bytes_within(&self, gas: u64) -> usize {
        let per_probe = u128::from(self.probe.saturating_sub(self.base).max(1));
        let room = u128::from(gas.saturating_sub(self.base)) * 100 / 101;
        usize::try_from(room * u128::from(PROBE_BYTES) / per_probe).unwrap_or(usize::MAX)
    }
}

/// EIP-1559 fees that stay sufficient for many blocks.
#[derive(Clone, Copy, Debug)]
pub struct Fees {
    /// `maxPriorityFeePerGas` in wei.
    pub tip_wei: u128,
    /// `maxFeePerGas` in wei.
    pub max_wei: u128,
}

impl Fees {
    /// The node's suggestion, with room for the base fee to double.
    pub fn ask(client: &mut Client) -> Result<Self, ClientError> {
        let price: U256 = client.call("eth_gasPrice", ())?;
        let tip: U256 = client.call("eth_maxPriorityFeePerGas", ())?;
        let price: u128 = price.saturating_to();
        let tip: u128 = tip.saturating_to();
        Ok(Self { tip_wei: tip, max_wei: (price.saturating_mul(2)).max(tip).max(1) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_a_limit_costs_no_more_than_it() {
        // Ethereum's floor price, the dev chain's, and one where calldata is free.
        for per_byte in [40, 8, 0] {
            let gas = CalldataGas { base: 21_000, probe: 21_000 + per_byte * PROBE_BYTES };
            assert_eq!(gas.limit(0), 21_000);
            assert!(gas.limit(1 << 20) >= 21_000 + per_byte * (1 << 20));
            for limit in [21_000, 100_000, 30_000_000] {
                let bytes = gas.bytes_within(limit);
                assert!(per_byte == 0 || gas.limit(bytes) <= limit + 1, "{per_byte} {limit} {bytes}");
            }
        }
    }
}
