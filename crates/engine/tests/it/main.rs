//! The engine over the real store, trie, EVM and pool.

mod chain;
mod handle;
mod import;
mod overlay;
mod payload;
mod receipt_roots;
mod reorg;
mod restart;
