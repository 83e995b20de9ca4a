//! Block 0: its state from the genesis file, and the check that a data folder belongs to this chain.

use crate::EngineError;
use tracing::info;
use weft_chainspec::{ChainSpec, GenesisState};
use weft_storage::{BlockNumHash, Store};

/// Writes the genesis state into an empty store; refuses the store of another chain.
pub fn init_genesis(spec: &ChainSpec, store: &Store) -> Result<(), EngineError> {
    let header = spec.genesis_header();
    if let Some(found) = store.view().canonical_hash(0)? {
        return match found == header.hash() {
            true => Ok(()),
            false => Err(EngineError::OtherChain { found, expected: header.hash() }),
        };
    }
    let GenesisState { state, code } = spec.genesis_state();
    let (root, trie) = weft_trie::state_root(&store.view(), &state)?;
    if root != header.header().state_root {
        let block = BlockNumHash { number: 0, hash: header.hash() };
        return Err(EngineError::StateMismatch {
            block,
            computed: root,
            expected: header.header().state_root,
        });
    }
    store.commit_genesis(header, &state, &code, &trie)?;
    info!(target: "weft::engine", hash = %header.hash(), accounts = state.accounts.len(), "genesis written");
    Ok(())
}
