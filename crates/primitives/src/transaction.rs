//! A transaction and what was computed from it once.

use crate::{EncodedBlob, InputBytes};
use alloy_consensus::{EthereumTxEnvelope, Transaction as _, TxEip4844, TxEip4844Variant};
use alloy_eips::eip7594::BlobTransactionSidecarVariant;
use alloy_primitives::{Address, Bytes, TxHash};
use std::sync::Arc;

/// A transaction as blocks hold it: signed, a type-3 one without its sidecar.
pub type Transaction = EthereumTxEnvelope<TxEip4844>;

/// A transaction as wallets send it: a type-3 one may carry its sidecar.
pub type PooledTransaction = EthereumTxEnvelope<TxEip4844Variant<BlobTransactionSidecarVariant>>;

/// A transaction with its hash, sender, encoding, cells and the count of its input, each computed once and carried from
/// the pool (or the first sight of a block) to the disk. Cheap to clone behind an [`Arc`].
#[derive(Clone, Debug)]
pub struct PreparedTransaction {
    /// The transaction; its cached hash is set.
    pub tx: Transaction,
    /// Who signed it.
    pub sender: Address,
    /// EIP-2718 bytes as in a block body. `tx`'s input is a slice of this buffer where it is large.
    pub encoded: Bytes,
    /// Zero bytes and others in the input, which is what gas asks of it.
    pub input_bytes: InputBytes,
    /// The coded input, where it has at least `blobThresholdBytes` and the chain has a geometry.
    pub blob: Option<Arc<EncodedBlob>>,
}

impl PreparedTransaction {
    /// A transaction whose hash is set already, without cells. Counts the input.
    pub fn new(tx: Transaction, sender: Address, encoded: Bytes) -> Self {
        let input_bytes = InputBytes::count(tx.input());
        Self { tx, sender, encoded, input_bytes, blob: None }
    }

    /// Transaction hash.
    pub fn hash(&self) -> TxHash {
        *self.tx.tx_hash()
    }
}
