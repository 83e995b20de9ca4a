//! The client against `arlocal`, a development gateway that is not ours: it takes our transactions, chunks and bundles, and serves
//! what we can verify.
//!
//! Two things that it does otherwise than the network are kept out of its way: chunks that come side by side damage its copy
//! (they are sent one by one here), and it places no proof of inclusion beside them (that is tested against our own gateway).

mod common;

use common::{config, data};
use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use weft_arweave::{
    Bundle, ChunkTree, Client, ClientConfig, DataItem, EthereumKey, Id, ItemDraft, Signer, Tag, Transaction,
    TransactionDraft, Wallet, Winston, bundle,
    client::{Posted, Query, TransactionStatus, UploadData, Url},
    merkle::verify_chunk,
};

const MAX: u64 = 64 << 20;
/// For its start, and for whatever is waited for afterwards.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running arlocal. Killed when dropped.
struct ArLocal {
    child: Child,
    url: Url,
    http: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl ArLocal {
    async fn start() -> Self {
        let program = installed();
        let folder = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        let child = Command::new("node")
            .arg(program)
            .args([&port.to_string(), "--hidelogs", "--dbpath"])
            .arg(folder.path().join("db"))
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("node runs");
        let url: Url = format!("http://127.0.0.1:{port}").parse().expect("an address");
        // Installs the TLS provider that an HTTP client wants.
        let _ = config(&[url.as_str()]);
        let arlocal = Self { child, url, http: reqwest::Client::new(), _folder: folder };
        let begun = Instant::now();
        while arlocal.get("info").await.is_none() {
            assert!(begun.elapsed() < DEADLINE, "arlocal does not answer");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        arlocal
    }

    async fn get(&self, path: &str) -> Option<String> {
        let answer = self.http.get(self.url.join(path).expect("a path")).send().await.ok()?;
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.text().await.ok()
    }

    async fn mine(&self) {
        self.get("mine").await.expect("mined");
    }
}

impl Drop for ArLocal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Its program, installed once into the build folder; npm compiles its database.
fn installed() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/js/arlocal/package.json");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("arlocal");
    let (copy, done) = (target.join("package.json"), target.join("installed"));
    let wanted = fs::read(manifest).expect("package.json");
    if !done.exists() || fs::read(&copy).ok().as_ref() != Some(&wanted) {
        fs::create_dir_all(&target).expect("a folder");
        fs::write(copy, wanted).expect("written");
        let install = ["install", "--no-audit", "--no-fund", "--loglevel=error"];
        let output = Command::new("npm").args(install).current_dir(&target).output().expect("npm runs");
        assert!(output.status.success(), "npm install: {}", String::from_utf8_lossy(&output.stderr));
        fs::write(done, "").expect("written");
    }
    target.join("node_modules/arlocal/bin/index.js")
}

async fn publish(client: &Client, wallet: &Wallet, whole: Vec<u8>, tags: Vec<Tag>) -> Transaction {
    let tree = ChunkTree::of(&whole);
    let draft = TransactionDraft {
        last_tx: client.tx_anchor().await.expect("an anchor"),
        reward: client.price(tree.size(), None).await.expect("a price"),
        tags,
        ..TransactionDraft::publishing(&tree)
    };
    let transaction = draft.sign(wallet).expect("signed");
    assert_eq!(client.post(&transaction).await.expect("posted"), Posted::Accepted);
    let all = 0..tree.chunks().len();
    client
        .upload_chunks(&transaction, &tree, &UploadData::Bytes(whole.into()), all, |_| ())
        .await
        .expect("taken");
    transaction
}

async fn assert_served(client: &Client, transaction: &Transaction, whole: &[u8]) {
    let id = transaction.id;
    let status = client.transaction_status(id).await.expect("a status");
    assert!(matches!(status, TransactionStatus::Confirmed { .. }), "{status:?}");
    // Both verify: the signature, and the data against its root.
    assert_eq!(client.transaction(id).await.expect("served").data_root, transaction.data_root);
    let (served, bytes) = client.transaction_with_data(id, MAX).await.expect("verified");
    assert_eq!((served.id, &bytes[..]), (id, whole));
    let (tree, placement) = (ChunkTree::of(whole), client.placement(id).await.expect("an offset"));
    assert_eq!(placement.size, whole.len() as u64);
    for chunk in tree.chunks() {
        let at = placement.start + chunk.range.start;
        let served = client.untrusted_chunk(at).await.expect("a chunk");
        verify_chunk(&tree.root(), tree.size(), chunk.range.start, &served.data_path, &served.chunk)
            .unwrap_or_else(|error| panic!("the chunk at {at}: {error}"));
    }
}

fn items(wallet: &Wallet) -> Vec<DataItem> {
    let key = EthereumKey::from_bytes(&[0x42; 32]).expect("a key");
    let draft = |length: usize| ItemDraft {
        tags: vec![Tag::new("App-Name", "weft-arlocal"), Tag::new("Length", length.to_string())],
        data: data(length).into(),
        ..ItemDraft::default()
    };
    let signers = [Signer::Arweave(wallet), Signer::Ethereum(&key)];
    let sizes = [10, 70_000, 300_000];
    signers
        .into_iter()
        .flat_map(|signer| sizes.map(|length| draft(length).sign(signer).expect("signed")))
        .collect()
}

async fn assert_unbundled(client: &Client, bundle: Id, items: &[DataItem]) {
    for item in items {
        assert_eq!(client.untrusted_data(item.id(), MAX).await.expect("served"), item.data());
        let found = client.item_in_bundle(bundle, item.id(), MAX).await.expect("verified");
        assert_eq!(found.bytes(), item.bytes());
    }
    let query = Query { tags: vec![("App-Name".into(), vec!["weft-arlocal".into()])], ..Query::default() };
    let page = client.untrusted_page(&query, None).await.expect("answered");
    let mut found: Vec<Id> = page.found.iter().map(|found| found.id).collect();
    let mut expected: Vec<Id> = items.iter().map(DataItem::id).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "by tag");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "npm compiles arlocal's database, for minutes: make test-arlocal"]
async fn arlocal_takes_and_serves_what_is_ours() {
    let arlocal = ArLocal::start().await;
    let config = ClientConfig { parallel_max: 1, ..config(&[arlocal.url.as_str()]) };
    let client = Client::new(config).expect("a client");
    assert_eq!(client.network_info().await.expect("info").network, "arlocal.N.1");
    let wallet = tokio::task::spawn_blocking(Wallet::generate).await.expect("no panic").expect("a key");
    let address = wallet.address();
    arlocal.get(&format!("mint/{address}/1000000000000000")).await.expect("minted");
    assert_eq!(client.balance(address).await.expect("a balance"), Winston(1_000_000_000_000_000));

    for length in [1, 262_144, 262_145, 5 * 262_144 + 100] {
        let transaction =
            publish(&client, &wallet, data(length), vec![Tag::new("Length", length.to_string())]).await;
        arlocal.mine().await;
        assert_served(&client, &transaction, &data(length)).await;
    }

    let items = items(&wallet);
    let bundle = Bundle::new(items.clone()).expect("a bundle").to_bytes();
    let carrier = publish(&client, &wallet, bundle.to_vec(), bundle::tags()).await;
    arlocal.mine().await;
    assert_served(&client, &carrier, &bundle).await;
    assert_unbundled(&client, carrier.id, &items).await;
    assert!(
        client.balance(address).await.expect("a balance") < Winston(1_000_000_000_000_000),
        "nothing paid"
    );
}
