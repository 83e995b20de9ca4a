//! Every codec: what was put in comes out; any bytes give a value or an error.

use super::*;
use crate::{StoredBodyMeta, TxPosition};
use alloy_consensus::{Eip658Value, SignableTransaction, TxEip1559, TxLegacy, TxType};
use alloy_eips::{
    eip2718::Encodable2718,
    eip4895::{Withdrawal, Withdrawals},
};
use alloy_primitives::{Bytes, Log, Signature, U256};
use alloy_trie::{BranchNodeCompact, TrieMask};
use proptest::prelude::*;
use std::fmt::Debug;
use weft_erasure::{HeldColumn, Preimage, SparseTree};
use weft_primitives::{
    BlobRef, ChunkIndex, ColumnIndex, DaSummary, Geometry, Header, Receipt, SealedHeader, StoredAccount,
    Transaction,
};

fn hash() -> impl Strategy<Value = B256> {
    any::<[u8; 32]>().prop_map(B256::new)
}

fn word() -> impl Strategy<Value = U256> {
    (any::<[u8; 32]>(), 0usize..=256)
        .prop_map(|(bytes, shift)| U256::from_be_bytes(bytes).checked_shr(shift).unwrap_or_default())
}

fn account() -> impl Strategy<Value = StoredAccount> {
    let default = StoredAccount::default();
    let root = prop_oneof![Just(default.storage_root), hash()];
    let code = prop_oneof![Just(default.code_hash), hash()];
    (any::<u64>(), word(), root, code).prop_map(|(nonce, balance, storage_root, code_hash)| StoredAccount {
        nonce,
        balance,
        storage_root,
        code_hash,
    })
}

fn log() -> impl Strategy<Value = Log> {
    (any::<[u8; 20]>(), prop::collection::vec(hash(), 0..=4), prop::collection::vec(any::<u8>(), 0..100))
        .prop_map(|(address, topics, data)| Log::new_unchecked(address.into(), topics, data.into()))
}

fn receipt() -> impl Strategy<Value = Receipt> {
    let outcome = prop_oneof![any::<bool>().prop_map(Eip658Value::from), hash().prop_map(Eip658Value::from)];
    (0u8..=4, outcome, any::<u64>(), prop::collection::vec(log(), 0..4)).prop_map(
        |(tx_type, outcome, cumulative_gas_used, logs)| Receipt {
            tx_type: tx_type.try_into().unwrap(),
            outcome,
            cumulative_gas_used,
            logs,
        },
    )
}

fn branch() -> impl Strategy<Value = BranchNodeCompact> {
    (any::<u16>(), any::<u16>(), any::<u16>(), prop::collection::vec(hash(), 16), prop::option::of(hash()))
        .prop_map(|(state, tree, hash_mask, mut hashes, root)| {
            let hash_mask = hash_mask & state;
            hashes.truncate(hash_mask.count_ones() as usize);
            BranchNodeCompact::new(
                TrieMask::new(state),
                TrieMask::new(tree & state),
                TrieMask::new(hash_mask),
                hashes,
                root,
            )
        })
}

fn keys(max: usize) -> impl Strategy<Value = Vec<B256>> {
    prop::collection::vec(hash(), 0..max)
}

fn change_set() -> impl Strategy<Value = ChangeSet> {
    let storage = (hash(), keys(5)).prop_map(|(account, slots)| ChangedStorage { account, slots });
    (keys(5), prop::collection::vec(storage, 0..4))
        .prop_map(|(accounts, storages)| ChangeSet { accounts, storages })
}

fn summary() -> impl Strategy<Value = DaSummary> {
    let blob =
        (hash(), any::<u32>(), any::<u64>(), any::<u32>()).prop_map(|(tx_hash, tx_index, length, first)| {
            BlobRef { tx_hash, tx_index, length, first_chunk: ChunkIndex(first) }
        });
    let geometry = (1u16..=128, 1u16..=128, 1u32..64)
        .prop_map(|(k, m, units)| Geometry::new(1, k, m, 64 * u32::from(k) * units).unwrap());
    (geometry, prop::collection::vec(blob, 0..4), any::<u32>(), [hash(), hash(), hash()], keys(12)).prop_map(
        |(geometry, blobs, chunk_count, [blobs_root, columns_root, da_root], column_roots)| DaSummary {
            geometry,
            blobs,
            chunk_count,
            blobs_root,
            columns_root,
            column_roots,
            da_root,
        },
    )
}

