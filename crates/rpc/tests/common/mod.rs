//! A real small chain behind a real server: store, pool, engine, and blocks that the test seals itself.
#![allow(dead_code, clippy::unwrap_used)] // not every test file uses all of it

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
};
use weft_archive::{BLOB_ARCHIVE, Retriever};
use weft_chainspec::ChainSpec;
use weft_engine::{Engine, EngineConfig, EngineHandle, ForkchoiceState, PayloadAttributes, init_genesis};
use weft_evm::Evm;
use weft_pool::{Pool, PoolConfig};
use weft_rpc::{NetworkParts, Readiness, RpcConfig, RpcContext, RpcParts, RpcServer, SyncView, Syncing};
use weft_storage::{Store, StoreOptions};

/// A node without a network: everything that RPC stands on.
pub struct Node {
    pub spec: Arc<ChainSpec>,
    pub store: Store,
    pub pool: Pool,
    pub engine: EngineHandle,
    pub server: RpcServer,
    pub readiness: watch::Sender<Readiness>,
    /// How far it says that it is in catching up.
    pub syncing: watch::Sender<Option<Syncing>>,
    _engine_ends: EndOfEngine,
    _folder: tempfile::TempDir,
}

#[derive(Debug)]
struct Sync(watch::Receiver<Option<Syncing>>);

impl SyncView for Sync {
    fn syncing(&self) -> Option<Syncing> {
        *self.0.borrow()
    }

    fn turned(&self, syncing: bool) -> BoxFuture<'static, ()> {
        let mut seen = self.0.clone();
        Box::pin(async move {
            seen.wait_for(|now| now.is_some() != syncing).await.unwrap();
        })
    }
}

/// Waits for the engine's thread, which has the database open, before the process may end.
struct EndOfEngine(EngineHandle);

impl Drop for EndOfEngine {
    fn drop(&mut self) {
        let end = async || self.0.shutdown().await;
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(end()));
    }
}

impl Node {
    /// The dev chain at genesis, served with `config` on a free port.
    pub async fn start(config: RpcConfig) -> Self {
        Self::start_with(ChainSpec::dev(), config).await
    }

