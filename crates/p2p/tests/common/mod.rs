//! Nodes on loopback, a chain in memory that they serve, and peers that misbehave.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod evil;

use libp2p::identity::Keypair;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc as blocking,
    },
    time::Duration,
};
use tokio::sync::mpsc;
use weft_erasure::{Anchor, BlockCells, RangeProof, column_of, encode_blob};
use weft_p2p::{
    BodyPart, BodyRequest, CellsRequest, CellsResponse, ColumnSegment, ForkDigest, Head, HeadersRequest,
    LocalStatus, Multiaddr, Network, NetworkConfig, NetworkEvent, NetworkHandle, PeerId, Serve,
};
use weft_primitives::{B256, Bytes, ChunkIndex, ColumnIndex, Geometry, Header, TxHash};

/// Nothing here takes this long.
pub const DEADLINE: Duration = Duration::from_secs(60);
pub const GENESIS: B256 = B256::repeat_byte(0x11);
pub const DIGEST: ForkDigest = ForkDigest([1, 2, 3, 4]);
pub const GEOMETRY: Geometry = Geometry::DEV;

/// What a test node serves.
#[derive(Default)]
pub struct Chain {
    pub headers: Mutex<Vec<Bytes>>,
    pub bodies: Mutex<HashMap<B256, Vec<Bytes>>>,
    pub transactions: Mutex<HashMap<TxHash, Bytes>>,
    pub blocks: Mutex<HashMap<B256, TestBlock>>,
    /// Calls that are being answered, and the most there ever were.
    pub running: AtomicUsize,
    pub running_max: AtomicUsize,
    /// When set, every call waits here for a permission.
    pub gate: Mutex<Option<blocking::Receiver<()>>>,
}

impl Chain {
    fn enter(&self) {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.running_max.fetch_max(running, Ordering::SeqCst);
        let gate = self.gate.lock().unwrap();
        if let Some(gate) = gate.as_ref() {
            gate.recv_timeout(DEADLINE).expect("the test gives a permission");
        }
        drop(gate);
        self.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Serve for Chain {
    fn status(&self) -> LocalStatus {
        LocalStatus::default()
    }

    fn headers(&self, request: HeadersRequest) -> Vec<Bytes> {
        self.enter();
        let headers = self.headers.lock().unwrap();
        let start = request.start.as_number().unwrap_or(0) as usize;
        headers.iter().skip(start).take(request.count as usize).cloned().collect()
    }

    fn body(&self, request: BodyRequest) -> Option<BodyPart> {
        self.enter();
        let bodies = self.bodies.lock().unwrap();
        let all = bodies.get(&request.block)?;
        let mut bytes = 0;
        let transactions = all
            .iter()
            .skip(request.first_tx as usize)
            .take_while(|tx| {
                let fits = bytes < request.max_bytes as usize;
                bytes += tx.len();
                fits
            })
            .cloned()
            .collect();
        Some(BodyPart {
            first_tx: request.first_tx,
            transaction_count: all.len() as u32,
            transactions,
            withdrawals: Some(Vec::new()),
        })
    }

    fn cells(&self, request: CellsRequest) -> Option<CellsResponse> {
        self.enter();
        let blocks = self.blocks.lock().unwrap();
        let segment = blocks.get(&request.block)?.segment(request.column, request.first_chunk, request.count);
        Some(CellsResponse { anchor: segment.anchor, range: segment.range })
    }

    fn transactions(&self, hashes: &[TxHash], _: usize) -> Vec<Bytes> {
        self.enter();
        let transactions = self.transactions.lock().unwrap();
        hashes.iter().filter_map(|hash| transactions.get(hash).cloned()).collect()
    }
}

/// A block with one blob.
pub struct TestBlock {
    pub header: Header,
    pub cells: BlockCells,
    pub columns: Vec<Bytes>,
}

impl TestBlock {
    pub fn new(number: u64, blob: &[u8]) -> Self {
        let encoded = encode_blob(GEOMETRY, blob);
        let columns =
            (0..GEOMETRY.columns() as u16).map(|column| column_of(&encoded, blob, ColumnIndex(column)));
        let columns = columns.collect();
        let cells = BlockCells::of_blobs(GEOMETRY, &[(0, TxHash::repeat_byte(number as u8), &encoded)]);
        let header = Header { number, extra_data: cells.summary().da_root.into(), ..Header::default() };
        Self { header, cells, columns }
    }

    pub fn hash(&self) -> B256 {
        self.header.hash_slow()
    }

    pub fn segment(&self, column: ColumnIndex, first: ChunkIndex, count: u32) -> ColumnSegment {
        let bytes = &self.columns[usize::from(column.0)];
        let chunks = self.cells.summary().chunk_count;
        let size = |chunk| self.cells.cell_bytes(ChunkIndex(chunk)).unwrap();
        let mut at: usize = (0..first.0).map(size).sum();
        let mut cells = Vec::new();
        for chunk in first.0..chunks.min(first.0.saturating_add(count)) {
            cells.push(bytes.slice(at..at + size(chunk)));
            at += size(chunk);
        }
        let range = RangeProof::new(&self.cells, column, first, cells).unwrap();
        ColumnSegment::new(Anchor::new(&self.header, self.cells.summary()).unwrap(), range)
    }
}

/// Bytes without a pattern.
pub fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    };
    (0..bytes.div_ceil(8)).flat_map(|_| next().to_le_bytes()).take(bytes).collect()
}

