//! The disaster: all data folders are gone, and a node is rebuilt from Arweave or from a folder of checkpoints alone.
//!
//! Real processes throughout. Arweave is the gateway that the node has inside; after the node and its folder are gone, `weft gateway`
//! serves what it left.

mod common;

use alloy_primitives::{Address, B256, Bytes, U64, U256};
use common::{
    Account, DEADLINE, Node, eventually, folder, noise, text, wallet, weft, weft_command, weft_err, weft_ok,
};
use serde_json::{Value, json};
use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

/// Stores 42 in slot 7 and returns one byte of code, 0x42.
const CONTRACT: &str = "0x602a60075560426000526001601ff3";
/// Accounts that receive something.
const RECIPIENTS: u8 = 20;

/// A chain with a contract, accounts and blobs, and what is to be found again of it.
struct Chain {
    contract: Address,
    blobs: Vec<(B256, Vec<u8>)>,
}

impl Chain {
    fn make(node: &Node, seed: u64) -> Self {
        let mut account = Account::open(node, 0);
        let data = json!([{ "from": account.address(), "data": CONTRACT }]);
        let created: B256 = node.call("eth_sendTransaction", data);
        let contract =
            serde_json::from_value(node.receipt(created)["contractAddress"].clone()).expect("an address");
        account.nonce += 1;
        for recipient in 1..=RECIPIENTS {
            let to = Address::repeat_byte(recipient);
            let (hash, raw) = account.sign(to, U256::from(1000 + u64::from(recipient)), Bytes::new());
            let _: B256 = node.call("eth_sendRawTransaction", json!([raw]));
            node.receipt(hash);
        }
        let blobs = (0..3)
            .map(|index| {
                let content = noise(seed + index, 40_000 + 9_000 * index as usize);
                (account.publish(node, content.clone().into()), content)
            })
            .collect();
        Self { contract, blobs }
    }

    /// What a node says of the state after a block, and of all commitments up to it.
    fn facts(&self, node: &Node, block: u64) -> Value {
        let at = U64::from(block);
        let balances: Vec<U256> = (1..=RECIPIENTS)
            .map(|byte| node.call("eth_getBalance", json!([Address::repeat_byte(byte), at])))
            .collect();
        let commitments: Vec<Value> =
            (0..=block).map(|number| node.call("da_commitment", json!([U64::from(number)]))).collect();
        assert!(commitments.iter().any(|commitment| !commitment.is_null()), "no blob in the chain");
        json!({
            "balances": balances,
            "code": node.call::<Bytes>("eth_getCode", json!([self.contract, at])),
            "slot": node.call::<B256>("eth_getStorageAt", json!([self.contract, "0x7", at])),
            "proof": node.call::<Value>("eth_getProof", json!([self.contract, ["0x7"], at])),
            "commitments": commitments,
        })
    }
}

/// `weft gateway` over a folder. Killed when dropped.
struct Gateway {
    child: Child,
    url: String,
}

impl Gateway {
    fn start(folder: &Path) -> Self {
        let mut child = weft_command()
            .arg("gateway")
            .arg(folder)
            .args(["--address", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let stdout = child.stdout.take().expect("piped");
        let (sender, url) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(stdout).read_line(&mut line);
            let _ = sender.send(line.trim().to_owned());
        });
        let url = url.recv_timeout(DEADLINE).expect("its address");
        assert!(url.starts_with("http://"), "`{url}`");
        Self { child, url }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Has the node make a checkpoint and waits until it is on Arweave, read back; gives its block.
fn archived_checkpoint(node: &Node) -> u64 {
    let id = weft_ok(["checkpoint", "now", "--rpc", &node.rpc]).trim().to_owned();
    eventually("the checkpoint on Arweave", || {
        let known: Value = node.call("da_checkpoints", json!([{}]));
        let known = known.as_array().expect("a list").iter().find(|known| known["manifest"]["id"] == *id)?;
        let block: U64 = serde_json::from_value(known["blockNumber"].clone()).expect("a number");
        (known["archived"] == true).then(|| block.to::<u64>())
    })
}

/// Sends a blob, and reads it back: the chain goes on.
fn goes_on(node: &Node, above: u64) {
    let content = noise(99, 30_000);
    let hash = Account::open(node, 1).publish(node, content.clone().into());
    assert!(node.block_number() > above);
    assert_eq!(node.call::<Bytes>("da_getBlob", json!([hash]))[..], content);
}

/// Passes a gateway's bytes on, and tells when so many have passed. Its threads end with the connections.
fn toll(gateway: &Gateway, bytes: u64) -> (String, mpsc::Receiver<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let authority = gateway.url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let (paid, told) = mpsc::channel();
    let left = Arc::new(AtomicU64::new(bytes));
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let gateway = TcpStream::connect(&authority).expect("the gateway");
            let (mut there, mut back) = (client.try_clone().expect("a socket"), client);
            let (mut to, mut from) = (gateway.try_clone().expect("a socket"), gateway);
            thread::spawn(move || io::copy(&mut there, &mut to));
            let (left, paid) = (Arc::clone(&left), paid.clone());
            thread::spawn(move || {
                let mut buffer = [0; 512];
                while let Ok(read @ 1..) = from.read(&mut buffer) {
                    let before =
                        left.fetch_update(Relaxed, Relaxed, |left| Some(left.saturating_sub(read as u64)));
                    if before.is_ok_and(|before| before <= read as u64) {
                        let _ = paid.send(());
                        // What follows waits for its receiver's end.
                        return io::copy(&mut back, &mut io::sink()).map(drop);
                    }
                    back.write_all(&buffer[..read])?;
                }
                back.shutdown(Shutdown::Both)
            });
        }
    });
    (url, told)
}

