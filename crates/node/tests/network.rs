//! Real nodes over loopback: a sealer, followers, and what travels between them.

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_network::TxSignerSync;
use alloy_primitives::{Address, B256, Bytes, TxHash, U256, keccak256};
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
use weft_chainspec::ChainSpec;
use weft_consensus::DevSealerConfig;
use weft_engine::EngineConfig;
use weft_node::{DEV_MNEMONIC, Node, NodeConfig, PermanenceConfig, Recorder, install_recorder};
use weft_p2p::{
    BodyPart, BodyRequest, CellsRequest, CellsResponse, HeadersRequest, Limits, LocalStatus, Network,
    NetworkConfig, NetworkEvent, Refusal, RequestError, Serve, peer_id,
};
use weft_pool::PoolConfig;
use weft_primitives::{ChunkIndex, ColumnIndex};
use weft_rpc::RpcConfig;
use weft_storage::StoreOptions;

/// Longer than any of this takes; reached only when something hangs.
const DEADLINE: Duration = Duration::from_secs(120);
/// Between looks at a node that is waited for.
const LOOK: Duration = Duration::from_millis(20);

/// A node in a folder of its own.
struct Running {
    node: Node,
    rpc: SocketAddr,
    folder: tempfile::TempDir,
}

/// Starts a node that seals, or follows the sealer at an address.
async fn start(folder: tempfile::TempDir, recorder: &Recorder, sealer: Option<&str>) -> Running {
    let node = Node::start(config(folder.path(), sealer), recorder.clone()).await.expect("starts");
    let rpc = line(&node, "http").strip_prefix("http://").and_then(|address| address.parse().ok());
    Running { rpc: rpc.expect("an address"), node, folder }
}

fn config(datadir: &Path, sealer: Option<&str>) -> NodeConfig {
    let spec = Arc::new(ChainSpec::dev());
    let namespaces = ["eth", "net", "da", "admin"].map(str::to_owned).to_vec();
    let base = NetworkConfig::of_chain(&spec).expect("the dev chain fits the wire");
    let network = NetworkConfig {
        identity: Some(datadir.join("p2p.key")),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")],
        static_peers: sealer.iter().map(|address| address.parse().expect("an address")).collect(),
        sealers: sealer.iter().filter_map(|address| address.rsplit('/').next()?.parse().ok()).collect(),
        custody_count: base.columns,
        limits: Limits {
            requests_in_per_second: 4000.0,
            status_interval: Duration::from_millis(500),
            ..Limits::default()
        },
        ..base
    };
    NodeConfig {
        spec,
        chain_name: "dev".to_owned(),
        datadir: datadir.to_owned(),
        sealer: sealer.is_none().then(DevSealerConfig::default),
        rpc: vec![RpcConfig { address: (Ipv4Addr::LOCALHOST, 0).into(), namespaces, ..RpcConfig::default() }],
        metrics: None,
        network: Some(network),
        pool: PoolConfig::default(),
        engine: EngineConfig::default(),
        store: StoreOptions { disk_reserve_bytes: 1 << 20, ..StoreOptions::default() },
        permanence: PermanenceConfig::default(),
    }
}

/// What the banner says in a line.
fn line(node: &Node, word: &str) -> String {
    let banner = node.banner();
    let found =
        banner.lines().find_map(|line| line.trim().strip_prefix(word).map(|rest| rest.trim().to_owned()));
    found.unwrap_or_else(|| panic!("no {word} in {banner}"))
}

impl Running {
    fn network(&self) -> String {
        line(&self.node, "network")
    }

