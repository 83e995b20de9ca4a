//! Blobs from peers, repairs, and bodies that go because peers keep their columns.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{
    CHUNK, TestBlock,
    da::{Chain, Fault, Network, Peer, chain, da_store, full_store, pieces, rot, rot_record},
};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};
use std::sync::Arc;
use tempfile::TempDir;
use weft_archive::{
    CellServer, ColumnIntake, ColumnRepair, Commitment, IntakeConfig, Lost, Mended, PeersError, RETENTION,
    Retention, RetentionConfig, RetentionStep, RetrieveError, Retriever, Source, Verdict, repair_block,
    repair_column,
};
use weft_primitives::{BlobIndex, ColumnIndex};
use weft_storage::{BulkLoad, CustodyPolicy, Store, StoreOptions, Table};

fn commitment(block: &TestBlock) -> Commitment {
    let da = block.da.clone();
    Commitment { geometry: da.geometry, blobs: da.blobs, column_roots: da.column_roots }
}

fn columns(list: &[u16]) -> Vec<ColumnIndex> {
    list.iter().copied().map(ColumnIndex).collect()
}

/// A node with headers only, and some columns of block 1.
fn light(chain: &Chain, own: &[u16]) -> (TempDir, Store) {
    let folder = TempDir::new().unwrap();
    let store = da_store(folder.path(), &chain.genesis, &chain.blocks, &columns(own));
    for piece in pieces(&chain.store, chain.blocks[0].block.num_hash(), &columns(own)) {
        let range = piece.check(piece.block_hash()).unwrap();
        store.put_range(chain.blocks[0].block.num_hash(), &range).unwrap();
    }
    (folder, store)
}

#[test]
fn a_node_with_headers_only_learns_the_blobs_and_gives_them_back() {
    let chain = chain(&[&[3 * CHUNK + 5, 5000, 100], &[4096], &[5000]]);
    let (_folder, store) = light(&chain, &[]);
    let mut network = Network::of(&chain.store, &[&[0], &[5], &[7], &[10], &[2]]);
    let (honest, mut lie) = (commitment(&chain.blocks[0]), commitment(&chain.blocks[0]));
    lie.blobs[0].length -= 1;
    let foreign = commitment(&chain.blocks[1]);
    network.commitments = vec![lie, foreign, honest];
    let network = network.shared();
    let retriever = Retriever::new(store.clone()).with_peers(network.clone());
    let (tx, blob) = chain.blocks[0].blobs().remove(0);
    assert_eq!(
        retriever.blob(tx, None, Source::Any).unwrap(),
        None,
        "nobody has said yet what the block has"
    );
    assert_eq!(retriever.blob_in(1, tx, None, Source::Any).unwrap(), Some(blob.clone()));
    assert_eq!(retriever.blob(tx, None, Source::Peers).unwrap(), Some(blob.clone()));
    assert!(!retriever.learn(1).unwrap(), "it was kept");
    let (header, summary) = retriever.summary(1).unwrap().unwrap();
    assert_eq!((header.hash(), summary), (chain.blocks[0].block.header.hash(), chain.blocks[0].da.clone()));
    assert_eq!(retriever.summary(2).unwrap(), None);
    assert!(retriever.learn(99).is_ok_and(|new| !new), "no such block");
    let error = retriever.learn(3).unwrap_err();
    assert!(
        matches!(error, RetrieveError::Commitment { block: 3, source: PeersError::NobodyHas }),
        "{error}"
    );

    // Ranges, from within a chunk to over the end.
    let length = blob.len() as u64;
    for (offset, count) in [(0, 1), (CHUNK as u64 - 1, 2), (5, 200_000), (length - 1, 9), (length, 1)] {
        let end = (offset + count).min(length) as usize;
        let part = retriever.blob(tx, Some((offset, count)), Source::Peers).unwrap();
        assert_eq!(part, Some(blob.slice(offset as usize..end)), "{offset} + {count}");
    }
    assert!(matches!(
        retriever.blob(tx, Some((length + 1, 1)), Source::Peers),
        Err(RetrieveError::OutOfRange { .. })
    ));
    // A range costs its chunks only: k cells of one.
    network.log.lock().bytes = 0;
    retriever.blob(tx, Some((0, 10)), Source::Peers).unwrap();
    assert_eq!(network.log.lock().bytes, CHUNK);
    assert!(matches!(retriever.blob(tx, None, Source::Shards), Err(RetrieveError::Missing { .. })));
    let alone = Retriever::new(store);
    assert!(matches!(alone.blob(tx, None, Source::Peers), Err(RetrieveError::NoPeers)));
}

