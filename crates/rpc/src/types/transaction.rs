//! Transactions.

use crate::BlockDigest;
use alloy_consensus::{Transaction as _, transaction::Recovered};
use alloy_primitives::Address;
use alloy_rpc_types_eth::Transaction as AlloyTransaction;
use serde::Serialize;
use weft_primitives::{SealedHeader, Transaction};

/// A transaction as geth answers it.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct RpcTransaction(AlloyTransaction<Transaction>);

/// Transaction `index` of the block, given whole.
pub fn included_transaction(block: &BlockDigest, index: usize, tx: Transaction) -> RpcTransaction {
    let mut placed = placed_transaction(&block.header, index, tx, block.transactions[index].1);
    if block.is_pending() {
        placed.0.block_hash = None;
    }
    placed
}

/// Transaction `index` of a block with this header.
pub fn placed_transaction(
    header: &SealedHeader,
    index: usize,
    tx: Transaction,
    sender: Address,
) -> RpcTransaction {
    let effective_gas_price = tx.effective_gas_price(header.base_fee_per_gas);
    RpcTransaction(AlloyTransaction {
        inner: Recovered::new_unchecked(tx, sender),
        block_hash: Some(header.hash()),
        block_number: Some(header.number),
        transaction_index: Some(index as u64),
        effective_gas_price: Some(effective_gas_price),
        block_timestamp: Some(header.timestamp),
    })
}

/// A transaction that is in no block yet.
pub fn pending_transaction(tx: Transaction, sender: Address) -> RpcTransaction {
    let effective_gas_price = tx.max_fee_per_gas();
    RpcTransaction(AlloyTransaction {
        inner: Recovered::new_unchecked(tx, sender),
        block_hash: None,
        block_number: None,
        transaction_index: None,
        effective_gas_price: Some(effective_gas_price),
        block_timestamp: None,
    })
}
