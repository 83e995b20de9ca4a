//! The way from a signed head down to our chain.
//!
//! The range is cut into segments, which are asked for by number from several peers at once. A segment's headers link among
//! themselves, or it is refused; from the top, whose last hash the sealer signed, each segment must end with the parent of
//! the one above, which pins the hash of its last block. One that does not is asked for again, by that hash. When the lowest
//! one links to our block, every hash in between is the sealer's.
//!
//! Headers of the lowest segments are kept, of those above only the last hash: they are fetched again, by that hash, when
//! their turn comes near.

use super::{Progress, SyncConfig, SyncError};
use crate::{
    ask::{Asker, Fault},
    body::may_have,
    network::{PeerTable, Peers},
};
use alloy_primitives::{B256, Bytes};
use futures::{StreamExt, stream};
use std::collections::VecDeque;
use weft_p2p::{Head, HeadersRequest, Offence, PeerId, RemoteStatus, Role};
use weft_primitives::{BlockNumHash, Header, SealedHeader};

/// Consecutive blocks whose last hash is the sealer's.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) first: u64,
    pub(crate) last: BlockNumHash,
    /// Lowest first.
    pub(crate) headers: Option<Vec<SealedHeader>>,
}

/// What finds the way works with; of a sync that executes, or of one that only keeps headers.
#[derive(Debug)]
pub(crate) struct Links<'a, N> {
    pub(crate) asker: &'a Asker<N>,
    pub(crate) config: &'a SyncConfig,
    pub(crate) progress: &'a Progress,
}

impl<N: Peers> Links<'_, N> {
    /// Segments from the child of `base` to `target`, lowest first.
    pub(crate) async fn segments(
        &self,
        base: BlockNumHash,
        target: Head,
    ) -> Result<VecDeque<Segment>, SyncError> {
        let ranges = ranges(base.number + 1, target.number, u64::from(self.config.segment));
        let top = Some(target.hash);
        let last = ranges.len() - 1;
        let fetches = ranges.into_iter().enumerate().rev().map(|(index, (first, number))| async move {
            // The hash of the last block of all is known; the others are only numbers yet.
            let hash = if index == last { top } else { None };
            let (peer, headers) = self.range(first, number, hash).await?;
            Ok::<_, SyncError>((first, number, peer, headers))
        });
        let mut fetches = stream::iter(fetches).buffered(self.config.headers_ahead.max(1));
        let mut segments = VecDeque::new();
        let mut expected = target.hash;
        while let Some(fetched) = fetches.next().await {
            let (first, number, peer, mut headers) = fetched?;
            if last_hash(&headers) != Some(expected) {
                self.asker.blame(peer, Offence::BadHeader, "headers of another chain").await;
                headers = self.range(first, number, Some(expected)).await?.1;
            }
            let parent = headers.first().map_or(B256::ZERO, |header| header.parent_hash);
            self.progress.headers(headers.len() as u64, self.peers());
            let last = BlockNumHash::new(number, expected);
            segments.push_front(Segment { first, last, headers: Some(headers) });
            if let Some(high) = segments.get_mut(self.config.segments_kept.max(1)) {
                high.headers = None;
            }
            expected = parent;
        }
        if expected != base.hash {
            return Err(SyncError::Diverged(base));
        }
        Ok(segments)
    }

    /// A segment's headers, from memory or fetched again.
    pub(crate) async fn headers_of(&self, segment: Segment) -> Result<Vec<SealedHeader>, SyncError> {
        match segment.headers {
            Some(headers) => Ok(headers),
            None => Ok(self.range(segment.first, segment.last.number, Some(segment.last.hash)).await?.1),
        }
    }

    /// Headers `first..=last`, lowest first, linked; ending with `hash` where that is known.
    async fn range(
        &self,
        first: u64,
        last: u64,
        hash: Option<B256>,
    ) -> Result<(PeerId, Vec<SealedHeader>), SyncError> {
        let count = u32::try_from(last - first + 1).expect("a segment has at most 1024 headers");
        let request = match hash {
            Some(hash) => HeadersRequest { start: hash.into(), count, falling: true },
            None => HeadersRequest { start: first.into(), count, falling: false },
        };
        let has = |_: &PeerId, status: &RemoteStatus| status.role != Role::Light && may_have(status, last);
        let asked = self.asker.ask(None, has, |peer| async move {
            let answer = self.asker.network().headers(peer, request, self.asker.deadline()).await?;
            linked(answer, first, count, hash)
        });
        asked.await.map_err(SyncError::nobody("the header", first))
    }

    fn peers(&self) -> usize {
        PeerTable::len(&self.asker.peers().borrow())
    }
}

