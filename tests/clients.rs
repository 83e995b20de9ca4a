//! Real clients against a real node: viem and ethers deploy, call, listen, publish, and send from unlocked accounts.
//!
//! Needs `node` and `npm` (which installs the two libraries into a folder of its own); skipped with a line without.

mod common;

use common::{Node, folder};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The scripts with their libraries, or nothing where Node.js is not installed.
fn installed(folder: &Path) -> Option<PathBuf> {
    for program in ["node", "npm"] {
        if Command::new(program).arg("--version").stdout(Stdio::null()).status().is_err() {
            eprintln!("skipped: {program} is not installed");
            return None;
        }
    }
    let (source, target) =
        (Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients"), folder.join("clients"));
    fs::create_dir(&target).expect("a folder");
    for entry in fs::read_dir(source).expect("the scripts") {
        let file = entry.expect("a file");
        if file.path().is_file() {
            fs::copy(file.path(), target.join(file.file_name())).expect("a copy");
        }
    }
    let install = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
    let output = Command::new("npm").args(install).current_dir(&target).output().expect("npm runs");
    assert!(output.status.success(), "npm install: {}", String::from_utf8_lossy(&output.stderr));
    Some(target)
}

#[test]
fn viem_and_ethers_do_not_notice_that_this_is_not_geth() {
    let folder = folder();
    let Some(scripts) = installed(folder.path()) else { return };
    let node = Node::start(&folder.path().join("data"), &[]);
    let socket = node.rpc.replacen("http", "ws", 1);
    for script in ["viem.mjs", "ethers.mjs"] {
        let output = Command::new("node")
            .arg(script)
            .args([&node.rpc, &socket])
            .current_dir(&scripts)
            .output()
            .expect("node runs");
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{script}:\n{said}\n{}", node.log());
    }
    node.stop();
}
