//! The relay: transactions between this node's pool and its peers.
//!
//! What enters the pool here is announced; what peers announce and the pool does not know is fetched, from one peer at a time,
//! and submitted as external. Gossip is passed on when the pool has what it names, so that whoever hears of a transaction
//! from us can have it from us. The pool judges: what no valid node passes on costs its sender, what the pool has no room
//! for does not.
//!
//! Back-pressure: bytes count from the request until the pool has ruled ([`RelayConfig::bytes_max`]), so a pool that waits for
//! room, or for the archive, stops the fetching; during a sync announcements are passed over, as the pool cannot judge them.
//! Nothing is lost by that: what waits in a pool is announced again, every [`RelayConfig::resend`] and to new peers.

mod encoding;
mod messages;
mod wanted;
mod worker;

pub use encoding::network_encoding;

use crate::{
    arrivals::Arrivals,
    network::{Incoming, PeerTable, Peers},
    sync::SyncProgress,
    task::Task,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use weft_engine::EngineHandle;
use weft_p2p::{Offence, TxAnnouncement};
use weft_pool::{Pool, PoolError};

/// Bounds of a relay.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// Announced transactions that are known of and not in the pool yet.
    pub transactions_max: usize,
    /// Bytes of transactions that are being fetched or wait for the pool's ruling. Half of the pool's admission at most, so
    /// that peers never keep this node's own clients out.
    pub bytes_max: usize,
    /// Bytes in the pool above which nothing is fetched.
    pub pool_bytes_max: usize,
    /// Requests under way to one peer.
    pub peer_requests_max: usize,
    /// After this a request is given up.
    pub deadline: Duration,
    /// How long a gossiped message waits to be passed on; the network forgets it after about five seconds.
    pub verdict: Duration,
    /// How long announcements wait for others to go along; less than a sealer waits before it seals, so that peers have the
    /// transactions before the block.
    pub coalesce: Duration,
    /// How often what waits in the pool is announced again; more than the network takes for a duplicate (two minutes).
    pub resend: Duration,
    /// Pause before that happens for a new peer, or after announcements that nobody heard.
    pub resend_soon: Duration,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            transactions_max: 16_384,
            bytes_max: 32 << 20,
            pool_bytes_max: 480 << 20,
            peer_requests_max: 4,
            deadline: Duration::from_secs(10),
            verdict: Duration::from_secs(3),
            coalesce: Duration::from_millis(2),
            resend: Duration::from_secs(130),
            resend_soon: Duration::from_secs(1),
        }
    }
}

/// What a relay works with.
#[derive(Debug)]
pub struct RelayArgs<N> {
    /// Bounds.
    pub config: RelayConfig,
    /// Judges.
    pub pool: Pool,
    /// Says what is in blocks already.
    pub engine: EngineHandle,
    /// Who is told and asked.
    pub network: Arc<N>,
    /// Who is connected.
    pub peers: watch::Receiver<PeerTable>,
    /// Announcements of peers.
    pub transactions: mpsc::Receiver<Incoming<Vec<TxAnnouncement>>>,
    /// Told of what is on its way to the pool.
    pub arrivals: Arrivals,
    /// Whether this node is in step with the chain; `None`: always.
    pub sync: Option<watch::Receiver<SyncProgress>>,
}

/// Handle to a running relay. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Relay(Task);

impl Relay {
    /// Starts to relay. To be called within a tokio runtime.
    pub fn spawn<N: Peers>(args: RelayArgs<N>) -> Self {
        let stop = CancellationToken::new();
        Self(Task::spawn("relay", stop.clone(), worker::Worker::new(args, stop).run()))
    }

    /// Stops; what is being fetched is given up. Safe to call more than once.
    pub async fn shutdown(&self) {
        self.0.shutdown().await;
    }
}

/// What a refusal says of whoever sent the transaction: `None` where an honest node may have sent it, because it knows
/// another head, has another configuration, or more room.
fn offence_of(error: &PoolError) -> Option<Offence> {
    match error {
        PoolError::Decode(_)
        | PoolError::InvalidSender(_)
        | PoolError::ChainId { .. }
        | PoolError::Initcode { .. }
        | PoolError::TipAboveFeeCap
        | PoolError::NonceMax
        | PoolError::IntrinsicGas { .. }
        | PoolError::FloorGas { .. }
        | PoolError::NoAuthorizations
        | PoolError::MissingSidecar
        | PoolError::NoBlobs
        | PoolError::Kzg(_) => Some(Offence::BadTransaction),
        _ => None,
    }
}

/// Whether a refused transaction can never be taken.
fn is_final(error: &PoolError) -> bool {
    offence_of(error).is_some() || matches!(error, PoolError::NonceTooLow { .. })
}
