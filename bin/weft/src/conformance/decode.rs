//! A block from the wire, with the senders of its transactions: what a peer's block goes through.

use alloy_consensus::transaction::SignerRecoverable;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::Bytes;
use alloy_rlp::Decodable;
use std::sync::Arc;
use weft_primitives::{Block, PreparedBlock, PreparedTransaction, SealedHeader};

/// Why bytes are no block.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not RLP of a block.
    #[error("rlp: {0}")]
    Rlp(#[from] alloy_rlp::Error),
    /// Bytes follow the block.
    #[error("rlp: {0} bytes after the block")]
    TrailingBytes(usize),
    /// A signature that belongs to no key.
    #[error("transaction {0}: invalid transaction v, r, s values")]
    Signature(usize),
    /// Not hex.
    #[error("hex: {0}")]
    Hex(#[from] alloy_primitives::hex::FromHexError),
}

/// Decodes a block and prepares its transactions.
pub fn block(hex: &str) -> Result<PreparedBlock, DecodeError> {
    let rlp = alloy_primitives::hex::decode(hex)?;
    let mut rest = &rlp[..];
    let Block { header, body } = Block::decode(&mut rest)?;
    if !rest.is_empty() {
        return Err(DecodeError::TrailingBytes(rest.len()));
    }
    let mut transactions = Vec::with_capacity(body.transactions.len());
    for (index, tx) in body.transactions.into_iter().enumerate() {
        // Frontier takes signatures with a high s; the rules of the body refuse them later.
        let sender = tx.recover_signer_unchecked().map_err(|_| DecodeError::Signature(index))?;
        let encoded = Bytes::from(tx.encoded_2718());
        tx.tx_hash();
        transactions.push(Arc::new(PreparedTransaction::new(tx, sender, encoded)));
    }
    Ok(PreparedBlock {
        header: SealedHeader::seal_slow(header),
        transactions,
        ommers: body.ommers,
        withdrawals: body.withdrawals,
    })
}
