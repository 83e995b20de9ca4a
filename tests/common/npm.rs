//! Scripts of Node.js with their libraries, also for the tests of crates.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// Copies the files of `source` into `target`, which is made, and installs what they need. `false`, with a line that says so,
/// where Node.js is not installed.
pub fn install(source: &Path, target: &Path) -> bool {
    for program in ["node", "npm"] {
        if Command::new(program).arg("--version").stdout(Stdio::null()).status().is_err() {
            eprintln!("skipped: {program} is not installed");
            return false;
        }
    }
    fs::create_dir(target).expect("a folder");
    for entry in fs::read_dir(source).expect("the scripts") {
        let file = entry.expect("a file");
        if file.path().is_file() {
            fs::copy(file.path(), target.join(file.file_name())).expect("a copy");
        }
    }
    let install = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
    // A registry that stops answering is an error, not a suite that stands still.
    let npm = ["--signal=KILL", "300", "npm"];
    let output =
        Command::new("timeout").args(npm).args(install).current_dir(target).output().expect("npm runs");
    assert!(
        output.status.success(),
        "npm install: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    true
}
