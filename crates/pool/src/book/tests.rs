//! Limits, replacement, gaps and eviction; every test ends with the book's invariants.

use super::*;
use crate::testing::{self, Draft, ETHER, Kind, address, transfer};
use proptest::prelude::*;

const BASE_FEE: u64 = 1_000_000_000;

fn account(nonce: u64, balance: u128) -> Account {
    Account { nonce, balance: U256::from(balance), ..Default::default() }
}

fn book(config: PoolConfig) -> Book {
    Book::new(config, BASE_FEE)
}

/// Inserts as of an account with nonce 0 and plenty of ether.
fn add(book: &mut Book, draft: &Draft) -> Result<Inserted, PoolError> {
    let result = book.insert(draft.entry(), account(0, 1000 * ETHER));
    book.assert_consistent();
    result
}

fn nonces(inserted: &Inserted) -> Vec<u64> {
    inserted.promoted.iter().map(|tx| alloy_consensus::Transaction::nonce(&tx.tx)).collect()
}

fn order(book: &Book) -> Vec<TxHash> {
    book.best(BASE_FEE, None).map(|tx| tx.hash()).collect()
}

#[test]
fn a_gap_queues_and_filling_it_promotes_all_behind() {
    let mut book = book(PoolConfig::default());
    assert_eq!(nonces(&add(&mut book, &transfer(1, 0)).unwrap()), [0]);
    assert_eq!(nonces(&add(&mut book, &transfer(1, 3)).unwrap()), [0; 0]);
    assert_eq!(nonces(&add(&mut book, &transfer(1, 2)).unwrap()), [0; 0]);
    assert_eq!((book.totals().executable, book.totals().queued()), (1, 2));
    assert_eq!(nonces(&add(&mut book, &transfer(1, 1)).unwrap()), [1, 2, 3]);
    assert_eq!((book.totals().executable, book.totals().queued()), (4, 0));
}

#[test]
fn the_same_transaction_twice_is_known() {
    let mut book = book(PoolConfig::default());
    add(&mut book, &transfer(1, 0)).unwrap();
    assert!(matches!(add(&mut book, &transfer(1, 0)), Err(PoolError::AlreadyKnown(_))));
}

#[test]
fn a_replacement_pays_ten_percent_more_and_keeps_its_successors_executable() {
    let mut book = book(PoolConfig::default());
    let draft = |fee, tip| transfer(1, 0).gwei(fee, tip);
    add(&mut book, &draft(100, 10)).unwrap();
    add(&mut book, &transfer(1, 1)).unwrap();
    for (fee, tip) in [(109, 11), (110, 10), (100, 11), (110, 9)] {
        assert!(
            matches!(add(&mut book, &draft(fee, tip)), Err(PoolError::ReplacementUnderpriced)),
            "{fee} {tip}"
        );
    }
    let inserted = add(&mut book, &draft(110, 11)).unwrap();
    assert!(inserted.replaced);
    assert_eq!(nonces(&inserted), [0], "the successor was executable before");
    assert_eq!(book.totals().executable, 2);
    assert!(!book.contains(&draft(100, 10).entry().hash));
}

#[test]
fn a_blob_replacement_pays_twice_in_every_fee() {
    let mut book = book(PoolConfig::default());
    let blob = |fee, tip| testing::transaction(Kind::Eip4844).gwei(fee, tip);
    add(&mut book, &blob(100, 10)).unwrap();
    // Gas fees doubled, blob fee cap not.
    assert!(matches!(add(&mut book, &blob(200, 20)), Err(PoolError::ReplacementUnderpriced)));
}

#[test]
fn blob_transactions_leave_no_gap_and_do_not_mix() {
    let mut book = book(PoolConfig::default());
    let blob = testing::transaction(Kind::Eip4844);
    let gapped = add(&mut book, &blob.clone().nonce(1));
    assert!(matches!(gapped, Err(PoolError::NonceTooHigh { nonce: 1, gap: 0 })));
    add(&mut book, &blob).unwrap();
    assert!(matches!(add(&mut book, &transfer(1, 1)), Err(PoolError::Reserved)));
    let gapped = add(&mut book, &blob.clone().nonce(2));
    assert!(matches!(gapped, Err(PoolError::NonceTooHigh { nonce: 2, gap: 1 })));
    add(&mut book, &transfer(2, 0)).unwrap();
    assert!(matches!(add(&mut book, &blob.key(2).nonce(1)), Err(PoolError::Reserved)));
}

