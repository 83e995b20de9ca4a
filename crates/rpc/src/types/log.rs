//! Logs with their place in the chain.

use crate::BlockDigest;
use alloy_primitives::TxHash;
use alloy_rpc_types_eth::Log;
use weft_primitives::SealedHeader;

/// The logs of transaction `index`; `removed` when its block is no longer canonical.
pub fn logs_of(block: &BlockDigest, index: usize, removed: bool) -> impl Iterator<Item = Log> + '_ {
    let first = block.first_log_index(index);
    let logs = block.receipts.get(index).map_or(&[][..], |receipt| &receipt.logs);
    let (hash, _) = block.transactions[index];
    logs.iter()
        .zip(first..)
        .map(move |(log, log_index)| log_at(&block.header, (index, hash), log, log_index, removed))
}

/// One log at its place: a transaction (its index and hash), log `log_index` of the block.
pub fn log_at(
    header: &SealedHeader,
    transaction: (usize, TxHash),
    log: &alloy_primitives::Log,
    log_index: u64,
    removed: bool,
) -> Log {
    Log {
        inner: log.clone(),
        block_hash: Some(header.hash()),
        block_number: Some(header.number),
        block_timestamp: Some(header.timestamp),
        transaction_hash: Some(transaction.1),
        transaction_index: Some(transaction.0 as u64),
        log_index: Some(log_index),
        removed,
    }
}
