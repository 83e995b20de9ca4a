//! `eth_getProof` (EIP-1186), at any block within the proof window.

use crate::{Args, Registrar, RpcContext, RpcError, place::Place, types::StorageKey};
use alloy_consensus::constants::{EMPTY_ROOT_HASH, KECCAK_EMPTY};
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use serde::Serialize;

/// An account with the trie nodes that prove it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProofResponse {
    address: Address,
    account_proof: Vec<Bytes>,
    balance: U256,
    code_hash: B256,
    nonce: U64,
    storage_hash: B256,
    storage_proof: Vec<SlotResponse>,
}

#[derive(Clone, Debug, Serialize)]
struct SlotResponse {
    key: StorageKey,
    value: U256,
    proof: Vec<Bytes>,
}

/// Registers the method.
pub fn register(registrar: &mut Registrar) {
    registrar.execute("eth_getProof", 3, proof);
}

fn proof(context: &RpcContext, args: &Args<'_>) -> Result<ProofResponse, RpcError> {
    let (address, keys, id): (Address, Vec<String>, _) =
        (args.required(0)?, args.required(1)?, args.optional(2)?);
    if keys.len() > context.config.storage_keys_max {
        return Err(RpcError::InvalidParams(format!(
            "too many keys (requested {}, max {})",
            keys.len(),
            context.config.storage_keys_max
        )));
    }
    let keys = keys.iter().map(|key| StorageKey::parse(key)).collect::<Result<Vec<_>, _>>()?;
    let slots: Vec<B256> = keys.iter().map(|key| key.slot).collect();
    let view = context.view();
    let overlay = Place::find(context, &view, id)?.trie_overlay(context, &view)?;
    let proof = weft_trie::prove(&view, &overlay, address, &slots)?;
    let account = proof.account.unwrap_or_default();
    let exists = proof.account.is_some();
    Ok(ProofResponse {
        address,
        account_proof: proof.proof,
        balance: account.balance,
        code_hash: if exists { account.code_hash } else { KECCAK_EMPTY },
        nonce: U64::from(account.nonce),
        storage_hash: if exists { account.storage_root } else { EMPTY_ROOT_HASH },
        storage_proof: keys
            .into_iter()
            .zip(proof.slots)
            .map(|(key, slot)| SlotResponse { key, value: slot.value, proof: slot.proof })
            .collect(),
    })
}
