//! Structure checks over the chain (`weft db verify`): what can be checked without executing.
//!
//! Per block: header hash and links; transactions against the header's root, their hashes, senders
//! and lookup entries; receipts against bloom, gas and root; uncles and withdrawals; the change set
//! and the history entries it names; cell hashes against the `daRoot`, held columns against the
//! cell hashes. Of blocks below a restored one: the header, and the preimage of its `daRoot`. The state root is
//! `weft-trie`'s to check. Memory: one block.

use crate::{StorageError, Store, Table, TxPosition, View, codec, columns, keys};
use alloy_consensus::{
    TxReceipt,
    constants::EMPTY_OMMER_ROOT_HASH,
    proofs::{calculate_ommers_root, calculate_receipt_root, calculate_withdrawals_root},
    transaction::SignerRecoverable,
};
use alloy_primitives::{Address, B256, BlockNumber, Bloom, TxHash};
use rocksdb::DBPinnableSlice;
use std::{fmt, ops::RangeInclusive};
use weft_primitives::{BlobIndex, Receipt, SealedHeader, keccak};

/// More are counted, not kept.
const PROBLEMS_KEPT: usize = 1000;

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainReport {
    /// Blocks looked at.
    pub blocks: u64,
    /// Of these, how many have only a header here: those up to the block that the database was restored at.
    pub headers_only: u64,
    /// Transactions looked at.
    pub transactions: u64,
    /// Transactions whose input is held in columns only: their columns are checked, their block's
    /// transactions root cannot be.
    pub dropped: u64,
    /// Columns compared with the commitment, cell by cell.
    pub columns: u64,
    /// The first thousand problems.
    pub problems: Vec<ChainProblem>,
    /// All problems.
    pub problem_count: u64,
}

/// Something that is not as it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainProblem {
    /// Block that it belongs to.
    pub block: BlockNumber,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for ChainProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {}: {}", self.block, self.what)
    }
}

impl ChainReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problem_count == 0
    }
}

impl Store {
    /// Checks the blocks of `range` that are in the database; all of it is of one moment. Errors are
    /// failures to read; corrupt records and contradictions are in the report.
    pub fn verify_chain(&self, range: RangeInclusive<BlockNumber>) -> Result<ChainReport, StorageError> {
        let view = self.view();
        let head = view.head()?;
        let genesis = view.first_number()?;
        let base = view.base()?;
        let mut verifier = Verifier {
            view: &view,
            headers_only: base.map(|base| base.number),
            number: head.number,
            report: ChainReport::default(),
        };
        if view.canonical_hash(head.number)? != Some(head.hash) {
            verifier.problem("is named as the head and its header is another or missing");
        }
        for marker in [view.safe()?, view.finalized()?, base].into_iter().flatten() {
            verifier.number = marker.number;
            let canonical = view.canonical_hash(marker.number)?;
            verifier.check(
                canonical == Some(marker.hash),
                || "safe, finalized or restored block is not canonical",
            );
        }
        for number in (*range.start()).max(genesis)..=(*range.end()).min(head.number) {
            verifier.number = number;
            match verifier.block(number == genesis) {
                Err(error @ (StorageError::Corrupt { .. } | StorageError::Commitment { .. })) => {
                    verifier.problem(error);
                }
                other => other?,
            }
        }
        Ok(verifier.report)
    }
}

struct Verifier<'a> {
    view: &'a View<'a>,
    /// The newest block without a body.
    headers_only: Option<BlockNumber>,
    number: BlockNumber,
    report: ChainReport,
}

