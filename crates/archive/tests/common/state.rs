//! A chain whose blocks change accounts, storage and code at random, with real tries, and the items of its checkpoints.
#![allow(dead_code, reason = "each test binary uses a part")]

use super::{TestBlock, block};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256, map::B256Map};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::path::Path;
use weft_archive::checkpoint::{
    Chain, Checkpoint, CheckpointOptions, Cut, Expected, ItemFolder, ItemId, Kind, Parent, RestoreOptions,
};
use weft_primitives::{HashedPostState, Header, SealedHeader, StoredAccount, TrieUpdates};
use weft_storage::{BlockWrite, SortOptions, StageId, Store, StoreOptions, View};

pub const CHAIN_ID: u64 = 1337;
/// Addresses that ever exist.
pub const ADDRESSES: u64 = 120;
/// Slots that a contract ever has.
pub const SLOTS: u64 = 40;
pub const STAGE: StageId = StageId("BlobArchive");

pub fn address(n: u64) -> Address {
    Address::left_padding_from(&n.to_be_bytes())
}

pub fn slot(n: u64) -> B256 {
    B256::from(U256::from(n))
}

/// A block as it was committed.
pub struct Made {
    pub block: TestBlock,
    state: HashedPostState,
    code: B256Map<Bytes>,
    trie: TrieUpdates,
}

impl Made {
    pub fn commit(&self, store: &Store) {
        let receipts = vec![Default::default(); self.block.block.transactions.len()];
        store
            .commit_block(BlockWrite {
                block: &self.block.block,
                receipts: &receipts,
                state: &self.state,
                code: &self.code,
                trie: &self.trie,
                da: Some(&self.block.da),
            })
            .unwrap();
    }
}

/// A chain, its blocks finalized as they come.
pub struct TestChain {
    pub store: Store,
    pub genesis: SealedHeader,
    pub made: Vec<Made>,
    random: StdRng,
    _folder: tempfile::TempDir,
}

impl TestChain {
    pub fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = super::open(folder.path());
        let mut state = HashedPostState::default();
        for n in 0..ADDRESSES / 2 {
            let account = StoredAccount { balance: U256::from(n + 1) << 60, ..StoredAccount::default() };
            state.accounts.insert(keccak256(address(n)), Some(account));
        }
        let (state_root, trie) = weft_trie::genesis_root(&state).unwrap();
        let genesis = SealedHeader::seal_slow(Header { state_root, ..Header::default() });
        store.commit_genesis(&genesis, &state, &B256Map::default(), &trie).unwrap();
        Self { store, genesis, made: Vec::new(), random: StdRng::seed_from_u64(seed), _folder: folder }
    }

    pub fn head(&self) -> SealedHeader {
        self.made.last().map_or_else(|| self.genesis.clone(), |made| made.block.block.header.clone())
    }

    pub fn grow(&mut self, blocks: u64) {
        for _ in 0..blocks {
            self.make();
        }
    }

    /// One more block: some accounts change, some contracts come, some go with all they had.
    pub fn make(&mut self) {
        let (mut state, mut code) = (HashedPostState::default(), B256Map::default());
        for _ in 0..12 {
            let n = self.random.random_range(0..ADDRESSES);
            self.change(n, &mut state, &mut code);
        }
        let view = self.store.view();
        let (state_root, trie) = weft_trie::state_root(&view, &state).unwrap();
        drop(view);
        let blobs: &[usize] = match self.random.random_range(0..4) {
            0 => &[200_000, 100, 5000],
            1 => &[4096],
            _ => &[],
        };
        let mut block = block(&self.head(), self.random.random_range(0..256), blobs);
        let header = Header { state_root, ..block.block.header.header().clone() };
        block.block.header = SealedHeader::seal_slow(header);
        let made = Made { block, state, code, trie };
        made.commit(&self.store);
        let head = Some(made.block.block.num_hash());
        self.store.set_forkchoice(head, head).unwrap();
        self.made.push(made);
    }

    fn change(&mut self, n: u64, state: &mut HashedPostState, code: &mut B256Map<Bytes>) {
        let hashed = keccak256(address(n));
        let view = self.store.view();
        let head = view.head().unwrap().number;
        let before = view.state_at(head).unwrap().account(hashed).unwrap();
        if state.accounts.contains_key(&hashed) {
            return;
        }
        let mut account = before.unwrap_or_default();
        account.nonce += 1;
        account.balance = U256::from(self.random.random::<u64>());
        if before.is_some() && self.random.random_range(0..10) == 0 {
            // Gone, with its storage.
            state.accounts.insert(hashed, None);
            state.storages.entry(hashed).or_default().wiped = true;
            return;
        }
        if n.is_multiple_of(3) {
            if !account.has_code() {
                // Three contracts in four share their code.
                let text = format!("code {}", if n.is_multiple_of(4) { n } else { 0 });
                let bytes = Bytes::from(text.repeat(20).into_bytes());
                account.code_hash = keccak256(&bytes);
                code.insert(account.code_hash, bytes);
            }
            let storage = state.storages.entry(hashed).or_default();
            for _ in 0..self.random.random_range(1..15) {
                let value = match self.random.random_range(0..4) {
                    0 => U256::ZERO,
                    1 => U256::MAX - U256::from(self.random.random::<u32>()),
                    _ => U256::from(self.random.random::<u32>()),
                };
                storage.slots.insert(keccak256(slot(self.random.random_range(0..SLOTS))), value);
            }
        }
        state.accounts.insert(hashed, Some(account));
    }

    pub fn expected(&self) -> Expected {
        let chain = Chain { id: CHAIN_ID, genesis: self.genesis.hash() };
        Expected { chain, trust_block: None }
    }

    /// Makes a checkpoint, in chunks so small that there are many.
    pub fn checkpoint(
        &self,
        number: u64,
        kind: Kind,
        parent: Option<Parent>,
        items: &mut ItemFolder,
    ) -> Checkpoint {
        let options = options(kind, parent, items.path());
        weft_archive::checkpoint::write_checkpoint(&self.store, number, &options, items, &mut |_| {}).unwrap()
    }
}

