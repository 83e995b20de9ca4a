//! Deep hash: Arweave's SHA-384 over nested lists of byte strings, what format-2 transactions and data items sign.
//!
//! A blob is `H(H("blob" ‖ length) ‖ H(bytes))`; a list starts with `H("list" ‖ count)` and folds each element
//! in with `H(accumulator ‖ element)`; numbers are decimal text.

use sha2::{Digest, Sha384};

/// A deep hash.
pub type Hash = [u8; 48];

/// What is hashed.
pub enum Node<'a> {
    /// A byte string.
    Blob(&'a [u8]),
    /// The deep hash of a byte string that was hashed as a stream, see [`BlobHasher`].
    Hashed(Hash),
    /// A list.
    List(Vec<Node<'a>>),
}

/// The deep hash of a tree. Recursion is as deep as the tree, which callers build themselves.
pub fn deep_hash(node: &Node<'_>) -> Hash {
    match node {
        Node::Blob(bytes) => {
            let mut hasher = BlobHasher::default();
            hasher.update(bytes);
            hasher.finish()
        }
        Node::Hashed(hash) => *hash,
        Node::List(nodes) => {
            let start: Hash = Sha384::digest(format!("list{}", nodes.len())).into();
            nodes.iter().fold(start, |accumulator, node| pair(&accumulator, &deep_hash(node)))
        }
    }
}

/// Hashes a byte string as it comes, in constant memory.
#[derive(Default, Clone)]
pub struct BlobHasher {
    bytes: Sha384,
    length: u64,
}

impl BlobHasher {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.bytes.update(bytes);
        self.length += bytes.len() as u64;
    }

    /// The deep hash of all bytes.
    pub fn finish(self) -> Hash {
        let tag: Hash = Sha384::digest(format!("blob{}", self.length)).into();
        pair(&tag, &self.bytes.finalize().into())
    }
}

fn pair(left: &Hash, right: &Hash) -> Hash {
    Sha384::new().chain_update(left).chain_update(right).finalize().into()
}
