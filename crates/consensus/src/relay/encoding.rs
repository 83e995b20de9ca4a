//! A pooled transaction as peers get it.

use alloy_consensus::{Signed, TxEip4844Variant, TxEip4844WithSidecar};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::Bytes;
use weft_pool::Pool;
use weft_primitives::{PooledTransaction, PreparedTransaction, Transaction};

/// EIP-2718 bytes, of a type-3 transaction with its blobs; shared with the pool but for that. `None`: the blobs are gone.
pub fn network_encoding(pool: &Pool, tx: &PreparedTransaction) -> Option<Bytes> {
    let Transaction::Eip4844(blob) = &tx.tx else { return Some(tx.encoded.clone()) };
    let sidecar = (*pool.sidecar(tx.hash())?).clone();
    let with = TxEip4844WithSidecar::from_tx_and_sidecar(blob.tx().clone(), sidecar);
    let with = Signed::new_unchecked(TxEip4844Variant::from(with), *blob.signature(), tx.hash());
    Some(PooledTransaction::Eip4844(with).encoded_2718().into())
}