/// SIGKILL once a restore has got so many bytes; `false` when it came through before.
fn kill_restore_after(bytes: u64, gateway: &Gateway, arguments: &[&str]) -> bool {
    let (url, told) = toll(gateway, bytes);
    let mut restore = weft_command()
        .args(["restore", "--from", &url])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("runs");
    let killed = eventually("the restore's end, or its toll", || {
        if told.recv_timeout(Duration::from_millis(10)).is_ok() {
            return Some(true);
        }
        let ended = restore.try_wait().expect("a child")?;
        assert!(ended.success(), "{ended}");
        Some(false)
    });
    let _ = restore.kill();
    restore.wait().expect("a child");
    killed
}

/// Kills after more and more bytes, each restore going on where the last one was, until one comes through. What is there in
/// between is no database, or a whole one that lacks its index only. Leaves another one that was killed halfway.
fn kill_while_it_restores(gateway: &Gateway, arguments: &[&str], datadir: &Path) {
    let (mut bytes, mut killed) = (256, 0);
    while kill_restore_after(bytes, gateway, arguments) {
        (bytes, killed) = (2 * bytes, killed + 1);
        if datadir.join("db").exists() {
            let verified = weft(["db", "--datadir", text(datadir), "verify"]);
            let told = String::from_utf8_lossy(&[verified.stdout, verified.stderr].concat()).into_owned();
            match verified.status.success() {
                true => assert!(told.contains("clean"), "{told}"),
                false => {
                    assert!(told.contains("unfinished restore") || told.contains("no database"), "{told}")
                }
            }
        }
    }
    assert!(killed >= 3, "killed only {killed} times");
    fs::remove_dir_all(datadir).expect("remove");
    assert!(kill_restore_after(bytes / 4, gateway, arguments));
}

