//! The node is killed with SIGKILL at random moments under load, again and again.
//!
//! After every restart the chain goes on, every transaction whose receipt was ever seen is there, and `weft db verify`
//! finds nothing: records, roots, every blob against its header, and the state root derived from leaves alone. While it puts
//! checkpoints and blobs on Arweave, all of them get there, and nothing is paid that the ledger does not know or paid twice. A
//! short run by default; `WEFT_CRASH_ROUNDS=100` (`make test-crash`) for the long one. `WEFT_CRASH_SEED` repeats a run.

mod common;

use alloy_primitives::{B256, Bytes, U256};
use common::{Account, DEADLINE, Node, folder, http, noise, text, wallet, weft_ok};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
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

/// How many rounds, the seed, and what it makes.
fn run() -> (u64, u64, StdRng) {
    let rounds = setting("WEFT_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let seed = setting("WEFT_CRASH_SEED").unwrap_or_else(rand::random);
    println!("{rounds} rounds, WEFT_CRASH_SEED={seed}");
    (rounds, seed, StdRng::seed_from_u64(seed))
}

/// A transaction whose receipt was seen: it may never be lost again.
#[derive(Clone)]
struct Acknowledged {
    hash: B256,
    block: Value,
    input: Option<(u64, usize)>,
}

/// Winston that the node's gateway gives to a wallet without.
const GIFT: u128 = 1_000_000_000_000_000;

#[test]
fn what_is_on_its_way_to_arweave_gets_there_once_however_the_node_dies() {
    let (rounds, _, mut random) = run();
    let folder = folder();
    let datadir = folder.path().join("data");
    let (wallet, owner) = wallet(folder.path());
    let arguments = [
        "--arweave.embedded=127.0.0.1:0",
        "--checkpoint.interval=4",
        "--checkpoint.full-every=3",
        "--arweave.wallet",
        text(&wallet),
    ];
    let mut wanted: BTreeMap<B256, Vec<u8>> = BTreeMap::new();
    for round in 0..rounds {
        let node = Node::start(&datadir, &arguments);
        let load = Duration::from_millis(random.random_range(0..3 * LOAD_MS_MAX));
        let (mut account, begun) = (Account::open(&node, 0), Instant::now());
        while begun.elapsed() < load {
            let content = noise(random.random(), random.random_range(5000..60_000));
            let hash = account.publish(&node, content.clone().into());
            // Its uploads may not have begun; then nothing was promised.
            if node.try_call::<Value>("da_requestPermanence", json!([hash])).is_ok() {
                wanted.insert(hash, content);
            }
        }
        println!("round {round}: killed after {load:?} at block {}", node.block_number());
        node.kill();
    }
    let node = Node::start(&datadir, &arguments);
    assert!(!wanted.is_empty(), "nothing was asked for");
    let booked = everything_arrives(&node, wanted.keys());
    for (hash, content) in &wanted {
        let archived: Bytes = node.call("da_getBlob", json!([hash, { "source": "archive" }]));
        assert_eq!(archived[..], content[..], "{hash}");
    }
    everything_is_there_once(&node, &owner, booked, wanted.keys().copied().collect());
    node.stop();
    assert_clean(&datadir);
}

/// Waits until all of it is read back, for as long as it gets forward; gives the winston that the ledger booked.
fn everything_arrives<'a>(node: &Node, wanted: impl Iterator<Item = &'a B256>) -> U256 {
    let (mut seen, mut missing) = (Value::Null, wanted.collect::<Vec<_>>());
    let mut since = Instant::now();
    loop {
        let status: Value = node.call("da_status", json!([]));
        let permanence = &status["permanence"];
        let mut states = Vec::new();
        missing.retain(|hash| {
            let asked = node.try_call::<Value>("da_requestPermanence", json!([hash])).unwrap_or_default();
            states.push(asked["item"].clone());
            asked["item"]["state"] != "verified"
        });
        let (checkpoints, ledger) = (&permanence["checkpoints"], &permanence["ledger"]);
        if missing.is_empty() && checkpoints["lagBytes"] == "0x0" && ledger["openShipments"] == "0x0" {
            return serde_json::from_value(ledger["spent"].clone()).expect("winston");
        }
        if *permanence != seen {
            (seen, since) = (permanence.clone(), Instant::now());
        }
        assert!(
            since.elapsed() < DEADLINE,
            "stuck: {missing:?}, of which {states:#?}, in {seen:#}\n{}",
            node.log()
        );
    }
}

fn everything_is_there_once(node: &Node, owner: &str, booked: U256, mut wanted: Vec<B256>) {
    // All checkpoints, each on top of the one before, each read back; the newest is verified from what Arweave has.
    let listed: Vec<Value> = node.call("da_checkpoints", json!([{ "limit": "0x64" }]));
    assert!(listed.iter().all(|checkpoint| checkpoint["archived"] == true), "{listed:#?}");
    for pair in listed.windows(2) {
        assert_eq!(pair[0]["parent"], pair[1]["manifest"]["id"], "a checkpoint was skipped");
    }
    let gateway = node.gateway();
    weft_ok(["checkpoint", "verify", "--from", &gateway, "--owner", owner, "--quiet"]);
    // What left the wallet is what the ledger booked.
    let (_, balance) = http(&gateway, "GET", &format!("/wallet/{owner}/balance"), "");
    assert_eq!(U256::from(GIFT) - balance.trim().parse::<U256>().expect("winston"), booked);
    // And each blob is there once.
    let mut found: Vec<B256> = tags_on_arweave(&gateway, owner, "blob", "Weft-Transaction");
    found.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
}

/// The values of a tag in all items of a kind that `owner` signed.
fn tags_on_arweave(gateway: &str, owner: &str, kind: &str, tag: &str) -> Vec<B256> {
    let query = "query($owner: String!, $kind: String!, $after: String) { transactions(first: 100, after: $after, owners: [$owner], \
         tags: [{ name: \"Weft-Kind\", values: [$kind] }]) { pageInfo { hasNextPage } edges { cursor node { tags { name value } } } } }";
    let (mut values, mut after) = (Vec::new(), String::new());
    loop {
        let body = json!({ "query": query, "variables": { "owner": owner, "kind": kind, "after": after } });
        let (status, answer) = http(gateway, "POST", "/graphql", &body.to_string());
        let answer: Value =
            serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{status} {answer}: {error}"));
        let transactions = &answer["data"]["transactions"];
        let edges = transactions["edges"].as_array().unwrap_or_else(|| panic!("{answer}"));
        for edge in edges {
            let tags = edge["node"]["tags"].as_array().expect("tags");
            let value = tags.iter().find(|found| found["name"] == tag).expect("the tag");
            values.push(serde_json::from_value(value["value"].clone()).expect("a hash"));
        }
        match edges.last() {
            Some(last) if transactions["pageInfo"]["hasNextPage"] == true => {
                after = last["cursor"].as_str().expect("a cursor").to_owned();
            }
            _ => return values,
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_however_the_node_dies() {
    let (rounds, seed, mut random) = run();
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
