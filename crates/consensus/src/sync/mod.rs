//! Historical sync: from our chain to a head that a sealer signed, over peers of which none is believed.
//!
//! [`headers`] finds the hashes that lead from the signed head down to ours, [`blocks`] fetches the bodies ahead of execution
//! and feeds the engine. The database is the only checkpoint: what was executed is durable, and a sync that was
//! interrupted, by a signal or by a crash, begins at the head. It ends at its target; the follower starts another one when
//! the chain has moved on meanwhile.
//!
//! Memory: [`SyncConfig::segments_kept`] segments of headers, [`SyncConfig::bodies_bytes_max`] of bodies, and one block that is executed.

mod blocks;
mod headers;
mod progress;

pub(crate) use headers::Links;
pub(crate) use progress::Progress;
pub use progress::{SyncPhase, SyncProgress};

use crate::{
    ask::{Asker, Nobody},
    network::{PeerTable, Peers},
};
use alloy_primitives::{B256, BlockNumber};
use std::sync::Arc;
use tracing::info;
use weft_chainspec::ChainSpec;
use weft_engine::{EngineError, EngineHandle};
use weft_p2p::Head;
use weft_pool::Pool;
use weft_primitives::BlockNumHash;

/// Bounds of a sync.
#[derive(Clone, Debug)]
pub struct SyncConfig {
    /// Headers of one request, at most 1024.
    pub segment: u32,
    /// Requests for headers under way.
    pub headers_ahead: usize,
    /// Segments whose headers are kept while others come; 64 of 1024 headers of about 0.8 KiB each are 52 MB.
    pub segments_kept: usize,
    /// Bodies being fetched, prepared, or waiting for the engine.
    pub bodies_ahead: usize,
    /// Bytes of these; a single body that is larger goes alone.
    pub bodies_bytes_max: usize,
}

impl Default for SyncConfig {
    fn default() -> Self {
        Self {
            segment: 1024,
            headers_ahead: 8,
            segments_kept: 64,
            bodies_ahead: 64,
            bodies_bytes_max: 256 << 20,
        }
    }
}

/// Why a sync ended before its target.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The engine failed or stopped.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// No connected peer has what is missing.
    #[error("no peer has {what} of block {number}")]
    Nobody {
        /// Headers or body.
        what: &'static str,
        /// From which block on.
        number: BlockNumber,
    },
    /// The signed head does not descend from what is final here.
    #[error("the sealer's chain leaves ours at or below block {} ({}), which is final here", .0.number, .0.hash)]
    Diverged(BlockNumHash),
    /// A block of the sealer's chain breaks a rule.
    #[error("block {number} ({hash}) of the sealer's chain is invalid: {reason}")]
    Invalid {
        /// Its number.
        number: BlockNumber,
        /// Its hash.
        hash: B256,
        /// The rule.
        reason: String,
    },
}

impl SyncError {
    /// Whether there is no use in trying again.
    pub const fn is_fatal(&self) -> bool {
        match self {
            Self::Engine(error) => error.is_fatal(),
            Self::Nobody { .. } | Self::Diverged(_) | Self::Invalid { .. } => false,
        }
    }

    fn nobody(what: &'static str, number: BlockNumber) -> impl FnOnce(Nobody) -> Self {
        move |Nobody| Self::Nobody { what, number }
    }
}

/// What a sync works with.
#[derive(Debug)]
pub(crate) struct Sync<N> {
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) engine: EngineHandle,
    pub(crate) pool: Pool,
    pub(crate) asker: Asker<N>,
    pub(crate) config: SyncConfig,
    pub(crate) progress: Progress,
}

impl<N: Peers> Sync<N> {
    /// Runs until `target` is the durable head. `fallback` is the block that is final here, or the genesis: when the
    /// target does not descend from the head, it may descend from there.
    pub(crate) async fn run(&self, target: Head, fallback: BlockNumHash) -> Result<(), SyncError> {
        let head = self.engine.head();
        self.progress.begin(head.number, target.number);
        info!(target: "weft::sync", from = head.number, to = target.number, hash = %target.hash, "syncing");
        let result = match self.from(head, target).await {
            Err(SyncError::Diverged(_)) if fallback.number < head.number => self.from(fallback, target).await,
            result => result,
        };
        self.progress.end();
        if result.is_ok() {
            info!(target: "weft::sync", head = target.number, hash = %target.hash, "in step with the sealer");
        }
        result
    }

    async fn from(&self, base: BlockNumHash, target: Head) -> Result<(), SyncError> {
        if target.number <= base.number {
            return if target.hash == base.hash { Ok(()) } else { Err(SyncError::Diverged(base)) };
        }
        let segments = self.links().segments(base, target).await?;
        self.blocks(segments).await
    }

    fn links(&self) -> Links<'_, N> {
        Links { asker: &self.asker, config: &self.config, progress: &self.progress }
    }

    fn peers(&self) -> usize {
        PeerTable::len(&self.asker.peers().borrow())
    }
}
