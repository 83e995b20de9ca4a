#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod change;
mod error;
mod layer;
mod leaves;
mod metrics;
mod proof;
mod scan;
mod source;
mod state_root;
mod subtree;
mod verify;
mod walk;

pub use error::TrieError;
pub use layer::RootSequence;
pub use leaves::{RebuiltNode, rebuild_nodes, state_root_from_leaves, state_root_of_leaves};
pub use proof::{AccountProof, SlotProof, prove};
pub use state_root::{genesis_root, state_root};
pub use verify::{Difference, TriePath, TrieReport, verify_trie};

#[cfg(test)]
mod tests;
