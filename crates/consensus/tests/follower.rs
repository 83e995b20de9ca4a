//! The follower over the real engine, pool and store, with peers of all kinds at its mailbox.

mod common;

use alloy_primitives::{B256, Bytes};
use common::{Chain, Conduct, DEADLINE, Following, World, announcement, head_of, transfer};
use std::sync::atomic::Ordering;
use weft_consensus::{FollowerConfig, Ruling};
use weft_p2p::{Offence, PeerId};

struct Two {
    sealer: Chain,
    follower: Chain,
    folders: [tempfile::TempDir; 2],
}

fn two() -> Two {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    Two { sealer: Chain::open(folders[0].path()), follower: Chain::open(folders[1].path()), folders }
}

#[tokio::test(flavor = "multi_thread")]
async fn announced_blocks_are_followed_out_of_order_and_twice_and_what_is_missing_is_fetched() {
    let two = two();
    let blocks = two.sealer.seal_transfers(0..6).await;
    let (world, peers) = World::new(&[Conduct::Honest]);
    world.add(&blocks);
    // Patience without end: nothing but the announcements leads anywhere.
    let mut following = Following::start(&two.follower, &world);
    for index in [0, 2, 1, 1, 5, 4, 3] {
        following.announce(peers[0], Some(peers[0]), announcement(&blocks[index])).await;
        let _ = following.ruling().await;
    }
    two.follower.reaches(head_of(&blocks[5])).await;
    assert!(world.transactions.load(Ordering::Relaxed) > 0, "the pool had none of them");
    assert_eq!(*world.reports.lock(), []);
    let state = |chain: &Chain| chain.store.view().finalized().expect("reads");
    assert_eq!(state(&two.follower), state(&two.sealer), "final as on the sealer");
    following.follower.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_pool_has_is_not_fetched_and_keeps_its_cells() {
    let two = two();
    let large = transfer(0, Bytes::from(vec![7; 200_000]));
    two.sealer.pool.submit(large.clone()).await.expect("taken");
    let hash = two.follower.pool.submit(large).await.expect("taken");
    let block = two.sealer.seal(0, true).await;
    let (world, peers) = World::new(&[Conduct::Honest]);
    world.add(std::slice::from_ref(&block));
    let mut events = two.follower.engine.subscribe();
    let pooled = two.follower.pool.get(hash).expect("pooled");
    let mut following = Following::start(&two.follower, &world);
    following.announce(peers[0], Some(peers[0]), announcement(&block)).await;
    assert_eq!(following.ruling().await, Ruling::Accept);
    let event = tokio::time::timeout(DEADLINE, events.recv()).await.expect("in time").expect("an event");
    assert!(std::sync::Arc::ptr_eq(&event.committed[0].block.transactions[0], &pooled), "the same value");
    assert_eq!(world.transactions.load(Ordering::Relaxed) + world.bodies.load(Ordering::Relaxed), 0);
    following.follower.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_and_a_malformed_block_are_not_passed_on() {
    let two = two();
    let block = two.sealer.seal_transfers(0..1).await.remove(0);
    let (world, peers) = World::new(&[Conduct::Honest]);
    let mut following = Following::start(&two.follower, &world);
    following.announce(peers[0], None, announcement(&block)).await;
    assert_eq!(following.ruling().await, Ruling::Reject(Offence::StrangersBlock));
    let mut malformed = announcement(&block);
    malformed.withdrawals = None;
    following.announce(peers[0], Some(peers[0]), malformed).await;
    assert_eq!(following.ruling().await, Ruling::Reject(Offence::BadBlock));
    assert_eq!(two.follower.engine.head().number, 0);
    following.follower.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_node_syncs_past_silent_forging_swapping_and_garbling_peers() {
    let two = two();
    let blocks = two.sealer.seal_transfers(0..150).await;
    let conducts = [
        Conduct::Silent,
        Conduct::ForgesHeaders,
        Conduct::SwapsBodies,
        Conduct::Garbles,
        Conduct::Empty,
        Conduct::Honest,
        Conduct::Honest,
    ];
    let (world, peers) = World::new(&conducts);
    world.add(&blocks);
    let following = Following::start(&two.follower, &world);
    let head = head_of(&blocks[149]);
    following.peers.send_replace(world.table(head));
    two.follower.reaches(head).await;
    for (peer, offence) in [(1, Offence::BadHeader), (2, Offence::BadBlock), (3, Offence::BadBlock)] {
        let offences = world.offences_of(peers[peer]);
        assert!(offences.is_empty() || offences.contains(&offence), "{:?}: {offences:?}", conducts[peer]);
    }
    let liars = peers[1..4].iter().filter(|peer| !world.offences_of(**peer).is_empty()).count();
    assert!(liars > 0, "somebody was caught");
    for honest in [0, 4, 5, 6] {
        assert_eq!(world.offences_of(peers[honest]), [], "{:?}", conducts[honest]);
    }
    let mut progress = following.follower.progress();
    let done = tokio::time::timeout(DEADLINE, progress.wait_for(|progress| !progress.is_syncing())).await;
    let done = *done.expect("in time").expect("the follower runs");
    assert_eq!((done.target, done.headers, done.executed), (150, 150, 150));
    following.follower.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_in_the_announcements_starts_a_sync() {
    let two = two();
    let blocks = two.sealer.seal_transfers(0..40).await;
    let (world, peers) = World::new(&[Conduct::Honest]);
    world.add(&blocks);
    let mut following = Following::start(&two.follower, &world);
    following.peers.send_replace(world.table(head_of(&blocks[38])));
    following.announce(peers[0], Some(peers[0]), announcement(&blocks[39])).await;
    assert_eq!(following.ruling().await, Ruling::Accept, "passed on although its parent is not known");
    two.follower.reaches(head_of(&blocks[39])).await;
    following.follower.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_was_interrupted_goes_on_from_the_durable_head() {
    let Two { sealer, follower, folders } = two();
    let blocks = sealer.seal_transfers(0..120).await;
    let (world, _) = World::new(&[Conduct::Honest]);
    world.add(&blocks);
    let target = head_of(&blocks[119]);
    let following = Following::start(&follower, &world);
    following.peers.send_replace(world.table(target));
    let mut head = follower.engine.watch_head();
    let some = head.wait_for(|head| head.number >= 10);
    tokio::time::timeout(DEADLINE, some).await.expect("in time").expect("the engine runs");
    following.follower.shutdown().await;
    follower.engine.shutdown().await;
    drop((following, follower, head));

    let follower = Chain::open(folders[1].path());
    let resumed = follower.engine.head().number;
    assert!(resumed >= 10, "what was executed is durable");
    let served = world.bodies.load(Ordering::Relaxed);
    let following = Following::start(&follower, &world);
    following.peers.send_replace(world.table(target));
    follower.reaches(target).await;
    let fetched = world.bodies.load(Ordering::Relaxed) - served;
    assert_eq!(fetched as u64, 120 - resumed, "each missing body once, none again");
    following.follower.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_not_final_is_left_for_the_sealers_and_a_final_one_is_not() {
    for is_final in [false, true] {
        let two = two();
        let blocks = two.sealer.seal_transfers(0..5).await;
        for _ in 0..3 {
            two.follower.seal(7, is_final).await;
        }
        let ours = two.follower.engine.head();
        let (world, peers) = World::new(&[Conduct::Honest]);
        world.add(&blocks);
        let following = Following::start_with(&two.follower, &world, FollowerConfig::default());
        let target = head_of(&blocks[4]);
        let mut progress = following.follower.progress();
        following.peers.send_replace(world.table(target));
        if is_final {
            // It tries, and stays.
            let tried = progress.wait_for(|progress| progress.headers > 0 && !progress.is_syncing());
            tokio::time::timeout(DEADLINE, tried).await.expect("in time").expect("the follower runs");
            assert_eq!(two.follower.engine.head(), ours);
        } else {
            two.follower.reaches(target).await;
        }
        assert_eq!(world.offences_of(peers[0]), [], "an honest peer of another chain");
        following.follower.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_that_were_not_asked_for_cost_their_sender_and_the_next_peer_is_asked() {
    let two = two();
    let blocks = two.sealer.seal_transfers(0..2).await;
    let (world, peers) = World::new(&[Conduct::SwapsBodies, Conduct::Honest]);
    world.add(&blocks);
    let mut following = Following::start(&two.follower, &world);
    following.announce(peers[1], Some(PeerId::random()), announcement(&blocks[0])).await;
    assert_eq!(following.ruling().await, Ruling::Accept);
    two.follower.reaches(head_of(&blocks[0])).await;
    // The liar serves the first block's transaction for the second one's.
    following.announce(peers[0], Some(PeerId::random()), announcement(&blocks[1])).await;
    two.follower.reaches(head_of(&blocks[1])).await;
    assert_eq!(world.offences_of(peers[0]), [Offence::BadTransaction]);
    assert_eq!(world.offences_of(peers[1]), []);
    following.follower.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_block_of_a_sealer_stops_nothing() {
    let two = two();
    let blocks = two.sealer.seal_transfers(0..2).await;
    let (world, peers) = World::new(&[Conduct::Honest]);
    world.add(&blocks);
    let mut following = Following::start(&two.follower, &world);
    let mut header = blocks[0].header.header().clone();
    header.state_root = B256::repeat_byte(1);
    let mut forged = announcement(&blocks[0]);
    forged.header = weft_primitives::SealedHeader::seal_slow(header);
    following.announce(peers[0], Some(peers[0]), forged).await;
    assert_eq!(following.ruling().await, Ruling::Accept, "its header alone does not show it");
    following.announce(peers[0], Some(peers[0]), announcement(&blocks[0])).await;
    following.announce(peers[0], Some(peers[0]), announcement(&blocks[1])).await;
    two.follower.reaches(head_of(&blocks[1])).await;
    following.follower.shutdown().await;
}
