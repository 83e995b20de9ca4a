//! The state that the EVM reads, and how a failure to read it is kept apart from an invalid block.
//!
//! alloy-evm turns some database errors (in system calls, in balance increments) into "block is invalid". A node that
//! believed it would refuse a good block for ever because its disk hiccuped once. So every failure is noted beside
//! the EVM, and the note decides.

use alloy_primitives::{Address, B256, U256};
use revm::{
    Database, DatabaseRef,
    database_interface::DBErrorMarker,
    state::{AccountInfo, Bytecode},
};
use std::{
    error::Error,
    fmt::Debug,
    sync::{Arc, OnceLock},
};

/// State after some block. Storage's reader is one; so is any revm database by reference.
///
/// An account that has storage but neither code nor nonce must be given with a **zero code hash** (not keccak of
/// nothing): that is how a contract creation there fails (EIP-7610), since revm has no other word for it.
pub trait StateSource: DatabaseRef<Error: Error + Send + Sync + 'static> + Debug {}

impl<T: DatabaseRef<Error: Error + Send + Sync + 'static> + Debug> StateSource for T {}

/// Reading the state failed. Says nothing about the block.
#[derive(Clone, Debug, thiserror::Error)]
#[error("state: {0}")]
pub struct StateFailure(#[source] Arc<dyn Error + Send + Sync>);

impl StateFailure {
    /// A failure that the caller met.
    pub fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }
}

impl DBErrorMarker for StateFailure {}

/// Where the first failure is noted.
pub(crate) type Note = Arc<OnceLock<StateFailure>>;

/// A state whose failures are noted.
#[derive(Debug)]
pub struct Watched<DB> {
    state: DB,
    note: Note,
}

impl<DB: StateSource> Watched<DB> {
    pub(crate) fn new(state: DB) -> (Self, Note) {
        let note = Note::default();
        (Self { state, note: note.clone() }, note)
    }

    fn watch<T>(&self, result: Result<T, DB::Error>) -> Result<T, StateFailure> {
        result.map_err(|error| self.note.get_or_init(|| StateFailure::new(error)).clone())
    }
}

impl<DB: StateSource> Database for Watched<DB> {
    type Error = StateFailure;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, StateFailure> {
        self.watch(self.state.basic_ref(address))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, StateFailure> {
        if code_hash.is_zero() {
            return Ok(Bytecode::default());
        }
        self.watch(self.state.code_by_hash_ref(code_hash))
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, StateFailure> {
        self.watch(self.state.storage_ref(address, index))
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateFailure> {
        self.watch(self.state.block_hash_ref(number))
    }
}
