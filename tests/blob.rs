//! Files through the chain: in by one command, out byte-identical, also when only four of eleven columns are left.

mod common;

use alloy_primitives::{B256, Bytes, hex};
use common::{Account, Node, folder, noise, weft, weft_command, weft_err, weft_ok};
use serde_json::{Value, json};
use std::{fs, path::Path};

fn put(node: &Node, file: &Path, arguments: &[&str]) -> String {
    let file = file.to_str().expect("utf-8");
    let output = weft_ok([&["blob", "put", file, "--rpc", &node.rpc, "--quiet"], arguments].concat());
    output.trim().to_owned()
}

fn get(node: &Node, handle: &str, to: &Path) -> Vec<u8> {
    weft_ok(["blob", "get", handle, "-o", to.to_str().expect("utf-8"), "--rpc", &node.rpc, "--quiet"]);
    fs::read(to).expect("the file")
}

/// The transactions that an index names, read by its documented layout.
fn parts(node: &Node, handle: &str) -> Vec<B256> {
    let index: Bytes = node.call::<Value>("eth_getTransactionByHash", json!([handle]))["input"]
        .as_str()
        .and_then(|input| input.parse().ok())
        .expect("calldata");
    assert_eq!(&index[..10], b"WEFTFILE\x00\x01");
    index[58..].chunks(64).map(|entry| B256::from_slice(&entry[..32])).collect()
}

#[test]
fn lost_columns_are_repaired_on_the_disk_alone() {
    let folder = folder();
    let datadir = folder.path().join("data");
    let node = Node::start(&datadir, &[]);
    let hash = Account::open(&node, 0).publish(&node, noise(3, 300_000).into()).to_string();
    node.archived();
    node.stop();

    let path = datadir.to_str().expect("utf-8");
    let db = |args: &[&str]| weft_ok([&["db", "--datadir", path][..], args].concat());
    assert!(db(&["repair", "--quiet"]).contains("nothing is lost"));
    db(&["drop", &hash, "--columns", "4,9"]);
    let found = db(&["repair", "--dry-run", "--quiet"]);
    assert!(found.contains("columns 4,9 can be rebuilt") && found.contains("nothing was written"), "{found}");
    let mended = db(&["repair", "--quiet"]);
    assert!(mended.contains("columns 4,9 rebuilt") && mended.contains("mended       2 columns"), "{mended}");
    assert!(db(&["repair", "--quiet"]).contains("mended       0 columns"));
    assert!(db(&["verify", "--quiet"]).contains("clean"));
    let error = weft_err(["db", "--datadir", path, "repair", "--from", "99999"]);
    assert!(error.contains("there is no block from 99999"), "{error}");
}

#[test]
fn a_file_survives_the_loss_of_its_bodies_and_any_seven_columns() {
    let folder = folder();
    let (datadir, file) = (folder.path().join("data"), folder.path().join("file.bin"));
    // Parts of several chunks, the last one short and no multiple of anything.
    let content = noise(1, 3_700_001);
    fs::write(&file, &content).expect("write");
    let node = Node::start(&datadir, &[]);
    let handle = put(&node, &file, &["--part-size", "500KiB"]);
    assert_eq!(get(&node, &handle, &folder.path().join("one")), content);
    let parts = parts(&node, &handle);
    assert_eq!(parts.len(), 8);
    node.archived();
    weft_ok(["blob", "verify", &handle, "--samples", "5", "--rpc", &node.rpc]);
    node.stop();

    // Another set of seven for every part, so that rows of all kinds are inverted.
    let path = datadir.to_str().expect("utf-8");
    for (shift, part) in parts.iter().enumerate() {
        let columns: Vec<String> = (0..7).map(|i| ((i * 3 + shift) % 11).to_string()).collect();
        let kept = weft_ok([
            "db",
            "--datadir",
            path,
            "drop",
            &part.to_string(),
            "--body",
            "--columns",
            &columns.join(","),
        ]);
        assert!(kept.contains("body dropped"), "{kept}");
        assert_eq!(kept.trim().rsplit(' ').next().expect("columns").split(',').count(), 4, "{kept}");
    }
    assert!(weft_ok(["db", "--datadir", path, "verify", "--quiet"]).contains("clean"));
    // One more would be the last straw, and is refused.
    let error = weft_err([
        "db",
        "--datadir",
        path,
        "drop",
        &parts[0].to_string(),
        "--columns",
        "0,1,2,3,4,5,6,7,8,9,10",
    ]);
    assert!(error.contains("fewer columns than reconstruct it"), "{error}");

    let node = Node::start(&datadir, &[]);
    assert_eq!(get(&node, &handle, &folder.path().join("two")), content);
    let start = 123_456;
    let range: Bytes =
        node.call("da_getBlob", json!([parts[0], { "offset": format!("0x{start:x}"), "length": "0x2710" }]));
    assert_eq!(range[..], content[start..start + 10_000]);
    node.stop();
}

