//! What others may ask of this node.

use crate::{
    BlockCommitment, BodyPart, BodyRequest, CellsRequest, CellsResponse, CommitmentRequest, HeadersRequest,
    LocalStatus,
};
use alloy_primitives::{Bytes, TxHash};

/// The node behind the network. Called on blocking threads, [`Limits::serve_threads`](crate::Limits::serve_threads) at a
/// time, after the asker's limits were checked. An implementation may block on the disk; what it returns beyond the
/// stated bounds is cut or refused by the network.
pub trait Serve: Send + Sync + 'static {
    /// The head and what is kept; called at start, later heads come by [`NetworkHandle::set_head`](crate::NetworkHandle::set_head).
    fn status(&self) -> LocalStatus;

    /// RLP of consecutive canonical headers, at most `request.count`, lowest number first; empty when the first is not had.
    fn headers(&self, request: HeadersRequest) -> Vec<Bytes>;

    /// Transactions of a body from `first_tx` on: whole ones while they fit into `max_bytes`, at least one.
    fn body(&self, request: BodyRequest) -> Option<BodyPart>;

    /// Cells of one column with their proof, at most `count` and at most 1 MiB of cells.
    fn cells(&self, request: CellsRequest) -> Option<CellsResponse>;

    /// What a block's `daRoot` commits to. A node that keeps no such tables has none.
    fn commitment(&self, _request: CommitmentRequest) -> Option<BlockCommitment> {
        None
    }

    /// EIP-2718 encodings of those that are had, in any order, while they fit into `max_bytes`, at least one.
    fn transactions(&self, hashes: &[TxHash], max_bytes: usize) -> Vec<Bytes>;
}