    async fn call(&self, method: &str, params: Value) -> Value {
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
        let mut answer: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("not JSON: {body}"));
        assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
        answer["result"].take()
    }

    async fn submit(&self, raw: &Bytes) -> TxHash {
        let hash = self.call("eth_sendRawTransaction", json!([raw])).await;
        serde_json::from_value(hash).expect("a hash")
    }

    /// Looks until `found` finds something in the answer.
    async fn until<T>(&self, method: &str, params: Value, found: impl Fn(&Value) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            let answer = self.call(method, params.clone()).await;
            if let Some(found) = found(&answer) {
                return found;
            }
            assert!(begun.elapsed() < DEADLINE, "{method}{params}: still {answer}");
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn receipt(&self, hash: TxHash) -> Value {
        self.until("eth_getTransactionReceipt", json!([hash]), |receipt| {
            (!receipt.is_null()).then(|| receipt.clone())
        })
        .await
    }

    async fn has_block(&self, block: &Value) {
        let found = |found: &Value| (!found.is_null()).then(|| found.clone());
        let here = self.until("eth_getBlockByHash", json!([block["hash"], false]), found).await;
        assert_eq!(here, *block, "header, state root and all");
    }

    async fn stop(self) -> tempfile::TempDir {
        tokio::time::timeout(DEADLINE, self.node.shutdown()).await.expect("stops");
        self.folder
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn signer(index: u32) -> PrivateKeySigner {
    let mnemonic = MnemonicBuilder::<English>::from_phrase(DEV_MNEMONIC).index(index).expect("an index");
    mnemonic.build().expect("the dev mnemonic")
}

fn transaction(signer: &PrivateKeySigner, nonce: u64, input: Bytes) -> Bytes {
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
fn noise(bytes: usize, seed: u64) -> Bytes {
    let mut noise = Vec::with_capacity(bytes + 32);
    let mut word = keccak256(seed.to_be_bytes());
    while noise.len() < bytes {
        noise.extend_from_slice(word.as_slice());
        word = keccak256(word);
    }
    noise.truncate(bytes);
    noise.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_have_the_sealers_blocks_and_blobs_and_take_transactions_for_it() {
    let recorder = install_recorder().expect("a registry");
    let sealer = start(folder(), &recorder, None).await;
    let address = sealer.network();
    let followers =
        [start(folder(), &recorder, Some(&address)).await, start(folder(), &recorder, Some(&address)).await];
    for follower in &followers {
        follower.until("net_peerCount", json!([]), |count| (count != "0x0").then_some(())).await;
    }

    // A blob at the sealer, one at a follower, and a small transaction at the other.
    let (first, second) = (noise(1_500_000, 1), noise(900_000, 2));
    let at_sealer = sealer.submit(&transaction(&signer(0), 0, first.clone())).await;
    let at_follower = followers[0].submit(&transaction(&signer(1), 0, second.clone())).await;
    let small = followers[1].submit(&transaction(&signer(2), 0, Bytes::new())).await;
    for hash in [at_sealer, at_follower, small] {
        let receipt = sealer.receipt(hash).await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        let block = sealer.call("eth_getBlockByHash", json!([receipt["blockHash"], false])).await;
        for follower in &followers {
            follower.has_block(&block).await;
            assert_eq!(follower.receipt(hash).await, receipt);
        }
    }
    for follower in &followers {
        for (hash, blob) in [(at_sealer, &first), (at_follower, &second)] {
            let got: Bytes =
                serde_json::from_value(follower.call("da_getBlob", json!([hash])).await).expect("bytes");
            assert!(got == *blob, "byte for byte");
        }
        assert_eq!(follower.call("eth_syncing", json!([])).await, false);
        assert_eq!(follower.call("net_listening", json!([])).await, true);
        let status = follower.call("da_status", json!([])).await;
        assert_ne!(status["peers"], "0x0", "{status}");
    }
    let peers = sealer.call("admin_peers", json!([])).await;
    assert_eq!(peers.as_array().map(Vec::len), Some(2), "{peers}");
    let honest = |peer: &Value| peer["score"].as_f64() == Some(0.0);
    assert!(peers.as_array().is_some_and(|peers| peers.iter().all(honest)), "{peers}");
    let holders = sealer.call("da_peers", json!([])).await;
    assert_eq!(holders["columns"], json!(vec!["0x2"; 11]), "both keep all columns: {holders}");
    for follower in followers {
        follower.stop().await;
    }
    sealer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_node_catches_up_stops_and_catches_up_again() {
    let recorder = install_recorder().expect("a registry");
    let sealer = start(folder(), &recorder, None).await;
    let address = sealer.network();
    let seal = async |nonces: std::ops::Range<u64>| {
        let mut last = TxHash::ZERO;
        for nonce in nonces {
            last = sealer.submit(&transaction(&signer(0), nonce, noise(5_000, nonce))).await;
            sealer.receipt(last).await;
        }
        let receipt = sealer.receipt(last).await;
        sealer.call("eth_getBlockByHash", json!([receipt["blockHash"], false])).await
    };
    let begun = Instant::now();
    let block = seal(0..300).await;
    let sealed = begun.elapsed();
    let begun = Instant::now();
    let late = start(folder(), &recorder, Some(&address)).await;
    late.has_block(&block).await;
    let caught_up = begun.elapsed();
    println!("300 blocks: sealed in {sealed:?}, caught up with in {caught_up:?}");
    let data = late.stop().await;

    let block = seal(300..350).await;
    let again = start(data, &recorder, Some(&address)).await;
    again.has_block(&block).await;
    // And what is announced from now on is followed.
    let block = seal(350..353).await;
    again.has_block(&block).await;
    again.stop().await;
    sealer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_was_taken_alone_is_told_when_the_sealer_is_there() {
    let recorder = install_recorder().expect("a registry");
    let sealers = folder();
    // The follower knows whom it believes, and nobody is there.
    let id = peer_id(&sealers.path().join("p2p.key")).expect("a key");
    let follower = start(folder(), &recorder, Some(&format!("/ip4/127.0.0.1/tcp/1/p2p/{id}"))).await;
    let hash = follower.submit(&transaction(&signer(0), 0, noise(200_000, 3))).await;
    let sealer = start(sealers, &recorder, None).await;
    assert_eq!(follower.call("admin_addPeer", json!([sealer.network()])).await, true);
    let receipt = sealer.receipt(hash).await;
    assert_eq!(follower.receipt(hash).await, receipt);
    follower.stop().await;
    sealer.stop().await;
}

/// Has nothing, and asks.
struct Nothing;

impl Serve for Nothing {
    fn status(&self) -> LocalStatus {
        LocalStatus::default()
    }

    fn headers(&self, _: HeadersRequest) -> Vec<Bytes> {
        Vec::new()
    }

    fn body(&self, _: BodyRequest) -> Option<BodyPart> {
        None
    }

    fn cells(&self, _: CellsRequest) -> Option<CellsResponse> {
        None
    }

    fn transactions(&self, _: &[TxHash], _: usize) -> Vec<Bytes> {
        Vec::new()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_serves_headers_bodies_and_cells_that_prove_themselves() {
    let recorder = install_recorder().expect("a registry");
    let sealer = start(folder(), &recorder, None).await;
    let blob = noise(9_000_000, 4);
    let raw = transaction(&signer(0), 0, blob.clone());
    let receipt = sealer.receipt(sealer.submit(&raw).await).await;
    let block: B256 = serde_json::from_value(receipt["blockHash"].clone()).expect("a hash");

    let stranger = config(folder().path(), Some(&sealer.network())).network.expect("set");
    let stranger = NetworkConfig { identity: None, listen: Vec::new(), ..stranger };
    let (network, mut events) = Network::start(stranger, Arc::new(Nothing)).await.expect("starts");
    let peer = loop {
        let event = tokio::time::timeout(DEADLINE, events.recv()).await.expect("in time").expect("an event");
        if let NetworkEvent::PeerUp(peer, status) = event {
            assert!(status.signed_head.is_some() && status.custody_count == 11, "{status:?}");
            break peer;
        }
    };

    let falling = HeadersRequest { start: block.into(), count: 9, falling: true };
    let headers = network.headers(peer, falling, DEADLINE).await.expect("headers");
    assert_eq!(headers.len(), 2, "down to the genesis");
    assert_eq!(keccak256(&headers[0]), block);
    assert_eq!(keccak256(&headers[1]), ChainSpec::dev().genesis_hash());
    let body = network.body(peer, BodyRequest::new(block, 0), DEADLINE).await.expect("a body");
    assert_eq!((body.transaction_count, body.transactions), (1, vec![raw]));
    assert_eq!(body.withdrawals, Some(Vec::new()));

    let chunks = u32::try_from(blob.len().div_ceil(128 << 10)).expect("few");
    let mut cells = 0;
    while cells < chunks {
        let (column, first_chunk) = (ColumnIndex(10), ChunkIndex(cells));
        let request = CellsRequest { block, column, first_chunk, count: chunks - cells };
        let answer = network.cells(peer, request, DEADLINE).await.expect("cells");
        let proven = answer.verify(&request).expect("down to the block's hash").len();
        assert!(proven > 0 && (proven == 32 || cells + 32 > chunks), "a MiB at a time: {proven}");
        cells += u32::try_from(proven).expect("few");
    }
    assert_eq!(cells, chunks);
    let unknown = BodyRequest::new(B256::repeat_byte(1), 0);
    let refused = network.body(peer, unknown, DEADLINE).await.expect_err("unknown");
    assert!(matches!(refused, RequestError::Refused(Refusal::NotFound)), "{refused}");
    network.shutdown().await;
    sealer.stop().await;
}
