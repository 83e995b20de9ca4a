//! Blocks that a reorg is about to take back, read from the database for the pool, for subscribers and for
//! coming back to them.
//!
//! Bounded: beyond a number of bytes, and where a body was dropped, transactions come without input. Such a
//! transaction has its hash and an empty `encoded`; it is good for a log that is removed and for nothing else.

use crate::{CanonicalBlock, EngineError};
use alloy_primitives::{Address, Bytes, TxHash};
use std::sync::Arc;
use weft_primitives::{PreparedBlock, PreparedTransaction, Transaction};
use weft_storage::{StorageError, StoredTransaction, TxPosition, View};

/// Whether the block still has all its transactions' bytes.
pub(crate) fn is_whole(block: &PreparedBlock) -> bool {
    block.transactions.iter().all(|tx| !tx.encoded.is_empty())
}

/// A canonical block from the database with at most `bytes_max` bytes of transactions. Cells are not read.
pub(crate) fn load_block(
    view: &View<'_>,
    number: u64,
    bytes_max: usize,
) -> Result<CanonicalBlock, EngineError> {
    let missing = || StorageError::MissingBlock(number);
    let header = view.header(number)?.ok_or_else(missing)?;
    let meta = view.body_meta(number)?.ok_or_else(missing)?;
    let ids = view.tx_hashes_and_senders(number)?.ok_or_else(missing)?;
    let receipts = view.receipts(number)?.ok_or_else(missing)?;
    let mut bytes_left = bytes_max;
    let mut transactions = Vec::with_capacity(ids.len());
    for (index, (hash, sender)) in (0..).zip(ids) {
        let stored = view.transaction(TxPosition { block: number, index })?.ok_or_else(missing)?;
        let tx = prepare(stored, hash, sender, &mut bytes_left).ok_or(StorageError::Inconsistent {
            block: number,
            reason: "a stored transaction does not decode",
        })?;
        transactions.push(Arc::new(tx));
    }
    let block = PreparedBlock { header, transactions, ommers: meta.ommers, withdrawals: meta.withdrawals };
    Ok(CanonicalBlock { block, receipts })
}

fn prepare(
    stored: StoredTransaction,
    hash: TxHash,
    sender: Address,
    bytes_left: &mut usize,
) -> Option<PreparedTransaction> {
    let encoded = match &stored {
        StoredTransaction::Whole(encoded) => encoded.clone(),
        StoredTransaction::Dropped { .. } => Bytes::new(),
    };
    let tx = match stored {
        StoredTransaction::Dropped { without_input, .. } => without_input,
        whole => whole.with_input(hash, Bytes::new())?,
    };
    Some(match bytes_left.checked_sub(encoded.len()) {
        Some(left) => {
            *bytes_left = left;
            PreparedTransaction::new(tx, sender, encoded)
        }
        None => PreparedTransaction::new(without_input(tx, hash), sender, Bytes::new()),
    })
}

/// The transaction without input but with its hash, which could not be computed any more.
fn without_input(mut tx: Transaction, hash: TxHash) -> Transaction {
    *tx.input_mut() = Bytes::new();
    let signature = *tx.signature();
    Transaction::new_unchecked(tx.into_typed_transaction(), signature, hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{SignableTransaction, Transaction as _, TxEip1559};
    use alloy_eips::eip2718::Encodable2718;
    use alloy_primitives::Signature;

    fn stored() -> (Bytes, TxHash) {
        let tx = TxEip1559 { input: Bytes::from(vec![7; 1_000]), ..Default::default() };
        let tx = Transaction::from(tx.into_signed(Signature::test_signature()));
        (tx.encoded_2718().into(), *tx.tx_hash())
    }

    #[test]
    fn a_transaction_over_the_bound_keeps_its_hash_and_loses_its_bytes() {
        let (encoded, hash) = stored();
        let mut left = encoded.len() + 10;
        let mut read = || prepare(StoredTransaction::Whole(encoded.clone()), hash, Address::ZERO, &mut left);
        let whole = read().expect("decodes");
        assert_eq!((whole.hash(), &whole.encoded, whole.tx.input().len()), (hash, &encoded, 1_000));
        let cut = read().expect("decodes");
        assert_eq!((cut.hash(), cut.encoded.len(), cut.tx.input().len()), (hash, 0, 0));
        assert_eq!(left, 10, "what does not fit is not counted");
    }

    #[test]
    fn bytes_that_are_no_transaction_are_no_panic() {
        let garbage = StoredTransaction::Whole(Bytes::from_static(&[0x02, 0xff, 0x00]));
        assert!(prepare(garbage, TxHash::ZERO, Address::ZERO, &mut usize::MAX.clone()).is_none());
    }
}
