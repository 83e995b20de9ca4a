//! A finished part of a trie, and how parts join: the rules of the Merkle Patricia trie in one place.
//!
//! A part is nothing, one leaf, or one branch. Whether an extension stands above a branch, and how much of a
//! leaf's key its node still holds, depends on where the part is attached, so both are decided by the parent:
//! that is why deletions that collapse a branch need no special case, the single remaining part just moves up.
//!
//! [`Joiner::close_branch`] also derives the [`BranchNodeCompact`] that the database keeps, by the same rules
//! as alloy-trie's `HashBuilder` (which rebuilds them in `leaves.rs`; the two are compared in tests):
//! * `hash_mask`: the child is a branch (no extension between) whose RLP has 32 bytes or more;
//! * `tree_mask`: some node at or below the child is stored;
//! * a branch is stored if either mask has a bit; only the one at the empty path carries its own hash.

use crate::proof::Retained;
use alloy_primitives::{B256, keccak256};
use alloy_rlp::Encodable;
use alloy_trie::{
    BranchNodeCompact, EMPTY_ROOT_HASH, TrieMask,
    nodes::{BranchNodeRef, ExtensionNodeRef, LeafNodeRef, RlpNode},
};
use nybbles::Nibbles;

/// One part of a trie that is not empty.
#[derive(Clone, Debug)]
pub(crate) enum Subtree<V> {
    /// A single leaf with its whole key.
    Leaf { key: Nibbles, value: V },
    /// A branch at `path`: its node or hash, and whether it or a branch below it is stored.
    Branch { path: Nibbles, node: RlpNode, stored: bool },
}

impl<V> Subtree<V> {
    /// Path of the branch, or key of the leaf.
    pub(crate) const fn path(&self) -> &Nibbles {
        match self {
            Self::Leaf { key, .. } => key,
            Self::Branch { path, .. } => path,
        }
    }
}

/// Joins parts into branches; keeps the buffers for it.
#[derive(Debug, Default)]
pub(crate) struct Joiner {
    value: Vec<u8>,
    node: Vec<u8>,
    children: Vec<RlpNode>,
    /// Proof nodes, when some are wanted.
    pub(crate) retained: Option<Retained>,
}

impl Joiner {
    /// Joins two or more parts, all below `path` and each below another nibble of it, into the branch at `path`.
    /// Also returns what the database stores for it, if anything.
    pub(crate) fn close_branch<V: Encodable>(
        &mut self,
        path: &Nibbles,
        parts: &[Subtree<V>],
    ) -> (Subtree<V>, Option<BranchNodeCompact>) {
        debug_assert!(parts.len() > 1);
        let depth = path.len();
        let (mut state_mask, mut tree_mask, mut hash_mask) = <(TrieMask, TrieMask, TrieMask)>::default();
        self.children.clear();
        for part in parts {
            let nibble = part.path().get_unchecked(depth);
            let child = self.attach(part, depth + 1);
            state_mask.set_bit(nibble);
            if let Subtree::Branch { path, node, stored } = part {
                if path.len() == depth + 1 && node.is_hash() {
                    hash_mask.set_bit(nibble);
                }
                if *stored {
                    tree_mask.set_bit(nibble);
                }
            }
            self.children.push(child);
        }

        self.node.clear();
        let branch = BranchNodeRef::new(&self.children, state_mask);
        let node = branch.rlp(&mut self.node);
        if let Some(retained) = &mut self.retained {
            retained.offer(path, &self.node);
        }
        let stored = !tree_mask.is_empty() || !hash_mask.is_empty();
        let compact = stored.then(|| {
            let hashes = branch.child_hashes(hash_mask).collect();
            let own_hash = path.is_empty().then(|| node_hash(&node));
            BranchNodeCompact::new(state_mask, tree_mask, hash_mask, hashes, own_hash)
        });
        (Subtree::Branch { path: *path, node, stored }, compact)
    }

    /// Root hash of a whole trie.
    pub(crate) fn root<V: Encodable>(&mut self, whole: Option<&Subtree<V>>) -> B256 {
        whole.map_or(EMPTY_ROOT_HASH, |part| node_hash(&self.attach(part, 0)))
    }

    /// The part's node as its parent refers to it, `depth` nibbles of its path being above it.
    fn attach<V: Encodable>(&mut self, part: &Subtree<V>, depth: usize) -> RlpNode {
        match part {
            Subtree::Leaf { key, value } => {
                self.value.clear();
                value.encode(&mut self.value);
                self.node.clear();
                let node = LeafNodeRef::new(&key.slice(depth..), &self.value).rlp(&mut self.node);
                self.retain(key, depth);
                node
            }
            Subtree::Branch { path, node, .. } if path.len() == depth => node.clone(),
            Subtree::Branch { path, node, .. } => {
                self.node.clear();
                let node = ExtensionNodeRef::new(&path.slice(depth..), node).rlp(&mut self.node);
                self.retain(path, depth);
                node
            }
        }
    }

    fn retain(&mut self, path: &Nibbles, depth: usize) {
        if let Some(retained) = &mut self.retained {
            retained.offer(&path.slice(..depth), &self.node);
        }
    }
}

/// Hash of a node; a root shorter than 32 bytes is hashed too.
fn node_hash(node: &RlpNode) -> B256 {
    node.as_hash().unwrap_or_else(|| keccak256(node))
}
