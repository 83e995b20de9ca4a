//! Rules of a header against its parent.

use super::{RuleError, difficulty};
use crate::block_spec::is_proof_of_stake;
use alloy_consensus::{
    Header,
    constants::{EMPTY_OMMER_ROOT_HASH, MAXIMUM_EXTRA_DATA_SIZE},
};
use alloy_eips::eip4844::DATA_GAS_PER_BLOB;
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::{B64, U256};
use weft_chainspec::ChainSpec;
use weft_primitives::SealedHeader;

/// Least gas limit (yellow paper, section 4.3.4).
const GAS_LIMIT_MIN: u64 = 5000;
/// Greatest gas limit: signed 64 bits, as geth.
const GAS_LIMIT_MAX: u64 = i64::MAX as u64;
/// The gas limit moves by less than this part of the parent's.
const GAS_LIMIT_STEP: u64 = 1024;
/// Bytes of a daRoot.
const DA_ROOT_BYTES: usize = 32;
/// "dao-hard-fork", in the ten blocks from the fork on.
const DAO_EXTRA_DATA: &[u8] = b"dao-hard-fork";
const DAO_EXTRA_DATA_BLOCKS: u64 = 10;

/// Rules of a header against its parent.
pub fn check_header(spec: &ChainSpec, header: &SealedHeader, parent: &SealedHeader) -> Result<(), RuleError> {
    if header.parent_hash != parent.hash() {
        return Err(RuleError::ParentHash { have: header.parent_hash, want: parent.hash() });
    }
    let want = parent.number.saturating_add(1);
    if header.number != want {
        return Err(RuleError::Number { have: header.number, want });
    }
    if header.timestamp <= parent.timestamp {
        return Err(RuleError::Timestamp { have: header.timestamp, parent: parent.timestamp });
    }
    check_extra_data(spec, header)?;
    check_gas(spec, header, parent)?;
    check_proof(spec, header, parent)?;
    check_fork_fields(spec, header)?;
    check_base_fee(spec, header, parent)?;
    check_blob_gas(spec, header, parent)
}

/// Excess blob gas of the block after `parent` at a time (EIP-4844, from Osaka on with EIP-7918's reserve price);
/// `None` before Cancun.
pub fn next_excess_blob_gas(spec: &ChainSpec, parent: &Header, timestamp: u64) -> Option<u64> {
    let params = spec.blob_params_at(timestamp)?;
    // The first block of Cancun has a parent without these fields; they count as zero.
    let excess = parent.excess_blob_gas.unwrap_or_default();
    let used = parent.blob_gas_used.unwrap_or_default();
    Some(params.next_block_excess_blob_gas_osaka(excess, used, parent.base_fee_per_gas.unwrap_or_default()))
}

fn check_extra_data(spec: &ChainSpec, header: &Header) -> Result<(), RuleError> {
    let length = header.extra_data.len();
    if length > MAXIMUM_EXTRA_DATA_SIZE {
        return Err(RuleError::ExtraDataTooLong(length));
    }
    if spec.weft().is_some() && length != DA_ROOT_BYTES {
        return Err(RuleError::ExtraDataLength(length));
    }
    if let ForkCondition::Block(dao) = spec.ethereum_fork_activation(EthereumHardfork::Dao)
        && (dao..dao.saturating_add(DAO_EXTRA_DATA_BLOCKS)).contains(&header.number)
        && *header.extra_data != *DAO_EXTRA_DATA
    {
        return Err(RuleError::DaoExtraData(header.extra_data.clone()));
    }
    Ok(())
}