#[test]
fn small_empty_and_look_alike_files_come_back_too() {
    let folder = folder();
    let node = Node::start(&folder.path().join("data"), &[]);
    let index_like = [b"WEFTFILE\x00\x01", &noise(3, 5000)[..]].concat();
    for (name, content) in
        [("empty", Vec::new()), ("tiny", b"x".to_vec()), ("blob", noise(2, 4096)), ("magic", index_like)]
    {
        let file = folder.path().join(name);
        fs::write(&file, &content).expect("write");
        let handle = put(&node, &file, &[]);
        assert_eq!(get(&node, &handle, &folder.path().join(format!("{name}.back"))), content, "{name}");
        if name == "blob" {
            // A file of one part is its transaction's calldata, nothing else.
            assert_eq!(node.call::<Bytes>("da_getBlob", json!([handle]))[..], content);
        }
    }
    // Standard output is a place, too.
    let file = folder.path().join("blob");
    let handle = put(&node, &file, &[]);
    let output = weft(["blob", "get", &handle, "--rpc", &node.rpc]);
    assert_eq!(output.stdout, fs::read(file).expect("read"));
    node.stop();
}

#[test]
fn an_interrupted_put_goes_on_where_it_stopped() {
    let folder = folder();
    let node = Node::start(&folder.path().join("data"), &[]);
    let file = folder.path().join("file.bin");
    let content = noise(4, 300_000);
    fs::write(&file, &content).expect("write");
    let whole = put(&node, &file, &["--part-size", "100kB"]);
    let parts = parts(&node, &whole);
    // The notes that a run leaves when it is interrupted after two parts, one of them about bytes that have changed since.
    let sha = |range: std::ops::Range<usize>| {
        use sha2::Digest;
        hex::encode_prefixed(sha2::Sha256::digest(&content[range]))
    };
    let notes = folder.path().join("file.bin.weft-put");
    fs::write(&notes, format!("{} {}\n{} {}\n0x12", sha(0..100_000), parts[0], B256::ZERO, parts[1]))
        .expect("write");
    let before: u64 = Account::open(&node, 0).nonce;
    let again = put(&node, &file, &["--part-size", "100kB"]);
    assert_eq!(Account::open(&node, 0).nonce - before, 3, "two parts and an index");
    assert_eq!(self::parts(&node, &again)[0], parts[0], "the first part is not sent again");
    assert!(!notes.exists(), "notes are gone when all is done");
    assert_eq!(get(&node, &again, &folder.path().join("back")), content);
    node.stop();
}

#[test]
fn mistakes_are_explained() {
    let folder = folder();
    let node = Node::start(&folder.path().join("data"), &[]);
    let unknown = B256::repeat_byte(7).to_string();
    let error = weft_err(["blob", "get", &unknown, "-o", "/dev/null", "--rpc", &node.rpc]);
    assert!(error.contains("does not know transaction"), "{error}");
    let error = weft_err(["blob", "put", "/no/such/file", "--rpc", &node.rpc]);
    assert!(error.contains("/no/such/file"), "{error}");
    let error = weft_err(["blob", "put", "Cargo.toml", "--rpc", "http://127.0.0.1:1"]);
    assert!(error.contains("no connection to http://127.0.0.1:1"), "{error}");
    let error = weft_err(["blob", "put", "Cargo.toml", "--rpc", "https://example.org"]);
    assert!(error.contains("is not an http:// address"), "{error}");
    // A block that does not hold the transaction cannot prove it.
    let hash = Account::open(&node, 0).publish(&node, noise(5, 5000).into());
    node.archived();
    let error = weft_err(["blob", "verify", &hash.to_string(), "--block", &unknown, "--rpc", &node.rpc]);
    assert!(error.contains("the node says that it is in block"), "{error}");
    node.stop();
}

#[test]
fn a_key_of_ones_own_is_used_and_not_shown() {
    let folder = folder();
    let node = Node::start(&folder.path().join("data"), &[]);
    let (file, key) = (folder.path().join("file"), folder.path().join("key"));
    fs::write(&file, noise(6, 5000)).expect("write");
    // The second dev account.
    fs::write(&key, "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d\n").expect("write");
    let handle = put(&node, &file, &["--private-key-file", key.to_str().expect("utf-8")]);
    let from = node.call::<Value>("eth_getTransactionByHash", json!([handle]))["from"].clone();
    assert_eq!(
        from.as_str().map(str::to_lowercase).as_deref(),
        Some("0x70997970c51812dc3a010c7d01b50e0d17dc79c8")
    );
    let output = weft_command()
        .args(["blob", "put", file.to_str().expect("utf-8"), "--rpc", &node.rpc])
        .env("WEFT_PRIVATE_KEY", "0xnotakeybutsecret")
        .output()
        .expect("runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && !error.contains("secret"), "{error}");
    node.stop();
}
