//! Columns of a database without bodies, and the record of why bodies were dropped.

use super::{Malformed, Reader, Value, put_count, put_varint};
use alloy_primitives::B256;
use std::ops::Range;
use weft_erasure::{HeldColumn, Preimage, SparseTree};
use weft_primitives::{ColumnIndex, Geometry};

/// A column as far as it is held, and the bytes of its cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnRecord {
    pub(crate) held: HeldColumn,
    pub(crate) bytes: u64,
}

impl Value for ColumnRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        let HeldColumn { preimage, column, column_path, tree } = &self.held;
        let geometry = preimage.geometry;
        out.reserve(160 + 32 * (column_path.len() + tree.leaves().len() + tree.outside().len()));
        out.extend_from_slice(&geometry.version().to_be_bytes());
        // A geometry has at most 256 columns and a chunk of at most u32::MAX bytes.
        out.extend_from_slice(&(geometry.data_shards() as u16).to_be_bytes());
        out.extend_from_slice(&(geometry.parity_shards() as u16).to_be_bytes());
        out.extend_from_slice(&(geometry.chunk_bytes() as u32).to_be_bytes());
        out.extend_from_slice(&preimage.blob_count.to_be_bytes());
        out.extend_from_slice(&preimage.chunk_count.to_be_bytes());
        out.extend_from_slice(preimage.blobs_root.as_slice());
        out.extend_from_slice(&column.0.to_be_bytes());
        out.extend_from_slice(&self.bytes.to_be_bytes());
        put_count(out, tree.held().len());
        for range in tree.held() {
            put_count(out, range.start);
            put_count(out, range.len());
        }
        for hashes in [column_path, tree.leaves(), tree.outside()] {
            put_count(out, hashes.len());
            hashes.iter().for_each(|hash| out.extend_from_slice(hash.as_slice()));
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader(bytes);
        let geometry = Geometry::new(r.u16()?, r.u16()?, r.u16()?, r.u32()?)
            .map_err(|_| Malformed("geometry that no chain can have"))?;
        let preimage =
            Preimage { geometry, blob_count: r.u32()?, chunk_count: r.u32()?, blobs_root: r.b256()? };
        let (column, bytes) = (ColumnIndex(r.u16()?), r.u64()?);
        let held = (0..r.count(2)?).map(|_| range(&mut r)).collect::<Result<Vec<_>, _>>()?;
        let mut hashes = || -> Result<Vec<B256>, Malformed> {
            let count = r.count(32)?;
            (0..count).map(|_| r.b256()).collect()
        };
        let (column_path, leaves, outside) = (hashes()?, hashes()?, hashes()?);
        r.finish()?;
        let tree = SparseTree::from_parts(preimage.chunk_count as usize, held, leaves, outside)
            .ok_or(Malformed("cells and hashes that make no tree"))?;
        Ok(Self { held: HeldColumn { preimage, column, column_path, tree }, bytes })
    }
}

fn range(r: &mut Reader<'_>) -> Result<Range<usize>, Malformed> {
    // Within 32 bits, so that no sum of them overflows.
    let mut number = || {
        let number = u32::try_from(r.varint()?).map_err(|_| Malformed("no chunk has that number"))?;
        Ok(number as usize)
    };
    let (start, length) = (number()?, number()?);
    Ok(start..start + length)
}

/// By how many peers each column of a block was attested when its bodies were dropped for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DispersedRecord {
    pub(crate) hash: B256,
    pub(crate) columns: Vec<(ColumnIndex, u32)>,
}

impl Value for DispersedRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.hash.as_slice());
        put_count(out, self.columns.len());
        for (column, peers) in &self.columns {
            out.extend_from_slice(&column.0.to_be_bytes());
            put_varint(out, u64::from(*peers));
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader(bytes);
        let hash = r.b256()?;
        let count = r.count(3)?;
        let mut columns = Vec::with_capacity(count);
        for _ in 0..count {
            let column = ColumnIndex(r.u16()?);
            columns.push((column, u32::try_from(r.varint()?).map_err(|_| Malformed("too many peers"))?));
        }
        r.finish()?;
        Ok(Self { hash, columns })
    }
}

/// The oldest block whose columns were not pruned, and the bytes of all cells that are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ColumnTotals {
    pub(crate) first: u64,
    pub(crate) bytes: u64,
}

impl Value for ColumnTotals {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.first.to_be_bytes());
        out.extend_from_slice(&self.bytes.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader(bytes);
        let value = Self { first: r.u64()?, bytes: r.u64()? };
        r.finish()?;
        Ok(value)
    }
}
