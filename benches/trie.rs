//! State root of a block on a state of a million accounts in a real database, and the root from all leaves.

use alloy_primitives::{B256, U256, keccak256, map::B256Map};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use weft_primitives::{HashedPostState, Header, SealedHeader, StoredAccount};
use weft_storage::{Store, StoreOptions};

const ACCOUNTS: u64 = 1_000_000;
/// Slots of the one contract that has storage.
const SLOTS: u64 = 200_000;

fn key(index: u64) -> B256 {
    keccak256(index.to_be_bytes())
}

fn account(index: u64) -> Option<StoredAccount> {
    Some(StoredAccount { nonce: index % 100, balance: U256::from(index) << 60, ..Default::default() })
}

fn genesis() -> HashedPostState {
    let mut state = HashedPostState::default();
    state.accounts.extend((0..ACCOUNTS).map(|index| (key(index), account(index))));
    let storage = state.storages.entry(key(0)).or_default();
    storage.slots.extend((0..SLOTS).map(|index| (key(index), U256::from(index + 1))));
    state
}

fn open(folder: &tempfile::TempDir) -> Store {
    let store = Store::open(folder.path(), StoreOptions::default()).expect("a fresh folder opens");
    let state = genesis();
    let (state_root, trie) = weft_trie::genesis_root(&state).expect("genesis lists its accounts");
    let header = SealedHeader::seal_slow(Header { state_root, ..Header::default() });
    store.commit_genesis(&header, &state, &B256Map::default(), &trie).expect("genesis is written");
    store
}

/// A block of plain transfers: `changed` accounts, spread over the state, get another balance.
fn transfers(changed: u64) -> HashedPostState {
    let mut state = HashedPostState::default();
    let stride = ACCOUNTS / changed;
    state.accounts.extend((0..changed).map(|index| (key(index * stride), account(index + 1))));
    state
}

/// A block that writes `changed` slots of one contract.
fn writes(changed: u64) -> HashedPostState {
    let mut state = HashedPostState::default();
    state.accounts.insert(key(0), account(0));
    let storage = state.storages.entry(key(0)).or_default();
    let stride = SLOTS / changed;
    storage.slots.extend((0..changed).map(|index| (key(index * stride), U256::MAX)));
    state
}

fn benches(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = open(&folder);
    let mut group = criterion.benchmark_group("trie");
    group.sample_size(10);
    for changed in [1, 100, 1_000, 10_000] {
        let (accounts, slots) = (transfers(changed), writes(changed));
        group.throughput(Throughput::Elements(changed));
        for (name, overlay) in [("transfers of 1M accounts", &accounts), ("slots of 200k", &slots)] {
            group.bench_function(BenchmarkId::new(name, changed), |bencher| {
                bencher.iter_batched(
                    || store.view(),
                    |view| black_box(weft_trie::state_root(&view, overlay).expect("the database is sound")),
                    BatchSize::PerIteration,
                );
            });
        }
    }
    group.throughput(Throughput::Elements(ACCOUNTS + SLOTS));
    group.bench_function("root from leaves", |bencher| {
        bencher.iter(|| weft_trie::state_root_from_leaves(&store.view()).expect("the database is sound"));
    });
    group.bench_function("verify", |bencher| {
        bencher.iter(|| weft_trie::verify_trie(&store.view()).expect("the database is sound"));
    });
    group.finish();
}

criterion_group!(trie, benches);
criterion_main!(trie);
