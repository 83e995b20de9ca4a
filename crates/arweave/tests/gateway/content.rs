//! Data: uploaded in chunks, by many at a time, served whole and in parts, and proven chunk by chunk.

use crate::support::{Net, chunk, data, tag};
use futures::{StreamExt, stream};
use hyper::Method;
use serde_json::{Value, json};
use weft_arweave::{
    ChunkTree, Id, base64url,
    chunk::ServedChunk,
    gateway::Command,
    merkle::{verify_chunk, verify_path},
};

const KIB: usize = 1024;

#[tokio::test]
async fn chunks_come_in_any_order_by_many_and_nothing_is_served_before_the_last() {
    let net = Net::start().await;
    let data = data(20 * 256 * KIB + 12_345, 3);
    let tree = ChunkTree::of(&data);
    let transaction = net.sign(&tree, vec![tag("Content-Type", "text/x-test")]).await;
    let id = transaction.id;
    let early = net.web.post("/chunk", chunk(&tree, &data, 0)).await;
    early.is(400, r#"{"error":"data_root_not_found"}"#);
    net.post(&transaction).await.is(200, "OK");
    let last = tree.chunks().len() - 1;
    // Each twice, the first of them at the end.
    let order: Vec<usize> = (1..=last).rev().chain(1..=last).collect();
    let statuses: Vec<u16> = stream::iter(order)
        .map(|at| {
            let body = chunk(&tree, &data, at);
            let web = &net.web;
            async move { web.post("/chunk", body).await.status.as_u16() }
        })
        .buffer_unordered(16)
        .collect()
        .await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    net.web.get(&format!("/{id}")).await.is(404, "Not Found.");
    net.mine().await;
    net.web.get(&format!("/{id}")).await.is(404, "Not Found.");
    net.web.post("/chunk", chunk(&tree, &data, 0)).await.is(200, "OK");
    let answer = net.web.get(&format!("/{id}")).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "text/x-test"));
    assert!(answer.body == data, "other bytes");
    let encoded = net.web.get(&format!("/tx/{id}/data")).await;
    assert!(base64url::decode("data", encoded.text()).unwrap() == data, "other bytes");
    net.gateway.stop().await;
}

#[tokio::test]
async fn every_chunk_is_proven_up_to_its_block() {
    let net = Net::start().await;
    // Several in one block, so that there is a tree above the data roots.
    let all: Vec<_> = [300 * KIB, 10, 256 * KIB, 700 * KIB].map(|length| data(length, 5)).into();
    let mut ids = Vec::new();
    for data in &all {
        ids.push(net.publish(data.clone(), Vec::new()).await);
    }
    let first = net.mine().await;
    net.publish(data(100, 6), Vec::new()).await;
    net.mine().await;
    let block = net.web.get(&format!("/block/height/{first}")).await.json();
    let number = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
    let (weave, size) = (number(&block["weave_size"]), number(&block["block_size"]));
    let root = base64url::decode_array("tx_root", block["tx_root"].as_str().unwrap()).unwrap();
    for (id, data) in ids.iter().zip(&all) {
        let place = net.web.get(&format!("/tx/{id}/offset")).await.json();
        let (end, length) = (number(&place["offset"]), number(&place["size"]));
        assert_eq!(length, data.len() as u64);
        let tree = ChunkTree::of(data);
        let mut at = 0;
        while at < length {
            let offset = end - length + 1 + at;
            let answer = net.web.get(&format!("/chunk/{offset}")).await;
            let served: ServedChunk = serde_json::from_slice(&answer.body).unwrap();
            let range = verify_chunk(&tree.root(), length, at, &served.data_path, &served.chunk).unwrap();
            assert_eq!(range.start, at);
            let in_block = offset - 1 - (weave - size);
            let leaf = verify_path(&root, size, in_block, &served.tx_path).unwrap();
            assert_eq!(leaf.hash, tree.root().0);
            at = range.end;
        }
        // Between the end of the data and the next whole chunk there is nothing.
        if data.len() % (256 * KIB) != 0 {
            assert_eq!(net.web.get(&format!("/chunk/{}", end + 1)).await.status, 404);
        }
    }
    for (path, status) in [("/chunk/0", 404), ("/chunk/-1", 400), ("/chunk/99999999999", 404)] {
        assert_eq!(net.web.get(path).await.status, status, "{path}");
    }
    net.gateway.stop().await;
}

