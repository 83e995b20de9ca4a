//! The work of a full node that gives up old bodies: one step of [`Retention`] after the other behind the head, with
//! connected peers as those who attest.
//!
//! What a peer claims is its custody (PROTOCOL §5), never what it happens to have besides: nodes that all give up their
//! bodies would otherwise count on each other's.

use super::NetworkColumns;
use crate::{
    CellsRequest, CustodyClaim, CustodyPeers, ProvenCells, RETENTION, Retention, RetentionConfig,
    RetentionStep, task::Task,
};
use alloy_primitives::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::{task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use weft_p2p::{Offence, PeerId, Role};
use weft_primitives::BlockNumHash;
use weft_storage::Store;

/// Before the next step, when this one had nothing to do or had to leave it.
const PAUSE: Duration = Duration::from_secs(5);
/// Steps in a row that wait for peers before it is said, and said again.
const QUIET_STEPS: u32 = 12;

/// A running retainer.
#[derive(Debug)]
pub struct Retainer(Task);

impl Retainer {
    /// Starts. To be called within a tokio runtime.
    pub fn spawn(store: Store, columns: NetworkColumns, config: RetentionConfig) -> Self {
        let stop = CancellationToken::new();
        let retention = Arc::new(Retention::new(store, Arc::new(columns), config));
        Self(Task::spawn(RETENTION.0, stop.clone(), run(retention, stop)))
    }

    /// Has it end after the step under way.
    pub async fn shutdown(&self) {
        self.0.shutdown().await;
    }
}

async fn run(retention: Arc<Retention>, stop: CancellationToken) {
    let mut waited = 0;
    while !stop.is_cancelled() {
        let step = {
            let retention = Arc::clone(&retention);
            spawn_blocking(move || retention.step()).await
        };
        match step {
            Ok(Ok(RetentionStep::Done { .. })) => {
                waited = 0;
                continue;
            }
            Ok(Ok(RetentionStep::Idle)) => waited = 0,
            Ok(Ok(RetentionStep::Waiting { block, shortfall })) => {
                // Peers that are not asked any more prove nothing.
                if waited % QUIET_STEPS == 0 && !stop.is_cancelled() {
                    warn!(target: "weft::archive", number = block, %shortfall, "bodies stay: too few peers keep their columns");
                }
                waited += 1;
            }
            Ok(Err(error)) => warn!(target: "weft::archive", %error, "bodies stay"),
            Err(error) => {
                tracing::error!(target: "weft::archive", %error, "retention failed");
                return;
            }
        }
        let _ = stop.run_until_cancelled(sleep(PAUSE)).await;
    }
}

impl CustodyPeers for NetworkColumns {
    fn claims(&self, block: BlockNumHash) -> Vec<CustodyClaim> {
        let peers = self.drive(async { Ok(self.network().peers().await) }).unwrap_or_default();
        let keeps = |role, first| role != Role::Light && first <= block.number;
        let keepers = peers.into_iter().filter(|info| keeps(info.status.role, info.status.earliest_columns));
        keepers
            .map(|info| CustodyClaim { peer: info.peer.to_bytes().into(), columns: info.columns })
            .collect()
    }

    fn cell(&self, peer: &Bytes, request: &CellsRequest) -> Option<ProvenCells> {
        self.cells_from(PeerId::from_bytes(peer).ok()?, request)
    }

    /// Only a lie costs: who does not answer pays where it is asked, and who does not have it yet is honest.
    fn failed(&self, peer: &Bytes, lied: bool) {
        if let (true, Ok(peer)) = (lied, PeerId::from_bytes(peer)) {
            let _ = self.drive(async {
                self.network().report(peer, Offence::BadProof).await;
                Ok(())
            });
        }
    }
}
