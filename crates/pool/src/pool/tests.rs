//! The pool through its public face: admission, back-pressure, new heads, many submitters.

use super::*;
use crate::{
    Room,
    testing::{self, ETHER, Kind, World, address, next_head, transaction, transfer},
};
use alloy_consensus::Transaction as _;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::keccak256;
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tokio::{sync::mpsc, time::timeout};

/// Nothing here takes this long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn genesis() -> SealedHeader {
    ChainSpec::dev().genesis_header().clone()
}

fn best(pool: &Pool) -> Vec<Arc<PreparedTransaction>> {
    pool.best(1, Some(1)).collect()
}

/// As a block does that includes these, for the world and for the pool.
fn include(
    world: &World,
    pool: &Pool,
    head: &SealedHeader,
    included: &[Arc<PreparedTransaction>],
) -> SealedHeader {
    let head = next_head(head);
    world.include(included);
    pool.on_canonical(&head, included, &[]);
    head
}

#[tokio::test]
async fn every_kind_is_prepared_once_and_completely() {
    let pool = World::rich().pool(PoolConfig::default());
    for (key, kind) in (1..).zip([Kind::Legacy, Kind::PreEip155, Kind::Eip2930, Kind::Eip1559, Kind::Eip7702])
    {
        let draft = transaction(kind).key(key).input_len(5000);
        let raw = draft.raw();
        let hash = pool.submit(raw.clone()).await.unwrap();
        assert_eq!(hash, keccak256(&raw));
        let tx = pool.get(hash).unwrap();
        assert_eq!((tx.hash(), tx.sender, &tx.encoded), (hash, address(key), &raw));
        assert_eq!(tx.tx, draft.sign());
        let blob = tx.blob.as_ref().unwrap();
        assert_eq!(**blob, weft_erasure::encode_blob(blob.geometry, tx.tx.input()));
        assert!(raw.as_ptr_range().contains(&tx.tx.input().as_ptr()), "input was copied");
    }
    assert_eq!(pool.counts(), (5, 0));
}

#[tokio::test]
async fn only_inputs_from_the_threshold_on_are_coded() {
    let pool = World::rich().pool(PoolConfig::default());
    let threshold = ChainSpec::dev().weft().unwrap().blob_threshold_bytes;
    for (nonce, len, coded) in [(0, threshold - 1, false), (1, threshold, true)] {
        let raw = transaction(Kind::Eip1559).nonce(nonce).input_len(len).raw();
        let hash = pool.submit(raw).await.unwrap();
        assert_eq!(pool.get(hash).unwrap().blob.is_some(), coded, "{len} bytes");
    }
}

#[tokio::test]
async fn refusals_have_their_reasons() {
    let pool = World::rich().pool(PoolConfig::default());
    let draft = transfer(1, 0);
    pool.submit(draft.raw()).await.unwrap();
    assert_eq!(pool.submit(draft.raw()).await.unwrap_err().to_string(), "already known");
    assert_eq!(pool.submit(Bytes::new()).await.unwrap_err().reason(), "decode");
    assert_eq!(pool.submit(transfer(39, 0).chain_id(5).raw()).await.unwrap_err().reason(), "chain_id");
    assert_eq!(pool.submit(transfer(41, 0).raw()).await.unwrap_err().reason(), "funds");
    assert_eq!(pool.submit(draft.gwei(101, 2).raw()).await.unwrap_err().reason(), "replacement_underpriced");
    assert_eq!(pool.counts(), (1, 0));
}

/// A signature whose `s` is in the upper half recovers the same sender, and is refused all the same (EIP-2).
#[tokio::test]
async fn malleable_signatures_are_refused_but_for_frontier_blocks() {
    let pool = World::rich().pool(PoolConfig::default());
    let tx = transfer(1, 0).sign();
    let order =
        alloy_primitives::uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);
    let signature = tx.signature();
    let high = alloy_primitives::Signature::new(signature.r(), order - signature.s(), !signature.v());
    let forged = weft_primitives::Transaction::new_unhashed(tx.clone().into_typed_transaction(), high);
    let raw: Bytes = forged.encoded_2718().into();
    assert_eq!(pool.submit(raw.clone()).await.unwrap_err().reason(), "invalid_sender");
    assert!(pool.prepare(1, vec![raw.clone()]).is_err(), "Homestead is active from genesis here");
    let preparer = pool.core().preparer();
    assert_eq!(preparer.block(vec![raw], false, |_| None).unwrap()[0].sender, address(1));
}

