//! Prints how fast bodies, cells and gossip move between two nodes of this process over loopback.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use weft_erasure::{Anchor, RangeProof};
use weft_p2p::{
    BodyPart, BodyRequest, CellsRequest, CellsResponse, ColumnSegment, ForkDigest, HeadersRequest,
    LocalStatus, Network, NetworkConfig, NetworkEvent, NetworkHandle, PublishError, RequestError, Serve,
    Topic,
};
use weft_primitives::{B256, Bytes, ChunkIndex, ColumnIndex, TxHash};

const MIB: usize = 1 << 20;
const DEADLINE: Duration = Duration::from_secs(60);
/// Requests in flight.
const PARALLEL: usize = 8;

/// Serves the same megabytes over and over.
struct Constant {
    transactions: Vec<Bytes>,
    cells: CellsResponse,
}

impl Constant {
    fn new() -> Self {
        let anchor = Anchor {
            header: vec![0xc0].into(),
            version: 1,
            data_shards: 4,
            parity_shards: 7,
            chunk_bytes: 131_072,
            blob_count: 1,
            chunk_count: 32,
            blobs_root: B256::ZERO,
        };
        let range = RangeProof {
            column: 0,
            first_chunk: 0,
            cells: vec![vec![7; 32 << 10].into(); 32],
            range_proof: Vec::new(),
            column_path: vec![B256::ZERO; 4],
        };
        Self { transactions: vec![vec![7; MIB].into(); 4], cells: CellsResponse { anchor, range } }
    }
}

impl Serve for Constant {
    fn status(&self) -> LocalStatus {
        LocalStatus::default()
    }

    fn headers(&self, _: HeadersRequest) -> Vec<Bytes> {
        Vec::new()
    }

    fn body(&self, _: BodyRequest) -> Option<BodyPart> {
        let transactions = self.transactions.clone();
        Some(BodyPart { first_tx: 0, transaction_count: 4, transactions, withdrawals: None })
    }

    fn cells(&self, _: CellsRequest) -> Option<CellsResponse> {
        Some(self.cells.clone())
    }

    fn transactions(&self, _: &[TxHash], _: usize) -> Vec<Bytes> {
        self.transactions.clone()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mebibytes: usize = std::env::args().nth(1).map_or(Ok(1024), |text| text.parse())?;
    for quic in [false, true] {
        measure(mebibytes, quic).await?;
    }
    Ok(())
}

async fn measure(mebibytes: usize, quic: bool) -> Result<(), Box<dyn std::error::Error>> {
    let mut config = NetworkConfig::new(B256::ZERO, ForkDigest::default(), 11);
    let address = if quic { "/ip4/127.0.0.1/udp/0/quic-v1" } else { "/ip4/127.0.0.1/tcp/0" };
    (config.quic, config.listen, config.discovery) = (quic, vec![address.parse()?], false);
    config.limits.serve_bytes_per_second = 1e12;
    config.limits.gossip_bytes_per_second = 1e12;
    config.limits.requests_in_per_second = 1e9;
    let serve = Arc::new(Constant::new());
    let (a, mut events) = Network::start(config.clone(), serve.clone()).await?;
    let (b, _b_events) = Network::start(config, serve).await?;
    let address = b.listen_addresses().remove(0).with_p2p(b.local_peer_id()).map_err(|_| "an address")?;
    a.add_peer(address).await?;
    while !matches!(events.recv().await, Some(NetworkEvent::PeerUp(..))) {}
    let (peer, name) = (b.local_peer_id(), if quic { "quic" } else { "tcp" });
    let start = Instant::now();
    in_parallel(mebibytes / 4, {
        let a = a.clone();
        move || {
            let a = a.clone();
            async move { a.body(peer, BodyRequest::new(B256::ZERO, 0), DEADLINE).await.map(drop) }
        }
    })
    .await?;
    report(name, "bodies", mebibytes, start);
    let request =
        CellsRequest { block: B256::ZERO, column: ColumnIndex(0), first_chunk: ChunkIndex(0), count: 32 };
    let start = Instant::now();
    in_parallel(mebibytes, {
        let a = a.clone();
        move || {
            let a = a.clone();
            async move { a.cells(peer, request, DEADLINE).await.map(drop) }
        }
    })
    .await?;
    report(name, "cells", mebibytes, start);
    let start = Instant::now();
    // A network ends with its last handle: this one outlives the publisher's.
    gossip(&a, &mut events, b.clone(), mebibytes / 4).await?;
    report(name, "gossip of segments", mebibytes / 4, start);
    b.shutdown().await;
    a.shutdown().await;
    Ok(())
}

/// Makes so many requests, [`PARALLEL`] at a time.
async fn in_parallel<F>(
    requests: usize,
    request: impl Fn() -> F + Clone + Send + 'static,
) -> Result<(), Box<dyn std::error::Error>>
where
    F: Future<Output = Result<(), RequestError>> + Send,
{
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..PARALLEL {
        let request = request.clone();
        tasks.spawn(async move {
            for _ in 0..requests / PARALLEL {
                request().await?;
            }
            Ok::<_, RequestError>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// `from` publishes segments of a megabyte, `to` accepts them.
async fn gossip(
    to: &NetworkHandle,
    events: &mut mpsc::Receiver<NetworkEvent>,
    from: NetworkHandle,
    segments: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let topic = Topic::Column(ColumnIndex(0));
    to.subscribe(vec![topic]).await;
    from.subscribe(vec![topic]).await;
    from.wait_for_topic_peers(topic, 1).await;
    let publisher = tokio::spawn(async move {
        let CellsResponse { anchor, mut range } = Constant::new().cells;
        for at in 0..segments {
            range.column_path[0] = B256::left_padding_from(&at.to_be_bytes());
            let segment = ColumnSegment::new(anchor.clone(), range.clone());
            while from.publish_segment(segment.clone()).await == Err(PublishError::QueuesFull) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    let mut heard = 0;
    while heard < segments {
        match tokio::time::timeout(DEADLINE, events.recv()).await? {
            Some(NetworkEvent::Segment(segment)) => {
                segment.accept();
                heard += 1;
            }
            Some(_) => {}
            None => return Err("the network has ended".into()),
        }
    }
    publisher.await?;
    Ok(())
}

fn report(transport: &str, what: &str, mebibytes: usize, start: Instant) {
    let megabytes = (mebibytes * MIB) as f64 / 1e6;
    println!("{transport:5} {what:20} {:8.0} MB/s", megabytes / start.elapsed().as_secs_f64());
}
