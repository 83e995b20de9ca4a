//! RFC 6962 Merkle trees over leaf hashes: roots, audit paths, range proofs.
//!
//! A tree of `size` leaves is split at the largest power of two smaller than `size`; nothing is
//! padded and nothing duplicated. Lies that are possible here and refused: a path that is longer or
//! shorter than the tree's shape asks for, an index past the end, an empty range.
//! All functions are pure; depth is at most 32 for the `u32` sizes of the protocol.

use crate::hash::{node, sha256};
use alloy_primitives::B256;
use std::ops::Range;

/// Why a path or range proof does not fit its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MerkleError {
    /// The leaf is not in a tree of this size.
    #[error("leaves {start}..{end} are not in a tree of {size}")]
    OutOfTree {
        /// First leaf.
        start: usize,
        /// One past the last leaf.
        end: usize,
        /// Leaves of the tree.
        size: usize,
    },
    /// A path with fewer or more hashes than the tree's shape asks for.
    #[error("the path has {have} hashes, the tree asks for {need}")]
    PathLength {
        /// Hashes given.
        have: usize,
        /// Hashes that this leaf or range needs.
        need: usize,
    },
}

/// `MR(list)` over leaf hashes; `H("")` of none.
pub fn root(leaves: &[B256]) -> B256 {
    match leaves {
        [] => sha256(&[]),
        [only] => *only,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node(root(left), root(right))
        }
    }
}

/// The audit path of leaf `index`, from the leaf to the root.
pub fn audit_path(leaves: &[B256], index: usize) -> Result<Vec<B256>, MerkleError> {
    inside(&(index..index + 1), leaves.len())?;
    let mut path = Vec::with_capacity(path_length(index, leaves.len()));
    let (mut leaves, mut index) = (leaves, index);
    while leaves.len() > 1 {
        let (left, right) = leaves.split_at(split(leaves.len()));
        if index < left.len() {
            path.push(root(right));
            leaves = left;
        } else {
            path.push(root(left));
            index -= left.len();
            leaves = right;
        }
    }
    path.reverse();
    Ok(path)
}

/// The root that `leaf` at `index` of a tree of `size` leaves has with this audit path.
pub fn root_from_path(leaf: B256, index: usize, size: usize, path: &[B256]) -> Result<B256, MerkleError> {
    inside(&(index..index + 1), size)?;
    let need = path_length(index, size);
    if path.len() != need {
        return Err(MerkleError::PathLength { have: path.len(), need });
    }
    // Turns from the root down, then the hashes from the leaf up.
    let mut turns = Vec::with_capacity(need);
    let (mut size, mut index) = (size, index);
    while size > 1 {
        let left = split(size);
        turns.push(index < left);
        (size, index) = if index < left { (left, index) } else { (size - left, index - left) };
    }
    let fold = |below: B256, (sibling, is_left): (&B256, &bool)| {
        if *is_left { node(below, *sibling) } else { node(*sibling, below) }
    };
    Ok(path.iter().zip(turns.iter().rev()).fold(leaf, fold))
}

/// Hashes of the maximal subtrees outside `range`, from left to right.
pub fn range_proof(leaves: &[B256], range: Range<usize>) -> Result<Vec<B256>, MerkleError> {
    inside(&range, leaves.len())?;
    let mut proof = Vec::new();
    collect_outside(leaves, 0, &range, &mut proof);
    Ok(proof)
}

/// The audit path of leaf `index` of a tree of `size` leaves out of the range proof of that leaf alone: the same hashes in the
/// other order.
pub fn audit_path_of_range(index: usize, size: usize, proof: &[B256]) -> Result<Vec<B256>, MerkleError> {
    inside(&(index..index + 1), size)?;
    let need = path_length(index, size);
    if proof.len() != need {
        return Err(MerkleError::PathLength { have: proof.len(), need });
    }
    // From the root down: left siblings come first and in this order, right ones after them from the leaf up.
    let (mut left, mut right) = (proof.iter(), proof.iter().rev());
    let mut path = Vec::with_capacity(need);
    let (mut size, mut index) = (size, index);
    while size > 1 {
        let half = split(size);
        let sibling = if index < half { right.next() } else { left.next() };
        path.extend(sibling.copied());
        (size, index) = if index < half { (half, index) } else { (size - half, index - half) };
    }
    path.reverse();
    Ok(path)
}

/// The root of a tree of `size` leaves that holds `covered` from leaf `first` on, with this range proof.
pub fn root_from_range(
    covered: &[B256],
    first: usize,
    size: usize,
    proof: &[B256],
) -> Result<B256, MerkleError> {
    let end = first.saturating_add(covered.len());
    let range = first..end;
    inside(&range, size)?;
    let need = outside_count(0..size, &range);
    if proof.len() != need {
        return Err(MerkleError::PathLength { have: proof.len(), need });
    }
    let mut rest = proof.iter();
    Ok(rebuild(0..size, &range, covered, &mut rest))
}

/// The largest power of two smaller than `size`, for `size ≥ 2`.
fn split(size: usize) -> usize {
    size.next_power_of_two() / 2
}

pub(crate) fn inside(range: &Range<usize>, size: usize) -> Result<(), MerkleError> {
    if range.start < range.end && range.end <= size {
        Ok(())
    } else {
        Err(MerkleError::OutOfTree { start: range.start, end: range.end, size })
    }
}

fn path_length(mut index: usize, mut size: usize) -> usize {
    let mut length = 0;
    while size > 1 {
        let left = split(size);
        (size, index) = if index < left { (left, index) } else { (size - left, index - left) };
        length += 1;
    }
    length
}

