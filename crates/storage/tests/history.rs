//! Random commits, unwinds and restarts against a model that remembers every height in full.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use alloy_primitives::{B256, U256, keccak256};
use common::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use weft_primitives::{SealedHeader, StorageTrieUpdates, StoredAccount};
use weft_storage::Store;

const ACCOUNTS: u64 = 5;
const SLOTS: u64 = 4;

#[derive(Clone, Debug)]
struct Change {
    account: u64,
    /// `None` destroys the account, and with it its storage.
    nonce: Option<u64>,
    /// Destroyed first: the old slots go before the new ones are set.
    wiped: bool,
    slots: Vec<(u64, u64)>,
}

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Change>),
    Unwind(prop::sample::Index),
    Restart,
}

fn change() -> impl Strategy<Value = Change> {
    let slots = prop::collection::vec((0..SLOTS, 0u64..4), 0..4);
    (0..ACCOUNTS, prop::option::weighted(0.8, 0u64..4), prop::bool::weighted(0.2), slots)
        .prop_map(|(account, nonce, wiped, slots)| Change { account, nonce, wiped, slots })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(change(), 0..5).prop_map(Step::Commit),
        2 => any::<prop::sample::Index>().prop_map(Step::Unwind),
        1 => Just(Step::Restart),
    ]
}

/// The whole state after one block.
#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    accounts: BTreeMap<B256, StoredAccount>,
    slots: BTreeMap<(B256, B256), U256>,
}

/// The chain as the model remembers it: header and state of each height.
struct Model(Vec<(SealedHeader, State)>);

impl Model {
    fn head(&self) -> &(SealedHeader, State) {
        self.0.last().unwrap()
    }

    /// Makes the block of these changes, and applies them to the model.
    fn extend(&mut self, changes: &[Change], seed: u64) -> TestBlock {
        let (parent, mut state) = self.head().clone();
        let mut block = block(&parent, seed, vec![]);
        // One change per account and block, as bundles have it.
        let changes: BTreeMap<u64, &Change> = changes.iter().map(|change| (change.account, change)).collect();
        for change in changes.into_values() {
            let address = hashed(change.account);
            let wiped = change.wiped || change.nonce.is_none();
            if wiped {
                state.slots.retain(|(owner, _), _| *owner != address);
                block.state.storages.entry(address).or_default().wiped = true;
            }
            let Some(nonce) = change.nonce else {
                state.accounts.remove(&address);
                set_account(&mut block.state, change.account, None);
                continue;
            };
            for (at, value) in &change.slots {
                let storage = block.state.storages.entry(address).or_default();
                storage.slots.insert(slot(*at), U256::from(*value));
                if *value == 0 {
                    state.slots.remove(&(address, slot(*at)));
                } else {
                    state.slots.insert((address, slot(*at)), U256::from(*value));
                }
            }
            // A stand-in for the root: any function of the account's slots does.
            let mut bytes = Vec::new();
            for ((_, key), value) in
                state.slots.range((address, B256::ZERO)..=(address, B256::repeat_byte(0xff)))
            {
                bytes.extend_from_slice(key.as_slice());
                bytes.extend_from_slice(&value.to_be_bytes::<32>());
            }
            let root =
                if bytes.is_empty() { StoredAccount::default().storage_root } else { keccak256(&bytes) };
            set_account(&mut block.state, change.account, Some(account(nonce)));
            if block.state.storages.contains_key(&address) {
                let updates = StorageTrieUpdates { wiped, nodes: Default::default(), root };
                block.trie.storages.insert(address, updates);
            }
            state.accounts.insert(address, StoredAccount { storage_root: root, ..account(nonce) });
        }
        self.0.push((block.block.header.clone(), state));
        block
    }
}

/// The state that readers see at each height, the cursors at the head, and what reverts to each height.
fn check(store: &Store, model: &Model) -> Result<(), TestCaseError> {
    let view = store.view();
    let head = &model.head().1;
    prop_assert_eq!(view.head().unwrap(), model.head().0.num_hash());
    for (height, (_, state)) in (0u64..).zip(&model.0) {
        let reader = view.state_at(height).unwrap();
        for n in 0..ACCOUNTS {
            prop_assert_eq!(reader.account(hashed(n)).unwrap(), state.accounts.get(&hashed(n)).copied());
            for at in 0..SLOTS {
                let expected = state.slots.get(&(hashed(n), slot(at))).copied().unwrap_or_default();
                prop_assert_eq!(reader.storage(hashed(n), slot(at)).unwrap(), expected);
            }
        }
        let mut reverted = head.clone();
        let revert = view.revert_state(height).unwrap();
        let keys = revert.accounts.len()
            + revert.storages.values().map(|storage| storage.slots.len()).sum::<usize>();
        prop_assert_eq!(view.revert_state_within(height, keys).unwrap(), Some(revert.clone()));
        if keys > 0 {
            prop_assert_eq!(view.revert_state_within(height, keys - 1).unwrap(), None);
        }
        for (address, account) in revert.accounts {
            match account {
                Some(account) => reverted.accounts.insert(address, account),
                None => reverted.accounts.remove(&address),
            };
        }
        for (address, storage) in revert.storages {
            prop_assert!(!storage.wiped);
            for (key, value) in storage.slots {
                if value.is_zero() {
                    reverted.slots.remove(&(address, key));
                } else {
                    reverted.slots.insert((address, key), value);
                }
            }
        }
        prop_assert_eq!(&reverted, state);
    }
    let mut scanned = State::default();
    let mut accounts = view.hashed_accounts();
    while let Some((address, account)) = accounts.next().unwrap() {
        scanned.accounts.insert(address, account);
    }
    prop_assert_eq!(accounts.next().unwrap(), None);
    for n in 0..ACCOUNTS {
        let mut slots = view.hashed_storage(hashed(n));
        while let Some((key, value)) = slots.next().unwrap() {
            scanned.slots.insert((hashed(n), key), value);
        }
    }
    prop_assert_eq!(&scanned, head);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_height_is_as_it_was(steps in prop::collection::vec(step(), 1..20)) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        commit_genesis(&store, &Default::default());
        let mut model = Model(vec![(genesis_header(), State::default())]);
        for (seed, step) in (0u64..).zip(steps) {
            match step {
                Step::Commit(changes) => model.extend(&changes, seed).commit(&store).unwrap(),
                Step::Unwind(index) => {
                    let target = index.index(model.0.len());
                    let revert = store.view().revert_state(target as u64).unwrap();
                    store.unwind_to(target as u64, &revert, &Default::default()).unwrap();
                    model.0.truncate(target + 1);
                }
                Step::Restart => {
                    drop(store);
                    store = open(folder.path());
                }
            }
            check(&store, &model)?;
        }
        let report = store.verify_chain(0..=u64::MAX).unwrap();
        prop_assert!(report.is_clean(), "{:?}", report.problems);
    }
}
