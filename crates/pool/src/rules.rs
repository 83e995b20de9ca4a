//! Rules that a transaction must meet whatever its sender's account is, for the block after the head.
//!
//! Order and wording follow geth, so that the first complaint is the same one. Gas comes from `weft_evm::gas`,
//! which execution uses too. Called by admission for transactions that are to be pooled; transactions of blocks
//! from outside are judged by execution.

use crate::{
    config::{Origin, PoolConfig},
    decode::{Decoded, TypedTransaction},
    entry::Sidecar,
    error::PoolError,
};
use alloy_consensus::Transaction as _;
use alloy_eips::{
    Typed2718,
    eip4844::{BYTES_PER_BLOB, env_settings::EnvKzgSettings},
    eip7840::BlobParams,
};
use revm::{
    context_interface::cfg::GasParams,
    primitives::{eip3860, hardfork::SpecId},
};
use weft_chainspec::ChainSpec;
use weft_evm::gas;
use weft_primitives::{InputBytes, SealedHeader};

/// Largest transaction of a plain chain that geth takes, in bytes; a policy, not consensus.
const PLAIN_TRANSACTION_BYTES_MAX: usize = 128 * 1024;
/// Per blob in network form: the blob, its commitment, up to 128 cell proofs of 48 bytes and RLP headers.
const NETWORK_BLOB_BYTES_MAX: usize = BYTES_PER_BLOB + 48 + 128 * 48 + 256;
/// EIP-4844: a transaction's lowest sensible bid for blob gas, in wei.
const BLOB_FEE_MIN: u128 = 1;

/// The rules of the next block.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    chain_id: u64,
    fork: SpecId,
    gas: GasParams,
    block_gas_limit: u64,
    gas_limit_cap: Option<u64>,
    blobs: Option<BlobParams>,
    transaction_bytes_max: usize,
    minimum_tip: u128,
    /// Wei per gas; 0 before London.
    pub base_fee: u64,
}

impl Rules {
    /// Rules for a child of `head`.
    pub(crate) fn after(spec: &ChainSpec, head: &SealedHeader, config: &PoolConfig) -> Self {
        let (number, timestamp) = (head.number.saturating_add(1), head.timestamp.saturating_add(1));
        let fork = gas::fork_at(spec, number, timestamp);
        let chain_limit = spec.weft().map_or(PLAIN_TRANSACTION_BYTES_MAX, |weft| weft.max_tx_bytes);
        Self {
            chain_id: spec.chain_id(),
            fork,
            gas: gas::gas_params(spec, fork),
            block_gas_limit: head.gas_limit,
            gas_limit_cap: gas::tx_gas_limit_cap(spec, fork, head.gas_limit),
            blobs: spec.blob_params_at(timestamp),
            transaction_bytes_max: config.transaction_bytes_max.unwrap_or(chain_limit),
            minimum_tip: config.minimum_tip_wei,
            base_fee: spec.next_base_fee(head).unwrap_or(0),
        }
    }

    /// Refuses by length and type, before anything is parsed.
    pub(crate) fn check_bytes(&self, raw: &[u8]) -> Result<(), PoolError> {
        let blobs = match (raw.first(), self.blobs) {
            (Some(3), Some(params)) => usize::try_from(params.max_blobs_per_tx).unwrap_or(usize::MAX),
            _ => 0,
        };
        let limit = blobs.saturating_mul(NETWORK_BLOB_BYTES_MAX).saturating_add(self.transaction_bytes_max);
        if raw.len() > limit {
            return Err(PoolError::Oversized { size: raw.len(), limit });
        }
        match raw.first() {
            Some(1) => self.needs(SpecId::BERLIN, 1, "Berlin"),
            Some(2) => self.needs(SpecId::LONDON, 2, "London"),
            Some(3) => self.needs(SpecId::CANCUN, 3, "Cancun"),
            Some(4) => self.needs(SpecId::PRAGUE, 4, "Prague"),
            _ => Ok(()),
        }
    }

    fn needs(&self, fork: SpecId, ty: u8, name: &'static str) -> Result<(), PoolError> {
        if self.fork.is_enabled_in(fork) { Ok(()) } else { Err(PoolError::TypeNotActive { ty, fork: name }) }
    }

