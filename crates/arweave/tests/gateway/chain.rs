//! Blocks: when they are made, what a reorg does, and what a restart keeps.

use crate::support::{FUNDS, Net, bundler, data, item, tag};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;
use weft_arweave::{
    GatewayConfig, Id,
    gateway::{Command, Mining, Orphans},
};

/// More than any step takes.
const DEADLINE: Duration = Duration::from_secs(60);

async fn status(net: &Net, id: &Id) -> Value {
    let answer = net.web.get(&format!("/tx/{id}/status")).await;
    if answer.status == 200 { answer.json() } else { json!(answer.status.as_u16()) }
}

#[tokio::test]
async fn blocks_come_by_interval_until_all_is_confirmed() {
    let every = Duration::from_millis(5);
    let mining = Mining::Interval { every, rest_after_confirmations: 3 };
    let net = Net::with(|config| config.mining = mining).await;
    let mut heights = net.gateway.heights();
    let id = net.publish(data(10, 1), Vec::new()).await;
    timeout(DEADLINE, heights.wait_for(|height| *height >= 4)).await.unwrap().unwrap();
    // Three blocks after that of the transaction it rests; then the next one wakes it.
    let confirmations = status(&net, &id).await["number_of_confirmations"].as_u64().unwrap();
    assert_eq!(confirmations, 4);
    let second = net.publish(data(10, 2), Vec::new()).await;
    timeout(DEADLINE, heights.wait_for(|height| *height >= 8)).await.unwrap().unwrap();
    // Nothing was made in between.
    assert_eq!(status(&net, &second).await["block_height"], json!(5));
    net.gateway.stop().await;
}

#[tokio::test]
async fn blocks_come_at_once() {
    let net = Net::with(|config| config.mining = Mining::Instant).await;
    let mut heights = net.gateway.heights();
    let id = net.publish(data(10, 1), Vec::new()).await;
    timeout(DEADLINE, heights.wait_for(|height| *height >= 1)).await.unwrap().unwrap();
    assert_eq!(status(&net, &id).await["block_height"], json!(1));
    let uploaded = item(Vec::new(), data(5, 1));
    assert_eq!(net.web.post("/v1/tx", uploaded.bytes().clone()).await.status, 200);
    timeout(DEADLINE, heights.wait_for(|height| *height >= 2)).await.unwrap().unwrap();
    let status = net.web.get(&format!("/v1/tx/{}/status", uploaded.id())).await.json();
    assert_eq!(status["status"], "FINALIZED");
    net.gateway.stop().await;
}

#[tokio::test]
async fn blocks_are_made_on_demand_within_bounds() {
    let net = Net::with(|config| config.limits.block_transactions = 2).await;
    for seed in 0..5 {
        net.publish(data(10, seed), Vec::new()).await;
    }
    for left in [3, 1, 0] {
        assert_eq!(net.web.get("/mine").await.status, 200);
        assert_eq!(net.gateway.pending().unwrap().len(), left);
    }
    assert_eq!(net.web.get("/mine/3").await.json(), json!({ "height": 6 }));
    for path in ["/mine/0", "/mine/1000000", "/mine/x"] {
        assert_eq!(net.web.get(path).await.status, 400, "{path}");
    }
    net.gateway.stop().await;
    let net = Net::with(|config| config.open_mint = false).await;
    let mint = format!("/mint/{}/1", net.address());
    for path in ["/mine", mint.as_str()] {
        net.web.get(path).await.is(404, "Not Found.");
    }
    net.gateway.stop().await;
}

#[tokio::test]
async fn a_reorg_takes_blocks_back_and_makes_a_longer_chain() {
    let net = Net::start().await;
    net.gateway.mine(3).await.unwrap();
    let kept = net.publish(data(300_000, 1), vec![tag("Which", "kept")]).await;
    let lost = net.publish(data(300_000, 2), vec![tag("Which", "lost")]).await;
    let height = net.mine().await;
    let paid = net.gateway.spending(&net.address()).unwrap();
    let before = net.web.get(&format!("/block/height/{height}")).await.json();
    net.mine().await;
    let orphans = Orphans::DropSome(vec![lost]);
    net.gateway.command(Command::Reorg { depth: 2, orphans }).await.unwrap();

    let tip = *net.gateway.heights().borrow();
    assert_eq!(tip, height + 2);
    let after = net.web.get(&format!("/block/height/{height}")).await.json();
    assert_ne!(after["indep_hash"], before["indep_hash"]);
    let old = before["indep_hash"].as_str().unwrap();
    assert_eq!(net.web.get(&format!("/block/hash/{old}")).await.status, 404);
    assert_eq!(status(&net, &kept).await["number_of_confirmations"], json!(3));
    assert_eq!(status(&net, &lost).await, json!(410));
    assert!(net.web.get(&format!("/{kept}")).await.body == data(300_000, 1), "other bytes");
    net.web.get(&format!("/{lost}")).await.is(404, "Not Found.");
    let found = net.web.query("{ transactions { edges { node { id } } } }").await;
    assert_eq!(found["transactions"]["edges"], json!([{ "node": { "id": kept } }]));
    // Accepted twice, and one of the two is paid.
    let spending = net.gateway.spending(&net.address()).unwrap();
    assert_eq!((spending.accepted, spending.mined), (paid.accepted, 1));
    let balance = net.gateway.balance(&net.address()).unwrap().0;
    assert_eq!(balance, FUNDS.0 - spending.mined_winston.0);
    // Down to the first block, never below.
    assert!(net.gateway.command(Command::Reorg { depth: 50, orphans: Orphans::Drop }).await.is_err());
    net.gateway.command(Command::Reorg { depth: tip, orphans: Orphans::Drop }).await.unwrap();
    assert_eq!(net.gateway.balance(&net.address()).unwrap(), FUNDS);
    assert_eq!(status(&net, &kept).await, json!(410));
    net.gateway.stop().await;
}

