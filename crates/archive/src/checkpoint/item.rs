//! Items: what a checkpoint is made of, and the seam to where they are kept.
//!
//! An item is immutable bytes under a tag kind. Whoever keeps items gives each an id (on Arweave the data item's, in a
//! folder the SHA-256 of the bytes); a manifest names every item by id and SHA-256, so no source is believed.

use super::{Chain, TransportError};
use alloy_primitives::{B256, Bytes};
use std::fmt;
use weft_primitives::BlockNumHash;
use weft_storage::LedgerKind;

/// Name of an item where it is kept: 32 bytes of the keeper's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId(pub B256);

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `Weft-Kind` of an item (PROTOCOL §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ItemKind {
    /// The list of the others.
    Manifest,
    /// Accounts, storage or code.
    State,
    /// Headers with what their `daRoot`s commit to.
    Headers,
}

impl ItemKind {
    /// The same among all that the ledger takes.
    pub const fn in_ledger(self) -> LedgerKind {
        match self {
            Self::Manifest => LedgerKind::Manifest,
            Self::State => LedgerKind::State,
            Self::Headers => LedgerKind::Headers,
        }
    }

    /// Value of the tag `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Manifest => "application/octet-stream",
            Self::State | Self::Headers => "application/zstd",
        }
    }
}

/// A tag: name, value.
pub type Tag = (&'static str, String);

/// An item on its way to a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: ItemKind,
    /// Its bytes; at most [`ITEM_BYTES_MAX`](super::ITEM_BYTES_MAX), a manifest
    /// [`MANIFEST_BYTES_MAX`](super::MANIFEST_BYTES_MAX).
    pub bytes: Bytes,
    /// Of the bytes.
    pub sha256: B256,
    /// The tags of PROTOCOL §7, of the checkpoint that the item is made for. An item that is there already keeps
    /// those that it has.
    pub tags: Vec<Tag>,
}

impl Item {
    pub(crate) fn new(kind: ItemKind, bytes: Bytes, chain: &Chain, block: BlockNumHash) -> Self {
        let tags = tags(kind.in_ledger(), kind.content_type(), chain, block);
        Self { kind, sha256: weft_erasure::sha256(&bytes), bytes, tags }
    }
}

/// The tags that every item has (PROTOCOL §7).
pub(crate) fn tags(kind: LedgerKind, content_type: &str, chain: &Chain, block: BlockNumHash) -> Vec<Tag> {
    vec![
        ("App-Name", "weft".to_owned()),
        ("Weft-Protocol", "1".to_owned()),
        ("Weft-Chain-Id", chain.id.to_string()),
        ("Weft-Genesis", chain.genesis.to_string()),
        ("Weft-Kind", kind.name().to_owned()),
        ("Weft-Block", block.number.to_string()),
        ("Weft-Block-Hash", block.hash.to_string()),
        ("Content-Type", content_type.to_owned()),
    ]
}

/// An item to be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemRef {
    /// Where it is kept.
    pub id: ItemId,
    /// Of its bytes; only the first manifest of a restore may be named by id alone.
    pub sha256: Option<B256>,
    /// More bytes than this need not be read: the item is not the one asked for.
    pub bytes_max: u64,
}

/// Takes items. Called by one thread, in an order of which nothing but "the manifest comes last" is to be
/// relied upon.
pub trait ItemSink {
    /// Keeps an item and gives its id; durable when it returns. The same bytes are kept, and paid, once: a second
    /// call gives the first one's id.
    fn put(&mut self, item: &Item) -> Result<ItemId, TransportError>;
}

/// Gives items back. Called by several threads at once; retries and deadlines are the source's own.
pub trait ItemSource: Sync {
    /// The bytes of an item. What comes is compared with hash and length by the caller.
    fn get(&self, item: &ItemRef) -> Result<Bytes, TransportError>;
}
