//! Faults on purpose: each does what it says, to the requests that it names, and to no other.

use crate::support::{Net, data, item, tag};
use hyper::Method;
use serde_json::json;
use weft_arweave::{
    ChunkTree, Id, Winston,
    gateway::{Action, Command, Fault, Orphans, Route},
};

#[tokio::test]
async fn answers_are_altered_as_told() {
    let net = Net::start().await;
    let bytes = data(300_000, 1);
    let id = net.publish(bytes.clone(), Vec::new()).await;
    let other = net.publish(data(50, 2), Vec::new()).await;
    net.mine().await;
    let path = format!("/{id}");
    let once = |action| net.gateway.fault(Fault::on(Route::Content, action).times(1)).unwrap();
    let get = || net.web.send(net.web.request(Method::GET, &path, ""));

    once(Action::Flip(200_000));
    let mut flipped = bytes.to_vec();
    flipped[200_000] ^= 1;
    assert!(get().await.unwrap().body == flipped, "not that one byte");
    once(Action::Flip(u64::MAX));
    assert_ne!(get().await.unwrap().body.last(), bytes.last());
    once(Action::Shorten(1_000));
    assert!(get().await.unwrap().body == bytes.slice(..1_000), "not the beginning");
    once(Action::Truncate(200_000));
    assert!(get().await.is_none(), "the answer came whole");
    once(Action::Other(other));
    assert_eq!(get().await.unwrap().body, data(50, 2));
    once(Action::Drop);
    assert!(get().await.is_none(), "there was an answer");
    once(Action::Status { status: 429, retry_after: Some(7) });
    let refused = get().await.unwrap();
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "7"));
    once(Action::Delay(1));
    assert!(get().await.unwrap().body == bytes, "other bytes");

    let counters = net.gateway.counters();
    assert_eq!((counters.requests[&Route::Content], counters.faults[&Route::Content]), (8, 8));
    assert!(get().await.unwrap().body == bytes, "it goes on");
    assert_eq!(net.gateway.counters().faults[&Route::Content], 8);
    net.gateway.fault(Fault::on(Route::Transaction, Action::Other(other))).unwrap();
    assert_eq!(net.web.get(&format!("/tx/{id}")).await.json()["id"], json!(other));
    net.gateway.stop().await;
}

#[tokio::test]
async fn a_fault_meets_only_what_it_names() {
    let net = Net::start().await;
    let id = net.publish(data(10, 1), Vec::new()).await;
    let other = net.publish(data(10, 2), Vec::new()).await;
    let status = Action::Status { status: 500, retry_after: None };
    let fault = Fault { path: Some(id.to_string()), skip: 1, ..Fault::on(Route::Content, status).times(2) };
    net.gateway.fault(fault).unwrap();
    for expected in [200, 500, 500, 200] {
        assert_eq!(net.web.get(&format!("/{id}")).await.status, expected);
        assert_eq!(net.web.get(&format!("/{other}")).await.status, 200);
        assert_eq!(net.web.get("/info").await.status, 200);
    }
    net.gateway.stop().await;
}

