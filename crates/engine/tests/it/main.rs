//! The engine over the real store, trie, EVM and pool.

mod chain;
mod handle;
mod import;
mod overlay;
mod payload;
mod reorg;
mod restart;
