//! A sealer, a full node, two that keep columns and one that samples: every blob comes back from every role, also when the
//! sealer and all bodies are gone.

mod common;

use alloy_primitives::{B256, TxHash};
use common::{DEADLINE, Peers, Running, columns, da, folder, full, light, noise, signer, transaction};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use weft_archive::{drop_body, drop_columns};
use weft_node::{ColumnsNode, install_recorder};
use weft_primitives::ColumnIndex;
use weft_storage::{Store, StoreOptions};

/// Columns that each of the two keeps: together four distinct ones at least.
const CUSTODY: u16 = 6;

/// Has the block, and all its custody columns whole.
async fn has_columns(node: &Running<ColumnsNode>, block: u64) {
    let found = |status: &Value| {
        let head =
            u64::from_str_radix(status["head"]["number"].as_str()?.trim_start_matches("0x"), 16).ok()?;
        (head >= block && status["custody"]["due"] == "0x0").then_some(())
    };
    node.until("da_status", json!([]), found).await;
    let held = node.node.store().view().held_columns(block).expect("read");
    let whole: BTreeSet<ColumnIndex> =
        held.into_iter().filter(|(_, whole)| *whole).map(|(column, _)| column).collect();
    assert_eq!(whole, node.node.custody().iter().copied().collect(), "exactly its custody");
}