#[test]
fn a_node_is_rebuilt_from_arweave_alone() {
    let folder = folder();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let (wallet, owner) = wallet(folder.path());
    let node = Node::start(&first, &["--arweave.embedded=127.0.0.1:0", "--arweave.wallet", text(&wallet)]);
    let chain = Chain::make(&node, 100);
    // Two checkpoints, the second on top of the first.
    archived_checkpoint(&node);
    let (file, content) = (folder.path().join("file"), noise(7, 70_000));
    fs::write(&file, &content).expect("write");
    // Several parts and their index, all of it permanent.
    let put =
        ["blob", "put", text(&file), "--part-size", "32KiB", "--permanent", "--quiet", "--rpc", &node.rpc];
    let handle = weft_ok(put).trim().to_owned();
    let block = archived_checkpoint(&node);
    let hash: B256 = serde_json::from_value(
        node.call::<Value>("eth_getBlockByNumber", json!([U64::from(block), false]))["hash"].clone(),
    )
    .expect("a hash");
    let facts = chain.facts(&node, block);
    assert!(weft_ok(["checkpoint", "list", "--rpc", &node.rpc]).contains("archived"));
    node.stop();
    let kept = folder.path().join("kept");
    weft_ok(["checkpoint", "export", text(&kept), "--quiet", "--datadir", text(&first)]);

    // Of all that there was, Arweave is left.
    let weave = folder.path().join("weave");
    fs::rename(first.join("arweave/gateway"), &weave).expect("the gateway's folder");
    fs::remove_dir_all(&first).expect("remove");
    let gateway = Gateway::start(&weave);
    let from = ["--from", &gateway.url, "--owner", &owner, "--quiet"];
    assert!(weft_ok([&["checkpoint", "verify"], &from[..]].concat()).contains(&hash.to_string()));
    assert!(
        weft_ok(["checkpoint", "list", "--from", &gateway.url, "--owner", &owner])
            .contains(&hash.to_string())
    );

    let into = ["--datadir", text(&second)];
    let stranger = B256::repeat_byte(9).to_string();
    let error = weft_err([&["restore", "--trust-block", &stranger], &from[..], &into].concat());
    assert!(error.contains("no such checkpoint"), "{error}");
    let trusted = hash.to_string();
    kill_while_it_restores(&gateway, &[&from[2..], &["--trust-block", &trusted], &into].concat(), &second);
    let told = weft_ok([&["restore", "--latest", "--trust-block", &trusted], &from[..], &into].concat());
    assert!(told.contains(&format!("block {block} {hash}")) && told.contains("4 permanent blobs"), "{told}");

    let arguments = ["--arweave.gateway", &gateway.url, "--arweave.wallet", text(&wallet)];
    let node = Node::start(&second, &arguments);
    // The restored head has no body; the first block on top of it has, and comes at once, for wallets to ask for.
    eventually("a block on top of the restored one", || (node.block_number() == block + 1).then_some(()));
    assert_eq!(
        node.call::<Value>("eth_getBlockByNumber", json!(["latest", true]))["parentHash"],
        json!(hash)
    );
    node.call::<Value>("eth_feeHistory", json!(["0xa", "latest", [20.0]]));
    assert_eq!(chain.facts(&node, block), facts);
    assert!(node.try_call::<Bytes>("da_getBlob", json!([handle, { "source": "archive" }])).is_ok());
    let copy = folder.path().join("copy");
    weft_ok(["blob", "get", &handle, "-o", text(&copy), "--quiet", "--rpc", &node.rpc]);
    assert_eq!(fs::read(copy).expect("read"), content);
    // What nobody bought permanence for is not there any more, and no other bytes in its place.
    for (hash, _) in &chain.blobs {
        assert!(!matches!(node.try_call::<Option<Bytes>>("da_getBlob", json!([hash])), Ok(Some(_))));
    }
    goes_on(&node, block);
    node.stop();
    assert!(weft_ok(["db", "--datadir", text(&second), "verify", "--quiet"]).contains("clean"));

    // A database from a folder knows nothing of Arweave: the node reads back what is its wallet's there.
    let third = folder.path().join("third");
    weft_ok(["checkpoint", "import", text(&kept), "--quiet", "--datadir", text(&third)]);
    let node = Node::start(&third, &arguments);
    eventually("the index", || {
        let known: Value = node.call("da_checkpoints", json!([{}]));
        known.as_array()?.iter().any(|known| known["blockHash"] == trusted).then_some(())
    });
    node.stop();
}

#[test]
fn a_folder_of_checkpoints_is_a_database_again_at_each_of_its_blocks() {
    let folder = folder();
    let (first, kept) = (folder.path().join("first"), folder.path().join("kept"));
    let off = ["--arweave.embedded=off"];
    let node = Node::start(&first, &off);
    let chain = Chain::make(&node, 200);
    let block = node.block_number();
    let facts = chain.facts(&node, block);
    node.stop();
    let export = ["checkpoint", "export", text(&kept), "--quiet", "--datadir", text(&first)];
    let error = weft_err([&export[..], &["--diff"]].concat());
    assert!(error.contains("export a full one first"), "{error}");
    let full = weft_ok(export).trim().to_owned();
    assert_eq!(weft_ok(export).trim(), full, "the same state is the same items");
    let node = Node::start(&first, &off);
    goes_on(&node, block);
    let (later, later_facts) = (node.block_number(), chain.facts(&node, node.block_number()));
    node.stop();
    weft_ok([&export[..], &["--diff"]].concat());
    let listed = weft_ok(["checkpoint", "list", "--from", text(&kept)]);
    assert!(
        listed.lines().count() == 2 && listed.contains(" diff ") && listed.contains(" full "),
        "{listed}"
    );
    let verify = ["checkpoint", "verify", "--from", text(&kept), "--quiet"];
    assert!(weft_ok(verify).contains("in 2 layers"));

    for (name, which, block, facts) in
        [("older", &["--manifest", &full][..], block, facts), ("newest", &[][..], later, later_facts)]
    {
        let datadir = folder.path().join(name);
        let import = ["checkpoint", "import", text(&kept), "--quiet", "--datadir", text(&datadir)];
        weft_ok([&import[..], which].concat());
        let node = Node::start(&datadir, &off);
        eventually("a block on top", || (node.block_number() == block + 1).then_some(()));
        assert_eq!(chain.facts(&node, block), facts, "{name}");
        goes_on(&node, block);
        node.stop();
        assert!(weft_ok(["db", "--datadir", text(&datadir), "verify", "--quiet"]).contains("clean"));
    }
    fs::remove_dir_all(&first).expect("remove");
    damage_is_found(folder.path(), &kept, &verify);
}

