//! The node is killed with SIGKILL at random moments under load, again and again.
//!
//! After every restart the chain goes on, every transaction whose receipt was ever seen is there, and `weft db verify`
//! finds nothing: records, roots, every blob against its header, and the state root derived from leaves alone. A short
//! run by default; `WEFT_CRASH_ROUNDS=100` (`make test-crash`) for the long one. `WEFT_CRASH_SEED` repeats a run.

mod common;

use alloy_primitives::{B256, Bytes, U256};
use common::{Account, Node, folder, noise, weft_ok};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

const ROUNDS: u64 = 5;
/// Accounts that send at the same time, each from a thread of its own.
const SENDERS: u32 = 4;
/// Longest time under load before the kill.
const LOAD_MS_MAX: u64 = 900;
/// Receipts of earlier rounds that are asked for again after each restart; those of the last round all are.
const OLD_RECEIPTS: usize = 50;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

/// A transaction whose receipt was seen: it may never be lost again.
#[derive(Clone)]
struct Acknowledged {
    hash: B256,
    block: Value,
    input: Option<(u64, usize)>,
}

#[test]
fn nothing_acknowledged_is_lost_however_the_node_dies() {
    let rounds = setting("WEFT_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let seed = setting("WEFT_CRASH_SEED").unwrap_or_else(rand::random);
    println!("{rounds} rounds, WEFT_CRASH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let folder = folder();
    let datadir = folder.path().join("data");
    let (mut all, mut last, mut height): (Vec<Acknowledged>, Vec<Acknowledged>, u64) = Default::default();
    for round in 0..rounds {
        let node = Node::start(&datadir, &[]);
        assert!(node.block_number() >= height, "round {round}: the chain became shorter");
        let old: Vec<&Acknowledged> = all.choose_multiple(&mut random, OLD_RECEIPTS).collect();
        old.into_iter().chain(&last).for_each(|transaction| assert_kept(&node, round, transaction));
        all.append(&mut last);

        let load = Duration::from_millis(random.random_range(0..LOAD_MS_MAX));
        (last, height) = under_load(node, &mut random, load);
        println!("round {round}: killed after {load:?} at block {height}, {} acknowledged", last.len());
        assert_clean(&datadir);
    }
    let node = Node::start(&datadir, &[]);
    last.iter().for_each(|transaction| assert_kept(&node, rounds, transaction));
    all.append(&mut last);
    assert!(all.len() as u64 > rounds, "there was a load: {} acknowledged", all.len());
    Account::open(&node, 0).publish(&node, noise(seed, 10_000).into());
    node.archived();
    node.stop();
    assert_clean(&datadir);
}

fn assert_kept(node: &Node, round: u64, transaction: &Acknowledged) {
    let hash = transaction.hash;
    let receipt: Option<Value> = node.call("eth_getTransactionReceipt", json!([hash]));
    let receipt = receipt.unwrap_or_else(|| panic!("round {round}: {hash} was acknowledged and is lost"));
    assert_eq!(receipt["blockHash"], transaction.block, "round {round}: {hash} is in another block");
    if let Some((seed, length)) = transaction.input {
        let blob: Option<Bytes> = node.call("da_getBlob", json!([hash]));
        assert_eq!(blob.expect("a blob")[..], noise(seed, length), "round {round}: {hash} has other bytes");
    }
}

fn assert_clean(datadir: &Path) {
    let report = weft_ok(["db", "--datadir", datadir.to_str().expect("utf-8"), "verify", "--quiet"]);
    assert!(report.ends_with("clean\n"), "{report}");
}

/// Loads the node from several accounts, kills it after a while; gives what was acknowledged and the height then.
fn under_load(node: Node, random: &mut StdRng, load: Duration) -> (Vec<Acknowledged>, u64) {
    let dead = AtomicBool::new(false);
    // Opened before anything can be killed.
    let accounts: Vec<(Account, u64)> =
        (0..SENDERS).map(|index| (Account::open(&node, index), random.random())).collect();
    let mut height = 0;
    let acknowledged = thread::scope(|scope| {
        let senders: Vec<_> = accounts
            .into_iter()
            .map(|(account, seed)| {
                let (node, dead) = (&node, &dead);
                scope.spawn(move || send_until_dead(node, account, seed, dead))
            })
            .collect();
        let begun = Instant::now();
        while begun.elapsed() < load {
            height = node.block_number();
        }
        node.signal(libc::SIGKILL);
        dead.store(true, Ordering::Relaxed);
        senders.into_iter().flat_map(|sender| sender.join().expect("a sender")).collect()
    });
    node.kill();
    (acknowledged, height)
}

/// Sends transactions of all sizes, one after the other, until the node does not answer any more.
fn send_until_dead(node: &Node, mut account: Account, seed: u64, dead: &AtomicBool) -> Vec<Acknowledged> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut acknowledged = Vec::new();
    while !dead.load(Ordering::Relaxed) {
        let input = match random.random_range(0..4) {
            0 => None,
            1 => Some((random.random(), random.random_range(4096..10_000))),
            2 => Some((random.random(), 131_072)),
            _ => Some((random.random(), random.random_range(200_000..1_500_000))),
        };
        let data = input.map_or_else(Vec::new, |(seed, length)| noise(seed, length));
        let (hash, raw) = account.sign(account.address(), U256::from(1), data.into());
        if node.try_call::<B256>("eth_sendRawTransaction", json!([raw])).is_err() {
            break;
        }
        while !dead.load(Ordering::Relaxed) {
            match node.try_call::<Option<Value>>("eth_getTransactionReceipt", json!([hash])) {
                Ok(Some(receipt)) => {
                    acknowledged.push(Acknowledged { hash, block: receipt["blockHash"].clone(), input });
                    break;
                }
                Ok(None) => {}
                Err(_) => return acknowledged,
            }
        }
    }
    acknowledged
}
