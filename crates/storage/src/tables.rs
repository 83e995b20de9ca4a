//! The tables: one column family each, named for what it holds, with its key and value in one place.
//!
//! All integers in keys are big-endian, so that byte order is numeric order. "Number" is a block
//! number of the canonical chain; nothing else is in the database. Value codecs are in [`crate::codec`].

/// A column family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// number → hash ‖ header RLP.
    Headers,
    /// header hash → number.
    HeaderNumbers,
    /// number → transaction count, bytes of the transactions in the block's RLP, ommers, withdrawals.
    BodyMeta,
    /// number ‖ u32 index → EIP-2718 bytes (BlobDB from 4096 bytes on).
    Transactions,
    /// number ‖ u32 index → u64 input length ‖ EIP-2718 bytes with an empty input; only where the body was dropped.
    TransactionStubs,
    /// number → per transaction: hash ‖ sender.
    Senders,
    /// number → all receipts, without blooms.
    Receipts,
    /// transaction hash → number ‖ u32 index.
    TxLookup,
    /// code hash → code.
    Code,
    /// keccak(address) → account with its storage root, after the head.
    HashedAccounts,
    /// keccak(address) ‖ keccak(slot) → value, after the head; zero is absent.
    HashedStorage,
    /// path, one nibble a byte → branch node of the account trie.
    AccountTrie,
    /// keccak(address) ‖ path, one nibble a byte → branch node of that account's storage trie.
    StorageTrie,
    /// keccak(address) ‖ number → the account before that block; empty: it did not exist.
    AccountHistory,
    /// keccak(address) ‖ keccak(slot) ‖ number → the slot before that block; empty: zero.
    StorageHistory,
    /// number → the accounts and slots that the block changed; their previous values are in the histories.
    ChangeSets,
    /// number → geometry, blobs, roots and commitment.
    DaSummaries,
    /// number → hashes of all cells, chunk-major (BlobDB from 4096 bytes on).
    CellHashes,
    /// number ‖ u32 blob ‖ u16 column → the column's cells in chunk order (BlobDB from 4096 bytes on).
    Shards,
    /// number ‖ u32 blob → bitmap of the columns in `Shards`; a segment without its bit is not there.
    ColumnsHeld,
    /// number ‖ u16 column ‖ u32 chunk → a cell of a database without bodies (BlobDB from 4096 bytes on).
    ColumnCells,
    /// number ‖ u16 column → preimage, path, and the column's tree as far as its cells are in `ColumnCells`: a cell
    /// without it is not there (BlobDB from 4096 bytes on).
    HeldColumns,
    /// number ‖ u16 column → nothing: a column that is to be kept and is not complete.
    ColumnsDue,
    /// number → by how many peers each column was attested when bodies of the block were dropped for that.
    Dispersed,
    /// kind ‖ SHA-256 of the bytes → an item of the upload ledger: id, signature, place.
    LedgerItems,
    /// u64 place in the queue → kind ‖ SHA-256 of an item that waits for a shipment.
    LedgerQueue,
    /// 0 (open) or 1 (done) ‖ u64 number → a payment to Arweave, what it carries, how far it has come.
    Shipments,
    /// u64 hour since 1970, or 0xff × 8 for the total → winston booked, u128.
    Spending,
    /// number → the checkpoint of that block: manifest and items. Not cut off by an unwind: only finalized blocks have one.
    Checkpoints,
    /// 0 (waiting) or 1 (queued) ‖ transaction hash → a blob whose permanence was asked for.
    PermanentBlobs,
    /// stage name → checkpoint, pending unwind.
    Stages,
    /// ASCII name → head, safe, finalized, base (the block that was restored, or the head where there are only headers):
    /// number ‖ hash; role → "da" in a database without execution; columns → oldest block with columns ‖ bytes of cells. While a restore is
    /// under way also restore → hash of its manifest, and restore/ ‖ u32 layer ‖ u32 step → nothing, for what is done.
    Meta,
}

