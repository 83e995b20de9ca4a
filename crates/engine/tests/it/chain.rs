//! What the scenarios share: nodes over temporary folders, the dev accounts, signed transactions.

use alloy_consensus::{SignableTransaction, Transaction as _, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_network::TxSignerSync;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English};
use std::{path::Path, sync::Arc};
use weft_chainspec::ChainSpec;
use weft_engine::{CanonicalEvent, Engine, EngineConfig, ForkchoiceState, PayloadAttributes, PayloadStatus};
use weft_pool::{Pool, PoolConfig};
use weft_primitives::{BlobIndex, ColumnIndex, PreparedBlock, SealedHeader, StoredAccount, Transaction};
use weft_storage::{ColumnSegment, Store, StoreOptions, TxPosition};

/// An engine with its store and, for one that proposes, its pool.
pub struct Node {
    pub engine: Engine,
    pub store: Store,
    pub pool: Option<Pool>,
    /// Removed with the node; `None` when the folder is somebody else's.
    pub folder: Option<tempfile::TempDir>,
}

impl Node {
    /// A node that only follows.
    pub fn follower(spec: &Arc<ChainSpec>) -> Self {
        Self::with_config(spec, EngineConfig::default(), false)
    }

    /// A node with a pool.
    pub fn proposer(spec: &Arc<ChainSpec>) -> Self {
        Self::with_config(spec, EngineConfig::default(), true)
    }

    pub fn with_config(spec: &Arc<ChainSpec>, config: EngineConfig, with_pool: bool) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let mut node = Self::open(spec, folder.path(), config, with_pool);
        node.folder = Some(folder);
        node
    }

    pub fn open(spec: &Arc<ChainSpec>, path: &Path, config: EngineConfig, with_pool: bool) -> Self {
        Self::open_with(spec, path, StoreOptions::default(), config, with_pool)
    }

    pub fn open_with(
        spec: &Arc<ChainSpec>,
        path: &Path,
        options: StoreOptions,
        config: EngineConfig,
        with_pool: bool,
    ) -> Self {
        let store = Store::open(path, options).expect("the folder opens");
        // The pool reads the head, so that genesis comes first.
        weft_engine::init_genesis(spec, &store).expect("the folder is empty or of this chain");
        let pool = with_pool.then(|| {
            Pool::new(spec.clone(), store.clone(), PoolConfig::default())
                .expect("a pool opens over its chain")
        });
        let engine = Engine::new(spec.clone(), store.clone(), pool.clone(), config).expect("an engine opens");
        Self { engine, store, pool, folder: None }
    }

    pub fn head(&self) -> &SealedHeader {
        self.engine.head()
    }

    /// Puts transactions into the pool.
    pub async fn submit(&self, transactions: impl IntoIterator<Item = Bytes>) {
        let pool = self.pool.as_ref().expect("a proposer");
        for raw in transactions {
            pool.submit(raw).await.expect("the pool takes the transaction");
        }
    }

    /// Builds on `parent`, one second later.
    pub fn build_on(&mut self, parent: &SealedHeader, salt: u8) -> PreparedBlock {
        self.engine.build_payload(attributes(parent, salt)).expect("a payload")
    }

    /// As [`Self::build_on`] where nothing of Shanghai and Cancun holds.
    pub fn build_before_shanghai(&mut self, parent: &SealedHeader, salt: u8) -> PreparedBlock {
        let (withdrawals, parent_beacon_block_root) = (None, None);
        let attributes =
            PayloadAttributes { withdrawals, parent_beacon_block_root, ..attributes(parent, salt) };
        self.engine.build_payload(attributes).expect("a payload")
    }

    /// Builds on the head and makes it the head.
    pub fn seal(&mut self) -> PreparedBlock {
        let head = self.head().clone();
        let block = self.build_on(&head, 0);
        self.choose(&block);
        block
    }

    /// A block from elsewhere that must be valid.
    pub fn import(&mut self, block: &PreparedBlock) {
        let hash = block.header.hash();
        let status = self.engine.new_payload(block.clone()).expect("no failure");
        assert_eq!(status, PayloadStatus::Valid { hash }, "block {}", block.header.number);
    }

    /// Makes a known block the head.
    pub fn choose(&mut self, block: &PreparedBlock) -> Option<CanonicalEvent> {
        let hash = block.header.hash();
        let (status, event) = self.engine.forkchoice_updated(head(hash)).expect("no failure");
        assert_eq!(status, PayloadStatus::Valid { hash });
        assert_eq!(self.store.view().head().expect("a head").hash, hash, "durable when it returns");
        event
    }

    pub fn follow(&mut self, block: &PreparedBlock) {
        self.import(block);
        self.choose(block);
    }

    pub fn account(&self, address: Address) -> StoredAccount {
        let view = self.store.view();
        let state = view.state_at(self.head().number).expect("state of the head");
        state.account_of(address).expect("a read").unwrap_or_default()
    }

    /// Replaces the input of the block's first blob by its data columns, as `weft db drop` does.
    pub fn drop_body(&self, block: &PreparedBlock) {
        let number = block.header.number;
        let summary = self.store.view().da_summary(number).expect("a read").expect("a commitment");
        let index = summary.blobs[0].tx_index;
        let input = block.transactions[index as usize].tx.input();
        let segments: Vec<_> = (0..)
            .map(ColumnIndex)
            .zip(weft_erasure::data_columns(summary.geometry, input))
            .map(|(column, cells)| ColumnSegment { block: number, blob: BlobIndex(0), column, cells })
            .collect();
        self.store
            .drop_body(TxPosition { block: number, index }, &segments)
            .expect("the columns are its own");
    }

    /// The chain on the disk is whole, from genesis to the head.
    pub fn check_chain(&self) {
        let report = self.store.verify_chain(0..=u64::MAX).expect("a read");
        assert!(report.is_clean(), "{:?}", report.problems);
        assert_eq!(report.blocks, self.head().number + 1);
    }

    /// The state root of what is on the disk, from leaves alone, must be the head's.
    pub fn check_state(&self) {
        let view = self.store.view();
        let root = weft_trie::state_root_from_leaves(&view).expect("a root");
        assert_eq!(root, self.head().state_root, "leaves on disk at block {}", self.head().number);
        let faults = weft_trie::verify_trie(&view).expect("a walk");
        assert!(faults.differences.is_empty(), "trie nodes on disk: {faults:?}");
    }
}

