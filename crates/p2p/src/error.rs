//! Why the network does not start, and why a request has no answer.

use libp2p::{Multiaddr, TransportError};
use std::{io, path::PathBuf, time::Duration};

/// Why the network does not start, or has ended.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The key file cannot be read or made.
    #[error("key file {path}: {source}")]
    IdentityFile {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The key file holds something else.
    #[error("key file {path}: not an ed25519 key of this network: {reason}")]
    IdentityBytes {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The key file can be read by others than its owner.
    #[error("key file {path} has mode {mode:o}; it must not be readable by others (chmod 600)")]
    IdentityMode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A listen address that cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// What happened.
        source: TransportError<io::Error>,
    },
    /// An address of a peer that does not say whose it is.
    #[error("{address}: the address of a peer ends with /p2p/<peer id>")]
    NoPeerId {
        /// The address.
        address: Multiaddr,
    },
    /// A value of the configuration that cannot work.
    #[error("{field}: {reason}")]
    Config {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A part of the stack refused to be built.
    #[error("cannot build {part}: {reason}")]
    Build {
        /// Which part.
        part: &'static str,
        /// In its own words.
        reason: String,
    },
    /// The network was shut down.
    #[error("the network is shut down")]
    Closed,
}

impl NetworkError {
    /// Whether the node cannot go on as it is configured.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, Self::Closed)
    }
}

/// Why a peer does not answer; said by the peer itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It does not have it.
    #[error("it does not have it")]
    NotFound,
    /// It answers too many requests already.
    #[error("it is busy")]
    Busy,
    /// We asked too much in too little time.
    #[error("we ask too fast")]
    RateLimited,
    /// The request makes no sense to it.
    #[error("it finds the request invalid")]
    Invalid,
    /// It failed.
    #[error("it failed")]
    Failed,
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// No connection to this peer, or it was lost.
    #[error("the peer is not connected")]
    NotConnected,
    /// No answer within the deadline.
    #[error("no answer within {0:?}")]
    Deadline(Duration),
    /// As many requests wait for this peer as may.
    #[error("too many requests wait for this peer")]
    QueueFull,
    /// The peer said no.
    #[error("the peer refused: {0}")]
    Refused(#[from] Refusal),
    /// The peer does not speak this protocol.
    #[error("the peer does not speak this protocol")]
    Unsupported,
    /// The answer broke a rule: a giant frame, not what was asked for, not decodable. It has cost the peer its score.
    #[error("a bad answer: {0}")]
    BadAnswer(String),
    /// The stream broke.
    #[error("the stream broke: {0}")]
    Io(String),
    /// The network was shut down.
    #[error("the network is shut down")]
    Closed,
}

impl RequestError {
    /// Whether asking this peer again now is pointless.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::NotConnected | Self::Unsupported | Self::Closed)
    }
}