#[test]
fn own_columns_come_first_and_only_the_rest_is_asked_for() {
    let chain = chain(&[&[3 * CHUNK + 5, 5000]]);
    let (_folder, store) = light(&chain, &[1, 6, 9]);
    store.put_summary(chain.blocks[0].block.num_hash(), &chain.blocks[0].da).unwrap();
    let network = Network::of(&chain.store, &[&[6, 9, 4]]).shared();
    let retriever = Retriever::new(store).with_peers(network.clone());
    for (tx, blob) in chain.blocks[0].blobs() {
        assert_eq!(retriever.blob(tx, None, Source::Any).unwrap(), Some(blob));
    }
    let asked = network.log.lock().asked.clone();
    assert!(!asked.is_empty());
    assert!(asked.iter().all(|column| !columns(&[1, 6, 9]).contains(column)), "{asked:?}");
    // Of its own it has three of four.
    let (tx, _) = chain.blocks[0].blobs().remove(0);
    let error = retriever.blob(tx, None, Source::Shards).unwrap_err();
    let missing = columns(&[0, 2, 3, 4, 5, 7, 8, 10]);
    assert!(matches!(&error, RetrieveError::Missing { missing: found, .. } if *found == missing), "{error}");
}

#[test]
fn a_full_node_asks_peers_when_body_and_columns_are_gone() {
    let chain = chain(&[&[2 * CHUNK + 9, 4096]]);
    let folder = TempDir::new().unwrap();
    let (store, _, blocks) = full_store(folder.path(), &[&[2 * CHUNK + 9, 4096]], 1);
    let (tx, blob) = blocks[0].blobs().remove(0);
    weft_archive::drop_body(&store, tx).unwrap();
    store.drop_columns(1, BlobIndex(0), &columns(&[0, 1, 2, 4, 5, 6, 7])).unwrap();
    let nobody = Network::of(&chain.store, &[]).shared();
    let retriever = Retriever::new(store.clone()).with_peers(nobody.clone());
    assert_eq!(retriever.blob(tx, None, Source::Any).unwrap(), Some(blob.clone()), "3, 8, 9, 10 are here");
    assert!(nobody.log.lock().asked.is_empty());
    let error = retriever.blob(tx, None, Source::Peers).unwrap_err();
    assert!(matches!(&error, RetrieveError::Missing { missing, .. } if missing.len() == 11), "{error}");

    // Damage on the disk: of the four one is rotten, and peers give another.
    let network = Network::of(&chain.store, &[&[2, 4]]).shared();
    let (_folder, light) = light(&chain, &[3, 8, 9, 10]);
    light.put_summary(blocks[0].block.num_hash(), &blocks[0].da).unwrap();
    let path = light.path().to_owned();
    drop(light);
    rot(&path, 1, ColumnIndex(8), 1);
    let options = weft_storage::StoreOptions { role: None, ..Default::default() };
    let light = Store::open(&path, options).unwrap();
    let retriever = Retriever::new(light).with_peers(network.clone());
    assert!(matches!(retriever.blob(tx, None, Source::Shards), Err(RetrieveError::Missing { .. })));
    assert_eq!(retriever.blob(tx, None, Source::Any).unwrap(), Some(blob));
    assert!(!network.log.lock().asked.is_empty());
}

