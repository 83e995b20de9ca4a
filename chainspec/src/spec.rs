//! The chain: genesis, forks and, on a Weft chain, PROTOCOL §1.

use crate::{ChainSpecError, GenesisState, Schedule, WeftParams, fields};
use alloy_consensus::{
    Header,
    constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, EMPTY_WITHDRAWALS},
};
use alloy_eips::{
    eip1559::{BaseFeeParams, INITIAL_BASE_FEE},
    eip7685::EMPTY_REQUESTS_HASH,
    eip7840::BlobParams,
};
use alloy_evm::eth::spec::EthExecutorSpec;
use alloy_genesis::Genesis;
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::{Address, B64, B256, U256};
use alloy_trie::root::state_root_ref_unhashed;
use serde_json::Value;
use weft_primitives::SealedHeader;

/// Blob gas that block 0 may begin with: each block adds less than 2^37, so sums never come near 2^64.
const GENESIS_BLOB_GAS_MAX: u64 = 1 << 62;

/// A chain. Immutable once made; shared as `Arc<ChainSpec>`.
#[derive(Clone, Debug)]
pub struct ChainSpec {
    genesis: Genesis,
    header: SealedHeader,
    schedule: Schedule,
    weft: Option<WeftParams>,
}

impl ChainSpec {
    /// Reads geth's genesis JSON with optional `config.weft`; errors name the field.
    pub fn from_json(json: &str) -> Result<Self, ChainSpecError> {
        let value: Value = serde_json::from_str(json)?;
        fields::check(&value)?;
        // From the text again: a `Value` would have rounded total difficulties beyond 2^64.
        Self::from_genesis(serde_json::from_str(json)?)
    }

    /// Checks a genesis that is typed already.
    pub fn from_genesis(genesis: Genesis) -> Result<Self, ChainSpecError> {
        let schedule = Schedule::new(&genesis.config)?;
        let weft = match genesis.config.extra_fields.get("weft") {
            Some(value) => Some(WeftParams::from_value(value)?),
            None => None,
        };
        if weft.is_some() && !schedule.is_paris_active_at_block(0) {
            let reason = "must be 0 on a chain with config.weft: it has no proof-of-work blocks";
            return Err(ChainSpecError::field("config.terminalTotalDifficulty", reason));
        }
        let header = genesis_header(&genesis, &schedule)?;
        Ok(Self { genesis, header: SealedHeader::seal_slow(header), schedule, weft })
    }

    /// EIP-155 chain id.
    pub fn chain_id(&self) -> u64 {
        self.genesis.config.chain_id
    }

    /// The genesis file.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Header of block 0, its state root computed from `alloc`.
    pub fn genesis_header(&self) -> &SealedHeader {
        &self.header
    }

    /// Hash of block 0.
    pub fn genesis_hash(&self) -> B256 {
        self.header.hash()
    }

    /// State and code of block 0.
    pub fn genesis_state(&self) -> GenesisState {
        GenesisState::new(&self.genesis)
    }

    /// `config.weft`; `None` on a plain Ethereum chain.
    pub fn weft(&self) -> Option<&WeftParams> {
        self.weft.as_ref()
    }

    /// Blob parameters that hold at a timestamp; `None` before Cancun.
    pub fn blob_params_at(&self, timestamp: u64) -> Option<BlobParams> {
        self.schedule.blob_params_at(timestamp)
    }

    /// Address whose logs are deposits (EIP-6110); `None` = Ethereum mainnet's.
    pub fn deposit_contract(&self) -> Option<Address> {
        self.genesis.config.deposit_contract_address
    }

    /// Total difficulty from which on blocks are proof of stake; `None` = never.
    pub fn terminal_total_difficulty(&self) -> Option<U256> {
        self.schedule.terminal_total_difficulty()
    }

    /// Base fee in wei of the block after `parent` (EIP-1559); `None` before London.
    pub fn next_base_fee(&self, parent: &Header) -> Option<u64> {
        if !self.is_london_active_at_block(parent.number.saturating_add(1)) {
            return None;
        }
        Some(parent.next_block_base_fee(BaseFeeParams::ethereum()).unwrap_or(INITIAL_BASE_FEE))
    }
}

impl EthereumHardforks for ChainSpec {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        self.schedule.ethereum_fork_activation(fork)
    }
}

impl EthExecutorSpec for ChainSpec {
    fn deposit_contract_address(&self) -> Option<Address> {
        self.deposit_contract()
    }
}

fn genesis_header(genesis: &Genesis, schedule: &Schedule) -> Result<Header, ChainSpecError> {
    let (number, time) = (genesis.number.unwrap_or_default(), genesis.timestamp);
    let base_fee = match genesis.base_fee_per_gas {
        Some(fee) => {
            u64::try_from(fee).map_err(|_| ChainSpecError::field("baseFeePerGas", "is above 2^64"))?
        }
        None => INITIAL_BASE_FEE,
    };
    for (name, gas) in [("excessBlobGas", genesis.excess_blob_gas), ("blobGasUsed", genesis.blob_gas_used)] {
        if gas.is_some_and(|gas| gas > GENESIS_BLOB_GAS_MAX) {
            return Err(ChainSpecError::field(name, format!("must be at most {GENESIS_BLOB_GAS_MAX}")));
        }
    }
    let cancun = schedule.is_cancun_active_at_timestamp(time);
    Ok(Header {
        parent_hash: genesis.parent_hash.unwrap_or_default(),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: genesis.coinbase,
        state_root: state_root_ref_unhashed(&genesis.alloc),
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        difficulty: genesis.difficulty,
        number,
        gas_limit: genesis.gas_limit,
        timestamp: time,
        extra_data: genesis.extra_data.clone(),
        mix_hash: genesis.mix_hash,
        nonce: B64::from(genesis.nonce),
        base_fee_per_gas: schedule.is_london_active_at_block(number).then_some(base_fee),
        withdrawals_root: schedule.is_shanghai_active_at_timestamp(time).then_some(EMPTY_WITHDRAWALS),
        blob_gas_used: cancun.then(|| genesis.blob_gas_used.unwrap_or_default()),
        excess_blob_gas: cancun.then(|| genesis.excess_blob_gas.unwrap_or_default()),
        parent_beacon_block_root: cancun.then_some(B256::ZERO),
        requests_hash: schedule.is_prague_active_at_timestamp(time).then_some(EMPTY_REQUESTS_HASH),
        ..Default::default()
    })
}

#[cfg(test)]
mod tests;
