//! `/weft/transactions/1`: pooled transactions by hash, after an announcement.

use crate::wire::{BODY_FRAME_BYTES_MAX, BODY_PART_BYTES, Reader, TX_BYTES_MAX, Wire, WireError, Writer};
use alloy_primitives::{Bytes, TxHash};

/// Hashes of one request.
pub const HASHES_MAX: usize = 256;

/// Which transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionsRequest {
    /// Their hashes, 1 to [`HASHES_MAX`].
    pub hashes: Vec<TxHash>,
    /// Stop with the transaction that reaches so many bytes; at most [`BODY_PART_BYTES`].
    pub max_bytes: u32,
}

/// Those of them that the peer had and that fitted; EIP-2718 encodings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionsResponse(pub Vec<Bytes>);

impl Wire for TransactionsRequest {
    const BYTES_MAX: usize = HASHES_MAX * 33 + 16;

    fn write(&self, out: &mut Writer) {
        out.list(|out| {
            out.items(&self.hashes, |out, hash| out.item(hash));
            out.item(&self.max_bytes);
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut list = from.list()?;
        let request =
            Self { hashes: list.items("hashes", HASHES_MAX, |from| from.item())?, max_bytes: list.item()? };
        list.end()?;
        if request.hashes.is_empty() || request.max_bytes as usize > BODY_PART_BYTES {
            return Err(WireError::Field { field: "request", reason: "no hash, or more than 4 MiB" });
        }
        Ok(request)
    }
}

impl Wire for TransactionsResponse {
    const BYTES_MAX: usize = BODY_FRAME_BYTES_MAX;

    fn write(&self, out: &mut Writer) {
        out.items(&self.0, |out, tx| out.bytes(tx));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        from.items("transactions", HASHES_MAX, |from| from.bytes(TX_BYTES_MAX)).map(Self)
    }
}
