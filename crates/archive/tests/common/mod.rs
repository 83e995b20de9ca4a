//! Chains of blocks with blobs, committed to a real database without an EVM.
#![allow(dead_code, reason = "each test binary uses a part")]

pub mod da;
pub mod state;
pub mod weave;

use alloy_consensus::{SignableTransaction, Transaction as _, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, map::B256Map};
use rand::{RngCore, SeedableRng, rngs::StdRng};
use std::sync::Arc;
use weft_primitives::{
    DaSummary, Geometry, HashedPostState, Header, PreparedBlock, PreparedTransaction, Receipt, SealedHeader,
    Transaction, TrieUpdates, keccak,
};
use weft_storage::{BlockWrite, Store, StoreOptions};

pub const THRESHOLD: usize = 4096;
pub const CHUNK: usize = 131_072;

pub fn open(path: &std::path::Path) -> Store {
    // Small enough that some tests go the way of large writes.
    let options = StoreOptions {
        disk_reserve_bytes: 0,
        cache_bytes: 8 << 20,
        unlogged_bytes_min: 1 << 20,
        ..StoreOptions::default()
    };
    Store::open(path, options).unwrap()
}

pub fn genesis(store: &Store) -> SealedHeader {
    let header = SealedHeader::seal_slow(Header::default());
    store
        .commit_genesis(&header, &HashedPostState::default(), &B256Map::default(), &TrieUpdates::default())
        .unwrap();
    header
}

/// A block, and the blobs that it carries in order.
#[derive(Clone, Debug)]
pub struct TestBlock {
    pub block: PreparedBlock,
    pub da: DaSummary,
}

impl TestBlock {
    pub fn number(&self) -> u64 {
        self.block.header.number
    }

    /// (transaction hash, blob) of every blob.
    pub fn blobs(&self) -> Vec<(B256, Bytes)> {
        self.block
            .transactions
            .iter()
            .filter(|tx| tx.blob.is_some())
            .map(|tx| (tx.hash(), tx.tx.input().clone()))
            .collect()
    }

    pub fn commit(&self, store: &Store) {
        let receipts = vec![Receipt::default(); self.block.transactions.len()];
        store
            .commit_block(BlockWrite {
                block: &self.block,
                receipts: &receipts,
                state: &HashedPostState::default(),
                code: &B256Map::default(),
                trie: &TrieUpdates::default(),
                da: Some(&self.da),
            })
            .unwrap();
    }
}

/// Inputs of at least [`THRESHOLD`] bytes are blobs. `seed` tells blocks of one height apart.
pub fn block(parent: &SealedHeader, seed: u64, inputs: &[usize]) -> TestBlock {
    let mut random = StdRng::seed_from_u64(seed << 32 | parent.number);
    let transactions: Vec<_> = inputs
        .iter()
        .zip(0..)
        .map(|(&length, nonce)| {
            let mut input = vec![0; length];
            random.fill_bytes(&mut input);
            transaction(nonce, input)
        })
        .collect();
    let blobs =
        (0..).zip(&transactions).filter_map(|(i, tx)| tx.blob.as_deref().map(|blob| (i, tx.hash(), blob)));
    let da = weft_erasure::summarize(Geometry::DEV, blobs);
    let encoded: Vec<_> = transactions.iter().map(|tx| &tx.encoded).collect();
    let header = Header {
        number: parent.number + 1,
        parent_hash: parent.hash(),
        timestamp: parent.timestamp + 1,
        mix_hash: B256::with_last_byte(seed as u8),
        transactions_root: keccak::ordered_root(&encoded),
        extra_data: da.da_root.to_vec().into(),
        ..Header::default()
    };
    let header = SealedHeader::seal_slow(header);
    TestBlock { block: PreparedBlock { header, transactions, ommers: Vec::new(), withdrawals: None }, da }
}

/// `count` blocks on `parent`, committed.
pub fn chain(store: &Store, parent: &SealedHeader, seed: u64, blocks: &[&[usize]]) -> Vec<TestBlock> {
    let mut parent = parent.clone();
    let made = blocks.iter().map(|inputs| {
        let block = block(&parent, seed, inputs);
        block.commit(store);
        parent = block.block.header.clone();
        block
    });
    made.collect()
}

/// Takes the chain back to `target`.
pub fn unwind(store: &Store, target: u64) {
    let revert = store.view().revert_state(target).unwrap();
    store.unwind_to(target, &revert, &TrieUpdates::default()).unwrap();
}

fn transaction(nonce: u64, input: Vec<u8>) -> Arc<PreparedTransaction> {
    let blob = (input.len() >= THRESHOLD).then(|| Arc::new(weft_erasure::encode_blob(Geometry::DEV, &input)));
    let tx: Transaction = TxEip1559 { chain_id: 1337, nonce, input: input.into(), ..TxEip1559::default() }
        .into_signed(Signature::test_signature())
        .into();
    let encoded = tx.encoded_2718().into();
    tx.tx_hash();
    Arc::new(PreparedTransaction { blob, ..PreparedTransaction::new(tx, Address::ZERO, encoded) })
}
