//! Schedules messages over the lanes of a wide Keccak permutation.
//!
//! Longest message first: a lane that has finished takes the next one, so lanes idle only at the very
//! end. In each step all lanes absorb as many whole blocks as every one of them has at hand without a
//! copy; blocks that straddle parts, and the padded last one, go through one buffer per lane.
//! Memory: 200 + 136 bytes per lane.

use super::{Parts, keccak256_parts};
use alloy_primitives::B256;

/// Bytes that one permutation absorbs for a 256-bit capacity-512 Keccak.
pub(super) const RATE_BYTES: usize = 136;

/// States of N sponges, interleaved: word `i` of lane `l` at `[i][l]`.
#[repr(C, align(64))]
pub(super) struct States<const N: usize>(pub(super) [[u64; N]; 25]);

/// Absorbs blocks of all lanes; every slice has the same length, a positive multiple of [`RATE_BYTES`].
pub(super) type Absorb<const N: usize> = fn(&mut States<N>, &[&[u8]; N]);

/// Hashes all messages with N lanes.
pub(super) fn hash_all<const N: usize>(messages: &[&Parts<'_>], absorb: Absorb<N>) -> Vec<B256> {
    let mut hashes = vec![B256::ZERO; messages.len()];
    let mut order: Vec<(usize, usize)> = messages
        .iter()
        .enumerate()
        .map(|(at, parts)| (parts.iter().map(|part| part.len()).sum(), at))
        .collect();
    order.sort_unstable_by(|a, b| b.cmp(a));
    let mut waiting = order.into_iter().map(|(_, at)| at).peekable();

    let mut states = States([[0; N]; 25]);
    let mut lanes: [Option<Lane<'_>>; N] = std::array::from_fn(|_| None);
    loop {
        for lane in 0..N {
            if lanes[lane].is_some() {
                continue;
            }
            let Some(at) = waiting.next() else { break };
            if waiting.peek().is_none() && lanes.iter().all(Option::is_none) {
                // A message on its own is faster in a scalar permutation.
                hashes[at] = keccak256_parts(messages[at]);
                break;
            }
            states.0.iter_mut().for_each(|word| word[lane] = 0);
            lanes[lane] = Some(Lane::new(at, messages[at]));
        }
        if lanes.iter().all(Option::is_none) {
            return hashes;
        }
        step(&mut states, &mut lanes, absorb);
        for (lane, slot) in lanes.iter_mut().enumerate() {
            if let Some(done) = slot.take_if(|lane| lane.finished) {
                hashes[done.message] = squeeze(&states, lane);
            }
        }
    }
}

/// Absorbs into all lanes what each of them has at hand.
fn step<const N: usize>(states: &mut States<N>, lanes: &mut [Option<Lane<'_>>; N], absorb: Absorb<N>) {
    lanes.iter_mut().flatten().for_each(Lane::stage);
    let bytes = lanes.iter().flatten().map(|lane| lane.at_hand().len()).min().unwrap_or(0);
    // Idle lanes absorb what another one does; nobody reads them.
    let any = lanes.iter().flatten().map(Lane::at_hand).next().unwrap_or_default();
    let inputs: [&[u8]; N] =
        std::array::from_fn(|lane| &lanes[lane].as_ref().map_or(any, Lane::at_hand)[..bytes]);
    absorb(states, &inputs);
    lanes.iter_mut().flatten().for_each(|lane| lane.consume(bytes));
}

fn squeeze<const N: usize>(states: &States<N>, lane: usize) -> B256 {
    let mut hash = B256::ZERO;
    for (bytes, word) in hash.0.chunks_exact_mut(8).zip(&states.0) {
        bytes.copy_from_slice(&word[lane].to_le_bytes());
    }
    hash
}

/// One message on its way through a lane.
struct Lane<'a> {
    /// Its position among the messages.
    message: usize,
    /// Parts not begun yet.
    parts: std::slice::Iter<'a, &'a [u8]>,
    /// Rest of the part that was begun.
    rest: &'a [u8],
    /// A block that had to be put together, while `staged`.
    block: [u8; RATE_BYTES],
    staged: bool,
    /// The padded block was put together; after it is absorbed, the message is done.
    last: bool,
    finished: bool,
}

impl<'a> Lane<'a> {
    fn new(message: usize, parts: &'a Parts<'a>) -> Self {
        Self {
            message,
            parts: parts.iter(),
            rest: &[],
            block: [0; RATE_BYTES],
            staged: false,
            last: false,
            finished: false,
        }
    }

    /// Makes at least one block ready: in place if the current part has one, else in the buffer.
    fn stage(&mut self) {
        while self.rest.is_empty() {
            let Some(next) = self.parts.next() else { break };
            self.rest = next;
        }
        if self.staged || self.rest.len() >= RATE_BYTES {
            return;
        }
        let mut filled = 0;
        while filled < RATE_BYTES {
            if self.rest.is_empty() {
                let Some(next) = self.parts.next() else { break };
                self.rest = next;
                continue;
            }
            let (taken, rest) = self.rest.split_at(self.rest.len().min(RATE_BYTES - filled));
            self.block[filled..filled + taken.len()].copy_from_slice(taken);
            filled += taken.len();
            self.rest = rest;
        }
        if filled < RATE_BYTES {
            // Keccak's (not SHA-3's) padding: 0x01, zeros, and the top bit of the last byte.
            self.block[filled..].fill(0);
            self.block[filled] = 0x01;
            self.block[RATE_BYTES - 1] |= 0x80;
            self.last = true;
        }
        self.staged = true;
    }

    /// The whole blocks that are ready; at least one after `stage`.
    fn at_hand(&self) -> &[u8] {
        if self.staged { &self.block } else { &self.rest[..self.rest.len() - self.rest.len() % RATE_BYTES] }
    }

    fn consume(&mut self, bytes: usize) {
        if self.staged {
            self.staged = false;
            self.finished = self.last;
        } else {
            self.rest = &self.rest[bytes..];
        }
    }
}
