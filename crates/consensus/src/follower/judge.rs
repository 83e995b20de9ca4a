//! What is done with an announced block, by its header alone: fast enough that spreading does not wait for execution.
//!
//! Lies that are possible here: a header that no sealer signed (the network refuses it, and so does this), one whose
//! withdrawals or count of transactions are not its own, one that breaks a rule against its parent. Whether the
//! transactions are the header's shows when they are had. A header whose parent is not known yet is passed on for the
//! sealer's signature: a node that catches up must not be a wall.

use alloy_consensus::EMPTY_ROOT_HASH;
use weft_chainspec::ChainSpec;
use weft_evm::rules;
use weft_p2p::{BlockAnnouncement, Offence, PeerId};
use weft_primitives::SealedHeader;

use crate::body::has_withdrawals;

/// What becomes of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Passed on and followed.
    Follow,
    /// Passed on; it is ours already.
    Known,
    /// Not passed on: it is on another branch than ours, or breaks a rule that not everybody can see.
    Ignore(&'static str),
    /// Not passed on, and whoever passed it to us should have seen that.
    Reject(Offence),
}

/// Judges a block. `parent` finds its parent's header among what is queued.
pub(crate) fn judge<'a>(
    spec: &ChainSpec,
    head: &'a SealedHeader,
    announcement: &BlockAnnouncement,
    author: Option<PeerId>,
    parent: impl Fn() -> Option<&'a SealedHeader>,
) -> Judgement {
    let header = &announcement.header;
    if author.is_none() {
        return Judgement::Reject(Offence::StrangersBlock);
    }
    let is_empty = header.transactions_root == EMPTY_ROOT_HASH;
    if is_empty != (announcement.transaction_count == 0)
        || !has_withdrawals(header, announcement.withdrawals.as_ref())
    {
        return Judgement::Reject(Offence::BadBlock);
    }
    if header.hash() == head.hash() {
        return Judgement::Known;
    }
    if header.number <= head.number {
        return Judgement::Ignore("not above our head");
    }
    let parent = if header.parent_hash == head.hash() { Some(head) } else { parent() };
    match parent.map(|parent| rules::check_header(spec, header, parent)) {
        // A peer that did not know the parent could not see it: nobody is blamed but the sealer, in the log.
        Some(Err(_)) => Judgement::Ignore("breaks a rule of headers"),
        None if header.number == head.number + 1 => {
            Judgement::Ignore("builds on another block than our head")
        }
        Some(Ok(())) | None => Judgement::Follow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{B256, Bytes};
    use weft_primitives::Header;

    fn child(spec: &ChainSpec, parent: &SealedHeader, change: impl FnOnce(&mut Header)) -> BlockAnnouncement {
        let mut header = Header {
            parent_hash: parent.hash(),
            number: parent.number + 1,
            timestamp: parent.timestamp + 1,
            gas_limit: parent.gas_limit,
            base_fee_per_gas: spec.next_base_fee(parent),
            extra_data: Bytes::from_static(&[7; 32]),
            withdrawals_root: Some(EMPTY_ROOT_HASH),
            parent_beacon_block_root: Some(B256::ZERO),
            requests_hash: Some(B256::ZERO),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            ..Default::default()
        };
        change(&mut header);
        let with = header.withdrawals_root.map(|_| Vec::new());
        BlockAnnouncement::new(SealedHeader::seal_slow(header), &[], with)
    }

    #[test]
    fn what_no_honest_node_says_is_rejected_and_what_it_cannot_know_is_not() {
        let spec = ChainSpec::dev();
        let head = spec.genesis_header().clone();
        let sealer = Some(PeerId::random());
        let judged = |block: &BlockAnnouncement, author| judge(&spec, &head, block, author, || None);
        let good = child(&spec, &head, |_| {});
        assert_eq!(judged(&good, sealer), Judgement::Follow);
        assert_eq!(judged(&good, None), Judgement::Reject(Offence::StrangersBlock));

        let reject = Judgement::Reject(Offence::BadBlock);
        let mut counted = good.clone();
        counted.transaction_count = 1;
        assert_eq!(judged(&counted, sealer), reject, "transactions under an empty root");
        let mut paid = good.clone();
        paid.withdrawals = None;
        assert_eq!(judged(&paid, sealer), reject, "no withdrawals under a root of them");
        let full = child(&spec, &head, |header| header.transactions_root = B256::ZERO);
        assert_eq!(judged(&full, sealer), reject, "no transactions under a root of some");

        let late = child(&spec, &head, |header| header.timestamp = head.timestamp);
        assert!(matches!(judged(&late, sealer), Judgement::Ignore(_)), "not after its parent");
        let other = child(&spec, &head, |header| header.parent_hash = B256::ZERO);
        assert!(matches!(judged(&other, sealer), Judgement::Ignore(_)), "a fork of our head");
        let ahead = child(&spec, &head, |header| header.number = 9);
        assert!(
            matches!(judged(&ahead, sealer), Judgement::Ignore(_)),
            "a number that is not its parent's plus 1"
        );
        let gap = child(&spec, &good.header, |_| {});
        assert_eq!(judged(&gap, sealer), Judgement::Follow, "its parent is not known yet");
        let known = judge(&spec, &head, &gap, sealer, || Some(&good.header));
        assert_eq!(known, Judgement::Follow, "its parent is queued");
    }

    #[test]
    fn what_we_have_is_passed_on_and_what_is_behind_us_is_not() {
        let spec = ChainSpec::dev();
        let genesis = spec.genesis_header().clone();
        let sealer = Some(PeerId::random());
        let head = child(&spec, &genesis, |_| {});
        let other = child(&spec, &genesis, |header| header.timestamp += 1);
        assert_eq!(judge(&spec, &head.header, &head, sealer, || None), Judgement::Known);
        assert!(matches!(judge(&spec, &head.header, &other, sealer, || None), Judgement::Ignore(_)));
    }
}
