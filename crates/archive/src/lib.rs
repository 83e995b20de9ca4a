//! SKELETON: what the BlobArchive stage does, and retrieval.
#![allow(unused_variables, clippy::todo)]

use alloy_primitives::{Bytes, TxHash};
use weft_primitives::ColumnIndex;
use weft_storage::{Store, StageId};

/// The BlobArchive stage's id.
pub const BLOB_ARCHIVE: StageId = StageId("BlobArchive");

/// Where `da_getBlob` may look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source { #[default] Any, Body, Shards }

#[derive(Debug, thiserror::Error)]
pub enum RetrieveError {
    #[error("data of {tx} cannot be had now: columns {missing:?} are missing")]
    Missing { tx: TxHash, missing: Vec<ColumnIndex> },
    // ...
}

/// Gives blobs back: body, then own shards (checked, decoded, verified); peers and Arweave come later as further sources.
#[derive(Clone, Debug)]
pub struct Retriever { store: Store }

impl Retriever {
    /// `None`: unknown transaction, or one without a blob. `range`: offset and length in bytes.
    pub fn blob(&self, tx: TxHash, range: Option<(u64, u64)>, source: Source) -> Result<Option<Bytes>, RetrieveError> { todo!() }
}
