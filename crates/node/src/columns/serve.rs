//! What peers may have of a node without execution: headers, what blocks commit to, and of a `da` node cells.

use super::NO_BODIES;
use crate::serve::{commitment, headers};
use alloy_primitives::{Bytes, TxHash};
use tracing::{debug, warn};
use weft_archive::{CellServer, CellsRequest as ArchiveRequest};
use weft_p2p::{
    BlockCommitment, BodyPart, BodyRequest, CellsRequest, CellsResponse, CommitmentRequest, Head,
    HeadersRequest, LocalStatus, Role, Serve,
};
use weft_storage::{StorageError, Store, View};

/// Its answers.
#[derive(Debug)]
pub(super) struct ColumnsServe {
    pub(super) store: Store,
    pub(super) cells: CellServer,
    pub(super) role: Role,
}

impl ColumnsServe {
    /// The answer from one snapshot. A database that cannot be read has none; that is logged, and nobody is told more.
    fn answer<T>(&self, what: &str, read: impl FnOnce(&View<'_>) -> Result<T, StorageError>) -> Option<T> {
        read(&self.store.view())
            .inspect_err(|error| warn!(target: "weft::p2p", what, %error, "not served"))
            .ok()
    }
}

impl Serve for ColumnsServe {
    fn status(&self) -> LocalStatus {
        let status = self.answer("status", |view| {
            let head = view.head()?;
            let head = Head { number: head.number, hash: head.hash };
            let earliest_columns = match self.role {
                Role::Da => view.columns_first()?,
                Role::Light | Role::Full => NO_BODIES,
            };
            Ok(LocalStatus { head, earliest_body: NO_BODIES, earliest_columns })
        });
        status.unwrap_or_default()
    }

    fn headers(&self, request: HeadersRequest) -> Vec<Bytes> {
        self.answer("headers", |view| headers(view, request)).unwrap_or_default()
    }

    fn body(&self, _: BodyRequest) -> Option<BodyPart> {
        None
    }

    fn cells(&self, request: CellsRequest) -> Option<CellsResponse> {
        let CellsRequest { block, column, first_chunk: first, count } = request;
        match self.cells.cells(&ArchiveRequest { block, column, first, count }) {
            Ok(cells) => cells.map(CellsResponse::from),
            Err(error) => {
                debug!(target: "weft::p2p", %block, %error, "cells not served");
                None
            }
        }
    }

    fn commitment(&self, request: CommitmentRequest) -> Option<BlockCommitment> {
        self.answer("commitment", |view| commitment(view, request)).flatten()
    }

    fn transactions(&self, _: &[TxHash], _: usize) -> Vec<Bytes> {
        Vec::new()
    }
}
