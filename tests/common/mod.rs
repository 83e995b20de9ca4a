//! What the end-to-end tests share: a node as a child process on ports of its own, calls to it, accounts that sign.
//!
//! Nothing here waits for time to pass: a start waits for the banner, a transaction for its receipt, each with a
//! deadline that only a broken node reaches.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod lan;

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U64, U256, hex};
use alloy_provider::{Provider, ProviderBuilder, RootProvider};
use alloy_signer::SignerSync;
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

/// Longest wait for anything that must happen.
pub const DEADLINE: Duration = Duration::from_secs(90);
/// Distance of looks at something that announces itself in no other way.
const LOOK: Duration = Duration::from_millis(10);
const MNEMONIC: &str = "test test test test test test test test test test test junk";
pub const CHAIN_ID: u64 = 1337;

/// The binary under test.
pub fn weft_command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
    // Settings of the person who runs the tests must not leak in.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WEFT_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs a command of the binary to its end.
pub fn weft<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    weft_command().args(arguments).output().expect("the binary runs")
}

/// Standard output of a command that must succeed.
pub fn weft_ok<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> String {
    let output = weft(arguments);
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Standard error of a command that must fail.
pub fn weft_err<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> String {
    let output = weft(arguments);
    assert!(!output.status.success(), "succeeded: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Status and body of what a server answers; of the URL only host and port count.
pub fn http(url: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let authority = url.trim_start_matches("http://").split('/').next().expect("an address");
    let mut stream = TcpStream::connect(authority).expect("connects");
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nhost: {authority}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .expect("writes");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("reads");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, body.to_owned())
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("utf-8")
}

/// A wallet file from a key that everybody knows, and its address.
pub fn wallet(folder: &Path) -> (PathBuf, String) {
    let file = folder.join("wallet.json");
    let known = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/archive/tests/common/wallet.json");
    let address = weft_ok(["wallet", "import", text(&known), text(&file)]);
    (file, address.trim().to_owned())
}

/// Looks until there is something, or panics with `what` at the deadline.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < DEADLINE, "{what} did not happen in {DEADLINE:?}");
        thread::sleep(LOOK);
    }
}

/// Calls to a node.
pub struct Rpc {
    provider: RootProvider,
    runtime: Runtime,
}

impl Rpc {
    /// Of the node that answers here.
    pub fn new(url: &str) -> Self {
        weft_arweave::install_tls_provider();
        let runtime = Runtime::new().expect("runtime");
        // The provider's HTTP client is built with TLS, and without one to take by itself.
        weft_arweave::install_tls_provider();
        Self { provider: ProviderBuilder::default().connect_http(url.parse().expect("an address")), runtime }
    }

    /// Calls a method; the error is the node's message, or the connection's.
    pub fn try_call<R: DeserializeOwned>(&self, method: &'static str, params: Value) -> Result<R, String> {
        let provider = self.provider.clone();
        let request = async move { provider.raw_request::<_, Value>(method.into(), params).await };
        // On the runtime's own threads, which are in the network namespace that this was made in.
        let answer = self.runtime.block_on(self.runtime.spawn(request)).expect("no panic");
        let result = answer.map_err(|error| error.to_string())?;
        serde_json::from_value(result).map_err(|error| format!("{method}: {error}"))
    }

    /// Calls a method that must succeed.
    pub fn call<R: DeserializeOwned>(&self, method: &'static str, params: Value) -> R {
        self.try_call(method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }
}

/// A running `weft node`. Killed when dropped.
pub struct Node {
    child: Child,
    client: Rpc,
    pub datadir: PathBuf,
    pub rpc: String,
    pub metrics: String,
    /// Where peers dial it, with its peer id; `off,` without a network.
    pub network: String,
    /// What the node printed when it was up.
    pub banner: Vec<String>,
    log: PathBuf,
}

impl Node {
    /// Starts a node over `datadir` and waits until it serves.
    pub fn start(datadir: &Path, arguments: &[&str]) -> Self {
        Self::try_start(datadir, arguments).unwrap_or_else(|log| panic!("the node did not come up:\n{log}"))
    }

    /// Starts a node that seals, or gives its log when it ends before it serves.
    pub fn try_start(datadir: &Path, arguments: &[&str]) -> Result<Self, String> {
        let own = ["node", "--dev", "--http.port=0", "--metrics=127.0.0.1:0", "--db.min-free=1"];
        Self::launch(weft_command(), datadir, &[&own, arguments].concat())
    }

    /// Starts a node by this command (`weft`, or something that runs it), or gives its log when it ends before it serves.
    pub fn launch(mut command: Command, datadir: &Path, arguments: &[&str]) -> Result<Self, String> {
        let log = datadir.with_extension("log");
        let stderr = File::options().create(true).append(true).open(&log).expect("log file");
        let mut child = command
            .args(arguments)
            .arg("--datadir")
            .arg(datadir)
            // A flag wins: a test that wants Arweave says so. Else nodes would meet at its port.
            .env("WEFT_ARWEAVE_EMBEDDED", "off")
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("the binary runs");
        let banner = read_banner(child.stdout.take().expect("piped"));
        let field = |name: &str| {
            let line = banner.iter().find(|line| line.trim_start().starts_with(name))?;
            line.split_whitespace().nth(1).map(str::to_owned)
        };
        let fields = (field("http "), field("metrics "), field("network "));
        let (Some(rpc), Some(metrics), Some(network)) = fields else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(fs::read_to_string(&log).unwrap_or_default());
        };
        let client = Rpc::new(&rpc);
        Ok(Self { child, client, datadir: datadir.into(), rpc, metrics, network, banner, log })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The node's log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The most that it had in memory at one time, program text included.
    pub fn peak_memory_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib << 10
    }