#[tokio::test]
async fn type_3_keeps_its_sidecar_through_inclusion_and_reorganisation() {
    let world = World::rich();
    let pool = world.pool(PoolConfig::default());
    let sidecar = testing::sidecar_v1(1);
    let (raw, consensus) = testing::blob_transaction(&sidecar, 0);
    let hash = pool.submit(raw).await.unwrap();
    assert_eq!(hash, *consensus.tx_hash());
    let tx = pool.get(hash).unwrap();
    assert_eq!(tx.encoded.as_ref(), consensus.encoded_2718(), "a block carries no sidecar");
    assert_eq!(pool.sidecar(hash).as_deref(), Some(&sidecar));
    let head = include(&world, &pool, &genesis(), std::slice::from_ref(&tx));
    assert!(pool.get(hash).is_none());
    assert_eq!(pool.sidecar(hash).as_deref(), Some(&sidecar), "kept for a reorganisation");
    world.set(1, 0, 1000 * ETHER);
    pool.on_canonical(&next_head(&head), &[], &[tx]);
    assert_eq!(best(&pool).len(), 1);
    assert_eq!(pool.sidecar(hash).as_deref(), Some(&sidecar));
}

#[tokio::test]
async fn a_forged_sidecar_is_refused() {
    let pool = World::rich().pool(PoolConfig::default());
    let mut forged = testing::sidecar_v1(1);
    let honest = forged.clone();
    if let Sidecar::Eip7594(v1) = &mut forged {
        v1.blobs[0][99] ^= 1;
    }
    let draft = transaction(Kind::Eip4844);
    assert_eq!(pool.submit(draft.raw_with(&forged).0).await.unwrap_err().reason(), "kzg");
    pool.submit(draft.raw_with(&honest).0).await.unwrap();
}

#[tokio::test]
async fn inclusion_removes_promotes_and_reads_only_senders_that_were_touched() {
    let world = World::rich();
    let pool = world.pool(PoolConfig::default());
    for nonce in [0, 1, 3] {
        pool.submit(transfer(1, nonce).raw()).await.unwrap();
    }
    pool.submit(transfer(2, 0).raw()).await.unwrap();
    assert_eq!((pool.counts(), pool.pending_nonce(address(1))), ((3, 1), Some(2)));
    world.reads.lock().clear();
    // A block includes one pooled transaction, one that this pool never saw, and one of a stranger.
    let included = [0, 1, 2].map(|nonce| transfer(1, nonce).gwei(120, 5).prepared());
    let stranger = transfer(3, 0).prepared();
    let all: Vec<_> = included.iter().cloned().chain([stranger]).collect();
    include(&world, &pool, &genesis(), &all);
    assert_eq!(*world.reads.lock(), [address(1)], "2 was not touched, 3 has nothing here");
    assert_eq!((pool.counts(), pool.pending_nonce(address(1))), ((2, 0), Some(4)));
}

#[tokio::test]
async fn a_reorganisation_takes_back_what_the_new_branch_left_out() {
    let world = World::rich();
    let pool = world.pool(PoolConfig::default());
    let drafts = [transfer(1, 0), transfer(1, 1), transfer(2, 0)];
    let mut all = Vec::new();
    for draft in &drafts {
        let hash = pool.submit(draft.raw()).await.unwrap();
        all.push(pool.get(hash).unwrap());
    }
    let head = include(&world, &pool, &genesis(), &all);
    assert_eq!(pool.counts(), (0, 0));
    // The other branch includes the second sender's transaction only.
    world.set(1, 0, 1000 * ETHER);
    let reverted = [all[1].clone(), all[2].clone(), all[0].clone()];
    pool.on_canonical(&next_head(&head), &all[2..], &reverted);
    assert_eq!(pool.counts(), (2, 0));
    let nonces: Vec<_> = best(&pool).iter().map(|tx| (tx.sender, tx.tx.nonce())).collect();
    assert_eq!(nonces, [(address(1), 0), (address(1), 1)]);
}

