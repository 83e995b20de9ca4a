//! The walk over the real database: blocks committed, taken back to any height, committed again.

use super::{
    memory::MemoryState,
    oracle::{self, check_proof},
    sequences::{Step, overlay, scenario},
};
use crate::{genesis_root, prove, scan::Scan, state_root, state_root_from_leaves, verify_trie};
use alloy_primitives::{Address, B256, U256, keccak256, map::B256Map};
use proptest::prelude::*;
use weft_primitives::{HashedPostState, Header, PreparedBlock, SealedHeader, StoredAccount, TrieUpdates};
use weft_storage::{BlockWrite, Store, StoreOptions, View};

/// A database with the states that it should have after each of its blocks.
struct Chain {
    store: Store,
    states: Vec<MemoryState>,
    headers: Vec<SealedHeader>,
    _folder: tempfile::TempDir,
}

fn header(number: u64, parent_hash: B256, state_root: B256) -> SealedHeader {
    SealedHeader::seal_slow(Header { number, parent_hash, state_root, ..Header::default() })
}

impl Chain {
    fn new(genesis: &HashedPostState) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
        let (root, updates) = genesis_root(genesis).unwrap();
        let header = header(0, B256::ZERO, root);
        store.commit_genesis(&header, genesis, &B256Map::default(), &updates).unwrap();
        let mut state = MemoryState::default();
        state.apply(genesis, &updates);
        Self { store, states: vec![state], headers: vec![header], _folder: folder }
    }

    fn head(&self) -> &MemoryState {
        self.states.last().unwrap()
    }

    fn commit(&mut self, state: &HashedPostState) {
        let (root, trie) = state_root(&self.store.view(), state).unwrap();
        let parent = self.headers.last().unwrap();
        let header = header(parent.number + 1, parent.hash(), root);
        let block =
            PreparedBlock { header: header.clone(), transactions: vec![], ommers: vec![], withdrawals: None };
        let code = B256Map::default();
        let write = BlockWrite { block: &block, receipts: &[], state, code: &code, trie: &trie, da: None };
        self.store.commit_block(write).unwrap();
        let mut after = self.head().clone();
        after.apply(state, &trie);
        self.states.push(after);
        self.headers.push(header);
        self.check();
    }

    fn unwind(&mut self, target: usize) {
        let view = self.store.view();
        let revert = view.revert_state(target as u64).unwrap();
        let (root, trie) = state_root(&view, &revert).unwrap();
        assert_eq!(root, self.headers[target].state_root);
        drop(view);
        self.store.unwind_to(target as u64, &revert, &trie).unwrap();
        self.states.truncate(target + 1);
        self.headers.truncate(target + 1);
        self.check();
    }

    /// The database holds exactly the leaves and nodes of the state, and they are right.
    fn check(&self) {
        let view = self.store.view();
        assert_eq!(read(&view), *self.head());
        let report = verify_trie(&view).unwrap();
        assert_eq!(report.differences, []);
        assert_eq!(report.root, self.headers.last().unwrap().state_root);
        assert_eq!(state_root_from_leaves(&view).unwrap(), report.root);
        oracle::check(self.head(), report.root);
    }
}

/// All leaves and nodes of the database.
fn read(view: &View<'_>) -> MemoryState {
    let mut state = MemoryState {
        accounts: view.scan_accounts().map(Result::unwrap).collect(),
        account_nodes: view.scan_account_nodes().map(Result::unwrap).collect(),
        ..MemoryState::default()
    };
    for (owner, slot, value) in view.scan_slots().map(Result::unwrap) {
        state.slots.entry(owner).or_default().insert(slot, value);
    }
    for (owner, path, node) in view.scan_slot_nodes().map(Result::unwrap) {
        state.slot_nodes.entry(owner).or_default().insert(path, node);
    }
    state
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..Default::default() })]

    #[test]
    fn blocks_come_and_go_and_the_tables_follow(
        (keys, blocks) in scenario(),
        unwinds in proptest::collection::vec((0usize..9, any::<prop::sample::Index>()), 1..4),
    ) {
        let mut chain = Chain::new(&overlay(&MemoryState::default(), &keys, &blocks[0]));
        let commit_all = |chain: &mut Chain, blocks: &[Vec<Step>]| {
            for steps in blocks {
                chain.commit(&overlay(chain.head(), &keys, steps));
            }
        };
        commit_all(&mut chain, &blocks[1..]);
        for (rotation, target) in unwinds {
            let target = target.index(chain.states.len());
            // Proofs of the past, as eth_getProof gives them, while the head is still where it is.
            let view = chain.store.view();
            let revert = view.revert_state(target as u64).unwrap();
            for address in keys.iter().take(3) {
                check_proof(&view, &revert, &chain.states[target], *address, &keys[..4]);
            }
            drop(view);
            chain.unwind(target);
            // Another branch from there: the same blocks in another order.
            let mut others = blocks.clone();
            let middle = rotation % others.len();
            others.rotate_left(middle);
            commit_all(&mut chain, &others);
        }
    }
}

#[test]
fn a_proof_is_of_the_address_and_slot_that_were_asked_for() {
    let (address, slot) = (Address::repeat_byte(7), B256::with_last_byte(3));
    let mut genesis = HashedPostState::default();
    let (hashed_address, hashed_slot) = (keccak256(address), keccak256(slot));
    genesis.accounts.insert(hashed_address, Some(StoredAccount { nonce: 5, ..Default::default() }));
    genesis.storages.entry(hashed_address).or_default().slots.insert(hashed_slot, U256::from(9));
    let chain = Chain::new(&genesis);
    let other = B256::with_last_byte(4);
    let proof =
        prove(&chain.store.view(), &HashedPostState::default(), address, &[other, slot, other]).unwrap();
    assert_eq!(proof.address, address);
    assert_eq!(proof.account, chain.head().accounts.get(&hashed_address).copied());
    let slots: Vec<_> = proof.slots.iter().map(|slot| (slot.key, slot.value)).collect();
    assert_eq!(slots, [(other, U256::ZERO), (slot, U256::from(9)), (other, U256::ZERO)]);
    check_proof(
        &chain.store.view(),
        &HashedPostState::default(),
        chain.head(),
        hashed_address,
        &[hashed_slot],
    );
}

#[test]
fn damage_on_disk_is_reported() {
    let mut genesis = HashedPostState::default();
    for index in 0u64..3000 {
        genesis.accounts.insert(keccak256(index.to_be_bytes()), Some(StoredAccount::default()));
    }
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    let (root, mut updates) = genesis_root(&genesis).unwrap();
    let lost = *updates.account_nodes.keys().find(|path| path.len() == 2).unwrap();
    updates.account_nodes.remove(&lost);
    let header = header(0, B256::ZERO, B256::ZERO);
    store.commit_genesis(&header, &genesis, &B256Map::default(), &updates).unwrap();
    let report = verify_trie(&store.view()).unwrap();
    let said: Vec<_> = report.differences.iter().map(ToString::to_string).collect();
    assert_eq!(report.root, root);
    assert_eq!(said.len(), 2);
    assert_eq!(said[0], format!("missing trie node: account trie, path {lost:?}"));
    assert!(said[1].starts_with("state root of the head's header is 0x0000"));
    let nothing = state_root(&store.view(), &HashedPostState::default()).unwrap();
    assert_eq!(nothing, (root, TrieUpdates::default()), "what is not touched is not read");
}
