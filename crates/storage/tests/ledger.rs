//! Records of the upload ledger: an item is in one place, a booking is counted once, what is done is out of the way.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use alloy_primitives::{B256, Bytes};
use common::open;
use weft_storage::{
    BlockNumHash, Booking, Carrier, CheckpointRecord, LedgerItem, LedgerKey, LedgerKind, LedgerPlace,
    PermanentBlobRecord, Shipment, ShipmentState, Spending, StorageError,
};

fn key(n: u8) -> LedgerKey {
    LedgerKey { kind: LedgerKind::State, sha256: B256::repeat_byte(n) }
}

fn item(n: u8) -> LedgerItem {
    LedgerItem {
        id: B256::repeat_byte(n ^ 0xff),
        bytes: 100,
        header: Bytes::from_static(b"signed"),
        block: 9,
        queued_at: 1000 + u64::from(n),
        after: Vec::new(),
        place: LedgerPlace::Queued { sequence: 0 },
    }
}

fn shipment(items: &[u8], hour: u64, winston: u128) -> Shipment {
    Shipment {
        items: items.iter().map(|n| key(*n)).collect(),
        bytes: 300,
        carrier: Carrier::Bundler { transaction: None },
        state: ShipmentState::Uploading,
        booked: Booking { hour, winston },
        signings: 1,
        created_at: 1,
        error: String::new(),
    }
}

fn failed(shipment: &Shipment) -> Shipment {
    Shipment { state: ShipmentState::Failed { reason: "lost".into() }, ..shipment.clone() }
}

#[test]
fn an_item_is_queued_once_and_leaves_the_queue_with_its_shipment() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for n in [3, 1, 2] {
        store.queue_item(key(n), item(n)).unwrap();
    }
    let again = store.queue_item(key(1), LedgerItem { bytes: 7, ..item(1) }).unwrap();
    assert_eq!((again.bytes, again.place), (100, LedgerPlace::Queued { sequence: 1 }));
    let queue = |limit| -> Vec<u8> {
        let queue = store.view().ledger_queue(limit).unwrap();
        queue.iter().map(|(key, _)| key.sha256[0]).collect()
    };
    assert_eq!((queue(9), queue(2)), (vec![3, 1, 2], vec![3, 1]));
    let number = store.ship(&shipment(&[1, 3], 5, 40)).unwrap();
    assert_eq!(queue(9), [2]);
    assert_eq!(
        store.view().ledger_item(key(3)).unwrap().unwrap().place,
        LedgerPlace::Shipped { shipment: number }
    );
    for taken in [&[1][..], &[2, 3], &[9]] {
        let refused = store.ship(&shipment(taken, 5, 1)).unwrap_err();
        assert!(matches!(refused, StorageError::Ledger(_)), "{taken:?}: {refused}");
    }
    assert_eq!(queue(9), [2], "a refused shipment changes nothing");
    assert_eq!(store.view().spending(5).unwrap(), Spending { total: 40, hour: 40 });
}

#[test]
fn a_booking_moves_with_its_shipment_and_comes_back_when_it_fails() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    (1..=3).for_each(|n| drop(store.queue_item(key(n), item(n)).unwrap()));
    let spent = |hour| {
        let Spending { total, hour } = store.view().spending(hour).unwrap();
        (total, hour)
    };
    let first = shipment(&[1, 2], 5, 40);
    let number = store.ship(&first).unwrap();
    store.ship(&shipment(&[3], 6, 2)).unwrap();
    let moved = Shipment { booked: Booking { hour: 6, winston: 50 }, ..first.clone() };
    store.update_shipment(number, &moved, false).unwrap();
    assert_eq!((spent(5), spent(6)), ((52, 0), (52, 52)));
    store.update_shipment(number, &failed(&moved), true).unwrap();
    assert_eq!((spent(5), spent(6)), ((2, 0), (2, 2)));
    let view = store.view();
    assert_eq!(view.ledger_queue(9).unwrap().len(), 2, "queued again");
    assert_eq!(view.open_shipments().unwrap().len(), 1);
    assert!(view.shipment(number).unwrap().unwrap().state.is_final());
    // What is final stays as it is.
    assert!(matches!(store.update_shipment(number, &first, false), Err(StorageError::Ledger(_))));
    // Given up for good, and put again.
    let number = store.ship(&first).unwrap();
    store.update_shipment(number, &failed(&first), false).unwrap();
    assert!(matches!(store.view().ledger_item(key(1)).unwrap().unwrap().place, LedgerPlace::Failed { .. }));
    let again = store.queue_item(key(1), LedgerItem { id: B256::ZERO, ..item(1) }).unwrap();
    assert_eq!(again.id, item(1).id, "with the signature that it had");
    assert!(matches!(again.place, LedgerPlace::Queued { .. }));
}