#[tokio::test]
async fn an_authority_whose_delegation_was_included_is_looked_at_again() {
    let world = World::rich();
    let pool = world.pool(PoolConfig::default());
    pool.submit(transfer(9, 0).raw()).await.unwrap();
    pool.submit(transfer(9, 1).raw()).await.unwrap();
    // Key 9 authorised a delegation in somebody else's transaction, which raises its nonce.
    world.set(9, 1, 1000 * ETHER);
    let delegation = transaction(Kind::Eip7702).key(1).authorizations(vec![testing::authorization(9)]);
    pool.on_canonical(&next_head(&genesis()), &[delegation.prepared()], &[]);
    assert_eq!(best(&pool).iter().map(|tx| tx.tx.nonce()).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn an_account_emptied_behind_the_pools_back_is_revalidated() {
    let world = World::rich();
    let pool = world.pool(PoolConfig::default());
    let hash = pool.submit(transfer(1, 0).raw()).await.unwrap();
    world.set(1, 0, 5);
    pool.revalidate([address(1)]);
    assert!(pool.get(hash).is_none());
    let hash = pool.submit(transfer(2, 0).raw()).await.unwrap();
    pool.discard(hash);
    assert_eq!(pool.counts(), (0, 0));
}

#[tokio::test]
async fn queued_transactions_expire_with_the_next_head() {
    let world = World::rich();
    let pool = world.pool(PoolConfig { queued_lifetime: Duration::ZERO, ..Default::default() });
    pool.submit(transfer(1, 0).raw()).await.unwrap();
    pool.submit(transfer(1, 2).raw()).await.unwrap();
    pool.on_canonical(&next_head(&genesis()), &[], &[]);
    assert_eq!(pool.counts(), (1, 0));
}

#[tokio::test]
async fn subscribers_hear_of_executable_transactions_in_order() {
    let pool = World::rich().pool(PoolConfig::default());
    let mut events = pool.subscribe();
    for nonce in [1, 2, 0] {
        pool.submit(transfer(1, nonce).raw()).await.unwrap();
    }
    for nonce in 0..3 {
        assert_eq!(events.recv().await.unwrap().tx.nonce(), nonce);
    }
    assert!(events.is_empty());
}

#[tokio::test]
async fn content_says_where_each_stands() {
    let pool = World::rich().pool(PoolConfig::default());
    for nonce in [0, 1, 5] {
        pool.submit(transfer(1, nonce).raw()).await.unwrap();
    }
    let content = pool.content();
    let places: Vec<_> = content[&address(1)].iter().map(|(place, tx)| (*place, tx.tx.nonce())).collect();
    assert_eq!(places, [(SubPool::Pending, 0), (SubPool::Pending, 1), (SubPool::Queued, 5)]);
    assert_eq!(pool.content_from(address(1)).len(), 3);
    assert!(pool.content_from(address(2)).is_empty());
    let status = pool.status();
    assert_eq!((status.pending, status.queued, status.in_flight_bytes), (2, 1, 0));
}

#[tokio::test]
async fn a_client_waits_for_room_in_the_pool_and_gets_it() {
    let world = World::rich();
    let pool = world.pool(PoolConfig { transactions_max: 1, admission_wait: PATIENCE, ..Default::default() });
    let first = pool.submit(transfer(1, 0).raw()).await.unwrap();
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.submit(transfer(2, 0).raw()).await }
    });
    // It is under way until the first one is included.
    while pool.status().in_flight_bytes == 0 {
        tokio::task::yield_now().await;
    }
    let first = pool.get(first).unwrap();
    include(&world, &pool, &genesis(), &[first]);
    let hash = timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
    assert!(pool.get(hash).is_some());
    assert_eq!(pool.status().in_flight_bytes, 0);
}

