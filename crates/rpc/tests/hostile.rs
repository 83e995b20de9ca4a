//! Requests that are too large, too deep, too slow, too many, or not JSON at all.

#![allow(clippy::unwrap_used)]

mod common;

use alloy_primitives::{Address, Bytes, TxKind, hex};
use common::{Node, read_response, sign, signer, transaction};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weft_rpc::{Readiness, RpcConfig};

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

async fn post(node: &Node, body: &[u8]) -> (u16, Value) {
    let (status, text) = node.http("POST", "/", JSON, body).await;
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let node = Node::start(RpcConfig { request_bytes_max: 10_000, ..RpcConfig::default() }).await;
    let (status, answer) = post(&node, &vec![b' '; 10_001]).await;
    assert_eq!(status, 413, "{answer}");

    // The same without a Content-Length: cut off when the limit is passed.
    let mut stream = TcpStream::connect(node.server.address()).await.unwrap();
    let head = "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("3000\r\n{}\r\n0\r\n\r\n", " ".repeat(0x3000));
    let _ = stream.write_all(chunk.as_bytes()).await;
    assert_eq!(read_response(&mut stream).await.0, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn nesting_does_not_reach_the_stack() {
    let node = Node::start(RpcConfig::default()).await;
    let deep = "[".repeat(500_000);
    for body in [
        deep.clone(),
        format!("{deep}{}", "]".repeat(500_000)),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"eth_call","params":{deep}{}}}"#, "]".repeat(500_000)),
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{}1{}]}}"#,
            r#"{"a":"#.repeat(200_000),
            "}".repeat(200_000)
        ),
        format!(r#"{{"jsonrpc":"2.0","id":{deep},"method":"eth_chainId"}}"#),
    ] {
        let (_, answer) = post(&node, body.as_bytes()).await;
        // A batch of nonsense is answered by a list of errors.
        let answer = answer.get(0).unwrap_or(&answer);
        assert!(answer.get("error").is_some(), "{answer}");
    }
    assert_eq!(node.call("eth_blockNumber", json!([])).await, "0x0", "still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_request_is_answered_as_json_rpc_says() {
    let node = Node::start(RpcConfig::default()).await;
    for (body, code) in [
        (&b"{"[..], -32700),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1}", -32600),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":5}", -32600),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_chainId\",\"params\":{\"a\":1}}", -32602),
        (b"[]", -32600),
        (b"[1", -32700),
    ] {
        let (_, answer) = post(&node, body).await;
        assert_eq!(answer["error"]["code"], code, "{}: {answer}", String::from_utf8_lossy(body));
    }
    for body in [&b""[..], b"\xff\xfe\x00", b"null", b"\"text\""] {
        assert_eq!(post(&node, body).await.0, 400);
    }
    assert_eq!(node.http("POST", "/", &[("content-type", "text/plain")], b"{}").await.0, 415);
    assert_eq!(node.http("PUT", "/", JSON, b"{}").await.0, 405);
    assert_eq!(node.http("GET", "/nowhere", &[], b"").await.0, 404);
    assert_eq!(
        node.http("POST", "/", &[("content-type", "application/json"), ("host", "evil.example")], b"{}")
            .await
            .0,
        403
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_body_is_given_up() {
    let node =
        Node::start(RpcConfig { body_idle_timeout: Duration::from_millis(200), ..RpcConfig::default() })
            .await;
    let mut stream = TcpStream::connect(node.server.address()).await.unwrap();
    let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server answers and closes although the client never does.
    assert_eq!(read_response(&mut stream).await.0, 408);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_never_ends_is_given_up() {
    let node =
        Node::start(RpcConfig { header_timeout: Duration::from_millis(200), ..RpcConfig::default() }).await;
    let mut stream = TcpStream::connect(node.server.address()).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nhost: localhost\r\nx-a: ").await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_counted() {
    let node = Node::start(RpcConfig { connections_max: 2, ..RpcConfig::default() }).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(node.server.address()).await.unwrap();
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let mut first = [0u8; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        held.push(stream);
    }
    let mut refused = TcpStream::connect(node.server.address()).await.unwrap();
    let _ = refused.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let mut rest = Vec::new();
    let _ = refused.read_to_end(&mut rest).await;
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_bounded_in_calls_and_bytes() {
    let node =
        Node::start(RpcConfig { batch_calls_max: 3, response_bytes_max: 400, ..RpcConfig::default() }).await;
    let call = |id: u64| json!({ "jsonrpc": "2.0", "id": id, "method": "eth_chainId", "params": [] });
    let answer = node.post(&json!([call(1), call(2), { "jsonrpc": "2.0", "method": "eth_chainId" }])).await;
    let ids: Vec<_> = answer.as_array().unwrap().iter().map(|answer| answer["id"].clone()).collect();
    assert_eq!(ids, [1, 2], "a notification is not answered");
    assert!(node.post(&json!([call(1), call(2), call(3), call(4)])).await["error"].is_object());
    let heavy =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["0x0", false] });
    assert_eq!(node.post(&heavy).await["error"]["code"], -32003);
    let long = json!({ "jsonrpc": "2.0", "id": "i".repeat(150), "method": "eth_chainId", "params": [] });
    let answer = node.post(&json!([long, long, long])).await;
    assert!(answer["error"].is_object(), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_transactions_take_the_short_way_and_the_long_one_alike() {
    let node = Node::start(RpcConfig::default()).await;
    let blob = Bytes::from(vec![0xab; 700_000]);
    let mut hashes = Vec::new();
    for nonce in 0..3u64 {
        let raw = sign(
            &signer(0),
            transaction(node.spec.chain_id(), nonce, TxKind::Call(Address::ZERO), blob.clone()),
        );
        let call =
            json!({ "jsonrpc": "2.0", "id": nonce, "method": "eth_sendRawTransaction", "params": [raw] });
        // One alone, one in a batch, one with its fields in an order that the scanner does not take.
        let answer = match nonce {
            0 => node.post(&call).await,
            1 => node.post(&json!([call])).await[0].clone(),
            _ => {
                let body = format!(
                    r#"{{"params":["{}"],"method":"eth_sendRawTransaction","id":2,"jsonrpc":"2.0"}}"#,
                    hex::encode_prefixed(&raw)
                );
                post(&node, body.as_bytes()).await.1
            }
        };
        assert_eq!(answer["id"], nonce);
        assert_eq!(answer["result"], json!(alloy_primitives::keccak256(&raw)), "{answer}");
        hashes.push(answer["result"].clone());
    }
    node.seal().await;
    let block = node.call("eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!(block["transactions"], json!(hashes));
    let again = node.fail("eth_sendRawTransaction", json!(["0x02c0"])).await;
    assert_eq!(again.0, -32000, "{}", again.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_readiness_are_told_apart() {
    let node = Node::start(RpcConfig {
        cors_origins: vec!["https://app.example".to_owned()],
        ..RpcConfig::default()
    })
    .await;
    assert_eq!(node.http("GET", "/health", &[], b"").await.0, 200);
    assert_eq!(node.http("GET", "/ready", &[], b"").await.0, 503);
    node.readiness.send_replace(Readiness::Ready);
    assert_eq!(node.http("GET", "/ready", &[], b"").await.0, 200);
    node.readiness.send_replace(Readiness::Unready("disk is full".to_owned()));
    let (status, body) = node.http("GET", "/ready", &[], b"").await;
    assert_eq!(
        (status, serde_json::from_str::<Value>(&body).unwrap()["reason"].clone()),
        (503, json!("disk is full"))
    );
    let preflight = [("origin", "https://app.example"), ("access-control-request-method", "POST")];
    assert_eq!(node.http("OPTIONS", "/", &preflight, b"").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_answers_what_was_asked_and_closes() {
    let node = Node::start(RpcConfig::default()).await;
    let address = node.server.address();
    assert_eq!(node.call("eth_chainId", json!([])).await, format!("{:#x}", node.spec.chain_id()));
    node.server.stop().await;
    assert!(
        TcpStream::connect(address).await.is_err() || {
            let mut stream = TcpStream::connect(address).await.unwrap();
            read_response(&mut stream).await.0 == 0
        }
    );
}