#[test]
fn a_nonce_below_the_accounts_is_too_low() {
    let mut book = book(PoolConfig::default());
    let error = book.insert(transfer(1, 4).entry(), account(5, ETHER)).unwrap_err();
    assert_eq!(error.to_string(), "nonce too low: next nonce 5, tx nonce 4");
}

#[test]
fn funds_cover_the_transaction_and_all_pooled_ones() {
    let mut book = book(PoolConfig::default());
    let draft = |nonce| transfer(1, nonce).fees(10, 1).value(1000);
    let cost = 21_000 * 10 + 1000;
    let error = book.insert(draft(0).entry(), account(0, cost - 1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "insufficient funds for gas * price + value: balance 210999, tx cost 211000, overshot 1"
    );
    let purse = account(0, 2 * cost - 1);
    book.insert(draft(0).entry(), purse).unwrap();
    let error = book.insert(draft(1).entry(), purse).unwrap_err();
    assert_eq!(
        error.to_string(),
        "insufficient funds for gas * price + value: balance 421999, queued cost 211000, tx cost 211000, overshot 1"
    );
    // What it replaces does not count.
    book.insert(transfer(1, 0).fees(11, 2).value(1000).entry(), purse).unwrap();
    book.assert_consistent();
}

/// Between a block's commit and the pool's hearing of it, accounts are newer than the book.
#[test]
fn what_a_block_has_executed_counts_no_more() {
    let config = PoolConfig { account_slots_max: 3, ..PoolConfig::default() };
    let mut book = book(config);
    let draft = |nonce| transfer(1, nonce).fees(10, 1).value(1000);
    let cost = 21_000 * 10 + 1000;
    for nonce in 0..3 {
        book.insert(draft(nonce).entry(), account(0, 4 * cost)).unwrap();
    }
    let newer = account(2, 2 * cost);
    assert!(book.check(&draft(3).entry(), &newer).is_ok(), "two of three paid for, one slot used");
    let error = book.check(&draft(3).value(1001).entry(), &newer).unwrap_err();
    assert!(
        matches!(error, PoolError::FundsWithPooled { queued, .. } if queued == U256::from(cost)),
        "{error}"
    );
    assert_eq!(nonces(&book.insert(draft(3).entry(), newer).unwrap()), [3]);
    book.assert_consistent();
    assert_eq!(book.totals().count, 2);
    // All were executed: one of the other kind may follow.
    let blob = testing::transaction(Kind::Eip4844);
    assert!(book.check(&blob.nonce(4).entry(), &account(4, 1000 * ETHER)).is_ok());
}

#[test]
fn contracts_may_not_send_and_delegated_accounts_get_one_slot() {
    let mut book = book(PoolConfig::default());
    let code_hash = alloy_primitives::B256::repeat_byte(1);
    let contract = Account { code_hash, ..account(0, ETHER) };
    assert!(matches!(book.insert(transfer(1, 0).entry(), contract), Err(PoolError::SenderNotEoa { .. })));
    let delegated = Account { delegated: true, ..contract };
    book.insert(transfer(1, 0).entry(), delegated).unwrap();
    assert!(matches!(book.insert(transfer(1, 1).entry(), delegated), Err(PoolError::DelegatedLimit)));
    book.insert(transfer(1, 0).gwei(200, 2).entry(), delegated).unwrap();
    book.assert_consistent();
}

#[test]
fn one_sender_has_a_limited_number_of_slots_but_may_replace() {
    let mut book = book(PoolConfig { account_slots_max: 2, ..Default::default() });
    add(&mut book, &transfer(1, 0)).unwrap();
    add(&mut book, &transfer(1, 1)).unwrap();
    assert!(matches!(add(&mut book, &transfer(1, 2)), Err(PoolError::AccountLimit(2))));
    add(&mut book, &transfer(1, 1).gwei(200, 2)).unwrap();
    add(&mut book, &transfer(2, 0)).unwrap();
}

fn three_at_most() -> PoolConfig {
    PoolConfig { transactions_max: 3, ..Default::default() }
}

#[test]
fn a_full_pool_drops_the_cheapest_for_a_better_one_and_refuses_worse_ones() {
    let mut book = book(three_at_most());
    for (key, tip) in [(1, 5), (2, 3), (3, 4)] {
        add(&mut book, &transfer(key, 0).gwei(100, tip)).unwrap();
    }
    assert!(matches!(add(&mut book, &transfer(4, 0).gwei(100, 2)), Err(PoolError::Underpriced)));
    assert!(matches!(add(&mut book, &transfer(4, 0).gwei(100, 3)), Err(PoolError::Full)));
    let inserted = add(&mut book, &transfer(4, 0).gwei(100, 6)).unwrap();
    assert_eq!(inserted.evicted, 1);
    assert!(!book.senders().contains_key(&address(2)), "3 gwei was the cheapest");
    assert_eq!(book.totals().count, 3);
}

#[test]
fn what_cannot_pay_the_base_fee_goes_first_and_the_order_follows_the_base_fee() {
    let mut book = book(three_at_most());
    add(&mut book, &transfer(1, 0).gwei(50, 40)).unwrap();
    add(&mut book, &transfer(2, 0).gwei(100, 3)).unwrap();
    add(&mut book, &transfer(3, 0).gwei(100, 4)).unwrap();
    book.set_base_fee(60_000_000_000);
    add(&mut book, &transfer(4, 0).gwei(100, 1)).unwrap();
    assert!(!book.senders().contains_key(&address(1)), "its cap is below the base fee");
    book.set_base_fee(BASE_FEE);
    book.assert_consistent();
    add(&mut book, &transfer(5, 0).gwei(100, 9)).unwrap();
    assert!(!book.senders().contains_key(&address(4)));
}

#[test]
fn of_equal_price_external_and_young_go_first() {
    let mut book = book(three_at_most());
    let with_origin = |key, origin| Entry::new(transfer(key, 0).prepared(), None, origin);
    for (key, origin) in [(1, Origin::External), (2, Origin::External), (3, Origin::Local)] {
        book.insert(with_origin(key, origin), account(0, ETHER)).unwrap();
    }
    for (key, gone) in [(4, 2), (5, 1), (6, 3)] {
        add(&mut book, &transfer(key, 0).gwei(100, 9)).unwrap();
        assert!(!book.senders().contains_key(&address(gone)), "{gone} goes for {key}");
    }
}

#[test]
fn eviction_out_of_the_middle_queues_the_successors() {
    let mut book = book(three_at_most());
    for (nonce, tip) in [(0, 9), (1, 2), (2, 9)] {
        add(&mut book, &transfer(1, nonce).gwei(100, tip)).unwrap();
    }
    add(&mut book, &transfer(2, 0).gwei(100, 5)).unwrap();
    assert_eq!((book.totals().executable, book.totals().queued()), (2, 1));
}

#[test]
fn a_sender_does_not_evict_its_own() {
    let mut book = book(three_at_most());
    for nonce in 0..3 {
        add(&mut book, &transfer(1, nonce).gwei(100, 1)).unwrap();
    }
    assert!(matches!(add(&mut book, &transfer(1, 3).gwei(100, 9)), Err(PoolError::Full)));
}

#[test]
fn bytes_are_limited_and_a_refusal_evicts_nobody() {
    let large = testing::transaction(Kind::Eip1559).input_len(10_000);
    let size = large.entry().bytes;
    let mut book = book(PoolConfig { bytes_max: 2 * size - 1, ..Default::default() });
    add(&mut book, &transfer(3, 0).gwei(100, 2)).unwrap();
    add(&mut book, &large.clone().key(1).gwei(100, 3)).unwrap();
    // Better than the transfer but not than the large one: evicting the transfer alone would not do.
    let before = book.totals();
    assert!(matches!(add(&mut book, &large.clone().key(2).gwei(100, 3)), Err(PoolError::Full)));
    assert_eq!(book.totals(), before);
    let inserted = add(&mut book, &large.key(2).gwei(100, 4)).unwrap();
    assert_eq!(inserted.evicted, 2);
    assert_eq!(book.totals().bytes, size);
}

#[test]
fn transactions_behind_a_gap_take_half_of_the_pool_at_most() {
    let mut book = book(PoolConfig { transactions_max: 6, ..Default::default() });
    for key in 1..=3 {
        add(&mut book, &transfer(key, 1)).unwrap();
    }
    assert!(matches!(add(&mut book, &transfer(4, 1)), Err(PoolError::Full)));
    add(&mut book, &transfer(4, 0)).unwrap();
    add(&mut book, &transfer(1, 0)).unwrap();
    assert_eq!((book.totals().executable, book.totals().queued()), (3, 2));
    add(&mut book, &transfer(4, 2)).unwrap();
}

#[test]
fn a_new_account_state_drops_demotes_and_promotes() {
    let mut book = book(PoolConfig::default());
    let draft = |nonce| transfer(1, nonce).fees(10, 1).value(0);
    let cost = 210_000;
    for nonce in [0, 1, 2, 4] {
        add(&mut book, &draft(nonce)).unwrap();
    }
    // Nonce 0 was included; the purse pays for one of the rest.
    assert!(book.set_account(address(1), account(1, cost)).is_empty());
    book.assert_consistent();
    assert_eq!((book.totals().executable, book.totals().queued()), (1, 2));
    let promoted = book.set_account(address(1), account(1, 10 * cost));
    assert_eq!(promoted.iter().map(|tx| tx.nonce).collect::<Vec<_>>(), [2]);
    let promoted = book.set_account(address(1), account(4, 10 * cost));
    assert_eq!(promoted.iter().map(|tx| tx.nonce).collect::<Vec<_>>(), [4]);
    book.set_account(address(1), account(4, cost - 1));
    assert_eq!(book.totals(), Totals::default(), "what can never be paid is dropped");
    book.assert_consistent();
}

#[test]
fn only_queued_transactions_expire() {
    let mut book = book(PoolConfig::default());
    for nonce in [0, 2, 3] {
        add(&mut book, &transfer(1, nonce)).unwrap();
    }
    let now = Instant::now();
    assert_eq!(book.expire(now, Duration::from_secs(3600)), 0);
    assert_eq!(book.expire(now + Duration::from_secs(3601), Duration::from_secs(3600)), 2);
    assert_eq!(book.totals().count, 1);
    book.assert_consistent();
}

#[test]
fn best_is_by_tip_then_arrival_and_in_nonce_order() {
    let mut book = book(PoolConfig::default());
    let drafts = [
        transfer(1, 0).gwei(100, 2),
        transfer(1, 1).gwei(100, 50), // behind its predecessor whatever it pays
        transfer(2, 0).gwei(100, 3),
        transfer(3, 0).gwei(100, 2), // as much as key 1's, but later
        transfer(4, 0).gwei(3, 3),   // the base fee leaves 2
    ];
    for draft in &drafts {
        add(&mut book, draft).unwrap();
    }
    let want: Vec<_> = [2, 0, 1, 3, 4].map(|index: usize| drafts[index].entry().hash).into();
    assert_eq!(order(&book), want);
}

#[test]
fn best_stops_a_sender_at_what_does_not_pay_its_fees() {
    let mut book = book(PoolConfig::default());
    for (nonce, fee) in [(0, 100), (1, 5), (2, 100)] {
        add(&mut book, &transfer(1, nonce).gwei(fee, 1)).unwrap();
    }
    let blob = testing::transaction(Kind::Eip4844).key(2).gwei(100, 9);
    add(&mut book, &blob).unwrap();
    let count = |base_fee: u64, blob_fee| book.best(base_fee * 1_000_000_000, blob_fee).count();
    assert_eq!(count(5, Some(testing::BLOB_FEE_CAP)), 4);
    assert_eq!(count(6, Some(testing::BLOB_FEE_CAP)), 2);
    assert_eq!(count(6, Some(testing::BLOB_FEE_CAP + 1)), 1, "bids too little for blob gas");
    assert_eq!(count(6, None), 1, "no blobs before Cancun");
}

#[test]
fn best_is_a_snapshot() {
    let mut book = book(PoolConfig::default());
    add(&mut book, &transfer(1, 0)).unwrap();
    add(&mut book, &transfer(1, 1)).unwrap();
    let mut best = book.best(BASE_FEE, None);
    assert!(best.next().is_some());
    book.set_account(address(1), account(2, ETHER));
    add(&mut book, &transfer(2, 0).gwei(100, 90)).unwrap();
    assert_eq!(best.map(|tx| tx.hash()).collect::<Vec<_>>(), [transfer(1, 1).entry().hash]);
}

#[test]
fn best_skips_senders_of_invalid_and_of_too_large_transactions() {
    let mut book = book(PoolConfig::default());
    for nonce in 0..2 {
        add(&mut book, &transfer(1, nonce).gwei(100, 9)).unwrap();
        add(&mut book, &testing::transaction(Kind::Eip1559).key(2).nonce(nonce).gwei(100, 8).input_len(5000))
            .unwrap();
        add(&mut book, &transfer(3, nonce).gwei(100, 7).gas(50_000)).unwrap();
        add(&mut book, &transfer(4, nonce).gwei(100, 6)).unwrap();
    }
    let mut best = book.best(BASE_FEE, None);
    let first = best.next().unwrap();
    assert_eq!(first.sender, address(1));
    best.mark_invalid(&first);
    let room = crate::Room { bytes: 4999, gas: 49_999 };
    let rest: Vec<_> = std::iter::from_fn(|| best.next_within(room)).map(|tx| tx.sender).collect();
    assert_eq!(rest, [address(4); 2], "2 is too large, 3 wants too much gas");
}

/// One step of a random life of a book.
#[derive(Clone, Debug)]
enum Step {
    Insert { key: u64, nonce: u64, tip: u128, input: usize },
    Account { key: u64, nonce: u64, balance: u128 },
    BaseFee(u64),
    Expire,
    Remove { key: u64, nonce: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let key = 1u64..5;
    prop_oneof![
        8 => (key.clone(), 0u64..8, 1u128..40, 0usize..3000)
            .prop_map(|(key, nonce, tip, input)| Step::Insert { key, nonce, tip, input }),
        2 => (key.clone(), 0u64..6, prop_oneof![Just(0), Just(ETHER), 0..ETHER])
            .prop_map(|(key, nonce, balance)| Step::Account { key, nonce, balance }),
        1 => (1u64..60).prop_map(|gwei| Step::BaseFee(gwei * 1_000_000_000)),
        1 => Just(Step::Expire),
        1 => (key, 0u64..8).prop_map(|(key, nonce)| Step::Remove { key, nonce }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..Default::default() })]

    #[test]
    fn invariants_hold_through_any_life(steps in prop::collection::vec(step(), 1..60)) {
        let config = PoolConfig { transactions_max: 8, bytes_max: 16_000, account_slots_max: 5, ..Default::default() };
        let mut book = book(config);
        let mut accounts = [account(0, ETHER); 5];
        for step in steps {
            match step {
                Step::Insert { key, nonce, tip, input } => {
                    let draft = testing::transaction(Kind::Eip1559).key(key).nonce(nonce).gas(100_000);
                    let _ = book.insert(draft.gwei(50, tip).input_len(input).entry(), accounts[key as usize]);
                }
                Step::Account { key, nonce, balance } => {
                    accounts[key as usize] = account(nonce, balance);
                    book.set_account(address(key), accounts[key as usize]);
                }
                Step::BaseFee(fee) => book.set_base_fee(fee),
                Step::Expire => { book.expire(Instant::now() + Duration::from_secs(1), Duration::ZERO); }
                Step::Remove { key, nonce } => {
                    let hash = book.senders().get(&address(key)).and_then(|s| s.transactions.get(&nonce)).map(|tx| tx.hash);
                    hash.map(|hash| book.remove_hash(&hash));
                }
            }
            book.assert_consistent();
            // A proposer gets each executable transaction that pays at most once, in nonce order.
            let mut next = std::collections::BTreeMap::new();
            for tx in book.best(BASE_FEE, None) {
                let nonce = alloy_consensus::Transaction::nonce(&tx.tx);
                let expected = next.entry(tx.sender).or_insert(book.senders()[&tx.sender].account.nonce);
                prop_assert_eq!(nonce, *expected);
                *expected += 1;
            }
        }
    }
}
