//! Subscriptions, and what one WebSocket connection may have under way.

#![allow(clippy::unwrap_used)]

mod common;

use alloy_primitives::{B256, Bytes, TxKind, U64, hex, keccak256};
use common::{Node, sign, signer, transaction};
use jsonrpsee::{
    core::client::{ClientT, Subscription, SubscriptionClientT},
    rpc_params,
    ws_client::{WsClient, WsClientBuilder},
};
use serde_json::{Value, json};
use std::time::Duration;
use weft_rpc::{RpcConfig, Syncing};

async fn client(node: &Node) -> WsClient {
    WsClientBuilder::default().build(format!("ws://{}", node.server.address())).await.unwrap()
}

async fn next(subscription: &mut Subscription<Value>) -> Value {
    let item = tokio::time::timeout(Duration::from_secs(30), subscription.next())
        .await
        .expect("a notification comes");
    item.expect("the subscription lives").unwrap()
}

/// log1(0, 0, topic) as the whole init code: a creation that logs.
fn logging_creation() -> Bytes {
    let mut code = vec![0x7f];
    code.extend_from_slice(keccak256("made").as_slice());
    code.extend_from_slice(&hex!("5f5fa1"));
    code.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_logs_and_transactions_are_told_of_and_taken_back() {
    let node = Node::start(RpcConfig::default()).await;
    let client = client(&node).await;
    let subscribe = async |params| {
        client.subscribe::<Value, _>("eth_subscribe", params, "eth_unsubscribe").await.unwrap()
    };
    let mut heads = subscribe(rpc_params!["newHeads"]).await;
    let mut logs = subscribe(rpc_params!["logs", json!({ "topics": [keccak256("made")] })]).await;
    let mut hashes = subscribe(rpc_params!["newPendingTransactions"]).await;
    let mut whole = subscribe(rpc_params!["newPendingTransactions", true]).await;
    let mut syncing = subscribe(rpc_params!["syncing"]).await;
    assert_eq!(next(&mut syncing).await, false);
    let [starting_block, current_block, highest_block] = [1, 2, 9].map(U64::from);
    node.syncing.send_replace(Some(Syncing { starting_block, current_block, highest_block }));
    let status = json!({ "startingBlock": "0x1", "currentBlock": "0x2", "highestBlock": "0x9" });
    assert_eq!(next(&mut syncing).await, json!({ "syncing": true, "status": status }));
    node.syncing.send_replace(None);
    assert_eq!(next(&mut syncing).await, false);

    let genesis = node.spec.genesis_hash();
    let raw = sign(&signer(0), transaction(node.spec.chain_id(), 0, TxKind::Create, logging_creation()));
    let hash = node.send(&raw).await;
    assert_eq!(next(&mut hashes).await, json!(hash));
    assert_eq!(next(&mut whole).await["hash"], json!(hash));

    let first = node.seal_on(genesis, 2_000_000_000).await;
    let head = next(&mut heads).await;
    assert_eq!(
        (&head["hash"], &head["number"], &head["parentHash"]),
        (&json!(first), &json!("0x1"), &json!(genesis))
    );
    let log = next(&mut logs).await;
    assert_eq!((&log["blockHash"], &log["removed"]), (&json!(first), &json!(false)));

    let second = node.seal_on(genesis, 2_000_000_001).await;
    assert_eq!(next(&mut heads).await["hash"], json!(second));
    let log = next(&mut logs).await;
    assert_eq!((&log["blockHash"], &log["removed"]), (&json!(first), &json!(true)));
    heads.unsubscribe().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_are_announced() {
    let node = Node::start(RpcConfig::default()).await;
    let client = client(&node).await;
    let mut blobs: Subscription<Value> =
        client.subscribe("da_subscribe", rpc_params!["blobs"], "da_unsubscribe").await.unwrap();
    let raw = sign(
        &signer(0),
        transaction(node.spec.chain_id(), 0, TxKind::Call(signer(1).address()), vec![1u8; 5000].into()),
    );
    let hash = node.send(&raw).await;
    node.seal().await;
    let notice = next(&mut blobs).await;
    assert_eq!(notice["transactionHash"], json!(hash));
    assert_eq!((&notice["length"], &notice["removed"]), (&json!("0x1388"), &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_subscriptions_and_too_many_are_refused() {
    let node = Node::start(RpcConfig { subscriptions_per_connection_max: 2, ..RpcConfig::default() }).await;
    let client = client(&node).await;
    let subscribe =
        async |params| client.subscribe::<Value, _>("eth_subscribe", params, "eth_unsubscribe").await;
    let (_one, _two) = (
        subscribe(rpc_params!["newHeads"]).await.unwrap(),
        subscribe(rpc_params!["newHeads"]).await.unwrap(),
    );
    assert!(subscribe(rpc_params!["newHeads"]).await.is_err());
    // On a connection of its own: a refused subscription counts as one for a moment.
    let other = self::client(&node).await;
    let unknown = other.subscribe::<Value, _>("eth_subscribe", rpc_params!["newWorlds"], "eth_unsubscribe");
    assert!(unknown.await.is_err());
    let over_http = node.fail("eth_subscribe", json!(["newHeads"])).await;
    assert_eq!(over_http, (-32601, "notifications not supported".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_work_and_more_than_fit_wait_for_their_turn() {
    let node = Node::start(RpcConfig { calls_per_connection_max: 4, ..RpcConfig::default() }).await;
    let client = client(&node).await;
    let calls =
        (0..200).map(|_| client.request::<Value, _>("eth_getBalance", rpc_params![signer(0).address()]));
    for answer in futures::future::join_all(calls).await {
        assert!(answer.unwrap().as_str().unwrap().starts_with("0x"));
    }
    let raw = sign(
        &signer(0),
        transaction(node.spec.chain_id(), 0, TxKind::Call(signer(1).address()), vec![7u8; 300_000].into()),
    );
    let hash: B256 = client.request("eth_sendRawTransaction", rpc_params![raw.clone()]).await.unwrap();
    assert_eq!(hash, keccak256(&raw));
}