fn number(receipt: &Value) -> u64 {
    let text = receipt["blockNumber"].as_str().expect("a number");
    u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("hex")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_comes_back_from_every_role_also_when_the_sealer_and_all_bodies_are_gone() {
    let recorder = install_recorder().expect("a registry");
    let sealer = full(folder(), &recorder, None).await;
    let peers = Peers::of_sealer(&sealer.address());
    let follower = full(folder(), &recorder, Some(&peers)).await;
    let peers = peers.and(follower.address());
    let first = columns(folder(), &recorder, &peers, CUSTODY, da()).await;
    let second = columns(folder(), &recorder, &peers.and(first.address()), CUSTODY, da()).await;
    let all = peers.and(first.address()).and(second.address());
    let sampler = columns(folder(), &recorder, &all, 0, light(Duration::from_secs(60))).await;
    for node in [&first, &second, &sampler] {
        node.until("net_peerCount", json!([]), |count| (count.as_str()? >= "0x2").then_some(())).await;
    }

    let blob = noise(1_500_000, 1);
    let hash = sealer.submit(&transaction(&signer(0), 0, blob.clone())).await;
    let receipt = sealer.receipt(hash).await;
    let block = number(&receipt);
    has_columns(&first, block).await;
    has_columns(&second, block).await;
    follower.receipt(hash).await;
    let sampling = sampler
        .until("da_sampling", json!([receipt["blockHash"]]), |found| {
            (found["state"] != "pending" && !found.is_null()).then(|| found.clone())
        })
        .await;
    assert_eq!(
        (&sampling["state"], &sampling["confidence"]),
        (&json!("accepted"), &json!(1.0)),
        "{sampling}"
    );
    assert_eq!(sampling["samples"].as_array().map(Vec::len), Some(4), "{sampling}");

    let commitment = sealer.call("da_commitment", json!([receipt["blockHash"]])).await;
    for node in [&first, &second, &sampler] {
        let told =
            node.until("da_commitment", json!([receipt["blockHash"]]), |told| Some(told.clone())).await;
        assert_eq!(told, commitment);
        let header = node.call("eth_getBlockByNumber", json!([receipt["blockNumber"], false])).await;
        assert_eq!(header["hash"], receipt["blockHash"]);
    }
    sealer.has_blob("sealer", hash, &blob, "any").await;
    follower.has_blob("full", hash, &blob, "any").await;
    follower.has_blob("full", hash, &blob, "peers").await;
    first.has_blob("da", hash, &blob, "any").await;
    second.has_blob("da", hash, &blob, "peers").await;
    sampler.has_blob("light", hash, &blob, "any").await;
    proves_what_a_stranger_verifies(&first, &receipt).await;

    // The sealer goes, and the full node drops the body and all columns that it may.
    sealer.stop().await;
    let data = follower.stop().await;
    forget(data.path(), hash);
    let only = peers.only(&[first.address(), second.address()]);
    let follower = full(data, &recorder, Some(&only)).await;
    follower.has_blob("full, without its body", hash, &blob, "any").await;
    follower.has_blob("full, without its body", hash, &blob, "peers").await;
    let body = follower.post("da_getBlob", &json!([hash, { "source": "body" }])).await;
    assert!(!body["error"].is_null(), "it is not here: {:.200}", body.to_string());
    follower.stop().await;

    // Two that keep columns, one that samples, and nobody else.
    first.has_blob("da, alone", hash, &blob, "any").await;
    second.has_blob("da, alone", hash, &blob, "any").await;
    sampler.has_blob("light, alone", hash, &blob, "any").await;

    // Who comes late keeps what the sealer sealed before its time.
    let late = columns(folder(), &recorder, &only, CUSTODY, da()).await;
    has_columns(&late, block).await;
    late.until("da_commitment", json!([receipt["blockHash"]]), |told| (*told == commitment).then_some(()))
        .await;
    late.has_blob("da, late", hash, &blob, "any").await;
    for node in [late, sampler, second, first] {
        node.stop().await;
    }
}

/// A cell and a range of a `da` node, verified down to the block's hash.
async fn proves_what_a_stranger_verifies(node: &Running<ColumnsNode>, receipt: &Value) {
    use weft_erasure::CellProof;
    use weft_primitives::ChunkIndex;
    let hash: B256 = serde_json::from_value(receipt["blockHash"].clone()).expect("a hash");
    let column = node.node.custody()[0];
    for chunk in [0_u32, 5, 11] {
        let params = json!([hash, column.0, chunk]);
        let proof: CellProof =
            serde_json::from_value(node.call("da_cellProof", params).await).expect("a proof");
        proof.verify(hash, column, ChunkIndex(chunk)).expect("leads to the block's hash");
    }
    let cells = node.call("da_cells", json!([hash, column.0, 3, 100])).await;
    assert_eq!(cells["cells"].as_array().map(Vec::len), Some(9), "to the end of twelve chunks");
    let other = (0..11).map(ColumnIndex).find(|column| !node.node.custody().contains(column));
    let refused = node.post("da_cells", &json!([hash, other.expect("not all").0, 0, 1])).await;
    assert!(refused["error"]["message"].as_str().is_some_and(|text| text.contains("not held")), "{refused}");
}

/// Takes the body of a blob from a stopped full node, and all columns but the four without which storage keeps the others.
fn forget(datadir: &std::path::Path, hash: TxHash) {
    let options = StoreOptions { disk_reserve_bytes: 0, ..StoreOptions::default() };
    let store = Store::open(&datadir.join("db"), options).expect("opens");
    drop_body(&store, hash).expect("drops").expect("it was here");
    let columns: Vec<_> = (4..11).map(ColumnIndex).collect();
    drop_columns(&store, hash, &columns).expect("drops").expect("they were here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_another_role_is_refused_and_the_disk_stays_bounded() {
    let recorder = install_recorder().expect("a registry");
    let sealer = full(folder(), &recorder, None).await;
    let peers = Peers::of_sealer(&sealer.address());
    let bounded = weft_node::ColumnsWork::Da { disk_bytes_max: 1 };
    let node = columns(folder(), &recorder, &peers, 11, bounded).await;
    node.until("net_peerCount", json!([]), |count| (*count == "0x1").then_some(())).await;
    // 80 blocks of one chunk: columns of all but the newest 64 go, whatever the limit says.
    let mut last = 0;
    for nonce in 0..80 {
        let hash = sealer.submit(&transaction(&signer(0), nonce, noise(5_000, nonce))).await;
        last = number(&sealer.receipt(hash).await);
    }
    let found = |status: &Value| {
        let earliest = status["custody"]["earliest"].as_str()?.trim_start_matches("0x");
        (u64::from_str_radix(earliest, 16).ok()? > 1).then_some(())
    };
    node.until("da_status", json!([]), found).await;
    assert!(last >= 80);
    let head = node.node.store().view().head().expect("read").number;
    assert!(node.node.store().view().header(head - 70).expect("read").is_some(), "headers stay");
    let data = node.stop().await;
    let begun = Instant::now();
    let error = loop {
        let error =
            Store::open(&data.path().join("db"), StoreOptions::default()).expect_err("refused").to_string();
        // A peer's request that was under way when the node stopped may hold the folder a little longer.
        if !error.contains("in use") {
            break error;
        }
        assert!(begun.elapsed() < DEADLINE, "{error}");
        tokio::task::yield_now().await;
    };
    assert!(error.contains("da"), "{error}");
    tokio::time::timeout(DEADLINE, sealer.node.shutdown()).await.expect("stops");
}
