//! Wire forms: vectors made with a Python RLP encoder written for this, and bytes of strangers.
//!
//! A change of a vector is a change of the protocol: raise the version in the protocol's name with it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use alloy_eips::{BlockHashOrNumber, eip4895::Withdrawal};
use libp2p::identity::Keypair;
use proptest::prelude::*;
use weft_erasure::{Anchor, RangeProof, sha256};
use weft_p2p::{
    BlockAnnouncement, BlockCommitment, BodyPart, BodyRequest, CellsRequest, CellsResponse, ColumnSegment,
    CommitmentRequest, ForkDigest, Head, HeadersRequest, PeerId, RemoteStatus, Role, SignedHead,
    TxAnnouncement,
    gossip::{Announcements, SignedAnnouncement},
    headers::HeadersResponse,
    status::{Goodbye, StatusMessage, StatusReply},
    transactions::{TransactionsRequest, TransactionsResponse},
    wire::{CELLS_BYTES_MAX, Wire, WireError},
};
use weft_primitives::{
    Address, B256, BlobRef, Bytes, ChunkIndex, ColumnIndex, Geometry, Header, SealedHeader,
};

const DIGEST: ForkDigest = ForkDigest([1, 2, 3, 4]);

fn hash(byte: u8) -> B256 {
    B256::repeat_byte(byte)
}

fn signed_head() -> SignedHead {
    let signer = [&[0, 0x24, 8, 1, 0x12, 0x20][..], &[0x5a; 32]].concat();
    SignedHead {
        head: Head { number: 300, hash: hash(2) },
        signer: PeerId::from_bytes(&signer).unwrap(),
        signature: vec![7; 64].into(),
    }
}

fn status() -> StatusMessage {
    StatusMessage {
        version: 1,
        genesis_hash: hash(0x11),
        fork_digest: DIGEST,
        status: RemoteStatus {
            role: Role::Da,
            custody_count: 4,
            head: Head { number: 300, hash: hash(2) },
            earliest_body: 10,
            earliest_columns: 20,
            signed_head: Some(signed_head()),
        },
    }
}

fn cells() -> CellsResponse {
    CellsResponse {
        anchor: Anchor {
            header: vec![0xc0].into(),
            version: 1,
            data_shards: 4,
            parity_shards: 7,
            chunk_bytes: 131_072,
            blob_count: 1,
            chunk_count: 2,
            blobs_root: hash(3),
        },
        range: RangeProof {
            column: 5,
            first_chunk: 1,
            cells: vec![vec![9; 64].into(), vec![8; 5000].into()],
            range_proof: vec![hash(4)],
            column_path: vec![hash(5), hash(6)],
        },
    }
}

fn body() -> BodyPart {
    let withdrawal =
        Withdrawal { index: 1, validator_index: 2, address: Address::repeat_byte(0x33), amount: 4 };
    BodyPart {
        first_tx: 1,
        transaction_count: 3,
        transactions: vec![vec![2; 100].into(), vec![1; 5000].into()],
        withdrawals: Some(vec![withdrawal]),
    }
}

fn announcements() -> Announcements {
    Announcements(vec![
        TxAnnouncement { hash: hash(1), bytes: 1 << 20, tx_type: 2, inline: None },
        TxAnnouncement { hash: hash(2), bytes: 3, tx_type: 0, inline: Some(Bytes::from_static(b"abc")) },
    ])
}

fn commitment() -> BlockCommitment {
    let blob = |byte, tx_index, length, first_chunk| BlobRef {
        tx_hash: hash(byte),
        tx_index,
        length,
        first_chunk: ChunkIndex(first_chunk),
    };
    BlockCommitment {
        geometry: Geometry::DEV,
        blobs: vec![blob(1, 0, 300_000, 0), blob(2, 7, 5000, 3)],
        column_roots: (0..11).map(hash).collect(),
    }
}

fn block() -> SignedAnnouncement {
    let header = SealedHeader::seal_slow(Header { number: 9, ..Header::default() });
    let block = BlockAnnouncement::new(header, &[hash(1), hash(2)], Some(Vec::new()));
    SignedAnnouncement::sign(block, DIGEST, &Keypair::ed25519_from_bytes([0x42; 32]).unwrap()).unwrap()
}

/// Compares with a vector and reads it back; every prefix and everything longer is refused.
#[track_caller]
fn check<T: Wire + PartialEq + std::fmt::Debug>(value: T, length: usize, expected: &str) {
    let bytes = bytes::Bytes::from(value.to_frame().to_vec());
    assert_eq!((bytes.len(), sha256(&bytes).to_string()), (length, format!("0x{expected}")));
    assert!(bytes.len() <= T::BYTES_MAX);
    assert_eq!(T::from_frame(&bytes).unwrap(), value);
    for end in (0..bytes.len()).filter(|end| end % 97 == 0 || *end + 10 > bytes.len()) {
        assert!(T::from_frame(&bytes.slice(..end)).is_err(), "a prefix of {end} bytes");
    }
    let longer = [&bytes[..], &[0x80]].concat();
    assert!(T::from_frame(&longer.into()).is_err(), "a byte after the end");
    let giant = vec![0xc0; T::BYTES_MAX + 1];
    assert!(matches!(T::from_frame(&giant.into()), Err(WireError::TooLong { .. })));
}

