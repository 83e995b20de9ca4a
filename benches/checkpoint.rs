//! A checkpoint of a large state and the way back: seconds, MB/s, peak memory, bytes per account and slot, and how long
//! the head's commits take meanwhile.
//!
//! `WEFT_BENCH_SLOTS` says how many slots (300,000 unless given; 10,000,000 take some minutes and 4 GB of disk), with a
//! tenth as many accounts and a contract per 10,000 slots. Run once, not by criterion.

#[path = "../crates/storage/tests/common/mod.rs"]
mod common;

use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_trie::{HashBuilder, Nibbles};
use common::{block, set_account};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};
use weft_archive::checkpoint::{
    Chain, CheckpointOptions, Cut, Expected, ItemFolder, Kind, Manifest, RestoreOptions, Section, restore,
    verify, write_checkpoint,
};
use weft_primitives::{Header, SealedHeader, StoredAccount};
use weft_storage::{BulkLoad, SortOptions, Store, StoreOptions};

const SLOTS_DEFAULT: u64 = 300_000;
const SLOTS_PER_CONTRACT: u64 = 10_000;
const SLOTS_PER_ACCOUNT: u64 = 10;
/// Records of one file while the state is made.
const FILE_RECORDS: u64 = 200_000;
/// Commits that are timed before the snapshot begins.
const QUIET_COMMITS: usize = 50;

fn main() {
    let slots =
        std::env::var("WEFT_BENCH_SLOTS").ok().and_then(|text| text.parse().ok()).unwrap_or(SLOTS_DEFAULT);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (store, header) = make(&folder.path().join("db"), slots);
    let mut items = ItemFolder::create(folder.path().join("items")).expect("a folder");
    let sort = SortOptions::in_folder(folder.path());

    let options = CheckpointOptions {
        chain_id: 1337,
        kind: Kind::Full,
        parent: None,
        cut: Cut::default(),
        sort: sort.clone(),
    };
    let mut head = header.clone();
    let quiet = commits(&store, &mut head, |done| done == QUIET_COMMITS);
    let done = AtomicBool::new(false);
    let (checkpoint, busy) = std::thread::scope(|scope| {
        let (store, done, head) = (&store, &done, &mut head);
        let committer = scope.spawn(move || commits(store, head, |_| done.load(Ordering::Relaxed)));
        let checkpoint = measured("snapshot", || {
            let made = write_checkpoint(store, 0, &options, &mut items, &mut |_| {}).expect("a checkpoint");
            let raw = made.manifest.entries.iter().map(|entry| entry.raw_bytes).sum();
            (made, raw)
        });
        done.store(true, Ordering::Relaxed);
        (checkpoint, committer.join().expect("commits go on"))
    });
    show_commits("before the snapshot", quiet);
    show_commits("during the snapshot", busy);
    show_sizes(&checkpoint.manifest);
    drop(store);

    let raw: u64 = checkpoint.manifest.entries.iter().map(|entry| entry.raw_bytes).sum();
    let expected =
        Expected { chain: Chain { id: 1337, genesis: header.hash() }, trust_block: Some(header.hash()) };
    measured("verify", || {
        let verified = verify(&items, checkpoint.id, &expected, &sort, &mut |_| {}).expect("it is sound");
        assert_eq!((verified.slots, verified.state_root), (slots, header.state_root));
        ((), raw)
    });
    let options = RestoreOptions {
        path: folder.path().join("restored"),
        store: StoreOptions::default(),
        expected,
        parallel: 4,
        stages: Vec::new(),
    };
    let restored = measured("restore", || {
        (restore(&items, checkpoint.id, &options, &|_| {}).expect("it is sound"), raw)
    });
    assert_eq!(restored.view().head().expect("a head"), header.num_hash());
}

/// Random keys in order: the top bits count, the rest is noise.
fn keys(count: u64, seed: u64) -> impl Iterator<Item = B256> {
    let (mut noise, stride) = (StdRng::seed_from_u64(seed), u64::MAX / count.max(1));
    (0..count).map(move |index| {
        let mut key = B256::ZERO;
        noise.fill(&mut key.0[8..]);
        key.0[..8].copy_from_slice(&(index * stride + noise.random_range(0..stride)).to_be_bytes());
        key
    })
}

