//! `/weft/bodies/1`: the transactions of a block, in parts of 4 MiB.

use crate::wire::{
    BODY_FRAME_BYTES_MAX, BODY_PART_BYTES, Reader, TX_BYTES_MAX, Wire, WireError, Writer, read_withdrawals,
    write_withdrawals,
};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{B256, Bytes};

/// Transactions of one part: none has less than 32 bytes.
pub const TRANSACTIONS_MAX: usize = BODY_PART_BYTES / 32;

/// Which part of which body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyRequest {
    /// Hash of the block.
    pub block: B256,
    /// Index of the first transaction that is wanted.
    pub first_tx: u32,
    /// Stop with the transaction that reaches so many bytes; at most [`BODY_PART_BYTES`].
    pub max_bytes: u32,
}

impl BodyRequest {
    /// The part of full size that begins at a transaction.
    pub fn new(block: B256, first_tx: u32) -> Self {
        Self { block, first_tx, max_bytes: BODY_PART_BYTES as u32 }
    }
}

/// Consecutive transactions of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyPart {
    /// Index of the first one.
    pub first_tx: u32,
    /// Transactions of the whole block.
    pub transaction_count: u32,
    /// EIP-2718 encodings.
    pub transactions: Vec<Bytes>,
    /// Withdrawals of the block, if its fork has them.
    pub withdrawals: Option<Vec<Withdrawal>>,
}

impl Wire for BodyRequest {
    const BYTES_MAX: usize = 64;

    fn write(&self, out: &mut Writer) {
        out.list(|out| {
            out.item(&self.block);
            out.item(&self.first_tx);
            out.item(&self.max_bytes);
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut list = from.list()?;
        let request = Self { block: list.item()?, first_tx: list.item()?, max_bytes: list.item()? };
        list.end()?;
        if request.max_bytes as usize > BODY_PART_BYTES {
            return Err(WireError::Field { field: "maxBytes", reason: "more than 4 MiB" });
        }
        Ok(request)
    }
}

impl Wire for BodyPart {
    const BYTES_MAX: usize = BODY_FRAME_BYTES_MAX;

    fn write(&self, out: &mut Writer) {
        out.list(|out| {
            out.item(&self.first_tx);
            out.item(&self.transaction_count);
            out.items(&self.transactions, |out, tx| out.bytes(tx));
            write_withdrawals(out, self.withdrawals.as_ref());
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut list = from.list()?;
        let part = Self {
            first_tx: list.item()?,
            transaction_count: list.item()?,
            transactions: list.items("transactions", TRANSACTIONS_MAX, |from| from.bytes(TX_BYTES_MAX))?,
            withdrawals: read_withdrawals(&mut list)?,
        };
        list.end()?;
        let end = u64::from(part.first_tx) + part.transactions.len() as u64;
        if end > u64::from(part.transaction_count) {
            return Err(WireError::Field { field: "transactionCount", reason: "fewer than there are" });
        }
        Ok(part)
    }
}