#[tokio::test]
async fn a_client_that_waited_in_vain_is_told_so() {
    let pool = World::rich().pool(PoolConfig {
        transactions_max: 1,
        admission_wait: Duration::from_millis(20),
        ..Default::default()
    });
    pool.submit(transfer(1, 0).raw()).await.unwrap();
    assert_eq!(pool.submit(transfer(2, 0).raw()).await.unwrap_err().to_string(), "txpool is full");
    assert_eq!(
        pool.submit(transfer(2, 0).gwei(100, 2).raw()).await.unwrap(),
        transfer(2, 0).gwei(100, 2).prepared().hash()
    );
}

#[tokio::test]
async fn blobs_wait_for_the_archive_and_others_pass() {
    let config = PoolConfig { backlog_bytes_max: 1000, admission_wait: PATIENCE, ..Default::default() };
    let pool = World::rich().pool(config.clone());
    let blob = |key| transaction(Kind::Eip1559).key(key).input_len(8 * 1024).raw();
    pool.set_backlog(1000);
    pool.submit(blob(1)).await.unwrap();
    pool.set_backlog(1001);
    let waiting = tokio::spawn({
        let (pool, raw) = (pool.clone(), blob(2));
        async move { pool.submit(raw).await }
    });
    pool.submit(transfer(3, 0).raw()).await.unwrap();
    assert_eq!(pool.counts(), (2, 0), "one blob and the transfer");
    pool.set_backlog(0);
    timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();

    let pool = World::rich().pool(PoolConfig { admission_wait: Duration::from_millis(20), ..config });
    pool.set_backlog(5000);
    let refused = pool.submit(blob(1)).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the archive is behind: 5000 bytes in blocks wait for it, limit 1000; try again later"
    );
}

#[tokio::test]
async fn admission_is_bounded_in_bytes() {
    let world = World::rich();
    let pool = world.pool(PoolConfig {
        transactions_max: 1,
        admission_bytes_max: 10 * 1024,
        admission_wait: Duration::from_millis(50),
        ..Default::default()
    });
    pool.submit(transfer(1, 0).raw()).await.unwrap();
    // It waits for room in the pool and holds nine of the ten kilobytes meanwhile.
    let large = transaction(Kind::Eip1559).key(2).input_len(8 * 1024).raw();
    let patient = pool.submit(large);
    let other = async {
        while pool.status().in_flight_bytes == 0 {
            tokio::task::yield_now().await;
        }
        pool.submit(transaction(Kind::Eip1559).key(3).input_len(2 * 1024).raw()).await
    };
    let (full, busy) = tokio::join!(patient, other);
    assert_eq!(full.unwrap_err().reason(), "full");
    // Depending on which deadline fires first the other one never got in, or got in and found the pool full.
    let busy = busy.unwrap_err();
    assert!(matches!(busy.reason(), "busy" | "full"), "{busy}");
    assert_eq!(pool.status().in_flight_bytes, 0, "nothing is left reserved");
}

#[tokio::test]
async fn one_larger_than_all_of_admission_still_passes_alone() {
    let pool = World::rich().pool(PoolConfig { admission_bytes_max: 4096, ..Default::default() });
    pool.submit(transaction(Kind::Eip1559).input_len(50_000).raw()).await.unwrap();
}

