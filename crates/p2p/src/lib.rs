#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod behaviour;
pub mod bodies;
pub mod cells;
mod codec;
pub mod commitments;
mod config;
pub mod custody;
mod error;
mod event;
pub mod fetch;
mod fork_digest;
mod gate;
pub mod gossip;
mod handle;
pub mod headers;
mod identity;
mod metrics;
mod network;
mod offence;
mod peer_info;
pub mod ranges;
mod rate;
mod redial;
pub mod sampling;
pub mod score;
mod serve;
pub mod status;
mod topic;
pub mod transactions;
mod transport;
pub mod wire;
mod worker;

pub use bodies::{BodyPart, BodyRequest};
pub use cells::{CellsRequest, CellsResponse};
pub use codec::Answer;
pub use commitments::{BlockCommitment, CommitmentRequest};
pub use config::{DEFAULT_PORT, Limits, NetworkConfig, Role};
pub use error::{NetworkError, Refusal, RequestError};
pub use event::{Announced, NetworkEvent};
pub use fork_digest::ForkDigest;
pub use gossip::{BlockAnnouncement, ColumnSegment, SignedHead, TxAnnouncement};
pub use handle::{NetworkHandle, PublishError};
pub use headers::HeadersRequest;
pub use identity::peer_id;
pub use network::Network;
pub use offence::Offence;
pub use peer_info::{PeerInfo, Protocol, Traffic};
pub use serve::Serve;
pub use status::{Head, LocalStatus, RemoteStatus};
pub use topic::Topic;

pub use libp2p::{Multiaddr, PeerId};
