//! From revm's bundle of a block to changed leaves of the hashed state.
//!
//! [`hash_bundle`] is called once per executed block; the overlay, the trie and storage work on
//! its result only. ([`hash_transitions`] does the same for one transaction, for the roots in receipts before
//! Byzantium.) Invariants, each with a test:
//!
//! - an account that is gone (self-destruct, or emptied under EIP-161) is `None` and its storage
//!   is wiped, whether or not it had any;
//! - a destroyed account that was created again is wiped and has only the new, non-zero slots;
//! - an account of which only storage changed is in `accounts` too;
//! - what came back to its old value is not there.

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, keccak256, map::B256Map};
use revm::{
    database::{BundleAccount, BundleState, TransitionState},
    state::AccountInfo,
};
use weft_primitives::{HashedPostState, HashedStorage, StoredAccount};

/// What one block changes: leaves by hashed key, and new contract code by code hash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockState {
    /// Accounts and slots after the block. `storage_root`s are placeholders.
    pub post: HashedPostState,
    /// New code, non-empty, by code hash.
    pub code: B256Map<Bytes>,
}

/// Hashes a block's bundle. Every address and changed slot costs one keccak.
pub fn hash_bundle(bundle: &BundleState) -> BlockState {
    let mut post = HashedPostState::default();
    post.accounts.reserve(bundle.state.len());
    for (address, account) in &bundle.state {
        add_account(&mut post, *address, account);
    }
    let code = bundle
        .contracts
        .iter()
        .filter(|(_, code)| !code.is_empty())
        .map(|(hash, code)| (*hash, code.original_bytes()))
        .collect();
    BlockState { post, code }
}

/// Hashes what changed within a block since transitions were merged last. What came back to its old value is listed
/// with it: the old value is not the parent's.
pub(crate) fn hash_transitions(changed: &TransitionState) -> HashedPostState {
    let mut post = HashedPostState::default();
    for (address, account) in &changed.transitions {
        let key = keccak256(address);
        post.accounts.insert(key, account.info.as_ref().map(stored_account));
        let wiped = account.storage_was_destroyed || account.info.is_none();
        let slots: B256Map<_> = match account.info {
            Some(_) => account
                .storage
                .iter()
                .map(|(slot, value)| (keccak256(B256::from(*slot)), value.present_value))
                .collect(),
            None => B256Map::default(),
        };
        if wiped || !slots.is_empty() {
            post.storages.insert(key, HashedStorage { wiped, slots });
        }
    }
    post
}

/// The account record as the trie's leaf has it; the storage root is for the trie to fill.
pub(crate) fn stored_account(info: &AccountInfo) -> StoredAccount {
    // A zero code hash is the EVM's word for storage without code (EIP-7610); on disk that is no code.
    let code_hash = if info.code_hash.is_zero() { KECCAK256_EMPTY } else { info.code_hash };
    StoredAccount { nonce: info.nonce, balance: info.balance, code_hash, ..Default::default() }
}

fn add_account(post: &mut HashedPostState, address: Address, account: &BundleAccount) {
    let destroyed = account.was_destroyed();
    // Born and gone within the block: the state never had it.
    if account.info.is_none() && account.original_info.is_none() {
        return;
    }
    let slots = changed_slots(account, destroyed);
    if !destroyed && slots.is_empty() && !account.is_info_changed() {
        return;
    }
    let key = keccak256(address);
    post.accounts.insert(key, account.info.as_ref().map(stored_account));
    let wiped = destroyed || account.info.is_none();
    if wiped || !slots.is_empty() {
        post.storages.insert(key, HashedStorage { wiped, slots });
    }
}

