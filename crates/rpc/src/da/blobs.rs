//! `da_blobInfo` and `da_getBlob`.

use super::{
    Quantity, checkpoints,
    permanent::{Archived, archived},
};
use crate::{Args, RpcContext, RpcError};
use alloy_primitives::{B256, Bytes, TxHash, keccak256};
use serde::{Deserialize, Serialize};
use weft_archive::{RetrieveError, Source};
use weft_primitives::{BlobIndex, ColumnIndex};

/// Where a blob is and what of it is here.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobInfo {
    transaction_hash: TxHash,
    block_number: Quantity,
    block_hash: B256,
    transaction_index: Quantity,
    length: Quantity,
    first_chunk: Quantity,
    chunk_count: Quantity,
    blob_index: Quantity,
    blob_path: Vec<B256>,
    /// In the database, fsynced.
    persisted: bool,
    /// Columns that this node holds.
    columns: Vec<Quantity>,
    /// What of it was read back from Arweave; `null`: nothing.
    archived: Option<Archived>,
}

/// `da_blobInfo(txHash)`; `null` for an unknown transaction or one without a blob.
pub fn info(context: &RpcContext, args: &Args<'_>) -> Result<Option<BlobInfo>, RpcError> {
    let hash: TxHash = args.required(0)?;
    let retriever = &context.parts.retriever;
    let Some(proof) = retriever.blob_proof(hash)? else { return Ok(None) };
    let view = context.view();
    let Some(position) = view.tx_position(hash)? else { return Ok(None) };
    let columns = retriever.columns_held(position.block, BlobIndex(proof.blob_index))?;
    let checkpoint = checkpoints::of_block(context, position.block)?;
    Ok(Some(BlobInfo {
        transaction_hash: hash,
        block_number: Quantity(position.block),
        block_hash: keccak256(&proof.anchor.header),
        transaction_index: Quantity(position.index.into()),
        length: Quantity(proof.length),
        first_chunk: Quantity(proof.first_chunk.into()),
        chunk_count: Quantity(proof.length.div_ceil(u64::from(proof.anchor.chunk_bytes))),
        blob_index: Quantity(proof.blob_index.into()),
        persisted: true,
        columns: columns.into_iter().map(|column| Quantity(column.0.into())).collect(),
        blob_path: proof.blob_path,
        archived: archived(&view, hash, checkpoint.as_ref())?,
    }))
}

/// Which bytes, and from where.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct GetOptions {
    offset: Option<Quantity>,
    length: Option<Quantity>,
    source: SourceName,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SourceName {
    #[default]
    Any,
    Body,
    Shards,
    Peers,
    Archive,
}

impl GetOptions {
    pub(crate) fn source(&self) -> Source {
        match self.source {
            SourceName::Any => Source::Any,
            SourceName::Body => Source::Body,
            SourceName::Shards => Source::Shards,
            SourceName::Archive => Source::Archive,
            SourceName::Peers => Source::Peers,
        }
    }

    /// Offset and length; `None`: all of it.
    pub(crate) fn range(&self) -> Option<(u64, u64)> {
        match (self.offset, self.length) {
            (None, None) => None,
            (offset, length) => {
                Some((offset.unwrap_or_default().0, length.map_or(u64::MAX, |length| length.0)))
            }
        }
    }
}

/// `da_getBlob(txHash, {offset?, length?, source?})`: bytes; a range that goes past the end is cut there.
pub fn get(context: &RpcContext, args: &Args<'_>) -> Result<Option<Bytes>, RpcError> {
    let (hash, options): (TxHash, Option<GetOptions>) = (args.required(0)?, args.optional(1)?);
    let options = options.unwrap_or_default();
    let (source, range) = (options.source(), options.range());
    match context.parts.retriever.blob(hash, range, source) {
        // Known, and not on Arweave as far as anybody says.
        Ok(None) if source == Source::Archive => elsewhere(context, hash),
        Err(RetrieveError::NoPeers) => elsewhere(context, hash),
        found => Ok(found?),
    }
}

/// A source that does not have it: a blob that is known here is missing there, all columns of it.
fn elsewhere(context: &RpcContext, hash: TxHash) -> Result<Option<Bytes>, RpcError> {
    let Some(proof) = context.parts.retriever.blob_proof(hash)? else { return Ok(None) };
    let columns = proof.anchor.data_shards + proof.anchor.parity_shards;
    Err(RpcError::DataMissing { transaction: hash, missing: (0..columns).map(ColumnIndex).collect() })
}
