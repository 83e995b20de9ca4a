//! The Merkle tree over a transaction's chunks: `data_root`, and the paths that prove a chunk.
//!
//! Leaf: `H(H(chunk hash) ‖ H(end))`; branch: `H(H(left) ‖ H(right) ‖ H(end of left))`; H is SHA-256, an end is a
//! 32-byte big-endian offset. A path is, from the root down, `left ‖ right ‖ end of left` (96 bytes) per branch and
//! `chunk hash ‖ end` (64 bytes) for the leaf.
//!
//! Which lies are possible here: a path proves that a chunk with these bytes ends at this offset under this root. That
//! the root is the one that was signed, and that the transaction was mined, is proven elsewhere. Offsets in a path
//! are the prover's word until they are hashed; every one is held against the bounds that its parents left for it.

use crate::{DataRoot, FormatError};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::ops::Range;

/// Most bytes of a chunk.
pub const CHUNK_BYTES_MAX: usize = 256 * 1024;
/// Least bytes of the last two chunks of data that has more than one: a shorter rest is shared between them.
pub const CHUNK_BYTES_MIN: usize = 32 * 1024;
/// Most bytes of a path that the network accepts.
pub const DATA_PATH_BYTES_MAX: usize = 256 * 1024;

const HASH_BYTES: usize = 32;
const BRANCH_BYTES: usize = 3 * HASH_BYTES;
const LEAF_BYTES: usize = 2 * HASH_BYTES;

/// A chunk's place, cut here or proven by a path: its hash and the part of the data that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// SHA-256 of its bytes (in a block's tree of transactions: the transaction's data root).
    pub hash: [u8; 32],
    /// The part of the data.
    pub range: Range<u64>,
}

/// All chunks of some data with the tree above them. About 110 bytes per chunk: 0.5 GB for 1 TB of data.
#[derive(Clone, Debug)]
pub struct ChunkTree {
    chunks: Vec<Chunk>,
    /// Layer 0 are the leaves, the last layer is the root alone. May have one leaf more than there are chunks: an empty
    /// one, where the data is empty or a multiple of the chunk size.
    layers: Vec<Vec<TreeNode>>,
    size: u64,
}

#[derive(Clone, Copy, Debug)]
struct TreeNode {
    id: [u8; 32],
    end: u64,
}

impl ChunkTree {
    /// The tree over data in memory.
    pub fn of(data: &[u8]) -> Self {
        let mut builder = ChunkTreeBuilder::default();
        builder.push(data);
        builder.finish()
    }

    /// The tree over leaves that follow one another from 0 without gaps: a block's tree of transactions.
    pub fn over(leaves: Vec<Chunk>) -> Self {
        let size = leaves.last().map_or(0, |leaf| leaf.range.end);
        Self { layers: layers_over(&leaves), chunks: leaves, size }
    }

    /// The root that is signed. Of no data it is a root as well, but a transaction without data has none.
    pub fn root(&self) -> DataRoot {
        DataRoot(self.layers.last().and_then(|layer| layer.first()).map_or([0; 32], |node| node.id))
    }

    /// Bytes of data.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The chunks to upload, none of them empty.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// The path of a chunk; nothing past the last one.
    pub fn path(&self, index: usize) -> Option<Bytes> {
        let chunk = self.chunks.get(index)?;
        let mut branches = Vec::new();
        let mut at = index;
        for layer in &self.layers[..self.layers.len() - 1] {
            let left = at & !1;
            // A node without a sibling goes up as it is.
            if let Some(right) = layer.get(left + 1) {
                branches.push(branch_bytes(&layer[left].id, &right.id, layer[left].end));
            }
            at /= 2;
        }
        let mut path = Vec::with_capacity(branches.len() * BRANCH_BYTES + LEAF_BYTES);
        branches.iter().rev().for_each(|branch| path.extend_from_slice(branch));
        path.extend_from_slice(&chunk.hash);
        path.extend_from_slice(&note(chunk.range.end));
        Some(path.into())
    }
}

/// Builds a [`ChunkTree`] from data that comes in pieces. Holds less than 576 KiB of it (two chunks and a rest).
#[derive(Default)]
pub struct ChunkTreeBuilder {
    pending: Vec<u8>,
    chunks: Vec<Chunk>,
    size: u64,
}

impl ChunkTreeBuilder {
    /// Takes the next bytes.
    pub fn push(&mut self, mut data: &[u8]) {
        // A full chunk is certain once so much follows it that the rest need not be shared.
        const CERTAIN: usize = CHUNK_BYTES_MAX + CHUNK_BYTES_MIN;
        while !data.is_empty() {
            let (now, later) = data.split_at(data.len().min(CERTAIN - self.pending.len()));
            self.pending.extend_from_slice(now);
            data = later;
            if self.pending.len() == CERTAIN {
                self.cut(CHUNK_BYTES_MAX);
            }
        }
    }