impl Verifier<'_> {
    fn problem(&mut self, what: impl fmt::Display) {
        self.report.problem_count += 1;
        if self.report.problems.len() < PROBLEMS_KEPT {
            self.report.problems.push(ChainProblem { block: self.number, what: what.to_string() });
        }
    }

    fn check<D: fmt::Display>(&mut self, holds: bool, what: impl FnOnce() -> D) {
        if !holds {
            self.problem(what());
        }
    }

    fn block(&mut self, is_genesis: bool) -> Result<(), StorageError> {
        self.report.blocks += 1;
        let Some(header) = self.view.header(self.number)? else {
            self.problem("header is missing");
            return Ok(());
        };
        self.header(&header, is_genesis)?;
        if self.headers_only.is_some_and(|newest| self.number <= newest) {
            self.report.headers_only += 1;
            self.summary(&header)?;
            return self.held_columns(&header);
        }
        let ids = self.view.tx_hashes_and_senders(self.number)?;
        self.check(ids.is_some(), || "senders are missing");
        let ids = ids.unwrap_or_default();
        self.body(&header, ids.len())?;
        self.transactions(&header, &ids)?;
        self.receipts(&header, ids.len(), is_genesis)?;
        if !is_genesis {
            self.history()?;
        }
        self.columns()
    }

    fn header(&mut self, header: &SealedHeader, is_genesis: bool) -> Result<(), StorageError> {
        self.check(header.header().hash_slow() == header.hash(), || "header does not have its hash");
        self.check(header.number == self.number, || format!("header has number {}", header.number));
        let number = self.view.block_number(header.hash())?;
        self.check(number == Some(self.number), || format!("header hash leads to number {number:?}"));
        if !is_genesis {
            let parent = self.view.canonical_hash(self.number - 1)?;
            self.check(parent == Some(header.parent_hash), || "parent is not the block below");
        }
        Ok(())
    }

    /// What the block commits to, of which the cells are not here.
    fn summary(&mut self, header: &SealedHeader) -> Result<(), StorageError> {
        let Some(stored) = self.view.da_summary(self.number)? else { return Ok(()) };
        match weft_erasure::is_committed(&stored, &header.extra_data) {
            Ok(committed) => self.check(committed, || "daRoot's preimage is not that of the header"),
            Err(error) => self.problem(error),
        }
        Ok(())
    }

    /// Columns in a database without bodies: record against header, cells against record.
    fn held_columns(&mut self, header: &SealedHeader) -> Result<(), StorageError> {
        for (column, complete) in self.view.held_columns(self.number)? {
            self.report.columns += u64::from(complete);
            let Some(held) = self.view.held_column(self.number, column)? else { continue };
            if let Err(error) = held.check(header.header()) {
                self.problem(format!("column {column}: {error}"));
                continue;
            }
            let mut leaves = held.tree.leaves().iter();
            for chunk in held.tree.held().iter().cloned().flatten() {
                let chunk = u32::try_from(chunk).unwrap_or(u32::MAX);
                let found = weft_erasure::leaf(&self.view.held_cell(self.number, column, chunk)?);
                self.check(leaves.next() == Some(&found), || {
                    format!("column {column}: the cell of chunk {chunk} is damaged")
                });
            }
        }
        Ok(())
    }

    fn body(&mut self, header: &SealedHeader, transactions: usize) -> Result<(), StorageError> {
        let Some(meta) = self.view.body_meta(self.number)? else {
            self.problem("body is missing");
            return Ok(());
        };
        self.check(meta.tx_count as usize == transactions, || {
            format!("body counts {} transactions, {transactions} have senders", meta.tx_count)
        });
        let ommers = match meta.ommers.as_slice() {
            [] => EMPTY_OMMER_ROOT_HASH,
            ommers => calculate_ommers_root(ommers),
        };
        self.check(ommers == header.ommers_hash, || "uncles are not those of the header");
        let withdrawals = meta.withdrawals.as_deref().map(Vec::as_slice).map(calculate_withdrawals_root);
        self.check(withdrawals == header.withdrawals_root, || "withdrawals are not those of the header");
        Ok(())
    }

    fn transactions(&mut self, header: &SealedHeader, ids: &[(TxHash, Address)]) -> Result<(), StorageError> {
        let mut whole: Vec<DBPinnableSlice<'_>> = Vec::with_capacity(ids.len());
        for (index, id) in (0..).zip(ids) {
            self.report.transactions += 1;
            let position = TxPosition { block: self.number, index };
            let found = self.view.tx_position(id.0)?;
            self.check(found == Some(position), || format!("transaction {} is looked up at {found:?}", id.0));
            match self.view.raw(Table::Transactions, &keys::position(position))? {
                Some(bytes) => {
                    self.transaction(&bytes, *id);
                    whole.push(bytes);
                }
                None => {
                    self.report.dropped += 1;
                    let stub = self.view.raw(Table::TransactionStubs, &keys::position(position))?;
                    self.check(stub.is_some(), || format!("transaction {} is missing", id.0));
                }
            }
        }
        if whole.len() == ids.len() {
            let root = keccak::ordered_root(&whole);
            self.check(root == header.transactions_root, || "transactions are not those of the header");
        }
        Ok(())
    }

    fn transaction(&mut self, bytes: &[u8], (hash, sender): (TxHash, Address)) {
        match codec::decode_transaction(bytes, hash) {
            Ok(tx) => {
                let signed_by = tx.recover_signer().ok();
                self.check(signed_by == Some(sender), || {
                    format!("transaction {hash} is signed by {signed_by:?}")
                });
            }
            Err(malformed) => self.problem(format!("transaction {hash}: {}", malformed.0)),
        }
        let found = keccak::keccak256_parts(&[bytes]);
        self.check(found == hash, || format!("transaction {hash} has hash {found}"));
    }

    fn receipts(
        &mut self,
        header: &SealedHeader,
        count: usize,
        is_genesis: bool,
    ) -> Result<(), StorageError> {
        let Some(receipts) = self.view.receipts(self.number)? else {
            self.problem("receipts are missing");
            return Ok(());
        };
        self.check(receipts.len() == count, || {
            format!("{} receipts for {count} transactions", receipts.len())
        });
        if is_genesis {
            return Ok(());
        }
        let gas_used = receipts.last().map_or(0, |receipt| receipt.cumulative_gas_used);
        self.check(gas_used == header.gas_used, || format!("receipts add up to {gas_used} gas"));
        let blooms: Vec<_> = receipts.iter().map(Receipt::with_bloom_ref).collect();
        let bloom = blooms.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.logs_bloom);
        self.check(bloom == header.logs_bloom, || "logs are not those of the header's bloom");
        let root = calculate_receipt_root(&blooms);
        self.check(root == header.receipts_root, || "receipts are not those of the header");
        Ok(())
    }

    /// Every previous value that the change set names is there and decodes.
    fn history(&mut self) -> Result<(), StorageError> {
        let changes = self.view.change_set(self.number)?;
        for address in changes.accounts {
            self.view.account_before(address, self.number)?;
        }
        for storage in changes.storages {
            for slot in storage.slots {
                self.view.slot_before(storage.account, slot, self.number)?;
            }
        }
        Ok(())
    }

    fn columns(&mut self) -> Result<(), StorageError> {
        let Some(cells) = self.view.block_cells(self.number)? else { return Ok(()) };
        let blobs = cells.summary().blobs.clone();
        for (index, blob) in (0..).map(BlobIndex).zip(&blobs) {
            let held = self.view.columns_held(self.number, index)?;
            let position = TxPosition { block: self.number, index: blob.tx_index };
            let tx_hash: Option<B256> = self.view.tx_hash_and_sender(position)?.map(|(hash, _)| hash);
            self.check(tx_hash == Some(blob.tx_hash), || {
                format!("blob {index} belongs to another transaction")
            });
            let dropped = self.view.raw(Table::TransactionStubs, &keys::position(position))?.is_some();
            let dispersed = self.view.dispersed(self.number)?.is_some();
            let enough = !dropped || dispersed || held.len() >= cells.summary().geometry.data_shards();
            self.check(enough, || format!("blob {index} was dropped and has only columns {held:?}"));
            for column in held {
                self.report.columns += 1;
                let bytes = self.view.column(self.number, index, column)?.unwrap_or_default();
                if let Err(error) = columns::check_column(&cells, blob, column, &bytes) {
                    self.problem(format!("column {column} of blob {index}: {error}"));
                }
            }
        }
        Ok(())
    }
}
