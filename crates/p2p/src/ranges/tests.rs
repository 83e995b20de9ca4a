//! Syncs in simulated time.

use super::*;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{cmp::Reverse, collections::BinaryHeap};

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Good,
    /// Gives a part of what was asked.
    Stingy,
    Silent,
    Refuses,
}

fn peers(count: u8) -> Vec<PeerId> {
    let peer = |seed: u8| {
        let mut bytes = vec![0, 0x24, 8, 1, 0x12, 0x20];
        bytes.extend([seed; 32]);
        PeerId::from_bytes(&bytes).unwrap()
    };
    (0..count).map(peer).collect()
}

/// Runs a sync to its end, checks that every block is taken once and in order, and returns how long it took.
fn run(blocks: RangeInclusive<u64>, kinds: &[Kind], seed: u64) -> Duration {
    let settings = RangeSettings::default();
    let mut rng = StdRng::seed_from_u64(seed);
    let peers = peers(kinds.len() as u8);
    let kind = |peer: PeerId| kinds[peers.iter().position(|other| *other == peer).unwrap()];
    let (mut now, mut speeds) = (Duration::ZERO, Speeds::default());
    let mut ranges = Ranges::new(blocks.clone(), settings, now);
    peers.iter().for_each(|peer| ranges.set_peer(*peer, 0..=*blocks.end()));
    let mut events: BinaryHeap<Reverse<(Duration, u64, u64, PeerId)>> = BinaryHeap::new();
    let mut next = *blocks.start();
    while !ranges.is_finished() {
        let asks = ranges.poll(now, &mut speeds);
        let mut open = HashMap::<PeerId, usize>::new();
        for Reverse((_, _, _, peer)) in &events {
            *open.entry(*peer).or_default() += 1;
        }
        for ask in asks {
            let length = ask.blocks.end() - ask.blocks.start() + 1;
            assert!(length <= settings.piece);
            assert!(*ask.blocks.end() < next + settings.piece * settings.window as u64, "inside the window");
            let count = match kind(ask.peer) {
                Kind::Good => length,
                Kind::Stingy => rng.random_range(1..=length),
                Kind::Refuses => 0,
                Kind::Silent => continue,
            };
            let at = now + Duration::from_millis(rng.random_range(40..80));
            events.push(Reverse((at, *ask.blocks.start(), count, ask.peer)));
            let load = open.entry(ask.peer).or_default();
            *load += 1;
            assert!(*load <= settings.per_peer_max);
        }
        let wake = ranges.wake(now);
        match events.peek().map(|event| event.0.0) {
            Some(at) if wake.is_none_or(|wake| at <= wake) => {
                let Reverse((at, first, count, peer)) = events.pop().unwrap();
                now = at;
                if count == 0 {
                    ranges.failed(first, peer, now, &mut speeds);
                } else {
                    ranges.done(first, count, peer, now, &mut speeds);
                }
            }
            _ => now = wake.expect("it is not finished, so something will happen"),
        }
        while let Some(taken) = ranges.take() {
            assert_eq!(*taken.start(), next);
            next = taken.end() + 1;
        }
    }
    assert_eq!(next, blocks.end() + 1);
    assert_eq!(ranges.stalled(now + Duration::from_secs(999), Duration::from_secs(1)), None);
    now
}

#[test]
fn ten_thousand_blocks_come_in_order_from_several_peers_at_once() {
    let alone = run(1..=10_000, &[Kind::Good], 1);
    let four = run(1..=10_000, &[Kind::Good; 4], 1);
    assert!(four.mul_f64(3.0) < alone, "{four:?}, {alone:?}");
}

#[test]
fn bad_peers_are_worked_around() {
    let good = run(1..=10_000, &[Kind::Good; 4], 2);
    for bad in [Kind::Silent, Kind::Refuses, Kind::Stingy] {
        let with = run(1..=10_000, &[Kind::Good, Kind::Good, Kind::Good, Kind::Good, bad], 2);
        // A silent one holds up the window once, until it is overtaken.
        let waits = RangeSettings::default().overtake_after * if bad == Kind::Silent { 1 } else { 0 };
        assert!(with < good.mul_f64(2.0) + waits, "{with:?}, {good:?}");
    }
    run(1..=1000, &[Kind::Stingy], 3);
    run(1..=1, &[Kind::Good], 3);
}

#[test]
fn a_piece_that_all_have_failed_is_tried_again_after_a_pause() {
    let settings = RangeSettings::default();
    let (peers, mut speeds) = (peers(2), Speeds::default());
    let mut ranges = Ranges::new(5..=6, settings, Duration::ZERO);
    assert_eq!(ranges.poll(Duration::ZERO, &mut speeds), []);
    for peer in &peers {
        ranges.set_peer(*peer, 0..=6);
    }
    let mut asked = Vec::new();
    for _ in 0..2 {
        let ask = ranges.poll(Duration::ZERO, &mut speeds).pop().unwrap();
        assert_eq!(ask.blocks, 5..=6);
        ranges.failed(5, ask.peer, Duration::ZERO, &mut speeds);
        asked.push(ask.peer);
    }
    asked.sort_unstable();
    assert_eq!(asked, peers);
    assert_eq!(ranges.poll(Duration::ZERO, &mut speeds), []);
    assert_eq!(ranges.wake(Duration::ZERO), Some(settings.pause));
    assert_eq!(ranges.poll(settings.pause, &mut speeds).len(), 1);
    assert_eq!(ranges.stalled(settings.pause, settings.pause), Some(5));
}

#[test]
fn only_who_has_a_piece_is_asked_and_who_leaves_is_replaced() {
    let (peers, mut speeds) = (peers(2), Speeds::default());
    let mut ranges = Ranges::new(1..=100, RangeSettings::default(), Duration::ZERO);
    ranges.set_peer(peers[0], 50..=100);
    assert_eq!(ranges.poll(Duration::ZERO, &mut speeds), [RangeAsk { peer: peers[0], blocks: 65..=100 }]);
    ranges.remove_peer(&peers[0]);
    ranges.set_peer(peers[1], 0..=100);
    let asks = ranges.poll(Duration::ZERO, &mut speeds);
    assert_eq!(asks.iter().map(|ask| ask.blocks.clone()).collect::<Vec<_>>(), [1..=64, 65..=100]);
    // Late news of the first peer change nothing.
    ranges.done(65, 36, peers[0], Duration::ZERO, &mut speeds);
    ranges.done(1, 64, peers[1], Duration::ZERO, &mut speeds);
    assert_eq!((ranges.take(), ranges.take()), (Some(1..=64), None));
    ranges.done(65, 36, peers[1], Duration::ZERO, &mut speeds);
    assert_eq!(ranges.take(), Some(65..=100));
    assert!(ranges.is_finished());
    ranges.extend(101);
    assert!(!ranges.is_finished());
    assert_eq!(ranges.poll(Duration::ZERO, &mut speeds), []);
    ranges.set_peer(peers[1], 0..=101);
    assert_eq!(ranges.poll(Duration::ZERO, &mut speeds)[0].blocks, 101..=101);
}
