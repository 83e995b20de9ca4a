//! Blocks in, the same blocks out: after a restart, after an unwind, beside a running node.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use alloy_consensus::constants::EMPTY_ROOT_HASH;
use alloy_primitives::{B256, U256};
use common::*;
use weft_primitives::HashedPostState;
use weft_storage::{BlockNumHash, StorageError, Store, StoreOptions, StoredTransaction, TxPosition};

#[test]
fn a_block_is_there_after_a_restart_without_closing() {
    let folder = tempfile::tempdir().unwrap();
    let mut one =
        block(&genesis_header(), 1, vec![transaction(0, vec![1; 10]), transaction(1, vec![2; 9000])]);
    set_account(&mut one.state, 1, Some(account(7)));
    set_slot(&mut one, 1, 5, 55);
    one.code.insert(B256::repeat_byte(9), vec![0x60, 0x00].into());
    {
        let store = open(folder.path());
        commit_genesis(&store, &HashedPostState::default());
        one.commit(&store).unwrap();
    }
    let store = open(folder.path());
    let view = store.view();
    assert_eq!(view.head().unwrap(), one.block.num_hash());
    assert_eq!(view.canonical_hash(1).unwrap(), Some(one.hash()));
    assert_eq!(view.block_number(one.hash()).unwrap(), Some(1));
    assert_eq!(view.header(1).unwrap().unwrap(), one.block.header);
    assert_eq!(view.block(1).unwrap().unwrap(), one.block.to_block());
    assert_eq!(view.receipts(1).unwrap().unwrap(), one.receipts);
    let senders: Vec<_> = one.block.transactions.iter().map(|tx| tx.sender).collect();
    assert_eq!(view.senders(1).unwrap().unwrap(), senders);
    assert_eq!(view.code(B256::repeat_byte(9)).unwrap().unwrap().as_ref(), [0x60, 0x00]);
    for (index, tx) in (0..).zip(&one.block.transactions) {
        let position = TxPosition { block: 1, index };
        assert_eq!(view.tx_position(tx.hash()).unwrap(), Some(position));
        let Some(StoredTransaction::Whole(bytes)) = view.transaction(position).unwrap() else {
            panic!("not whole")
        };
        assert_eq!(bytes, tx.encoded);
    }
    assert!(view.transaction(TxPosition { block: 1, index: 2 }).unwrap().is_none());
    let meta = view.body_meta(1).unwrap().unwrap();
    let rlp = one.block.to_block();
    let mut list = Vec::new();
    alloy_rlp::encode_list(&rlp.body.transactions, &mut list);
    let payload = alloy_rlp::Header::decode(&mut list.as_slice()).unwrap().payload_length;
    assert_eq!((meta.tx_count, meta.transactions_rlp_bytes), (2, payload as u64));
    let state = view.state_at(1).unwrap();
    let stored = state.account(hashed(1)).unwrap().unwrap();
    assert_eq!((stored.nonce, stored.storage_root), (7, root(55).root));
    assert_eq!(state.storage(hashed(1), slot(5)).unwrap(), U256::from(55));
    assert_eq!(view.state_at(0).unwrap().account(hashed(1)).unwrap(), None);
    assert_eq!(view.state_at(0).unwrap().storage(hashed(1), slot(5)).unwrap(), U256::ZERO);
    assert!(matches!(view.state_at(2), Err(StorageError::MissingBlock(2))));
}

#[test]
fn large_blocks_go_past_the_log_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions { unlogged_bytes_min: 100_000, ..options() };
    let transactions: Vec<_> =
        (0..40).map(|n| transaction(n, vec![n as u8; 4000 + 200 * n as usize])).collect();
    let one = block(&genesis_header(), 1, transactions);
    {
        let store = Store::open(folder.path(), options.clone()).unwrap();
        commit_genesis(&store, &HashedPostState::default());
        one.commit(&store).unwrap();
    }
    let store = Store::open(folder.path(), options).unwrap();
    assert_eq!(store.view().block(1).unwrap().unwrap(), one.block.to_block());
}

#[test]
fn only_a_child_of_the_head_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let one = block(&genesis_header(), 1, vec![]);
    assert!(matches!(one.commit(&store), Err(StorageError::Empty)));
    assert!(store.view().is_empty().unwrap());
    commit_genesis(&store, &HashedPostState::default());
    let two = block(&one.block.header, 1, vec![]);
    assert!(matches!(two.commit(&store), Err(StorageError::NotNext { .. })));
    one.commit(&store).unwrap();
    assert!(matches!(one.commit(&store), Err(StorageError::NotNext { .. })));
    two.commit(&store).unwrap();
    let error = store
        .commit_genesis(
            &genesis_header(),
            &HashedPostState::default(),
            &Default::default(),
            &Default::default(),
        )
        .unwrap_err();
    assert!(matches!(error, StorageError::NotEmpty(hash) if hash == genesis_header().hash()));
    let mut three = block(&two.block.header, 1, vec![transaction(0, vec![])]);
    three.receipts.clear();
    assert!(matches!(three.commit(&store), Err(StorageError::Inconsistent { block: 3, .. })));
}

