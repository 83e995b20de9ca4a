//! Where a query of state looks: after a canonical block, or after the pending one.

use crate::{RpcContext, RpcError, chain, pending::PendingBlock};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, BlockNumber, Bytes, U256};
use revm::{DatabaseRef, bytecode::Bytecode, state::AccountInfo};
use std::sync::Arc;
use weft_primitives::{HashedPostState, SealedHeader};
use weft_storage::{StateReader, StorageError, View};

/// A block after which there is state.
#[derive(Clone, Debug)]
pub enum Place {
    /// The canonical block of that number.
    Canonical(BlockNumber),
    /// On top of the head.
    Pending(Arc<PendingBlock>),
}

impl Place {
    /// The place that `id` names, the head when there is none. What does not exist is an error.
    pub fn find(context: &RpcContext, view: &View<'_>, id: Option<BlockId>) -> Result<Self, RpcError> {
        if id == Some(BlockId::Number(BlockNumberOrTag::Pending))
            && let Some(block) = crate::pending::pending_block(context, view)?
        {
            return Ok(Self::Pending(block));
        }
        chain::state_number(view, id).map(Self::Canonical)
    }

    /// The block's header.
    pub fn header(&self, view: &View<'_>) -> Result<SealedHeader, RpcError> {
        match self {
            Self::Canonical(number) => chain::header(view, *number),
            Self::Pending(block) => Ok(block.digest.header.clone()),
        }
    }

    /// The state after it.
    pub fn state<'a>(&self, view: &'a View<'a>) -> Result<State<'a>, RpcError> {
        Ok(match self {
            Self::Canonical(number) => State { reader: view.state_at(*number)?, pending: None },
            Self::Pending(block) => {
                State { reader: view.state_at(view.head()?.number)?, pending: Some(Arc::clone(block)) }
            }
        })
    }

    /// What turns the head's tries into those after it.
    pub fn trie_overlay(&self, context: &RpcContext, view: &View<'_>) -> Result<HashedPostState, RpcError> {
        match self {
            Self::Canonical(number) => chain::revert_state(context, view, *number),
            Self::Pending(block) => Ok(weft_engine::hash_bundle(&block.changes).post),
        }
    }
}

/// State after some [`Place`].
#[derive(Clone, Debug)]
pub struct State<'a> {
    reader: StateReader<'a>,
    pending: Option<Arc<PendingBlock>>,
}

impl State<'_> {
    /// An account; absent ones are as empty ones.
    pub fn account(&self, address: Address) -> Result<AccountInfo, StorageError> {
        Ok(self.basic_ref(address)?.unwrap_or_default())
    }

    /// The code of an account.
    pub fn code(&self, address: Address) -> Result<Bytes, StorageError> {
        let account = self.account(address)?;
        Ok(match account.code {
            Some(code) => code.original_bytes(),
            None => self.code_by_hash_ref(account.code_hash)?.original_bytes(),
        })
    }

    /// A slot; zero where nothing is.
    pub fn slot(&self, address: Address, slot: B256) -> Result<U256, StorageError> {
        self.storage_ref(address, slot.into())
    }
}

impl DatabaseRef for State<'_> {
    type Error = StorageError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StorageError> {
        match self.pending.as_ref().and_then(|block| block.changes.account(&address)) {
            Some(account) => Ok(account.info.clone()),
            None => self.reader.basic_ref(address),
        }
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, StorageError> {
        match self.pending.as_ref().and_then(|block| block.changes.contracts.get(&code_hash)) {
            Some(code) => Ok(code.clone()),
            None => self.reader.code_by_hash_ref(code_hash),
        }
    }

    fn storage_ref(&self, address: Address, index: U256) -> Result<U256, StorageError> {
        let account = self.pending.as_ref().and_then(|block| block.changes.account(&address));
        match account.and_then(|account| account.storage_slot(index)) {
            Some(value) => Ok(value),
            None => self.reader.storage_ref(address, index),
        }
    }

    fn block_hash_ref(&self, number: BlockNumber) -> Result<B256, StorageError> {
        self.reader.block_hash_ref(number)
    }
}
