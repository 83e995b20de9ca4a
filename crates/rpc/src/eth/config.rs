//! `eth_config` (EIP-7910): the rules in force at the head, the next ones, and the last ones scheduled.

use crate::{Args, Registrar, RpcContext, RpcError};
use alloy_eips::{
    eip2124::ForkHash,
    eip7910::{EthConfig, EthForkConfig, SystemContract},
};
use alloy_genesis::ChainConfig;
use alloy_primitives::{Address, Bytes, address};
use std::collections::BTreeMap;
use weft_chainspec::ChainSpec;

/// Names of EIP-7910, in the order of their addresses from 0x01; Cancun's ten, then Prague's seven.
const PRECOMPILES: [&str; 17] = [
    "ECREC",
    "SHA256",
    "RIPEMD160",
    "ID",
    "MODEXP",
    "BN254_ADD",
    "BN254_MUL",
    "BN254_PAIRING",
    "BLAKE2F",
    "KZG_POINT_EVALUATION",
    "BLS12_G1ADD",
    "BLS12_G1MSM",
    "BLS12_G2ADD",
    "BLS12_G2MSM",
    "BLS12_PAIRING_CHECK",
    "BLS12_MAP_FP_TO_G1",
    "BLS12_MAP_FP2_TO_G2",
];
const CANCUN_PRECOMPILES: usize = 10;
/// EIP-7951, from Osaka on.
const P256: (&str, Address) = ("P256VERIFY", address!("0000000000000000000000000000000000000100"));

/// Registers the method.
pub fn register(registrar: &mut Registrar) {
    registrar.quick("eth_config", 0, config);
}

fn config(context: &RpcContext, _: &Args<'_>) -> Result<EthConfig, RpcError> {
    let (spec, now) = (context.spec(), context.head.header().timestamp);
    let times = fork_times(&spec.genesis().config);
    let current = times.iter().copied().filter(|time| *time <= now).max().unwrap_or_default();
    let next = times.iter().copied().filter(|time| *time > now).min();
    let last = times.iter().copied().filter(|time| *time > now).max();
    Ok(EthConfig {
        current: fork(spec, current)?,
        next: next.map(|time| fork(spec, time)).transpose()?,
        last: last.map(|time| fork(spec, time)).transpose()?,
    })
}

/// The rules that hold from `time` on.
fn fork(spec: &ChainSpec, time: u64) -> Result<EthForkConfig, RpcError> {
    let blob_schedule = spec
        .blob_params_at(time)
        .ok_or_else(|| RpcError::Rejected("eth_config is defined from Cancun on".to_owned()))?;
    Ok(EthForkConfig {
        activation_time: time,
        blob_schedule,
        chain_id: spec.chain_id(),
        fork_id: Bytes::copy_from_slice(&fork_hash(spec, time).0),
        precompiles: precompiles(&spec.genesis().config, time),
        system_contracts: system_contracts(spec, time),
    })
}

fn fork_times(config: &ChainConfig) -> Vec<u64> {
    [
        config.shanghai_time,
        config.cancun_time,
        config.prague_time,
        config.osaka_time,
        config.bpo1_time,
        config.bpo2_time,
        config.bpo3_time,
        config.bpo4_time,
        config.bpo5_time,
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// EIP-2124/6122: CRC-32 over the genesis hash and every fork passed, each point once, genesis' own left out.
fn fork_hash(spec: &ChainSpec, time: u64) -> ForkHash {
    let config = &spec.genesis().config;
    let mut blocks: Vec<u64> = [
        config.homestead_block,
        config.dao_fork_support.then_some(config.dao_fork_block).flatten(),
        config.eip150_block,
        config.eip158_block,
        config.byzantium_block,
        config.constantinople_block,
        config.petersburg_block,
        config.istanbul_block,
        config.muir_glacier_block,
        config.berlin_block,
        config.london_block,
        config.arrow_glacier_block,
        config.gray_glacier_block,
        config.merge_netsplit_block,
    ]
    .into_iter()
    .flatten()
    .filter(|block| *block > 0)
    .collect();
    blocks.sort_unstable();
    blocks.dedup();
    let genesis_time = spec.genesis_header().timestamp;
    let mut times: Vec<u64> =
        fork_times(config).into_iter().filter(|fork| *fork > genesis_time && *fork <= time).collect();
    times.sort_unstable();
    times.dedup();
    let mut hash = ForkHash::from(spec.genesis_hash());
    blocks.into_iter().chain(times).for_each(|point| hash += point);
    hash
}

fn precompiles(config: &ChainConfig, time: u64) -> BTreeMap<String, Address> {
    let prague = config.prague_time.is_some_and(|fork| fork <= time);
    let count = if prague { PRECOMPILES.len() } else { CANCUN_PRECOMPILES };
    let named = PRECOMPILES[..count]
        .iter()
        .zip(1u8..)
        .map(|(name, last)| ((*name).to_owned(), Address::with_last_byte(last)));
    let mut precompiles: BTreeMap<_, _> = named.collect();
    if config.osaka_time.is_some_and(|fork| fork <= time) {
        precompiles.insert(P256.0.to_owned(), P256.1);
    }
    precompiles
}

fn system_contracts(spec: &ChainSpec, time: u64) -> BTreeMap<SystemContract, Address> {
    use alloy_eips::{eip2935, eip4788, eip7002, eip7251};
    let mut contracts = BTreeMap::from([(SystemContract::BeaconRoots, eip4788::BEACON_ROOTS_ADDRESS)]);
    if spec.genesis().config.prague_time.is_some_and(|fork| fork <= time) {
        contracts.extend([
            (SystemContract::HistoryStorage, eip2935::HISTORY_STORAGE_ADDRESS),
            (SystemContract::WithdrawalRequestPredeploy, eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS),
            (SystemContract::ConsolidationRequestPredeploy, eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS),
        ]);
        contracts.extend(spec.deposit_contract().map(|address| (SystemContract::DepositContract, address)));
    }
    contracts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dev_chain_is_at_its_last_fork_from_genesis() {
        let spec = ChainSpec::dev();
        let fork = fork(&spec, 0).unwrap();
        assert_eq!(fork.precompiles["P256VERIFY"], P256.1);
        assert_eq!(fork.precompiles.len(), PRECOMPILES.len() + 1);
        assert_eq!(
            fork.fork_id,
            Bytes::copy_from_slice(&ForkHash::from(spec.genesis_hash()).0),
            "nothing after genesis"
        );
    }
}
