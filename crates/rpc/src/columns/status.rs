//! `da_status` of a node without execution.

use super::ColumnsContext;
use crate::{
    Args, RpcError,
    da::{Place, Quantity},
};
use serde::Serialize;
use weft_archive::network::{SamplingBook, SamplingState};

/// Where the node stands.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// `light` or `da`.
    role: &'static str,
    /// The newest believed header.
    head: Place,
    /// The newest header that survives a power cut: the head, as nothing is told before.
    persisted: Place,
    custody: Custody,
    /// On a light node.
    sampling: Option<Sampling>,
    peers: Quantity,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Custody {
    /// Columns that this node keeps of every block.
    columns: Vec<Quantity>,
    /// The oldest block whose columns are kept.
    earliest: Quantity,
    /// Bytes of cells that are here.
    bytes: Quantity,
    /// Bytes of cells that may be.
    bytes_max: Quantity,
    /// The oldest columns that are to be kept and are not whole, at most 1024.
    due: Quantity,
}

/// Of the blocks that are remembered.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sampling {
    accepted: Quantity,
    unavailable: Quantity,
    pending: Quantity,
    /// The newest block that was accepted.
    latest_accepted: Option<Place>,
    /// The newest block that was refused.
    latest_unavailable: Option<Place>,
}

/// `da_status()`.
pub fn status(context: &ColumnsContext, _: &Args<'_>) -> Result<Status, RpcError> {
    const DUE_MAX: usize = 1024;
    let (view, parts) = (context.view(), &context.parts);
    let head = view.head()?.into();
    Ok(Status {
        role: parts.role.as_str(),
        head,
        persisted: head,
        custody: Custody {
            columns: parts.custody.iter().map(|column| Quantity(column.0.into())).collect(),
            earliest: Quantity(view.columns_first()?),
            bytes: Quantity(view.column_bytes()?),
            bytes_max: Quantity(parts.disk_bytes_max),
            due: view.columns_due(0, DUE_MAX)?.len().into(),
        },
        sampling: parts.sampling.as_ref().map(sampling),
        peers: parts.network.peer_count().into(),
    })
}

fn sampling(book: &SamplingBook) -> Sampling {
    let newest = book.newest(usize::MAX);
    let latest = |state| newest.iter().find(|found| found.state == state).map(|found| found.block.into());
    Sampling {
        accepted: book.count(SamplingState::Accepted).into(),
        unavailable: book.count(SamplingState::Unavailable).into(),
        pending: book.count(SamplingState::Pending).into(),
        latest_accepted: latest(SamplingState::Accepted),
        latest_unavailable: latest(SamplingState::Unavailable),
    }
}
