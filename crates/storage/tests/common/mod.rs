//! Chains of random blocks, made without an EVM and without a trie: storage keeps what it is told.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use alloy_consensus::{
    SignableTransaction, Transaction as _, TxEip1559, TxReceipt, proofs::calculate_receipt_root,
    transaction::SignerRecoverable,
};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, U256, keccak256, map::B256Map};
use std::sync::Arc;
use weft_primitives::{
    BlobIndex, ColumnIndex, DaSummary, Geometry, HashedPostState, Header, PreparedBlock, PreparedTransaction,
    Receipt, SealedHeader, StorageTrieUpdates, StoredAccount, TrieUpdates, keccak,
};
use weft_storage::{BlockWrite, ColumnSegment, StorageError, Store, StoreOptions};

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
    pub da: Option<DaSummary>,
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
            da: self.da.as_ref(),
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

/// `seed` makes blocks of the same height differ. Roots are those of the content, but the state's.
pub fn block(parent: &SealedHeader, seed: u64, transactions: Vec<Arc<PreparedTransaction>>) -> TestBlock {
    let receipts: Vec<Receipt> = (1..=transactions.len() as u64)
        .map(|n| Receipt { cumulative_gas_used: 21_000 * n, ..Receipt::default() })
        .collect();
    let with_bloom: Vec<_> = receipts.iter().map(|receipt| receipt.with_bloom_ref()).collect();
    let encoded: Vec<_> = transactions.iter().map(|tx| &tx.encoded).collect();
    let blobs: Vec<_> = (0..)
        .zip(&transactions)
        .filter_map(|(index, tx)| tx.blob.as_deref().map(|blob| (index, tx.hash(), blob)))
        .collect();
    let da = (!blobs.is_empty()).then(|| weft_erasure::summarize(Geometry::DEV, blobs));
    let header = Header {
        number: parent.number + 1,
        parent_hash: parent.hash(),
        gas_used: receipts.last().map_or(0, |receipt| receipt.cumulative_gas_used),
        timestamp: parent.timestamp + 1,
        mix_hash: B256::with_last_byte(seed as u8),
        transactions_root: keccak::ordered_root(&encoded),
        receipts_root: calculate_receipt_root(&with_bloom),
        extra_data: da.as_ref().map(|da| da.da_root.to_vec()).unwrap_or_default().into(),
        ..Header::default()
    };
    let header = SealedHeader::seal_slow(header);
    TestBlock {
        block: PreparedBlock { header, transactions, ommers: Vec::new(), withdrawals: None },
        receipts,
        state: HashedPostState::default(),
        trie: TrieUpdates::default(),
        code: B256Map::default(),
        da,
    }
}

pub fn transaction(nonce: u64, input: impl Into<Bytes>) -> Arc<PreparedTransaction> {
    let tx: weft_primitives::Transaction =
        TxEip1559 { chain_id: 1337, nonce, gas_limit: 21_000, input: input.into(), ..TxEip1559::default() }
            .into_signed(Signature::test_signature())
            .into();
    let sender = tx.recover_signer().unwrap();
    tx.tx_hash();
    let encoded = tx.encoded_2718().into();
    Arc::new(PreparedTransaction::new(tx, sender, encoded))
}

/// As [`transaction`], with its input as a blob.
pub fn blob_transaction(nonce: u64, input: Vec<u8>) -> Arc<PreparedTransaction> {
    let blob = weft_erasure::encode_blob(Geometry::DEV, &input);
    let mut tx = (*transaction(nonce, input)).clone();
    tx.blob = Some(Arc::new(blob));
    Arc::new(tx)
}

/// Column `j` of the block's blob number `blob`, which transaction `index` carries.
pub fn segment(block: &TestBlock, index: usize, blob: u32, j: u16) -> ColumnSegment {
    let tx = &block.block.transactions[index];
    let encoded = tx.blob.as_ref().unwrap();
    let cells = weft_erasure::column_of(encoded, tx.tx.input(), ColumnIndex(j));
    ColumnSegment { block: block.number(), blob: BlobIndex(blob), column: ColumnIndex(j), cells }
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    use rand::{RngCore, SeedableRng};
    let mut bytes = vec![0; length];
    rand::rngs::StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
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
