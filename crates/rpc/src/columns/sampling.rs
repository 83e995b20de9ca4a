//! `da_sampling`: what was found out about a block by asking for cells of it.

use super::{ColumnsContext, blocks::sealed_header};
use crate::{Args, RpcError, da::Quantity};
use alloy_primitives::B256;
use serde::Serialize;
use weft_archive::network::{BlockSampling, SamplingState};

/// The result of one block.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sampling {
    block_number: Quantity,
    block_hash: B256,
    /// `pending`, `empty`, `accepted`, `unavailable`.
    state: &'static str,
    accepted: bool,
    /// How sure it is that the block can be reconstructed, 0 to 1; 0 unless it is accepted.
    confidence: f64,
    samples: Vec<Sample>,
    /// Sampled columns that nobody served.
    missing: Vec<Quantity>,
}

#[derive(Clone, Debug, Serialize)]
struct Sample {
    column: Quantity,
    chunk: Option<Quantity>,
    /// Who served it; `null`: nobody, so far.
    peer: Option<String>,
}

impl From<BlockSampling> for Sampling {
    fn from(found: BlockSampling) -> Self {
        let column = |index: u16| Quantity(index.into());
        let unserved = found.cells.iter().filter(|cell| cell.peer.is_none());
        let missing = match found.state {
            SamplingState::Unavailable => unserved.map(|cell| column(cell.column.0)).collect(),
            _ => Vec::new(),
        };
        let sample = |cell: &weft_archive::network::SampledCell| Sample {
            column: column(cell.column.0),
            chunk: cell.chunk.map(|chunk| Quantity(chunk.0.into())),
            peer: cell.peer.map(|peer| peer.to_string()),
        };
        Self {
            block_number: Quantity(found.block.number),
            block_hash: found.block.hash,
            state: found.state.as_str(),
            accepted: matches!(found.state, SamplingState::Accepted | SamplingState::Empty),
            confidence: found.confidence,
            samples: found.cells.iter().map(sample).collect(),
            missing,
        }
    }
}

/// `da_sampling(block)`; `null` for an unknown block and for one that was not sampled.
pub fn of_block(context: &ColumnsContext, args: &Args<'_>) -> Result<Option<Sampling>, RpcError> {
    let Some(book) = &context.parts.sampling else {
        return Err(RpcError::Rejected("this node keeps columns and does not sample".to_owned()));
    };
    let Some(header) = sealed_header(context, args.required(0)?)? else { return Ok(None) };
    let found = book.get(header.number).filter(|found| found.block.hash == header.hash());
    Ok(found.map(Sampling::from))
}