/// Pieces of a column's tree, put together.
fn column_record() -> impl Strategy<Value = ColumnRecord> {
    let range = (0usize..40, 1usize..20).prop_map(|(start, length)| start..(start + length).min(40));
    (prop::collection::vec(range, 1..5), any::<u32>(), hash(), any::<u16>(), keys(8), any::<u64>()).prop_map(
        |(ranges, blob_count, blobs_root, column, column_path, bytes)| {
            let all: Vec<B256> = (0..40).map(B256::with_last_byte).collect();
            let pieces = ranges.into_iter().map(|range| {
                let proof = weft_erasure::merkle::range_proof(&all, range.clone()).unwrap();
                SparseTree::of_range(all[range.clone()].to_vec(), range.start, 40, &proof).unwrap()
            });
            let tree = pieces.reduce(|tree, piece| tree.merge(&piece)).unwrap();
            let preimage = Preimage { geometry: Geometry::DEV, blob_count, chunk_count: 40, blobs_root };
            let held = HeldColumn { preimage, column: ColumnIndex(column), column_path, tree };
            ColumnRecord { held, bytes }
        },
    )
}

/// What `value` becomes on disk decodes to itself, and no shorter or longer record does.
fn round_trip<V: Value + PartialEq + Debug>(value: V) -> Result<(), TestCaseError> {
    let bytes = value.to_bytes();
    prop_assert_eq!(V::decode(&bytes), Ok(value));
    Ok(())
}

/// Bytes either do not decode, or are the encoding of what they decode to: no two records mean the same.
fn canonical<V: Value>(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(value) = V::decode(bytes) {
        prop_assert_eq!(value.to_bytes(), bytes);
    }
    Ok(())
}

fn transaction(typed: bool, input: Bytes) -> Transaction {
    let signature = Signature::test_signature();
    if typed {
        TxEip1559 { chain_id: 7, nonce: 3, gas_limit: 21_000, input, ..Default::default() }
            .into_signed(signature)
            .into()
    } else {
        TxLegacy { chain_id: Some(7), nonce: 3, gas_limit: 21_000, input, ..Default::default() }
            .into_signed(signature)
            .into()
    }
}

