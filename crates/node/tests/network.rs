//! Real nodes over loopback: a sealer, followers, and what travels between them.

mod common;

use alloy_primitives::{B256, Bytes, TxHash, keccak256};
use common::{DEADLINE, Peers, Running, folder, full, network, noise, signer, transaction};
use serde_json::{Value, json};
use std::{sync::Arc, time::Instant};
use weft_chainspec::ChainSpec;
use weft_node::{Node, install_recorder};
use weft_p2p::{
    BodyPart, BodyRequest, CellsRequest, CellsResponse, HeadersRequest, LocalStatus, Network, NetworkConfig,
    NetworkEvent, Refusal, RequestError, Serve, peer_id,
};
use weft_primitives::{ChunkIndex, ColumnIndex};

/// Until the node has the block: header, state root and all.
async fn has_block(node: &Running<Node>, block: &Value) {
    let found = |found: &Value| (!found.is_null()).then(|| found.clone());
    let here = node.until("eth_getBlockByHash", json!([block["hash"], false]), found).await;
    assert_eq!(here, *block);
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_have_the_sealers_blocks_and_blobs_and_take_transactions_for_it() {
    let recorder = install_recorder().expect("a registry");
    let sealer = full(folder(), &recorder, None).await;
    let peers = Peers::of_sealer(&sealer.address());
    let followers =
        [full(folder(), &recorder, Some(&peers)).await, full(folder(), &recorder, Some(&peers)).await];
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
            has_block(follower, &block).await;
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
    let sealer = full(folder(), &recorder, None).await;
    let peers = Peers::of_sealer(&sealer.address());
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
    let late = full(folder(), &recorder, Some(&peers)).await;
    has_block(&late, &block).await;
    let caught_up = begun.elapsed();
    println!("300 blocks: sealed in {sealed:?}, caught up with in {caught_up:?}");
    let data = late.stop().await;

    let block = seal(300..350).await;
    let again = full(data, &recorder, Some(&peers)).await;
    has_block(&again, &block).await;
    // And what is announced from now on is followed.
    let block = seal(350..353).await;
    has_block(&again, &block).await;
    again.stop().await;
    sealer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_was_taken_alone_is_told_when_the_sealer_is_there() {
    let recorder = install_recorder().expect("a registry");
    let sealers = folder();
    // The follower knows whom it believes, and nobody is there.
    let id = peer_id(&sealers.path().join("p2p.key")).expect("a key");
    let nobody = Peers::of_sealer(&format!("/ip4/127.0.0.1/tcp/1/p2p/{id}"));
    let follower = full(folder(), &recorder, Some(&nobody)).await;
    let hash = follower.submit(&transaction(&signer(0), 0, noise(200_000, 3))).await;
    let sealer = full(sealers, &recorder, None).await;
    assert_eq!(follower.call("admin_addPeer", json!([sealer.address()])).await, true);
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
    let sealer = full(folder(), &recorder, None).await;
    let blob = noise(9_000_000, 4);
    let raw = transaction(&signer(0), 0, blob.clone());
    let receipt = sealer.receipt(sealer.submit(&raw).await).await;
    let block: B256 = serde_json::from_value(receipt["blockHash"].clone()).expect("a hash");

    let base = network(folder().path(), Some(&Peers::of_sealer(&sealer.address())));
    let stranger = NetworkConfig { identity: None, listen: Vec::new(), ..base };
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
