//! Branch nodes: three masks, an optional root hash, and a hash per bit of the hash mask.

use super::{Malformed, Reader, Value};
use alloy_trie::{BranchNodeCompact, TrieMask};

impl Value for BranchNodeCompact {
    fn encode(&self, out: &mut Vec<u8>) {
        for mask in [self.state_mask, self.tree_mask, self.hash_mask] {
            out.extend_from_slice(&mask.get().to_be_bytes());
        }
        for hash in self.hashes.iter().chain(&self.root_hash) {
            out.extend_from_slice(hash.as_slice());
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        let (state, tree, hash) =
            (TrieMask::new(reader.u16()?), TrieMask::new(reader.u16()?), TrieMask::new(reader.u16()?));
        if !tree.is_subset_of(state) || !hash.is_subset_of(state) {
            return Err(Malformed("mask names a child that is not there"));
        }
        let hashes = (0..hash.count_ones()).map(|_| reader.b256()).collect::<Result<_, _>>()?;
        let root_hash = if reader.0.is_empty() { None } else { Some(reader.b256()?) };
        reader.finish()?;
        Ok(Self::new(state, tree, hash, hashes, root_hash))
    }
}
