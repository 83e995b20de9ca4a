//! The archive's end of the network: who keeps what, how it is asked for, and the work that a node's role brings.
//!
//! [`NetworkColumns`] is the source of retrieval and repair; [`Sampler`] is a light node's work, [`Custodian`] a `da` node's,
//! [`Disperser`] that of a node that seals, and [`Retainer`] that of a full node that gives up old bodies. All of them are started by whoever puts the node together; they speak to the
//! network through its handle and never hold up anything but themselves.

mod columns;
mod custodian;
mod disperser;
mod keepers;
mod retainer;
mod sampler;

pub use columns::{FetchLimits, NetworkColumns};
pub use custodian::{Custodian, CustodianArgs, CustodianConfig};
pub use disperser::{DISPERSAL_LAG_MAX, Disperser};
pub use retainer::Retainer;
pub use sampler::{
    BLOCKS_KEPT_MAX, BlockSampling, SampledCell, Sampler, SamplerArgs, SamplerConfig, SamplingBook,
    SamplingState,
};

use crate::ProvenCells;
use weft_p2p::{CellsResponse, ColumnSegment};

impl From<CellsResponse> for ProvenCells {
    fn from(answer: CellsResponse) -> Self {
        Self { anchor: answer.anchor, range: answer.range }
    }
}

impl From<ProvenCells> for CellsResponse {
    fn from(cells: ProvenCells) -> Self {
        Self { anchor: cells.anchor, range: cells.range }
    }
}

impl From<ColumnSegment> for ProvenCells {
    fn from(segment: ColumnSegment) -> Self {
        Self { anchor: segment.anchor, range: segment.range }
    }
}

impl From<ProvenCells> for ColumnSegment {
    fn from(cells: ProvenCells) -> Self {
        Self::new(cells.anchor, cells.range)
    }
}