#[tokio::test]
async fn a_reorg_puts_items_back_with_their_bundle() {
    let net = Net::start().await;
    let uploaded = item(vec![tag("Which", "item")], data(1_000, 1));
    net.web.post("/v1/tx", uploaded.bytes().clone()).await;
    net.gateway.mine(2).await.unwrap();
    let query = r#"{ transactions(tags: [{name: "Which", values: ["item"]}]) { edges { node { block { height } } } } }"#;
    let block = |found: &Value| found["transactions"]["edges"][0]["node"]["block"]["height"].clone();
    assert_eq!(block(&net.web.query(query).await), json!(1));
    net.gateway.command(Command::HoldEverything).await.unwrap();
    net.gateway.command(Command::Reorg { depth: 2, orphans: Orphans::Requeue }).await.unwrap();
    assert_eq!(block(&net.web.query(query).await), Value::Null);
    assert_eq!(net.web.get(&format!("/{}", uploaded.id())).await.body, data(1_000, 1));
    net.gateway.command(Command::Release).await.unwrap();
    let height = net.mine().await;
    assert_eq!(block(&net.web.query(query).await), json!(height));
    net.gateway.stop().await;
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let net = Net::start().await;
    let mined = net.publish(data(600_000, 1), vec![tag("Which", "mined")]).await;
    let bundled = item(vec![tag("Which", "bundled")], data(2_000, 2));
    net.web.post("/v1/tx", bundled.bytes().clone()).await;
    net.gateway.mine(3).await.unwrap();
    let pending = net.publish(data(700_000, 3), vec![tag("Which", "pending")]).await;
    let waiting = item(vec![tag("Which", "waiting")], data(3_000, 4));
    net.web.post("/v1/tx", waiting.bytes().clone()).await;
    let query = "{ transactions(first: 50) { edges { cursor node { id tags { value } bundledIn { id } block { id } } } } }";
    let paths = [
        "/info".to_owned(),
        "/block/height/1".to_owned(),
        "/tx/pending".to_owned(),
        format!("/tx/{mined}/status"),
        format!("/tx/{mined}/offset"),
        format!("/tx/{pending}"),
        format!("/{pending}"),
        format!("/{}", bundled.id()),
        format!("/{}", waiting.id()),
        format!("/wallet/{}/balance", net.address()),
    ];
    let mut before = Vec::new();
    for path in &paths {
        before.push(net.web.get(path).await.body);
    }
    let found = net.web.query(query).await;
    let spending = net.gateway.spending(&net.address()).unwrap();

    let net = net.restart().await;
    for (path, before) in paths.iter().zip(before) {
        assert!(net.web.get(path).await.body == before, "{path}");
    }
    assert_eq!(net.web.query(query).await, found);
    assert_eq!(net.gateway.spending(&net.address()).unwrap(), spending);
    net.mine().await;
    assert_eq!(status(&net, &pending).await["number_of_confirmations"], json!(1));
    let status = net.web.get(&format!("/v1/tx/{}/status", waiting.id())).await.json();
    assert_eq!(status["status"], "FINALIZED");
    net.gateway.stop().await;
}

#[tokio::test]
async fn a_folder_has_one_gateway_and_an_address_one_listener() {
    let net = Net::start().await;
    let again = GatewayConfig::new(net.gateway.folder());
    assert!(weft_arweave::Gateway::start(again).await.is_err());
    let mut elsewhere = GatewayConfig::new(net.folder.path().join("other"));
    elsewhere.address = net.gateway.address();
    let error = weft_arweave::Gateway::start(elsewhere).await.unwrap_err();
    assert!(error.to_string().contains("cannot listen"), "{error}");
    net.gateway.stop().await;
}

#[tokio::test]
async fn the_bundlers_wallet_is_made_once() {
    let net = Net::with(|config| config.bundler = None).await;
    let first = net.web.post("/v1/tx", item(Vec::new(), data(5, 1)).bytes().clone()).await.json();
    let folder = net.gateway.folder().clone();
    net.gateway.stop().await;
    let gateway = weft_arweave::Gateway::start(GatewayConfig::new(folder)).await.unwrap();
    let web = crate::support::Web::new(gateway.url());
    let second = web.post("/v1/tx", item(Vec::new(), data(5, 2)).bytes().clone()).await.json();
    assert_eq!(first["public"], second["public"]);
    assert_ne!(first["public"], json!(weft_arweave::base64url::encode(bundler().owner().as_bytes())));
    gateway.stop().await;
}
