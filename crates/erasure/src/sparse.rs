//! A Merkle tree of which some leaves are known, with just the hashes that stand for the others.
//!
//! Whoever collects the cells of a column piece by piece keeps one of these: each piece comes with the subtree hashes
//! that it does not cover, and of several pieces only those hashes are kept that none of them covers. So what is kept
//! is a function of the set of leaves alone, whatever the order, overlap and repetition of the pieces; any range of
//! known leaves can be proven from it; and when all leaves are known no other hash is left.
//!
//! Memory: 32 bytes per leaf of the tree at most, known or stood for by a hash.

use crate::merkle::{self, MerkleError};
use alloy_primitives::B256;
use std::{collections::BTreeMap, ops::Range};

/// Some leaves of an RFC 6962 tree, and the hashes of the maximal subtrees without any of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SparseTree {
    size: usize,
    /// Ascending, none empty, none touching the next.
    held: Vec<Range<usize>>,
    /// Hashes of the held leaves, in order.
    leaves: Vec<B256>,
    /// Hashes of the maximal subtrees without a held leaf, from left to right.
    outside: Vec<B256>,
}

impl SparseTree {
    /// The leaves from `first` on of a tree of `size`, with their range proof.
    pub fn of_range(
        leaves: Vec<B256>,
        first: usize,
        size: usize,
        proof: &[B256],
    ) -> Result<Self, MerkleError> {
        let range = first..first.saturating_add(leaves.len());
        merkle::inside(&range, size)?;
        let need = outside_of(size, std::slice::from_ref(&range)).len();
        if proof.len() != need {
            return Err(MerkleError::PathLength { have: proof.len(), need });
        }
        Ok(Self { size, held: vec![range], leaves, outside: proof.to_vec() })
    }

    /// From its parts, as [`Self::held`], [`Self::leaves`] and [`Self::outside`] give them; `None` when they do not
    /// fit each other, or the tree has no leaf that is known.
    pub fn from_parts(
        size: usize,
        held: Vec<Range<usize>>,
        leaves: Vec<B256>,
        outside: Vec<B256>,
    ) -> Option<Self> {
        let ordered = held.windows(2).all(|pair| pair[0].end < pair[1].start);
        let whole = held.iter().all(|range| range.start < range.end && range.end <= size);
        if held.is_empty() || !ordered || !whole {
            return None;
        }
        let counted = held.iter().map(ExactSizeIterator::len).sum::<usize>();
        let fits = counted == leaves.len() && outside_of(size, &held).len() == outside.len();
        fits.then_some(Self { size, held, leaves, outside })
    }

    /// Leaves of the tree.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Which leaves are known: ascending ranges that do not touch.
    pub fn held(&self) -> &[Range<usize>] {
        &self.held
    }

    /// Hashes of the known leaves, in order.
    pub fn leaves(&self) -> &[B256] {
        &self.leaves
    }

    /// Hashes of the maximal subtrees without a known leaf, from left to right.
    pub fn outside(&self) -> &[B256] {
        &self.outside
    }

    /// Whether all leaves are known.
    pub fn is_complete(&self) -> bool {
        self.leaves.len() == self.size
    }

    /// Whether all leaves of a range are known.
    pub fn holds(&self, range: &Range<usize>) -> bool {
        self.held.iter().any(|held| merkle::covers(held, range))
    }

    /// Which leaves are not known: ascending ranges.
    pub fn missing(&self) -> Vec<Range<usize>> {
        let starts = std::iter::once(0).chain(self.held.iter().map(|range| range.end));
        let ends = self.held.iter().map(|range| range.start).chain(std::iter::once(self.size));
        starts.zip(ends).map(|(start, end)| start..end).filter(|range| !range.is_empty()).collect()
    }

    /// The root of the tree.
    pub fn root(&self) -> B256 {
        Reader::new(self).hash(0..self.size)
    }

    /// Hashes of the maximal subtrees outside a range of known leaves, from left to right.
    pub fn range_proof(&self, range: Range<usize>) -> Result<Vec<B256>, MerkleError> {
        if range.is_empty() || !self.holds(&range) {
            return Err(MerkleError::OutOfTree { start: range.start, end: range.end, size: self.size });
        }
        let reader = Reader::new(self);
        Ok(outside_of(self.size, std::slice::from_ref(&range))
            .into_iter()
            .map(|tree| reader.hash(tree))
            .collect())
    }

