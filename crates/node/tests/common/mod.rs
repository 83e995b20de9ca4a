//! Real nodes on loopback, and what tests do with them.
#![allow(dead_code, reason = "each test binary uses its part")]

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_network::TxSignerSync;
use alloy_primitives::{Address, Bytes, TxHash, U256, keccak256};
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English};
use serde_json::{Value, json};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weft_archive::network::{FetchLimits, SamplerConfig};
use weft_chainspec::ChainSpec;
use weft_consensus::DevSealerConfig;
use weft_engine::EngineConfig;
use weft_node::{
    ColumnsConfig, ColumnsNode, ColumnsWork, DEV_MNEMONIC, Node, NodeConfig, PermanenceConfig, Recorder,
};
use weft_p2p::{Limits, NetworkConfig};
use weft_pool::PoolConfig;
use weft_rpc::RpcConfig;
use weft_storage::StoreOptions;

/// Longer than any of this takes; reached only when something hangs.
pub const DEADLINE: Duration = Duration::from_secs(180);
/// Between looks at a node that is waited for.
const LOOK: Duration = Duration::from_millis(50);

pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Whose blocks are believed, and who is dialled.
#[derive(Clone, Default)]
pub struct Peers {
    pub sealer: String,
    pub addresses: Vec<String>,
}

impl Peers {
    /// Of the sealer at an address that ends with its id.
    pub fn of_sealer(address: &str) -> Self {
        let sealer = address.rsplit('/').next().expect("an id").to_owned();
        Self { sealer, addresses: vec![address.to_owned()] }
    }

    pub fn and(&self, address: String) -> Self {
        let mut more = self.clone();
        more.addresses.push(address);
        more
    }

    /// The same sealer, and only these to dial.
    pub fn only(&self, addresses: &[String]) -> Self {
        Self { sealer: self.sealer.clone(), addresses: addresses.to_vec() }
    }
}

pub fn network(datadir: &Path, peers: Option<&Peers>) -> NetworkConfig {
    let base = NetworkConfig::of_chain(&ChainSpec::dev()).expect("the dev chain fits the wire");
    let addresses = peers.iter().flat_map(|peers| &peers.addresses);
    NetworkConfig {
        identity: Some(datadir.join("p2p.key")),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")],
        static_peers: addresses.map(|address| address.parse().expect("an address")).collect(),
        sealers: peers.iter().map(|peers| peers.sealer.parse().expect("an id")).collect(),
        custody_count: base.columns,
        limits: Limits {
            requests_in_per_second: 4000.0,
            status_interval: Duration::from_millis(500),
            redial: Duration::from_millis(200),
            ..Limits::default()
        },
        ..base
    }
}

pub fn rpc() -> Vec<RpcConfig> {
    let namespaces = ["eth", "net", "web3", "da", "admin"].map(str::to_owned).to_vec();
    vec![RpcConfig { address: (Ipv4Addr::LOCALHOST, 0).into(), namespaces, ..RpcConfig::default() }]
}

fn store() -> StoreOptions {
    StoreOptions { disk_reserve_bytes: 1 << 20, cache_bytes: 4 << 20, ..StoreOptions::default() }
}

/// A running node of any role.
pub struct Running<N> {
    pub node: N,
    pub rpc: SocketAddr,
    pub folder: tempfile::TempDir,
}

/// Starts a full node: the sealer, or a follower of one.
pub async fn full(folder: tempfile::TempDir, recorder: &Recorder, peers: Option<&Peers>) -> Running<Node> {
    let config = NodeConfig {
        spec: Arc::new(ChainSpec::dev()),
        chain_name: "dev".to_owned(),
        datadir: folder.path().to_owned(),
        sealer: peers.is_none().then(DevSealerConfig::default),
        rpc: rpc(),
        metrics: None,
        network: Some(network(folder.path(), peers)),
        retention: None,
        pool: PoolConfig::default(),
        engine: EngineConfig::default(),
        store: store(),
        permanence: PermanenceConfig::default(),
    };
    let node = Node::start(config, recorder.clone()).await.expect("starts");
    let rpc = line(&node.banner(), "http").strip_prefix("http://").and_then(|address| address.parse().ok());
    Running { rpc: rpc.expect("an address"), node, folder }
}

/// Starts a node without execution.
pub async fn columns(
    folder: tempfile::TempDir,
    recorder: &Recorder,
    peers: &Peers,
    custody: u16,
    work: ColumnsWork,
) -> Running<ColumnsNode> {
    let config = ColumnsConfig {
        work,
        spec: Arc::new(ChainSpec::dev()),
        chain_name: "dev".to_owned(),
        datadir: folder.path().to_owned(),
        rpc: rpc(),
        metrics: None,
        network: NetworkConfig { custody_count: custody, ..network(folder.path(), Some(peers)) },
        store: store(),
        fetch: FetchLimits::default(),
    };
    let node = ColumnsNode::start(config, recorder.clone()).await.expect("starts");
    Running { rpc: node.rpc_addresses()[0], node, folder }
}

