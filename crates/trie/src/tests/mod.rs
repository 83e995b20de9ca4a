//! The walk against two independent builds of the same tries: alloy-trie's `HashBuilder` over all leaves, and
//! `eth_trie`, on states kept in maps, with keys made to share prefixes.

mod cost;
mod memory;
mod oracle;
mod sequences;
mod shapes;
mod store;
mod verification;