#[test]
fn vectors() {
    check(signed_head(), 143, "7ac749d3d8952f16c49fe3f7eaec0b7da184e71c2be419bed44db340644f0231");
    check(status(), 226, "ecdf4b668408d9713c2a923491ac6b3988db31dc647033e133a54a5330ba3e48");
    let reply = StatusReply::Status(Box::new(status()));
    check(reply, 229, "ca7573b8bfd2d5e1c41476dc8b77e41f4bbecaeef0cead0ca992de810297551d");
    let goodbye = StatusReply::Goodbye(Goodbye::OtherGenesis);
    check(goodbye, 3, "feb834d767dd4813877a6d2a4f835cc1504e5a8a935d2e3e0006323b70e70b68");
    let request = HeadersRequest { start: BlockHashOrNumber::Hash(hash(1)), count: 1024, falling: true };
    check(request, 38, "99a323df7dd45998324353146771d6e7f06e74a36727014615c00809270b55f0");
    let request = HeadersRequest { start: BlockHashOrNumber::Number(77), count: 1, falling: false };
    check(request, 4, "e1830dad0b563897972d44eaa76295039d2921e9e0bfd7bbf115cc6fcf5f8c54");
    let headers = HeadersResponse(vec![vec![0xc2, 1, 2].into(), vec![0xc1, 3].into()]);
    check(headers, 6, "bc1d7b56d13e5695ae426ba26720f246e291f1c784e6723868e3bc7a66af9bdc");
    let request = BodyRequest::new(hash(1), 5);
    check(request, 39, "73fc610bb0f7fdf8cec384244c9b8a23337e776ec80b2565187202d6649012f2");
    check(body(), 5140, "d7a8d8d522d3f7df3b12376b2529003e60b8c1547658a2e566b81657668d5a8f");
    check(BodyPart::default(), 5, "8a75e821f1d7550c3d5d84e61a9358d7ca29435fb008ee3e6615cb048f8fc7ac");
    let request =
        CellsRequest { block: hash(1), column: ColumnIndex(10), first_chunk: ChunkIndex(4), count: 32 };
    check(request, 37, "7cde90c9599494e9a62988e899f2314fb9af817147652b44fc408b4144a6e12c");
    check(cells(), 5227, "f5128837957602b8fc1e2611ca0a2e47504a0f1b805ba0c81f5fd3eb0604f503");
    let CellsResponse { anchor, range } = cells();
    let segment = ColumnSegment::new(anchor, range);
    check(segment, 5227, "f5128837957602b8fc1e2611ca0a2e47504a0f1b805ba0c81f5fd3eb0604f503");
    let request = TransactionsRequest { hashes: vec![hash(1), hash(2)], max_bytes: 4 << 20 };
    check(request, 74, "5d5cda72c69f32754a7817ac447c8d49f37930f992a8d5eb022fd5f807d1303a");
    let transactions = TransactionsResponse(vec![vec![2; 4096].into(), vec![0x7f].into()]);
    check(transactions, 4103, "bd0d578a049e4b5f806ab7b4a018259662b2bcfcbaad7668ea08b81b698eb807");
    let request = CommitmentRequest { block: hash(1) };
    check(request, 34, "122881c69bb84e33c9e8c5f16ff30f4de2f00d54ec7b5eb2b592c59439312a3f");
    check(commitment(), 457, "26741b1881d388d1bd2b267f0e7e3d6912ff5a4591d3b4cc7b616ec773ecbb1e");
    check(announcements(), 83, "46ff02339e6cecf0f0768e2539e5cd9f617fbe747ed4c0727d5f7bf93e881529");
}

#[test]
fn announcements_of_blocks_are_signed_in_all_their_parts() {
    let signed = block();
    let bytes = bytes::Bytes::from(signed.to_frame().to_vec());
    assert_eq!(SignedAnnouncement::from_frame(&bytes).unwrap(), signed);
    assert!(signed.is_valid(DIGEST) && !signed.is_valid(ForkDigest([4, 3, 2, 1])));
    let mut other = signed.clone();
    other.announcement.transactions[1] = hash(3);
    assert!(!other.is_valid(DIGEST), "another transaction");
    let mut other = signed.clone();
    other.announcement.withdrawals = None;
    assert!(!other.is_valid(DIGEST), "without withdrawals");
    let mut other = signed.clone();
    other.announcement.header = SealedHeader::seal_slow(Header { number: 10, ..Header::default() });
    assert!(!other.is_valid(DIGEST), "another header");
    let mut other = signed;
    other.signed_head = signed_head();
    assert!(!other.is_valid(DIGEST), "another signer");
    // More transactions than there is room for: the count says so.
    let header = SealedHeader::seal_slow(Header::default());
    let many = BlockAnnouncement::new(header, &vec![hash(1); 20_000], None);
    let bytes = bytes::Bytes::from(many.to_frame().to_vec());
    let read = BlockAnnouncement::from_frame(&bytes).unwrap();
    assert_eq!((read.transaction_count, read.transactions.len()), (20_000, 16_384));
}