    /// The tree over everything pushed.
    pub fn finish(mut self) -> ChunkTree {
        while self.pending.len() >= CHUNK_BYTES_MAX {
            self.cut(cut_length(self.pending.len() as u64) as usize);
        }
        // The last leaf may be empty; it is in the tree, though there is no chunk to upload.
        self.cut(self.pending.len());
        let layers = layers_over(&self.chunks);
        self.chunks.retain(|chunk| !chunk.range.is_empty());
        ChunkTree { chunks: self.chunks, layers, size: self.size }
    }

    fn cut(&mut self, length: usize) {
        let start = self.size;
        self.size += length as u64;
        let hash = Sha256::digest(&self.pending[..length]).into();
        self.chunks.push(Chunk { hash, range: start..self.size });
        self.pending.drain(..length);
    }
}

/// Bytes of the next chunk when `rest` bytes are left: all that fits, or half, so that no short rest remains.
fn cut_length(rest: u64) -> u64 {
    let (min, max) = (CHUNK_BYTES_MIN as u64, CHUNK_BYTES_MAX as u64);
    match rest.checked_sub(max) {
        None => rest,
        Some(tail) if tail > 0 && tail < min => rest.div_ceil(2),
        Some(_) => max,
    }
}

/// Where the chunks of `size` bytes begin, by the rule that this crate and all common tools cut by.
pub fn chunk_starts(size: u64) -> impl Iterator<Item = u64> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        at += cut_length(size - start);
        (start < size).then_some(start)
    })
}

fn layers_over(chunks: &[Chunk]) -> Vec<Vec<TreeNode>> {
    let leaf =
        |chunk: &Chunk| TreeNode { id: leaf_id(&chunk.hash, &note(chunk.range.end)), end: chunk.range.end };
    let mut layers = vec![chunks.iter().map(leaf).collect::<Vec<_>>()];
    while let Some(below) = layers.last().filter(|layer| layer.len() > 1) {
        let above = below.chunks(2).map(join).collect();
        layers.push(above);
    }
    layers
}

fn join(pair: &[TreeNode]) -> TreeNode {
    match pair {
        [left, right] => TreeNode { id: branch_id(&left.id, &right.id, &note(left.end)), end: right.end },
        _ => pair[0],
    }
}

/// Walks `path` from `root` to the leaf that holds byte `offset` of `size`. The path is used up, every offset lies
/// within its parent's bounds, and the leaf ends where its parents say.
pub fn verify_path(root: &[u8; 32], size: u64, offset: u64, path: &[u8]) -> Result<Chunk, FormatError> {
    if offset >= size {
        return Err(FormatError::Proof("the offset is past the end of the data"));
    }
    if path.len() > DATA_PATH_BYTES_MAX {
        return Err(FormatError::TooLarge {
            field: "bytes of a path",
            found: path.len() as u64,
            max: DATA_PATH_BYTES_MAX as u64,
        });
    }
    let (mut expected, mut bounds, mut rest) = (*root, 0..size, path);
    while let Some((branch, tail)) =
        rest.split_first_chunk::<BRANCH_BYTES>().filter(|_| rest.len() > LEAF_BYTES)
    {
        let (left, right, middle) = (part(branch, 0), part(branch, 1), part(branch, 2));
        if branch_id(&left, &right, &middle) != expected {
            return Err(FormatError::Proof("a branch does not hash to what its parent names"));
        }
        let middle = note_value(&middle)?;
        if middle <= bounds.start || middle > bounds.end {
            return Err(FormatError::Proof("a branch divides outside of its bounds"));
        }
        (expected, bounds) =
            if offset < middle { (left, bounds.start..middle) } else { (right, middle..bounds.end) };
        rest = tail;
    }
    let leaf: &[u8; LEAF_BYTES] =
        rest.try_into().map_err(|_| FormatError::Proof("not a whole number of branches and a leaf"))?;
    let (hash, end) = (part(leaf, 0), part(leaf, 1));
    if leaf_id(&hash, &end) != expected {
        return Err(FormatError::Proof("the leaf does not hash to what its parent names"));
    }
    if note_value(&end)? != bounds.end {
        return Err(FormatError::Proof("the leaf does not end where its parents say"));
    }
    Ok(Chunk { hash, range: bounds })
}

/// [`verify_path`], and that `chunk` are the bytes that the leaf names.
pub fn verify_chunk(
    root: &DataRoot,
    size: u64,
    offset: u64,
    path: &[u8],
    chunk: &[u8],
) -> Result<Range<u64>, FormatError> {
    let proven = verify_path(&root.0, size, offset, path)?;
    if chunk.len() > CHUNK_BYTES_MAX || proven.range.end - proven.range.start != chunk.len() as u64 {
        return Err(FormatError::Proof("the chunk has another length than its leaf"));
    }
    if Sha256::digest(chunk)[..] != proven.hash {
        return Err(FormatError::Proof("the chunk does not hash to its leaf"));
    }
    Ok(proven.range)
}

fn part<const N: usize>(bytes: &[u8; N], index: usize) -> [u8; 32] {
    let mut part = [0; 32];
    part.copy_from_slice(&bytes[index * HASH_BYTES..(index + 1) * HASH_BYTES]);
    part
}

