//! Records of what is to be permanent: items, the shipments that carry them, what was spent, checkpoints, blobs.
//!
//! Called by the archive's upload ledger; nothing here knows Arweave but for the shape of its ids. Each write is one batch,
//! synced before it returns, and checks under `ledger_writer` what it replaces; the writer of blocks never waits for it.
//! Invariants: an item is in at most one open shipment; it is in the queue exactly while its place says so; what a shipment
//! booked is in `spending` exactly once.

mod read;
mod write;

use alloy_eips::BlockNumHash;
use alloy_primitives::{B256, BlockNumber, Bytes, TxHash};

/// `Weft-Kind` of an item (PROTOCOL §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum LedgerKind {
    /// The list of a checkpoint's items.
    Manifest = 1,
    /// Accounts, storage or code.
    State = 2,
    /// Headers with what their `daRoot`s commit to.
    Headers = 3,
    /// The calldata of one transaction.
    Blob = 4,
}

impl LedgerKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Manifest, Self::State, Self::Headers, Self::Blob];

    /// Value of the tag `Weft-Kind`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::State => "state",
            Self::Headers => "headers",
            Self::Blob => "blob",
        }
    }
}

/// What an item is known by: the same bytes of the same kind are the same item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerKey {
    /// What it is.
    pub kind: LedgerKind,
    /// Of its bytes.
    pub sha256: B256,
}

/// An item, signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerItem {
    /// The data item's id.
    pub id: B256,
    /// Of the content.
    pub bytes: u64,
    /// The data item up to its content: signature, owner, tags. Empty where the item was only found.
    pub header: Bytes,
    /// The block that it belongs to.
    pub block: BlockNumber,
    /// Seconds since 1970.
    pub queued_at: u64,
    /// Items that go before this one.
    pub after: Vec<LedgerKey>,
    /// Where it is.
    pub place: LedgerPlace,
}

/// Where an item is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerPlace {
    /// In the queue, under this number.
    Queued {
        /// Ascending in the order of arrival.
        sequence: u64,
    },
    /// In a shipment, whose state is the item's.
    Shipped {
        /// Its number.
        shipment: u64,
    },
    /// Seen on Arweave, not read back.
    Found {
        /// The transaction that carries it.
        carrier: B256,
        /// Its block on Arweave.
        height: u64,
    },
    /// Given up.
    Failed {
        /// Why.
        reason: String,
    },
}

/// One payment and what it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shipment {
    /// In the order of the bundle.
    pub items: Vec<LedgerKey>,
    /// Bytes of the bundle, or of the one item.
    pub bytes: u64,
    /// How it travels.
    pub carrier: Carrier,
    /// How far it has come.
    pub state: ShipmentState,
    /// What was booked for it.
    pub booked: Booking,
    /// Times that something was signed to be paid.
    pub signings: u32,
    /// Seconds since 1970.
    pub created_at: u64,
    /// What the last failure said; empty when all is well.
    pub error: String,
}

/// How a shipment travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A transaction of ours whose data is a bundle.
    Transaction {
        /// Its id.
        id: B256,
        /// The signed transaction in JSON, without data.
        signed: Bytes,
        /// Height of the newest block when it was signed: the anchor is valid for 50 blocks more.
        anchor_height: u64,
        /// Transactions for the same items that were proven never to be mined.
        superseded: Vec<B256>,
    },
    /// A bundler that takes the one item as it is.
    Bundler {
        /// The transaction that carries it, once known.
        transaction: Option<B256>,
    },
}

impl Carrier {
    /// The transaction that carries the items, once known.
    pub const fn transaction(&self) -> Option<B256> {
        match self {
            Self::Transaction { id, .. } => Some(*id),
            Self::Bundler { transaction } => *transaction,
        }
    }
}

/// How far a shipment has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShipmentState {
    /// Signed and booked; not known to have arrived.
    Uploading,
    /// Taken.
    Posted {
        /// Seconds since 1970.
        at: u64,
    },
    /// In a block.
    Confirmed {
        /// Of the block.
        height: u64,
        /// Blocks from there to the newest, both included.
        confirmations: u64,
    },
    /// Read back and compared; the end.
    Verified {
        /// Of the block.
        height: u64,
        /// When it was verified.
        confirmations: u64,
        /// Seconds since 1970.
        at: u64,
        /// Who gave the bytes back.
        gateway: String,
    },
    /// Given up, never to be mined; the end.
    Failed {
        /// Why.
        reason: String,
    },
}

impl ShipmentState {
    /// Whether nothing more happens to it.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Verified { .. } | Self::Failed { .. })
    }
}

/// An amount and the hour that it counts for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Booking {
    /// Hours since 1970.
    pub hour: u64,
    /// 10^-12 AR.
    pub winston: u128,
}

/// A checkpoint that was queued as a whole, or found on Arweave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointRecord {
    /// The block whose state it holds.
    pub block: BlockNumHash,
    /// Of the block, seconds since 1970.
    pub timestamp: u64,
    /// Diffs from the full checkpoint below to this one; 0: it is full.
    pub depth: u64,
    /// The manifest's key.
    pub manifest: LedgerKey,
    /// The parent manifest's id, of a diff.
    pub parent: Option<B256>,
    /// Bytes of all items, the manifest included.
    pub bytes: u64,
    /// Its items besides the manifest.
    pub items: Vec<LedgerKey>,
}

/// A blob whose permanence was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermanentBlobRecord {
    /// The transaction that carries it.
    pub tx: TxHash,
    /// The block that carried it when this was written.
    pub block: BlockNumHash,
    /// Bytes.
    pub length: u64,
    /// Its item; none before the block is finalized.
    pub item: Option<LedgerKey>,
    /// Seconds since 1970.
    pub requested_at: u64,
}

/// What was booked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spending {
    /// In all, winston.
    pub total: u128,
    /// In the hour that was asked for, winston.
    pub hour: u128,
}