pub fn da() -> ColumnsWork {
    ColumnsWork::Da { disk_bytes_max: 1 << 30 }
}

pub fn light(patience: Duration) -> ColumnsWork {
    ColumnsWork::Light(SamplerConfig { patience, ..SamplerConfig::default() })
}

/// What a banner says in a line.
pub fn line(banner: &str, word: &str) -> String {
    let found =
        banner.lines().find_map(|line| line.trim().strip_prefix(word).map(|rest| rest.trim().to_owned()));
    found.unwrap_or_else(|| panic!("no {word} in {banner}"))
}

impl Running<Node> {
    pub fn address(&self) -> String {
        line(&self.node.banner(), "network")
    }

    pub async fn stop(self) -> tempfile::TempDir {
        tokio::time::timeout(DEADLINE, self.node.shutdown()).await.expect("stops");
        self.folder
    }
}

impl Running<ColumnsNode> {
    pub fn address(&self) -> String {
        line(&self.node.banner(), "network")
    }

    pub async fn stop(self) -> tempfile::TempDir {
        tokio::time::timeout(DEADLINE, self.node.shutdown()).await.expect("stops");
        self.folder
    }
}

impl<N> Running<N> {
    /// The whole answer.
    pub async fn post(&self, method: &str, params: &Value) -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let request = format!(
            "POST / HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n{body}",
            self.rpc,
            body.len()
        );
        let mut stream = TcpStream::connect(self.rpc).await.expect("connects");
        stream.write_all(request.as_bytes()).await.expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("read");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("not HTTP: {answer}"));
        serde_json::from_str(body).unwrap_or_else(|_| panic!("not JSON: {body}"))
    }

    pub async fn call(&self, method: &str, params: Value) -> Value {
        let mut answer = self.post(method, &params).await;
        assert!(answer["error"].is_null(), "{method}{params}: {}", answer["error"]);
        answer["result"].take()
    }

    /// Looks until `found` finds something in the result; errors count as nothing.
    pub async fn until<T>(&self, method: &str, params: Value, found: impl Fn(&Value) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            let answer = self.post(method, &params).await;
            if let Some(found) = answer.get("result").and_then(&found) {
                return found;
            }
            assert!(begun.elapsed() < DEADLINE, "{method}{params}: still {:.300}", answer.to_string());
            tokio::time::sleep(LOOK).await;
        }
    }

    pub async fn submit(&self, raw: &Bytes) -> TxHash {
        let hash = self.call("eth_sendRawTransaction", json!([raw])).await;
        serde_json::from_value(hash).expect("a hash")
    }

    pub async fn receipt(&self, hash: TxHash) -> Value {
        self.until("eth_getTransactionReceipt", json!([hash]), |receipt| {
            (!receipt.is_null()).then(|| receipt.clone())
        })
        .await
    }

    /// Until the blob is served, byte for byte.
    pub async fn has_blob(&self, who: &str, hash: TxHash, blob: &Bytes, source: &str) {
        let got: Bytes = self
            .until("da_getBlob", json!([hash, { "source": source }]), |blob| {
                blob.as_str()?;
                serde_json::from_value(blob.clone()).ok()
            })
            .await;
        assert!(got == *blob, "{who}: byte for byte from {source}");
    }
}

pub fn signer(index: u32) -> PrivateKeySigner {
    let mnemonic = MnemonicBuilder::<English>::from_phrase(DEV_MNEMONIC).index(index).expect("an index");
    mnemonic.build().expect("the dev mnemonic")
}

pub fn transaction(signer: &PrivateKeySigner, nonce: u64, input: Bytes) -> Bytes {
    let mut tx = TxEip1559 {
        chain_id: ChainSpec::dev().chain_id(),
        nonce,
        gas_limit: 21_000 + 16 * input.len() as u64,
        max_fee_per_gas: 100_000_000_000,
        max_priority_fee_per_gas: 1,
        to: Address::repeat_byte(1).into(),
        value: U256::from(1),
        input,
        ..Default::default()
    };
    let signature = signer.sign_transaction_sync(&mut tx).expect("a signature");
    weft_primitives::Transaction::from(tx.into_signed(signature)).encoded_2718().into()
}

/// Bytes that do not compress.
pub fn noise(bytes: usize, seed: u64) -> Bytes {
    let mut noise = Vec::with_capacity(bytes + 32);
    let mut word = keccak256(seed.to_be_bytes());
    while noise.len() < bytes {
        noise.extend_from_slice(word.as_slice());
        word = keccak256(word);
    }
    noise.truncate(bytes);
    noise.into()
}