fn note(offset: u64) -> [u8; 32] {
    let mut note = [0; 32];
    note[24..].copy_from_slice(&offset.to_be_bytes());
    note
}

fn note_value(note: &[u8; 32]) -> Result<u64, FormatError> {
    let (high, low) = note.split_at(24);
    match <[u8; 8]>::try_from(low) {
        Ok(low) if high.iter().all(|byte| *byte == 0) => Ok(u64::from_be_bytes(low)),
        _ => Err(FormatError::Proof("an offset over 2^64")),
    }
}

fn branch_bytes(left: &[u8; 32], right: &[u8; 32], middle: u64) -> [u8; BRANCH_BYTES] {
    let mut bytes = [0; BRANCH_BYTES];
    bytes[..32].copy_from_slice(left);
    bytes[32..64].copy_from_slice(right);
    bytes[64..].copy_from_slice(&note(middle));
    bytes
}

fn leaf_id(hash: &[u8; 32], end: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(Sha256::digest(hash)).chain_update(Sha256::digest(end)).finalize().into()
}

fn branch_id(left: &[u8; 32], right: &[u8; 32], middle: &[u8; 32]) -> [u8; 32] {
    Sha256::new()
        .chain_update(Sha256::digest(left))
        .chain_update(Sha256::digest(right))
        .chain_update(Sha256::digest(middle))
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn data(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
    }

    const KIB: usize = 1024;

    #[test]
    fn chunks_follow_the_rule_of_32_and_256_kib() {
        let cases: &[(usize, &[usize])] = &[
            (0, &[]),
            (1, &[1]),
            (256 * KIB - 1, &[256 * KIB - 1]),
            (256 * KIB, &[256 * KIB]),
            (256 * KIB + 1, &[128 * KIB + 1, 128 * KIB]),
            (288 * KIB - 1, &[144 * KIB, 144 * KIB - 1]),
            (288 * KIB, &[256 * KIB, 32 * KIB]),
            (512 * KIB, &[256 * KIB, 256 * KIB]),
            (513 * KIB, &[256 * KIB, 257 * KIB / 2, 257 * KIB / 2]),
        ];
        for (length, expected) in cases {
            let tree = ChunkTree::of(&data(*length));
            let lengths: Vec<_> =
                tree.chunks().iter().map(|chunk| (chunk.range.end - chunk.range.start) as usize).collect();
            assert_eq!(lengths, *expected, "{length} bytes");
            let starts: Vec<_> = tree.chunks().iter().map(|chunk| chunk.range.start).collect();
            assert_eq!(chunk_starts(*length as u64).collect::<Vec<_>>(), starts);
            assert_eq!(tree.size(), *length as u64);
        }
    }

    #[test]
    fn every_chunk_is_proven_at_each_of_its_ends_and_nowhere_else() {
        for length in [1, 256 * KIB, 256 * KIB + 1, 1000 * KIB, 7 * 256 * KIB + 5] {
            let data = data(length);
            let tree = ChunkTree::of(&data);
            for (index, chunk) in tree.chunks().iter().enumerate() {
                let path = tree.path(index).unwrap();
                let bytes = &data[chunk.range.start as usize..chunk.range.end as usize];
                for offset in [chunk.range.start, chunk.range.end - 1] {
                    let range = verify_chunk(&tree.root(), tree.size(), offset, &path, bytes).unwrap();
                    assert_eq!(range, chunk.range);
                }
                let beyond = chunk.range.end;
                assert!(verify_chunk(&tree.root(), tree.size(), beyond, &path, bytes).is_err());
                assert!(
                    verify_chunk(&tree.root(), tree.size(), chunk.range.start, &path, &bytes[1..]).is_err()
                );
            }
            assert!(tree.path(tree.chunks().len()).is_none());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn pieces_give_the_root_of_the_whole(
            length in 0..1_300_000_usize,
            cuts in prop::collection::vec(1..400_000_usize, 1..8),
        ) {
            let data = data(length);
            let mut builder = ChunkTreeBuilder::default();
            let (mut rest, mut cuts) = (&data[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                builder.push(now);
                rest = later;
            }
            let tree = builder.finish();
            prop_assert_eq!(tree.root(), ChunkTree::of(&data).root());
            prop_assert_eq!(tree.size(), length as u64);
        }

        #[test]
        fn an_altered_path_is_refused(at: prop::sample::Index, bit in 0..8_u32, which in 0..5_usize) {
            let data = data(1_200_000);
            let tree = ChunkTree::of(&data);
            let mut path = tree.path(which).unwrap().to_vec();
            let at = at.index(path.len());
            path[at] ^= 1 << bit;
            let offset = tree.chunks()[which].range.start;
            prop_assert!(verify_path(&tree.root().0, tree.size(), offset, &path).is_err());
        }

        #[test]
        fn any_bytes_are_refused(root: [u8; 32], path in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(verify_path(&root, 1000, 3, &path).is_err());
        }
    }
}
