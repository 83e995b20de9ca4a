//! Fetches in simulated time: quick peers, slow ones, silent ones, liars.

use super::*;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::collections::BinaryHeap;

/// What a simulated peer does.
#[derive(Clone, Copy)]
enum Kind {
    Quick,
    Slow,
    Silent,
    Refuses,
}

fn peer(seed: u8) -> PeerId {
    let mut bytes = vec![0, 0x24, 8, 1, 0x12, 0x20];
    bytes.extend([seed; 32]);
    PeerId::from_bytes(&bytes).unwrap()
}

/// Runs one fetch to its end. Returns its end, how long it took and how many asks it made.
fn run(
    mut fetch: Fetch<u16>,
    kinds: &HashMap<PeerId, Kind>,
    speeds: &mut Speeds,
    rng: &mut StdRng,
) -> (FetchState<u16>, Duration, usize) {
    let mut now = Duration::ZERO;
    let mut asks = 0;
    // (time, comes, piece, peer), earliest first.
    let mut events: BinaryHeap<std::cmp::Reverse<(Duration, bool, u16, PeerId)>> = BinaryHeap::new();
    loop {
        for ask in fetch.poll(now, speeds) {
            asks += 1;
            let (after, comes) = match kinds[&ask.peer] {
                Kind::Quick => (rng.random_range(20..60), true),
                Kind::Slow => (rng.random_range(700..900), true),
                Kind::Refuses => (rng.random_range(5..10), false),
                Kind::Silent => continue,
            };
            events.push(std::cmp::Reverse((now + Duration::from_millis(after), comes, ask.piece, ask.peer)));
        }
        let state = fetch.state();
        if state != FetchState::Pending {
            return (state, now, asks);
        }
        let next = events.peek().map(|event| event.0.0);
        let wake = fetch.wake(now);
        match (next, wake) {
            (Some(next), wake) if wake.is_none_or(|wake| next <= wake) => {
                let (at, comes, piece, peer) = events.pop().unwrap().0;
                now = at;
                if comes {
                    fetch.done(piece, peer, now, speeds);
                } else {
                    fetch.failed(piece, peer, speeds);
                }
            }
            (_, Some(wake)) => now = wake,
            _ => panic!("it is pending and nothing will ever happen"),
        }
    }
}

/// Eleven columns, each at three of the peers.
fn sources(peers: &[PeerId], rng: &mut StdRng) -> BTreeMap<u16, Vec<PeerId>> {
    (0..11)
        .map(|column| {
            let mut from = peers.to_vec();
            while from.len() > 3 {
                from.swap_remove(rng.random_range(0..from.len()));
            }
            (column, from)
        })
        .collect()
}

fn settings() -> FetchSettings {
    FetchSettings {
        deadline: Duration::from_secs(2),
        hedge_after: Duration::from_millis(200),
        per_peer_max: 2,
    }
}

#[test]
fn as_many_are_asked_for_as_are_needed_and_no_more_when_all_are_quick() {
    let mut rng = StdRng::seed_from_u64(1);
    let peers: Vec<PeerId> = (0..6).map(peer).collect();
    let kinds = peers.iter().map(|peer| (*peer, Kind::Quick)).collect();
    for _ in 0..100 {
        let fetch = Fetch::new(4, sources(&peers, &mut rng), settings());
        let (state, took, asks) = run(fetch, &kinds, &mut Speeds::default(), &mut rng);
        assert!(matches!(state, FetchState::Done(pieces) if pieces.len() == 4));
        assert_eq!(asks, 4);
        assert!(took < Duration::from_millis(60), "in parallel: {took:?}");
    }
}

/// Total time of 300 fetches, one after another, that share what they learn of peers' speeds.
fn total(kinds: &HashMap<PeerId, Kind>, seed: u64) -> Duration {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut peers: Vec<PeerId> = kinds.keys().copied().collect();
    peers.sort_unstable();
    let mut speeds = Speeds::default();
    let one = |_| {
        let fetch = Fetch::new(4, sources(&peers, &mut rng), settings());
        let (state, took, _) = run(fetch, kinds, &mut speeds, &mut rng);
        assert!(matches!(state, FetchState::Done(_)));
        took
    };
    (0..300).map(one).sum()
}

