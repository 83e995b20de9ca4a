//! A transaction and what was computed from it once.

use crate::EncodedBlob;
use alloy_consensus::{EthereumTxEnvelope, TxEip4844, TxEip4844Variant};
use alloy_eips::eip7594::BlobTransactionSidecarVariant;
use alloy_primitives::{Address, Bytes, TxHash};
use std::sync::Arc;

/// A transaction as blocks hold it: signed, a type-3 one without its sidecar.
pub type Transaction = EthereumTxEnvelope<TxEip4844>;

/// A transaction as wallets send it: a type-3 one may carry its sidecar.
pub type PooledTransaction = EthereumTxEnvelope<TxEip4844Variant<BlobTransactionSidecarVariant>>;

/// A transaction with its hash, sender, encoding and cells, each computed once and carried from
/// the pool (or the first sight of a block) to the disk. Cheap to clone behind an [`Arc`].
#[derive(Clone, Debug)]
pub struct PreparedTransaction {
    /// The transaction; its cached hash is set.
    pub tx: Transaction,
    /// Who signed it.
    pub sender: Address,
    /// EIP-2718 bytes as in a block body. `tx`'s input is a slice of this buffer where it is large.
    pub encoded: Bytes,
    /// The coded input, where it has at least `blobThresholdBytes` and the chain has a geometry.
    pub blob: Option<Arc<EncodedBlob>>,
}

impl PreparedTransaction {
    /// Transaction hash.
    pub fn hash(&self) -> TxHash {
        *self.tx.tx_hash()
    }
}
