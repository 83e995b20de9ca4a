//! Arweave as the ledger and retrieval need it: the seam between them and the HTTP client.
//!
//! Implemented by [`Gateways`], the client over one or several gateways, and in tests by a network in memory that can be cut off at
//! every call. Nothing that comes through here is believed: callers compare with what they signed or with a hash. Each
//! call has its own deadline and its own bounded retries; what it ends with is final for now.

mod gateways;

use alloy_primitives::{B256, Bytes};
use futures::future::BoxFuture;
pub use gateways::Gateways;
use std::fmt;
use weft_arweave::{Address, Anchor, DataItem, Error, Id, Transaction, Winston};

/// What a call gives.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// Where a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Every configured gateway answered, and none knows it.
    Unknown {
        /// The lowest of their newest blocks.
        height: u64,
    },
    /// Waits for a block.
    Pending,
    /// In a block.
    Mined {
        /// Of the block.
        height: u64,
        /// Blocks from there to the newest, both included.
        confirmations: u64,
    },
}

/// The data of a transaction, read back.
#[derive(Clone, Debug)]
pub struct ReadBack {
    /// All of it.
    pub data: Bytes,
    /// Who gave it.
    pub gateway: String,
}

/// A data item that a gateway gave, its signature verified.
#[derive(Clone, Debug)]
pub struct FetchedItem {
    /// The item.
    pub item: DataItem,
    /// Who gave it.
    pub gateway: String,
}

/// What items to look for: all conditions at once.
#[derive(Clone, Debug, Default)]
pub struct ItemQuery {
    /// Any of these; empty: any at all.
    pub ids: Vec<Id>,
    /// Signed by this address.
    pub owner: Option<Address>,
    /// With these tags: name, value.
    pub tags: Vec<(String, String)>,
}

/// An item that a query found. Only a gateway's word until the item was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The item.
    pub id: Id,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// Of its content.
    pub bytes: u64,
    /// The transaction or bundle that it is in, if the gateway says so.
    pub bundled_in: Option<Id>,
    /// Height of its block on Arweave; none while it waits.
    pub height: Option<u64>,
}

impl Hit {
    /// The value of a tag.
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.tags.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Arweave, seen from here.
pub trait Weave: fmt::Debug + Send + Sync + 'static {
    /// Height of the newest block that any gateway knows.
    fn height(&self) -> Answer<'_, u64>;

    /// An anchor for a transaction that is signed now.
    fn anchor(&self) -> Answer<'_, Anchor>;

    /// What a transaction with so many bytes of data costs.
    fn price(&self, bytes: u64) -> Answer<'_, Winston>;

    /// What an address holds.
    fn balance(&self, address: Address) -> Answer<'_, Winston>;

    /// Posts a transaction and all chunks of its data. Posting what is there already succeeds and costs nothing.
    fn post<'a>(&'a self, transaction: &'a Transaction, data: Bytes) -> Answer<'a, ()>;

    /// Where a transaction is. An error unless every gateway was asked or one knows it.
    fn presence(&self, id: Id) -> Answer<'_, Presence>;

    /// Reads a transaction's data, from another gateway than it was posted to where there are several, and proves that the
    /// gateway has it under the root that was signed.
    fn read_back<'a>(&'a self, transaction: &'a Transaction) -> Answer<'a, ReadBack>;

    /// What a bundler asks for an item of so many bytes.
    fn price_of_item(&self, bytes: u64) -> Answer<'_, Winston>;

    /// Hands an item to the bundler. Handing over what it has already succeeds and costs nothing.
    fn post_item<'a>(&'a self, item: &'a DataItem) -> Answer<'a, ()>;

    /// The transaction that carries an item, as gateways say; none while there is none.
    fn carrier(&self, item: Id) -> Answer<'_, Option<Id>>;

    /// The content of a transaction or item that has this SHA-256, at most `bytes_max` bytes, from any gateway that has it.
    fn content(&self, id: Id, sha256: B256, bytes_max: u64) -> Answer<'_, Bytes>;

    /// An item of at most `bytes_max` bytes of content, signature and id verified. Gateways that give anything else are passed over.
    fn item(&self, id: Id, bytes_max: u64) -> Answer<'_, FetchedItem>;

    /// Up to `limit` items by owner and tags, newest on Arweave first, from all gateways: one that hides some cannot hide
    /// those of another.
    fn find<'a>(&'a self, query: &'a ItemQuery, limit: usize) -> Answer<'a, Vec<Hit>>;
}
