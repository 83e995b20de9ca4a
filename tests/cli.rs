//! The command line without a node: settings and their sources, completions, what mistakes look like.

mod common;

use common::{folder, weft, weft_command, weft_err, weft_ok};
use std::fs;

#[test]
fn settings_come_from_flag_environment_file_and_default_in_that_order() {
    let folder = folder();
    let file = folder.path().join("weft.toml");
    fs::write(&file, "http.port = 1\nws.port = 1\nrpc.gascap = 1\n").expect("write");
    let config = weft_command()
        .args(["config", "--config", file.to_str().expect("utf-8"), "--http.port", "3"])
        .envs([("WEFT_HTTP_PORT", "2"), ("WEFT_WS_PORT", "2")])
        .output()
        .expect("runs");
    let text = String::from_utf8(config.stdout).expect("text");
    for line in ["http.port = 3", "ws.port = 2", "rpc.gascap = 1", "txpool.pricebump = 10"] {
        assert!(text.lines().any(|printed| printed == line), "{line} is not in\n{text}");
    }
}

#[test]
fn printed_settings_are_a_settings_file() {
    let folder = folder();
    let file = folder.path().join("weft.toml");
    let printed = weft_ok(["config", "--dev", "--dev.block-time", "2s"]);
    fs::write(&file, &printed).expect("write");
    assert_eq!(weft_ok(["config", "--config", file.to_str().expect("utf-8")]), printed);
}

#[test]
fn mistakes_are_named_and_have_their_exit_codes() {
    let folder = folder();
    let file = folder.path().join("weft.toml");
    let path = file.to_str().expect("utf-8");
    fs::write(&file, "[http]\nprot = 1\n").expect("write");
    let error = weft_err(["node", "--config", path]);
    assert!(error.contains("http.prot") && error.contains(path), "{error}");
    assert_eq!(weft(["node", "--config", path]).status.code(), Some(1), "failed");
    assert_eq!(weft(["nod"]).status.code(), Some(2), "wrong usage");
    assert_eq!(weft(["node", "--http.prot", "1"]).status.code(), Some(2), "wrong usage");
    let error = weft_err(["node", "--chain", "/no/such/genesis.json"]);
    assert!(error.contains("/no/such/genesis.json"), "{error}");
    let error = weft_err(["node", "--dev", "--log.filter", "a=b=c", "--datadir", path]);
    assert!(error.contains("--log.filter"), "{error}");
    let error = weft_err(["db", "--datadir", path, "verify"]);
    assert!(error.contains("there is no database"), "{error}");
}

#[test]
fn a_malformed_genesis_names_its_field() {
    let folder = folder();
    let file = folder.path().join("genesis.json");
    let path = file.to_str().expect("utf-8");
    fs::write(
        &file,
        r#"{"config":{"chainId":7,"weft":{"version":1,"blobThresholdBytes":4096,"dataShards":4,"parityShards":7,
            "chunkBytes":1000,"maxTxBytes":16777216,"maxBlockBytes":268435456}},
            "difficulty":"0x0","gasLimit":"0x1c9c380","alloc":{}}"#,
    )
    .expect("write");
    let error =
        weft_err(["init", "--chain", path, "--datadir", folder.path().join("data").to_str().expect("utf-8")]);
    assert!(error.contains("chunkBytes") && error.contains(path), "{error}");
}

#[test]
fn every_shell_gets_its_completions_and_every_command_its_help() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(weft_ok(["completions", shell]).contains("http.port"), "{shell}");
    }
    for command in ["node", "init", "config", "db", "blob", "bench", "completions"] {
        assert!(weft_ok(["help", command]).contains("Usage:"), "{command}");
    }
    assert!(weft_ok(["--version"]).starts_with("weft "));
}
