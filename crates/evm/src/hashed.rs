//! From revm's changed accounts to the leaves that trie and storage take.

use alloy_primitives::{B256, Bytes, KECCAK256_EMPTY, U256, keccak256, map::B256Map};
use rayon::prelude::*;
use revm::database::{BundleAccount, BundleState};
use weft_primitives::{HashedPostState, HashedStorage, StoredAccount};

/// Below this many changed accounts hashing on one thread is faster than sharing it out.
const PARALLEL_ACCOUNTS_MIN: usize = 128;

/// A block's changes by hashed key, and the code of contracts that it created.
#[derive(Clone, Debug, Default)]
pub struct BundleHash {
    /// Changed leaves.
    pub state: HashedPostState,
    /// New code by code hash.
    pub code: B256Map<Bytes>,
}

/// Hashes addresses and slots of everything that changed.
pub fn hash_bundle(bundle: &BundleState) -> BundleHash {
    let leaf = |(address, account): (&_, &BundleAccount)| Some((keccak256(address), changed(account)?));
    let leaves: Vec<_> = if bundle.state.len() < PARALLEL_ACCOUNTS_MIN {
        bundle.state.iter().filter_map(leaf).collect()
    } else {
        bundle.state.par_iter().filter_map(leaf).collect()
    };
    let mut state = HashedPostState::default();
    for (hashed, (account, storage)) in leaves {
        state.accounts.insert(hashed, account);
        if storage.wiped || !storage.slots.is_empty() {
            state.storages.insert(hashed, storage);
        }
    }
    let code = bundle
        .contracts
        .iter()
        .filter(|(_, code)| !code.is_empty())
        .map(|(hash, code)| (*hash, code.original_bytes()))
        .collect();
    BundleHash { state, code }
}

/// The account after the block and its changed slots; `None` if it is as it was.
fn changed(account: &BundleAccount) -> Option<(Option<StoredAccount>, HashedStorage)> {
    let wiped = account.status.was_destroyed();
    let slots: B256Map<U256> = account
        .storage
        .iter()
        .filter(|(_, slot)| if wiped { !slot.present_value.is_zero() } else { slot.is_changed() })
        .map(|(slot, value)| (keccak256(B256::from(*slot)), value.present_value))
        .collect();
    if !wiped && slots.is_empty() && !account.is_info_changed() {
        return None;
    }
    let info = account.info.as_ref().map(|info| StoredAccount {
        nonce: info.nonce,
        balance: info.balance,
        // A zero code hash marks storage without code (EIP-7610); on disk that is no code.
        code_hash: if info.code_hash.is_zero() { KECCAK256_EMPTY } else { info.code_hash },
        ..Default::default()
    });
    Some((info, HashedStorage { wiped, slots }))
}