#[test]
fn fork_choice_names_canonical_blocks_only() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    commit_genesis(&store, &HashedPostState::default());
    let one = block(&genesis_header(), 1, vec![]);
    let two = block(&one.block.header, 1, vec![]);
    one.commit(&store).unwrap();
    two.commit(&store).unwrap();
    let foreign = BlockNumHash { number: 1, hash: B256::repeat_byte(1) };
    assert!(matches!(store.set_forkchoice(Some(foreign), None), Err(StorageError::MissingBlock(1))));
    store.set_forkchoice(Some(two.block.num_hash()), Some(one.block.num_hash())).unwrap();
    store.set_forkchoice(None, None).unwrap();
    let view = store.view();
    assert_eq!(view.safe().unwrap(), Some(two.block.num_hash()));
    assert_eq!(view.finalized().unwrap(), Some(one.block.num_hash()));

    let revert = view.revert_state(1).unwrap();
    assert!(matches!(
        store.unwind_to(0, &view.revert_state(0).unwrap(), &Default::default()),
        Err(StorageError::Finalized { target: 0, finalized: 1 })
    ));
    store.unwind_to(1, &revert, &Default::default()).unwrap();
    assert_eq!(store.view().safe().unwrap(), None);
    assert_eq!(store.view().finalized().unwrap(), Some(one.block.num_hash()));
    assert_eq!(view.head().unwrap().number, 2, "the old view still sees the old moment");
}

#[test]
fn an_unwound_block_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    commit_genesis(&store, &HashedPostState::default());
    let one = block(&genesis_header(), 1, vec![transaction(0, vec![])]);
    one.commit(&store).unwrap();
    let mut two = block(&one.block.header, 1, vec![transaction(1, vec![0; 5000]), transaction(2, vec![])]);
    set_account(&mut two.state, 1, Some(account(1)));
    two.commit(&store).unwrap();
    store.unwind_to(1, &store.view().revert_state(1).unwrap(), &Default::default()).unwrap();

    let view = store.view();
    assert_eq!(view.head().unwrap(), one.block.num_hash());
    assert_eq!(view.header(2).unwrap(), None);
    assert_eq!(view.block_number(two.hash()).unwrap(), None);
    assert_eq!(view.tx_position(two.block.transactions[0].hash()).unwrap(), None);
    assert!(view.transaction(TxPosition { block: 2, index: 0 }).unwrap().is_none());
    assert_eq!(view.receipts(2).unwrap(), None);
    assert_eq!(view.headers(0..=9).unwrap().len(), 2);
    assert_eq!(view.state_at(1).unwrap().account(hashed(1)).unwrap(), None);
    assert!(view.tx_position(one.block.transactions[0].hash()).unwrap().is_some());

    // A shorter block of the same height, with one of the old transactions.
    let other = block(&one.block.header, 2, vec![transaction(1, vec![0; 5000])]);
    other.commit(&store).unwrap();
    let view = store.view();
    assert_eq!(view.block(2).unwrap().unwrap(), other.block.to_block());
    assert!(view.transaction(TxPosition { block: 2, index: 1 }).unwrap().is_none());
}

#[test]
fn storage_roots_come_from_the_trie_or_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    commit_genesis(&store, &HashedPostState::default());
    let mut one = block(&genesis_header(), 1, vec![]);
    set_account(&mut one.state, 1, Some(account(1)));
    set_slot(&mut one, 1, 1, 11);
    one.commit(&store).unwrap();
    let root_of = |store: &Store| {
        store
            .view()
            .state_at(store.view().head().unwrap().number)
            .unwrap()
            .account(hashed(1))
            .unwrap()
            .unwrap()
            .storage_root
    };
    assert_eq!(root_of(&store), root(11).root);

    // The placeholder in a changed account is not taken.
    let mut two = block(&one.block.header, 1, vec![]);
    set_account(&mut two.state, 1, Some(account(2)));
    two.commit(&store).unwrap();
    assert_eq!(root_of(&store), root(11).root);

    // Destroyed and created again in one block, without storage.
    let mut three = block(&two.block.header, 1, vec![]);
    set_account(&mut three.state, 1, Some(account(3)));
    three.state.storages.entry(hashed(1)).or_default().wiped = true;
    three.commit(&store).unwrap();
    assert_eq!(root_of(&store), EMPTY_ROOT_HASH);
    let view = store.view();
    assert_eq!(view.state_at(3).unwrap().storage(hashed(1), slot(1)).unwrap(), U256::ZERO);
    assert_eq!(view.state_at(2).unwrap().storage(hashed(1), slot(1)).unwrap(), U256::from(11));

    let revert = view.revert_state(2).unwrap();
    assert!(!revert.storages[&hashed(1)].wiped);
    store.unwind_to(2, &revert, &Default::default()).unwrap();
    assert_eq!(root_of(&store), root(11).root);
    assert_eq!(store.view().state_at(2).unwrap().storage(hashed(1), slot(1)).unwrap(), U256::from(11));
}
