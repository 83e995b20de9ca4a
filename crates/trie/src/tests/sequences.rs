//! Random sequences of blocks, each applied on the one before.

use super::{
    memory::MemoryState,
    oracle::{check, check_proof},
};
use crate::layer::Layer;
use alloy_primitives::{B256, U256, keccak256};
use proptest::{collection::vec, prelude::*};
use weft_primitives::{HashedPostState, HashedStorage, StoredAccount};

/// What one step of a block does; indices choose from the pool of keys.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Touch {
        account: usize,
        nonce: u64,
    },
    Set {
        account: usize,
        slot: usize,
        value: U256,
    },
    Clear {
        account: usize,
        slot: usize,
    },
    Destroy {
        account: usize,
    },
    /// Destroyed and created again with other storage, in one block.
    Recreate {
        account: usize,
        slots: Vec<(usize, U256)>,
    },
}

/// Nibbles at a few places of an otherwise zero key: prefixes of all lengths are shared, and leaves near the
/// bottom have nodes so short that they lie inside their parents.
fn clustered_key() -> impl Strategy<Value = B256> {
    const PLACES: [usize; 9] = [0, 1, 2, 15, 16, 40, 61, 62, 63];
    vec(prop_oneof![4 => Just(0u8), 1 => Just(1), 1 => Just(7), 1 => Just(15)], PLACES.len()).prop_map(
        |nibbles| {
            let mut key = B256::ZERO;
            for (place, nibble) in PLACES.into_iter().zip(nibbles) {
                key.0[place / 2] |= nibble << if place % 2 == 0 { 4 } else { 0 };
            }
            key
        },
    )
}

fn key() -> impl Strategy<Value = B256> {
    prop_oneof![3 => clustered_key(), 1 => any::<u16>().prop_map(|seed| keccak256(seed.to_be_bytes()))]
}

fn value() -> impl Strategy<Value = U256> {
    prop_oneof![3 => (0u64..3).prop_map(U256::from), 1 => any::<[u8; 32]>().prop_map(U256::from_be_bytes)]
}

fn step(keys: usize) -> impl Strategy<Value = Step> {
    let index = 0..keys;
    prop_oneof![
        3 => (index.clone(), 0u64..4).prop_map(|(account, nonce)| Step::Touch { account, nonce }),
        6 => (index.clone(), index.clone(), value())
            .prop_map(|(account, slot, value)| Step::Set { account, slot, value }),
        3 => (index.clone(), index.clone()).prop_map(|(account, slot)| Step::Clear { account, slot }),
        2 => index.clone().prop_map(|account| Step::Destroy { account }),
        1 => (index.clone(), vec((index, value()), 0..4))
            .prop_map(|(account, slots)| Step::Recreate { account, slots }),
    ]
}

/// A pool of keys, and blocks of steps over it.
pub(super) fn scenario() -> impl Strategy<Value = (Vec<B256>, Vec<Vec<Step>>)> {
    vec(key(), 4..40).prop_flat_map(|keys| {
        let blocks = vec(vec(step(keys.len()), 0..14), 1..9);
        (Just(keys), blocks)
    })
}

/// The block's changes as the executor gives them: an account whose storage changes is listed.
pub(super) fn overlay(state: &MemoryState, keys: &[B256], steps: &[Step]) -> HashedPostState {
    let mut overlay = HashedPostState::default();
    for step in steps {
        match step {
            Step::Touch { account, nonce } => {
                account_of(state, &mut overlay, keys[*account]).nonce = *nonce;
            }
            Step::Set { account, slot, value } => {
                account_of(state, &mut overlay, keys[*account]);
                set(&mut overlay, keys[*account], keys[*slot], *value);
            }
            Step::Clear { account, slot } => {
                account_of(state, &mut overlay, keys[*account]);
                set(&mut overlay, keys[*account], keys[*slot], U256::ZERO);
            }
            Step::Destroy { account } => destroy(&mut overlay, keys[*account]),
            Step::Recreate { account, slots } => {
                destroy(&mut overlay, keys[*account]);
                overlay
                    .accounts
                    .insert(keys[*account], Some(StoredAccount { nonce: 1, ..Default::default() }));
                for (slot, value) in slots {
                    set(&mut overlay, keys[*account], keys[*slot], *value);
                }
            }
        }
    }
    overlay
}

fn account_of<'o>(state: &MemoryState, overlay: &'o mut HashedPostState, key: B256) -> &'o mut StoredAccount {
    // The storage root is a placeholder, on purpose a wrong one.
    let found = overlay.accounts.get(&key).copied().unwrap_or_else(|| state.accounts.get(&key).copied());
    let account = StoredAccount { storage_root: B256::repeat_byte(0xee), ..found.unwrap_or_default() };
    overlay.accounts.insert(key, Some(account));
    overlay.accounts.get_mut(&key).unwrap().as_mut().unwrap()
}

