//! What peers may have of this node: headers, bodies, cells with their proofs, transactions. Called on the network's blocking
//! threads, after it has checked who asks and how much; what is answered here is bounded by the request.

use alloy_eips::BlockHashOrNumber;
use alloy_primitives::{BlockNumber, Bytes, TxHash};
use std::ops::RangeInclusive;
use tracing::warn;
use weft_archive::{CellServer, CellsRequest as ArchiveRequest};
use weft_consensus::network_encoding;
use weft_p2p::{
    BlockCommitment, BodyPart, BodyRequest, CellsRequest, CellsResponse, CommitmentRequest, Head,
    HeadersRequest, LocalStatus, Serve,
};
use weft_pool::Pool;
use weft_storage::{StorageError, Store, StoredTransaction, TxPosition, View};

/// A full node's answers.
#[derive(Debug)]
pub(crate) struct FullServe {
    pub(crate) store: Store,
    pub(crate) pool: Pool,
    pub(crate) cells: CellServer,
}

impl Serve for FullServe {
    fn status(&self) -> LocalStatus {
        self.answer("status", local_status).unwrap_or_default()
    }

    fn headers(&self, request: HeadersRequest) -> Vec<Bytes> {
        self.answer("headers", |view| headers(view, request)).unwrap_or_default()
    }

    fn body(&self, request: BodyRequest) -> Option<BodyPart> {
        self.answer("body", |view| body(view, request)).flatten()
    }

    fn cells(&self, request: CellsRequest) -> Option<CellsResponse> {
        let CellsRequest { block, column, first_chunk: first, count } = request;
        match self.cells.cells(&ArchiveRequest { block, column, first, count }) {
            Ok(cells) => cells.map(CellsResponse::from),
            Err(error) => {
                // Columns that are not had, and places that do not exist, among others.
                tracing::debug!(target: "weft::p2p", %block, %error, "cells not served");
                None
            }
        }
    }

    fn commitment(&self, request: CommitmentRequest) -> Option<BlockCommitment> {
        self.answer("commitment", |view| commitment(view, request)).flatten()
    }

    fn transactions(&self, hashes: &[TxHash], bytes_max: usize) -> Vec<Bytes> {
        let (mut transactions, mut bytes) = (Vec::new(), 0_usize);
        for hash in hashes {
            let Some(encoded) = self.transaction(*hash) else { continue };
            if !transactions.is_empty() && bytes + encoded.len() > bytes_max {
                break;
            }
            bytes += encoded.len();
            transactions.push(encoded);
        }
        transactions
    }
}

impl FullServe {
    /// The answer from one snapshot. A database that cannot be read has none; that is logged, and nobody is told more.
    fn answer<T>(&self, what: &str, read: impl FnOnce(&View<'_>) -> Result<T, StorageError>) -> Option<T> {
        read(&self.store.view())
            .inspect_err(|error| warn!(target: "weft::p2p", what, %error, "not served"))
            .ok()
    }

    /// Pooled, or in a block: who puts an announced block together may come late.
    fn transaction(&self, hash: TxHash) -> Option<Bytes> {
        if let Some(tx) = self.pool.get(hash) {
            return network_encoding(&self.pool, &tx);
        }
        let stored = self.answer("transaction", |view| {
            let Some(position) = view.tx_position(hash)? else { return Ok(None) };
            view.transaction(position)
        });
        match stored.flatten() {
            Some(StoredTransaction::Whole(encoded)) => Some(encoded),
            _ => None,
        }
    }
}

fn local_status(view: &View<'_>) -> Result<LocalStatus, StorageError> {
    let head = view.head()?;
    // A database from a checkpoint has bodies, and cells, above the block that it was restored at; a node that gives up
    // old bodies keeps its custody of them.
    let earliest_columns = view.base()?.map_or(0, |base| base.number + 1);
    let bodies = view.newest_dispersed()?.map_or(0, |dispersed| dispersed + 1);
    let head = Head { number: head.number, hash: head.hash };
    Ok(LocalStatus { head, earliest_body: bodies.max(earliest_columns), earliest_columns })
}

pub(crate) fn headers(view: &View<'_>, request: HeadersRequest) -> Result<Vec<Bytes>, StorageError> {
    let start = match request.start {
        BlockHashOrNumber::Number(number) => number,
        BlockHashOrNumber::Hash(hash) => match view.block_number(hash)? {
            Some(number) => number,
            None => return Ok(Vec::new()),
        },
    };
    let range = range(start, request.count, request.falling);
    let mut headers = view.headers(range)?;
    if request.falling {
        headers.reverse();
        // The answer begins with the one that was asked for.
        if headers.first().is_none_or(|first| first.number != start) {
            return Ok(Vec::new());
        }
    }
    Ok(headers.iter().map(|header| alloy_rlp::encode(header.header()).into()).collect())
}

/// What a canonical block commits to, where it is known here.
pub(crate) fn commitment(
    view: &View<'_>,
    request: CommitmentRequest,
) -> Result<Option<BlockCommitment>, StorageError> {
    let Some(number) = view.block_number(request.block)? else { return Ok(None) };
    Ok(view.da_summary(number)?.map(BlockCommitment::from))
}

fn range(start: BlockNumber, count: u32, falling: bool) -> RangeInclusive<BlockNumber> {
    let more = BlockNumber::from(count.saturating_sub(1));
    if falling { start.saturating_sub(more)..=start } else { start..=start.saturating_add(more) }
}

fn body(view: &View<'_>, request: BodyRequest) -> Result<Option<BodyPart>, StorageError> {
    let Some(block) = view.block_number(request.block)? else { return Ok(None) };
    let (Some(meta), Some(ids)) = (view.body_meta(block)?, view.tx_hashes_and_senders(block)?) else {
        return Ok(None);
    };
    if !meta.ommers.is_empty() {
        // Such a body has no form on this wire, and no chain of Weft has one.
        return Ok(None);
    }
    let count = u32::try_from(ids.len()).unwrap_or(u32::MAX);
    let (mut transactions, mut bytes) = (Vec::new(), 0_usize);
    for index in request.first_tx..count {
        let Some(StoredTransaction::Whole(encoded)) = view.transaction(TxPosition { block, index })? else {
            break;
        };
        if !transactions.is_empty() && bytes + encoded.len() > request.max_bytes as usize {
            break;
        }
        bytes += encoded.len();
        transactions.push(encoded);
    }
    if transactions.is_empty() && request.first_tx < count {
        return Ok(None);
    }
    Ok(Some(BodyPart {
        first_tx: request.first_tx.min(count),
        transaction_count: count,
        transactions,
        withdrawals: meta.withdrawals.map(|withdrawals| withdrawals.0),
    }))
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges_stay_within_the_numbers() {
        assert_eq!(range(5, 3, false), 5..=7);
        assert_eq!(range(5, 3, true), 3..=5);
        assert_eq!(range(1, 1024, true), 0..=1);
        assert_eq!(range(u64::MAX, 1024, false), u64::MAX..=u64::MAX);
        assert_eq!(range(9, 0, true), 9..=9);
    }
}
