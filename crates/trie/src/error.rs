//! What can go wrong while a root or a proof is computed.

use alloy_primitives::B256;
use nybbles::Nibbles;
use weft_storage::StorageError;

/// Failure of a root or proof computation. Nothing is written by this crate, so nothing is half done.
#[derive(Debug, thiserror::Error)]
pub enum TrieError {
    /// The database could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A stored branch says that there is a stored node in the subtree at `path`, and there is none.
    /// The node tables are damaged; `verify_trie` tells where.
    #[error("a stored branch promises a node at or below path {path:?}, none is stored")]
    MissingNode {
        /// Where the node should be.
        path: Nibbles,
    },
    /// A branch is stored where only a leaf can be. The node tables are damaged.
    #[error("a branch is stored at path {path:?}, as long as a whole key")]
    NodeTooDeep {
        /// Where the node is.
        path: Nibbles,
    },
    /// The overlay changes storage of an account that it does not mention (see `HashedPostState::accounts`).
    #[error("overlay changes storage of {hashed_address} but not the account")]
    StorageWithoutAccount {
        /// Keccak of the address.
        hashed_address: B256,
    },
    /// An account's record carries another storage root than its slots have.
    #[error("storage root in the record of {hashed_address} is {recorded}, its slots give {computed}")]
    StorageRoot {
        /// Keccak of the address.
        hashed_address: B256,
        /// In the record.
        recorded: B256,
        /// From the slots.
        computed: B256,
    },
    /// There are slots of an account that is not there.
    #[error("there are slots of {hashed_address}, which is not an account")]
    OrphanSlots {
        /// Keccak of the address.
        hashed_address: B256,
    },
}
