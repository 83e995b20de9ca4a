#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod arrivals;
mod ask;
mod attributes;
mod body;
mod follower;
mod headers;
mod metrics;
mod network;
mod publisher;
mod relay;
mod router;
mod sealer;
mod sync;
mod task;

pub use arrivals::Arrivals;
pub use ask::AskLimits;
pub use follower::{Follower, FollowerArgs, FollowerConfig, FollowerError};
pub use headers::{HeaderFollower, HeaderFollowerArgs, HeaderFollowerConfig, HeaderFollowerError};
pub use network::{Incoming, PeerTable, Peers, Ruling, Verdict};
pub use publisher::Publisher;
pub use relay::{Relay, RelayArgs, RelayConfig, network_encoding};
pub use router::{Routes, route};
pub use sealer::{DevSealer, DevSealerConfig, SealMode, SealerError};
pub use sync::{SyncConfig, SyncError, SyncPhase, SyncProgress};
