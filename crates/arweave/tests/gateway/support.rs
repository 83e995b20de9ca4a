//! A gateway in a folder of its own, a client without a library of ours, and signed things to send.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tempfile::TempDir;
use weft_arweave::{
    Address, Anchor, ChunkTree, DataItem, EthereumKey, Gateway, GatewayConfig, GatewayHandle, Id, ItemDraft,
    Signer, Tag, Transaction, TransactionDraft, Wallet, Winston, chunk::PostedChunk,
};

/// Far more than any test spends.
pub const FUNDS: Winston = Winston(1_000_000_000_000_000);

/// Keys for these tests only: making one takes seconds.
pub fn wallet() -> Wallet {
    Wallet::from_jwk(include_bytes!("wallet.json")).expect("a key")
}

pub fn bundler() -> Wallet {
    Wallet::from_jwk(include_bytes!("bundler.json")).expect("a key")
}

/// Byte i is a mix of i and a seed.
pub fn data(length: usize, seed: u8) -> Bytes {
    (0..length).map(|at| (at * 31 + at / 251) as u8 ^ seed).collect::<Vec<_>>().into()
}

pub fn tag(name: &str, value: &str) -> Tag {
    Tag::new(name, value)
}

pub fn item(tags: Vec<Tag>, data: Bytes) -> DataItem {
    let key = EthereumKey::from_bytes(&[7; 32]).expect("a key");
    ItemDraft { tags, data, ..ItemDraft::default() }.sign(Signer::Ethereum(&key)).expect("signed")
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    #[track_caller]
    pub fn is(&self, status: u16, text: &str) {
        assert_eq!((self.status.as_u16(), self.text()), (status, text));
    }
}

pub struct Web {
    client: Client<HttpConnector, Full<Bytes>>,
    pub url: String,
}

impl Web {
    pub fn new(url: String) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), url }
    }

    /// Nothing when the connection was closed before the answer was whole.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Option<Answer> {
        let (head, body) = self.client.request(request).await.ok()?.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        Some(Answer { status: head.status, headers: head.headers, body })
    }

    pub fn request(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
        let uri = format!("{}{path}", self.url);
        Request::builder().method(method).uri(uri).body(Full::new(body.into())).expect("a request")
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path, "")).await.expect("an answer")
    }

    pub async fn post(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(self.request(Method::POST, path, body)).await.expect("an answer")
    }

    pub async fn range(&self, path: &str, range: &str) -> Answer {
        let mut request = self.request(Method::GET, path, "");
        request.headers_mut().insert("range", range.parse().expect("a header"));
        self.send(request).await.expect("an answer")
    }

    /// Posts a query and gives `data`.
    pub async fn query(&self, query: &str) -> Value {
        let answer = self.post("/graphql", serde_json::json!({ "query": query }).to_string()).await;
        let mut json = answer.json();
        assert!(json.get("errors").is_none(), "{query}: {json}");
        json["data"].take()
    }
}

/// A running gateway with a funded wallet.
pub struct Net {
    pub folder: TempDir,
    pub gateway: GatewayHandle,
    pub web: Web,
    pub wallet: Wallet,
}

pub fn config(folder: &TempDir) -> GatewayConfig {
    GatewayConfig { bundler: Some(bundler()), ..GatewayConfig::new(folder.path().join("gateway")) }
}

impl Net {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut GatewayConfig)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = config(&folder);
        change(&mut config);
        let net = Self::open(folder, config).await;
        net.gateway.mint(net.address(), FUNDS).await.expect("minted");
        net
    }

    pub async fn open(folder: TempDir, config: GatewayConfig) -> Self {
        let gateway = Gateway::start(config).await.expect("starts");
        let web = Web::new(gateway.url());
        Self { folder, gateway, web, wallet: wallet() }
    }

    /// Stops it and starts it again on the same folder.
    pub async fn restart(self) -> Self {
        let Self { folder, gateway, .. } = self;
        gateway.stop().await;
        let config = config(&folder);
        Self::open(folder, config).await
    }

    pub fn address(&self) -> Address {
        self.wallet.address()
    }

    pub async fn anchor(&self) -> Anchor {
        self.web.get("/tx_anchor").await.text().parse().expect("an anchor")
    }

    pub async fn price(&self, bytes: u64) -> Winston {
        self.web.get(&format!("/price/{bytes}")).await.text().parse().expect("a price")
    }

    /// A draft with anchor and price of now.
    pub async fn draft(&self, tree: &ChunkTree, tags: Vec<Tag>) -> TransactionDraft {
        TransactionDraft {
            last_tx: self.anchor().await,
            reward: self.price(tree.size()).await,
            tags,
            ..TransactionDraft::publishing(tree)
        }
    }

    pub async fn sign(&self, tree: &ChunkTree, tags: Vec<Tag>) -> Transaction {
        self.draft(tree, tags).await.sign(&self.wallet).expect("signed")
    }

    pub async fn post(&self, transaction: &Transaction) -> Answer {
        self.web.post("/tx", serde_json::to_vec(transaction).expect("JSON")).await
    }

    /// Posts data with its transaction: inline where it is one chunk.
    pub async fn publish(&self, data: Bytes, tags: Vec<Tag>) -> Id {
        let tree = ChunkTree::of(&data);
        let transaction = self.sign(&tree, tags).await;
        if tree.chunks().len() == 1 {
            self.post(&transaction.with_data(data)).await.is(200, "OK");
            return transaction.id;
        }
        self.post(&transaction).await.is(200, "OK");
        for at in 0..tree.chunks().len() {
            self.web.post("/chunk", chunk(&tree, &data, at)).await.is(200, "OK");
        }
        transaction.id
    }

    /// A block; gives its height.
    pub async fn mine(&self) -> u64 {
        self.gateway.mine(1).await.expect("mined")
    }
}

/// The body that posts a chunk.
pub fn chunk(tree: &ChunkTree, data: &Bytes, at: usize) -> Vec<u8> {
    let range = tree.chunks()[at].range.clone();
    let bytes = data.slice(range.start as usize..range.end as usize);
    let posted = PostedChunk::new(tree, at, bytes).expect("its bytes").expect("a chunk");
    serde_json::to_vec(&posted).expect("JSON")
}
