//! Finding blocks and transactions: block ids to numbers, hashes to positions, calldata to bytes.

use crate::{BlockDigest, RpcContext, RpcError, digest, pending::pending_block};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Bytes, TxHash};
use std::sync::Arc;
use weft_archive::Source;
use weft_primitives::{HashedPostState, SealedHeader, Transaction};
use weft_storage::{StoredTransaction, View};

/// The canonical number that `id` stands for; `None` when there is no such block (yet).
///
/// `pending` is the head here; who can answer from a pending block asks [`block`] or [`Place`](crate::place::Place).
/// `safe` and `finalized` are errors while none is known, as in geth.
pub fn block_number(view: &View<'_>, id: BlockId) -> Result<Option<u64>, RpcError> {
    match id {
        BlockId::Hash(hash) => Ok(view.block_number(hash.block_hash)?),
        BlockId::Number(tag) => tag_number(view, tag),
    }
}

/// The canonical number that `tag` stands for.
pub fn tag_number(view: &View<'_>, tag: BlockNumberOrTag) -> Result<Option<u64>, RpcError> {
    let head = view.head()?.number;
    Ok(match tag {
        BlockNumberOrTag::Latest | BlockNumberOrTag::Pending => Some(head),
        BlockNumberOrTag::Earliest => Some(0),
        BlockNumberOrTag::Number(number) => (number <= head).then_some(number),
        BlockNumberOrTag::Safe => {
            Some(view.safe()?.ok_or_else(|| RpcError::Rejected("safe block not found".to_owned()))?.number)
        }
        BlockNumberOrTag::Finalized => Some(
            view.finalized()?
                .ok_or_else(|| RpcError::Rejected("finalized block not found".to_owned()))?
                .number,
        ),
    })
}

/// Like [`block_number`] for queries of state, where an unknown block is an error.
pub fn state_number(view: &View<'_>, id: Option<BlockId>) -> Result<u64, RpcError> {
    let id = id.unwrap_or_default();
    match block_number(view, id)? {
        Some(number) => Ok(number),
        None if matches!(id, BlockId::Hash(_)) => {
            Err(RpcError::Rejected("header for hash not found".to_owned()))
        }
        None => Err(RpcError::HeaderNotFound),
    }
}

/// What turns the head's tries into those after block `number`, for proofs and state roots of the past.
///
/// The tries of past blocks are not kept: they are the head's with every change since taken back in memory, so
/// distance costs one read per block and per changed key. Both are bounded: blocks by
/// [`RpcConfig::proof_window`](crate::RpcConfig), keys by [`RpcConfig::proof_keys_max`](crate::RpcConfig).
pub fn revert_state(context: &RpcContext, view: &View<'_>, number: u64) -> Result<HashedPostState, RpcError> {
    let window = context.config.proof_window;
    let distance = view.head()?.number.saturating_sub(number);
    if distance > window {
        return Err(RpcError::InvalidParams(format!(
            "block {number} is {distance} blocks behind the head, and the proof window is {window} blocks"
        )));
    }
    view.revert_state_within(number, context.config.proof_keys_max)?.ok_or_else(|| {
        RpcError::Limit(format!(
            "more than {} accounts and slots have changed since block {number}: ask for a newer block",
            context.config.proof_keys_max
        ))
    })
}

/// The header of an existing block.
pub fn header(view: &View<'_>, number: u64) -> Result<SealedHeader, RpcError> {
    view.header(number)?.ok_or(RpcError::HeaderNotFound)
}

/// The block of `id` without calldata; the pending one, too.
pub fn block(
    context: &RpcContext,
    view: &View<'_>,
    id: BlockId,
) -> Result<Option<Arc<BlockDigest>>, RpcError> {
    if id == BlockId::Number(BlockNumberOrTag::Pending)
        && let Some(pending) = pending_block(context, view)?
    {
        return Ok(Some(Arc::clone(&pending.digest)));
    }
    match block_number(view, id)? {
        Some(number) => context.digest(view, number),
        None => Ok(None),
    }
}

/// Where an included transaction is, with its block.
pub fn find_transaction(
    context: &RpcContext,
    view: &View<'_>,
    hash: TxHash,
) -> Result<Option<(Arc<BlockDigest>, usize)>, RpcError> {
    let Some(position) = view.tx_position(hash)? else { return Ok(None) };
    let Some(digest) = context.digest(view, position.block)? else { return Ok(None) };
    let index = usize::try_from(position.index).map_err(RpcError::internal)?;
    Ok((index < digest.transactions.len()).then_some((digest, index)))
}

/// The whole transaction: from the digest, else from the body, else from its columns.
pub fn whole_transaction(
    context: &RpcContext,
    view: &View<'_>,
    block: &BlockDigest,
    index: usize,
) -> Result<Transaction, RpcError> {
    if let Some(pooled) = block.pooled(index) {
        return Ok(pooled.tx.clone());
    }
    let (hash, _) = block.transactions[index];
    if let Some(digest) = block.known_transaction(index)
        && digest.is_whole()
    {
        return Ok(digest.tx.clone());
    }
    let stored =
        view.transaction(digest::position(&block.header, index)?)?.ok_or(RpcError::HeaderNotFound)?;
    let input = match &stored {
        StoredTransaction::Whole(_) => Bytes::new(),
        StoredTransaction::Dropped { .. } => blob(context, hash)?,
    };
    // The hash is known: it is set, not computed again over the whole calldata.
    stored
        .with_input(hash, input)
        .ok_or_else(|| RpcError::internal(format!("transaction {hash} is malformed on disk")))
}

fn blob(context: &RpcContext, hash: TxHash) -> Result<Bytes, RpcError> {
    let blob = context.parts.retriever.blob(hash, None, Source::Any)?;
    blob.ok_or_else(|| RpcError::internal(format!("transaction {hash} has neither body nor blob")))
}

/// The EIP-2718 bytes of an included transaction.
pub fn encoded_transaction(
    context: &RpcContext,
    view: &View<'_>,
    block: &BlockDigest,
    index: usize,
) -> Result<Bytes, RpcError> {
    use alloy_eips::eip2718::Encodable2718;
    if let Some(pooled) = block.pooled(index) {
        return Ok(pooled.encoded.clone());
    }
    if let Some(StoredTransaction::Whole(bytes)) =
        view.transaction(digest::position(&block.header, index)?)?
    {
        return Ok(bytes);
    }
    Ok(whole_transaction(context, view, block, index)?.encoded_2718().into())
}