#[test]
fn fields_out_of_range_are_refused() {
    fn refused<T: Wire>(value: &T) {
        assert!(T::from_frame(&value.to_frame().to_vec().into()).is_err());
    }
    refused(&HeadersRequest { start: 0.into(), count: 0, falling: false });
    refused(&HeadersRequest { start: 0.into(), count: 1025, falling: false });
    refused(&BodyRequest { max_bytes: (4 << 20) + 1, ..BodyRequest::new(hash(1), 0) });
    refused(&BodyPart { transaction_count: 2, ..body() });
    refused(&CellsRequest { block: hash(1), column: ColumnIndex(0), first_chunk: ChunkIndex(0), count: 0 });
    refused(&TransactionsRequest { hashes: vec![], max_bytes: 1 });
    refused(&TransactionsRequest { hashes: vec![hash(1); 257], max_bytes: 1 });
    refused(&Announcements(vec![]));
    refused(&Announcements(vec![TxAnnouncement { bytes: 4, ..announcements().0[1].clone() }]));
    refused(&Announcements(vec![TxAnnouncement { bytes: (16 << 20) + 1, ..announcements().0[0].clone() }]));
    refused(&SignedHead { signature: vec![7; 63].into(), ..signed_head() });
    let mut long = cells();
    long.range.range_proof = vec![hash(1); 65];
    refused(&long);
    let mut long = cells();
    long.range.cells = vec![vec![0; CELLS_BYTES_MAX / 2 + 1].into(); 2];
    refused(&long);
    let mut long = cells();
    long.anchor.header = vec![0; 2049].into();
    refused(&long);
}

#[test]
fn large_payloads_are_neither_copied_in_nor_out() {
    let part = body();
    let frame = part.to_frame();
    let shared = |piece: &bytes::Bytes| piece.as_ptr() == part.transactions[1].as_ptr();
    assert!(frame.pieces().iter().any(shared), "written as it is");
    let bytes = bytes::Bytes::from(frame.to_vec());
    let read = BodyPart::from_frame(&bytes).unwrap();
    assert!(bytes.as_ptr_range().contains(&read.transactions[1].as_ptr()), "a slice of the frame");
}

/// Reads anything as everything; what is read must be written as it was.
fn read_all(bytes: &[u8]) {
    fn read<T: Wire>(bytes: &[u8]) {
        if let Ok(value) = T::from_frame(&bytes.to_vec().into()) {
            assert_eq!(value.to_frame().to_vec(), bytes, "one form only");
        }
    }
    read::<StatusMessage>(bytes);
    read::<StatusReply>(bytes);
    read::<SignedHead>(bytes);
    read::<HeadersRequest>(bytes);
    read::<HeadersResponse>(bytes);
    read::<BodyRequest>(bytes);
    read::<BodyPart>(bytes);
    read::<CellsRequest>(bytes);
    read::<CellsResponse>(bytes);
    read::<CommitmentRequest>(bytes);
    read::<BlockCommitment>(bytes);
    read::<TransactionsRequest>(bytes);
    read::<TransactionsResponse>(bytes);
    read::<Announcements>(bytes);
    read::<ColumnSegment>(bytes);
    read::<SignedAnnouncement>(bytes);
}

fn samples() -> Vec<Vec<u8>> {
    vec![
        status().to_frame().to_vec(),
        StatusReply::Status(Box::new(status())).to_frame().to_vec(),
        signed_head().to_frame().to_vec(),
        HeadersRequest { start: hash(1).into(), count: 3, falling: true }.to_frame().to_vec(),
        BodyRequest::new(hash(1), 5).to_frame().to_vec(),
        BodyPart { transactions: vec![vec![2; 40].into(); 2], ..body() }.to_frame().to_vec(),
        cells().to_frame().to_vec(),
        commitment().to_frame().to_vec(),
        TransactionsRequest { hashes: vec![hash(1)], max_bytes: 9 }.to_frame().to_vec(),
        announcements().to_frame().to_vec(),
        block().to_frame().to_vec(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        read_all(&bytes);
    }

    #[test]
    fn damaged_messages_are_read_or_refused(
        which in 0..11_usize,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = samples().swap_remove(which);
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read_all(&bytes);
    }

    #[test]
    fn bodies_come_back(
        sizes in proptest::collection::vec(0..9000_usize, 0..20),
        first_tx in 0..1000_u32,
        withdrawals in any::<bool>(),
    ) {
        let part = BodyPart {
            first_tx,
            transaction_count: first_tx + sizes.len() as u32,
            transactions: sizes.iter().map(|size| vec![*size as u8; *size].into()).collect(),
            withdrawals: withdrawals.then(Vec::new),
        };
        let bytes = bytes::Bytes::from(part.to_frame().to_vec());
        prop_assert_eq!(BodyPart::from_frame(&bytes).unwrap(), part);
    }
}
