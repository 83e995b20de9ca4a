//! Size caps of the wire forms: the first thing that outside bytes meet.

use super::{Anchor, BlobProof, CellProof, ColumnProof, ProofError, RangeProof};
use alloy_rlp::Decodable;
use serde::de::DeserializeOwned;

/// Longest header in bytes; Ethereum's have about 650.
pub(super) const HEADER_BYTES_MAX: usize = 2048;
/// Header, preimage and three paths of at most 64 hashes of 33 bytes.
const FRAME_BYTES_MAX: usize = HEADER_BYTES_MAX + 3 * 64 * 33 + 256;
/// Longest cell in bytes that is read; the dev geometry's have 32 KiB.
const CELL_BYTES_MAX: usize = 1 << 20;
/// All cells of a range in bytes: a request for more is answered in parts.
const RANGE_BYTES_MAX: usize = 16 << 20;

/// A proof as it arrives from outside.
pub trait Wire: Decodable + DeserializeOwned {
    /// Longest RLP in bytes.
    const BYTES_MAX: usize;

    /// Decodes RLP that must end where the proof ends.
    fn from_rlp(bytes: &[u8]) -> Result<Self, ProofError> {
        capped(bytes.len(), Self::BYTES_MAX)?;
        alloy_rlp::decode_exact(bytes).map_err(ProofError::Rlp)
    }

    /// Decodes JSON, in which a byte takes two characters and a name or number a few.
    fn from_json(text: &str) -> Result<Self, ProofError> {
        capped(text.len(), 3 * Self::BYTES_MAX)?;
        Ok(serde_json::from_str(text)?)
    }
}

fn capped(bytes: usize, max: usize) -> Result<(), ProofError> {
    if bytes > max { Err(ProofError::TooLong { bytes, max }) } else { Ok(()) }
}

impl Wire for Anchor {
    const BYTES_MAX: usize = FRAME_BYTES_MAX;
}

impl Wire for ColumnProof {
    const BYTES_MAX: usize = FRAME_BYTES_MAX;
}

impl Wire for BlobProof {
    const BYTES_MAX: usize = FRAME_BYTES_MAX;
}

impl Wire for CellProof {
    const BYTES_MAX: usize = FRAME_BYTES_MAX + CELL_BYTES_MAX;
}

impl Wire for RangeProof {
    const BYTES_MAX: usize = FRAME_BYTES_MAX + RANGE_BYTES_MAX;
}
