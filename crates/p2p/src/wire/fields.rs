//! Fields that several messages have: proofs of cells, peers, withdrawals.

use super::{CELLS_BYTES_MAX, HEADER_BYTES_MAX, Reader, WireError, Writer};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::B256;
use libp2p::PeerId;
use weft_erasure::{Anchor, RangeProof};

/// Hashes of one path: a tree has at most 2^32 leaves, and a range is cut out at two sides.
const PATH_MAX: usize = 64;
/// Cells of 64 bytes that fit into one message.
const CELLS_MAX: usize = CELLS_BYTES_MAX / 64;
/// Withdrawals of one block; Ethereum has 16.
const WITHDRAWALS_MAX: usize = 1024;
/// An ed25519 peer id has 38 bytes, a hashed one 34.
const PEER_BYTES_MAX: usize = 64;

fn read_anchor(from: &mut Reader<'_>) -> Result<Anchor, WireError> {
    let anchor: Anchor = from.item()?;
    if anchor.header.len() > HEADER_BYTES_MAX {
        return Err(WireError::TooLong { bytes: anchor.header.len(), max: HEADER_BYTES_MAX });
    }
    Ok(anchor)
}

/// As `RangeProof` encodes itself, with the cells shared instead of copied.
fn write_range(out: &mut Writer, range: &RangeProof) {
    out.list(|out| {
        out.item(&range.column);
        out.item(&range.first_chunk);
        out.items(&range.cells, |out, cell| out.bytes(cell));
        out.item(&range.range_proof);
        out.item(&range.column_path);
    });
}

fn read_range(from: &mut Reader<'_>) -> Result<RangeProof, WireError> {
    let mut list = from.list()?;
    let (column, first_chunk) = (list.item()?, list.item()?);
    let mut left = CELLS_BYTES_MAX;
    let cells = list.items("cells", CELLS_MAX, |from| {
        let cell = from.bytes(left)?;
        left -= cell.len();
        Ok(cell)
    })?;
    let hash = |from: &mut Reader<'_>| from.item::<B256>();
    let range_proof = list.items("rangeProof", PATH_MAX, hash)?;
    let column_path = list.items("columnPath", PATH_MAX, hash)?;
    list.end()?;
    Ok(RangeProof { column, first_chunk, cells, range_proof, column_path })
}

/// Cells with the anchor that leads them to the header: all of a message.
pub(crate) fn write_proven(out: &mut Writer, anchor: &Anchor, range: &RangeProof) {
    out.list(|out| {
        out.item(anchor);
        write_range(out, range);
    });
}

pub(crate) fn read_proven(from: &mut Reader<'_>) -> Result<(Anchor, RangeProof), WireError> {
    let mut list = from.list()?;
    let proven = (read_anchor(&mut list)?, read_range(&mut list)?);
    list.end()?;
    Ok(proven)
}

pub(crate) fn write_peer(out: &mut Writer, peer: &PeerId) {
    out.item(&peer.to_bytes().as_slice());
}

pub(crate) fn read_peer(from: &mut Reader<'_>) -> Result<PeerId, WireError> {
    let bytes = from.bytes(PEER_BYTES_MAX)?;
    PeerId::from_bytes(&bytes).map_err(|_| WireError::Field { field: "peer", reason: "not a peer id" })
}

pub(crate) fn write_withdrawals(out: &mut Writer, withdrawals: Option<&Vec<Withdrawal>>) {
    out.items(withdrawals, |out, list| out.items(list, |out, one| out.item(one)));
}

pub(crate) fn read_withdrawals(from: &mut Reader<'_>) -> Result<Option<Vec<Withdrawal>>, WireError> {
    from.optional("withdrawals", |from| from.items("withdrawals", WITHDRAWALS_MAX, |from| from.item()))
}
