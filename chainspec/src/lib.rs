//! SKELETON: protocol parameters, fork schedule, genesis. The one home of numbers.
#![allow(unused_variables, clippy::todo)]

use alloy_consensus::Header;
use alloy_eips::eip7840::BlobParams;
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256};
use weft_primitives::{Geometry, SealedHeader};

/// A chain: genesis, forks, blob schedule and, on a Weft chain, PROTOCOL §1.
/// Implements alloy's `EthereumHardforks` and alloy-evm's `EthExecutorSpec`. Shared as `Arc<ChainSpec>`.
#[derive(Clone, Debug)]
pub struct ChainSpec {
    // private: genesis, sealed genesis header, forks, blob schedule, weft
    weft: Option<WeftParams>,
    genesis: Genesis,
}

/// `config.weft` of the genesis file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeftParams {
    pub geometry: Geometry,
    pub blob_threshold_bytes: usize,
    pub max_tx_bytes: usize,
    pub max_block_bytes: usize,
    pub calldata_gas: Option<CalldataGas>,
    /// Overrides EIP-7825's cap; absent on a Weft chain = the block gas limit.
    pub tx_gas_limit_cap: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalldataGas {
    pub token_cost: u64,
    pub non_zero_token_multiplier: u64,
    pub floor_per_token: u64,
}

impl ChainSpec {
    /// The built-in dev chain: chain id 1337, all forks through BPO2 from genesis, ten funded accounts of
    /// "test test test test test test test test test test test junk", system contracts, `config.weft` dev values.
    pub fn dev() -> Self { todo!() }
    pub fn from_genesis(genesis: Genesis) -> Result<Self, ChainSpecError> { todo!() }
    /// geth's genesis JSON with optional `config.weft`; errors name the field.
    pub fn from_json(json: &str) -> Result<Self, ChainSpecError> { todo!() }
    pub fn chain_id(&self) -> u64 { todo!() }
    pub fn genesis(&self) -> &Genesis { &self.genesis }
    /// State root computed from `alloc`.
    pub fn genesis_header(&self) -> &SealedHeader { todo!() }
    pub fn genesis_hash(&self) -> B256 { todo!() }
    pub fn weft(&self) -> Option<&WeftParams> { self.weft.as_ref() }
    pub fn blob_params_at(&self, timestamp: u64) -> Option<BlobParams> { todo!() }
    pub fn deposit_contract(&self) -> Option<Address> { todo!() }
    pub fn next_base_fee(&self, parent: &Header, timestamp: u64) -> Option<u64> { todo!() }
}

#[derive(Debug, thiserror::Error)]
pub enum ChainSpecError {
    #[error("genesis: {0}")]
    Json(#[from] serde_json::Error),
    #[error("genesis config.{field}: {reason}")]
    Field { field: &'static str, reason: String },
}