proptest! {
    #[test]
    fn accounts(value in account()) { round_trip(value)?; }

    #[test]
    fn previous_accounts(value in prop::option::of(account())) { round_trip(Previous(value))?; }

    #[test]
    fn slots(value in word()) { round_trip(SlotValue(value))?; }

    #[test]
    fn receipts(value in prop::collection::vec(receipt(), 0..4)) { round_trip(value)?; }

    #[test]
    fn branches(value in branch()) { round_trip(value)?; }

    #[test]
    fn change_sets(value in change_set()) { round_trip(value)?; }

    #[test]
    fn summaries(value in summary()) { round_trip(value)?; }

    #[test]
    fn senders(value in prop::collection::vec((hash(), any::<[u8; 20]>()), 0..5)) {
        let value: Vec<_> = value.into_iter().map(|(hash, sender)| (hash, sender.into())).collect();
        let bytes = SenderRecord(value.clone()).to_bytes();
        for (index, pair) in value.iter().enumerate() {
            prop_assert_eq!(SenderRecord::nth(&bytes, index), Ok(Some(*pair)));
        }
        prop_assert_eq!(SenderRecord::nth(&bytes, value.len()), Ok(None));
        round_trip(SenderRecord(value))?;
    }

    #[test]
    fn small_records(number in any::<u64>(), index in any::<u32>(), hash in hash(), unwind_to in any::<Option<u64>>()) {
        round_trip(number)?;
        round_trip(TxPosition { block: number, index })?;
        round_trip(BlockNumHash { number, hash })?;
        round_trip(StageRecord { checkpoint: BlockNumHash { number, hash }, unwind_to })?;
    }

    #[test]
    fn bitmaps(columns in prop::collection::btree_set(0u16..256, 0..20), out in 256u16..) {
        let mut bitmap = ColumnBitmap::default();
        for column in &columns {
            bitmap.insert(ColumnIndex(*column));
        }
        bitmap.insert(ColumnIndex(out));
        prop_assert_eq!(bitmap.count(), columns.len());
        prop_assert_eq!(bitmap.columns(), columns.into_iter().map(ColumnIndex).collect::<Vec<_>>());
        round_trip(bitmap)?;
    }

    #[test]
    fn varints(value in any::<u64>(), shift in 0u32..64) {
        let value = value >> shift;
        let mut bytes = Vec::new();
        put_varint(&mut bytes, value);
        let mut reader = Reader(&bytes);
        prop_assert_eq!(reader.varint(), Ok(value));
        prop_assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        canonical::<StoredAccount>(&bytes)?;
        canonical::<Previous>(&bytes)?;
        canonical::<SlotValue>(&bytes)?;
        canonical::<Vec<Receipt>>(&bytes)?;
        canonical::<BranchNodeCompact>(&bytes)?;
        canonical::<ChangeSet>(&bytes)?;
        canonical::<DaSummary>(&bytes)?;
        canonical::<ColumnRecord>(&bytes)?;
        canonical::<DispersedRecord>(&bytes)?;
        canonical::<ColumnTotals>(&bytes)?;
        canonical::<SenderRecord>(&bytes)?;
        canonical::<StageRecord>(&bytes)?;
        canonical::<TxPosition>(&bytes)?;
        canonical::<BlockNumHash>(&bytes)?;
        canonical::<u64>(&bytes)?;
        let _ = ColumnBitmap::decode(&bytes);
        let _ = HeaderRecord::decode(&bytes);
        let _ = StoredBodyMeta::decode(&bytes);
        let _ = Stub::decode(&bytes);
        let _ = decode_transaction(&bytes, B256::ZERO);
    }

    #[test]
    fn damaged_records_decode_or_are_refused(
        (receipts, branch, summary) in (prop::collection::vec(receipt(), 0..3), branch(), summary()),
        changes in change_set(),
        column in column_record(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        fn damage<V: Value>(value: &V, at: prop::sample::Index, byte: u8, cut: prop::sample::Index) -> Result<(), TestCaseError> {
            let mut bytes = value.to_bytes();
            canonical::<V>(&bytes[..cut.index(bytes.len() + 1)])?;
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] ^= byte;
            }
            canonical::<V>(&bytes)
        }
        damage(&receipts, at, byte, cut)?;
        damage(&branch, at, byte, cut)?;
        damage(&summary, at, byte, cut)?;
        damage(&changes, at, byte, cut)?;
        damage(&column, at, byte, cut)?;
    }

    #[test]
    fn columns_of_a_database_without_bodies(
        column in column_record(),
        block in hash(),
        peers in prop::collection::vec((any::<u16>(), any::<u32>()), 0..5),
        (first, bytes) in (any::<u64>(), any::<u64>()),
    ) {
        round_trip(column)?;
        let columns = peers.into_iter().map(|(column, peers)| (ColumnIndex(column), peers)).collect();
        round_trip(DispersedRecord { hash: block, columns })?;
        round_trip(ColumnTotals { first, bytes })?;
    }

    #[test]
    fn transactions_keep_their_hash_without_their_input(typed in any::<bool>(), input in prop::collection::vec(any::<u8>(), 0..200)) {
        let input = Bytes::from(input);
        let tx = transaction(typed, input.clone());
        let hash = *tx.tx_hash();
        let decoded = decode_transaction(&tx.encoded_2718(), hash).unwrap();
        prop_assert_eq!(&decoded, &tx);

        let stub = Stub { tx: with_input(tx.clone(), hash, Bytes::new()), input_bytes: input.len() as u64 };
        let stub = Stub::decode(&stub.to_bytes()).unwrap();
        prop_assert_eq!(stub.input_bytes, input.len() as u64);
        let whole = with_input(stub.tx, hash, input);
        prop_assert_eq!(whole.encoded_2718(), tx.encoded_2718());
        prop_assert_eq!(whole.tx_hash(), &hash);
    }
}