fn set(overlay: &mut HashedPostState, account: B256, slot: B256, value: U256) {
    overlay.storages.entry(account).or_default().slots.insert(slot, value);
}

fn destroy(overlay: &mut HashedPostState, account: B256) {
    overlay.accounts.insert(account, None);
    overlay.storages.insert(account, HashedStorage { wiped: true, ..Default::default() });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..Default::default() })]

    #[test]
    fn blocks_in_sequence_give_the_oracles_roots_nodes_and_proofs((keys, blocks) in scenario()) {
        let mut state = MemoryState::default();
        for steps in &blocks {
            let overlay = overlay(&state, &keys, steps);
            let before = state.clone();
            let (root, _) = state.commit(&overlay);
            check(&state, root);
            for address in keys.iter().take(6) {
                check_proof(&before, &overlay, &state, *address, &keys[..4]);
            }
        }
    }

    /// A side branch: changes of several blocks laid over each other, then over the head at once.
    #[test]
    fn one_overlay_of_many_blocks_equals_the_blocks_one_by_one((keys, blocks) in scenario()) {
        let mut base = MemoryState::default();
        base.commit(&overlay(&MemoryState::default(), &keys, &blocks[0]));
        let mut one_by_one = base.clone();
        let mut merged = HashedPostState::default();
        for steps in &blocks[1..] {
            let overlay = overlay(&one_by_one, &keys, steps);
            one_by_one.commit(&overlay);
            merged.extend(overlay);
        }
        let (root, _) = base.commit(&merged);
        check(&base, root);
        prop_assert_eq!(base, one_by_one);
    }

    /// The transactions of a block one after the other, with nothing written between them.
    #[test]
    fn a_root_after_each_change_equals_the_root_of_all_of_them((keys, blocks) in scenario()) {
        let mut base = MemoryState::default();
        base.commit(&overlay(&MemoryState::default(), &keys, &blocks[0]));
        let mut one_by_one = base.clone();
        let mut layer = Layer::new(&base);
        for steps in &blocks[1..] {
            let overlay = overlay(&one_by_one, &keys, steps);
            let (root, _) = one_by_one.commit(&overlay);
            check(&one_by_one, root);
            prop_assert_eq!(layer.commit(&overlay).unwrap(), root);
        }
    }

    /// The whole state at once, on nothing, as genesis does it; and back to nothing.
    #[test]
    fn a_state_built_at_once_and_removed_at_once(leaves in vec((key(), vec((key(), value()), 0..6)), 0..60)) {
        let mut all = HashedPostState::default();
        for (account, slots) in leaves {
            all.accounts.insert(account, Some(StoredAccount { nonce: 1, ..Default::default() }));
            for (slot, value) in slots {
                set(&mut all, account, slot, value);
            }
        }
        let mut state = MemoryState::default();
        let (root, updates) = state.commit(&all);
        check(&state, root);
        prop_assert_eq!(crate::genesis_root(&all).unwrap(), (root, updates));

        let mut nothing = HashedPostState::default();
        for account in all.accounts.keys() {
            nothing.accounts.insert(*account, None);
        }
        let (root, _) = state.commit(&nothing);
        prop_assert_eq!(root, alloy_trie::EMPTY_ROOT_HASH);
        prop_assert_eq!(state, MemoryState::default());
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..Default::default() })]

    /// Enough changes for the walk side by side, on a state large enough to have a stored root.
    #[test]
    fn large_blocks_walk_their_subtrees_side_by_side(seed: u64, removed in 0u64..1500, added in 0u64..1500) {
        let account = |nonce| Some(StoredAccount { nonce, ..Default::default() });
        let key = |index: u64| keccak256([seed.to_be_bytes(), index.to_be_bytes()].concat());
        let mut state = MemoryState::default();
        let contract = key(u64::MAX);
        let mut first = HashedPostState::default();
        first.accounts.insert(contract, account(1));
        for index in 0..1500 {
            first.accounts.insert(key(index), account(index));
            set(&mut first, contract, key(index), U256::from(index + 1));
        }
        let (root, _) = state.commit(&first);
        check(&state, root);

        let mut second = HashedPostState::default();
        second.accounts.insert(contract, account(2));
        for index in 0..removed {
            second.accounts.insert(key(index), None);
            set(&mut second, contract, key(index), U256::ZERO);
        }
        for index in 1500 - removed.min(700)..1500 + added {
            second.accounts.insert(key(index), account(index + 7));
            set(&mut second, contract, key(index), U256::from(index + 7));
        }
        let (root, _) = state.commit(&second);
        check(&state, root);
    }
}