fn check_gas(spec: &ChainSpec, header: &Header, parent: &Header) -> Result<(), RuleError> {
    if header.gas_limit > GAS_LIMIT_MAX {
        return Err(RuleError::GasLimitTooHigh(header.gas_limit));
    }
    if header.gas_used > header.gas_limit {
        return Err(RuleError::GasUsedAboveLimit { used: header.gas_used, limit: header.gas_limit });
    }
    // EIP-1559: the limit doubles at London, so that its target is what the limit was.
    let at_london =
        spec.is_london_active_at_block(header.number) && !spec.is_london_active_at_block(parent.number);
    let parent_limit = if at_london { parent.gas_limit.saturating_mul(2) } else { parent.gas_limit };
    let bound = parent_limit / GAS_LIMIT_STEP;
    if header.gas_limit.abs_diff(parent_limit) >= bound {
        return Err(RuleError::GasLimitStep { have: header.gas_limit, parent: parent_limit, bound });
    }
    if header.gas_limit < GAS_LIMIT_MIN {
        return Err(RuleError::GasLimitTooLow(header.gas_limit));
    }
    Ok(())
}

/// Difficulty, nonce and ommers by the kind of proof (EIP-3675).
fn check_proof(spec: &ChainSpec, header: &Header, parent: &Header) -> Result<(), RuleError> {
    // After a proof-of-stake block comes no other. Block 0 may have difficulty zero for no reason.
    let after_merge = parent.number > 0 && is_proof_of_stake(spec, parent);
    if !after_merge && !is_proof_of_stake(spec, header) {
        let want = difficulty(spec, header.timestamp, parent);
        let have = header.difficulty;
        return if have == want { Ok(()) } else { Err(RuleError::Difficulty { have, want }) };
    }
    if !header.difficulty.is_zero() {
        return Err(RuleError::Difficulty { have: header.difficulty, want: U256::ZERO });
    }
    if header.nonce != B64::ZERO {
        return Err(RuleError::Nonce);
    }
    if header.ommers_hash != EMPTY_OMMER_ROOT_HASH {
        return Err(RuleError::OmmersAfterMerge);
    }
    Ok(())
}

/// Each fork's fields are there from it on, and not before.
fn check_fork_fields(spec: &ChainSpec, header: &Header) -> Result<(), RuleError> {
    let shanghai = spec.is_shanghai_active_at_timestamp(header.timestamp);
    let cancun = spec.is_cancun_active_at_timestamp(header.timestamp);
    let prague = spec.is_prague_active_at_timestamp(header.timestamp);
    for (name, active, present) in [
        ("withdrawalsRoot", shanghai, header.withdrawals_root.is_some()),
        ("blobGasUsed", cancun, header.blob_gas_used.is_some()),
        ("excessBlobGas", cancun, header.excess_blob_gas.is_some()),
        ("parentBeaconBlockRoot", cancun, header.parent_beacon_block_root.is_some()),
        ("requestsHash", prague, header.requests_hash.is_some()),
        ("blockAccessListHash", false, header.block_access_list_hash.is_some()),
        ("slotNumber", false, header.slot_number.is_some()),
    ] {
        match (active, present) {
            (true, false) => return Err(RuleError::FieldMissing(name)),
            (false, true) => return Err(RuleError::FieldUnexpected(name)),
            _ => (),
        }
    }
    Ok(())
}

fn check_base_fee(spec: &ChainSpec, header: &Header, parent: &Header) -> Result<(), RuleError> {
    match (spec.next_base_fee(parent), header.base_fee_per_gas) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(RuleError::FieldUnexpected("baseFee")),
        (Some(_), None) => Err(RuleError::FieldMissing("baseFee")),
        (Some(want), Some(have)) if have == want => Ok(()),
        (Some(want), Some(have)) => Err(RuleError::BaseFee { have, want }),
    }
}

fn check_blob_gas(spec: &ChainSpec, header: &Header, parent: &Header) -> Result<(), RuleError> {
    let Some(params) = spec.blob_params_at(header.timestamp) else { return Ok(()) };
    let used = header.blob_gas_used.unwrap_or_default();
    let max = params.max_blob_gas_per_block();
    if used > max {
        return Err(RuleError::BlobGasAboveMax { used, max });
    }
    if !used.is_multiple_of(DATA_GAS_PER_BLOB) {
        return Err(RuleError::BlobGasMultiple(used));
    }
    let have = header.excess_blob_gas.unwrap_or_default();
    match next_excess_blob_gas(spec, parent, header.timestamp) {
        Some(want) if want != have => Err(RuleError::ExcessBlobGas { have, want }),
        _ => Ok(()),
    }
}