#[test]
fn body_metas_and_headers() {
    let withdrawal = Withdrawal { index: 1, validator_index: 2, address: Address::repeat_byte(3), amount: 4 };
    for withdrawals in [None, Some(Withdrawals::default()), Some(Withdrawals::new(vec![withdrawal]))] {
        for ommers in [vec![], vec![Header::default(), Header { number: 5, ..Header::default() }]] {
            let meta = StoredBodyMeta {
                tx_count: 9,
                transactions_rlp_bytes: 1 << 40,
                ommers,
                withdrawals: withdrawals.clone(),
            };
            assert_eq!(StoredBodyMeta::decode(&meta.to_bytes()), Ok(meta));
        }
    }
    let header =
        SealedHeader::seal_slow(Header { number: 77, extra_data: vec![7; 32].into(), ..Header::default() });
    let bytes = HeaderRecord(header.clone()).to_bytes();
    assert_eq!(HeaderRecord::hash(&bytes), Ok(header.hash()));
    assert_eq!(HeaderRecord::decode(&bytes).unwrap().0, header);
}

#[test]
fn a_plain_account_is_small() {
    let account = StoredAccount { nonce: 5, balance: U256::from(10u64.pow(18)), ..StoredAccount::default() };
    assert_eq!(account.to_bytes().len(), 10);
}

/// The bytes themselves: whoever changes them raises the schema version.
#[test]
fn receipts_on_disk() {
    let log =
        Log::new_unchecked(Address::repeat_byte(0xaa), vec![B256::repeat_byte(0xbb)], vec![1, 2].into());
    let receipts = |outcome: Eip658Value| {
        vec![Receipt { tx_type: TxType::Eip1559, outcome, cumulative_gas_used: 300, logs: vec![log.clone()] }]
    };
    let rest = [&[0xac, 0x02, 1][..], &[0xaa; 20], &[1], &[0xbb; 32], &[2, 1, 2]].concat();
    let bytes = |head: &[u8]| [&[1], head, &rest].concat();
    assert_eq!(receipts(true.into()).to_bytes(), bytes(&[0x82]));
    assert_eq!(receipts(false.into()).to_bytes(), bytes(&[0x02]));
    let root = B256::repeat_byte(0xcc);
    let head = [&[0x42][..], root.as_slice()].concat();
    assert_eq!(receipts(root.into()).to_bytes(), bytes(&head), "before Byzantium");
    let both = Vec::<Receipt>::decode(&bytes(&[&[0xc2][..], root.as_slice()].concat()));
    assert_eq!(both, Err(Malformed("a receipt with both status and state root")));
}

/// As above.
#[test]
fn columns_on_disk() {
    let all: Vec<B256> = (1..=3).map(B256::repeat_byte).collect();
    let proof = weft_erasure::merkle::range_proof(&all, 1..2).unwrap();
    let tree = SparseTree::of_range(vec![all[1]], 1, 3, &proof).unwrap();
    let blobs_root = B256::repeat_byte(0xbb);
    let preimage = Preimage { geometry: Geometry::DEV, blob_count: 2, chunk_count: 3, blobs_root };
    let held = HeldColumn { preimage, column: ColumnIndex(9), column_path: vec![B256::ZERO], tree };
    let expected = [
        &[0, 1, 0, 4, 0, 7, 0, 2, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3][..],
        &[0xbb; 32],
        &[0, 9, 0, 0, 0, 0, 0, 0, 1, 0],
        &[1, 1, 1],
        &[1],
        &[0; 32],
        &[1],
        &[2; 32],
        &[2],
        &[1; 32],
        &[3; 32],
    ];
    assert_eq!(ColumnRecord { held, bytes: 256 }.to_bytes(), expected.concat());
    let dispersed =
        DispersedRecord { hash: blobs_root, columns: vec![(ColumnIndex(3), 300), (ColumnIndex(4), 1)] };
    assert_eq!(dispersed.to_bytes(), [&[0xbb; 32][..], &[2, 0, 3, 0xac, 2, 0, 4, 1]].concat());
    let totals = ColumnTotals { first: 7, bytes: 258 };
    assert_eq!(totals.to_bytes(), [0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 1, 2]);
}

#[test]
fn a_corrupt_count_reserves_nothing() {
    let mut bytes = Vec::new();
    put_varint(&mut bytes, u64::MAX);
    bytes.extend_from_slice(&[0; 64]);
    assert_eq!(Vec::<Receipt>::decode(&bytes), Err(Malformed("count exceeds the record")));
    assert_eq!(ChangeSet::decode(&bytes), Err(Malformed("count exceeds the record")));
}
