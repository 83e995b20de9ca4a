//! SHA-256 as PROTOCOL §3 uses it: RFC 6962 leaves and nodes.

use alloy_primitives::B256;
use sha2::{Digest, Sha256};

/// RFC 6962 leaf: `H(0x00 ‖ item)`. Of a cell this is its `cellHash`.
pub fn leaf(item: &[u8]) -> B256 {
    let mut hasher = Sha256::new();
    hasher.update([0x00]);
    hasher.update(item);
    B256::new(hasher.finalize().into())
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