#[tokio::test]
async fn a_wrong_chunk_is_refused_and_changes_nothing() {
    let net = Net::start().await;
    let data = data(600 * KIB, 7);
    let tree = ChunkTree::of(&data);
    let transaction = net.sign(&tree, Vec::new()).await;
    net.post(&transaction).await.is(200, "OK");
    let good: Value = serde_json::from_slice(&chunk(&tree, &data, 1)).unwrap();
    let other: Value = serde_json::from_slice(&chunk(&tree, &data, 0)).unwrap();
    let altered = |field: &str, value: Value| {
        let mut json = good.clone();
        json[field] = value;
        json.to_string()
    };
    let flipped = |field: &str, at: usize| {
        let mut bytes = base64url::decode("field", good[field].as_str().unwrap()).unwrap();
        bytes[at] ^= 1;
        json!(base64url::encode(bytes))
    };
    let cases = [
        (altered("chunk", flipped("chunk", 1_000)), "invalid_proof"),
        (altered("chunk", other["chunk"].clone()), "invalid_proof"),
        (altered("chunk", json!("")), "invalid_proof"),
        (altered("data_path", flipped("data_path", 70)), "invalid_proof"),
        (altered("data_path", json!("")), "invalid_proof"),
        (altered("offset", json!("0")), "invalid_proof"),
        (altered("offset", json!(u64::MAX.to_string())), "invalid_proof"),
        (altered("data_size", json!("0")), "invalid_proof"),
        (altered("data_root", json!(Id([1; 32]))), "invalid_proof"),
        (altered("data_root", json!("short")), "invalid_json"),
        (altered("offset", json!("-1")), "invalid_json"),
        ("{".to_owned(), "invalid_json"),
    ];
    for (body, code) in cases {
        net.web.post("/chunk", body).await.is(400, &json!({ "error": code }).to_string());
    }
    net.web.post("/chunk", vec![b' '; 3 << 20]).await.is(413, "Payload too large");
    for at in [0, 1, 2] {
        net.web.get(&format!("/{}", transaction.id)).await.is(404, "Not Found.");
        net.web.post("/chunk", chunk(&tree, &data, at)).await.is(200, "OK");
    }
    assert!(net.web.get(&format!("/{}", transaction.id)).await.body == data, "other bytes");
    net.gateway.stop().await;
}

#[tokio::test]
async fn data_is_served_in_parts_with_its_length_and_type() {
    let net = Net::start().await;
    let data = data(300 * KIB, 1);
    let id = net.publish(data.clone(), vec![tag("Content-Type", "no\ntype")]).await;
    let path = format!("/{id}");
    for (range, part, shown) in [
        ("bytes=0-0", 0..1, "bytes 0-0/307200"),
        ("bytes=262143-262145", 262_143..262_146, "bytes 262143-262145/307200"),
        ("bytes=-5", 307_195..307_200, "bytes 307195-307199/307200"),
        ("bytes=307199-", 307_199..307_200, "bytes 307199-307199/307200"),
    ] {
        let answer = net.web.range(&path, range).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-range")), (206, shown));
        assert_eq!(answer.body, data[part]);
    }
    let beyond = net.web.range(&path, "bytes=307200-").await;
    assert_eq!((beyond.status.as_u16(), beyond.header("content-range")), (416, "bytes */307200"));
    assert_eq!(net.web.range(&path, "bytes=0-1,4-5").await.body.len(), data.len());
    let raw = net.web.get(&format!("/raw/{id}")).await;
    assert_eq!(raw.header("content-type"), "application/octet-stream");
    assert!(raw.body == data, "other bytes");
    let head = net.web.send(net.web.request(Method::HEAD, &path, "")).await.unwrap();
    assert_eq!((head.status.as_u16(), head.header("content-length"), head.body.len()), (200, "307200", 0));
    net.gateway.stop().await;
}

#[tokio::test]
async fn two_transactions_may_have_the_same_data() {
    let net = Net::start().await;
    let data = data(400 * KIB, 2);
    let first = net.publish(data.clone(), Vec::new()).await;
    let second = net.sign(&ChunkTree::of(&data), Vec::new()).await;
    net.post(&second).await.is(200, "OK");
    net.mine().await;
    for id in [first, second.id] {
        assert!(net.web.get(&format!("/{id}")).await.body == data, "other bytes");
    }
    let stored = net.web.get("/info").await.json()["stored_bytes"].clone();
    assert_eq!(stored, json!(data.len()));
    // A transaction without data has none, and is served as such.
    let empty = net.sign(&ChunkTree::of(b""), Vec::new()).await;
    net.post(&empty).await.is(200, "OK");
    net.web.get(&format!("/{}", empty.id)).await.is(200, "");
    net.gateway.stop().await;
}

#[tokio::test]
async fn a_hidden_chunk_is_as_if_it_had_never_come() {
    let net = Net::start().await;
    let data = data(600 * KIB, 9);
    let tree = ChunkTree::of(&data);
    let id = net.publish(data.clone(), Vec::new()).await;
    net.mine().await;
    let hide = Command::HideChunk { data_root: tree.root(), data_size: tree.size(), offset: 300 * 1024 };
    net.gateway.command(hide).await.unwrap();
    net.web.get(&format!("/{id}")).await.is(404, "Not Found.");
    let hidden = tree.chunks().iter().position(|chunk| chunk.range.contains(&(300 * 1024))).unwrap();
    for (at, chunk) in tree.chunks().iter().enumerate() {
        let status = net.web.get(&format!("/chunk/{}", chunk.range.start + 1)).await.status;
        assert_eq!(status, if at == hidden { 404 } else { 200 });
    }
    net.gateway.command(Command::Heal).await.unwrap();
    assert!(net.web.get(&format!("/{id}")).await.body == data, "other bytes");
    net.gateway.stop().await;
}

#[tokio::test]
async fn the_disk_has_its_bound() {
    let net = Net::with(|config| config.limits.storage_bytes = 300 * 1024).await;
    net.publish(data(200 * KIB, 1), Vec::new()).await;
    let data = data(600 * KIB, 2);
    let tree = ChunkTree::of(&data);
    let transaction = net.sign(&tree, Vec::new()).await;
    net.post(&transaction).await.is(200, "OK");
    let full = r#"{"error":"exceeds_disk_pool_size_limit"}"#;
    net.web.post("/chunk", chunk(&tree, &data, 0)).await.is(400, full);
    net.gateway.stop().await;
}
