//! Whether a block's data is here and is what the header commits to (`weft db verify`).

use crate::{
    RetrieveError,
    reader::{BlobReader, BlockReader},
};
use alloy_primitives::{Bytes, TxHash};
use weft_erasure::encode_blob;
use weft_primitives::{BlobIndex, BlockNumber, ColumnIndex};
use weft_storage::{StorageError, Store};

/// What was found in one block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockReport {
    /// Blobs of the block.
    pub blobs: u32,
    /// Of these, how many have their body.
    pub bodies: u32,
    /// Columns in the shard store.
    pub columns: u64,
    /// Bytes of body and columns that were hashed.
    pub bytes: u64,
    /// All that is wrong; empty when all is well.
    pub problems: Vec<Problem>,
}

/// Something that is wrong with a block's data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The records do not lead to the header's commitment, or cannot be read.
    #[error("block {block}: {reason}")]
    Block {
        /// The block.
        block: BlockNumber,
        /// What is wrong.
        reason: String,
    },
    /// The calldata in the body is not what the block commits to.
    #[error("block {block}: the body of {tx} is damaged")]
    Body {
        /// The block.
        block: BlockNumber,
        /// The transaction.
        tx: TxHash,
    },
    /// A stored column is unreadable or not what the block commits to; `repair` mends it.
    #[error("block {block}, blob {blob}: column {column} is damaged")]
    Column {
        /// The block.
        block: BlockNumber,
        /// The blob.
        blob: BlobIndex,
        /// The column.
        column: ColumnIndex,
    },
    /// Neither body nor enough columns.
    #[error("block {block}: data of {tx} is lost here")]
    Lost {
        /// The block.
        block: BlockNumber,
        /// The transaction.
        tx: TxHash,
    },
}

/// Checks everything that is stored of a block's blobs. `None`: no such block, one without a commitment, or
/// one of which a restored database has only the header. An error is a failing database; damage is in the report.
pub fn verify_block(store: &Store, number: BlockNumber) -> Result<Option<BlockReport>, RetrieveError> {
    let view = store.view();
    let mut report = BlockReport::default();
    let block = match BlockReader::open(&view, number) {
        Ok(Some(block)) => block,
        Ok(None)
        | Err(RetrieveError::Storage(StorageError::BodyNotKept { .. } | StorageError::HeadersOnly(_))) => {
            return Ok(None);
        }
        Err(RetrieveError::Storage(StorageError::Commitment { block, source })) => {
            report.problems.push(Problem::Block { block, reason: source.to_string() });
            return Ok(Some(report));
        }
        Err(other) => return Err(other),
    };
    for blob in block.blobs() {
        report.blobs += 1;
        let body = blob.body()?;
        let mut whole = false;
        if let Some(body) = &body {
            report.bodies += 1;
            report.bytes += body.len() as u64;
            whole = encode_blob(block.geometry(), body).cell_hashes == blob.hashes();
            if !whole {
                report.problems.push(Problem::Body { block: number, tx: blob.entry.tx_hash });
            }
        }
        let held = blob.columns_held(false)?;
        report.columns += held.len() as u64;
        for column in held {
            let cells = view.column(number, blob.index, column).ok().flatten();
            report.bytes += cells.as_ref().map_or(0, |cells| cells.len() as u64);
            if !cells.is_some_and(|cells| column_is_good(&blob, &cells, column)) {
                report.problems.push(Problem::Column { block: number, blob: blob.index, column });
            }
        }
        let elsewhere = body.is_none() && view.dispersed(number)?.is_some();
        if !whole && !elsewhere && blob.shards(0..blob.chunk_count()).is_err() {
            report.problems.push(Problem::Lost { block: number, tx: blob.entry.tx_hash });
        }
    }
    Ok(Some(report))
}

fn column_is_good(blob: &BlobReader<'_>, cells: &Bytes, column: ColumnIndex) -> bool {
    (0..blob.chunk_count()).all(|chunk| blob.admit(cells, chunk, column).is_some())
}
