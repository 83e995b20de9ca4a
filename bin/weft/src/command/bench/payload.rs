//! Incompressible calldata that is cheap to make and to make again for the read-back.
//!
//! One buffer of random bytes is shared by the whole run. Each transaction carries a tag of 16 bytes that no other
//! has (a counter under the run's seed) and a window of the buffer at an offset of its own. Offsets step by an odd
//! number of bytes and cells are cut at fixed distances, so that no two transactions have a cell in common and
//! nothing on the way can profit from having seen the bytes before.

use alloy_primitives::keccak256;
use rand::{RngCore, SeedableRng, rngs::StdRng};

/// Bytes of the shared buffer beyond one body: offsets repeat only after a run has used them all.
const SPREAD_BYTES: usize = 64 << 20;
/// Distance between the windows of consecutive transactions, a prime.
const STEP_BYTES: usize = 40_961;
/// Bytes of a tag.
pub const TAG_BYTES: usize = 16;

/// The source of a run's calldata.
#[derive(Debug)]
pub struct Payload {
    seed: u64,
    body_bytes: usize,
    buffer: Vec<u8>,
}

impl Payload {
    /// `size` bytes of calldata per transaction; 0 for plain transfers, else at least a tag.
    pub fn new(seed: u64, size: usize) -> Self {
        let body_bytes = size.saturating_sub(TAG_BYTES);
        let mut buffer = vec![0; if size == 0 { 0 } else { body_bytes + SPREAD_BYTES }];
        StdRng::seed_from_u64(seed).fill_bytes(&mut buffer);
        Self { seed, body_bytes, buffer }
    }

    /// Tag of transaction `number`; empty for transfers.
    pub fn tag(&self, number: u64) -> Vec<u8> {
        if self.buffer.is_empty() {
            return Vec::new();
        }
        let preimage = [self.seed.to_be_bytes(), number.to_be_bytes()].concat();
        keccak256(preimage)[..TAG_BYTES].to_vec()
    }

    /// What follows the tag.
    pub fn body(&self, number: u64) -> &[u8] {
        if self.buffer.is_empty() {
            return &[];
        }
        let number = usize::try_from(number).expect("a run has fewer transactions than memory has addresses");
        let start = number.wrapping_mul(STEP_BYTES) % (SPREAD_BYTES + 1);
        &self.buffer[start..start + self.body_bytes]
    }

    /// Calldata of transaction `number`, whole.
    pub fn calldata(&self, number: u64) -> Vec<u8> {
        let mut data = self.tag(number);
        data.extend_from_slice(self.body(number));
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn sizes_are_exact_and_a_number_always_gives_the_same_bytes() {
        for size in [TAG_BYTES, 10_240, 1 << 20] {
            let payload = Payload::new(5, size);
            assert_eq!(payload.calldata(9).len(), size);
            assert_eq!(payload.calldata(9), Payload::new(5, size).calldata(9));
            assert_ne!(payload.calldata(9), Payload::new(6, size).calldata(9));
        }
        assert!(Payload::new(5, 0).calldata(9).is_empty());
    }

    #[test]
    fn no_cell_occurs_twice() {
        let payload = Payload::new(1, 128 << 10);
        let cells = 400 * 4;
        let distinct: HashSet<Vec<u8>> = (0..400)
            .flat_map(|n| payload.calldata(n).chunks(32 << 10).map(<[u8]>::to_vec).collect::<Vec<_>>())
            .collect();
        assert_eq!(distinct.len(), cells);
    }
}