    /// Everything that needs neither hash nor account nor cryptography.
    pub(crate) fn check(&self, decoded: &Decoded, origin: Origin) -> Result<(), PoolError> {
        let tx = &decoded.tx;
        if decoded.encoded.len() > self.transaction_bytes_max {
            return Err(PoolError::Oversized {
                size: decoded.encoded.len(),
                limit: self.transaction_bytes_max,
            });
        }
        self.check_gas_limit(tx)?;
        let tip = tx.max_priority_fee_per_gas().unwrap_or_else(|| tx.max_fee_per_gas());
        if tip > tx.max_fee_per_gas() {
            return Err(PoolError::TipAboveFeeCap);
        }
        if let Some(have) = tx.chain_id().filter(|id| *id != self.chain_id) {
            return Err(PoolError::ChainId { have, want: self.chain_id });
        }
        if tx.nonce() == u64::MAX {
            return Err(PoolError::NonceMax);
        }
        self.check_intrinsic_gas(tx, decoded.input_bytes)?;
        if origin == Origin::External && tip < self.minimum_tip {
            return Err(PoolError::TipTooLow { tip, needed: self.minimum_tip });
        }
        if tx.is_eip7702() && tx.authorization_count().unwrap_or(0) == 0 {
            return Err(PoolError::NoAuthorizations);
        }
        if tx.is_eip4844() { self.check_blobs(tx, decoded.sidecar.as_deref()) } else { Ok(()) }
    }

    fn check_gas_limit(&self, tx: &TypedTransaction) -> Result<(), PoolError> {
        if self.fork.is_enabled_in(SpecId::SHANGHAI)
            && tx.is_create()
            && tx.input().len() > eip3860::MAX_INITCODE_SIZE
        {
            return Err(PoolError::Initcode { size: tx.input().len(), limit: eip3860::MAX_INITCODE_SIZE });
        }
        if let Some(cap) =
            self.gas_limit_cap.filter(|cap| tx.gas_limit() > *cap && *cap < self.block_gas_limit)
        {
            return Err(PoolError::GasLimitCap { cap, gas: tx.gas_limit() });
        }
        if tx.gas_limit() > self.block_gas_limit { Err(PoolError::BlockGasLimit) } else { Ok(()) }
    }

    fn check_intrinsic_gas(&self, tx: &TypedTransaction, input: InputBytes) -> Result<(), PoolError> {
        let (accounts, slots) = tx.access_list().map_or((0, 0), |list| {
            (list.len() as u64, list.iter().map(|item| item.storage_keys.len() as u64).sum())
        });
        let cost = gas::IntrinsicCost {
            input,
            is_create: tx.is_create(),
            accounts,
            slots,
            authorizations: tx.authorization_count().unwrap_or(0),
        };
        let needed = cost.gas(&self.gas);
        let gas = tx.gas_limit();
        if gas < needed.initial_total_gas() {
            return Err(PoolError::IntrinsicGas { gas, needed: needed.initial_total_gas() });
        }
        if gas < needed.floor_gas() {
            return Err(PoolError::FloorGas { gas, needed: needed.floor_gas() });
        }
        Ok(())
    }

    fn check_blobs(&self, tx: &TypedTransaction, sidecar: Option<&Sidecar>) -> Result<(), PoolError> {
        let sidecar = sidecar.ok_or(PoolError::MissingSidecar)?;
        let want = u8::from(self.fork.is_enabled_in(SpecId::OSAKA));
        let got = u8::from(sidecar.is_eip7594());
        if want != got {
            return Err(PoolError::SidecarVersion { want, got });
        }
        let cap = tx.max_fee_per_blob_gas().unwrap_or(0);
        if cap < BLOB_FEE_MIN {
            return Err(PoolError::BlobFeeTooLow { cap, needed: BLOB_FEE_MIN });
        }
        let have = tx.blob_count().unwrap_or(0);
        if have == 0 {
            return Err(PoolError::NoBlobs);
        }
        let permitted = self.blobs.map_or(0, |params| params.max_blobs_per_tx);
        if have > permitted { Err(PoolError::TooManyBlobs { have, permitted }) } else { Ok(()) }
    }
}

/// Checks a sidecar's commitments against the transaction's versioned hashes, and its proofs against the blobs.
/// Milliseconds per blob.
pub(crate) fn check_sidecar(decoded: &Decoded) -> Result<(), PoolError> {
    let Some(sidecar) = &decoded.sidecar else { return Ok(()) };
    let hashes = decoded.tx.blob_versioned_hashes().unwrap_or_default();
    Ok(sidecar.validate(hashes, EnvKzgSettings::Default.get())?)
}

#[cfg(test)]
mod tests;