#[tokio::test]
async fn parity_beyond_its_bound_is_not_kept_and_memory_is_given_back() {
    let world = World::rich();
    let input = 100_000;
    let parity =
        weft_erasure::encode_blob(ChainSpec::dev().weft().unwrap().geometry, &vec![0; input]).parity_bytes();
    let pool = world.pool(PoolConfig { parity_bytes_max: 2 * parity, ..Default::default() });
    let mut hashes = Vec::new();
    for key in 1..=3 {
        let raw = transaction(Kind::Eip1559).key(key).input_len(input).raw();
        hashes.push(pool.submit(raw).await.unwrap());
    }
    let kept = |hash: &TxHash| pool.get(*hash).unwrap().blob.as_ref().unwrap().has_parity();
    assert_eq!(hashes.iter().map(kept).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(pool.status().parity_bytes, 2 * parity);
    let all = best(&pool);
    include(&world, &pool, &genesis(), &all);
    assert_eq!(pool.status().parity_bytes, 2 * parity, "the block still holds them");
    drop(all);
    assert_eq!(pool.status().parity_bytes, 0);
}

#[tokio::test]
async fn blocks_from_outside_are_prepared_like_submissions_and_known_ones_not_again() {
    let pool = World::rich().pool(PoolConfig::default());
    let raws: Vec<_> = (0..20)
        .map(|nonce| transaction(Kind::Eip1559).nonce(nonce).input_len(300 * nonce as usize).raw())
        .collect();
    let known = pool.submit(raws[7].clone()).await.unwrap();
    let prepared = pool.prepare(1, raws.clone()).unwrap();
    assert!(Arc::ptr_eq(&prepared[7], &pool.get(known).unwrap()));
    for (tx, raw) in prepared.iter().zip(&raws) {
        assert_eq!((&tx.encoded, tx.hash(), tx.sender), (raw, keccak256(raw), address(1)));
        assert_eq!(tx.blob.is_some(), tx.tx.input().len() >= 4096);
    }
    let mut broken = raws;
    broken[13] = Bytes::from_static(&[2, 0xc0]);
    assert!(matches!(pool.prepare(1, broken), Err(PoolError::Decode(_))));
}

/// Many clients, one proposer that includes what it is given: every transaction is included exactly once, in
/// nonce order, whatever the order of arrival, and the pool never exceeds its limits.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_submitters_and_one_proposer() {
    const SENDERS: u64 = 8;
    const EACH: u64 = 40;
    let world = World::rich();
    let config = PoolConfig {
        transactions_max: 100,
        bytes_max: 300_000,
        admission_bytes_max: 40_000,
        admission_threads: 3,
        admission_wait: PATIENCE,
        ..Default::default()
    };
    let pool = world.pool(config.clone());
    let (done, mut finished) = mpsc::channel(SENDERS as usize * 4);
    for key in 1..=SENDERS {
        // Four clients per sender, so that nonces arrive out of order.
        for client in 0..4 {
            let (pool, done) = (pool.clone(), done.clone());
            tokio::spawn(async move {
                for nonce in (client..EACH).step_by(4) {
                    let draft = transaction(Kind::Eip1559).key(key).nonce(nonce).gas(100_000);
                    pool.submit(draft.input_len((nonce * 131 % 5000) as usize).raw()).await.unwrap();
                }
                done.send(()).await.unwrap();
            });
        }
    }
    drop(done);
    let stop = Arc::new(AtomicBool::new(false));
    let proposer = std::thread::spawn({
        let (pool, world, stop) = (pool.clone(), world.clone(), stop.clone());
        move || {
            let (mut head, mut included) = (genesis(), BTreeMap::<Address, u64>::new());
            let mut total = 0;
            while total < SENDERS * EACH && !stop.load(Ordering::Relaxed) {
                let mut best = pool.best(1, None);
                let mut room = Room { gas: 3_000_000, bytes: 50_000 };
                let block: Vec<_> = std::iter::from_fn(|| {
                    let tx = best.next_within(room)?;
                    room.gas -= tx.tx.gas_limit();
                    room.bytes -= tx.encoded.len();
                    Some(tx)
                })
                .collect();
                for tx in &block {
                    let next = included.entry(tx.sender).or_default();
                    assert_eq!(tx.tx.nonce(), *next, "nonce order");
                    *next += 1;
                }
                total += block.len() as u64;
                head = include(&world, &pool, &head, &block);
                pool.core().state().book.assert_consistent();
            }
            total
        }
    });
    let all = async { while finished.recv().await.is_some() {} };
    let in_time = timeout(PATIENCE, all).await.is_ok();
    stop.store(!in_time, Ordering::Relaxed);
    let total = tokio::task::spawn_blocking(|| proposer.join()).await.unwrap().unwrap();
    assert_eq!((total, pool.counts()), (SENDERS * EACH, (0, 0)));
    assert_eq!(pool.status().in_flight_bytes, 0);
}

/// The last handle stops the threads; whoever waited is told.
#[tokio::test]
async fn dropping_the_pool_joins_its_threads() {
    let world = World::rich();
    let pool = world.pool(PoolConfig::default());
    pool.submit(transfer(1, 0).raw()).await.unwrap();
    let core = Arc::downgrade(&pool.inner.core);
    drop(pool);
    assert!(core.upgrade().is_none(), "no thread holds on to the pool");
}