#[test]
fn one_silent_or_slow_peer_costs_less_than_a_fifth() {
    for seed in 0..5 {
        let mut kinds: HashMap<PeerId, Kind> = (0..6).map(|seed| (peer(seed), Kind::Quick)).collect();
        let without = total(&kinds, seed);
        for (name, bad) in [("silent", Kind::Silent), ("slow", Kind::Slow), ("refuses", Kind::Refuses)] {
            kinds.insert(peer(9), bad);
            let with = total(&kinds, seed);
            assert!(with < without.mul_f64(1.2), "{name}: {with:?} and {without:?}");
        }
    }
}

#[test]
fn it_ends_when_too_few_can_come_and_says_what_is_missing() {
    let mut rng = StdRng::seed_from_u64(3);
    let (good, bad) = (peer(1), peer(2));
    let kinds = HashMap::from([(good, Kind::Quick), (bad, Kind::Refuses)]);
    let sources = (0..11).map(|column| (column, vec![if column < 3 { good } else { bad }])).collect();
    let (state, took, _) = run(Fetch::new(4, sources, settings()), &kinds, &mut Speeds::default(), &mut rng);
    let FetchState::Failed { mut have, missing } = state else { panic!("{state:?}") };
    have.sort_unstable();
    assert!(have.iter().all(|piece| *piece < 3) && missing == (3..11).collect::<Vec<_>>());
    assert!(took < settings().deadline, "refusals need no deadline");
    // Silence ends as well, by deadlines.
    let kinds = HashMap::from([(good, Kind::Quick), (bad, Kind::Silent)]);
    let sources = (0..11).map(|column| (column, vec![if column < 3 { good } else { bad }])).collect();
    let (state, took, _) = run(Fetch::new(4, sources, settings()), &kinds, &mut Speeds::default(), &mut rng);
    assert!(matches!(state, FetchState::Failed { .. }));
    assert!(took <= settings().deadline * 5, "{took:?}");
    let nothing = Fetch::<u16>::new(1, BTreeMap::new(), settings());
    assert_eq!(nothing.state(), FetchState::Failed { have: vec![], missing: vec![] });
}

#[test]
fn a_peer_that_leaves_is_not_waited_for_and_one_that_comes_is_asked() {
    let (a, b) = (peer(1), peer(2));
    let mut speeds = Speeds::default();
    let mut fetch = Fetch::new(1, BTreeMap::from([(7_u16, vec![a])]), settings());
    assert_eq!(fetch.poll(Duration::ZERO, &mut speeds), [FetchAsk { peer: a, piece: 7 }]);
    assert_eq!(fetch.poll(Duration::ZERO, &mut speeds), []);
    fetch.lost(&a);
    assert!(matches!(fetch.state(), FetchState::Failed { .. }));
    fetch.add_source(7, b);
    assert_eq!(fetch.poll(Duration::ZERO, &mut speeds), [FetchAsk { peer: b, piece: 7 }]);
    assert!(fetch.done(7, b, Duration::from_millis(9), &mut speeds));
    assert!(!fetch.done(7, a, Duration::from_millis(10), &mut speeds), "once");
    assert_eq!(fetch.state(), FetchState::Done(vec![7]));
}

#[test]
fn asks_are_bounded_whatever_happens() {
    for seed in 0..50 {
        let mut rng = StdRng::seed_from_u64(seed);
        let peers: Vec<PeerId> = (0..8).map(peer).collect();
        let any = [Kind::Quick, Kind::Slow, Kind::Silent, Kind::Refuses];
        let kinds = peers.iter().map(|peer| (*peer, any[rng.random_range(0..4)])).collect();
        let fetch = Fetch::new(4, sources(&peers, &mut rng), settings());
        let (_, took, asks) = run(fetch, &kinds, &mut Speeds::default(), &mut rng);
        assert!(asks <= 33, "each source of each piece is asked once: {asks}");
        assert!(took <= Duration::from_secs(40), "{took:?}");
    }
}
