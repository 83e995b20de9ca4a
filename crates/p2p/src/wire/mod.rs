//! The form that messages have between nodes: RLP, capped in length before it is decoded.
//!
//! [`Wire`] is what has such a form. Reading never copies a payload: byte strings are slices of the frame they came in,
//! reference-counted. Writing never copies one either: a [`Frame`] is a list of pieces that are written one after
//! another. Both refuse more items than a list may have before they allocate for them.
//!
//! Lies that are possible here, all refused: a frame longer than its type allows; a list with too many items; a
//! length that is not canonical; bytes after the end; a field out of range.

mod fields;
mod reader;
mod writer;

pub(crate) use fields::{
    read_peer, read_proven, read_withdrawals, write_peer, write_proven, write_withdrawals,
};
pub use reader::Reader;
pub use writer::{Frame, Writer};

/// Cells in one answer or segment, in bytes.
pub const CELLS_BYTES_MAX: usize = 1 << 20;
/// Frame of an answer or segment of cells: header, preimage and two paths (8,640 bytes at most), and two bytes of RLP for
/// each of the 16,384 cells of 64 bytes that the payload can hold.
pub const CELLS_FRAME_BYTES_MAX: usize = CELLS_BYTES_MAX + 8_640 + 4 * 16_384;
/// One transaction in its EIP-2718 encoding, in bytes.
pub const TX_BYTES_MAX: usize = 16 << 20;
/// Transactions in one answer: they stop with the one that reaches this, in bytes.
pub const BODY_PART_BYTES: usize = 4 << 20;
/// Frame of an answer of transactions: a full part, one transaction on top, and RLP.
pub const BODY_FRAME_BYTES_MAX: usize = BODY_PART_BYTES + TX_BYTES_MAX + (1 << 20);
/// RLP of one header in bytes; Ethereum's have about 650.
pub const HEADER_BYTES_MAX: usize = 2048;
/// Any gossiped message in bytes.
pub const GOSSIP_BYTES_MAX: usize = CELLS_FRAME_BYTES_MAX + 8_192;

/// Why bytes from outside are refused.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Longer than this kind of message may be.
    #[error("{bytes} bytes, at most {max} are read")]
    TooLong {
        /// Bytes given.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// More items than the list may have.
    #[error("{list}: more than {max} items")]
    TooMany {
        /// Which list.
        list: &'static str,
        /// Items allowed.
        max: usize,
    },
    /// Not RLP, or not this message.
    #[error("rlp: {0}")]
    Rlp(#[from] alloy_rlp::Error),
    /// A field that no honest node sends.
    #[error("{field}: {reason}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// What has a form on the wire.
pub trait Wire: Sized + Send + 'static {
    /// Longest frame in bytes.
    const BYTES_MAX: usize;

    /// Appends exactly one RLP item.
    fn write(&self, out: &mut Writer);

    /// Reads exactly one RLP item.
    fn read(from: &mut Reader<'_>) -> Result<Self, WireError>;

    /// The whole message.
    fn to_frame(&self) -> Frame {
        let mut out = Writer::default();
        self.write(&mut out);
        out.finish()
    }

    /// Reads a message that must fill the frame. Its byte strings keep the frame alive.
    fn from_frame(frame: &bytes::Bytes) -> Result<Self, WireError> {
        if frame.len() > Self::BYTES_MAX {
            return Err(WireError::TooLong { bytes: frame.len(), max: Self::BYTES_MAX });
        }
        let mut reader = Reader::new(frame);
        let value = Self::read(&mut reader)?;
        reader.end()?;
        Ok(value)
    }
}
