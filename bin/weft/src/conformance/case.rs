//! One case: its blocks through the engine, the choice of the head, and what came of it.

use super::{chain, compare, decode, fixture::Case};
use alloy_primitives::{B256, U256, map::B256Map};
use std::{path::Path, sync::Arc};
use weft_chainspec::ChainSpec;
use weft_engine::{Engine, EngineConfig, EngineError, ForkchoiceState, PayloadStatus};
use weft_evm::rules;
use weft_storage::{StorageError, Store, StoreOptions};

/// Block cache of one case's database in bytes; no case has a state that needs more.
const CACHE_BYTES: usize = 4 << 20;

/// Why a case did not pass.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// The node does not have what the case is about.
    #[error("{0}")]
    Unsupported(String),
    /// Its chain could not be made.
    #[error(transparent)]
    Chain(chain::ChainError),
    /// A block that must be refused was not.
    #[error("block {0} was accepted, it must be refused")]
    Accepted(usize),
    /// A block that is valid was refused.
    #[error("block {0} was refused: {1}")]
    Refused(usize, String),
    /// Another head.
    #[error("head is {have}, must be {want}")]
    Head {
        /// In the database.
        have: B256,
        /// In the file.
        want: B256,
    },
    /// Another state.
    #[error(transparent)]
    State(Box<compare::Difference>),
    /// The node itself failed.
    #[error("engine: {0:?}")]
    Engine(Box<EngineError>),
    /// The database failed.
    #[error("storage: {0:?}")]
    Storage(#[from] StorageError),
    /// No folder for the database.
    #[error("temporary folder: {0}")]
    Folder(#[from] std::io::Error),
}

impl From<compare::Difference> for CaseError {
    fn from(difference: compare::Difference) -> Self {
        Self::State(Box::new(difference))
    }
}

impl From<EngineError> for CaseError {
    fn from(error: EngineError) -> Self {
        Self::Engine(Box::new(error))
    }
}

/// Runs a case in a new database.
pub fn run(case: &Case) -> Result<(), CaseError> {
    let spec = match chain::chain(case) {
        Ok(spec) => Arc::new(spec),
        Err(chain::ChainError::Network(reason)) => return Err(CaseError::Unsupported(reason.to_string())),
        Err(error) => return Err(CaseError::Chain(error)),
    };
    let folder = tempfile::Builder::new().prefix("weft-ef-").tempdir_in(memory_folder())?;
    let options = StoreOptions { cache_bytes: CACHE_BYTES, disk_reserve_bytes: 0, ..Default::default() };
    let store = Store::open(folder.path(), options)?;
    let mut chain = Chain::new(spec, store.clone())?;
    for (index, block) in case.blocks.iter().enumerate() {
        match (chain.import(&block.rlp)?, block.must_fail()) {
            (Ok(()), true) => return Err(CaseError::Accepted(index)),
            (Err(reason), false) => return Err(CaseError::Refused(index, reason)),
            _ => (),
        }
    }
    let have = store.view().head()?.hash;
    if have != case.lastblockhash {
        return Err(CaseError::Head { have, want: case.lastblockhash });
    }
    compare::state(&store.view(), case)?;
    Ok(())
}

/// A folder in memory where there is one: cases are many and small, and what they prove does not depend on the disk.
fn memory_folder() -> std::path::PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

/// The engine and what a consensus layer knows beside it.
struct Chain {
    spec: Arc<ChainSpec>,
    engine: Engine,
    /// Total difficulty of every valid block.
    total: B256Map<U256>,
    head: B256,
}

impl Chain {
    fn new(spec: Arc<ChainSpec>, store: Store) -> Result<Self, CaseError> {
        let engine = Engine::new(spec.clone(), store, None, EngineConfig::default())?;
        let genesis = spec.genesis_header();
        let total = B256Map::from_iter([(genesis.hash(), genesis.difficulty)]);
        let head = genesis.hash();
        Ok(Self { spec, engine, total, head })
    }

    /// Gives a block to the engine and makes it the head where it is the best. The inner error: why it was refused.
    fn import(&mut self, rlp: &str) -> Result<Result<(), String>, CaseError> {
        let block = match decode::block(rlp) {
            Ok(block) => block,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let header = block.header.clone();
        let Some(parent_total) = self.total.get(&header.parent_hash).copied() else {
            return Ok(Err("unknown parent".to_owned()));
        };
        // The engine does not know total difficulties, as no execution client does any more.
        if let Err(rule) = rules::check_terminal_difficulty(&self.spec, &header, parent_total) {
            return Ok(Err(rule.to_string()));
        }
        match self.engine.new_payload(block)? {
            PayloadStatus::Valid { .. } => (),
            PayloadStatus::Invalid { reason, .. } => return Ok(Err(reason)),
            other => return Ok(Err(format!("{other:?}"))),
        }
        let total = parent_total.saturating_add(header.difficulty);
        self.total.insert(header.hash(), total);
        let best = self.total.get(&self.head).copied().unwrap_or_default();
        if header.difficulty.is_zero() || total > best {
            self.head = header.hash();
            let choice = ForkchoiceState { head: self.head, safe: None, finalized: None };
            let (status, _) = self.engine.forkchoice_updated(choice)?;
            if !status.is_valid() {
                return Ok(Err(format!("forkchoice: {status:?}")));
            }
        }
        Ok(Ok(()))
    }
}
