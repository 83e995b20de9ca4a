//! A development node with its own Arweave: the wallet, a checkpoint, the price, and an end that leaves nothing behind.

use serde_json::{Value, json};
use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU64,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weft_archive::permanence::CheckpointConfig;
use weft_chainspec::ChainSpec;
use weft_consensus::{DevSealerConfig, SealMode};
use weft_engine::EngineConfig;
use weft_node::{Node, NodeConfig, PermanenceConfig, install_recorder};
use weft_pool::PoolConfig;
use weft_rpc::RpcConfig;
use weft_storage::{Store, StoreOptions};

/// For everything that is waited for here; making a key takes most of it.
const DEADLINE: Duration = Duration::from_secs(300);

fn config(datadir: &Path) -> NodeConfig {
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let namespaces = ["eth", "da", "admin"].map(str::to_owned).to_vec();
    let interval = NonZeroU64::new(1_000_000).expect("not zero");
    NodeConfig {
        spec: Arc::new(ChainSpec::dev()),
        chain_name: "dev".to_owned(),
        datadir: datadir.to_owned(),
        sealer: Some(DevSealerConfig {
            mode: SealMode::Interval(Duration::from_millis(50)),
            ..DevSealerConfig::default()
        }),
        rpc: vec![RpcConfig { address: free, namespaces, call_timeout: DEADLINE, ..RpcConfig::default() }],
        metrics: None,
        network: None,
        retention: None,
        pool: PoolConfig::default(),
        engine: EngineConfig::default(),
        store: StoreOptions { disk_reserve_bytes: 1 << 20, ..StoreOptions::default() },
        permanence: PermanenceConfig {
            embedded: Some(free),
            // Only when it is asked for.
            checkpoints: Some(CheckpointConfig { interval, full_every: NonZeroU64::MIN }),
            usd_per_ar: Some(8.0),
            ..PermanenceConfig::default()
        },
    }
}

/// The address in the banner's `http` line.
fn address(node: &Node) -> SocketAddr {
    let banner = node.banner();
    let line = banner.lines().find_map(|line| line.trim().strip_prefix("http "));
    let url = line.and_then(|line| line.trim().strip_prefix("http://"));
    url.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("no address in {banner}"))
}

async fn call(address: SocketAddr, method: &str, params: Value) -> Result<Value, String> {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.expect("connects");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("read");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("not HTTP: {answer}"));
    let mut answer: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("not JSON: {body}"));
    match answer["error"]["message"].as_str() {
        Some(message) => Err(message.to_owned()),
        None => Ok(answer["result"].take()),
    }
}

/// A checkpoint of the newest finalized block; the first block may not be there yet.
async fn checkpoint_now(address: SocketAddr) -> Value {
    let started = Instant::now();
    loop {
        match call(address, "admin_checkpointNow", json!([])).await {
            Ok(checkpoint) => return checkpoint,
            Err(error) if error.contains("no block is finalized") && started.elapsed() < DEADLINE => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_development_node_makes_checkpoints_on_its_own_arweave() {
    let folder = tempfile::tempdir().expect("a folder");
    let recorder = install_recorder().expect("a registry");
    let config = config(folder.path());
    let node = Node::start(config.clone(), recorder.clone()).await.expect("starts");
    let banner = node.banner();
    assert!(banner.contains("embedded · a checkpoint every 1000000 blocks"), "{banner}");
    let rpc = address(&node);

    let made = tokio::time::timeout(DEADLINE, checkpoint_now(rpc)).await.expect("in time");
    assert_eq!((made["kind"].as_str(), made["depth"].as_str()), (Some("full"), Some("0x0")), "{made}");
    let listed = call(rpc, "da_checkpoints", json!([])).await.expect("a list");
    let listed = listed.as_array().expect("an array");
    assert_eq!(listed.len(), 1, "{listed:?}");
    for field in ["blockNumber", "blockHash", "timestamp", "parent", "bytes"] {
        assert_eq!(listed[0][field], made[field], "{field}");
    }
    assert_eq!(listed[0]["manifest"]["id"], made["manifest"]["id"]);
    let located = call(rpc, "da_locate", json!([{ "block": "0x1" }])).await.expect("a place");
    assert_eq!(located["checkpoint"]["blockNumber"], made["blockNumber"], "{located}");
    assert!(call(rpc, "da_locate", json!([{}])).await.is_err(), "neither block nor timestamp");
    assert!(call(rpc, "da_checkpoints", json!([{ "limit": 101 }])).await.is_err(), "over the limit");

    let price = call(rpc, "da_price", json!([])).await.expect("a price");
    assert_eq!(price["usdPerAr"], 8.0);
    assert!(price["usdPerPermanentMb"].as_f64().is_some_and(|usd| usd > 0.0), "{price}");
    let unknown = call(rpc, "da_requestPermanence", json!([format!("0x{:064x}", 1)])).await;
    assert_eq!(unknown, Ok(Value::Null));
    let status = call(rpc, "da_status", json!([])).await.expect("a status");
    assert_eq!(status["permanence"]["state"], "ready", "{status}");
    let owner = status["permanence"]["owner"].clone();
    assert!(owner.is_string());
    node.shutdown().await;

    // Nobody holds the database any more, and the wallet and the index are there again.
    drop(Store::open(&config.db_folder(), config.store.clone()).expect("the lock is free"));
    let node = Node::start(config, recorder).await.expect("starts again");
    let rpc = address(&node);
    let again = tokio::time::timeout(DEADLINE, checkpoint_now(rpc)).await.expect("in time");
    let status = call(rpc, "da_status", json!([])).await.expect("a status");
    assert_eq!(status["permanence"]["owner"], owner);
    let listed = call(rpc, "da_checkpoints", json!([])).await.expect("a list");
    let numbers: Vec<&Value> =
        listed.as_array().expect("an array").iter().map(|entry| &entry["blockNumber"]).collect();
    assert!(
        numbers.contains(&&made["blockNumber"]) && numbers.contains(&&again["blockNumber"]),
        "{numbers:?}"
    );
    node.shutdown().await;
}