    /// What is known from either. Both must be of one tree: the caller has led both to the same root.
    ///
    /// # Panics
    /// If the trees have different sizes.
    pub fn merge(&self, other: &Self) -> Self {
        assert_eq!(self.size, other.size, "pieces of one column are pieces of one tree");
        let held = union(&self.held, &other.held);
        let (ours, theirs) = (Reader::new(self), Reader::new(other));
        let known = |index| ours.leaf(index).or_else(|| theirs.leaf(index));
        let leaves = held.iter().cloned().flatten().filter_map(known).collect();
        // A maximal subtree outside of both has a parent that holds a leaf of one of them, so it is maximal there too.
        let stands = |tree: Range<usize>| {
            let key = (tree.start, tree.end);
            ours.outside.get(&key).or_else(|| theirs.outside.get(&key)).copied()
        };
        let outside = outside_of(self.size, &held).into_iter().filter_map(stands).collect();
        Self { size: self.size, held, leaves, outside }
    }
}

/// Finds hashes by their place.
struct Reader<'a> {
    tree: &'a SparseTree,
    /// By first and one past the last leaf.
    outside: BTreeMap<(usize, usize), B256>,
    /// Where each held range begins in `leaves`.
    offsets: Vec<usize>,
}

impl<'a> Reader<'a> {
    fn new(tree: &'a SparseTree) -> Self {
        let places = outside_of(tree.size, &tree.held);
        let outside =
            places.into_iter().map(|place| (place.start, place.end)).zip(tree.outside.iter().copied());
        let offsets = tree.held.iter().scan(0, |next, range| {
            let start = *next;
            *next += range.len();
            Some(start)
        });
        Self { tree, outside: outside.collect(), offsets: offsets.collect() }
    }

    /// Hashes of leaves that lie in one held range.
    fn leaves(&self, range: &Range<usize>) -> Option<&[B256]> {
        let at = self.tree.held.partition_point(|held| held.end <= range.start);
        let held = self.tree.held.get(at).filter(|held| merkle::covers(held, range))?;
        let start = self.offsets[at] + range.start - held.start;
        self.tree.leaves.get(start..start + range.len())
    }

    fn leaf(&self, index: usize) -> Option<B256> {
        self.leaves(&(index..index + 1)).map(|leaves| leaves[0])
    }

    /// The hash of a subtree that holds a known leaf, or is maximal without one.
    fn hash(&self, tree: Range<usize>) -> B256 {
        if let Some(leaves) = self.leaves(&tree) {
            return merkle::root(leaves);
        }
        match self.outside.get(&(tree.start, tree.end)) {
            Some(hash) => *hash,
            None => {
                let (left, right) = merkle::halves(&tree);
                crate::hash::node(self.hash(left), self.hash(right))
            }
        }
    }
}