pub fn head(head: B256) -> ForkchoiceState {
    ForkchoiceState { head, safe: None, finalized: None }
}

/// Attributes of a child of `parent`; blocks of another `salt` are other blocks.
pub fn attributes(parent: &SealedHeader, salt: u8) -> PayloadAttributes {
    PayloadAttributes {
        parent: parent.hash(),
        timestamp: parent.timestamp + 1,
        suggested_fee_recipient: Address::repeat_byte(0xfe),
        prev_randao: B256::repeat_byte(salt),
        withdrawals: Some(Default::default()),
        parent_beacon_block_root: Some(B256::ZERO),
    }
}

/// A chain at proof of stake and before Byzantium, as no real one ever was: blocks of that time can be built on it.
pub fn before_byzantium() -> Arc<ChainSpec> {
    let alice = dev_account(0).address();
    let json = format!(
        r#"{{"config":{{"chainId":1337,"homesteadBlock":0,"eip150Block":0,"eip155Block":0,"eip158Block":0,
            "terminalTotalDifficulty":1}},
            "gasLimit":"0x1000000","alloc":{{"{alice}":{{"balance":"0x100000000000000000000"}}}}}}"#
    );
    Arc::new(ChainSpec::from_json(&json).expect("a genesis file"))
}

/// One of the ten dev accounts.
pub fn dev_account(index: u32) -> PrivateKeySigner {
    MnemonicBuilder::<English>::from_phrase("test test test test test test test test test test test junk")
        .index(index)
        .and_then(|builder| builder.build())
        .expect("the dev mnemonic")
}

/// What a test asks of a transaction.
pub struct Tx {
    pub nonce: u64,
    pub to: TxKind,
    pub value: u64,
    pub input: Bytes,
    pub gas: u64,
}

impl Tx {
    pub fn transfer(nonce: u64, to: Address, value: u64) -> Self {
        Self { nonce, to: to.into(), value, input: Bytes::new(), gas: 21_000 }
    }

    /// Calldata to an account without code.
    pub fn data(nonce: u64, input: Bytes) -> Self {
        let gas = 21_000 + 8 * input.len() as u64;
        Self { nonce, to: Address::repeat_byte(0xda).into(), value: 0, input, gas }
    }

    pub fn call(nonce: u64, to: Address, input: Bytes) -> Self {
        Self { nonce, to: to.into(), value: 0, input, gas: 300_000 }
    }

    pub fn sign(self, signer: &PrivateKeySigner, chain_id: u64) -> Bytes {
        self.sign_with_fee(signer, chain_id, 100_000_000_000)
    }

    /// `max_fee` in wei per gas; a hundredth of it is the tip.
    pub fn sign_with_fee(self, signer: &PrivateKeySigner, chain_id: u64, max_fee: u128) -> Bytes {
        let mut tx = TxEip1559 {
            chain_id,
            nonce: self.nonce,
            gas_limit: self.gas,
            max_fee_per_gas: max_fee,
            max_priority_fee_per_gas: max_fee / 100,
            to: self.to,
            value: U256::from(self.value),
            input: self.input,
            access_list: Default::default(),
        };
        let signature = signer.sign_transaction_sync(&mut tx).expect("a signature");
        Transaction::from(tx.into_signed(signature)).encoded_2718().into()
    }
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Bytes {
    use rand::{RngCore, SeedableRng};
    let mut bytes = vec![0; length];
    rand::rngs::StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes.into()
}
