//! Summaries of a block's blobs, and which columns of a blob are held.

use super::{Malformed, Reader, Value, put_count};
use alloy_primitives::B256;
use weft_primitives::{BlobRef, ChunkIndex, ColumnIndex, DaSummary, Geometry};

const BLOB_REF_BYTES: usize = 32 + 4 + 8 + 4;

impl Value for DaSummary {
    fn encode(&self, out: &mut Vec<u8>) {
        let g = &self.geometry;
        out.reserve(118 + 32 * self.column_roots.len() + BLOB_REF_BYTES * self.blobs.len());
        out.extend_from_slice(&g.version().to_be_bytes());
        // A geometry has at most 256 columns and a chunk of at most u32::MAX bytes.
        out.extend_from_slice(&(g.data_shards() as u16).to_be_bytes());
        out.extend_from_slice(&(g.parity_shards() as u16).to_be_bytes());
        out.extend_from_slice(&(g.chunk_bytes() as u32).to_be_bytes());
        out.extend_from_slice(&self.chunk_count.to_be_bytes());
        for root in [self.blobs_root, self.columns_root, self.da_root] {
            out.extend_from_slice(root.as_slice());
        }
        put_count(out, self.column_roots.len());
        for root in &self.column_roots {
            out.extend_from_slice(root.as_slice());
        }
        put_count(out, self.blobs.len());
        for blob in &self.blobs {
            out.extend_from_slice(blob.tx_hash.as_slice());
            out.extend_from_slice(&blob.tx_index.to_be_bytes());
            out.extend_from_slice(&blob.length.to_be_bytes());
            out.extend_from_slice(&blob.first_chunk.0.to_be_bytes());
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader(bytes);
        let geometry = Geometry::new(r.u16()?, r.u16()?, r.u16()?, r.u32()?)
            .map_err(|_| Malformed("geometry that no chain can have"))?;
        let chunk_count = r.u32()?;
        let (blobs_root, columns_root, da_root) = (r.b256()?, r.b256()?, r.b256()?);
        let columns = r.count(32)?;
        let column_roots = (0..columns).map(|_| r.b256()).collect::<Result<Vec<B256>, _>>()?;
        let count = r.count(BLOB_REF_BYTES)?;
        let mut blobs = Vec::with_capacity(count);
        for _ in 0..count {
            blobs.push(BlobRef {
                tx_hash: r.b256()?,
                tx_index: r.u32()?,
                length: r.u64()?,
                first_chunk: ChunkIndex(r.u32()?),
            });
        }
        r.finish()?;
        Ok(Self { geometry, blobs, chunk_count, blobs_root, columns_root, column_roots, da_root })
    }
}

/// Columns of one blob that are in the shard store: bit j of byte j/8.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ColumnBitmap([u8; 32]);

impl ColumnBitmap {
    /// Sets nothing for a column that no geometry has.
    pub(crate) fn insert(&mut self, column: ColumnIndex) {
        if let Some(byte) = self.0.get_mut(usize::from(column.0 / 8)) {
            *byte |= 1 << (column.0 % 8);
        }
    }

    pub(crate) fn remove(&mut self, column: ColumnIndex) {
        if let Some(byte) = self.0.get_mut(usize::from(column.0 / 8)) {
            *byte &= !(1 << (column.0 % 8));
        }
    }

    pub(crate) fn contains(&self, column: ColumnIndex) -> bool {
        self.0.get(usize::from(column.0 / 8)).is_some_and(|byte| byte & (1 << (column.0 % 8)) != 0)
    }

    /// Ascending.
    pub(crate) fn columns(&self) -> Vec<ColumnIndex> {
        (0..256).map(ColumnIndex).filter(|column| self.contains(*column)).collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(|byte| byte.count_ones() as usize).sum()
    }
}

impl Value for ColumnBitmap {
    fn encode(&self, out: &mut Vec<u8>) {
        let length = self.0.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        out.extend_from_slice(&self.0[..length]);
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut bitmap = [0; 32];
        bitmap.get_mut(..bytes.len()).ok_or(Malformed("more than 256 columns"))?.copy_from_slice(bytes);
        Ok(Self(bitmap))
    }
}