/// The maximal subtrees of a tree of `size` leaves without a leaf of `held`, from left to right.
fn outside_of(size: usize, held: &[Range<usize>]) -> Vec<Range<usize>> {
    fn walk(tree: Range<usize>, held: &[Range<usize>], found: &mut Vec<Range<usize>>) {
        let from = held.partition_point(|range| range.end <= tree.start);
        let to = held.partition_point(|range| range.start < tree.end);
        match &held[from..to.max(from)] {
            [] => found.push(tree),
            [only] if merkle::covers(only, &tree) => {}
            some => {
                let (left, right) = merkle::halves(&tree);
                walk(left, some, found);
                walk(right, some, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(0..size, held, &mut found);
    found
}

fn union(a: &[Range<usize>], b: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut all: Vec<Range<usize>> = a.iter().chain(b).cloned().collect();
    all.sort_unstable_by_key(|range| range.start);
    let mut united: Vec<Range<usize>> = Vec::with_capacity(all.len());
    for range in all {
        match united.last_mut().filter(|last| range.start <= last.end) {
            Some(last) => last.end = last.end.max(range.end),
            None => united.push(range),
        }
    }
    united
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaves(count: usize) -> Vec<B256> {
        (0..count).map(|n| crate::leaf(&n.to_be_bytes())).collect()
    }

    fn piece(all: &[B256], range: Range<usize>) -> SparseTree {
        let proof = merkle::range_proof(all, range.clone()).expect("a range of the tree");
        SparseTree::of_range(all[range.clone()].to_vec(), range.start, all.len(), &proof)
            .expect("its own proof")
    }

    fn pieces() -> impl Strategy<Value = (usize, Vec<Range<usize>>)> {
        (1usize..70).prop_flat_map(|size| {
            let range =
                (0..size, 1..=size).prop_map(move |(start, length)| start..(start + length).min(size));
            (Just(size), prop::collection::vec(range, 1..8))
        })
    }

    proptest! {
        #[test]
        fn pieces_in_any_order_give_the_same_and_prove_all_that_is_held((size, ranges) in pieces()) {
            let all = leaves(size);
            let forward = ranges.iter().map(|range| piece(&all, range.clone()));
            let tree = forward.reduce(|tree, next| tree.merge(&next)).expect("one at least");
            let again = ranges.iter().rev().chain(&ranges).map(|range| piece(&all, range.clone()));
            prop_assert_eq!(&again.reduce(|tree, next| tree.merge(&next)).expect("one at least"), &tree);

            prop_assert_eq!(tree.root(), merkle::root(&all));
            let mut known = vec![false; size];
            ranges.iter().cloned().flatten().for_each(|leaf| known[leaf] = true);
            prop_assert_eq!(tree.is_complete(), known.iter().all(|known| *known));
            prop_assert_eq!(tree.is_complete(), tree.outside().is_empty());
            let missing: usize = tree.missing().iter().map(ExactSizeIterator::len).sum();
            prop_assert_eq!(missing, known.iter().filter(|known| !**known).count());
            for start in 0..size {
                for end in start + 1..=size {
                    let range = start..end;
                    let held = known[range.clone()].iter().all(|known| *known);
                    prop_assert_eq!(tree.holds(&range), held);
                    match tree.range_proof(range.clone()) {
                        Ok(proof) => {
                            prop_assert!(held);
                            prop_assert_eq!(proof, merkle::range_proof(&all, range).expect("a range of the tree"));
                        }
                        Err(_) => prop_assert!(!held),
                    }
                }
            }
            let parts = SparseTree::from_parts(
                size, tree.held().to_vec(), tree.leaves().to_vec(), tree.outside().to_vec(),
            );
            prop_assert_eq!(parts, Some(tree));
        }

        #[test]
        fn parts_that_do_not_fit_are_refused((size, ranges) in pieces()) {
            let all = leaves(size);
            let trees = ranges.iter().map(|range| piece(&all, range.clone()));
            let tree = trees.reduce(|tree, next| tree.merge(&next)).expect("one at least");
            let (held, known, outside) = (tree.held().to_vec(), tree.leaves().to_vec(), tree.outside().to_vec());
            let of = SparseTree::from_parts;
            prop_assert_eq!(of(size, held.clone(), known[1..].to_vec(), outside.clone()), None);
            let more = [&outside[..], &[B256::ZERO]].concat();
            prop_assert_eq!(of(size, held.clone(), known.clone(), more), None);
            prop_assert_eq!(of(held.last().expect("one").end - 1, held, known, outside), None);
        }
    }

    #[test]
    fn touching_and_empty_ranges_are_no_canonical_parts() {
        let all = leaves(4);
        assert_eq!(SparseTree::from_parts(4, vec![0..2, 2..4], all.clone(), vec![]), None);
        let reversed = Range { start: 3, end: 1 };
        assert_eq!(SparseTree::from_parts(4, vec![reversed], vec![], vec![]), None);
        assert_eq!(SparseTree::from_parts(4, vec![], vec![], vec![B256::ZERO]), None);
        assert_eq!(SparseTree::from_parts(0, vec![], vec![], vec![]), None);
    }

    #[test]
    fn a_piece_needs_the_proof_of_its_shape() {
        let all = leaves(5);
        assert!(SparseTree::of_range(all[1..3].to_vec(), 1, 5, &[]).is_err());
        assert!(SparseTree::of_range(all[1..3].to_vec(), 4, 5, &[]).is_err());
        assert!(SparseTree::of_range(vec![], 1, 5, &[]).is_err());
        assert!(SparseTree::of_range(all, usize::MAX, 5, &[]).is_err());
    }
}
