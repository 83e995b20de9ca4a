//! Polling: `eth_newFilter` and its kin.

use super::logs::{append, matches_bloom, parse_filter, query};
use crate::{
    Args, BlockDigest, JournalEntry, Registrar, RpcContext, RpcError,
    filters::{FilterKind, Installed},
    types::{RpcTransaction, pending_transaction},
};
use alloy_primitives::{B256, TxHash};
use alloy_rpc_types_eth::{Filter, Log};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::{sync::Arc, time::Instant};
use weft_primitives::BlockNumHash;
use weft_storage::View;

/// Registers the methods.
pub fn register(registrar: &mut Registrar) {
    registrar.quick("eth_newFilter", 1, |context, args| {
        let filter = parse_filter(context, args, 0)?;
        if let (Some(from), Some(to)) = (filter.get_from_block(), filter.get_to_block())
            && from > to
        {
            return Err(RpcError::InvalidParams("invalid block range params".to_owned()));
        }
        Ok(install(context, FilterKind::Logs(Arc::new(filter)), context.head.position()))
    });
    registrar.quick("eth_newBlockFilter", 0, |context, _| {
        Ok(install(context, FilterKind::Blocks, context.head.position()))
    });
    registrar.quick("eth_newPendingTransactionFilter", 1, |context, args| {
        let full = args.optional(0)?.unwrap_or(false);
        Ok(install(context, FilterKind::Pending { full }, context.head.pending_position()))
    });
    registrar.quick("eth_uninstallFilter", 1, |context, args| {
        Ok(context.filters.uninstall(args.required::<FilterId>(0)?.0))
    });
    registrar.execute("eth_getFilterChanges", 1, changes);
    registrar.execute("eth_getFilterLogs", 1, filter_logs);
}

/// A filter's id on the wire: a hex quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FilterId(u128);

impl Serialize for FilterId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.0))
    }
}

impl<'de> Deserialize<'de> for FilterId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits =
            text.strip_prefix("0x").ok_or_else(|| D::Error::custom("filter id without 0x prefix"))?;
        u128::from_str_radix(digits, 16).map(Self).map_err(D::Error::custom)
    }
}

/// What a poll answers.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Changes {
    Hashes(Vec<B256>),
    Transactions(Vec<RpcTransaction>),
    Logs(Vec<Log>),
}

fn install(context: &RpcContext, kind: FilterKind, position: u64) -> FilterId {
    FilterId(context.filters.install(kind, position, Instant::now()))
}

fn gone() -> RpcError {
    RpcError::Rejected("filter not found".to_owned())
}

fn changes(context: &RpcContext, args: &Args<'_>) -> Result<Changes, RpcError> {
    let id: FilterId = args.required(0)?;
    let Installed { kind, position, .. } = context.filters.poll(id.0, Instant::now()).ok_or_else(gone)?;
    let (changes, end) = match kind {
        FilterKind::Blocks => {
            let (entries, end) = since(context, id, position)?;
            (Changes::Hashes(entries.iter().filter_map(committed_hash).collect()), end)
        }
        FilterKind::Pending { full } => {
            let (hashes, end) = context.head.pending_since(position).ok_or_else(|| forget(context, id))?;
            (
                if full { Changes::Transactions(pooled(context, &hashes)) } else { Changes::Hashes(hashes) },
                end,
            )
        }
        FilterKind::Logs(filter) => {
            let (entries, end) = since(context, id, position)?;
            (Changes::Logs(journal_logs(context, &filter, &entries)?), end)
        }
    };
    // Only after the answer is made: a failed poll can be repeated.
    context.filters.advance(id.0, end);
    Ok(changes)
}

fn since(context: &RpcContext, id: FilterId, position: u64) -> Result<(Vec<JournalEntry>, u64), RpcError> {
    context.head.since(position).ok_or_else(|| forget(context, id))
}

/// Its position fell off the journal: what it missed cannot be told any more.
fn forget(context: &RpcContext, id: FilterId) -> RpcError {
    context.filters.uninstall(id.0);
    gone()
}

fn committed_hash(entry: &JournalEntry) -> Option<B256> {
    match entry {
        JournalEntry::Committed { block, .. } => Some(block.hash),
        JournalEntry::Reverted(_) => None,
    }
}

fn pooled(context: &RpcContext, hashes: &[TxHash]) -> Vec<RpcTransaction> {
    let whole = |hash: &TxHash| {
        context.parts.pool.get(*hash).map(|pooled| pending_transaction(pooled.tx.clone(), pooled.sender))
    };
    hashes.iter().filter_map(whole).collect()
}

/// Matching logs of the journal's blocks in order; those of reverted blocks as removed.
fn journal_logs(
    context: &RpcContext,
    filter: &Filter,
    entries: &[JournalEntry],
) -> Result<Vec<Log>, RpcError> {
    let view = context.view();
    let mut logs = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        match entry {
            JournalEntry::Reverted(digest) => append(context, digest, filter, true, &mut logs)?,
            JournalEntry::Committed { block, bloom }
                if filter.matches_block(block) && matches_bloom(filter, **bloom) =>
            {
                if let Some(digest) = journal_digest(context, &view, *block, &entries[at..])? {
                    append(context, &digest, filter, false, &mut logs)?;
                }
            }
            JournalEntry::Committed { .. } => {}
        }
    }
    Ok(logs)
}

/// A committed block's digest: remembered, canonical on disk, or in the entry that reverts it.
fn journal_digest(
    context: &RpcContext,
    view: &View<'_>,
    block: BlockNumHash,
    later: &[JournalEntry],
) -> Result<Option<Arc<BlockDigest>>, RpcError> {
    if let Some(digest) = context.head.digest(block.hash) {
        return Ok(Some(digest));
    }
    if view.canonical_hash(block.number)? == Some(block.hash) {
        return context.digest(view, block.number);
    }
    Ok(later.iter().find_map(|entry| match entry {
        JournalEntry::Reverted(digest) if digest.header.hash() == block.hash => Some(Arc::clone(digest)),
        _ => None,
    }))
}

fn filter_logs(context: &RpcContext, args: &Args<'_>) -> Result<Vec<Log>, RpcError> {
    let id: FilterId = args.required(0)?;
    match context.filters.poll(id.0, Instant::now()).ok_or_else(gone)?.kind {
        FilterKind::Logs(filter) => query(context, &context.view(), &filter),
        _ => Err(gone()),
    }
}