/// How a table is written and read; decides RocksDB's options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Large values in key order: BlobDB, large memtable, no compression.
    Large,
    /// Small values under a number: LZ4, no filter.
    Sequential,
    /// Point reads under a hash: bloom filter over the whole key.
    Hashed,
    /// Point reads and walks within a prefix of that many bytes: bloom filter over key and prefix.
    Prefixed(usize),
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 32] = [
        Self::Headers,
        Self::HeaderNumbers,
        Self::BodyMeta,
        Self::Transactions,
        Self::TransactionStubs,
        Self::Senders,
        Self::Receipts,
        Self::TxLookup,
        Self::Code,
        Self::HashedAccounts,
        Self::HashedStorage,
        Self::AccountTrie,
        Self::StorageTrie,
        Self::AccountHistory,
        Self::StorageHistory,
        Self::ChangeSets,
        Self::DaSummaries,
        Self::CellHashes,
        Self::Shards,
        Self::ColumnsHeld,
        Self::ColumnCells,
        Self::HeldColumns,
        Self::ColumnsDue,
        Self::Dispersed,
        Self::LedgerItems,
        Self::LedgerQueue,
        Self::Shipments,
        Self::Spending,
        Self::Checkpoints,
        Self::PermanentBlobs,
        Self::Stages,
        Self::Meta,
    ];

    /// Tables whose keys begin with the number: an unwind cuts them off above its target.
    pub(crate) const BY_NUMBER: [Self; 15] = [
        Self::Headers,
        Self::BodyMeta,
        Self::Transactions,
        Self::TransactionStubs,
        Self::Senders,
        Self::Receipts,
        Self::ChangeSets,
        Self::DaSummaries,
        Self::CellHashes,
        Self::Shards,
        Self::ColumnsHeld,
        Self::ColumnCells,
        Self::HeldColumns,
        Self::ColumnsDue,
        Self::Dispersed,
    ];

    /// Name of the column family, of the table in `weft db`, and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Headers => "headers",
            Self::HeaderNumbers => "header_numbers",
            Self::BodyMeta => "body_meta",
            Self::Transactions => "transactions",
            Self::TransactionStubs => "transaction_stubs",
            Self::Senders => "senders",
            Self::Receipts => "receipts",
            Self::TxLookup => "tx_lookup",
            Self::Code => "code",
            Self::HashedAccounts => "hashed_accounts",
            Self::HashedStorage => "hashed_storage",
            Self::AccountTrie => "account_trie",
            Self::StorageTrie => "storage_trie",
            Self::AccountHistory => "account_history",
            Self::StorageHistory => "storage_history",
            Self::ChangeSets => "change_sets",
            Self::DaSummaries => "da_summaries",
            Self::CellHashes => "cell_hashes",
            Self::Shards => "shards",
            Self::ColumnsHeld => "columns_held",
            Self::ColumnCells => "column_cells",
            Self::HeldColumns => "held_columns",
            Self::ColumnsDue => "columns_due",
            Self::Dispersed => "dispersed",
            Self::LedgerItems => "ledger_items",
            Self::LedgerQueue => "ledger_queue",
            Self::Shipments => "shipments",
            Self::Spending => "spending",
            Self::Checkpoints => "checkpoints",
            Self::PermanentBlobs => "permanent_blobs",
            Self::Stages => "stages",
            Self::Meta => "meta",
        }
    }

    /// The table of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    pub(crate) const fn layout(self) -> Layout {
        match self {
            Self::Transactions | Self::CellHashes | Self::Shards | Self::ColumnCells | Self::HeldColumns => {
                Layout::Large
            }
            Self::Headers
            | Self::BodyMeta
            | Self::TransactionStubs
            | Self::Senders
            | Self::Receipts
            | Self::ChangeSets
            | Self::DaSummaries
            | Self::ColumnsHeld
            | Self::ColumnsDue
            | Self::Dispersed
            | Self::LedgerQueue
            | Self::Shipments
            | Self::Spending
            | Self::Checkpoints
            | Self::Stages
            | Self::Meta => Layout::Sequential,
            Self::HeaderNumbers
            | Self::TxLookup
            | Self::Code
            | Self::HashedAccounts
            | Self::AccountTrie
            | Self::LedgerItems
            | Self::PermanentBlobs => Layout::Hashed,
            Self::HashedStorage | Self::StorageTrie | Self::AccountHistory => Layout::Prefixed(32),
            Self::StorageHistory => Layout::Prefixed(64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for table in Table::ALL {
            assert_eq!(Table::from_name(table.name()), Some(table));
        }
        assert_eq!(Table::from_name("default"), None);
    }
}
