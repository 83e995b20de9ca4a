//! The client against answers that no honest server gives: too long, of another shape, of another range, without an end.

mod common;

use common::{client, config, urls};
use http_body_util::Full;
use hyper::{Request, Response, body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::net::TcpListener;
use weft_arweave::{
    Address, Client, ClientConfig, DataRoot, Error, EthereumKey, FormatError, Id, ItemDraft, Signer, Winston,
    client::{BlockHeader, ItemStatus, ItemUpload, Placement, Query, verify_placement},
};

type Answer = Response<Full<Bytes>>;

struct Server {
    url: String,
    requests: Arc<AtomicUsize>,
}

/// Serves what `answer` makes of each request's method, path and query.
async fn serve(answer: impl Fn(&str, &Request<Incoming>) -> Answer + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/base/", listener.local_addr().expect("an address"));
    let requests = Arc::new(AtomicUsize::new(0));
    let (answer, count) = (Arc::new(answer), Arc::clone(&requests));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (answer, count) = (Arc::clone(&answer), Arc::clone(&count));
            let service = service_fn(move |request: Request<Incoming>| {
                count.fetch_add(1, Ordering::Relaxed);
                let line = format!("{} {}", request.method(), request.uri());
                let answer = answer(&line, &request);
                async move { Ok::<_, std::convert::Infallible>(answer) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Server { url, requests }
}

fn with(status: u16, body: impl Into<Bytes>) -> Answer {
    Response::builder().status(status).body(Full::new(body.into())).expect("an answer")
}

fn with_header(status: u16, name: &str, value: &str, body: impl Into<Bytes>) -> Answer {
    let builder = Response::builder().status(status).header(name, value);
    builder.body(Full::new(body.into())).expect("an answer")
}

fn rounds(client: &Client) -> usize {
    client.config().rounds_max as usize
}

#[tokio::test]
async fn short_answers_are_numbers_in_one_spelling_and_bounded() {
    let server = serve(|line, _| match line {
        "GET /base/price/5" => with(200, " 123\n"),
        "GET /base/price/6" => with(200, "1e9"),
        "GET /base/price/7" => with(200, "-1"),
        "GET /base/price/8" => with(200, "<html>Too many requests</html>"),
        "GET /base/price/9" => with(200, vec![b'1'; 1 << 20]),
        "GET /base/tx_anchor" => with(200, "AAAA"),
        line => panic!("{line}"),
    })
    .await;
    let client = client(&[&server.url]);
    assert_eq!(client.price(5, None).await.expect("a price"), Winston(123));
    for bytes in 6..9 {
        let error = client.price(bytes, None).await.expect_err("no number");
        assert!(matches!(error, Error::WrongAnswer { .. }), "{error}");
    }
    assert!(matches!(client.price(9, None).await, Err(Error::BodyTooLarge { max: 65536, .. })));
    assert!(matches!(client.tx_anchor().await, Err(Error::WrongAnswer { .. })));
    assert_eq!(server.requests.load(Ordering::Relaxed), 1 + 5 * rounds(&client));
}

#[tokio::test]
async fn ranges_are_what_was_asked_for_or_refused() {
    let id = Id([1; 32]);
    let server = serve(move |line, request| {
        let range = request.headers().get("range").expect("a range").to_str().expect("text");
        match (line.contains("/raw/"), range) {
            (true, "bytes=0-1") => with_header(206, "content-range", "bytes 0-1/10", "01"),
            // Does not know /raw, and no ranges either.
            (true, "bytes=2-3") => with(404, ""),
            (false, "bytes=2-3") => with(200, "0123456789"),
            (true, "bytes=3-4") => with_header(206, "content-range", "bytes 0-1/10", "01"),
            (true, "bytes=4-5") => with_header(206, "content-range", "bytes 4-5/10", "456"),
            (true, "bytes=5-6") => with(206, "56"),
            (true, "bytes=6-7") => with(200, "012"),
            (true, "bytes=7-8") => with(200, vec![b'7'; 10_000]),
            (true, "bytes=8-9") => with(416, ""),
            (raw, range) => panic!("{raw} {range}"),
        }
    })
    .await;
    let client = client(&[&server.url]);
    let range = |start: u64| client.untrusted_range(id, start..start + 2, 1000);
    assert_eq!(range(0).await.expect("a range"), "01");
    assert_eq!(range(2).await.expect("out of the whole"), "23");
    for start in 3..7 {
        let error = range(start).await.expect_err("another range");
        assert!(matches!(error, Error::WrongAnswer { source: FormatError::WrongData(_), .. }), "{error}");
    }
    assert!(matches!(range(7).await, Err(Error::BodyTooLarge { max: 1000, .. })));
    assert!(matches!(range(8).await, Err(Error::Rejected { status: 416, .. })));
    let before = server.requests.load(Ordering::Relaxed);
    assert!(matches!(client.untrusted_range(id, 5..5, 1000).await, Err(Error::Config(_))));
    assert!(matches!(client.untrusted_range(id, 0..1001, 1000).await, Err(Error::Config(_))));
    assert_eq!(server.requests.load(Ordering::Relaxed), before);
}

#[tokio::test]
async fn redirects_end() {
    let server = serve(|line, _| with_header(302, "location", line.trim_start_matches("GET "), "")).await;
    let client = client(&[&server.url]);
    let error = client.untrusted_data(Id([1; 32]), 10).await.expect_err("round and round");
    assert!(matches!(error, Error::Status { status: 302, .. }), "{error}");
    assert!(server.requests.load(Ordering::Relaxed) <= 6);
}

fn page(cursor: &str, more: bool, ids: &[u8]) -> Answer {
    let edges: Vec<_> = ids
        .iter()
        .map(|id| {
            json!({ "cursor": cursor, "node": {
                "id": Id([*id; 32]), "owner": { "address": Address([0; 32]) }, "data": { "size": "1" },
                "tags": [], "recipient": "", "anchor": null, "block": null, "bundledIn": null,
            } })
        })
        .collect();
    let transactions = json!({ "pageInfo": { "hasNextPage": more }, "edges": edges });
    with(200, json!({ "data": { "transactions": transactions } }).to_string())
}

#[tokio::test]
async fn an_index_that_repeats_itself_or_hides_results_does_not_hold_us() {
    let repeating = serve(|_, _| page("again", true, &[1, 2])).await;
    let empty = serve(|_, _| page("more", true, &[])).await;
    let other = serve(|_, _| page("end", false, &[2, 3])).await;
    let broken = serve(|_, _| with(200, r#"{"errors": [{"message": "no"}], "data": null}"#)).await;
    let client = client(&[&broken.url, &repeating.url, &empty.url, &other.url]);
    let found = client.untrusted_find(&Query::default(), 100).await.expect("some");
    assert_eq!(found.iter().map(|found| found.id.0[0]).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(repeating.requests.load(Ordering::Relaxed), 2);
    assert_eq!(empty.requests.load(Ordering::Relaxed), 1);
    let alone = common::client(&[&broken.url]);
    assert!(matches!(alone.untrusted_find(&Query::default(), 1).await, Err(Error::WrongAnswer { .. })));
    let greedy = serve(|_, _| page("x", false, &[7; 101])).await;
    let greedy = common::client(&[&greedy.url]);
    assert!(greedy.untrusted_page(&Query::default(), None).await.is_err(), "more than a page");
    // A made-up result does not verify, whatever is served as its data.
    assert!(found[0].item_with(b"x").is_err());
}

#[tokio::test]
async fn a_bundlers_answers_are_told_apart() {
    let key = EthereumKey::from_bytes(&[5; 32]).expect("a key");
    let item = |text: &'static str| {
        let draft = ItemDraft { data: text.into(), ..ItemDraft::default() };
        draft.sign(Signer::Ethereum(&key)).expect("signed")
    };
    let (good, id) = (item("good"), item("good").id());
    let answers = Arc::new(std::sync::Mutex::new(vec![
        with(402, "Insufficient balance"),
        with(200, json!({ "id": Id([1; 32]), "winc": "1" }).to_string()),
        with(200, json!({ "id": id, "winc": "77", "deadlineHeight": 9, "signature": "kept" }).to_string()),
    ]));
    let queue = Arc::clone(&answers);
    let server = serve(move |line, _| match line {
        "POST /base/v1/tx" => queue.lock().expect("no panic").remove(0),
        "GET /base/v1/price/bytes/1000" => with(200, r#"{"winc": "5", "adjustments": []}"#),
        line if line.starts_with("GET /base/v1/account/balance/arweave?address=AQE") => {
            with(200, r#"{"winc": "99"}"#)
        }
        line if line.starts_with("GET /base/v1/account/balance/arweave?address=") => {
            with(404, "User not found")
        }
        line if line.ends_with("/status") => {
            with(200, json!({ "status": "CONFIRMED", "info": "failed" }).to_string())
        }
        line => panic!("{line}"),
    })
    .await;
    let service = urls(&[&server.url]).remove(0);
    let client = Client::new(ClientConfig {
        bundler: Some(service.clone()),
        payment: Some(service),
        ..config(&["http://127.0.0.1:1"])
    })
    .expect("a client");
    let refused = client.upload_item(&good).await.expect("an answer");
    assert!(
        matches!(&refused, ItemUpload::Rejected { status: 402, reason } if reason.contains("Insufficient"))
    );
    let ItemUpload::Accepted(receipt) = client.upload_item(&good).await.expect("after a wrong receipt")
    else {
        panic!("not accepted")
    };
    assert_eq!((receipt.price, receipt.deadline_height), (Some(Winston(77)), Some(9)));
    assert_eq!(receipt.json["signature"], "kept");
    assert!(answers.lock().expect("no panic").is_empty());
    assert_eq!(client.bundler_price(1000).await.expect("a price"), Winston(5));
    assert_eq!(client.bundler_balance(Address([1; 32])).await.expect("a balance"), Winston(99));
    assert_eq!(client.bundler_balance(Address([2; 32])).await.expect("a balance"), Winston(0));
    assert_eq!(client.item_status(good.id()).await.expect("a status"), ItemStatus::Failed);
    let without = common::client(&[&server.url]);
    assert!(matches!(without.upload_item(&good).await, Err(Error::Config(_))));
}

#[test]
fn addresses_are_checked_and_hold_no_secrets() {
    for address in ["ftp://a/", "http://user:secret@a/", "https://a/?key=secret", "data:text"] {
        let error = Client::new(config(&[address])).expect_err("refused");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    assert!(Client::new(config(&[])).is_err());
    assert!(Client::new(config(&["http://a/"; 17])).is_err());
    assert!(Client::new(ClientConfig { rounds_max: 0, ..config(&["http://a/"]) }).is_err());
    assert!(Client::new(config(&["https://a/"])).is_ok());
}

#[test]
fn a_place_outside_of_its_block_is_refused() {
    let block = BlockHeader {
        indep_hash: String::new(),
        height: 1,
        timestamp: 0,
        tx_root: Some([0; 32]),
        weave_size: 1000,
        block_size: 100,
    };
    for (start, size) in [(899, 10), (995, 6), (900, 101), (0, 0), (950, 0), (u64::MAX, 1), (900, u64::MAX)] {
        let refused = verify_placement(&block, DataRoot([1; 32]), Placement { start, size }, &[0; 64]);
        assert!(
            matches!(refused, Err(FormatError::Proof("the data does not lie in the block"))),
            "{start} {size}"
        );
    }
    let empty = BlockHeader { tx_root: None, ..block };
    assert!(verify_placement(&empty, DataRoot([1; 32]), Placement { start: 900, size: 1 }, &[]).is_err());
}
