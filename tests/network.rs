//! A network of real processes on the loopback interface: a node that seals, nodes that follow it, and others that
//! mean them ill.
//!
//! Followers end with the same chain, however often they are killed; peers that are silent, that send garbage or
//! without an end cost the others nothing. The sync test is short by default; `WEFT_SYNC_BLOCKS=10000 WEFT_SYNC_KILLS=20`
//! (`make test-network`) for the long one, and `WEFT_SYNC_SEED` repeats a run.

mod common;

use alloy_primitives::{Address, B256, Bytes, U64, address};
use common::{Account, DEADLINE, Node, Rpc, eventually, folder, noise, weft_command, weft_ok};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Stdio},
    sync::mpsc,
    thread,
};

const SYNC_BLOCKS: u64 = 300;
const SYNC_KILLS: u64 = 4;
/// The first of the dev chain's accounts.
const DEV_ACCOUNT: Address = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

/// A port that was free a moment ago, for a node that others have to find again.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A node that seals and has peers.
fn sealer(datadir: &Path, arguments: &[&str]) -> Node {
    Node::start(datadir, &[&["--p2p", "--p2p.port=0"], arguments].concat())
}

/// A node that follows `sealer` and dials these addresses.
fn follower(datadir: &Path, sealer: &Node, dialled: &[&str]) -> Node {
    member(datadir, &["node"], sealer, dialled)
}

/// A node of any role that believes `sealer` and dials these addresses.
fn member(datadir: &Path, arguments: &[&str], sealer: &Node, dialled: &[&str]) -> Node {
    let (sealers, peers) =
        (format!("--p2p.sealers={}", sealer.peer_id()), format!("--p2p.peers={}", dialled.join(",")));
    let own = ["--http", "--http.port=0", "--metrics=127.0.0.1:0", "--db.min-free=1"];
    let network = ["--p2p.addr=127.0.0.1", "--p2p.port=0", &sealers, &peers];
    Node::launch(weft_command(), datadir, &[arguments, &own, &network].concat())
        .unwrap_or_else(|log| panic!("{arguments:?} did not come up:\n{log}"))
}

fn head(node: &Node) -> Value {
    node.call("eth_getBlockByNumber", json!(["latest", false]))
}

fn block(node: &Node, number: u64) -> Value {
    node.call("eth_getBlockByNumber", json!([U64::from(number), true]))
}

/// The same blocks, each with the same state, and the same records at the head.
fn assert_same_chain(one: &Node, other: &Node, step: usize) {
    let height = one.block_number();
    assert_eq!(head(one), head(other));
    for number in (0..=height).step_by(step) {
        assert_eq!(block(one, number), block(other, number), "block {number}");
    }
    let state = json!([DEV_ACCOUNT, [], "latest"]);
    assert_eq!(one.call::<Value>("eth_getProof", state.clone()), other.call::<Value>("eth_getProof", state));
}

#[test]
fn followers_have_the_same_chain_and_every_blob() {
    let folder = folder();
    let sealer = sealer(&folder.path().join("sealer"), &[]);
    let first = follower(&folder.path().join("first"), &sealer, &[&sealer.network]);
    // The second gets everything through the first.
    let second = follower(&folder.path().join("second"), &sealer, &[&first.network]);
    let mut account = Account::open(&sealer, 0);
    let blobs: Vec<(B256, Vec<u8>)> = [1, 100, 5_000, 131_072, 1_500_000, 3_000_000]
        .into_iter()
        .zip(1..)
        .map(|(length, seed)| {
            let data = noise(seed, length);
            (account.publish(&sealer, data.clone().into()), data)
        })
        .collect();
    for node in [&first, &second] {
        node.follow_to(sealer.block_number());
        assert_same_chain(&sealer, node, 1);
        node.archived();
        for (hash, data) in &blobs[2..] {
            node.assert_blob(*hash, data);
            assert_eq!(node.receipt(*hash), sealer.receipt(*hash));
        }
    }
    for node in [second, first, sealer] {
        node.stop();
    }
}

