//! Execution over blocks that are only in memory gives what execution over committed ones gives.
//!
//! A random chain of blocks stores, clears, destroys, creates again and empties accounts. One node commits block
//! by block, one holds the whole branch in memory before it chooses its tip, one comes to it from another branch.

use crate::chain::{Node, Tx, attributes, dev_account};
use alloy_primitives::{Address, B256, Bytes, U256, bytes, keccak256};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::sync::Arc;
use weft_chainspec::ChainSpec;
use weft_engine::PayloadAttributes;
use weft_primitives::{PreparedBlock, SealedHeader};

/// Creates a contract from calldata with CREATE2 and salt 0.
const FACTORY: Address = Address::repeat_byte(0xfa);
const FACTORY_CODE: Bytes = bytes!("36600060003760003660006000f500");
/// `sstore(calldata[0..32], calldata[32..64])`, or self-destruct without calldata.
const VAULT_INIT: Bytes = bytes!("6e3660065733ff5b602035600035550060 0052600f6011f3");

fn vault() -> Address {
    FACTORY.create2(B256::ZERO, keccak256(&VAULT_INIT))
}

/// A plain Ethereum chain before Shanghai: self-destruct still destroys.
fn paris() -> Arc<ChainSpec> {
    let alice = dev_account(0).address();
    let genesis = format!(
        r#"{{"config": {{"chainId": 7, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
            "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0, "berlinBlock": 0,
            "londonBlock": 0, "mergeNetsplitBlock": 0, "terminalTotalDifficulty": 0, "terminalTotalDifficultyPassed": true}},
          "difficulty": "0x0", "gasLimit": "0x1c9c380", "baseFeePerGas": "0x7",
          "alloc": {{"{alice}": {{"balance": "0xffffffffffffffffffffff"}},
                     "{FACTORY}": {{"balance": "0x0", "code": "{FACTORY_CODE}"}}}}}}"#
    );
    Arc::new(ChainSpec::from_json(&genesis).expect("a genesis file"))
}

fn paris_attributes(parent: &SealedHeader, salt: u8) -> PayloadAttributes {
    PayloadAttributes { withdrawals: None, parent_beacon_block_root: None, ..attributes(parent, salt) }
}

fn random_transaction(rng: &mut StdRng, nonce: u64) -> Tx {
    let word = |value: u64| B256::from(U256::from(value));
    match rng.random_range(0..10) {
        0 | 1 => Tx::call(nonce, FACTORY, VAULT_INIT.clone()),
        2 => Tx::call(nonce, vault(), Bytes::new()),
        // Zero clears. Few slots, so that they meet again.
        3..=7 => {
            let (slot, value) = (rng.random_range(0..6), rng.random_range(0..3));
            Tx::call(nonce, vault(), [word(slot), word(value)].concat().into())
        }
        8 => Tx::transfer(nonce, Address::with_last_byte(rng.random()), 1),
        // Touches an account that stays empty (EIP-161).
        _ => Tx::transfer(nonce, Address::with_last_byte(rng.random()), 0),
    }
}

/// A chain of blocks on genesis, committed one by one by a proposer.
async fn random_chain(spec: &Arc<ChainSpec>, seed: u64, length: usize) -> (Vec<PreparedBlock>, Node) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut node = Node::proposer(spec);
    let (alice, mut nonce) = (dev_account(0), 0);
    let mut blocks = Vec::new();
    for _ in 0..length {
        for _ in 0..rng.random_range(0..5) {
            let tx = Tx { gas: 200_000, ..random_transaction(&mut rng, nonce) };
            node.submit([tx.sign(&alice, spec.chain_id())]).await;
            nonce += 1;
        }
        let parent = node.head().clone();
        let block = node.engine.build_payload(paris_attributes(&parent, 0)).expect("a payload");
        node.choose(&block);
        blocks.push(block);
    }
    assert_eq!(node.account(alice.address()).nonce, nonce, "everything was included");
    (blocks, node)
}

#[tokio::test]
async fn a_branch_in_memory_gives_the_state_of_a_committed_one() {
    let spec = paris();
    for seed in 0..3 {
        let (blocks, one_by_one) = random_chain(&spec, seed, 9).await;
        one_by_one.check_state();
        let tip = blocks.last().expect("blocks");

        let mut at_once = Node::follower(&spec);
        blocks.iter().for_each(|block| at_once.import(block));
        let event = at_once.choose(tip).expect("a change");
        assert_eq!(event.committed.len(), blocks.len(), "seed {seed}");
        at_once.check_state();

        let mut from_elsewhere = Node::follower(&spec);
        let (other, _) = random_chain(&spec, seed + 1_000, 5).await;
        other.iter().for_each(|block| from_elsewhere.follow(block));
        blocks.iter().for_each(|block| from_elsewhere.import(block));
        let event = from_elsewhere.choose(tip).expect("a change");
        assert_eq!((event.reverted.len(), event.committed.len()), (other.len(), blocks.len()), "seed {seed}");
        from_elsewhere.check_state();
        assert_eq!(from_elsewhere.head().hash(), one_by_one.head().hash());
    }
}

#[tokio::test]
async fn a_contract_that_is_destroyed_and_created_again_in_memory_starts_empty() {
    let spec = paris();
    let mut proposer = Node::proposer(&spec);
    let alice = dev_account(0);
    let word = |value: u64| B256::from(U256::from(value));
    let set = |nonce, slot, value| Tx::call(nonce, vault(), [word(slot), word(value)].concat().into());
    let script = [
        vec![Tx::call(0, FACTORY, VAULT_INIT.clone()), set(1, 1, 11), set(2, 2, 22)],
        vec![Tx::call(3, vault(), Bytes::new())],
        vec![Tx::call(4, FACTORY, VAULT_INIT.clone()), set(5, 2, 23)],
    ];
    let mut blocks = Vec::new();
    for transactions in script {
        proposer.submit(transactions.into_iter().map(|tx| tx.sign(&alice, spec.chain_id()))).await;
        let parent =
            blocks.last().map_or(proposer.head().clone(), |block: &PreparedBlock| block.header.clone());
        // Never chosen: each one is built on the one before in memory.
        let block = proposer.engine.build_payload(paris_attributes(&parent, 0)).expect("a payload");
        blocks.push(block);
    }
    proposer.choose(blocks.last().expect("blocks"));
    proposer.check_state();
    let view = proposer.store.view();
    let state = view.state_at(3).expect("a state");
    assert_eq!(
        state.storage_of(vault(), U256::from(1)).expect("a read"),
        U256::ZERO,
        "wiped with the old contract"
    );
    assert_eq!(state.storage_of(vault(), U256::from(2)).expect("a read"), U256::from(23));
    let before = view.state_at(1).expect("a state");
    assert_eq!(
        before.storage_of(vault(), U256::from(1)).expect("a read"),
        U256::from(11),
        "history keeps it"
    );
    drop(view);
    let mut follower = Node::follower(&spec);
    blocks.iter().for_each(|block| follower.follow(block));
    follower.check_state();
}
