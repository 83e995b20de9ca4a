//! Real clients against a real node: viem and ethers deploy, call, listen, publish, and send from unlocked accounts;
//! cast and forge send, call, look at blocks, and create a contract that solc compiled.
//!
//! Needs `node` and `npm` (which installs the clients into a folder of its own); skipped with a line without.

mod common;
#[path = "common/npm.rs"]
mod npm;

use common::{Node, folder};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// A folder of `tests` with its libraries, or nothing where Node.js is not installed.
fn installed(folder: &Path, name: &str) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests").join(name);
    let target = folder.join("clients");
    npm::install(&source, &target).then_some(target)
}

#[test]
fn viem_and_ethers_do_not_notice_that_this_is_not_geth() {
    let folder = folder();
    let Some(scripts) = installed(folder.path(), "clients") else { return };
    let node = Node::start(&folder.path().join("data"), &[]);
    let socket = node.rpc.replacen("http", "ws", 1);
    for script in ["viem.mjs", "ethers.mjs"] {
        let output = Command::new("node")
            .arg(script)
            .args([&node.rpc, &socket])
            .current_dir(&scripts)
            .output()
            .expect("node runs");
        assert!(output.status.success(), "{script}:\n{}\n{}", said(&output), node.log());
    }
    node.stop();
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Key and address of the first dev account, and the address of the second.
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const FIRST: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const SECOND: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

/// cast and forge in the folder where npm put them.
struct Foundry<'a> {
    folder: PathBuf,
    node: &'a Node,
}

/// The program itself, where foundry builds for this machine: npm's link to it forgets its exit code.
fn program(folder: &Path, name: &str) -> Option<PathBuf> {
    let packages = fs::read_dir(folder.join("node_modules/@foundry-rs")).ok()?;
    let found = packages.map(|package| package.expect("a folder").path().join("bin").join(name));
    found.into_iter().find(|program| program.exists())
}

impl Foundry<'_> {
    fn command(&self, name: &str, arguments: &[&str]) -> Output {
        // What the person who runs the tests has set must not leak in.
        let foreign = std::env::vars()
            .filter(|(name, _)| ["ETH_", "FOUNDRY_", "DAPP_"].iter().any(|prefix| name.starts_with(prefix)));
        let program = program(&self.folder, name).expect("looked for before");
        let mut command = Command::new(program);
        for (name, _) in foreign {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .env("ETH_RPC_URL", &self.node.rpc)
            .env("FOUNDRY_SOLC", self.folder.join("solc.cjs"))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .output()
            .expect("the program runs")
    }

    /// Standard output of a run that must succeed.
    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program, arguments);
        assert!(output.status.success(), "{program} {arguments:?}:\n{}\n{}", said(&output), self.node.log());
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    fn cast(&self, arguments: &[&str]) -> String {
        self.run("cast", arguments)
    }

    /// What `--json` prints.
    fn json(&self, program: &str, arguments: &[&str]) -> Value {
        let text = self.run(program, arguments);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{program} {arguments:?}: {error}: {text}"))
    }
}

#[test]
fn cast_and_forge_do_not_notice_that_this_is_not_geth() {
    let folder = folder();
    let Some(tools) = installed(folder.path(), "clients/foundry") else { return };
    if ["cast", "forge"].iter().any(|name| program(&tools, name).is_none()) {
        eprintln!("skipped: foundry is not built for this machine");
        return;
    }
    let node = Node::start(&folder.path().join("data"), &[]);
    let foundry = Foundry { folder: tools, node: &node };
    assert_eq!(foundry.cast(&["chain-id"]), "1337");
    for tag in ["latest", "pending", "earliest"] {
        let block = foundry.json("cast", &["block", tag, "--json"]);
        assert_eq!(block["gasLimit"], "0x6fc23ac00", "{tag}");
    }
    assert_eq!(foundry.cast(&["block", "pending", "--field", "number"]), "1");

    let sent = foundry.json("cast", &["send", "--private-key", KEY, SECOND, "--value", "1ether", "--json"]);
    assert_eq!((&sent["status"], &sent["blockNumber"]), (&"0x1".into(), &"0x1".into()));
    for tag in ["safe", "finalized"] {
        assert_eq!(foundry.json("cast", &["block", tag, "--json"])["hash"], sent["blockHash"], "{tag}");
    }
    assert_eq!(foundry.cast(&["balance", SECOND, "--ether"]), "1000001.000000000000000000");
    let unlocked = ["send", "--unlocked", "--from", FIRST, SECOND, "--value", "1", "--json"];
    assert_eq!(foundry.json("cast", &unlocked)["status"], "0x1");
    assert_eq!(foundry.cast(&["nonce", FIRST]), "2");

    let create = ["create", "Counter.sol:Counter", "--private-key", KEY, "--broadcast", "--json"];
    let created = foundry.json("forge", &[&create[..], &["--constructor-args", "5"]].concat());
    let contract = created["deployedTo"].as_str().expect("an address");
    the_contract_counts(&foundry, contract);
    node.stop();
}

fn the_contract_counts(foundry: &Foundry<'_>, contract: &str) {
    let count = ["call", contract, "count()(uint256)"];
    assert_eq!(foundry.cast(&count), "5");
    let add = ["send", "--private-key", KEY, contract, "add(uint256)", "3", "--json"];
    let added = foundry.json("cast", &add);
    assert_eq!(added["logs"].as_array().map(Vec::len), Some(1));
    assert_eq!(foundry.cast(&count), "8");
    assert_eq!(foundry.cast(&["call", "--block", "3", contract, "count()(uint256)"]), "5", "the past");
    assert_eq!(
        foundry.json("cast", &["logs", "--from-block", "0", "--address", contract, "--json"])[0]["data"],
        format!("{:#066x}", 8)
    );
    let hash = added["transactionHash"].as_str().expect("a hash");
    assert_eq!(foundry.json("cast", &["receipt", hash, "--json"])["status"], "0x1");
    assert_eq!(foundry.json("cast", &["tx", hash, "--json"])["hash"], hash);

    // TooMuch(10): the reason comes back with the refusal.
    let refused = foundry.command("cast", &["call", contract, "add(uint256)", "11"]);
    assert!(!refused.status.success() && said(&refused).contains("e0f0d3cc"), "{}", said(&refused));
    let gas: u64 = foundry.cast(&["estimate", contract, "add(uint256)", "3"]).parse().expect("gas");
    assert!((21_000..60_000).contains(&gas), "{gas}");
    let slot = format!("{contract}:0x0:0x9");
    assert_eq!(foundry.cast(&[&count[..], &["--override-state-diff", &slot]].concat()), "9");
    assert_eq!(foundry.cast(&["storage", contract, "0"]), format!("{:#066x}", 8));
    let proof: Value = serde_json::from_str(&foundry.cast(&["proof", contract, "0"])).expect("a proof");
    assert_eq!(proof["storageProof"][0]["value"], "0x8");
}
