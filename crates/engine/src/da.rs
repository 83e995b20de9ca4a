//! The block rules of a Weft chain: sizes, and `daRoot` in `extraData` (PROTOCOL §1 and §3).
//!
//! Cell hashes come with the transactions from the pool; only their combination is computed here. A
//! block that comes from elsewhere without them is coded first, several blobs side by side.

use rayon::prelude::*;
use std::sync::Arc;
use weft_chainspec::WeftParams;
use weft_primitives::{DaSummary, PreparedBlock, PreparedTransaction};

use alloy_consensus::Transaction as _;

/// Codes the blobs that were not coded yet, so that every transaction has exactly the blob that PROTOCOL §1
/// gives it.
pub(crate) fn complete(weft: &WeftParams, block: &mut PreparedBlock) {
    let fits = |tx: &PreparedTransaction| match &tx.blob {
        Some(blob) => {
            carries_blob(weft, tx) && blob.geometry == weft.geometry && blob.length == tx.tx.input().len()
        }
        None => !carries_blob(weft, tx),
    };
    if block.transactions.iter().all(|tx| fits(tx)) {
        return;
    }
    block.transactions.par_iter_mut().filter(|tx| !fits(tx)).for_each(|tx| {
        let blob =
            carries_blob(weft, tx).then(|| Arc::new(weft_erasure::encode_blob(weft.geometry, tx.tx.input())));
        *tx = Arc::new(PreparedTransaction { blob, ..PreparedTransaction::clone(tx) });
    });
}

/// The block's commitment. Every transaction must have its blob (see [`complete`]).
pub(crate) fn summarize(weft: &WeftParams, transactions: &[Arc<PreparedTransaction>]) -> DaSummary {
    let blobs = (0u32..).zip(transactions).filter_map(|(index, tx)| {
        let blob = tx.blob.as_deref()?;
        Some((index, tx.hash(), blob))
    });
    weft_erasure::summarize(weft.geometry, blobs)
}

fn carries_blob(weft: &WeftParams, tx: &PreparedTransaction) -> bool {
    tx.tx.input().len() >= weft.blob_threshold_bytes
}
