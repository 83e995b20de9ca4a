//! What is gossiped, who is believed, and that nothing is passed on before its verdict.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{GEOMETRY, Node, TestBlock, config, in_time, noise};
use libp2p::identity::Keypair;
use weft_p2p::{
    Announced, BlockAnnouncement, ColumnSegment, NetworkEvent, Offence, PublishError, Topic, TxAnnouncement,
};
use weft_primitives::{Bytes, ChunkIndex, ColumnIndex, Header, SealedHeader, TxHash};

fn announcement(number: u64) -> BlockAnnouncement {
    let header = SealedHeader::seal_slow(Header { number, ..Header::default() });
    BlockAnnouncement::new(header, &[TxHash::repeat_byte(1), TxHash::repeat_byte(2)], Some(Vec::new()))
}

async fn block(node: &mut Node) -> Announced<BlockAnnouncement> {
    node.wait("block", |event| match event {
        NetworkEvent::Block(block) => Some(block),
        _ => None,
    })
    .await
}

async fn segment(node: &mut Node) -> Announced<ColumnSegment> {
    node.wait("segment", |event| match event {
        NetworkEvent::Segment(segment) => Some(segment),
        _ => None,
    })
    .await
}

/// a – b – c, all listening to a topic.
async fn line(topic: Topic, configs: [weft_p2p::NetworkConfig; 3], keys: [Keypair; 3]) -> [Node; 3] {
    let [ca, cb, cc] = configs;
    let [ka, kb, kc] = keys;
    let mut nodes =
        [Node::with_key(ca, ka).await, Node::with_key(cb, kb).await, Node::with_key(cc, kc).await];
    for node in &nodes {
        node.handle.subscribe(vec![topic]).await;
    }
    let [a, b, c] = &mut nodes;
    a.connect(b).await;
    b.connect(c).await;
    assert!(in_time(a.handle.wait_for_topic_peers(topic, 1)).await);
    assert!(in_time(b.handle.wait_for_topic_peers(topic, 2)).await);
    assert!(in_time(c.handle.wait_for_topic_peers(topic, 1)).await);
    nodes
}