#[test]
fn records_survive_a_restart_and_numbers_are_not_given_twice() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    (1..=3).for_each(|n| drop(store.queue_item(key(n), item(n)).unwrap()));
    let first = shipment(&[1], 5, 40);
    let number = store.ship(&first).unwrap();
    let state = ShipmentState::Verified { height: 9, confirmations: 3, at: 1, gateway: "g".into() };
    let done = Shipment { state, ..first };
    store.update_shipment(number, &done, false).unwrap();
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.view().shipment(number).unwrap(), Some(done));
    assert_eq!(store.view().open_shipments().unwrap(), []);
    assert_eq!(store.view().spending(5).unwrap(), Spending { total: 40, hour: 40 });
    assert_eq!(store.ship(&shipment(&[2], 5, 1)).unwrap(), number + 1);
}

#[test]
fn checkpoints_are_found_from_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let record = |number| CheckpointRecord {
        block: BlockNumHash { number, hash: B256::repeat_byte(1) },
        timestamp: number * 10,
        depth: 0,
        manifest: key(1),
        parent: None,
        bytes: 5,
        items: vec![key(2)],
    };
    let refused = store.put_checkpoint(&record(8), None).unwrap_err();
    assert!(matches!(refused, StorageError::Ledger(_)), "its items are not there: {refused}");
    let found =
        |n| (key(n), LedgerItem { place: LedgerPlace::Found { carrier: B256::ZERO, height: 1 }, ..item(n) });
    assert_eq!(store.note_found(&[found(1), found(2)]).unwrap(), 2);
    assert_eq!(store.note_found(&[found(1)]).unwrap(), 0);
    for number in [8, 16, 24] {
        store.put_checkpoint(&record(number), None).unwrap();
    }
    let view = store.view();
    let down = |from, limit| -> Vec<u64> {
        view.checkpoints_down(from, limit).unwrap().iter().map(|record| record.block.number).collect()
    };
    assert_eq!(down(u64::MAX, 9), [24, 16, 8]);
    assert_eq!((down(23, 1), down(16, 1), down(7, 9)), (vec![16], vec![16], vec![]));
    let up = |from| view.checkpoint_from(from).unwrap().map(|record| record.block.number);
    assert_eq!((up(0), up(8), up(9), up(25)), (Some(8), Some(8), Some(16), None));
    assert_eq!(view.checkpoint(16).unwrap(), Some(record(16)));
    assert_eq!(view.checkpoint(17).unwrap(), None);
}

#[test]
fn a_request_waits_until_it_has_an_item() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let tx = B256::repeat_byte(5);
    let block = BlockNumHash { number: 4, hash: B256::repeat_byte(4) };
    let request = PermanentBlobRecord { tx, block, length: 7, item: None, requested_at: 3 };
    store.put_permanent_blob(&request).unwrap();
    let waiting = |after, limit| store.view().permanent_blobs_waiting(after, limit).unwrap();
    assert_eq!(waiting(None, 9), std::slice::from_ref(&request));
    assert_eq!(waiting(Some(request.tx), 9), []);
    let later = PermanentBlobRecord { tx: B256::repeat_byte(0xff), ..request.clone() };
    store.put_permanent_blob(&later).unwrap();
    assert_eq!((waiting(None, 1), waiting(Some(request.tx), 9)), (vec![request.clone()], vec![later]));
    let done = PermanentBlobRecord { item: Some(key(1)), ..request };
    store.put_permanent_blob(&done).unwrap();
    assert_eq!(waiting(None, 9).len(), 1, "the other one");
    assert_eq!(store.view().permanent_blob(tx).unwrap(), Some(done));
    assert_eq!(store.view().permanent_blob(B256::ZERO).unwrap(), None);
}