#[test]
fn a_transaction_that_a_follower_took_is_included() {
    let folder = folder();
    let sealer = sealer(&folder.path().join("sealer"), &[]);
    let first = follower(&folder.path().join("first"), &sealer, &[&sealer.network]);
    let second = follower(&folder.path().join("second"), &sealer, &[&first.network]);
    // One that rides in its announcement, one that is fetched.
    for (node, length) in [(&first, 1_000), (&second, 1_000), (&first, 400_000), (&second, 400_000)] {
        let mut account = Account::open(node, 1);
        let data = noise(length as u64, length);
        let hash = account.publish(node, data.clone().into());
        assert_eq!(sealer.receipt(hash), node.receipt(hash));
        let sealed: Value = sealer.call("eth_getTransactionByHash", json!([hash]));
        assert_eq!(serde_json::from_value::<Bytes>(sealed["input"].clone()).expect("calldata")[..], data);
        for node in [&first, &second] {
            node.follow_to(sealer.block_number());
        }
    }
}

/// Blobs that only the node which sealed them had whole are read from every role when it is gone and all bodies are deleted.
#[test]
fn every_role_gives_every_blob_back_when_the_sealer_and_all_bodies_are_gone() {
    let folder = folder();
    let sealer = sealer(&folder.path().join("sealer"), &[]);
    // Both da nodes keep all columns, which is what retention waits for; a full node's own two reconstruct nothing.
    let give_up: &[&str] = &["node", "--da.retention=1", "--da.custody-count=2"];
    let keep: &[&str] = &["node", "--role=da", "--da.custody-count=11"];
    let roles = [give_up, give_up, give_up, keep, keep, &["light"]];
    let mut nodes: Vec<Node> = Vec::new();
    for (index, role) in roles.into_iter().enumerate() {
        let before = nodes.iter().map(|node| node.network.as_str());
        let dialled: Vec<&str> = std::iter::once(sealer.network.as_str()).chain(before).collect();
        let node = member(&folder.path().join(format!("node-{index}")), role, &sealer, &dialled);
        nodes.push(node);
    }
    for node in nodes.iter().chain([&sealer]) {
        eventually("all connections", || (node.peer_count() == roles.len() as u64).then_some(()));
    }
    let mut account = Account::open(&sealer, 0);
    let blobs: Vec<(B256, Vec<u8>)> = [4_096, 40_000, 131_073, 700_000, 2_500_000]
        .into_iter()
        .zip(1..)
        .map(|(length, seed)| {
            let data = noise(seed, length);
            (account.publish(&sealer, data.clone().into()), data)
        })
        .collect();
    // What a full node has not given up is the newest block's.
    account.publish(&sealer, Bytes::new());
    let height = sealer.block_number();
    for (node, role) in nodes.iter().zip(roles) {
        node.follow_to(height);
        if role == ["light"] {
            // Sampling is all that it has done so far.
            let bytes = node.peak_memory_bytes();
            assert!(bytes < 100_000_000, "a light node took {bytes} bytes");
        }
        for (hash, data) in &blobs {
            eventually("the blob", || node.try_call::<Option<Bytes>>("da_getBlob", json!([hash])).ok()?);
            node.assert_blob(*hash, data);
        }
    }
    for node in &nodes[..3] {
        for (hash, data) in &blobs {
            let large = data.len() >= 32 << 10;
            let body = || node.try_call::<Option<Bytes>>("da_getBlob", json!([hash, { "source": "body" }]));
            if large {
                eventually("the end of a body", || body().is_err().then_some(()));
            } else {
                assert_eq!(body().expect("kept").expect("there")[..], data[..]);
            }
        }
    }
    sealer.kill();
    let gone = nodes.remove(3);
    gone.kill();
    for node in &nodes {
        eventually("the loss of two peers", || (node.peer_count() == 4).then_some(()));
        for (hash, data) in &blobs {
            node.assert_blob(*hash, data);
        }
    }
    for node in nodes {
        node.stop();
    }
}