pub fn options(kind: Kind, parent: Option<Parent>, scratch: &Path) -> CheckpointOptions {
    CheckpointOptions {
        chain_id: CHAIN_ID,
        kind,
        parent,
        cut: Cut { state_bits: 4, code_bits: 2, headers: 4 },
        // Small enough to need runs on the disk.
        sort: SortOptions { buffer_bytes: 2000, ..SortOptions::in_folder(scratch) },
    }
}

pub fn restore_options(path: &Path, expected: Expected) -> RestoreOptions {
    let store = StoreOptions { disk_reserve_bytes: 0, cache_bytes: 8 << 20, ..StoreOptions::default() };
    RestoreOptions { path: path.to_owned(), store, expected, parallel: 3, stages: vec![STAGE] }
}

pub fn restore(items: &ItemFolder, id: ItemId, path: &Path, expected: Expected) -> Store {
    weft_archive::checkpoint::restore(items, id, &restore_options(path, expected), &|_| {}).unwrap()
}

/// The restored database holds what the chain's own has at block `number`: accounts, slots, code, proofs, headers,
/// commitments.
pub fn assert_same(chain: &TestChain, restored: &Store, number: u64) {
    let (theirs, ours) = (chain.store.view(), restored.view());
    let header = theirs.header(number).unwrap().unwrap();
    assert_eq!(ours.head().unwrap(), header.num_hash());
    assert_eq!(ours.base().unwrap(), Some(header.num_hash()));
    assert_eq!(ours.finalized().unwrap(), Some(header.num_hash()));
    assert_eq!(weft_trie::state_root_from_leaves(&ours).unwrap(), header.state_root);
    let report = weft_trie::verify_trie(&ours).unwrap();
    assert!(report.is_clean(), "{:?}", report.differences);
    for n in 0..=number {
        assert_eq!(ours.header(n).unwrap(), theirs.header(n).unwrap());
        assert_eq!(ours.da_summary(n).unwrap(), theirs.da_summary(n).unwrap());
        assert_eq!(ours.block_number(theirs.canonical_hash(n).unwrap().unwrap()).unwrap(), Some(n));
    }
    let (was, is) = (theirs.state_at(number).unwrap(), ours.state_at(number).unwrap());
    for n in 0..ADDRESSES {
        let account = was.account_of(address(n)).unwrap();
        assert_eq!(is.account_of(address(n)).unwrap(), account, "account {n}");
        for at in 0..SLOTS {
            let value = was.storage_of(address(n), U256::from(at)).unwrap();
            assert_eq!(is.storage_of(address(n), U256::from(at)).unwrap(), value, "slot {at} of {n}");
        }
        if let Some(account) = account.filter(StoredAccount::has_code) {
            assert_eq!(ours.code(account.code_hash).unwrap(), theirs.code(account.code_hash).unwrap());
        }
    }
    assert_same_proofs(&theirs, &ours, number);
    assert_nothing_left_over(&ours, number);
}

fn assert_same_proofs(theirs: &View<'_>, ours: &View<'_>, number: u64) {
    let revert = theirs.revert_state(number).unwrap();
    let keys: Vec<_> = (0..SLOTS).step_by(7).map(slot).collect();
    for n in (0..ADDRESSES).step_by(11) {
        let was = weft_trie::prove(theirs, &revert, address(n), &keys).unwrap();
        assert_eq!(weft_trie::prove(ours, &HashedPostState::default(), address(n), &keys).unwrap(), was);
    }
}

/// No record is left of what was there and is not any more.
fn assert_nothing_left_over(ours: &View<'_>, number: u64) {
    let state = ours.state_at(number).unwrap();
    for account in ours.all_accounts() {
        let (hashed, account) = account.unwrap();
        assert_eq!(state.account(hashed).unwrap(), Some(account));
    }
    assert!(ours.all_slots().all(|slot| !slot.unwrap().2.is_zero()));
}