fn last_hash(headers: &[SealedHeader]) -> Option<B256> {
    headers.last().map(SealedHeader::hash)
}

/// Decodes an answer and checks numbers and links. Falling answers (with a hash) are turned around.
pub(super) fn linked(
    answer: Vec<Bytes>,
    first: u64,
    count: u32,
    hash: Option<B256>,
) -> Result<Vec<SealedHeader>, Fault> {
    let bad = |reason: &str| Fault::Offence(Offence::BadHeader, reason.to_owned());
    if answer.len() != count as usize {
        return Err(Fault::Lacks);
    }
    let mut headers = Vec::with_capacity(answer.len());
    for rlp in answer {
        let header: Header = alloy_rlp::decode_exact(&rlp).map_err(|_| bad("not a header"))?;
        headers.push(SealedHeader::seal_slow(header));
    }
    if let Some(hash) = hash {
        headers.reverse();
        if last_hash(&headers) != Some(hash) {
            return Err(bad("not the header that was asked for"));
        }
    }
    let numbered = (first..).zip(&headers).all(|(number, header)| header.number == number);
    let linked = headers.windows(2).all(|pair| pair[1].parent_hash == pair[0].hash());
    if numbered && linked { Ok(headers) } else { Err(bad("headers that do not link")) }
}

/// `first..=last` cut into ranges of at most `length`, lowest first.
fn ranges(first: u64, last: u64, length: u64) -> Vec<(u64, u64)> {
    let length = length.clamp(1, 1024);
    let starts = (first..=last).step_by(usize::try_from(length).expect("at most 1024"));
    starts.map(|start| (start, last.min(start + length - 1))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(length: u64) -> Vec<SealedHeader> {
        let mut parent = B256::ZERO;
        (1..=length)
            .map(|number| {
                let header =
                    SealedHeader::seal_slow(Header { number, parent_hash: parent, ..Default::default() });
                parent = header.hash();
                header
            })
            .collect()
    }

    fn rlp(headers: &[SealedHeader]) -> Vec<Bytes> {
        headers.iter().map(|header| alloy_rlp::encode(header.header()).into()).collect()
    }

    #[test]
    fn ranges_cover_everything_once() {
        assert_eq!(ranges(1, 1, 1024), [(1, 1)]);
        assert_eq!(ranges(5, 14, 4), [(5, 8), (9, 12), (13, 14)]);
        assert_eq!(ranges(1, 2048, 1024), [(1, 1024), (1025, 2048)]);
    }

    #[test]
    fn only_what_links_passes() {
        let chain = chain(5);
        let reversed: Vec<_> = chain.iter().rev().cloned().collect();
        let hash = chain[4].hash();
        assert_eq!(linked(rlp(&chain), 1, 5, None).unwrap(), chain);
        assert_eq!(linked(rlp(&reversed), 1, 5, Some(hash)).unwrap(), chain);
        assert!(matches!(linked(Vec::new(), 1, 5, None), Err(Fault::Lacks)));
        assert!(matches!(linked(rlp(&chain[..4]), 1, 5, None), Err(Fault::Lacks)));
        let mut swapped = chain.clone();
        swapped.swap(1, 2);
        for (answer, first, hash) in [
            (rlp(&swapped), 1, None),
            (rlp(&chain), 2, None),
            (rlp(&reversed), 1, Some(chain[3].hash())),
            (vec![Bytes::from_static(b"\xc0"); 5], 1, None),
        ] {
            assert!(matches!(linked(answer, first, 5, hash), Err(Fault::Offence(Offence::BadHeader, _))));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_refused_without_a_panic(answer: Vec<Vec<u8>>, first: u64) {
            let count = u32::try_from(answer.len()).unwrap();
            let answer: Vec<Bytes> = answer.into_iter().map(Bytes::from).collect();
            assert!(linked(answer, first, count.max(1), None).is_err());
        }
    }
}