pub fn config() -> NetworkConfig {
    let mut config = NetworkConfig::new(GENESIS, DIGEST, GEOMETRY.columns() as u16);
    config.listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
    // Topologies are the tests'.
    config.discovery = false;
    config.limits.redial = Duration::from_millis(50);
    config
}

/// A running node.
pub struct Node {
    pub handle: NetworkHandle,
    pub events: mpsc::Receiver<NetworkEvent>,
    pub chain: Arc<Chain>,
}

impl Node {
    pub async fn start(config: NetworkConfig) -> Self {
        Self::with_key(config, Keypair::generate_ed25519()).await
    }

    pub async fn with_key(config: NetworkConfig, key: Keypair) -> Self {
        let chain = Arc::new(Chain::default());
        let (handle, events) = Network::start_with_key(config, key, chain.clone()).await.unwrap();
        Self { handle, events, chain }
    }

    pub fn peer(&self) -> PeerId {
        self.handle.local_peer_id()
    }

    /// Where it listens, with its id.
    pub fn address(&self) -> Multiaddr {
        self.handle.listen_addresses()[0].clone().with_p2p(self.peer()).unwrap()
    }

    /// The next event that `pick` takes; others are dropped, with their verdicts.
    pub async fn wait<T>(&mut self, what: &str, mut pick: impl FnMut(NetworkEvent) -> Option<T>) -> T {
        let picked = async {
            loop {
                let event = self.events.recv().await.expect("the network runs");
                if let Some(picked) = pick(event) {
                    return picked;
                }
            }
        };
        tokio::time::timeout(DEADLINE, picked).await.unwrap_or_else(|_| panic!("no {what}"))
    }

    pub async fn wait_up(&mut self, other: PeerId) -> weft_p2p::RemoteStatus {
        self.wait("arrival", |event| match event {
            NetworkEvent::PeerUp(peer, status) if peer == other => Some(status),
            _ => None,
        })
        .await
    }

    pub async fn wait_down(&mut self, other: PeerId) {
        self.wait("departure", |event| match event {
            NetworkEvent::PeerDown(peer) if peer == other => Some(()),
            _ => None,
        })
        .await;
    }

    pub async fn connect(&mut self, other: &mut Self) {
        self.handle.add_peer(other.address()).await.unwrap();
        self.wait_up(other.peer()).await;
        other.wait_up(self.peer()).await;
    }

    pub async fn score_of(&self, other: PeerId) -> Option<f64> {
        self.handle.peers().await.into_iter().find(|info| info.peer == other).map(|info| info.score)
    }

    /// Waits until the peer's score is what `is` wants; polls, because a score is not an event.
    pub async fn wait_score(&self, other: PeerId, is: impl Fn(f64) -> bool) {
        let met = async {
            while !self.score_of(other).await.is_some_and(&is) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, met).await.expect("the score changes");
    }
}

pub fn head(number: u64) -> Head {
    Head { number, hash: B256::with_last_byte(number as u8) }
}

pub async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("in time")
}
