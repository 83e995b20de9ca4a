//! A block without its calldata: all that receipts, logs, fees and headers are answered from.
//!
//! Made from an engine event or from the database; holds no reference to a block's large buffers,
//! so that keeping it keeps no calldata alive.

use crate::RpcError;
use alloy_consensus::{
    SignableTransaction, Signed, Transaction as _, TxReceipt, transaction::RlpEcdsaEncodableTx,
};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, Bloom, Bytes, TxHash};
use alloy_rlp::{Encodable, Header as RlpHeader};
use std::sync::{Arc, OnceLock};
use weft_engine::CanonicalBlock;
use weft_primitives::{Header, PreparedTransaction, Receipt, SealedHeader, Transaction};
use weft_storage::{StoredTransaction, TxPosition, View};

/// Inputs up to this many bytes are kept in a digest; larger ones are read from the database.
pub const INPUT_KEPT_BYTES: usize = 1024;

/// One transaction of a digest.
#[derive(Clone, Debug)]
pub struct TransactionDigest {
    /// The transaction, with an empty input when that is larger than `INPUT_KEPT_BYTES`.
    pub tx: Transaction,
    /// Who signed it.
    pub sender: Address,
    /// Bytes of the input.
    pub input_bytes: usize,
}

impl TransactionDigest {
    fn new(tx: &Transaction, sender: Address, input_bytes: usize) -> Self {
        Self { tx: without_large_input(tx), sender, input_bytes }
    }

    /// Transaction hash.
    pub fn hash(&self) -> TxHash {
        *self.tx.tx_hash()
    }

    /// Whether `tx` is the whole transaction.
    pub fn is_whole(&self) -> bool {
        self.tx.input().len() == self.input_bytes
    }
}

/// A block without its calldata.
#[derive(Clone, Debug)]
pub struct BlockDigest {
    /// Header with its hash.
    pub header: SealedHeader,
    /// Hash and sender of each transaction, in order.
    pub transactions: Vec<(TxHash, Address)>,
    /// One per transaction.
    pub receipts: Vec<Receipt>,
    /// Uncle headers.
    pub ommers: Vec<Header>,
    /// Withdrawals, from Shanghai on.
    pub withdrawals: Option<Withdrawals>,
    /// RLP bytes of the whole block.
    pub size: usize,
    /// The transactions whole, of a pending block; a canonical block's are in the database.
    pooled: Option<Vec<Arc<PreparedTransaction>>>,
    /// The transactions themselves: there when the block came by an event, else read when asked for.
    details: OnceLock<Vec<TransactionDigest>>,
}

impl BlockDigest {
    /// From an engine event.
    pub fn from_event(block: &CanonicalBlock) -> Self {
        let (block, receipts) = (&block.block, block.receipts.clone());
        let details: Vec<_> = block
            .transactions
            .iter()
            .map(|prepared| TransactionDigest::new(&prepared.tx, prepared.sender, prepared.tx.input().len()))
            .collect();
        let transactions_rlp_bytes = block
            .transactions
            .iter()
            .map(|prepared| listed_bytes(&prepared.tx, prepared.encoded.len()))
            .sum();
        let size = block_size(
            block.header.header(),
            transactions_rlp_bytes,
            &block.ommers,
            block.withdrawals.as_ref(),
        );
        Self {
            header: block.header.clone(),
            transactions: details.iter().map(|digest| (digest.hash(), digest.sender)).collect(),
            receipts,
            ommers: block.ommers.clone(),
            withdrawals: block.withdrawals.clone(),
            size,
            pooled: None,
            details: OnceLock::from(details),
        }
    }

    /// Of a block that is in no database yet.
    pub fn pending(block: &CanonicalBlock) -> Self {
        Self { pooled: Some(block.block.transactions.clone()), ..Self::from_event(block) }
    }

    /// Whether this is a pending block, which has no hash to speak of.
    pub fn is_pending(&self) -> bool {
        self.pooled.is_some()
    }

    /// Transaction `index` of a pending block.
    pub fn pooled(&self, index: usize) -> Option<&Arc<PreparedTransaction>> {
        self.pooled.as_ref()?.get(index)
    }

    /// From the database, without reading any transaction; `None` when there is no such block.
    pub fn load(view: &View<'_>, number: u64) -> Result<Option<Self>, RpcError> {
        let (Some(header), Some(meta)) = (view.header(number)?, view.body_meta(number)?) else {
            return Ok(None);
        };
        let bytes = usize::try_from(meta.transactions_rlp_bytes).map_err(RpcError::internal)?;
        Ok(Some(Self {
            size: block_size(header.header(), bytes, &meta.ommers, meta.withdrawals.as_ref()),
            header,
            transactions: view.tx_hashes_and_senders(number)?.unwrap_or_default(),
            receipts: view.receipts(number)?.unwrap_or_default(),
            ommers: meta.ommers,
            withdrawals: meta.withdrawals,
            pooled: None,
            details: OnceLock::new(),
        }))
    }

    /// Transaction `index` without a large input; reads only that one.
    pub fn transaction(&self, view: &View<'_>, index: usize) -> Result<TransactionDigest, RpcError> {
        match self.details.get() {
            Some(details) => Ok(details[index].clone()),
            None => self.load_transaction(view, index),
        }
    }

