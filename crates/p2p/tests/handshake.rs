//! Who is let in: statuses, strangers, bans, limits, coming back.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{
    DIGEST, Node, config, evil,
    evil::{Deed, Evil, Heard},
    head, in_time,
};
use libp2p::identity::Keypair;
use weft_p2p::{
    ForkDigest, NetworkEvent, Offence, Role,
    status::{Goodbye, StatusMessage, StatusReply},
};

#[tokio::test(flavor = "multi_thread")]
async fn peers_learn_what_the_other_is_and_that_its_head_moves() {
    let mut light = config();
    (light.role, light.custody_count) = (Role::Light, 2);
    let (mut a, mut b) = (Node::start(config()).await, Node::start(light).await);
    a.handle.add_peer(b.address()).await.unwrap();
    let status = a.wait_up(b.peer()).await;
    assert_eq!((status.role, status.custody_count), (Role::Light, 2));
    assert_eq!(b.wait_up(a.peer()).await.role, Role::Full);
    b.handle.set_head(head(7)).await;
    b.handle.set_earliest(3, 5).await;
    let status = in_time(a.handle.status(b.peer(), common::DEADLINE)).await.unwrap();
    assert_eq!((status.head, status.earliest_body, status.earliest_columns), (head(7), 3, 5));
    a.wait("status", |event| {
        matches!(event, NetworkEvent::PeerStatus(_, status) if status.head == head(7)).then_some(())
    })
    .await;
    let info = a.handle.peers().await.pop().unwrap();
    assert_eq!((info.peer, info.columns.len(), info.is_static, info.inbound), (b.peer(), 2, true, false));
    assert!(info.traffic.total_in > 0 && info.traffic.total_out > 0);
    assert_eq!((a.handle.peer_count(), b.handle.peer_count()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_told_goodbye_and_dropped() {
    let mut node = Node::start(config()).await;
    let other_genesis = StatusMessage { genesis_hash: [9; 32].into(), ..evil::status() };
    let other_fork = StatusMessage { fork_digest: ForkDigest([9; 4]), ..evil::status() };
    let other_version = StatusMessage { version: 2, ..evil::status() };
    for (greeting, reason) in [
        (other_genesis, Goodbye::OtherGenesis),
        (other_fork, Goodbye::OtherFork),
        (other_version, Goodbye::OtherVersion),
    ] {
        let mut stranger = Evil::start(greeting, Deed::Silence, Some(node.address())).await;
        assert!(matches!(in_time(stranger.heard.recv()).await, Some(Heard::Connected)));
        let Some(Heard::Status(answer)) = in_time(stranger.heard.recv()).await else { panic!("no answer") };
        assert_eq!(answer, evil::answer(&StatusReply::Goodbye(reason)));
        assert!(matches!(in_time(stranger.heard.recv()).await, Some(Heard::Closed)));
    }
    // Nothing of it was told to the node: its first event is a peer of its own chain.
    let mut friend = Node::start(config()).await;
    friend.connect(&mut node).await;
    assert_eq!(node.handle.peers().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_with_other_rules_do_not_mix() {
    let mut other = config();
    other.fork_digest = ForkDigest([DIGEST.0[0], DIGEST.0[1], DIGEST.0[2], DIGEST.0[3] ^ 1]);
    let (mut a, b, mut c) =
        (Node::start(config()).await, Node::start(other).await, Node::start(config()).await);
    b.handle.add_peer(a.address()).await.unwrap();
    c.handle.add_peer(a.address()).await.unwrap();
    let first = in_time(a.events.recv()).await.unwrap();
    assert!(matches!(first, NetworkEvent::PeerUp(peer, _) if peer == c.peer()), "{first:?}");
    c.wait_up(a.peer()).await;
    assert_eq!((a.handle.peer_count(), b.handle.peer_count()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_peer_is_dropped_after_the_handshake_timeout() {
    let mut impatient = config();
    impatient.limits.handshake_timeout = std::time::Duration::from_millis(300);
    let mut node = Node::start(impatient).await;
    // It dials and is answered, but its status is not a status.
    let mut mute = evil::status();
    mute.version = 0;
    let mut silent = Evil::start(mute, Deed::Silence, None).await;
    node.handle.add_peer(silent.address.clone()).await.unwrap();
    loop {
        if let Some(Heard::Closed) = in_time(silent.heard.recv()).await {
            break;
        }
    }
    let mut friend = Node::start(config()).await;
    friend.connect(&mut node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_restarts_is_found_again() {
    let key = Keypair::generate_ed25519();
    let (mut a, mut b) = (Node::start(config()).await, Node::with_key(config(), key.clone()).await);
    a.connect(&mut b).await;
    let address = b.handle.listen_addresses().remove(0);
    in_time(b.handle.shutdown()).await;
    a.wait_down(b.peer()).await;
    assert!(in_time(b.events.recv()).await.is_none(), "the event channel ends");
    let mut again = config();
    again.listen = vec![address];
    let b = Node::with_key(again, key).await;
    a.wait_up(b.peer()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_banned_peer_stays_out_until_the_ban_ends() {
    let mut brief = config();
    brief.limits.ban = std::time::Duration::from_millis(400);
    let (mut a, mut b, mut c) =
        (Node::start(brief).await, Node::start(config()).await, Node::start(config()).await);
    b.connect(&mut a).await;
    c.connect(&mut a).await;
    a.handle.report(b.peer(), Offence::BadProof).await;
    assert_eq!(a.score_of(b.peer()).await.map(f64::round), Some(-70.0));
    a.handle.report(b.peer(), Offence::BadProof).await;
    a.wait_down(b.peer()).await;
    b.wait_down(a.peer()).await;
    assert_eq!(a.score_of(c.peer()).await, Some(0.0));
    // b goes on dialling, and is let in when its time is over.
    a.wait_up(b.peer()).await;
    b.wait_up(a.peer()).await;
    a.handle.ban(b.peer(), Some(common::DEADLINE * 10)).await;
    a.wait_down(b.peer()).await;
    a.handle.unban(b.peer()).await;
    a.wait_up(b.peer()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_more_peers_than_allowed() {
    let mut small = config();
    (small.limits.peers_max, small.limits.peers_inbound_max) = (3, 2);
    let mut node = Node::start(small).await;
    let mut others = Vec::new();
    for _ in 0..2 {
        let mut other = Node::start(config()).await;
        other.connect(&mut node).await;
        others.push(other);
    }
    let mut third = Evil::start(evil::status(), Deed::Silence, Some(node.address())).await;
    assert!(matches!(in_time(third.heard.recv()).await, Some(Heard::Connected)));
    assert!(matches!(in_time(third.heard.recv()).await, Some(Heard::Closed | Heard::Failed)));
    // There is room for one that the node chooses itself.
    let mut chosen = Node::start(config()).await;
    node.connect(&mut chosen).await;
    assert_eq!(node.handle.peer_count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_are_found_through_a_bootnode() {
    let open = || {
        let mut open = config();
        open.discovery = true;
        open
    };
    let boot = Node::start(open()).await;
    let mut with_boot = open();
    with_boot.bootnodes = vec![boot.address()];
    let mut a = Node::start(with_boot.clone()).await;
    a.wait_up(boot.peer()).await;
    let b = Node::start(with_boot).await;
    a.wait_up(b.peer()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quic_works_beside_tcp() {
    let quic = || {
        let mut quic = config();
        quic.quic = true;
        quic.listen = vec!["/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()];
        quic
    };
    let (mut a, mut b) = (Node::start(quic()).await, Node::start(quic()).await);
    a.connect(&mut b).await;
    let address = a.handle.peers().await.remove(0).address.to_string();
    assert!(address.contains("quic-v1"), "{address}");
}