fn keys() -> [Keypair; 3] {
    std::array::from_fn(|_| Keypair::generate_ed25519())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealers_block_goes_through_the_network_and_its_head_is_believed() {
    let keys = keys();
    let sealer = keys[0].public().to_peer_id();
    let believing = || {
        let mut config = config();
        config.sealers = vec![sealer];
        config
    };
    let [a, mut b, mut c] = line(Topic::Blocks, [believing(), believing(), believing()], keys).await;
    a.handle.publish_block(announcement(5)).await.unwrap();
    let at_b = block(&mut b).await;
    assert_eq!((at_b.peer, at_b.author, &at_b.value), (a.peer(), Some(sealer), &announcement(5)));
    at_b.accept();
    let at_c = block(&mut c).await;
    assert_eq!((at_c.peer, at_c.author, &at_c.value), (b.peer(), Some(sealer), &announcement(5)));
    assert_eq!(a.handle.publish_block(announcement(5)).await, Err(PublishError::Duplicate));
    // Who was away learns the head from anybody's status, with the sealer's signature.
    let mut d = Node::start(believing()).await;
    c.connect(&mut d).await;
    let status = in_time(d.handle.status(c.peer(), common::DEADLINE)).await.unwrap();
    let signed = status.signed_head.expect("a signed head");
    assert_eq!((signed.head, signed.signer), (announcement(5).head(), sealer));
    assert_eq!(d.handle.signed_head(), Some(signed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_block_is_refused_and_costs_who_sent_it() {
    let keys = keys();
    let (stranger, sealer) = (keys[0].public().to_peer_id(), keys[2].public().to_peer_id());
    let (mut own, mut others) = (config(), config());
    own.sealers = vec![stranger];
    others.sealers = vec![sealer];
    let [a, mut b, c] = line(Topic::Blocks, [own, others.clone(), others], keys).await;
    a.handle.publish_block(announcement(1)).await.unwrap();
    b.wait_score(a.peer(), |score| score < -20.0).await;
    assert_eq!(b.handle.publish_block(announcement(2)).await, Err(PublishError::NotSealer));
    // The first block that the node hears of is the sealer's.
    c.handle.publish_block(announcement(3)).await.unwrap();
    assert_eq!(block(&mut b).await.value, announcement(3));
    assert_eq!(b.score_of(c.peer()).await, Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_transaction_is_announced_and_fetched_and_a_small_one_rides_along() {
    let [a, mut b, mut c] = line(Topic::Transactions, [config(), config(), config()], keys()).await;
    let (large, small) = (Bytes::from(noise(1 << 20, 1)), Bytes::from(noise(500, 2)));
    let (large_hash, small_hash) = (TxHash::repeat_byte(1), TxHash::repeat_byte(2));
    a.chain.transactions.lock().unwrap().insert(large_hash, large.clone());
    let announced =
        vec![TxAnnouncement::new(large_hash, 2, &large), TxAnnouncement::new(small_hash, 2, &small)];
    a.handle.announce_transactions(announced.clone()).await.unwrap();
    for (node, from) in [(&mut b, &a), (&mut c, &a)] {
        let heard = node
            .wait("transactions", |event| match event {
                NetworkEvent::Transactions(heard) => Some(heard),
                _ => None,
            })
            .await;
        assert_eq!(heard.value, announced);
        assert_eq!(heard[1].inline, Some(small.clone()));
        if heard.peer == from.peer() {
            let fetched = node.handle.transactions(heard.peer, vec![large_hash], common::DEADLINE).await;
            assert_eq!(fetched.unwrap(), std::slice::from_ref(&large));
        }
        heard.accept();
    }
    let too_many = vec![announced[0].clone(); weft_p2p::gossip::ANNOUNCEMENTS_MAX + 1];
    assert_eq!(a.handle.announce_transactions(too_many).await, Err(PublishError::Length));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_is_passed_on_only_when_it_was_accepted() {
    let topic = Topic::Column(ColumnIndex(6));
    let [a, mut b, mut c] = line(topic, [config(), config(), config()], keys()).await;
    let blob = TestBlock::new(1, &noise(8 << 20, 3));
    // 32 cells of 32 KiB: a segment of full size.
    let cut = |first| blob.segment(ColumnIndex(6), ChunkIndex(first), 32);
    a.handle.publish_segment(cut(0)).await.unwrap();
    let withheld = segment(&mut b).await;
    assert_eq!(withheld.value, cut(0));
    assert_eq!(withheld.verify().unwrap().len(), 32);
    a.handle.publish_segment(cut(32)).await.unwrap();
    let second = segment(&mut b).await;
    second.accept();
    assert_eq!(segment(&mut c).await.first_chunk(), ChunkIndex(32), "the first was not passed on");
    withheld.ignore();
    assert_eq!(b.score_of(a.peer()).await, Some(0.0), "nobody is blamed");
    let outside = TestBlock::new(1, &noise(100, 3)).segment(ColumnIndex(0), ChunkIndex(0), 1);
    let mut outside = outside;
    outside.range.column = GEOMETRY.columns() as u16;
    assert_eq!(a.handle.publish_segment(outside).await, Err(PublishError::NobodyListens));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_segments_cost_the_score_and_then_the_connection() {
    let topic = Topic::Column(ColumnIndex(2));
    let [mut a, mut b, c] = line(topic, [config(), config(), config()], keys()).await;
    let blob = TestBlock::new(1, &noise(1 << 20, 4));
    for (first, score) in [(0, -70.0), (1, -140.0)] {
        let mut bad = blob.segment(ColumnIndex(2), ChunkIndex(first), 1);
        let mut cell = bad.range.cells[0].to_vec();
        cell[17] ^= 1;
        bad.range.cells[0] = cell.into();
        a.handle.publish_segment(bad).await.unwrap();
        let heard = segment(&mut b).await;
        assert!(heard.verify().is_err());
        heard.reject(Offence::BadProof);
        if score > -100.0 {
            b.wait_score(a.peer(), |now| now.round() == score).await;
        }
    }
    b.wait_down(a.peer()).await;
    a.wait_down(b.peer()).await;
    assert_eq!(b.score_of(c.peer()).await, Some(0.0), "the honest peer keeps its score");
    c.handle.publish_segment(blob.segment(ColumnIndex(2), ChunkIndex(3), 2)).await.unwrap();
    assert_eq!(segment(&mut b).await.peer, c.peer());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_hears_when_it_is_too_fast_and_nothing_is_lost_when_it_tries_again() {
    let topic = Topic::Column(ColumnIndex(1));
    let [a, mut b, _c] = line(topic, [config(), config(), config()], keys()).await;
    let block = TestBlock::new(1, &noise(4 << 20, 6));
    let segment_of = |number: u32| {
        let mut one = block.segment(ColumnIndex(1), ChunkIndex(0), 32);
        one.range.range_proof.push(weft_primitives::B256::left_padding_from(&number.to_be_bytes()));
        one
    };
    let mut heard = 0;
    for number in 0..100 {
        while let Err(error) = a.handle.publish_segment(segment_of(number)).await {
            assert_eq!(error, PublishError::QueuesFull);

            // Something is on its way: it comes, and there is room again.
            segment(&mut b).await.ignore();
            heard += 1;
        }
    }
    while heard < 100 {
        segment(&mut b).await.ignore();
        heard += 1;
    }
}
