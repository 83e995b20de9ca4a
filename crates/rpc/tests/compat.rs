//! The execution-apis conformance files (`rpc-compat/tests`), those of the namespaces that are served.
//!
//! Found through `$WEFT_FIXTURES`, then `../shared`; skipped with a line when they are not there.
//! Compared by hive's rules: the whole envelope, without an error's message; files marked
//! `speconly` must answer a result. What is known not to answer alike yet is listed, with the
//! reason, and must not answer alike: an entry that has become wrong is a failure, too.

#![allow(clippy::unwrap_used)]

mod common;

use alloy_consensus::Block;
use alloy_eips::eip2718::Encodable2718;
use alloy_rlp::Decodable;
use common::Node;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use weft_chainspec::ChainSpec;
use weft_engine::ForkchoiceState;
use weft_primitives::{PreparedBlock, SealedHeader, Transaction};
use weft_rpc::RpcConfig;

fn fixtures() -> Option<PathBuf> {
    let given = std::env::var_os("WEFT_FIXTURES").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    given
        .into_iter()
        .chain([beside])
        .map(|root| root.join("rpc-compat/tests"))
        .find(|tests| tests.join("chain.rlp").exists())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_conformance_files_are_answered_alike() {
    let Some(tests) = fixtures() else {
        eprintln!("skipped: no rpc-compat/tests under $WEFT_FIXTURES or ../shared");
        return;
    };
    let spec = ChainSpec::from_json(&fs::read_to_string(tests.join("genesis.json")).unwrap()).unwrap();
    let node = Node::start_with(spec, RpcConfig::default()).await;
    import(&node, &fs::read(tests.join("chain.rlp")).unwrap()).await;

    let (mut passed, mut failed) = (0, BTreeSet::new());
    for file in files(&tests) {
        let name = file.strip_prefix(&tests).unwrap().with_extension("").display().to_string();
        let served = ["eth_", "net_", "web3_", "txpool_"].iter().any(|namespace| name.starts_with(namespace));
        if !served {
            continue;
        }
        match run(&node, &fs::read_to_string(&file).unwrap()).await {
            Ok(()) => passed += 1,
            Err(difference) => {
                eprintln!("{name}: {difference}");
                failed.insert(name);
            }
        }
    }
    eprintln!("{passed} passed, {} failed", failed.len());
    assert!(failed.is_empty(), "answered otherwise: {failed:#?}");
}

/// All `.io` files in lexical order.
fn files(tests: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries
    };
    let folders = entries(tests).into_iter().filter(|path| path.is_dir());
    folders
        .flat_map(|folder| entries(&folder))
        .filter(|file| file.extension().is_some_and(|extension| extension == "io"))
        .collect()
}

/// Makes every block of the file canonical.
async fn import(node: &Node, mut rlp: &[u8]) {
    while !rlp.is_empty() {
        let block = Block::<Transaction>::decode(&mut rlp).unwrap();
        let encoded = block.body.transactions.iter().map(|tx| tx.encoded_2718().into()).collect();
        let header = SealedHeader::seal_slow(block.header);
        let transactions = node.pool.prepare(header.number, encoded).unwrap();
        let hash = header.hash();
        let block = PreparedBlock {
            header,
            transactions,
            ommers: block.body.ommers,
            withdrawals: block.body.withdrawals,
        };
        let status = node.engine.new_payload(block).await.unwrap();
        assert!(status.is_valid(), "{status:?}");
        let state = ForkchoiceState { head: hash, safe: Some(hash), finalized: Some(hash) };
        node.engine.forkchoice_updated(state).await.unwrap();
    }
    let head = node.engine.head().hash;
    node.settled(head).await;
}

async fn run(node: &Node, file: &str) -> Result<(), String> {
    let (mut answer, mut speconly) = (Value::Null, false);
    for line in file.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("//") {
            speconly |= comment.trim_start().starts_with("speconly:");
        } else if let Some(request) = line.strip_prefix(">>") {
            answer = node.post(&serde_json::from_str(request).unwrap()).await;
        } else if let Some(expected) = line.strip_prefix("<<") {
            let mut expected: Value = serde_json::from_str(expected).unwrap();
            if speconly && answer.get("error").is_none() {
                continue;
            }
            forget_message(&mut answer, &mut expected);
            compare("$", &answer, &expected)?;
        }
    }
    Ok(())
}

/// Messages are free; hive compares everything else.
fn forget_message(answer: &mut Value, expected: &mut Value) {
    match (answer, expected) {
        (Value::Object(answer), Value::Object(expected)) => {
            for (name, expected) in expected.iter_mut() {
                let Some(answer) = answer.get_mut(name) else { continue };
                if name == "error" {
                    if let (Some(answer), Some(expected)) = (answer.as_object_mut(), expected.as_object_mut())
                        && answer.contains_key("message")
                        && expected.contains_key("message")
                    {
                        answer.remove("message");
                        expected.remove("message");
                    }
                } else {
                    forget_message(answer, expected);
                }
            }
        }
        (Value::Array(answer), Value::Array(expected)) => {
            answer.iter_mut().zip(expected).for_each(|(answer, expected)| forget_message(answer, expected));
        }
        _ => {}
    }
}

fn compare(path: &str, answer: &Value, expected: &Value) -> Result<(), String> {
    match (answer, expected) {
        (Value::Object(answer), Value::Object(expected)) => {
            for name in answer.keys().chain(expected.keys()).collect::<BTreeSet<_>>() {
                match (answer.get(name), expected.get(name)) {
                    (Some(answer), Some(expected)) => compare(&format!("{path}.{name}"), answer, expected)?,
                    (Some(extra), None) => return Err(format!("{path}.{name}: extra, {}", short(extra))),
                    (None, wanted) => {
                        return Err(format!(
                            "{path}.{name}: missing, wanted {}",
                            short(wanted.unwrap_or(&Value::Null))
                        ));
                    }
                }
            }
            Ok(())
        }
        (Value::Array(answer), Value::Array(expected)) if answer.len() == expected.len() => {
            answer.iter().zip(expected).enumerate().try_for_each(|(index, (answer, expected))| {
                compare(&format!("{path}[{index}]"), answer, expected)
            })
        }
        _ if answer == expected => Ok(()),
        _ => Err(format!("{path}: {}, wanted {}", short(answer), short(expected))),
    }
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(200).collect()
}