/// Blocks between two blobs of a long chain.
const BLOB_EVERY: usize = 10;

/// A blob by its transaction, with the seed and the length of its bytes.
struct Blob {
    hash: B256,
    seed: u64,
    length: usize,
}

/// Leaves a chain of so many blocks with blobs in it behind.
fn a_long_chain(datadir: &Path, blocks: u64) -> Vec<Blob> {
    let node = sealer(datadir, &["--dev.block-time=1ms"]);
    let mut account = Account::open(&node, 0);
    let publish = |seed: u64| {
        node.follow_to(seed);
        let length = 4_096 + 30_000 * (seed as usize / BLOB_EVERY % 8);
        Blob { hash: account.publish(&node, noise(seed, length).into()), seed, length }
    };
    let blobs = (0..blocks).step_by(BLOB_EVERY).map(publish).collect();
    node.follow_to(blocks);
    node.stop();
    blobs
}

#[test]
fn a_follower_that_is_killed_again_and_again_ends_at_the_same_head() {
    let blocks = setting("WEFT_SYNC_BLOCKS").unwrap_or(SYNC_BLOCKS);
    let kills = setting("WEFT_SYNC_KILLS").unwrap_or(SYNC_KILLS);
    let seed = setting("WEFT_SYNC_SEED").unwrap_or_else(rand::random);
    println!("{blocks} blocks, {kills} kills, WEFT_SYNC_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let folder = folder();
    let source = folder.path().join("sealer");
    let blobs = a_long_chain(&source, blocks);
    // Without an interval it seals nothing of itself: the head stays where it is.
    let sealer = sealer(&source, &[]);
    let height = sealer.block_number();
    let datadir = folder.path().join("follower");
    let (mut reached, mut interrupted) = (0, 0);
    for kill in 0..kills {
        let node = follower(&datadir, &sealer, &[&sealer.network]);
        let begun = node.block_number();
        assert!(begun >= reached, "it had shown block {reached} and is at {begun}");
        // Somewhere in this round's share of the way; 0 dies at its start.
        let share = height / kills;
        node.follow_to((kill * share + random.random_range(0..=share)).max(begun).min(height));
        reached = node.block_number();
        node.kill();
        interrupted += u64::from(reached < height);
        println!("kill {kill}: from {begun} to {reached} of {height}");
    }
    let node = follower(&datadir, &sealer, &[&sealer.network]);
    node.follow_to(height);
    assert_same_chain(&sealer, &node, usize::try_from(height / 100 + 1).expect("small"));
    for Blob { hash, seed, length } in blobs.iter().rev().step_by(blobs.len() / 20 + 1) {
        node.assert_blob(*hash, &noise(*seed, *length));
    }
    node.archived();
    node.stop();
    let report = weft_ok(["db", "--datadir", datadir.to_str().expect("utf-8"), "verify", "--quiet"]);
    assert!(report.ends_with("clean\n"), "{report}");
    println!("{interrupted} of {kills} kills were before the head");
}

#[test]
fn whoever_was_away_catches_up() {
    let folder = folder();
    let (source, datadir) = (folder.path().join("sealer"), folder.path().join("follower"));
    let port = format!("--p2p.port={}", free_port());
    let node = sealer(&source, &[&port]);
    let (id, address) = (node.peer_id().to_owned(), node.network.clone());
    let mut account = Account::open(&node, 0);
    let away = follower(&datadir, &node, &[&address]);
    account.publish(&node, noise(1, 50_000).into());
    away.follow_to(1);
    // The follower is killed, the chain goes on.
    away.kill();
    let data = noise(2, 700_000);
    let hash = account.publish(&node, data.clone().into());
    let back = follower(&datadir, &node, &[&address]);
    back.follow_to(2);
    back.assert_blob(hash, &data);
    // The sealer is killed and comes back as the same peer.
    node.kill();
    eventually("the loss of the only peer", || (back.peer_count() == 0).then_some(()));
    let node = sealer(&source, &[&port]);
    assert_eq!((node.peer_id(), &node.network), (id.as_str(), &address));
    let hash = account.publish(&node, data.clone().into());
    back.follow_to(3);
    back.assert_blob(hash, &data);
    assert_same_chain(&node, &back, 1);
}

/// What an ill-meaning peer sends as soon as it is connected.
fn attacks() -> Vec<(&'static str, Vec<u8>)> {
    // Both sides of libp2p begin with this line, its length before it.
    let hello = b"\x13/multistream/1.0.0\n".to_vec();
    let noise_line = b"\x07/noise\n".to_vec();
    let after = |parts: &[&[u8]]| [&hello[..], &parts.concat()].concat();
    vec![
        ("garbage", noise(1, 1 << 20)),
        ("zeros", vec![0; 1 << 20]),
        ("a line whose length is 2^63", after(&[&[0xff; 8], &[0x7f]])),
        ("a line that never ends", after(&[&[0xff, 0xff, 0x01], &noise(2, 4 << 20)])),
        ("protocols without end", after(&[&b"\x07/hello\n".repeat(1 << 17)])),
        ("an empty handshake", after(&[&noise_line, &[0, 0]])),
        ("a handshake of noise", after(&[&noise_line, &[0xff, 0xff], &noise(3, 0xffff)])),
        ("handshakes without end", after(&[&noise_line, &[0x00, 0x20].repeat(1 << 20)])),
        ("http", b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n".to_vec()),
    ]
}

/// Sends all that the node takes, then reads to the end that the node makes. Gives what it took.
fn attack(address: &str, bytes: &[u8]) -> usize {
    let mut stream = TcpStream::connect(address).expect("connects");
    stream.set_write_timeout(Some(DEADLINE)).expect("a timeout");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let mut taken = 0;
    while taken < bytes.len() {
        match stream.write(&bytes[taken..]) {
            Ok(count) => taken += count,
            Err(error) => {
                assert_ne!(error.kind(), ErrorKind::WouldBlock, "neither read nor closed in {DEADLINE:?}");
                break;
            }
        }
    }
    let mut answer = Vec::new();
    match stream.take(1 << 20).read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_ne!(error.kind(), ErrorKind::WouldBlock, "still open after {DEADLINE:?}"),
    }
    assert!(answer.len() < 1 << 20, "it answered without an end");
    taken
}

/// `ip:port` of a multiaddress.
fn socket(multiaddress: &str) -> String {
    let parts: Vec<&str> = multiaddress.split('/').collect();
    format!("{}:{}", parts[2], parts[4])
}

#[test]
fn ill_meaning_peers_are_sent_away_and_the_others_stay() {
    let folder = folder();
    // Accepts, and never says a word.
    let mute = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let mute_id = weft_ok(["identity", "--datadir", folder.path().join("mute").to_str().expect("utf-8")]);
    let mute_address =
        format!("/ip4/127.0.0.1/tcp/{}/p2p/{}", mute.local_addr().expect("bound").port(), mute_id.trim());
    let node = sealer(&folder.path().join("sealer"), &[&format!("--p2p.peers={mute_address}")]);
    let first = follower(&folder.path().join("first"), &node, &[&node.network, &mute_address]);
    let mut account = Account::open(&node, 0);
    account.publish(&node, noise(1, 100_000).into());
    first.follow_to(1);

    let address = socket(&node.network);
    // These connect and say nothing.
    let silent: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(&address).expect("connects")).collect();
    thread::scope(|scope| {
        let attackers: Vec<_> = attacks()
            .into_iter()
            .map(|(name, bytes)| {
                (
                    name,
                    scope.spawn({
                        let address = &address;
                        move || attack(address, &bytes)
                    }),
                )
            })
            .collect();
        // Meanwhile the network goes on.
        for seed in 2..8 {
            let data = noise(seed, 300_000);
            let hash = account.publish(&node, data.clone().into());
            first.follow_to(seed);
            first.assert_blob(hash, &data);
        }
        for (name, attacker) in attackers {
            let taken = attacker.join().unwrap_or_else(|_| panic!("{name}"));
            println!("{name}: {taken} bytes were taken");
        }
    });
    for mut stream in silent {
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        // The node's first line may come before the end.
        let mut answer = Vec::new();
        if let Err(error) = stream.read_to_end(&mut answer) {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "a silent peer is kept");
        }
    }
    for node in [&node, &first] {
        assert_eq!(node.peer_count(), 1, "the honest one, and nobody else");
        let peers: Value = node.call("da_peers", json!([]));
        assert_eq!(peers["peers"][0]["score"].as_f64(), Some(0.0), "{peers:#}");
    }
    account.publish(&node, noise(9, 300_000).into());
    first.follow_to(8);
    first.stop();
    node.stop();
    drop(mute);
}

