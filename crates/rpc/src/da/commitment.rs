//! `da_commitment`: the preimage of a block's `daRoot`.

use super::Quantity;
use crate::{Args, RpcContext, RpcError, chain};
use alloy_primitives::B256;
use serde::Serialize;
use weft_primitives::{DaSummary, SealedHeader};

/// What `extraData` commits to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Commitment {
    block_number: Quantity,
    block_hash: B256,
    da_root: B256,
    version: Quantity,
    data_shards: Quantity,
    parity_shards: Quantity,
    chunk_bytes: Quantity,
    blob_count: Quantity,
    chunk_count: Quantity,
    blobs_root: B256,
    columns_root: B256,
    column_roots: Vec<B256>,
}

/// `null` for an unknown block, and for one without commitment (genesis, a plain chain).
pub fn commitment(context: &RpcContext, args: &Args<'_>) -> Result<Option<Commitment>, RpcError> {
    let view = context.view();
    let Some(number) = chain::block_number(&view, args.required(0)?)? else { return Ok(None) };
    let Some(summary) = view.da_summary(number)? else { return Ok(None) };
    let header = chain::header(&view, number)?;
    Ok(Some(Commitment::of(&header, summary)))
}

impl Commitment {
    pub(crate) fn of(header: &SealedHeader, summary: DaSummary) -> Self {
        let geometry = summary.geometry;
        Self {
            block_number: Quantity(header.number),
            block_hash: header.hash(),
            da_root: summary.da_root,
            version: Quantity(geometry.version().into()),
            data_shards: geometry.data_shards().into(),
            parity_shards: geometry.parity_shards().into(),
            chunk_bytes: geometry.chunk_bytes().into(),
            blob_count: summary.blobs.len().into(),
            chunk_count: Quantity(summary.chunk_count.into()),
            blobs_root: summary.blobs_root,
            columns_root: summary.columns_root,
            column_roots: summary.column_roots,
        }
    }
}
