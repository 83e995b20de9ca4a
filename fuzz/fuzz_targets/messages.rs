//! Every request and answer between two peers, but the answers that prove themselves (`proofs`).
#![no_main]

use alloy_eips::eip4895::Withdrawal;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use weft_fuzz::{BLOCK, DIGEST, Decoder, Family, check_head, hash, signed_head};
use weft_p2p::{
    Answer, BodyPart, BodyRequest, CellsRequest, CommitmentRequest, Head, HeadersRequest, Refusal,
    RemoteStatus, Role,
    headers::HeadersResponse,
    status::{Goodbye, StatusMessage, StatusReply},
    transactions::{TransactionsRequest, TransactionsResponse},
};
use weft_primitives::{Address, ChunkIndex, ColumnIndex, Header};

static FAMILY: LazyLock<Family> = LazyLock::new(|| {
    let status = StatusReply::Status(Box::new(status()));
    let oldest = alloy_rlp::encode(Header::default());
    let headers = HeadersResponse(vec![BLOCK.anchor.header.clone(), oldest.into()]);
    Family(vec![
        Decoder::message([self::status()], check_status),
        Decoder::message(
            [Ok(status), Ok(StatusReply::Goodbye(Goodbye::OtherFork)), Err(Refusal::Busy)].map(Answer),
            |reply: Answer<StatusReply>| {
                if let Ok(StatusReply::Status(status)) = reply.0 {
                    check_status(*status);
                }
            },
        ),
        Decoder::message(
            [
                HeadersRequest { start: hash(1).into(), count: 1024, falling: true },
                HeadersRequest { start: 77.into(), count: 1, falling: false },
            ],
            drop,
        ),
        Decoder::message([Answer(Ok(headers))], check_headers),
        Decoder::message([BodyRequest::new(hash(1), 5)], drop),
        Decoder::message([Ok(body()), Err(Refusal::NotFound)].map(Answer), drop),
        Decoder::message(
            [CellsRequest { block: hash(1), column: ColumnIndex(10), first_chunk: ChunkIndex(4), count: 32 }],
            drop,
        ),
        Decoder::message([CommitmentRequest { block: hash(1) }], drop),
        Decoder::message([TransactionsRequest { hashes: vec![hash(1), hash(2)], max_bytes: 4 << 20 }], drop),
        Decoder::message([Answer(Ok(TransactionsResponse(body().transactions.to_vec())))], drop),
    ])
});

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

/// With a transaction that is long enough to be a piece of its own.
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

fn check_status(message: StatusMessage) {
    message.status.signed_head.iter().for_each(check_head);
}

/// A header has one form too: its hash is that of the bytes that came.
fn check_headers(answer: Answer<HeadersResponse>) {
    for rlp in answer.0.into_iter().flat_map(|headers| headers.0) {
        if let Ok(header) = alloy_rlp::decode_exact::<Header>(&rlp) {
            assert_eq!(alloy_rlp::encode(&header), rlp, "one form only");
        }
    }
}

fuzz_target!(init: FAMILY.plant("messages"), |input: &[u8]| FAMILY.take(input));
