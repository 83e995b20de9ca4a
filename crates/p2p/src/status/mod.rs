//! `/weft/status/1`: who a node is. The first request on a connection, in both senses: it carries the asker's status and
//! is answered with the other's, or with a goodbye. Later ones keep heads up to date.

mod wire;

pub(crate) use wire::VERSION;
pub use wire::{Goodbye, StatusMessage, StatusReply};

use crate::{Role, SignedHead};
use alloy_primitives::{B256, BlockNumber};

/// A block by number and hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Head {
    /// Its number.
    pub number: BlockNumber,
    /// Its hash.
    pub hash: B256,
}

/// What this node tells others of its chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalStatus {
    /// The last block that is durable here.
    pub head: Head,
    /// First block whose body is kept; above the head: none are.
    pub earliest_body: BlockNumber,
    /// First block whose custody columns are kept; above the head: none are.
    pub earliest_columns: BlockNumber,
}

/// What a peer says of itself. Only the signed head is proven; the rest is its word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteStatus {
    /// What kind of node it is.
    pub role: Role,
    /// Columns that it keeps; which ones follows from its peer id.
    pub custody_count: u16,
    /// Its last durable block.
    pub head: Head,
    /// First block whose body it keeps.
    pub earliest_body: BlockNumber,
    /// First block whose custody columns it keeps.
    pub earliest_columns: BlockNumber,
    /// The newest head that it knows with the signature of a sealer of ours; verified.
    pub signed_head: Option<SignedHead>,
}