fn changed_slots(account: &BundleAccount, destroyed: bool) -> B256Map<alloy_primitives::U256> {
    if account.info.is_none() {
        return B256Map::default();
    }
    account
        .storage
        .iter()
        // After a wipe the old value of a slot is zero, whatever the bundle remembers of it.
        .filter(|(_, slot)| if destroyed { !slot.present_value.is_zero() } else { slot.is_changed() })
        .map(|(key, slot)| (keccak256(B256::from(*key)), slot.present_value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{U256, address};
    use revm::{
        database::{AccountStatus, states::StorageSlot},
        state::Bytecode,
    };

    const ADDRESS: Address = address!("00000000000000000000000000000000000000aa");

    fn info(nonce: u64) -> AccountInfo {
        AccountInfo { nonce, balance: U256::from(7), ..Default::default() }
    }

    fn bundle(
        before: Option<AccountInfo>,
        after: Option<AccountInfo>,
        slots: &[(u64, u64, u64)],
        status: AccountStatus,
    ) -> BundleState {
        let storage = slots
            .iter()
            .map(|(key, old, new)| {
                (U256::from(*key), StorageSlot::new_changed(U256::from(*old), U256::from(*new)))
            })
            .collect();
        let mut bundle = BundleState::default();
        bundle.state.insert(ADDRESS, BundleAccount::new(before, after, storage, status));
        bundle
    }

    fn slot(key: u64) -> B256 {
        keccak256(B256::from(U256::from(key)))
    }

    #[test]
    fn a_balance_change_is_one_leaf_without_storage() {
        let state = hash_bundle(&bundle(Some(info(1)), Some(info(2)), &[], AccountStatus::Changed)).post;
        assert_eq!(state.accounts[&keccak256(ADDRESS)], Some(stored_account(&info(2))));
        assert!(state.storages.is_empty());
    }

    #[test]
    fn what_came_back_to_its_old_value_is_left_out() {
        let state =
            hash_bundle(&bundle(Some(info(1)), Some(info(1)), &[(1, 5, 5)], AccountStatus::Changed)).post;
        assert!(state.is_empty(), "{state:?}");
    }

    #[test]
    fn an_account_of_which_only_storage_changed_is_listed_too() {
        let state = hash_bundle(&bundle(
            Some(info(1)),
            Some(info(1)),
            &[(1, 5, 0), (2, 0, 9)],
            AccountStatus::Changed,
        ))
        .post;
        let key = keccak256(ADDRESS);
        assert_eq!(state.accounts[&key], Some(stored_account(&info(1))));
        let storage = &state.storages[&key];
        assert!(!storage.wiped);
        assert_eq!(storage.slots[&slot(1)], U256::ZERO, "a cleared slot is written as zero");
        assert_eq!(storage.slots[&slot(2)], U256::from(9));
    }

    #[test]
    fn a_destroyed_account_loses_its_storage_whatever_the_bundle_remembers_of_it() {
        let state = hash_bundle(&bundle(Some(info(1)), None, &[(1, 5, 6)], AccountStatus::Destroyed)).post;
        let key = keccak256(ADDRESS);
        assert_eq!(state.accounts[&key], None);
        assert_eq!(state.storages[&key], HashedStorage { wiped: true, slots: Default::default() });
    }

    #[test]
    fn an_account_emptied_under_eip161_is_gone() {
        let state =
            hash_bundle(&bundle(Some(AccountInfo::default()), None, &[], AccountStatus::Destroyed)).post;
        assert_eq!(state.accounts[&keccak256(ADDRESS)], None);
    }

    #[test]
    fn an_empty_account_from_before_eip161_stays() {
        let empty = AccountInfo::default();
        let state = hash_bundle(&bundle(None, Some(empty), &[], AccountStatus::InMemoryChange)).post;
        assert_eq!(state.accounts[&keccak256(ADDRESS)], Some(StoredAccount::default()));
    }

    #[test]
    fn destroyed_and_created_again_has_only_the_new_slots() {
        // Slot 1 has its old value again: without the wipe it would look unchanged. Slot 2 is gone.
        let state = hash_bundle(&bundle(
            Some(info(1)),
            Some(info(1)),
            &[(1, 5, 5), (2, 6, 0), (3, 0, 4)],
            AccountStatus::DestroyedChanged,
        ))
        .post;
        let storage = &state.storages[&keccak256(ADDRESS)];
        assert!(storage.wiped);
        let expected: B256Map<U256> =
            [(slot(1), U256::from(5)), (slot(3), U256::from(4))].into_iter().collect();
        assert_eq!(storage.slots, expected);
    }

    #[test]
    fn born_and_gone_within_the_block_leaves_nothing() {
        let state = hash_bundle(&bundle(None, None, &[(1, 0, 2)], AccountStatus::DestroyedAgain)).post;
        assert!(state.is_empty(), "{state:?}");
    }

    #[test]
    fn code_is_kept_as_it_was_deployed() {
        let code = Bytecode::new_raw(Bytes::from_static(&[0x60, 0x00, 0x56]));
        let hash = code.hash_slow();
        let mut bundle = BundleState::default();
        bundle.contracts.insert(hash, code);
        bundle.contracts.insert(revm::primitives::KECCAK_EMPTY, Bytecode::default());
        let state = hash_bundle(&bundle);
        assert_eq!(state.code.len(), 1);
        assert_eq!(keccak256(&state.code[&hash]), hash, "padding for the jump table is not part of the code");
    }
}
