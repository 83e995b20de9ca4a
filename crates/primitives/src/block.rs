//! Blocks and headers.

use crate::{PreparedTransaction, Transaction};
use alloy_eips::eip4895::Withdrawals;
use std::sync::Arc;

pub use alloy_consensus::Header;
pub use alloy_eips::BlockNumHash;

/// A block body as on the wire.
pub type BlockBody = alloy_consensus::BlockBody<Transaction>;
/// A block as on the wire.
pub type Block = alloy_consensus::Block<Transaction>;
/// A header with its hash.
pub type SealedHeader = reth_primitives_traits::SealedHeader<Header>;
/// A block with its hash.
pub type SealedBlock = reth_primitives_traits::SealedBlock<Block>;

/// A block whose transactions are prepared: what the engine executes and storage persists.
#[derive(Clone, Debug)]
pub struct PreparedBlock {
    /// Header with its hash.
    pub header: SealedHeader,
    /// Transactions in order.
    pub transactions: Vec<Arc<PreparedTransaction>>,
    /// Uncle headers; empty since Paris.
    pub ommers: Vec<Header>,
    /// Withdrawals, from Shanghai on.
    pub withdrawals: Option<Withdrawals>,
}

impl PreparedBlock {
    /// Number and hash.
    pub fn num_hash(&self) -> BlockNumHash {
        self.header.num_hash()
    }

    /// The block as on the wire. Copies no calldata: inputs are reference-counted.
    pub fn to_block(&self) -> Block {
        Block {
            header: self.header.header().clone(),
            body: BlockBody {
                transactions: self.transactions.iter().map(|tx| tx.tx.clone()).collect(),
                ommers: self.ommers.clone(),
                withdrawals: self.withdrawals.clone(),
            },
        }
    }
}
