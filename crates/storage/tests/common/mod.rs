//! Chains of random blocks, made without an EVM and without a trie: storage keeps what it is told.
#![allow(dead_code, reason = "each test binary uses a part")]

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, U256, keccak256, map::B256Map};
use std::sync::Arc;
use weft_primitives::{
    EncodedBlob, Geometry, HashedPostState, Header, PreparedBlock, PreparedTransaction, Receipt,
    SealedHeader, StorageTrieUpdates, StoredAccount, TrieUpdates,
};
use weft_storage::{BlockWrite, StorageError, Store, StoreOptions};

/// Writes small and large go the way that they go on a real disk, without its reserve.
pub fn options() -> StoreOptions {
    StoreOptions { disk_reserve_bytes: 0, cache_bytes: 8 << 20, ..StoreOptions::default() }
}

pub fn open(path: &std::path::Path) -> Store {
    Store::open(path, options()).unwrap()
}

/// A block with what it does to the state.
#[derive(Clone, Debug)]
pub struct TestBlock {
    pub block: PreparedBlock,
    pub receipts: Vec<Receipt>,
    pub state: HashedPostState,
    pub trie: TrieUpdates,
    pub code: B256Map<Bytes>,
}

impl TestBlock {
    pub fn number(&self) -> u64 {
        self.block.header.number
    }

    pub fn hash(&self) -> B256 {
        self.block.header.hash()
    }

    pub fn write(&self) -> BlockWrite<'_> {
        BlockWrite {
            block: &self.block,
            receipts: &self.receipts,
            state: &self.state,
            code: &self.code,
            trie: &self.trie,
            da: None,
        }
    }

    pub fn commit(&self, store: &Store) -> Result<(), StorageError> {
        store.commit_block(self.write())
    }
}

pub fn address(n: u64) -> Address {
    Address::left_padding_from(&n.to_be_bytes())
}

pub fn hashed(n: u64) -> B256 {
    keccak256(address(n))
}

pub fn slot(n: u64) -> B256 {
    keccak256(B256::from(U256::from(n)))
}

pub fn account(nonce: u64) -> StoredAccount {
    StoredAccount { nonce, balance: U256::from(nonce) << 70, ..StoredAccount::default() }
}

pub fn genesis_header() -> SealedHeader {
    SealedHeader::seal_slow(Header { extra_data: b"test".into(), ..Header::default() })
}

pub fn commit_genesis(store: &Store, state: &HashedPostState) {
    store.commit_genesis(&genesis_header(), state, &B256Map::default(), &TrieUpdates::default()).unwrap();
}

/// `seed` makes blocks of the same height differ.
pub fn block(parent: &SealedHeader, seed: u64, transactions: Vec<Arc<PreparedTransaction>>) -> TestBlock {
    let header = Header {
        number: parent.number + 1,
        parent_hash: parent.hash(),
        gas_used: seed,
        timestamp: parent.timestamp + 1,
        ..Header::default()
    };
    let receipts = (1..=transactions.len() as u64)
        .map(|n| Receipt { success: true, cumulative_gas_used: 21_000 * n, ..Receipt::default() })
        .collect();
    let header = SealedHeader::seal_slow(header);
    TestBlock {
        block: PreparedBlock { header, transactions, ommers: Vec::new(), withdrawals: None },
        receipts,
        state: HashedPostState::default(),
        trie: TrieUpdates::default(),
        code: B256Map::default(),
    }
}

pub fn transaction(nonce: u64, input: impl Into<Bytes>) -> Arc<PreparedTransaction> {
    let tx: weft_primitives::Transaction =
        TxEip1559 { chain_id: 1337, nonce, gas_limit: 21_000, input: input.into(), ..TxEip1559::default() }
            .into_signed(Signature::test_signature())
            .into();
    tx.tx_hash();
    let encoded = tx.encoded_2718().into();
    Arc::new(PreparedTransaction { tx, sender: address(nonce), encoded, blob: None })
}

/// As [`transaction`], with a blob whose hashes are made up.
pub fn blob_transaction(nonce: u64, input: Vec<u8>) -> Arc<PreparedTransaction> {
    let geometry = Geometry::DEV;
    let length = input.len();
    let chunks = geometry.chunk_count(length);
    let cell_hashes = (0..chunks * geometry.columns()).map(|cell| B256::with_last_byte(cell as u8)).collect();
    let parity = vec![Bytes::new(); chunks];
    let mut tx = (*transaction(nonce, input)).clone();
    tx.blob = Some(Arc::new(EncodedBlob { geometry, length, cell_hashes, parity }));
    Arc::new(tx)
}

pub fn set_account(state: &mut HashedPostState, n: u64, account: Option<StoredAccount>) {
    state.accounts.insert(hashed(n), account);
}

pub fn set_slot(block: &mut TestBlock, n: u64, at: u64, value: u64) {
    block.state.storages.entry(hashed(n)).or_default().slots.insert(slot(at), U256::from(value));
    block.trie.storages.insert(hashed(n), root(value));
}

pub fn root(n: u64) -> StorageTrieUpdates {
    StorageTrieUpdates { wiped: false, nodes: Default::default(), root: keccak256(n.to_be_bytes()) }
}
