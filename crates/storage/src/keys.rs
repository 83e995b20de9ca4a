//! Keys as bytes. Big-endian throughout; the shapes are in [`crate::Table`].

use crate::TxPosition;
use alloy_primitives::{B256, BlockNumber};
use nybbles::Nibbles;
use weft_primitives::{BlobIndex, ColumnIndex};

/// A hashed address.
pub(crate) const ADDRESS_KEY_BYTES: usize = 32;
/// A hashed address and a hashed slot.
pub(crate) const SLOT_KEY_BYTES: usize = 64;

/// After every key that begins with a number: the longest of them has 14 bytes.
pub(crate) const AFTER_NUMBERS: [u8; 16] = [0xff; 16];

pub(crate) fn number(number: BlockNumber) -> [u8; 8] {
    number.to_be_bytes()
}

pub(crate) fn position(position: TxPosition) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&position.block.to_be_bytes());
    key[8..].copy_from_slice(&position.index.to_be_bytes());
    key
}

pub(crate) fn blob(block: BlockNumber, blob: BlobIndex) -> [u8; 12] {
    position(TxPosition { block, index: blob.0 })
}

pub(crate) fn shard(block: BlockNumber, index: BlobIndex, column: ColumnIndex) -> [u8; 14] {
    let mut key = [0; 14];
    key[..12].copy_from_slice(&blob(block, index));
    key[12..].copy_from_slice(&column.0.to_be_bytes());
    key
}

pub(crate) fn held_column(block: BlockNumber, column: ColumnIndex) -> [u8; 10] {
    let mut key = [0; 10];
    key[..8].copy_from_slice(&number(block));
    key[8..].copy_from_slice(&column.0.to_be_bytes());
    key
}

pub(crate) fn cell(block: BlockNumber, column: ColumnIndex, chunk: u32) -> [u8; 14] {
    let mut key = [0; 14];
    key[..10].copy_from_slice(&held_column(block, column));
    key[10..].copy_from_slice(&chunk.to_be_bytes());
    key
}

pub(crate) fn slot(hashed_address: B256, hashed_slot: B256) -> [u8; SLOT_KEY_BYTES] {
    let mut key = [0; SLOT_KEY_BYTES];
    key[..32].copy_from_slice(hashed_address.as_slice());
    key[32..].copy_from_slice(hashed_slot.as_slice());
    key
}

pub(crate) fn account_history(hashed_address: B256, block: BlockNumber) -> [u8; 40] {
    let mut key = [0; 40];
    key[..32].copy_from_slice(hashed_address.as_slice());
    key[32..].copy_from_slice(&block.to_be_bytes());
    key
}

pub(crate) fn storage_history(hashed_address: B256, hashed_slot: B256, block: BlockNumber) -> [u8; 72] {
    let mut key = [0; 72];
    key[..64].copy_from_slice(&slot(hashed_address, hashed_slot));
    key[64..].copy_from_slice(&block.to_be_bytes());
    key
}

/// `prefix` is empty for the account trie and the hashed address for a storage trie.
pub(crate) fn trie(prefix: &[u8], path: &Nibbles) -> Vec<u8> {
    let mut key = Vec::with_capacity(prefix.len() + path.len());
    key.extend_from_slice(prefix);
    key.extend(path.iter());
    key
}

/// The first key after all keys that begin with `prefix`; `None` when there is none (all bytes 0xff).
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_of_a_prefix() {
        assert_eq!(after_prefix(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(after_prefix(&[1, 0xff]), Some(vec![2]));
        assert_eq!(after_prefix(&[0xff, 0xff]), None);
        assert_eq!(after_prefix(&[]), None);
    }

    #[test]
    fn trie_keys_sort_as_paths() {
        let path = |nibbles: &[u8]| trie(&[], &Nibbles::from_nibbles(nibbles));
        assert!(path(&[]) < path(&[0]));
        assert!(path(&[1]) < path(&[1, 0]));
        assert!(path(&[1, 15, 15]) < path(&[2]));
    }
}
