//! SHA-256 as PROTOCOL §3 uses it: RFC 6962 leaves and nodes.
//!
//! Hashing cells is most of the cost of coding a blob (`n/k` bytes hashed per byte of blob), so cells of one
//! size are hashed sixteen at a time where the processor has AVX-512, which is twice as fast as its SHA
//! instructions; elsewhere one by one, by the sha2 crate.

#[cfg(target_arch = "x86_64")]
mod lanes;

use alloy_primitives::B256;
use sha2::{Digest, Sha256};

/// Cells that are hashed side by side.
pub(crate) const LANES: usize = 16;
/// With fewer cells than this the SHA instructions are faster, one cell after the other.
const LANES_USED_MIN: usize = 8;

/// RFC 6962 leaf: `H(0x00 ‖ item)`. Of a cell this is its `cellHash`.
pub fn leaf(item: &[u8]) -> B256 {
    let mut hasher = Sha256::new();
    hasher.update([0x00]);
    hasher.update(item);
    B256::new(hasher.finalize().into())
}

/// RFC 6962 leaves of items of one length, in their order.
pub(crate) fn leaves(items: &[&[u8]], hashes: &mut Vec<B256>) {
    for items in items.chunks(LANES) {
        #[cfg(target_arch = "x86_64")]
        if items.len() >= LANES_USED_MIN
            && let Some(hash) = lanes::detect(items[0].len())
        {
            // Lanes without an item repeat the first.
            let inputs = std::array::from_fn(|lane| *items.get(lane).unwrap_or(&items[0]));
            hashes.extend_from_slice(&hash(&inputs)[..items.len()]);
            continue;
        }
        hashes.extend(items.iter().map(|item| leaf(item)));
    }
}

/// RFC 6962 node: `H(0x01 ‖ left ‖ right)`.
pub fn node(left: B256, right: B256) -> B256 {
    let mut buffer = [0x01; 65];
    buffer[1..33].copy_from_slice(left.as_slice());
    buffer[33..].copy_from_slice(right.as_slice());
    sha256(&buffer)
}

/// `H`.
pub fn sha256(bytes: &[u8]) -> B256 {
    B256::new(Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn assert_leaves(items: &[Vec<u8>]) {
        let items: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
        let mut hashes = vec![B256::ZERO];
        leaves(&items, &mut hashes);
        assert_eq!(hashes[1..], items.iter().map(|item| leaf(item)).collect::<Vec<_>>());
    }

    #[test]
    fn every_length_and_every_number_of_lanes() {
        let item =
            |length: usize, seed: usize| (0..length).map(|i| (i * 31 + seed * 7 + i / 256) as u8).collect();
        for length in 0..=260 {
            assert_leaves(&(0..16).map(|seed| item(length, seed)).collect::<Vec<_>>());
        }
        for count in 0..=40 {
            assert_leaves(&(0..count).map(|seed| item(1024, seed)).collect::<Vec<_>>());
        }
    }

    proptest! {
        #[test]
        fn any_items(count in 8_usize..33, length in 0_usize..5000, seed in any::<u64>()) {
            let mut state = seed;
            let mut byte = || {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
                (state >> 56) as u8
            };
            assert_leaves(&(0..count).map(|_| (0..length).map(|_| byte()).collect()).collect::<Vec<_>>());
        }
    }
}