    /// Another chain at its genesis.
    pub async fn start_with(spec: ChainSpec, config: RpcConfig) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), spec, config).await
    }

    /// A chain over a folder that may hold some of it.
    pub async fn start_in(folder: tempfile::TempDir, spec: ChainSpec, config: RpcConfig) -> Self {
        let spec = Arc::new(spec);
        let store =
            Store::open(folder.path(), StoreOptions { disk_reserve_bytes: 0, ..StoreOptions::default() })
                .unwrap();
        init_genesis(&spec, &store).unwrap();
        let pool = Pool::new(Arc::clone(&spec), store.clone(), PoolConfig::default()).unwrap();
        let engine =
            Engine::new(Arc::clone(&spec), store.clone(), Some(pool.clone()), EngineConfig::default())
                .unwrap();
        let engine = EngineHandle::spawn(engine).unwrap();
        let (readiness, ready) = watch::channel(Readiness::Starting);
        let (syncing, seen) = watch::channel(None);
        let parts = RpcParts {
            spec: Arc::clone(&spec),
            store: store.clone(),
            pool: pool.clone(),
            engine: engine.clone(),
            evm: Evm::new(Arc::clone(&spec)),
            permanence: weft_rpc::PermanenceParts::off(),
            network: NetworkParts { handle: None, sync: Some(Arc::new(Sync(seen))) },
            retriever: Retriever::new(store.clone()),
            stages: vec![BLOB_ARCHIVE],
            readiness: ready,
            client_version: "weft/test".to_owned(),
        };
        let dev_keys = (0..10).map(|index| signer(index).to_bytes()).collect();
        let config = RpcConfig { address: ([127, 0, 0, 1], 0).into(), dev_keys, ..config };
        let server = RpcServer::start(Arc::new(RpcContext::new(parts, config).unwrap())).await.unwrap();
        let _engine_ends = EndOfEngine(engine.clone());
        Self { spec, store, pool, engine, server, readiness, syncing, _engine_ends, _folder: folder }
    }

    /// Seals what the pool has on top of `parent`, and makes it the head.
    pub async fn seal_on(&self, parent: B256, timestamp: u64) -> B256 {
        let attributes = PayloadAttributes {
            parent,
            timestamp,
            suggested_fee_recipient: Address::repeat_byte(0xfe),
            prev_randao: B256::repeat_byte(7),
            withdrawals: Some(Default::default()),
            parent_beacon_block_root: Some(B256::ZERO),
        };
        let block = self.engine.build_payload(attributes).await.unwrap();
        let hash = block.header.hash();
        let state = ForkchoiceState { head: hash, safe: Some(hash), finalized: None };
        assert!(self.engine.forkchoice_updated(state).await.unwrap().is_valid());
        self.settled(hash).await;
        hash
    }

    /// Seals on the head, one second later.
    pub async fn seal(&self) -> B256 {
        let (head, timestamp) = {
            let view = self.store.view();
            let head = view.head().unwrap();
            (head.hash, view.header(head.number).unwrap().unwrap().timestamp)
        };
        self.seal_on(head, timestamp + 1).await
    }

    /// Returns when the server has taken in that `hash` is the head.
    pub async fn settled(&self, hash: B256) {
        let context = self.server.context();
        let mut changes = context.head.subscribe();
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
        while context.head.header().hash() != hash {
            tokio::time::timeout_at(deadline, changes.recv()).await.expect("the head is followed").unwrap();
        }
    }

    /// One call; the whole answer.
    pub async fn post(&self, body: &Value) -> Value {
        let (_, text) = self
            .http("POST", "/", &[("content-type", "application/json")], body.to_string().as_bytes())
            .await;
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"))
    }

    /// A result, or panic with the error.
    pub async fn call(&self, method: &str, params: Value) -> Value {
        let answer =
            self.post(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })).await;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Code and message of an error.
    pub async fn fail(&self, method: &str, params: Value) -> (i64, String) {
        let answer =
            self.post(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })).await;
        let error = answer.get("error").unwrap_or_else(|| panic!("{method} succeeded: {answer}"));
        (error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())
    }

    /// One HTTP request on a connection of its own: status and body.
    pub async fn http(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (u16, String) {
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "host") {
            request += "host: localhost\r\n";
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        let mut stream = TcpStream::connect(self.server.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        // The server may answer and close before it has read a body that it refuses.
        let _ = stream.write_all(body).await;
        read_response(&mut stream).await
    }

    /// Submits a signed transaction.
    pub async fn send(&self, raw: &Bytes) -> B256 {
        serde_json::from_value(self.call("eth_sendRawTransaction", json!([raw])).await).unwrap()
    }
}

/// Status and body of a response on a connection that is closed after it.
pub async fn read_response(stream: &mut TcpStream) -> (u16, String) {
    let mut response = Vec::new();
    let _ = stream.read_to_end(&mut response).await;
    let text = String::from_utf8_lossy(&response).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}

/// Dev account `index` of the well-known mnemonic.
pub fn signer(index: u32) -> PrivateKeySigner {
    MnemonicBuilder::english_by_index(index)
}

trait ByIndex {
    fn english_by_index(index: u32) -> PrivateKeySigner;
}

impl ByIndex for MnemonicBuilder<alloy_signer_local::coins_bip39::English> {
    fn english_by_index(index: u32) -> PrivateKeySigner {
        Self::default()
            .phrase("test test test test test test test test test test test junk")
            .index(index)
            .unwrap()
            .build()
            .unwrap()
    }
}

/// A transaction that the tests fill in.
pub fn transaction(chain_id: u64, nonce: u64, to: TxKind, input: Bytes) -> TxEip1559 {
    TxEip1559 {
        chain_id,
        nonce,
        gas_limit: 1_000_000 + 16 * input.len() as u64,
        max_fee_per_gas: 10_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to,
        value: U256::ZERO,
        access_list: Default::default(),
        input,
    }
}

/// Signed and encoded.
pub fn sign(signer: &PrivateKeySigner, tx: TxEip1559) -> Bytes {
    let signature = signer.sign_hash_sync(&tx.signature_hash()).unwrap();
    TxEnvelope::from(tx.into_signed(signature)).encoded_2718().into()
}
