//! A node's life: it comes up, serves, keeps its chain, has its folder to itself, stops in order, survives a full disk.

mod common;

use alloy_primitives::{Address, U64, U256, address};
use common::{Account, Node, eventually, folder, noise, weft_err, weft_ok};
use serde_json::{Value, json};
use std::process::Command;

const DEV_ACCOUNT: Address = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");

#[test]
fn a_dev_chain_introduces_itself_and_serves_funded_accounts() {
    let folder = folder();
    let node = Node::start(&folder.path().join("data"), &[]);
    assert_eq!(node.banner.len(), 10, "{:#?}", node.banner);
    assert!(node.banner[0].contains("chain dev (id 1337)"), "{:#?}", node.banner);
    assert_eq!(node.call::<U64>("eth_chainId", json!([])), U64::from(1337));
    let balance: U256 = node.call("eth_getBalance", json!([DEV_ACCOUNT, "latest"]));
    assert_eq!(balance, U256::from(10).pow(U256::from(24)), "a million ether");
    let accounts: Vec<Address> = node.call("eth_accounts", json!([]));
    assert_eq!((accounts.len(), accounts[0]), (10, DEV_ACCOUNT));
    node.stop();
}

#[test]
fn a_restart_keeps_the_chain() {
    let folder = folder();
    let datadir = folder.path().join("data");
    let node = Node::start(&datadir, &[]);
    let mut account = Account::open(&node, 0);
    let data = noise(1, 200_000);
    let hash = account.publish(&node, data.clone().into());
    let (number, block): (u64, Value) =
        (node.block_number(), node.call("eth_getBlockByNumber", json!(["latest", true])));
    node.stop();

    let node = Node::start(&datadir, &[]);
    assert_eq!(node.block_number(), number);
    assert_eq!(node.call::<Value>("eth_getBlockByNumber", json!(["latest", true])), block);
    assert_eq!(node.receipt(hash)["status"], "0x1");
    // And the chain goes on.
    let mut account = Account::open(&node, 0);
    assert_eq!(account.nonce, 1);
    account.publish(&node, data.into());
    assert!(node.block_number() > number);
    node.stop();
}

#[test]
fn a_folder_has_one_node() {
    let folder = folder();
    let datadir = folder.path().join("data");
    let node = Node::start(&datadir, &[]);
    let log = Node::try_start(&datadir, &[]).err().expect("a second node must be refused");
    assert!(log.contains("is in use by another weft"), "{log}");
    // The commands on a stopped node's database say so as well.
    let path = datadir.to_str().expect("utf-8");
    let error = weft_err(["db", "--datadir", path, "verify", "--quiet"]);
    assert!(error.contains("stop the node first"), "{error}");
    // Statistics are there beside a running node.
    assert!(weft_ok(["db", "--datadir", path, "stats"]).contains("head "));
    assert_eq!(node.call::<U64>("eth_chainId", json!([])), U64::from(1337), "the first is not disturbed");
    node.stop();
}

#[test]
fn sigint_and_sigterm_stop_in_order_and_release_the_folder() {
    let folder = folder();
    let datadir = folder.path().join("data");
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let mut node = Node::start(&datadir, &[]);
        node.signal(signal);
        let status = node.wait();
        assert!(status.success(), "{status}");
        assert!(node.log().contains("stopped"), "{}", node.log());
    }
    assert!(
        weft_ok(["db", "--datadir", datadir.to_str().expect("utf-8"), "verify", "--quiet"]).contains("clean")
    );
}

#[test]
fn metrics_have_help_and_health_is_told() {
    let folder = folder();
    let node = Node::start(&folder.path().join("data"), &[]);
    Account::open(&node, 0).publish(&node, noise(2, 10_000).into());
    assert_eq!(node.page("/health").0, 200);
    eventually("readiness", || (node.page("/ready").0 == 200).then_some(()));
    let (status, metrics) = node.page("/metrics");
    assert_eq!(status, 200);
    for name in [
        "process_resident_memory_bytes",
        "process_open_fds",
        "weft_datadir_free_bytes",
        "weft_engine_head_number",
    ] {
        assert!(metrics.contains(&format!("# HELP {name} ")), "{name} has no help\n{metrics}");
    }
    // Every family of ours says what it is.
    for line in metrics.lines().filter(|line| line.starts_with("# TYPE ")) {
        let name = line.split(' ').nth(2).expect("a name");
        assert!(metrics.contains(&format!("# HELP {name} ")), "{name} has no help");
    }
    node.stop();
}

#[test]
fn blocks_come_at_an_interval_when_asked_for() {
    let folder = folder();
    let node = Node::start(&folder.path().join("data"), &["--dev.block-time", "50ms"]);
    eventually("three empty blocks", || (node.block_number() >= 3).then_some(()));
    node.stop();
}

#[test]
fn another_chains_folder_is_refused() {
    let folder = folder();
    let datadir = folder.path().join("data");
    let path = datadir.to_str().expect("utf-8");
    let genesis = folder.path().join("other.json");
    std::fs::write(
        &genesis,
        r#"{"config":{"chainId":7},"difficulty":"0x1","gasLimit":"0x1c9c380","alloc":{}}"#,
    )
    .expect("write");
    let other = genesis.to_str().expect("utf-8");
    let hash = weft_ok(["init", "--datadir", path]);
    assert_eq!(weft_ok(["init", "--datadir", path]), hash, "again is no change");
    let error = weft_err(["init", "--datadir", path, "--chain", other]);
    assert!(error.contains("another chain"), "{error}");
}

/// A small file system of its own; needs the right to mount.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(at: std::path::PathBuf, megabytes: u32) -> Option<Self> {
        std::fs::create_dir_all(&at).expect("mount point");
        let size = format!("size={megabytes}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).output().ok()?;
        mounted.status.success().then_some(Self(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_stops_sealing_until_there_is_room() {
    let folder = folder();
    let Some(disk) = SmallDisk::mount(folder.path().join("disk"), 192) else {
        eprintln!("skipped: this process may not mount a tmpfs");
        return;
    };
    let ballast = disk.0.join("ballast");
    let mut node = Node::start(&disk.0.join("data"), &["--db.min-free", "64"]);
    let mut account = Account::open(&node, 0);
    account.publish(&node, noise(3, 100_000).into());
    eventually("readiness", || (node.page("/ready").0 == 200).then_some(()));

    // Somebody else fills the disk.
    std::fs::write(&ballast, vec![1; 110 << 20]).expect("fits");
    let (status, reason) =
        eventually("not ready", || Some(node.page("/ready")).filter(|(status, _)| *status != 200));
    assert!(status == 503 && reason.contains("disk is full"), "{status} {reason}");
    let head = node.block_number();
    let (hash, raw) = account.sign(DEV_ACCOUNT, U256::from(1), Vec::new().into());
    let _: Value = node.call("eth_sendRawTransaction", json!([raw]));
    eventually("the sealer's complaint", || node.log().contains("disk is full").then_some(()));
    assert_eq!(node.block_number(), head, "no block was sealed");
    assert_eq!(
        node.call::<Value>("eth_getTransactionReceipt", json!([hash])),
        Value::Null,
        "nothing is acknowledged"
    );

    std::fs::remove_file(&ballast).expect("remove");
    eventually("readiness again", || (node.page("/ready").0 == 200).then_some(()));
    assert_eq!(node.receipt(hash)["status"], "0x1", "what was waiting is sealed");
    node.signal(libc::SIGTERM);
    assert!(node.wait().success());
}