fn disjoint(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.end <= b.start || b.end <= a.start
}

pub(crate) fn covers(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

pub(crate) fn halves(tree: &Range<usize>) -> (Range<usize>, Range<usize>) {
    let middle = tree.start + split(tree.len());
    (tree.start..middle, middle..tree.end)
}

fn collect_outside(leaves: &[B256], start: usize, range: &Range<usize>, proof: &mut Vec<B256>) {
    let tree = start..start + leaves.len();
    if disjoint(&tree, range) {
        proof.push(root(leaves));
    } else if !covers(range, &tree) {
        let (left, right) = leaves.split_at(split(leaves.len()));
        collect_outside(left, start, range, proof);
        collect_outside(right, start + left.len(), range, proof);
    }
}

fn outside_count(tree: Range<usize>, range: &Range<usize>) -> usize {
    if disjoint(&tree, range) {
        return 1;
    }
    if covers(range, &tree) {
        return 0;
    }
    let (left, right) = halves(&tree);
    outside_count(left, range) + outside_count(right, range)
}

fn rebuild(
    tree: Range<usize>,
    range: &Range<usize>,
    covered: &[B256],
    proof: &mut std::slice::Iter<'_, B256>,
) -> B256 {
    if disjoint(&tree, range) {
        return *proof.next().expect("root_from_range counted the subtrees outside the range");
    }
    if covers(range, &tree) {
        return root(&covered[tree.start - range.start..tree.end - range.start]);
    }
    let (left, right) = halves(&tree);
    let left = rebuild(left, range, covered, proof);
    node(left, rebuild(right, range, covered, proof))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::leaf;
    use alloy_primitives::hex;

    fn leaves(size: usize) -> Vec<B256> {
        (0..size).map(|i| leaf(&i.to_be_bytes())).collect()
    }

    #[test]
    fn a_range_proof_of_one_leaf_is_its_audit_path_in_another_order() {
        for size in 1..40 {
            let leaves = leaves(size);
            for index in 0..size {
                let proof = range_proof(&leaves, index..index + 1).unwrap();
                let path = audit_path_of_range(index, size, &proof).unwrap();
                assert_eq!(path, audit_path(&leaves, index).unwrap(), "leaf {index} of {size}");
                assert!(audit_path_of_range(index, size, &[proof, vec![B256::ZERO]].concat()).is_err());
            }
            assert!(audit_path_of_range(size, size, &[]).is_err());
        }
    }

    /// Known answers of certificate-transparency's reference tree (RFC 6962's seven sample leaves).
    #[test]
    fn roots_are_those_of_certificate_transparency() {
        let inputs: [&[u8]; 8] = [
            b"",
            &[0x00],
            &[0x10],
            &[0x20, 0x21],
            &[0x30, 0x31],
            &[0x40, 0x41, 0x42, 0x43],
            &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
            &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
        ];
        let roots = [
            hex!("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            hex!("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
            hex!("aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
            hex!("d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
            hex!("4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
            hex!("76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
            hex!("ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
            hex!("5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
        ];
        let hashes: Vec<B256> = inputs.iter().map(|item| leaf(item)).collect();
        for (i, expected) in roots.iter().enumerate() {
            assert_eq!(root(&hashes[..=i]), B256::from(*expected), "{} leaves", i + 1);
        }
        assert_eq!(root(&[]), sha256(b""));
    }

    #[test]
    fn every_path_and_range_of_small_trees_leads_to_the_root() {
        for size in 1..=19 {
            let leaves = leaves(size);
            let expected = root(&leaves);
            for start in 0..size {
                let path = audit_path(&leaves, start).unwrap();
                assert_eq!(root_from_path(leaves[start], start, size, &path), Ok(expected));
                for end in start + 1..=size {
                    let proof = range_proof(&leaves, start..end).unwrap();
                    assert_eq!(root_from_range(&leaves[start..end], start, size, &proof), Ok(expected));
                }
            }
            assert!(range_proof(&leaves, 0..size).unwrap().is_empty(), "a whole column needs no hash");
        }
    }

    #[test]
    fn wrong_places_lengths_and_leaves_do_not_pass() {
        let leaves = leaves(11);
        let expected = root(&leaves);
        let path = audit_path(&leaves, 4).unwrap();
        assert_ne!(root_from_path(leaves[4], 5, 11, &path), Ok(expected), "another index");
        assert_ne!(root_from_path(leaves[5], 4, 11, &path), Ok(expected), "another leaf");
        assert_eq!(
            root_from_path(leaves[4], 4, 11, &path[1..]),
            Err(MerkleError::PathLength { have: 3, need: 4 })
        );
        assert_eq!(
            root_from_path(leaves[4], 11, 11, &path),
            Err(MerkleError::OutOfTree { start: 11, end: 12, size: 11 })
        );
        let mut longer = range_proof(&leaves, 2..5).unwrap();
        longer.push(B256::ZERO);
        let need = longer.len() - 1;
        assert_eq!(
            root_from_range(&leaves[2..5], 2, 11, &longer),
            Err(MerkleError::PathLength { have: need + 1, need })
        );
        assert!(
            matches!(root_from_range(&[], 2, 11, &[]), Err(MerkleError::OutOfTree { .. })),
            "empty range"
        );
        assert!(matches!(
            root_from_range(&leaves[..2], usize::MAX, 11, &[]),
            Err(MerkleError::OutOfTree { .. })
        ));
    }
}