/// A database whose genesis has that many slots; written in key order, without a trie, which a snapshot does not read.
fn make(path: &Path, slots: u64) -> (Store, SealedHeader) {
    let started = Instant::now();
    let load = BulkLoad::open(path, StoreOptions::default(), B256::ZERO).expect("an empty folder");
    let accounts = slots / SLOTS_PER_ACCOUNT;
    let every = (accounts * SLOTS_PER_CONTRACT / slots).max(1);
    let code = |index: u64| Bytes::from(format!("contract {index}").repeat(300).into_bytes());
    let (mut account_writer, mut slot_writer) = (load.writer(), load.writer());
    let (mut left, mut codes, mut written) = (slots, Vec::new(), 0);
    for (index, address) in (0..).zip(keys(accounts, 1)) {
        let mut account =
            StoredAccount { nonce: index % 9, balance: U256::from(index) << 50, ..Default::default() };
        if index % every == 0 && left > 0 {
            let own = left.min(SLOTS_PER_CONTRACT);
            left -= own;
            let bytes = code(index);
            account.code_hash = keccak256(&bytes);
            codes.push((account.code_hash, bytes));
            let mut builder = HashBuilder::default();
            for slot in keys(own, index + 2) {
                // Of every length, as balances, counters and addresses are.
                let value = U256::from_be_bytes(keccak256(slot).0) >> usize::from(slot.0[31]) | U256::from(1);
                slot_writer.slot(address, slot, value).expect("in order");
                builder.add_leaf(Nibbles::unpack(slot), &alloy_rlp::encode(value));
            }
            account.storage_root = builder.root();
            written += own;
            if written >= FILE_RECORDS {
                std::mem::replace(&mut slot_writer, load.writer()).finish().expect("a file");
                written = 0;
            }
        }
        account_writer.account(address, Some(&account)).expect("in order");
        if index % FILE_RECORDS == FILE_RECORDS - 1 {
            std::mem::replace(&mut account_writer, load.writer()).finish().expect("a file");
        }
    }
    account_writer.finish().expect("a file");
    slot_writer.finish().expect("a file");
    codes.sort_unstable_by_key(|(hash, _)| *hash);
    let mut writer = load.writer();
    codes.iter().for_each(|(hash, bytes)| writer.code(*hash, bytes).expect("in order"));
    writer.finish().expect("a file");
    let state_root = weft_trie::state_root_from_leaves(&load.view()).expect("a state");
    let header = SealedHeader::seal_slow(Header { state_root, ..Header::default() });
    let mut writer = load.writer();
    writer.header(&header).expect("one header");
    writer.finish().expect("a file");
    let store = load.finish(header.num_hash(), &[]).expect("a chain");
    println!(
        "state     {accounts} accounts, {slots} slots, made in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    (store, header)
}

/// Commits small blocks one after the other; how long each took.
fn commits(store: &Store, head: &mut SealedHeader, enough: impl Fn(usize) -> bool) -> Vec<Duration> {
    let mut times = Vec::new();
    while !enough(times.len()) {
        let mut next = block(head, 1, Vec::new());
        (0..100).for_each(|n| set_account(&mut next.state, n, Some(common::account(head.number + n + 1))));
        let started = Instant::now();
        next.commit(store).expect("a child of the head");
        times.push(started.elapsed());
        *head = next.block.header;
    }
    times
}

fn show_commits(when: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let ms = |at: usize| times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e3);
    println!(
        "head      {} commits {when}: median {:.1} ms, longest {:.1} ms",
        times.len(),
        ms(times.len() / 2),
        ms(times.len().saturating_sub(1))
    );
}

fn show_sizes(manifest: &Manifest) {
    for section in Section::ALL {
        let entries = manifest.section(section);
        let sum = |of: fn(&weft_archive::checkpoint::Entry) -> u64| entries.iter().map(of).sum::<u64>();
        let (records, raw, bytes) =
            (sum(|entry| entry.records), sum(|entry| entry.raw_bytes), sum(|entry| entry.bytes));
        // Keys and values as the trie has them.
        let plain = match section {
            Section::Accounts => Some(32.0 + 78.0),
            Section::Storage => Some(64.0 + 32.0),
            Section::Code | Section::Headers => None,
        };
        let per = |bytes: u64| bytes as f64 / records.max(1) as f64;
        print!(
            "{:<9} {records} records in {} items: {:.1} bytes each, {:.1} before zstd",
            section.to_string(),
            entries.len(),
            per(bytes),
            per(raw)
        );
        println!("{}", plain.map_or(String::new(), |plain| format!(", {plain:.0} as key and leaf")));
    }
}

/// Runs `work`, which says how many raw bytes went through, and prints what it cost.
fn measured<T>(name: &str, work: impl FnOnce() -> (T, u64)) -> T {
    // Linux: the peak begins anew here.
    let reset = std::fs::write("/proc/self/clear_refs", "5").is_ok();
    let (started, before) = (Instant::now(), memory("VmRSS:"));
    let (result, bytes) = work();
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{name:<9} {seconds:.1} s, {:.1} MB/s of {:.0} MB raw; peak memory {} MB{}, {} MB before",
        bytes as f64 / 1e6 / seconds,
        bytes as f64 / 1e6,
        memory("VmHWM:") / 1000,
        if reset { "" } else { " (of the whole run)" },
        before / 1000
    );
    result
}

/// A line of `/proc/self/status`, in kB.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status.lines().find_map(|text| text.strip_prefix(line));
    found.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}
