//! Root of an index-keyed Merkle Patricia trie: transactions, receipts, withdrawals.
//!
//! The hash of a leaf depends on its item and on how much of its key lies below its branch, and that
//! follows from the keys alone. So large leaves are hashed side by side first, and only their hashes go
//! through alloy-trie's [`HashBuilder`], each in place of the leaf.

use super::keccak256_many;
use alloy_primitives::B256;
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, root::adjust_index_for_rlp};
use nybbles::Nibbles;

/// Leaves with items below this many bytes are left to the builder: a few permutations do not pay for
/// the detour.
const LARGE_ITEM_BYTES: usize = 1024;

/// Root of the trie with key `rlp(i)` and value `items[i]`, which are encoded already.
pub fn ordered_root<T: AsRef<[u8]>>(items: &[T]) -> B256 {
    let items: Vec<&[u8]> = items.iter().map(AsRef::as_ref).collect();
    if items.is_empty() {
        return EMPTY_ROOT_HASH;
    }
    let leaves = leaves(items.len());
    let large: Vec<&Leaf> =
        leaves.iter().filter(|leaf| items[leaf.index].len() >= LARGE_ITEM_BYTES).collect();
    let headers: Vec<Vec<u8>> = large.iter().map(|leaf| leaf.header(items[leaf.index])).collect();
    let parts: Vec<[&[u8]; 2]> =
        large.iter().zip(&headers).map(|(leaf, header)| [header.as_slice(), items[leaf.index]]).collect();
    let hashes = keccak256_many(&parts.iter().map(|parts| parts.as_slice()).collect::<Vec<_>>());
    if items.len() == 1 && !hashes.is_empty() {
        // The only leaf is the root.
        return hashes[0];
    }
    let mut hashes = hashes.into_iter();
    let mut builder = HashBuilder::default();
    for leaf in &leaves {
        let item = items[leaf.index];
        if item.len() >= LARGE_ITEM_BYTES {
            let hash = hashes.next().expect("one hash per large item");
            builder.add_branch(leaf.key.slice(..leaf.depth), hash, false);
        } else {
            builder.add_leaf(leaf.key, item);
        }
    }
    builder.root()
}

/// A leaf's place in the trie.
struct Leaf {
    /// Which item.
    index: usize,
    key: Nibbles,
    /// Nibbles of the key above the leaf's node; the rest is in it.
    depth: usize,
}

/// All leaves in key order.
fn leaves(count: usize) -> Vec<Leaf> {
    let mut leaves: Vec<Leaf> = (0..count)
        .map(|position| {
            let index = adjust_index_for_rlp(position, count);
            Leaf { index, key: Nibbles::unpack(alloy_rlp::encode_fixed_size(&index)), depth: 0 }
        })
        .collect();
    // A leaf hangs one nibble below the last branch that it shares with a neighbour.
    for right in 1..count {
        let depth = leaves[right - 1].key.common_prefix_length(&leaves[right].key) + 1;
        leaves[right - 1].depth = leaves[right - 1].depth.max(depth);
        leaves[right].depth = depth;
    }
    leaves
}

impl Leaf {
    /// RLP of the leaf node up to its item: list header, hex-prefix path, header of the item's string.
    fn header(&self, item: &[u8]) -> Vec<u8> {
        let path = alloy_trie::nodes::encode_path_leaf(&self.key.slice(self.depth..), true);
        let value = alloy_rlp::Header { list: false, payload_length: item.len() };
        let payload_length = alloy_rlp::Encodable::length(path.as_slice()) + value.length() + item.len();
        let mut header = Vec::with_capacity(24);
        alloy_rlp::Header { list: true, payload_length }.encode(&mut header);
        alloy_rlp::Encodable::encode(path.as_slice(), &mut header);
        value.encode(&mut header);
        header
    }
}
