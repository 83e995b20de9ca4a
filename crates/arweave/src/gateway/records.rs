//! What the index holds: one JSON object per transaction, block, account, data root and item.
//!
//! A change of any of these changes [`super::store::SCHEMA`].

use crate::{Address, DataRoot, Id, Tag, Transaction, Winston, base64url, item::ItemHeader};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A transaction, without its data.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct TransactionRecord {
    pub(super) transaction: Transaction,
    /// Its place among everything that ever came, from 0.
    pub(super) sequence: u64,
    pub(super) state: State,
}

impl TransactionRecord {
    /// What the sender pays, in winston.
    pub(super) fn cost(&self) -> u128 {
        self.transaction.quantity.0.saturating_add(self.transaction.reward.0)
    }

    pub(super) fn data(&self) -> Option<DataKey> {
        let root = self.transaction.data_root?;
        Some(DataKey { root, size: self.transaction.data_size })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum State {
    /// Waits for a block.
    Pending,
    /// In a block; its data begins after byte `weave_start` of all data.
    Mined { height: u64, weave_start: u64 },
    /// Lost its place: code of the reason. May be posted again.
    Dropped(String),
}

impl State {
    /// Blocks are numbered from 0; what waits for one comes after all of them.
    pub(super) fn height(&self) -> Option<u64> {
        match self {
            Self::Pending => Some(PENDING_HEIGHT),
            Self::Mined { height, .. } => Some(*height),
            Self::Dropped(_) => None,
        }
    }
}

/// The height under which the query index keeps what is in no block yet.
pub(super) const PENDING_HEIGHT: u64 = u64::MAX;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct BlockRecord {
    pub(super) height: u64,
    pub(super) hash: BlockHash,
    pub(super) previous: Option<BlockHash>,
    /// Seconds since 1970.
    pub(super) timestamp: u64,
    pub(super) transactions: Vec<BlockTransaction>,
    /// Bytes of all data up to and with this block, each transaction's rounded up to whole chunks.
    pub(super) weave_bytes: u64,
    /// Bytes of this block's part of it.
    pub(super) block_bytes: u64,
}

/// What a block holds of a transaction: enough to take it back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct BlockTransaction {
    pub(super) id: Id,
    /// The sender's `last_tx` before.
    pub(super) previous: Option<Id>,
    /// Its data, and where that begins in the block.
    pub(super) data: Option<(DataKey, u64)>,
}

/// `indep_hash` of a block: 48 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockHash(pub(super) [u8; 48]);

impl std::fmt::Display for BlockHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&base64url::encode(self.0))
    }
}

impl Serialize for BlockHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BlockHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        base64url::decode_array("block hash", &text).map(Self).map_err(D::Error::custom)
    }
}

/// An account. What is `reserved` is the cost of transactions that wait for a block.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) balance: Winston,
    pub(super) reserved: Winston,
    pub(super) last_tx: Option<Id>,
    pub(super) spending: Spending,
}

/// What a wallet has ever paid: a proof, or the disproof, that nothing was paid twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spending {
    /// Transactions that were accepted, also those that were dropped or forgotten later.
    pub accepted: u64,
    /// Their rewards and quantities.
    pub accepted_winston: Winston,
    /// Transactions in blocks of the chain as it is now.
    pub mined: u64,
    /// Their rewards and quantities.
    pub mined_winston: Winston,
    /// Items that the bundler took.
    pub items: u64,
    /// What the receipts said that they cost.
    pub items_winston: Winston,
}

/// Data of a size under a root. Chunks belong to this, not to a transaction: two may carry the same data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct DataKey {
    pub(super) root: DataRoot,
    pub(super) size: u64,
}

/// An item that was uploaded, or found in a bundle.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ItemRecord {
    pub(super) header: StoredHeader,
    pub(super) sequence: u64,
    /// The transaction that carries it, through however many bundles; none while it waits for a bundle.
    pub(super) carrier: Option<Id>,
    /// The transaction or item whose data is the bundle that it is in.
    pub(super) bundled_in: Option<Id>,
    pub(super) source: Source,
    /// Where its header begins, where its data does, and where it ends in the source, in bytes.
    pub(super) start: u64,
    pub(super) data_start: u64,
    pub(super) end: u64,
}

/// What bytes are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Source {
    /// A transaction's data.
    Data(DataKey),
    /// An upload that waits for its bundle.
    Upload(Id),
}

/// [`ItemHeader`] as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredHeader {
    pub(super) signature: String,
    pub(super) owner: String,
    pub(super) address: Address,
    pub(super) target: Option<Address>,
    pub(super) anchor: String,
    pub(super) tags: Vec<Tag>,
}

impl From<&ItemHeader> for StoredHeader {
    fn from(header: &ItemHeader) -> Self {
        Self {
            signature: base64url::encode(&header.signature),
            owner: base64url::encode(&header.owner),
            address: header.address(),
            target: header.target,
            anchor: header.anchor.map(base64url::encode).unwrap_or_default(),
            tags: header.tags.clone(),
        }
    }
}
