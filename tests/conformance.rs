//! Ethereum's own blockchain tests, every case, through the `weft` binary: real storage, trie and engine.
//!
//! The fixtures are no part of the repository; they are looked for in `$WEFT_FIXTURES`, then in `../shared`. Where there
//! are none the test says so and passes.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

fn fixtures() -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let candidates = std::env::var_os("WEFT_FIXTURES").map(PathBuf::from).into_iter().chain([shared]);
    candidates.into_iter().find(|base| base.join("fixtures").is_dir())
}

#[test]
fn blockchain_tests() {
    let Some(base) = fixtures() else {
        println!("conformance: skipped, no fixtures in $WEFT_FIXTURES or ../shared");
        return;
    };
    let output = Command::new(env!("CARGO_BIN_EXE_weft"))
        .args(["ef-tests", "--path"])
        .arg(&base)
        .output()
        .expect("weft starts");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "some cases failed");
    let passed = said.lines().rev().find_map(|line| line.strip_prefix("passed ")).expect("a last line");
    let passed: usize = passed.split(',').next().and_then(|count| count.parse().ok()).expect("a count");
    assert!(passed > 0, "no case was found in {}", base.display());
}