    /// Calls a method; the error is the node's message, or the connection's.
    pub fn try_call<R: DeserializeOwned>(&self, method: &'static str, params: Value) -> Result<R, String> {
        self.client.try_call(method, params)
    }

    /// Calls a method that must succeed.
    pub fn call<R: DeserializeOwned>(&self, method: &'static str, params: Value) -> R {
        self.try_call(method, params).unwrap_or_else(|error| panic!("{method}: {error}\n{}", self.log()))
    }

    pub fn block_number(&self) -> u64 {
        self.call::<U64>("eth_blockNumber", json!([])).to()
    }

    /// The id by which peers know it.
    pub fn peer_id(&self) -> &str {
        self.network.rsplit_once("/p2p/").expect("a network").1
    }

    pub fn peer_count(&self) -> u64 {
        self.call::<U64>("net_peerCount", json!([])).to()
    }

    /// Waits until it is at this height. Each block has its own deadline, so that only one that stands still fails.
    pub fn follow_to(&self, height: u64) {
        let mut at = self.block_number();
        while at < height {
            at = eventually(&format!("a block after {at} of {height}"), || {
                Some(self.block_number()).filter(|number| *number > at)
            });
        }
    }

    /// It gives this blob back by its transaction's hash.
    pub fn assert_blob(&self, hash: B256, data: &[u8]) {
        let blob: Option<Bytes> = self.call("da_getBlob", json!([hash]));
        let blob = blob.unwrap_or_else(|| panic!("{hash} is not there"));
        assert!(blob[..] == *data, "{hash} has other bytes");
    }

    /// Waits for a transaction's receipt.
    pub fn receipt(&self, hash: B256) -> Value {
        eventually("the receipt", || self.call::<Option<Value>>("eth_getTransactionReceipt", json!([hash])))
    }

    /// Waits until the BlobArchive stage has reached the head of now.
    pub fn archived(&self) {
        let head = self.block_number();
        eventually("the BlobArchive stage at the head", || {
            let status: Value = self.call("da_status", json!([]));
            let stages = status["stages"].as_array().expect("stages");
            let stage = stages.iter().find(|stage| stage["name"] == "BlobArchive").expect("the stage");
            let done: Option<U64> = serde_json::from_value(stage["checkpoint"]["number"].clone()).ok();
            done.filter(|done| done.to::<u64>() >= head)
        });
    }

    /// Status and body of a page of the operations server.
    pub fn page(&self, path: &str) -> (u16, String) {
        http(&self.metrics, "GET", path, "")
    }

    /// The gateway inside of it.
    pub fn gateway(&self) -> String {
        let line = self.banner.iter().find(|line| line.trim_start().starts_with("arweave "));
        line.and_then(|line| line.split_whitespace().nth(1)).expect("a gateway").to_owned()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        let pid = libc::pid_t::try_from(self.child.id()).expect("a process id");
        // SAFETY: the child has not been waited for, so that its id is still its own.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    /// Waits until the process has ended.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("a child")
    }

    /// Stops the node in order.
    pub fn stop(mut self) {
        self.signal(libc::SIGTERM);
        let status = self.wait();
        assert!(status.success(), "{status}\n{}", self.log());
    }

    /// Ends the process without a chance to do anything.
    pub fn kill(mut self) {
        self.signal(libc::SIGKILL);
        self.wait();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The banner's lines, up to its last one or the end of the process.
fn read_banner(stdout: impl Read + Send + 'static) -> Vec<String> {
    let (lines, banner) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    let mut read = Vec::new();
    while let Ok(line) = banner.recv_timeout(DEADLINE) {
        // The last line of a node without execution.
        let last = ["custody", "sampling"].iter().any(|word| line.trim_start().starts_with(word));
        read.push(line);
        if last || read.len() == 10 {
            break;
        }
    }
    read
}

/// An account of the dev mnemonic that signs.
pub struct Account {
    signer: PrivateKeySigner,
    pub nonce: u64,
}

impl Account {
    /// The `index`-th dev account with its next nonce.
    pub fn open(node: &Node, index: u32) -> Self {
        let signer = MnemonicBuilder::try_from_phrase_nth(MNEMONIC, index).expect("a key");
        let nonce: U64 = node.call("eth_getTransactionCount", json!([signer.address(), "latest"]));
        Self { signer, nonce: nonce.to() }
    }

    pub fn address(&self) -> Address {
        self.signer.address()
    }

    /// A signed transaction with its hash; the nonce moves on.
    pub fn sign(&mut self, to: Address, value: U256, input: Bytes) -> (B256, String) {
        let tx = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce: self.nonce,
            gas_limit: 30_000 + 10 * input.len() as u64,
            max_fee_per_gas: 1_000_000_000_000,
            max_priority_fee_per_gas: 1,
            to: TxKind::Call(to),
            value,
            input,
            ..Default::default()
        };
        self.nonce += 1;
        let signature = self.signer.sign_hash_sync(&tx.signature_hash()).expect("signs");
        let tx = TxEnvelope::from(tx.into_signed(signature));
        (*tx.tx_hash(), hex::encode_prefixed(tx.encoded_2718()))
    }

    /// Sends calldata to itself and waits for the receipt.
    pub fn publish(&mut self, node: &Node, input: Bytes) -> B256 {
        let (hash, raw) = self.sign(self.address(), U256::ZERO, input);
        let answer: B256 = node.call("eth_sendRawTransaction", json!([raw]));
        assert_eq!(answer, hash);
        assert_eq!(node.receipt(hash)["status"], "0x1");
        hash
    }
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A folder for a node's data and its log.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}