/// Every altered item is refused; an import that failed is refused as a database, and goes on when it is repeated.
fn damage_is_found(folder: &Path, kept: &Path, verify: &[&str]) {
    let items: Vec<PathBuf> = fs::read_dir(kept.join("items"))
        .expect("items")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert!(items.len() >= 5, "{items:?}");
    for (index, item) in items.iter().enumerate() {
        let datadir = folder.join(format!("damaged-{index}"));
        let import = ["checkpoint", "import", text(kept), "--quiet", "--datadir", text(&datadir)];
        let whole = fs::read(item).expect("read");
        let mut altered = whole.clone();
        let middle = altered.len() / 2;
        altered[middle] ^= 1;
        fs::write(item, altered).expect("write");
        for command in [verify, &import] {
            let error = weft_err(command);
            assert!(error.contains("was altered"), "{error}");
        }
        let error = weft_err(["db", "--datadir", text(&datadir), "verify"]);
        assert!(error.contains("unfinished restore"), "{error}");
        fs::write(item, whole).expect("write");
        weft_ok(import);
        let error = weft_err(import);
        assert!(error.contains("not restored"), "{error}");
    }
}

#[test]
fn wallets_are_kept_to_their_owner() {
    let folder = folder();
    let (plain, address) = wallet(folder.path());
    let mode = |file: &Path| fs::metadata(file).expect("metadata").permissions().mode() & 0o777;
    assert_eq!(mode(&plain), 0o600);
    assert_eq!(weft_ok(["wallet", "address", text(&plain)]).trim(), address);
    let error = weft_err(["wallet", "new", text(&plain)]);
    assert!(error.contains("never overwritten"), "{error}");

    let (sealed, phrase) = (folder.path().join("sealed.json"), folder.path().join("phrase"));
    fs::write(&phrase, "correct horse\n").expect("write");
    let with = ["--passphrase-file", text(&phrase)];
    weft_ok([&["wallet", "import", text(&plain), text(&sealed)], &with[..]].concat());
    assert_eq!(mode(&sealed), 0o600);
    let key: Value = serde_json::from_slice(&fs::read(&plain).expect("read")).expect("a key");
    let private = key["d"].as_str().expect("d");
    let content = fs::read_to_string(&sealed).expect("read");
    assert!(!content.contains(private), "the sealed file shows the key");
    assert_eq!(weft_ok([&["wallet", "address", text(&sealed)], &with[..]].concat()).trim(), address);
    weft_err(["wallet", "address", text(&sealed)]);
    fs::write(&phrase, "wrong\n").expect("write");
    let error = weft_err([&["wallet", "address", text(&sealed)], &with[..]].concat());
    assert!(!error.contains("wrong\n") && !error.contains(private), "{error}");
    // From the environment; there is no terminal to ask at.
    let by_variable = |value: Option<&str>| {
        let mut command = weft_command();
        command.args(["wallet", "address", text(&sealed), "--passphrase"]);
        command.envs(value.map(|value| ("WEFT_ARWEAVE_PASSPHRASE", value)));
        command.output().expect("runs").status.success()
    };
    assert!(by_variable(Some("correct horse")) && !by_variable(Some("other")) && !by_variable(None));
}

#[test]
fn costs_are_worked_out_offline() {
    // 4 AR per GiB at 7.5 dollars, by hand: 4/1024 AR a MiB, $0.02794 a MB.
    let text = weft_ok(["cost", "--winston-per-mib", "3906250000", "--ar-usd", "7.5"]);
    assert!(text.contains("$0.027939677") && text.contains("27.9 times the target"), "{text}");
    assert!(text.contains("8640000 MB a day") && text.contains("estimated, not measured"), "{text}");
    let given = ["--archived", "5kB", "--calldata", "50MB"];
    let text =
        weft_ok([&["cost", "--winston-per-mib", "3906250000", "--ar-usd", "7.5"], &given[..]].concat());
    assert!(text.contains("$0.000002793968") && text.contains("0.2794 % of the target"), "{text}");
    assert!(weft_err(["cost"]).contains("--gateway"));
}