    /// Transaction `index`, if it was read before.
    pub fn known_transaction(&self, index: usize) -> Option<&TransactionDigest> {
        self.details.get()?.get(index)
    }

    /// All transactions without large inputs; reads them once.
    pub fn all_transactions(&self, view: &View<'_>) -> Result<&[TransactionDigest], RpcError> {
        if let Some(details) = self.details.get() {
            return Ok(details);
        }
        let details = (0..self.transactions.len())
            .map(|index| self.load_transaction(view, index))
            .collect::<Result<_, _>>()?;
        Ok(self.details.get_or_init(|| details))
    }

    fn load_transaction(&self, view: &View<'_>, index: usize) -> Result<TransactionDigest, RpcError> {
        let position = position(&self.header, index)?;
        let (hash, sender) = self.transactions[index];
        // The view may be of a moment after this block was unwound.
        let stored = view.transaction(position)?.ok_or(RpcError::HeaderNotFound)?;
        let dropped_bytes = match &stored {
            StoredTransaction::Whole(_) => 0,
            StoredTransaction::Dropped { input_bytes, .. } => {
                usize::try_from(*input_bytes).map_err(RpcError::internal)?
            }
        };
        let tx = match stored {
            StoredTransaction::Dropped { without_input, .. } => without_input,
            whole => whole
                .with_input(hash, Bytes::new())
                .ok_or_else(|| RpcError::internal(format!("transaction {hash} is malformed on disk")))?,
        };
        let input_bytes = tx.input().len().max(dropped_bytes);
        Ok(TransactionDigest::new(&tx, sender, input_bytes))
    }

    /// Rough size in memory, in bytes, with its transactions read: what the cache is bounded by.
    pub fn weight(&self) -> usize {
        let logs: usize = self
            .receipts
            .iter()
            .flat_map(|receipt| &receipt.logs)
            .map(|log| 120 + 32 * log.topics().len() + log.data.data.len())
            .sum();
        1024 + (600 + INPUT_KEPT_BYTES / 4) * self.transactions.len() + logs + 600 * self.ommers.len()
    }

    /// Gas of transaction `index` alone.
    pub fn gas_used(&self, index: usize) -> u64 {
        let cumulative = |at: usize| self.receipts.get(at).map_or(0, |receipt| receipt.cumulative_gas_used);
        cumulative(index) - if index == 0 { 0 } else { cumulative(index - 1) }
    }

    /// Position in the block of the first log of transaction `index`.
    pub fn first_log_index(&self, index: usize) -> u64 {
        self.receipts.iter().take(index).map(|receipt| receipt.logs.len() as u64).sum()
    }

    /// Bloom of the receipt at `index`.
    pub fn receipt_bloom(&self, index: usize) -> Bloom {
        self.receipts.get(index).map(TxReceipt::bloom).unwrap_or_default()
    }
}

/// Where transaction `index` of the block lies.
pub fn position(header: &SealedHeader, index: usize) -> Result<TxPosition, RpcError> {
    Ok(TxPosition { block: header.number, index: u32::try_from(index).map_err(RpcError::internal)? })
}

/// The transaction with another input; signature and hash stay those of the original.
pub fn with_input(tx: &Transaction, input: Bytes) -> Transaction {
    fn replace<T: RlpEcdsaEncodableTx + SignableTransaction<alloy_primitives::Signature> + Clone>(
        signed: &Signed<T>,
        set: impl FnOnce(&mut T),
    ) -> Signed<T> {
        let mut inner = signed.tx().clone();
        set(&mut inner);
        Signed::new_unchecked(inner, *signed.signature(), *signed.hash())
    }
    match tx {
        Transaction::Legacy(signed) => Transaction::Legacy(replace(signed, |tx| tx.input = input)),
        Transaction::Eip2930(signed) => Transaction::Eip2930(replace(signed, |tx| tx.input = input)),
        Transaction::Eip1559(signed) => Transaction::Eip1559(replace(signed, |tx| tx.input = input)),
        Transaction::Eip4844(signed) => Transaction::Eip4844(replace(signed, |tx| tx.input = input)),
        Transaction::Eip7702(signed) => Transaction::Eip7702(replace(signed, |tx| tx.input = input)),
    }
}

fn without_large_input(tx: &Transaction) -> Transaction {
    // A small input is copied: a slice would keep the whole buffer that it was cut from.
    let kept =
        if tx.input().len() <= INPUT_KEPT_BYTES { Bytes::copy_from_slice(tx.input()) } else { Bytes::new() };
    with_input(tx, kept)
}

/// Bytes of a transaction in the block's list: a legacy one is a list, a typed one a string around its bytes.
fn listed_bytes(tx: &Transaction, encoded_bytes: usize) -> usize {
    if tx.is_legacy() {
        encoded_bytes
    } else {
        RlpHeader { list: false, payload_length: encoded_bytes }.length_with_payload()
    }
}

/// RLP length of a block, from its parts' lengths.
fn block_size(
    header: &Header,
    transactions_rlp_bytes: usize,
    ommers: &[Header],
    withdrawals: Option<&Withdrawals>,
) -> usize {
    let list = |payload_length: usize| RlpHeader { list: true, payload_length }.length_with_payload();
    let ommers: usize = ommers.iter().map(Encodable::length).sum();
    list(
        header.length()
            + list(transactions_rlp_bytes)
            + list(ommers)
            + withdrawals.map_or(0, Encodable::length),
    )
}
