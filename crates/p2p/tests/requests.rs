//! Requests and answers, and peers that answer with silence, giants and streams without an end.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use alloy_eips::BlockHashOrNumber;
use common::{
    DEADLINE, Node, TestBlock, config, evil,
    evil::{Deed, Evil},
    in_time, noise,
};
use std::{
    sync::{atomic::Ordering, mpsc as blocking},
    time::Duration,
};
use weft_p2p::{BodyRequest, CellsRequest, HeadersRequest, Refusal, RequestError, wire};
use weft_primitives::{B256, Bytes, ChunkIndex, ColumnIndex};

const BLOCK: B256 = B256::repeat_byte(7);

async fn pair() -> (Node, Node) {
    let (mut a, mut b) = (Node::start(config()).await, Node::start(config()).await);
    a.connect(&mut b).await;
    (a, b)
}

fn headers(start: u64, count: u32) -> HeadersRequest {
    HeadersRequest { start: BlockHashOrNumber::Number(start), count, falling: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_served_arrives_as_it_is() {
    let (a, b) = pair().await;
    let rlp: Vec<Bytes> = (0..20).map(|n: u64| alloy_rlp::encode(vec![n; 40]).into()).collect();
    *b.chain.headers.lock().unwrap() = rlp.clone();
    assert_eq!(a.handle.headers(b.peer(), headers(3, 8), DEADLINE).await.unwrap(), rlp[3..11]);

    // Ten transactions of a megabyte: three parts.
    let body: Vec<Bytes> = (0..10).map(|seed| noise(1 << 20, seed).into()).collect();
    b.chain.bodies.lock().unwrap().insert(BLOCK, body.clone());
    let mut got = Vec::new();
    let mut parts = 0;
    while got.len() < 10 {
        let request = BodyRequest::new(BLOCK, got.len() as u32);
        let part = a.handle.body(b.peer(), request, DEADLINE).await.unwrap();
        assert_eq!((part.first_tx as usize, part.transaction_count), (got.len(), 10));
        got.extend(part.transactions);
        parts += 1;
    }
    assert_eq!((parts, got), (3, body));

    let block = TestBlock::new(9, &noise(3 << 20, 5));
    let request =
        CellsRequest { block: block.hash(), column: ColumnIndex(8), first_chunk: ChunkIndex(4), count: 16 };
    let expected = block.segment(ColumnIndex(8), ChunkIndex(4), 16).range.cells;
    b.chain.blocks.lock().unwrap().insert(block.hash(), block);
    let cells = a.handle.cells(b.peer(), request, DEADLINE).await.unwrap().verify(&request).unwrap();
    assert_eq!(cells.iter().map(|cell| cell.bytes().clone()).collect::<Vec<_>>(), expected);

    let unknown = a.handle.body(b.peer(), BodyRequest::new(B256::ZERO, 0), DEADLINE).await;
    assert!(matches!(unknown, Err(RequestError::Refused(Refusal::NotFound))));
    let info = a.handle.peers().await.remove(0);
    assert!(info.traffic.by_protocol[&weft_p2p::Protocol::Bodies].0 > 10 << 20);
    assert!(info.traffic.total_in > 10 << 20);
    assert_eq!(info.score, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_the_largest_size_arrives_and_a_longer_one_is_refused_by_who_has_it() {
    let (a, b) = pair().await;
    let largest: Vec<Bytes> =
        vec![noise(wire::BODY_PART_BYTES - 1, 1).into(), noise(wire::TX_BYTES_MAX, 2).into()];
    b.chain.bodies.lock().unwrap().insert(BLOCK, largest.clone());
    let part = a.handle.body(b.peer(), BodyRequest::new(BLOCK, 0), DEADLINE).await.unwrap();
    assert_eq!(part.transactions, largest);
    b.chain.bodies.lock().unwrap().insert(BLOCK, vec![noise(wire::BODY_FRAME_BYTES_MAX, 3).into()]);
    let refused = a.handle.body(b.peer(), BodyRequest::new(BLOCK, 0), DEADLINE).await;
    assert!(matches!(refused, Err(RequestError::Refused(Refusal::Failed))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_peer_costs_its_slots_and_its_score_and_nobody_elses_time() {
    let mut impatient = config();
    impatient.limits.request_timeout = Duration::from_millis(500);
    let mut node = Node::start(impatient).await;
    let silent = Evil::start(evil::status(), Deed::Silence, None).await;
    node.handle.add_peer(silent.address.clone()).await.unwrap();
    node.wait_up(silent.peer).await;
    let mut honest = Node::start(config()).await;
    node.connect(&mut honest).await;
    honest.chain.bodies.lock().unwrap().insert(BLOCK, vec![noise(1000, 1).into()]);
    // More than it has slots: all of its slots are taken, others wait.
    let asked: Vec<_> = (0..20)
        .map(|_| {
            let (handle, peer) = (node.handle.clone(), silent.peer);
            tokio::spawn(async move { handle.body(peer, BodyRequest::new(BLOCK, 0), DEADLINE).await })
        })
        .collect();
    for _ in 0..50 {
        node.handle.body(honest.peer(), BodyRequest::new(BLOCK, 0), DEADLINE).await.unwrap();
    }
    for asked in asked {
        let failed = in_time(asked).await.unwrap();
        assert!(matches!(failed, Err(RequestError::Deadline(_) | RequestError::NotConnected)), "{failed:?}");
    }
    assert!(node.score_of(silent.peer).await.is_none_or(|score| score < -30.0));
    assert_eq!(node.score_of(honest.peer()).await, Some(0.0));
    // The caller's own deadline is kept as well.
    let (permit, gate) = blocking::channel();
    *honest.chain.gate.lock().unwrap() = Some(gate);
    let late = node.handle.body(honest.peer(), BodyRequest::new(BLOCK, 0), Duration::from_millis(50)).await;
    assert!(matches!(late, Err(RequestError::Deadline(_))));
    permit.send(()).unwrap();
}

/// The answer of a peer that does this, and the score it has afterwards; banned peers have none.
async fn asked(deed: Deed) -> (RequestError, Option<f64>) {
    let mut node = Node::start(config()).await;
    let evil = Evil::start(evil::status(), deed, None).await;
    node.handle.add_peer(evil.address.clone()).await.unwrap();
    node.wait_up(evil.peer).await;
    let answer = in_time(node.handle.body(evil.peer, BodyRequest::new(BLOCK, 0), DEADLINE)).await;
    (answer.expect_err("it is evil"), node.score_of(evil.peer).await.map(f64::round))
}

#[tokio::test(flavor = "multi_thread")]
async fn giants_and_endless_streams_are_cut_and_punished() {
    // A length that no frame may have, before a byte of it is sent.
    let (error, score) = asked(Deed::Endless(u32::MAX.to_be_bytes().to_vec())).await;
    assert!(
        matches!(&error, RequestError::BadAnswer(reason) if reason.contains("4294967295 bytes")),
        "{error}"
    );
    assert_eq!(score, Some(-50.0));
    // A good frame, and then no end.
    let body = weft_p2p::BodyPart {
        transaction_count: 1,
        transactions: vec![noise(100, 1).into()],
        ..Default::default()
    };
    let (error, score) = asked(Deed::Endless(evil::answer(&body))).await;
    assert!(matches!(&error, RequestError::BadAnswer(reason) if reason.contains("after the end")), "{error}");
    assert_eq!(score, Some(-50.0));
    // A frame of junk.
    let (error, score) = asked(Deed::Bytes(evil::framed(noise(1000, 2)))).await;
    assert!(matches!(&error, RequestError::BadAnswer(_)), "{error}");
    assert_eq!(score, Some(-40.0));
    // Half a frame is a broken stream, as a lost peer leaves it.
    let (error, score) = asked(Deed::Bytes(evil::answer(&body)[..50].to_vec())).await;
    assert!(matches!(&error, RequestError::Io(_)), "{error}");
    assert_eq!(score, Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_is_served_so_many_requests_and_bytes_and_no_more() {
    let mut careful = config();
    careful.limits.requests_in_per_second = 5.0;
    let (mut node, mut greedy) = (Node::start(careful).await, Node::start(config()).await);
    greedy.connect(&mut node).await;
    *node.chain.headers.lock().unwrap() = vec![alloy_rlp::encode(vec![1_u64; 40]).into()];
    let mut refused = 0;
    for _ in 0..40 {
        match greedy.handle.headers(node.peer(), headers(0, 1), DEADLINE).await {
            Ok(_) => {}
            Err(RequestError::Refused(Refusal::RateLimited)) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    // Ten at once, five a second: forty take six seconds, and nobody here waits.
    assert!(refused > 0);
    assert_eq!(node.score_of(greedy.peer()).await, Some(0.0), "a few refusals are no offence");
    // Going on after the refusals is.
    let flood: Vec<_> = (0..400)
        .map(|_| {
            let (handle, peer) = (greedy.handle.clone(), node.peer());
            tokio::spawn(async move { handle.headers(peer, headers(0, 1), DEADLINE).await })
        })
        .collect();
    for asked in flood {
        let _ = in_time(asked).await.unwrap();
    }
    assert!(node.score_of(greedy.peer()).await.is_none_or(|score| score < 0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_is_asked_by_so_many_threads_and_no_more() {
    let mut narrow = config();
    (narrow.limits.serve_threads, narrow.limits.requests_in_max) = (1, 2);
    let (mut node, mut asker) = (Node::start(narrow).await, Node::start(config()).await);
    asker.connect(&mut node).await;
    *node.chain.headers.lock().unwrap() = vec![alloy_rlp::encode(vec![1_u64; 40]).into()];
    let (permit, gate) = blocking::channel();
    *node.chain.gate.lock().unwrap() = Some(gate);
    let asked: Vec<_> = (0..6)
        .map(|_| {
            let (handle, peer) = (asker.handle.clone(), node.peer());
            tokio::spawn(async move { handle.headers(peer, headers(0, 1), DEADLINE).await })
        })
        .collect();
    // Two may be open, four hear that the node is busy while these wait.
    let (mut answered, mut busy) = (0, 0);
    let mut asked = asked.into_iter().collect::<futures::stream::FuturesUnordered<_>>();
    while let Some(answer) = in_time(futures::StreamExt::next(&mut asked)).await {
        match answer.unwrap() {
            Ok(_) => answered += 1,
            Err(RequestError::Refused(Refusal::Busy)) => busy += 1,
            Err(other) => panic!("{other}"),
        }
        if busy == 4 && answered == 0 {
            permit.send(()).unwrap();
            permit.send(()).unwrap();
        }
    }
    assert_eq!((answered, busy), (2, 4));
    assert_eq!(node.chain.running_max.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_there_is_not_asked_and_the_end_is_told() {
    let (a, b) = pair().await;
    let nobody = libp2p::PeerId::random();
    assert!(matches!(
        a.handle.headers(nobody, headers(0, 1), DEADLINE).await,
        Err(RequestError::NotConnected)
    ));
    in_time(b.handle.shutdown()).await;
    assert!(matches!(b.handle.headers(a.peer(), headers(0, 1), DEADLINE).await, Err(RequestError::Closed)));
    in_time(b.handle.shutdown()).await;
}
