//! A case's chain: its network name, chain id, blob schedule and genesis made into a [`ChainSpec`].

use super::fixture::{Account, Case};
use alloy_eips::eip7840::BlobParams;
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_primitives::{B256, U256};
use weft_chainspec::{ChainSpec, ChainSpecError, NetworkError, network_config};

/// Why a case has no chain.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The node does not know this network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The case's configuration is refused.
    #[error(transparent)]
    Spec(#[from] ChainSpecError),
    /// A number that does not fit its field.
    #[error("genesis field {0} is too large")]
    Range(&'static str),
    /// Block 0 is not the one that the case names.
    #[error("genesis hash is {have}, the case says {want} (state root {state_root})")]
    Hash {
        /// Computed here.
        have: B256,
        /// In the file.
        want: B256,
        /// Computed here.
        state_root: B256,
    },
}

/// Makes the chain and checks that block 0 comes out as the case says.
pub fn chain(case: &Case) -> Result<ChainSpec, ChainError> {
    let chain_id = narrow(case.config.chainid.unwrap_or(U256::ONE), "chainid")?;
    let mut config = network_config(&case.network, chain_id)?;
    for (fork, params) in &case.config.blob_schedule {
        let entry = BlobParams {
            target_blob_count: narrow(params.target, "blobSchedule.target")?,
            max_blob_count: narrow(params.max, "blobSchedule.max")?,
            update_fraction: narrow::<u64>(params.base_fee_update_fraction, "blobSchedule")?.into(),
            ..BlobParams::cancun()
        };
        config.blob_schedule.insert(fork.to_lowercase(), entry);
    }
    let header = &case.genesis_block_header;
    let genesis = Genesis {
        config,
        nonce: u64::from_be_bytes(header.nonce.0),
        timestamp: narrow(header.timestamp, "timestamp")?,
        extra_data: header.extra_data.clone(),
        gas_limit: narrow(header.gas_limit, "gasLimit")?,
        difficulty: header.difficulty,
        mix_hash: header.mix_hash,
        coinbase: header.coinbase,
        alloc: case
            .pre
            .iter()
            .map(|(address, account)| Ok((*address, alloc(account)?)))
            .collect::<Result<_, ChainError>>()?,
        base_fee_per_gas: header
            .base_fee_per_gas
            .map(|fee| narrow::<u64>(fee, "baseFeePerGas"))
            .transpose()?
            .map(Into::into),
        excess_blob_gas: header.excess_blob_gas.map(|gas| narrow(gas, "excessBlobGas")).transpose()?,
        blob_gas_used: header.blob_gas_used.map(|gas| narrow(gas, "blobGasUsed")).transpose()?,
        number: Some(narrow(header.number, "number")?),
        parent_hash: Some(header.parent_hash),
        ..Default::default()
    };
    let spec = ChainSpec::from_genesis(genesis)?;
    let (have, want) = (spec.genesis_hash(), header.hash);
    if have == want {
        Ok(spec)
    } else {
        Err(ChainError::Hash { have, want, state_root: spec.genesis_header().state_root })
    }
}

fn alloc(account: &Account) -> Result<GenesisAccount, ChainError> {
    let storage = account.storage.iter().map(|(slot, value)| ((*slot).into(), (*value).into())).collect();
    Ok(GenesisAccount {
        nonce: Some(narrow(account.nonce, "nonce")?),
        balance: account.balance,
        code: Some(account.code.clone()),
        storage: Some(storage),
        private_key: None,
    })
}

fn narrow<T: TryFrom<U256>>(number: U256, field: &'static str) -> Result<T, ChainError> {
    T::try_from(number).map_err(|_| ChainError::Range(field))
}
