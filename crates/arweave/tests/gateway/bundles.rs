//! Items: uploaded one by one, found in bundles of any depth, and not believed when they are wrong.

use crate::support::{Net, bundler, chunk, data, item, tag};
use bytes::Bytes;
use serde_json::{Value, json};
use std::fs;
use weft_arweave::{
    Bundle, ChunkTree, DataItem, Id, Owner, base64url, bundle,
    deep_hash::{Node, deep_hash},
    gateway::Command,
};

async fn ids(net: &Net, filter: &str) -> Vec<String> {
    let found = net
        .web
        .query(&format!("{{ transactions({filter}first: 100) {{ edges {{ node {{ id }} }} }} }}"))
        .await;
    let edges = found["transactions"]["edges"].as_array().expect("edges");
    edges.iter().map(|edge| edge["node"]["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn an_upload_has_a_receipt_is_served_at_once_and_bundled_once() {
    let net = Net::start().await;
    let items: Vec<DataItem> = (0..5_u8)
        .map(|seed| item(vec![tag("Content-Type", "text/plain")], data(50_000 * usize::from(seed), seed)))
        .collect();
    for (at, item) in items.iter().enumerate() {
        let path = ["/v1/tx", "/v1/tx/arweave", "/tx/ethereum"][at % 3];
        let answer = net.web.post(path, item.bytes().clone()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let receipt = answer.json();
        assert_eq!(receipt["id"], json!(item.id()));
        assert_eq!(receipt["owner"], json!(item.header().address()));
        check_receipt(&receipt);
        let served = net.web.get(&format!("/{}", item.id())).await;
        assert_eq!(
            (served.body, served.headers["content-type"].as_bytes()),
            (item.data(), &b"text/plain"[..])
        );
        let again = net.web.post("/v1/tx", item.bytes().clone()).await;
        assert_eq!(again.status, 202, "{again:?}");
    }
    let owner = items[0].header().address();
    assert_eq!(net.gateway.spending(&owner).unwrap().items, 5);
    let status = |item: &DataItem| format!("/v1/tx/{}/status", item.id());
    assert_eq!(net.web.get(&status(&items[0])).await.json()["status"], "CONFIRMED");

    let height = net.mine().await;
    let told = net.web.get(&status(&items[0])).await.json();
    assert_eq!((&told["status"], &told["blockHeight"]), (&json!("FINALIZED"), &json!(height)));
    let carrier = told["bundleId"].as_str().unwrap();
    let bytes = net.web.get(&format!("/{carrier}")).await.body;
    let bundle = Bundle::parse(&bytes).unwrap();
    bundle.verify().unwrap();
    assert_eq!(bundle.items, items);
    for item in &items {
        assert_eq!(net.web.get(&format!("/{}", item.id())).await.body, item.data());
    }
    // Files of what waited are gone, and the next block bundles nothing again.
    let files = fs::read_dir(net.gateway.folder().join("data")).unwrap().count();
    assert_eq!(files, 1);
    net.mine().await;
    assert_eq!(net.gateway.spending(&bundler().address()).unwrap().accepted, 1);
    assert_eq!(net.web.post("/v1/tx", items[0].bytes().clone()).await.status, 202);
    net.gateway.stop().await;
}

/// As Turbo's clients do it.
fn check_receipt(receipt: &Value) {
    let text = |field: &str| match &receipt[field] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let parts = ["Bundlr".to_owned(), text("version"), text("id"), text("deadlineHeight"), text("timestamp")];
    let message = deep_hash(&Node::List(parts.iter().map(|part| Node::Blob(part.as_bytes())).collect()));
    let owner = Owner::new(base64url::decode("public", &text("public")).expect("a key")).expect("a key");
    owner
        .verify(&message, &base64url::decode("signature", &text("signature")).expect("its signature"))
        .expect("its signature");
}

#[tokio::test]
async fn an_upload_that_is_wrong_or_too_large_is_refused_and_leaves_nothing() {
    let net = Net::with(|config| {
        config.limits.item_bytes = 2_000;
        config.limits.uploads = 1;
    })
    .await;
    let good = item(vec![tag("a", "b")], data(1_000, 1));
    for at in [0, 10, 100, 150, good.bytes().len() - 1] {
        let mut bytes = good.bytes().to_vec();
        bytes[at] ^= 1;
        net.web.post("/v1/tx", bytes).await.is(400, "Invalid Data Item!");
    }
    for bytes in [Bytes::new(), good.bytes().slice(..100), good.bytes().slice(..good.bytes().len() - 1)] {
        net.web.post("/v1/tx", bytes).await.is(400, "Invalid Data Item!");
    }
    let large = item(Vec::new(), data(2_000, 1));
    net.web.post("/v1/tx", large.bytes().clone()).await.is(413, "Payload too large");
    assert_eq!(fs::read_dir(net.gateway.folder().join("data")).unwrap().count(), 0);
    assert_eq!(net.web.post("/v1/tx", good.bytes().clone()).await.status, 200);
    let second = item(Vec::new(), data(10, 2));
    assert_eq!(net.web.post("/v1/tx", second.bytes().clone()).await.status, 503);
    net.mine().await;
    assert_eq!(net.web.post("/v1/tx", second.bytes().clone()).await.status, 200);
    net.gateway.stop().await;
}

#[tokio::test]
async fn uploads_go_into_as_many_bundles_as_it_takes() {
    let net = Net::with(|config| config.limits.bundle_bytes = 10_000).await;
    let items: Vec<_> = (0..7).map(|seed| item(Vec::new(), data(4_000, seed))).collect();
    for item in &items {
        net.web.post("/v1/tx", item.bytes().clone()).await;
    }
    let height = net.mine().await;
    let block = net.web.get(&format!("/block/height/{height}")).await.json();
    assert_eq!(block["txs"].as_array().unwrap().len(), 4);
    for item in &items {
        assert_eq!(net.web.get(&format!("/{}", item.id())).await.body, item.data());
    }
    net.gateway.stop().await;
}

#[tokio::test]
async fn nested_bundles_are_looked_into_once_their_last_chunk_is_here() {
    let net = Net::start().await;
    let leaf = item(vec![tag("Depth", "2")], data(300_000, 1));
    let inner = Bundle::new(vec![leaf.clone(), item(vec![tag("Depth", "2")], data(10, 2))]).unwrap();
    let middle = item(bundle::tags(), inner.to_bytes());
    // It says that it is a bundle and is none: a plain item.
    let pretender = item(bundle::tags(), data(100, 3));
    let outer = Bundle::new(vec![middle.clone(), pretender.clone(), item(Vec::new(), data(20, 4))]).unwrap();
    let bytes = outer.to_bytes();
    let tree = ChunkTree::of(&bytes);
    let transaction = net.sign(&tree, bundle::tags()).await;
    net.post(&transaction).await.is(200, "OK");
    for at in 0..tree.chunks().len() {
        net.web.get(&format!("/{}", leaf.id())).await.is(404, "Not Found.");
        net.web.post("/chunk", chunk(&tree, &bytes, at)).await.is(200, "OK");
    }
    for item in [&leaf, &middle, &pretender] {
        assert!(net.web.get(&format!("/{}", item.id())).await.body == item.data(), "other bytes");
    }
    let part = net.web.range(&format!("/{}", leaf.id()), "bytes=299990-").await;
    assert_eq!(part.body, leaf.data().slice(299_990..));
    net.mine().await;
    let found = net
        .web
        .query(&format!(
            r#"{{ transaction(id: "{}") {{ bundledIn {{ id }} block {{ height }} data {{ size }} }} }}"#,
            leaf.id()
        ))
        .await;
    let expected =
        json!({ "bundledIn": { "id": middle.id() }, "block": { "height": 1 }, "data": { "size": "300000" } });
    assert_eq!(found["transaction"], expected);
    let within = |id: Id| format!(r#"bundledIn: ["{id}"], "#);
    assert_eq!(ids(&net, &within(middle.id())).await.len(), 2);
    assert_eq!(ids(&net, &within(transaction.id)).await.len(), 3);
    net.gateway.stop().await;
}

#[tokio::test]
async fn a_bundle_with_one_wrong_byte_is_plain_data() {
    let net = Net::start().await;
    let good = Bundle::new(vec![item(Vec::new(), data(500, 1)), item(Vec::new(), data(500, 2))]).unwrap();
    let good = good.to_bytes();
    // Count, size, id, signature, data of the last item.
    for at in [0, 32, 64, 170, good.len() - 1] {
        let mut bytes = good.to_vec();
        bytes[at] ^= 1;
        let id = net.publish(bytes.clone().into(), bundle::tags()).await;
        assert_eq!(net.web.get(&format!("/{id}")).await.body, bytes);
        assert_eq!(ids(&net, &format!(r#"bundledIn: ["{id}"], "#)).await, Vec::<String>::new(), "{at}");
    }
    let id = net.publish(good, bundle::tags()).await;
    assert_eq!(ids(&net, &format!(r#"bundledIn: ["{id}"], "#)).await.len(), 2);
    net.gateway.stop().await;
}

#[tokio::test]
async fn an_item_whose_carrier_is_gone_may_come_again() {
    let net = Net::start().await;
    let uploaded = item(vec![tag("Which", "again")], data(500, 1));
    let bytes = Bundle::new(vec![uploaded.clone()]).unwrap().to_bytes();
    let first = net.publish(bytes.clone(), bundle::tags()).await;
    net.gateway.command(Command::DropPending(first)).await.unwrap();
    net.web.get(&format!("/{}", uploaded.id())).await.is(404, "Not Found.");
    let filter = r#"tags: [{name: "Which", values: ["again"]}], "#;
    assert_eq!(ids(&net, filter).await, Vec::<String>::new());
    // Through the bundler.
    assert_eq!(net.web.post("/v1/tx", uploaded.bytes().clone()).await.status, 200);
    assert_eq!(ids(&net, filter).await.len(), 1);
    net.mine().await;
    assert_eq!(net.web.get(&format!("/{}", uploaded.id())).await.body, uploaded.data());
    // In another bundle it stays where it is.
    let second = net.publish(bytes, bundle::tags()).await;
    net.mine().await;
    assert_eq!(ids(&net, filter).await, [uploaded.id().to_string()]);
    assert_eq!(ids(&net, &format!(r#"bundledIn: ["{second}"], "#)).await.len(), 0);
    net.gateway.stop().await;
}
