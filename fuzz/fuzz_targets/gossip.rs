//! Every gossiped message, and the checks that decide about its way.
#![no_main]

use alloy_eips::eip4895::Withdrawal;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use weft_fuzz::{BLOCK, DIGEST, Decoder, Family, SEALER, check_head, hash, signed_head};
use weft_p2p::{
    BlockAnnouncement, ColumnSegment, TxAnnouncement,
    gossip::{Announcements, SignedAnnouncement},
};
use weft_primitives::{Bytes, ColumnIndex};

static FAMILY: LazyLock<Family> = LazyLock::new(|| {
    Family(vec![
        Decoder::message([SIGNED.clone()], check_announcement),
        Decoder::message([signed_head()], |head| check_head(&head)),
        Decoder::message([announcements()], drop),
        Decoder::message(segments(), check_segment),
    ])
});

/// What the sealer has announced.
static SIGNED: LazyLock<SignedAnnouncement> = LazyLock::new(|| {
    let withdrawals = Some(vec![Withdrawal { amount: 4, ..Withdrawal::default() }]);
    let block = BlockAnnouncement::new(BLOCK.header.clone(), &[hash(1), hash(2)], withdrawals);
    SignedAnnouncement::sign(block, DIGEST, &SEALER).expect("an ed25519 key signs")
});

fn announcements() -> Announcements {
    let encoded = Bytes::from_static(b"a transaction");
    let large = TxAnnouncement { hash: hash(1), bytes: 1 << 20, tx_type: 2, inline: None };
    Announcements(vec![large, TxAnnouncement::new(hash(2), 0, &encoded)])
}

fn segments() -> impl Iterator<Item = ColumnSegment> {
    let ranges = [(0, 0..1), (6, 5..30), (2, 0..BLOCK.chunks())];
    ranges.into_iter().map(|(column, chunks)| {
        let range = BLOCK.range(ColumnIndex(column), chunks).expect("cells of the block");
        ColumnSegment::new(BLOCK.anchor.clone(), range)
    })
}

/// The sealer has signed one announcement.
fn check_announcement(signed: SignedAnnouncement) {
    if signed.signed_head.signer == SIGNED.signed_head.signer && signed.is_valid(DIGEST) {
        assert_eq!(signed, *SIGNED, "a forged announcement");
    }
}

/// A segment leads to the block that it names. Of the block that is known, it is what an honest peer sends.
fn check_segment(segment: ColumnSegment) {
    if let Ok(cells) = segment.verify()
        && segment.block_hash == BLOCK.hash()
    {
        assert_eq!(segment.anchor, BLOCK.anchor, "another preimage");
        BLOCK.check_range(&segment.range, &cells);
    }
}

fuzz_target!(init: FAMILY.plant("gossip"), |input: &[u8]| FAMILY.take(input));
