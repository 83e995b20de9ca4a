//! Clients that mean ill: too many, too slow, too large, or not speaking HTTP.

use crate::support::{Net, Web, item};
use bytes::Bytes;
use hyper::{Method, StatusCode};
use proptest::prelude::*;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// More than any step takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// Sends bytes and gives everything until the other side closes.
async fn talk(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    stream.write_all(bytes).await.expect("sent");
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ = timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("closed in time");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_client_that_does_not_go_on_is_let_go() {
    let net = Net::with(|config| config.limits.idle = Duration::from_millis(100)).await;
    let address = net.gateway.address();
    // The head does not end, and the body does not come.
    let answer = talk(address, b"GET /info HTTP/1.1\r\nhost: x\r\n").await;
    assert!(!answer.contains("200 OK"), "{answer}");
    for path in ["/tx", "/chunk", "/v1/tx", "/graphql"] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc");
        let answer = talk(address, head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{path}: {answer}");
    }
    assert_eq!(net.web.get("/info").await.status, 200);
    net.gateway.stop().await;
}

#[tokio::test]
async fn what_is_not_http_ends_the_connection() {
    let net = Net::start().await;
    let address = net.gateway.address();
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"nonsense\r\n\r\n",
        b"GET /info HTTP/9.9\r\n\r\n",
        b"POST /tx HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /tx HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
    ] {
        let answer = talk(address, bytes).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    for path in ["/../../etc/passwd", "/raw/../index.redb", "/%2e%2e/index.redb", "//", "/tx//data"] {
        let status = net.web.get(path).await.status;
        assert!(status.is_client_error() || path == "//", "{path}: {status}");
    }
    net.gateway.stop().await;
}

#[tokio::test]
async fn bodies_and_connections_have_bounds() {
    let net = Net::with(|config| {
        config.limits.connections = 3;
        config.limits.item_bytes = 1 << 20;
    })
    .await;
    let address = net.gateway.address();
    // Refused by the announced length, before anything is sent.
    for path in ["/tx", "/chunk", "/v1/tx", "/graphql"] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n");
        let answer = talk(address, head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{path}: {answer}");
    }
    // Without a length it is cut off on the way.
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"POST /v1/tx HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    let piece = [&b"10000\r\n"[..], &[0; 0x10000], b"\r\n"].concat();
    let mut sent = 0;
    while sent < 100 << 20 && stream.write_all(&piece).await.is_ok() {
        sent += 0x10000;
    }
    assert!(sent < 100 << 20, "it takes everything");
    let _idle = TcpStream::connect(address).await.unwrap();
    let mut refused = 0;
    let mut open = Vec::new();
    for _ in 0..5 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut byte = [0];
        let _ = stream.write_all(b"GET /info HTTP/1.1\r\nhost: x\r\n\r\n").await;
        match timeout(DEADLINE, stream.read(&mut byte)).await.unwrap() {
            Ok(1) => open.push(stream),
            _ => refused += 1,
        }
    }
    assert!(refused >= 2, "{refused}");
    assert!(net.gateway.counters().connections_refused >= 2);
    drop(open);
    net.gateway.stop().await;
}

#[tokio::test]
async fn browsers_may_ask_from_everywhere() {
    let net = Net::start().await;
    let answer = net.web.send(net.web.request(Method::OPTIONS, "/tx", "")).await.unwrap();
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(net.web.get("/info").await.header("access-control-allow-origin"), "*");
    net.gateway.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is posted, the gateway answers with a refusal and goes on.
    #[test]
    fn any_body_is_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..3_000),
        text in r#"[\[\]{}":,a-z0-9 ]{0,400}"#,
        at: prop::sample::Index,
        bit in 0..8_u32,
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let config = crate::support::config(&folder);
            let gateway = weft_arweave::Gateway::start(config).await.unwrap();
            let web = Web::new(gateway.url());
            let mut altered = item(Vec::new(), Bytes::from_static(b"data")).bytes().to_vec();
            let at = at.index(altered.len());
            altered[at] ^= 1 << bit;
            for body in [bytes, text.into_bytes(), altered] {
                for path in ["/tx", "/chunk", "/v1/tx", "/graphql"] {
                    let answer = web.post(path, body.clone()).await;
                    let refused = answer.status.is_client_error()
                        || answer.body.windows(8).any(|window| window == b"\"errors\"");
                    assert!(refused, "{path}: {answer:?}");
                }
            }
            assert_eq!(web.get("/info").await.json()["stored_bytes"], 0);
            gateway.stop().await;
        });
    }
}