#[tokio::test]
async fn chance_is_the_same_for_the_same_seed() {
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        let net = Net::with(|config| config.seed = seed).await;
        let action = Action::Status { status: 503, retry_after: None };
        net.gateway.fault(Fault { percent: Some(50), ..Fault::on(Route::Info, action) }).unwrap();
        let mut statuses = Vec::new();
        for _ in 0..64 {
            statuses.push(net.web.get("/info").await.status.as_u16());
        }
        assert!(statuses.contains(&200) && statuses.contains(&503), "{statuses:?}");
        runs.push(statuses);
        net.gateway.stop().await;
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn a_lost_answer_is_not_a_lost_transaction() {
    let net = Net::start().await;
    let transaction = net.sign(&ChunkTree::of(b""), Vec::new()).await;
    let body = serde_json::to_vec(&transaction).unwrap();
    net.gateway.fault(Fault::on(Route::PostTransaction, Action::DropAnswer).times(1)).unwrap();
    assert!(net.web.send(net.web.request(Method::POST, "/tx", body)).await.is_none());
    net.post(&transaction).await.is(208, "Transaction already processed.");
    let uploaded = item(Vec::new(), data(10, 1));
    net.gateway.fault(Fault::on(Route::Upload, Action::DropAnswer).times(1)).unwrap();
    let request = net.web.request(Method::POST, "/v1/tx", uploaded.bytes().clone());
    assert!(net.web.send(request).await.is_none());
    assert_eq!(net.web.post("/v1/tx", uploaded.bytes().clone()).await.status, 202);
    net.mine().await;
    assert_eq!(net.gateway.spending(&net.address()).unwrap().mined, 1);
    assert_eq!(net.gateway.spending(&uploaded.header().address()).unwrap().items, 1);
    net.gateway.stop().await;
}

#[tokio::test]
async fn what_is_forgotten_was_never_there() {
    let net = Net::start().await;
    let transaction = net.sign(&ChunkTree::of(b""), Vec::new()).await;
    for route in [Route::PostTransaction, Route::Upload] {
        net.gateway.fault(Fault::on(route, Action::Forget).times(1)).unwrap();
    }
    net.post(&transaction).await.is(200, "OK");
    net.web.get(&format!("/tx/{}", transaction.id)).await.is(404, "Not Found.");
    let uploaded = item(Vec::new(), data(10, 1));
    let receipt = net.web.post("/v1/tx", uploaded.bytes().clone()).await.json();
    assert_eq!(receipt["id"], json!(uploaded.id()));
    net.web.get(&format!("/{}", uploaded.id())).await.is(404, "Not Found.");
    net.post(&transaction).await.is(200, "OK");
    assert_eq!(net.gateway.spending(&net.address()).unwrap().accepted, 1);
    net.gateway.stop().await;
}

#[tokio::test]
async fn prices_jump_and_come_back() {
    let net = Net::start().await;
    let tree = ChunkTree::of(b"");
    let cheap = net.sign(&tree, Vec::new()).await;
    let price = net.price(0).await.0;
    net.gateway.command(Command::PricePercent(1_000)).await.unwrap();
    assert_eq!(net.price(0).await, Winston(price * 10));
    net.post(&cheap).await.is(400, "Transaction verification failed.");
    net.gateway.command(Command::Heal).await.unwrap();
    net.post(&cheap).await.is(200, "OK");
    net.gateway.stop().await;
}

#[tokio::test]
async fn a_held_transaction_never_confirms() {
    let net = Net::start().await;
    let held = net.publish(data(10, 1), Vec::new()).await;
    let free = net.publish(data(10, 2), Vec::new()).await;
    net.gateway.command(Command::Hold(held)).await.unwrap();
    net.gateway.mine(3).await.unwrap();
    net.web.get(&format!("/tx/{held}/status")).await.is(202, "Pending");
    assert_eq!(net.web.get(&format!("/tx/{free}/status")).await.json()["number_of_confirmations"], 3);
    net.gateway.command(Command::DropPending(held)).await.unwrap();
    net.web.get(&format!("/tx/{held}/status")).await.is(410, "dropped");
    assert!(net.gateway.command(Command::DropPending(held)).await.is_err());
    net.gateway.stop().await;
}

#[tokio::test]
async fn commands_come_over_http_only_where_they_are_allowed() {
    let net = Net::start().await;
    let commands = [
        json!({ "fault": { "route": "info", "times": 1, "action": { "status": { "status": 500 } } } }),
        json!({ "fault": { "action": { "delay": 0 } } }),
        json!("heal"),
        json!({ "price_percent": 200 }),
        json!({ "hold": Id([1; 32]) }),
        json!("hold_everything"),
        json!("release"),
        json!({ "hide_chunk": { "data_root": Id([1; 32]), "data_size": 5, "offset": 1 } }),
        json!({ "mine": 3 }),
        json!({ "reorg": { "depth": 2 } }),
        json!({ "reorg": { "depth": 1, "orphans": "drop" } }),
        json!({ "reorg": { "depth": 1, "orphans": { "drop_some": [Id([1; 32])] } } }),
    ];
    net.web.post("/admin", commands[0].to_string()).await.is(404, "Not Found.");
    net.web.get("/admin").await.is(404, "Not Found.");
    net.gateway.stop().await;
    let net = Net::with(|config| config.admin = true).await;
    for command in commands {
        net.web.post("/admin", command.to_string()).await.is(200, "OK");
    }
    assert_eq!(*net.gateway.heights().borrow(), 6);
    assert_eq!(net.web.get("/admin").await.json()["requests"]["admin"], 13);
    for body in ["", "{}", "\"nonsense\"", "{\"fault\": {}}", "{\"mine\": 0}", "{\"reorg\": {\"depth\": 51}}"]
    {
        assert_eq!(net.web.post("/admin", body.to_owned()).await.status, 400, "{body}");
    }
    net.gateway.stop().await;
}

#[tokio::test]
async fn a_confirmed_transaction_can_be_lost_in_a_reorg_and_posted_again() {
    let net = Net::start().await;
    let transaction = net.sign(&ChunkTree::of(b""), vec![tag("a", "b")]).await;
    net.post(&transaction).await.is(200, "OK");
    net.gateway.mine(2).await.unwrap();
    net.gateway.command(Command::Reorg { depth: 2, orphans: Orphans::Drop }).await.unwrap();
    net.web.get(&format!("/tx/{}/status", transaction.id)).await.is(410, "orphaned");
    // Its anchor is the first block, which is still there.
    net.post(&transaction).await.is(200, "OK");
    net.mine().await;
    let spending = net.gateway.spending(&net.address()).unwrap();
    assert_eq!((spending.accepted, spending.mined), (1, 1));
    net.gateway.stop().await;
}