#[test]
fn a_peer_that_lies_is_named_and_an_honest_one_does_instead() {
    let chain = chain(&[&[2 * CHUNK + 9]]);
    let (_folder, store) = light(&chain, &[]);
    store.put_summary(chain.blocks[0].block.num_hash(), &chain.blocks[0].da).unwrap();
    let (tx, blob) = chain.blocks[0].blobs().remove(0);
    for fault in Fault::LIES.into_iter().chain([Fault::Silent]) {
        let mut network = Network::of(&chain.store, &[&[0, 1], &[0, 1, 2, 3]]);
        network.peers[0].fault = fault;
        let network = network.shared();
        let retriever = Retriever::new(store.clone()).with_peers(network.clone());
        assert_eq!(retriever.blob(tx, None, Source::Peers).unwrap(), Some(blob.clone()), "{fault:?}");
        assert_eq!(network.log.lock().bad, if fault == Fault::Silent { 0 } else { 2 }, "{fault:?}");
    }
    // Liars alone are as nobody; what is missing is named.
    let mut network = Network::of(&chain.store, &[&[0, 1, 2], &[3, 4]]);
    network.peers[1].fault = Fault::Cell;
    let retriever = Retriever::new(store).with_peers(network.shared());
    let error = retriever.blob(tx, None, Source::Any).unwrap_err();
    let missing = columns(&[3, 4, 5, 6, 7, 8, 9, 10]);
    assert!(matches!(&error, RetrieveError::Missing { missing: found, .. } if *found == missing), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_k_columns_wherever_they_are_give_the_blob_back(
        held in prop::collection::btree_set(0..11u16, 0..=7),
        own in any::<u16>(),
        length in 4096..3 * CHUNK,
    ) {
        let chain = chain(&[&[4096, length]]);
        let (own, others): (Vec<u16>, Vec<u16>) = held.iter().copied().partition(|column| own >> column & 1 == 1);
        let (_folder, store) = light(&chain, &own);
        store.put_summary(chain.blocks[0].block.num_hash(), &chain.blocks[0].da).unwrap();
        let peers: Vec<[u16; 1]> = others.iter().map(|column| [*column]).collect();
        let network = Network::of(&chain.store, &peers.iter().map(|one| &one[..]).collect::<Vec<_>>());
        let retriever = Retriever::new(store).with_peers(network.shared());
        for (tx, blob) in chain.blocks[0].blobs() {
            match retriever.blob(tx, None, Source::Any) {
                Ok(found) => {
                    prop_assert!(held.len() >= 4);
                    prop_assert_eq!(found, Some(blob));
                }
                Err(RetrieveError::Missing { missing, .. }) => {
                    prop_assert!(held.len() < 4);
                    let lacking: Vec<_> =
                        (0..11).filter(|column| !held.contains(column)).map(ColumnIndex).collect();
                    prop_assert_eq!(missing, lacking);
                }
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            }
        }
    }
}

#[test]
fn a_lost_column_is_fetched_or_rebuilt_or_said_to_be_lost() {
    let chain = chain(&[&[33 * CHUNK + 5, 5000, 4096]]);
    let block = &chain.blocks[0];
    let lost = ColumnIndex(9);
    let good = |store: &Store| {
        let view = store.view();
        let held = view.held_column(1, lost).unwrap().unwrap();
        held.check(block.block.header.header()).unwrap();
        assert!(held.is_complete());
        let report = store.verify_chain(1..=1).unwrap();
        assert!(report.is_clean(), "{:?}", report.problems);
        assert!(!view.columns_due(0, 99).unwrap().contains(&(1, lost)));
    };

    // Somebody has it.
    let (_a, store) = light(&chain, &[0]);
    let network = Network::of(&chain.store, &[&[9]]);
    assert_eq!(repair_column(&store, Some(&network), 1, lost, false).unwrap(), ColumnRepair::Fetched);
    good(&store);
    assert_eq!(repair_column(&store, None, 1, lost, false).unwrap(), ColumnRepair::Whole);

    // Nobody has it, some have others: two own and two of peers, one of which lies at first.
    let (_b, store) = light(&chain, &[0, 6]);
    let mut network = Network::of(&chain.store, &[&[2], &[2, 3]]);
    network.peers[0].fault = Fault::Cell;
    assert_eq!(repair_column(&store, Some(&network), 1, lost, true).unwrap(), ColumnRepair::Rebuilt);
    assert_eq!(store.view().held_column(1, lost).unwrap(), None, "a dry run writes nothing");
    assert_eq!(repair_column(&store, Some(&network), 1, lost, false).unwrap(), ColumnRepair::Rebuilt);
    assert!(network.log.lock().bad > 0);
    good(&store);

    // All of it from peers, of a block of which nothing is here.
    let (_c, store) = light(&chain, &[]);
    let network = Network::of(&chain.store, &[&[2], &[3], &[5], &[7]]);
    assert_eq!(repair_column(&store, Some(&network), 1, lost, false).unwrap(), ColumnRepair::Rebuilt);
    good(&store);

    // Too few.
    let (_d, store) = light(&chain, &[1, 2, 3]);
    assert_eq!(repair_column(&store, None, 1, lost, false).unwrap(), ColumnRepair::Lost);
    assert_eq!(store.view().columns_due(0, 9).unwrap(), [(1, lost)]);
    let liar = Network {
        peers: vec![Peer {
            server: CellServer::new(chain.store.clone()),
            columns: columns(&[4, 5]),
            fault: Fault::Path,
        }],
        ..Network::default()
    };
    assert_eq!(repair_column(&store, Some(&liar), 1, lost, false).unwrap(), ColumnRepair::Lost);
}

#[test]
fn damage_is_found_and_mended_from_own_columns_alone() {
    let chain = chain(&[&[3 * CHUNK + 5, 5000], &[100]]);
    for (own, mended) in [(&[1_u16, 2, 3, 8, 9][..], true), (&[1, 8], false)] {
        let (_folder, store) = light(&chain, own);
        let path = store.path().to_owned();
        assert_eq!(repair_block(&store, None, 1, false).unwrap().unwrap().mended, []);
        assert_eq!(repair_block(&store, None, 2, false).unwrap(), None, "no blobs");
        drop(store);
        rot(&path, 1, ColumnIndex(8), 2);
        let options = weft_storage::StoreOptions { role: None, disk_reserve_bytes: 0, ..Default::default() };
        let store = Store::open(&path, options).unwrap();
        assert!(!store.verify_chain(1..=1).unwrap().is_clean());
        let (one, blob) = (columns(&[8]), None);
        let expected = |report: weft_archive::BlockRepair| {
            let (found, lost) = (report.mended, report.lost);
            if mended {
                assert_eq!((found, lost), (vec![Mended { block: 1, blob, columns: one.clone() }], vec![]));
            } else {
                assert_eq!((found, lost), (vec![], vec![Lost { block: 1, blob, columns: one.clone() }]));
            }
        };
        expected(repair_block(&store, None, 1, true).unwrap().unwrap());
        assert!(!store.verify_chain(1..=1).unwrap().is_clean(), "a dry run writes nothing");
        expected(repair_block(&store, None, 1, false).unwrap().unwrap());
        assert!(store.verify_chain(1..=1).unwrap().is_clean());
        assert_eq!(store.view().columns_due(0, 9).unwrap().is_empty(), mended);
    }
}

/// The record rots: in its count of columns, its preimage, a path, a leaf's hash.
#[test]
fn a_rotten_record_blames_nobody_and_is_mended() {
    let chain = chain(&[&[3 * CHUNK + 5, 5000]]);
    let column = ColumnIndex(8);
    let key = [&1u64.to_be_bytes()[..], &8u16.to_be_bytes()].concat();
    for at in [1, 15, 40, 65, 200, usize::MAX] {
        for from_peers in [false, true] {
            let (_folder, store) = light(&chain, &[1, 2, 3, 8, 9]);
            let (path, bytes) = (store.path().to_owned(), store.view().column_bytes().unwrap());
            drop(store);
            rot_record(&path, Table::HeldColumns, &key, at);
            let options = StoreOptions { role: None, disk_reserve_bytes: 0, ..StoreOptions::default() };
            let store = Store::open(&path, options).unwrap();
            assert!(!store.verify_chain(1..=1).unwrap().is_clean(), "byte {at}");
            if from_peers {
                let config = IntakeConfig::new(vec![column]);
                let intake = ColumnIntake::new(store.clone(), config, 0).unwrap();
                for piece in pieces(&chain.store, chain.blocks[0].block.num_hash(), &[column]) {
                    // What it has is not believed to be a duplicate of what it lost.
                    let verdict = intake.take(&piece).unwrap();
                    assert!(
                        matches!(verdict, Verdict::Accepted { complete: true, .. }),
                        "byte {at}: {verdict:?}"
                    );
                }
            } else {
                let report = repair_block(&store, None, 1, false).unwrap().unwrap();
                assert_eq!(
                    report.mended,
                    [Mended { block: 1, blob: None, columns: vec![column] }],
                    "byte {at}"
                );
            }
            let report = store.verify_chain(1..=1).unwrap();
            assert!(report.is_clean(), "byte {at}: {:?}", report.problems);
            // A record that does not decode takes its count along: a fifth too many is counted at most.
            let counted = store.view().column_bytes().unwrap();
            assert!((bytes..=bytes * 6 / 5).contains(&counted), "byte {at}: {counted} of {bytes}");
        }
    }
}

/// Below the block that a database was restored at there are headers and commitments, and no index of transactions.
#[test]
fn a_restored_node_gets_old_blobs_from_peers() {
    let chain = chain(&[&[2 * CHUNK + 9, 4096], &[5000]]);
    let folder = TempDir::new().unwrap();
    let load = BulkLoad::open(folder.path(), StoreOptions::default(), Default::default()).unwrap();
    let headers: Vec<_> = std::iter::once(&chain.genesis)
        .chain(chain.blocks.iter().map(|block| &block.block.header))
        .cloned()
        .collect();
    let mut writer = load.writer();
    headers.iter().for_each(|header| writer.header(header).unwrap());
    writer.finish().unwrap();
    let mut writer = load.writer();
    chain.blocks.iter().for_each(|block| writer.summary(block.number(), &block.da).unwrap());
    writer.finish().unwrap();
    let store = load.finish(headers[2].num_hash(), &[]).unwrap();

    let network = Network::of(&chain.store, &[&[1], &[5], &[7], &[10]]).shared();
    let retriever = Retriever::new(store).with_peers(network);
    for (tx, blob) in chain.blocks[0].blobs() {
        assert_eq!(retriever.blob(tx, None, Source::Any).unwrap(), None);
        assert_eq!(retriever.blob_in(1, tx, None, Source::Any).unwrap(), Some(blob.clone()));
        let part = retriever.blob_in(1, tx, Some((7, 9)), Source::Peers).unwrap();
        assert_eq!(part, Some(blob.slice(7..16)));
        assert_eq!(retriever.blob_in(2, tx, None, Source::Any).unwrap(), None, "another block's");
    }
}

#[test]
fn a_full_node_mends_what_it_can_and_names_what_it_cannot() {
    let chain = chain(&[&[2 * CHUNK, 5000]]);
    let store = &chain.store;
    store.drop_columns(1, BlobIndex(0), &columns(&[5, 6])).unwrap();
    let mended = vec![Mended { block: 1, blob: Some(BlobIndex(0)), columns: columns(&[5, 6]) }];
    let dry = repair_block(store, None, 1, true).unwrap().unwrap();
    assert_eq!((dry.looked_at, &dry.mended, &dry.lost), (2, &mended, &vec![]));
    assert_eq!(store.view().columns_held(1, BlobIndex(0)).unwrap().len(), 5);
    assert_eq!(repair_block(store, None, 1, false).unwrap().unwrap().mended, mended);
    assert_eq!(store.view().columns_held(1, BlobIndex(0)).unwrap().len(), 7);
    assert_eq!(repair_block(store, None, 1, false).unwrap().unwrap().mended, []);
    assert_eq!(repair_block(store, None, 7, false).unwrap(), None);
}

fn retention(store: &Store, network: &Arc<Network>, margin: usize, peers: usize) -> Retention {
    let config = RetentionConfig {
        window_blocks: 1,
        input_bytes_min: 10_000,
        policy: CustodyPolicy { margin, peers_per_column: peers },
        keep: columns(&[2, 9]),
    };
    Retention::with_random(store.clone(), network.clone(), config, StdRng::seed_from_u64(7))
}

#[test]
fn bodies_beyond_the_window_go_when_peers_keep_their_columns() {
    let folder = TempDir::new().unwrap();
    let (store, _, blocks) =
        full_store(folder.path(), &[&[5000], &[2 * CHUNK, 5000], &[100], &[CHUNK], &[CHUNK]], 1);
    let sources = TempDir::new().unwrap();
    let (network_store, _, _) =
        full_store(sources.path(), &[&[5000], &[2 * CHUNK, 5000], &[100], &[CHUNK], &[CHUNK]], 1);
    let network = Network::of(&network_store, &[&[0, 1, 2, 3, 4, 5], &[0, 1, 2, 3, 4, 5], &[5]]).shared();
    let worker = retention(&store, &network, 1, 2);
    assert_eq!(worker.step().unwrap(), RetentionStep::Idle, "nothing is final");
    store.set_forkchoice(None, Some(blocks[2].block.num_hash())).unwrap();

    let mut steps = Vec::new();
    while steps.last() != Some(&RetentionStep::Idle) {
        steps.push(worker.step().unwrap());
    }
    let done = |up_to, bodies, bytes| RetentionStep::Done { up_to, bodies, bytes };
    assert_eq!(steps, [done(1, 0, 0), done(2, 1, 2 * CHUNK as u64), done(3, 0, 0), RetentionStep::Idle]);
    let view = store.view();
    assert_eq!(view.stage_checkpoint(RETENTION).unwrap().unwrap().number, 3);
    assert_eq!(view.columns_held(2, BlobIndex(0)).unwrap(), columns(&[2, 9]));
    assert_eq!(view.columns_held(2, BlobIndex(1)).unwrap().len(), 7, "a small one stays");
    assert!(view.dispersed(2).unwrap().is_some() && view.dispersed(4).unwrap().is_none());
    drop(view);
    assert_eq!(weft_archive::verify_block(&store, 2).unwrap().unwrap().problems, []);
    assert!(repair_block(&store, None, 2, false).unwrap().unwrap().lost.is_empty());

    // What went comes back from those who attested it.
    let (tx, blob) = blocks[1].blobs().remove(0);
    let retriever = Retriever::new(store.clone()).with_peers(network.clone());
    assert_eq!(retriever.blob(tx, None, Source::Any).unwrap(), Some(blob));

    // An unwind above what is final leaves the checkpoint where it was.
    common::unwind(&store, 3);
    assert_eq!(store.view().stage_unwind_target(RETENTION).unwrap(), None);
    assert_eq!(worker.step().unwrap(), RetentionStep::Idle);
}

#[test]
fn without_enough_honest_peers_nothing_is_deleted() {
    let folder = TempDir::new().unwrap();
    let (store, _, blocks) = full_store(folder.path(), &[&[2 * CHUNK], &[100]], 1);
    store.set_forkchoice(None, Some(blocks[1].block.num_hash())).unwrap();
    let held: &[&[u16]] = &[&[0, 1, 2, 3, 4], &[0, 1, 2, 3, 4]];
    for fault in Fault::LIES.into_iter().chain([Fault::Silent]) {
        let mut network = Network::of(&store, held);
        network.peers[1].fault = fault;
        let network = network.shared();
        let step = retention(&store, &network, 1, 2).step().unwrap();
        assert!(matches!(step, RetentionStep::Waiting { block: 1, .. }), "{fault:?}: {step:?}");
        let failed = network.log.lock().failed.clone();
        assert_eq!(failed, [(vec![2; 38].into(), fault != Fault::Silent)], "{fault:?}");
    }
    // One column short, and one peer short.
    for (margin, peers) in [(2, 2), (1, 3)] {
        let network = Network::of(&store, held).shared();
        let step = retention(&store, &network, margin, peers).step().unwrap();
        assert!(matches!(step, RetentionStep::Waiting { block: 1, .. }), "{step:?}");
    }
    assert!(store.view().block(1).unwrap().is_some());
    assert_eq!(store.view().stage_checkpoint(RETENTION).unwrap(), None);
    let network = Network::of(&store, held).shared();
    let step = retention(&store, &network, 1, 2).step().unwrap();
    assert!(matches!(step, RetentionStep::Done { bodies: 1, .. }), "{step:?}");
}
