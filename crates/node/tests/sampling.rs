//! A light node and a sealer that withholds: blocks are accepted exactly when every sampled cell was served and verified.

mod common;

use alloy_consensus::EMPTY_ROOT_HASH;
use alloy_primitives::{B256, Bytes, TxHash};
use common::{DEADLINE, Peers, Running, columns, folder, light, network, noise};
use serde_json::{Value, json};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};
use weft_archive::network::{BlockSampling, SamplerConfig, SamplingState};
use weft_chainspec::ChainSpec;
use weft_erasure::{Anchor, BlockCells, RangeProof, column_of, encode_blob};
use weft_node::{ColumnsNode, ColumnsWork, install_recorder};
use weft_p2p::{
    BlockAnnouncement, BlockCommitment, BodyPart, BodyRequest, CellsRequest, CellsResponse,
    CommitmentRequest, Head, HeadersRequest, LocalStatus, Network, NetworkConfig, NetworkHandle, Offence,
    Serve, peer_id, sampling::draw_columns,
};
use weft_primitives::{ColumnIndex, Geometry, Header, SealedHeader};

const GEOMETRY: Geometry = Geometry::DEV;

/// A block with one blob, of which some columns are not served.
struct Block {
    header: SealedHeader,
    cells: BlockCells,
    columns: Vec<Bytes>,
    withheld: BTreeSet<ColumnIndex>,
    /// Whether a byte of each cell is changed before it is served.
    lies: bool,
}

/// A sealer that executes nothing: headers that keep the rules, and whatever cells it likes to serve.
#[derive(Default)]
struct Sealer {
    blocks: Mutex<HashMap<B256, Block>>,
    headers: Mutex<Vec<SealedHeader>>,
}

impl Sealer {
    /// Makes the next block, and returns what announces it.
    fn seal(&self, blob: &Bytes, withheld: BTreeSet<ColumnIndex>, lies: bool) -> BlockAnnouncement {
        let spec = ChainSpec::dev();
        let mut headers = self.headers.lock().expect("nobody panicked");
        let parent = headers.last().unwrap_or(spec.genesis_header()).clone();
        let encoded = encode_blob(GEOMETRY, blob);
        let columns = (0..11).map(|column| column_of(&encoded, blob, ColumnIndex(column))).collect();
        let cells = BlockCells::of_blobs(GEOMETRY, &[(0, TxHash::with_last_byte(1), &encoded)]);
        let header = SealedHeader::seal_slow(Header {
            parent_hash: parent.hash(),
            number: parent.number + 1,
            timestamp: parent.timestamp + 1,
            gas_limit: parent.gas_limit,
            base_fee_per_gas: spec.next_base_fee(&parent),
            extra_data: cells.summary().da_root.into(),
            transactions_root: B256::repeat_byte(1),
            withdrawals_root: Some(EMPTY_ROOT_HASH),
            parent_beacon_block_root: Some(B256::ZERO),
            requests_hash: Some(B256::ZERO),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            ..Header::default()
        });
        headers.push(header.clone());
        let block = Block { header: header.clone(), cells, columns, withheld, lies };
        self.blocks.lock().expect("nobody panicked").insert(header.hash(), block);
        BlockAnnouncement::new(header, &[TxHash::with_last_byte(1)], Some(Vec::new()))
    }
}

impl Serve for Sealer {
    fn status(&self) -> LocalStatus {
        LocalStatus::default()
    }

    fn headers(&self, request: HeadersRequest) -> Vec<Bytes> {
        let headers = self.headers.lock().expect("nobody panicked");
        let at = headers.iter().position(|header| match request.start {
            alloy_eips::BlockHashOrNumber::Number(number) => header.number == number,
            alloy_eips::BlockHashOrNumber::Hash(hash) => header.hash() == hash,
        });
        let Some(at) = at else { return Vec::new() };
        let encode = |header: &SealedHeader| alloy_rlp::encode(header.header()).into();
        let count = request.count as usize;
        match request.falling {
            true => headers[..=at].iter().rev().take(count).map(encode).collect(),
            false => headers[at..].iter().take(count).map(encode).collect(),
        }
    }

    fn body(&self, _: BodyRequest) -> Option<BodyPart> {
        None
    }