#[test]
fn a_peer_that_stands_still_holds_nobody_up() {
    let folder = folder();
    let node = sealer(&folder.path().join("sealer"), &[]);
    let first = follower(&folder.path().join("first"), &node, &[&node.network]);
    let still = follower(&folder.path().join("still"), &node, &[&node.network, &first.network]);
    for node in [&node, &first] {
        eventually("two peers", || (node.peer_count() == 2).then_some(()));
    }
    let mut account = Account::open(&node, 0);
    // Its connections stay open, and nobody reads them or answers.
    still.signal(libc::SIGSTOP);
    let blobs: Vec<(B256, Vec<u8>)> = (1..=12)
        .map(|seed| {
            let data = noise(seed, 1_000_000);
            (account.publish(&node, data.clone().into()), data)
        })
        .collect();
    first.follow_to(node.block_number());
    // One that begins now has the silent peer to choose from as well.
    let late = follower(&folder.path().join("late"), &node, &[&first.network, &still.network]);
    late.follow_to(node.block_number());
    still.signal(libc::SIGCONT);
    still.follow_to(node.block_number());
    for (hash, data) in &blobs {
        for node in [&first, &late, &still] {
            node.assert_blob(*hash, data);
        }
    }
}

/// A running `weft devnet`, killed when dropped.
struct Devnet {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Devnet {
    fn start(arguments: &[&str]) -> Self {
        let mut child = weft_command()
            .arg("devnet")
            .args(arguments)
            .args(["--", "--db.min-free=1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let (sender, lines) = mpsc::channel();
        let stdout = child.stdout.take().expect("piped");
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    /// All lines up to the one that begins so.
    fn until(&self, beginning: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self
                .lines
                .recv_timeout(DEADLINE)
                .unwrap_or_else(|_| panic!("no `{beginning}` after {lines:#?}"));
            lines.push(line);
            if lines.last().is_some_and(|line| line.starts_with(beginning)) {
                return lines;
            }
        }
    }

    fn signal(&self, signal: i32) {
        let pid = libc::pid_t::try_from(self.child.id()).expect("a process id");
        // SAFETY: the child has not been waited for, so that its id is still its own.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    /// Process ids of its nodes, in the order of their start.
    fn nodes(&self) -> Vec<u32> {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("children");
        children.split_whitespace().map(|pid| pid.parse().expect("a process id")).collect()
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The table's rows: name, role, JSON-RPC address.
fn rows(lines: &[String]) -> Vec<(String, String, String)> {
    let table = lines.iter().skip_while(|line| !line.starts_with("node ")).skip(1);
    let rows = table.take_while(|line| line.contains("http://127.0.0.1:") && !line.starts_with("try"));
    rows.map(|line| {
        let mut words = line.split_whitespace().map(str::to_owned);
        let mut word = || words.next().expect("a word");
        (word(), word(), word())
    })
    .collect()
}

#[test]
fn devnet_is_a_network_by_one_command_and_ends_by_one_signal() {
    let mut devnet = Devnet::start(&["--nodes", "2", "--da", "1", "--light", "1"]);
    let lines = devnet.until("ready");
    let rows = rows(&lines);
    let names: Vec<&str> = rows.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["sealer", "full-1", "da-1", "light-1"], "{lines:#?}");
    let nodes: Vec<Rpc> = rows.iter().map(|(.., url)| Rpc::new(url)).collect();
    for node in &nodes {
        assert_eq!(node.call::<U64>("net_peerCount", json!([])), U64::from(3), "ready is said when all are");
    }
    let transaction =
        json!({ "from": DEV_ACCOUNT, "to": DEV_ACCOUNT, "input": Bytes::from(noise(1, 100_000)) });
    let hash: B256 = nodes[0].call("eth_sendTransaction", json!([transaction]));
    for node in &nodes {
        let blob = || node.try_call::<Option<Bytes>>("da_getBlob", json!([hash])).ok()?;
        assert!(eventually("the blob", blob)[..] == noise(1, 100_000));
    }
    let folder =
        lines.iter().find_map(|line| line.strip_prefix("logs: ")?.strip_suffix("/*.log")).expect("logs");
    assert!(Path::new(folder).join("full-1.log").exists());

    devnet.signal(libc::SIGINT);
    devnet.until("stopped");
    assert!(devnet.child.wait().expect("a child").success());
    assert!(!Path::new(folder).exists(), "{folder} was temporary");
    for (.., url) in &rows {
        assert!(TcpStream::connect(url.trim_start_matches("http://")).is_err(), "{url} still answers");
    }
}

#[test]
fn devnet_keeps_a_folder_that_was_asked_for() {
    let folder = folder();
    let path = folder.path().join("net");
    let arguments = ["--nodes", "2", "--datadir", path.to_str().expect("utf-8")];
    let mut devnet = Devnet::start(&arguments);
    let first = rows(&devnet.until("ready"));
    let nodes: Vec<Rpc> = first.iter().map(|(.., url)| Rpc::new(url)).collect();
    let transaction = json!({ "from": DEV_ACCOUNT, "to": DEV_ACCOUNT, "value": "0x1" });
    let hash: B256 = nodes[0].call("eth_sendTransaction", json!([transaction]));
    eventually("the receipt", || nodes[1].call::<Option<Value>>("eth_getTransactionReceipt", json!([hash])));
    devnet.signal(libc::SIGTERM);
    assert!(devnet.child.wait().expect("a child").success());

    let devnet = Devnet::start(&arguments);
    for (.., url) in rows(&devnet.until("ready")) {
        let receipt: Option<Value> = Rpc::new(&url).call("eth_getTransactionReceipt", json!([hash]));
        assert!(receipt.is_some(), "the chain went on where it was");
    }
}

#[test]
fn devnet_says_who_died_and_of_what() {
    let mut devnet = Devnet::start(&["--nodes", "3"]);
    devnet.until("ready");
    let nodes = devnet.nodes();
    assert_eq!(nodes.len(), 3);
    // SAFETY: the process is a child of our child, which has not waited for it.
    assert_eq!(unsafe { libc::kill(nodes[1].try_into().expect("a process id"), libc::SIGKILL) }, 0);
    let mut error = String::new();
    devnet.child.stderr.take().expect("piped").read_to_string(&mut error).expect("text");
    assert!(!devnet.child.wait().expect("a child").success());
    assert!(error.contains("full-1 ended with signal: 9") && error.contains("network started"), "{error}");
    let kept = error.lines().find_map(|line| line.strip_prefix("kept: ")).expect("a folder");
    assert!(Path::new(kept).join("full-1.log").exists());
    fs::remove_dir_all(kept).expect("removed");
}

#[test]
fn nodes_of_a_devnet_that_was_killed_stop() {
    let devnet = Devnet::start(&["--nodes", "2"]);
    let lines = devnet.until("ready");
    devnet.signal(libc::SIGKILL);
    for (.., url) in rows(&lines) {
        let address = url.trim_start_matches("http://").to_owned();
        eventually("the end of a node", || TcpStream::connect(&address).is_err().then_some(()));
    }
    let folder =
        lines.iter().find_map(|line| line.strip_prefix("logs: ")?.strip_suffix("/*.log")).expect("logs");
    fs::remove_dir_all(folder).expect("removed");
}
