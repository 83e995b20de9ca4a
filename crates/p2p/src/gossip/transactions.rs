//! Transactions as they are gossiped: large ones by hash, size and type, small ones whole.

use crate::wire::{Reader, TX_BYTES_MAX, Wire, WireError, Writer};
use alloy_primitives::{Bytes, TxHash};

/// Up to this many bytes a transaction rides in its announcement.
pub const INLINE_BYTES_MAX: usize = 4096;
/// Transactions of one message.
pub const ANNOUNCEMENTS_MAX: usize = 128;

/// A transaction that a peer has. Hash, size and type are its word until the bytes are here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxAnnouncement {
    /// Hash.
    pub hash: TxHash,
    /// Length of the EIP-2718 encoding in bytes, at most [`TX_BYTES_MAX`].
    pub bytes: u32,
    /// EIP-2718 type, 0 for a legacy transaction.
    pub tx_type: u8,
    /// The encoding itself, of at most [`INLINE_BYTES_MAX`] bytes.
    pub inline: Option<Bytes>,
}

impl TxAnnouncement {
    /// Of an encoding, which is carried when it is small.
    pub fn new(hash: TxHash, tx_type: u8, encoded: &Bytes) -> Self {
        let inline = (encoded.len() <= INLINE_BYTES_MAX).then(|| encoded.clone());
        Self { hash, bytes: u32::try_from(encoded.len()).unwrap_or(u32::MAX), tx_type, inline }
    }
}

/// One gossiped message: 1 to [`ANNOUNCEMENTS_MAX`] transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcements(pub Vec<TxAnnouncement>);

impl Wire for TxAnnouncement {
    const BYTES_MAX: usize = INLINE_BYTES_MAX + 64;

    fn write(&self, out: &mut Writer) {
        out.list(|out| {
            out.item(&self.hash);
            out.item(&self.bytes);
            out.item(&self.tx_type);
            out.items(&self.inline, |out, encoded| out.bytes(encoded));
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut list = from.list()?;
        let announcement = Self {
            hash: list.item()?,
            bytes: list.item()?,
            tx_type: list.item()?,
            inline: list.optional("inline", |from| from.bytes(INLINE_BYTES_MAX))?,
        };
        list.end()?;
        let length = announcement.bytes as usize;
        if length > TX_BYTES_MAX || announcement.inline.as_ref().is_some_and(|inline| inline.len() != length)
        {
            return Err(WireError::Field {
                field: "bytes",
                reason: "more than 16 MiB, or not what is inline",
            });
        }
        Ok(announcement)
    }
}

impl Wire for Announcements {
    const BYTES_MAX: usize = ANNOUNCEMENTS_MAX * TxAnnouncement::BYTES_MAX + 8;

    fn write(&self, out: &mut Writer) {
        out.items(&self.0, |out, one| one.write(out));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let all = from.items("announcements", ANNOUNCEMENTS_MAX, TxAnnouncement::read)?;
        if all.is_empty() {
            return Err(WireError::Field { field: "announcements", reason: "none" });
        }
        Ok(Self(all))
    }
}