    fn cells(&self, request: CellsRequest) -> Option<CellsResponse> {
        let blocks = self.blocks.lock().expect("nobody panicked");
        let block = blocks.get(&request.block).filter(|block| !block.withheld.contains(&request.column))?;
        let column = &block.columns[usize::from(request.column.0)];
        let (mut cells, mut at) = (Vec::new(), 0);
        for chunk in 0..block.cells.summary().chunk_count {
            let size =
                block.cells.cell_bytes(weft_primitives::ChunkIndex(chunk)).expect("a chunk of the block");
            if chunk >= request.first_chunk.0 && cells.len() < request.count as usize {
                cells.push(column.slice(at..at + size));
            }
            at += size;
        }
        let mut range = RangeProof::new(&block.cells, request.column, request.first_chunk, cells).ok()?;
        if block.lies {
            for cell in &mut range.cells {
                let mut bytes = cell.to_vec();
                bytes[7] ^= 1;
                *cell = bytes.into();
            }
        }
        Some(CellsResponse { anchor: Anchor::new(block.header.header(), block.cells.summary()).ok()?, range })
    }

    fn commitment(&self, request: CommitmentRequest) -> Option<BlockCommitment> {
        let blocks = self.blocks.lock().expect("nobody panicked");
        blocks.get(&request.block).map(|block| block.cells.summary().clone().into())
    }

    fn transactions(&self, _: &[TxHash], _: usize) -> Vec<Bytes> {
        Vec::new()
    }
}

/// The sealer on the network, and a light node that knows it alone.
async fn pair(patience: Duration) -> (Arc<Sealer>, NetworkHandle, Running<ColumnsNode>) {
    pair_with(light(patience)).await
}

async fn pair_with(work: ColumnsWork) -> (Arc<Sealer>, NetworkHandle, Running<ColumnsNode>) {
    let recorder = install_recorder().expect("a registry");
    let keys = folder();
    let base = network(keys.path(), None);
    let id = peer_id(&keys.path().join("p2p.key")).expect("a key");
    let sealer = Arc::new(Sealer::default());
    let config = NetworkConfig { sealers: vec![id], ..base };
    let (handle, mut events) =
        Network::start(config, Arc::clone(&sealer) as Arc<dyn Serve>).await.expect("starts");
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    let address = format!("{}/p2p/{id}", handle.listen_addresses()[0]);
    let node = columns(folder(), &recorder, &Peers::of_sealer(&address), 0, work).await;
    node.until("net_peerCount", json!([]), |count| (*count == "0x1").then_some(())).await;
    (sealer, handle, node)
}

/// Announces a block, or lets a status tell of it while no gossip reaches the node yet.
async fn announce(handle: &NetworkHandle, block: BlockAnnouncement) -> SealedHeader {
    let header = block.header.clone();
    // Whether somebody listens already does not matter: the signed head is in the status.
    let _ = handle.publish_block(block).await;
    handle.set_head(Head { number: header.number, hash: header.hash() }).await;
    header
}

/// Until the node has judged a block.
async fn judged(node: &Running<ColumnsNode>, header: &SealedHeader) -> BlockSampling {
    let found = |found: &Value| (!found.is_null() && found["state"] != "pending").then_some(());
    node.until("da_sampling", json!([header.hash()]), found).await;
    node.node.sampling().expect("it samples").get(header.number).expect("judged")
}

