//! SKELETON: keccak-256 of several messages at a time.
#![allow(unused_variables, clippy::todo)]

use alloy_primitives::B256;

/// One message, given in consecutive parts so that a header can precede a large slice without a copy.
pub type Parts<'a> = [&'a [u8]];

/// Hashes each message; several side by side in vector lanes where the machine has them (AVX-512: 8, AVX2: 4).
pub fn keccak256_many(messages: &[&Parts<'_>]) -> Vec<B256> { todo!() }

/// Root of an index-keyed trie (transactions, receipts, withdrawals): key `rlp(i)`, value `items[i]`.
/// Large leaves are hashed side by side.
pub fn ordered_root(items: &[&[u8]]) -> B256 { todo!() }