fn columns_of(found: &BlockSampling) -> BTreeSet<ColumnIndex> {
    found.cells.iter().map(|cell| cell.column).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_accepted_exactly_when_every_sampled_column_is_served() {
    let (sealer, handle, node) = pair(Duration::from_secs(5)).await;
    let mut random = rand::rng();
    let mut blocks = Vec::new();
    // None, one or two of eleven are withheld: all, C(10, 4) / C(11, 4) = 0.64 and C(9, 4) / C(11, 4) = 0.38 of them pass.
    for number in 0..24 {
        let withheld: BTreeSet<_> = draw_columns(&mut random, 11, number % 3).into_iter().collect();
        let block = sealer.seal(&noise(300_000, number as u64), withheld.clone(), false);
        blocks.push((announce(&handle, block).await, withheld));
    }
    for (header, withheld) in &blocks {
        let found = judged(&node, header).await;
        let asked = columns_of(&found);
        assert_eq!(asked.len(), 4, "distinct columns");
        let expected = match asked.is_disjoint(withheld) {
            true => (SamplingState::Accepted, 1.0),
            false => (SamplingState::Unavailable, 0.0),
        };
        assert_eq!((found.state, found.confidence), expected, "asked {asked:?}, withheld {withheld:?}");
        let served = found.cells.iter().all(|cell| cell.peer.is_some() != withheld.contains(&cell.column));
        assert!(served || !found.cells.iter().any(|cell| cell.chunk.is_some()), "{found:?}");
    }
    let all_served = blocks.iter().filter(|(_, withheld)| withheld.is_empty()).count();
    let accepted = node.node.sampling().expect("it samples").count(SamplingState::Accepted);
    assert!(accepted >= all_served, "{accepted} accepted, {all_served} were served whole");
    node.stop().await;
    handle.shutdown().await;
}

/// Two of eleven columns withheld, four sampled: C(9, 4) / C(11, 4) = 126 / 330 of the blocks pass.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_blocks_as_many_pass_as_chance_has_it() {
    const BLOCKS: usize = 1000;
    let config = SamplerConfig { patience: Duration::from_secs(2), blocks_ahead: 64, ..Default::default() };
    let (sealer, handle, node) = pair_with(ColumnsWork::Light(config)).await;
    let mut blocks = Vec::new();
    for number in 0..BLOCKS {
        let withheld: BTreeSet<_> = draw_columns(&mut rand::rng(), 11, 2).into_iter().collect();
        let block = sealer.seal(&noise(4096, number as u64), withheld.clone(), false);
        blocks.push((announce(&handle, block).await, withheld));
        // Blocks that are 64 behind the head are not sampled any more.
        if let Some((header, _)) = number.checked_sub(56).map(|before| &blocks[before]) {
            judged(&node, header).await;
        }
    }
    let mut passed = 0;
    for (header, withheld) in &blocks {
        let found = judged(&node, header).await;
        let clean = columns_of(&found).is_disjoint(withheld);
        assert_eq!(found.state == SamplingState::Accepted, clean, "withheld {withheld:?}: {found:?}");
        passed += u32::from(clean);
    }
    // Six standard deviations: an honest sampler fails once in 500 million runs.
    let share = 126.0 / 330.0;
    let (expected, deviation) = (BLOCKS as f64 * share, (BLOCKS as f64 * share * (1.0 - share)).sqrt());
    assert!((f64::from(passed) - expected).abs() < 6.0 * deviation, "{passed} passed, {expected} expected");
    node.stop().await;
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_eight_withheld_no_block_passes_and_with_seven_the_data_come_back() {
    let (sealer, handle, node) = pair(Duration::from_secs(5)).await;
    let withhold = |count: usize| draw_columns(&mut rand::rng(), 11, count).into_iter().collect();
    let mut refused = Vec::new();
    for number in 0..8 {
        let block = sealer.seal(&noise(200_000, number), withhold(8), false);
        refused.push(announce(&handle, block).await);
    }
    for header in &refused {
        let found = judged(&node, header).await;
        assert_eq!(found.state, SamplingState::Unavailable);
        let told = node.call("da_sampling", json!([header.hash()])).await;
        assert_eq!((&told["accepted"], &told["confidence"]), (&json!(false), &json!(0.0)), "{told}");
        assert!(
            told["missing"].as_array().is_some_and(|missing| !missing.is_empty()),
            "it says which: {told}"
        );
    }
    let status = node.call("da_status", json!([])).await;
    let last = refused.last().expect("eight");
    assert_eq!(status["sampling"]["latestUnavailable"]["hash"], json!(last.hash()), "{status}");
    assert_eq!(status["sampling"]["accepted"], "0x0", "{status}");
    let blob = node.post("da_getBlob", &json!([TxHash::with_last_byte(1)])).await;
    assert_eq!(blob["error"]["code"], -32010, "three columns are not enough: {:.200}", blob.to_string());

    let blob = noise(400_000, 99);
    let block = sealer.seal(&blob, withhold(7), false);
    let header = announce(&handle, block).await;
    judged(&node, &header).await;
    // The newest block that was learnt names the transaction.
    node.has_blob("light, from the four that are left", TxHash::with_last_byte(1), &blob, "peers").await;
    node.stop().await;
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_cell_is_no_cell_and_costs_its_sender() {
    let (sealer, handle, node) = pair(Duration::from_secs(2)).await;
    let block = sealer.seal(&noise(300_000, 1), BTreeSet::new(), true);
    let header = announce(&handle, block).await;
    let found = tokio::time::timeout(DEADLINE, judged(&node, &header)).await.expect("in time");
    assert_eq!(found.state, SamplingState::Unavailable);
    assert!(found.cells.iter().all(|cell| cell.peer.is_none()), "{found:?}");
    let infos = node.node.network().peers().await;
    let spotless = infos.iter().any(|info| info.score == 0.0);
    assert!(!spotless, "{} is paid for, or the liar is gone: {infos:?}", Offence::BadProof.as_str());
    node.stop().await;
    handle.shutdown().await;
}
