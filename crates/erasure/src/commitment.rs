//! From cells to a block's `daRoot` (PROTOCOL §3), and the cell hashes of a block that were compared with it.
//!
//! Called by the engine (which combines the hashes that the pool computed), and by whoever reads a
//! block's cell hashes back and must not trust where they came from.

use crate::{
    hash::{leaf, sha256},
    merkle,
};
use alloy_primitives::{B256, TxHash};
use weft_primitives::{BlobRef, ChunkIndex, ColumnIndex, DaSummary, EncodedBlob, Geometry};

/// What a `daRoot` commits to besides the cells: its preimage without `columnsRoot`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preimage {
    /// The block's code.
    pub geometry: Geometry,
    /// Blobs of the block.
    pub blob_count: u32,
    /// C, chunks of the block.
    pub chunk_count: u32,
    /// Root over the blobs' leaves.
    pub blobs_root: B256,
}

impl Preimage {
    /// `daRoot` with this `columnsRoot`.
    pub fn da_root(&self, columns_root: B256) -> B256 {
        let mut bytes = Vec::with_capacity(90);
        let fixed =
            |value: usize| u16::try_from(value).expect("Geometry allows at most 256 columns").to_be_bytes();
        let chunk_bytes =
            u32::try_from(self.geometry.chunk_bytes()).expect("Geometry holds chunkBytes as u32");
        bytes.push(0x02);
        bytes.extend_from_slice(b"weft-da");
        bytes.extend_from_slice(&self.geometry.version().to_be_bytes());
        bytes.extend_from_slice(&fixed(self.geometry.data_shards()));
        bytes.extend_from_slice(&fixed(self.geometry.parity_shards()));
        bytes.extend_from_slice(&chunk_bytes.to_be_bytes());
        bytes.extend_from_slice(&self.blob_count.to_be_bytes());
        bytes.extend_from_slice(&self.chunk_count.to_be_bytes());
        bytes.extend_from_slice(self.blobs_root.as_slice());
        bytes.extend_from_slice(columns_root.as_slice());
        sha256(&bytes)
    }
}

impl From<&DaSummary> for Preimage {
    fn from(summary: &DaSummary) -> Self {
        Self {
            geometry: summary.geometry,
            blob_count: u32::try_from(summary.blobs.len()).expect("summarize counts blobs as u32"),
            chunk_count: summary.chunk_count,
            blobs_root: summary.blobs_root,
        }
    }
}

/// The leaf of `blobsRoot`: `leaf(txHash ‖ u32(txIndex) ‖ u64(L) ‖ u32(firstChunk))`.
pub fn blob_leaf(blob: &BlobRef) -> B256 {
    let mut bytes = [0; 48];
    bytes[..32].copy_from_slice(blob.tx_hash.as_slice());
    bytes[32..36].copy_from_slice(&blob.tx_index.to_be_bytes());
    bytes[36..44].copy_from_slice(&blob.length.to_be_bytes());
    bytes[44..].copy_from_slice(&blob.first_chunk.0.to_be_bytes());
    leaf(&bytes)
}

/// Combines a block's blobs, given in transaction order as (transaction index, transaction hash, cells),
/// into its commitment. Only 32-byte hashes are hashed: `C·n` nodes.
///
/// # Panics
/// If a blob was coded with another geometry, or the block has more than 2^32 chunks (`maxBlockBytes`
/// allows fewer by far).
pub fn summarize<'a>(
    geometry: Geometry,
    blobs: impl IntoIterator<Item = (u32, TxHash, &'a EncodedBlob)>,
) -> DaSummary {
    let mut refs = Vec::new();
    let mut columns: Vec<Vec<B256>> = vec![Vec::new(); geometry.columns()];
    for (tx_index, tx_hash, blob) in blobs {
        assert_eq!(blob.geometry, geometry, "blob of {tx_hash} was coded for another chain");
        refs.push(BlobRef {
            tx_hash,
            tx_index,
            length: blob.length as u64,
            first_chunk: ChunkIndex(count(columns[0].len())),
        });
        for chunk in blob.cell_hashes.chunks(geometry.columns()) {
            columns.iter_mut().zip(chunk).for_each(|(column, hash)| column.push(*hash));
        }
    }
    let chunk_count = count(columns[0].len());
    let column_roots: Vec<B256> = columns.iter().map(|column| merkle::root(column)).collect();
    assemble(geometry, refs, chunk_count, column_roots)
}

/// The commitment of a block of which only blobs and column roots are known, with every root above them
/// computed; the caller compares its `da_root` with a header. `first_chunk` of the blobs must follow from their
/// lengths.
pub fn summary_of_roots(
    geometry: Geometry,
    blobs: Vec<BlobRef>,
    column_roots: Vec<B256>,
) -> Result<DaSummary, CheckError> {
    let chunk_count = chunk_count(geometry, &blobs)?;
    if column_roots.len() != geometry.columns() {
        return Err(CheckError::RootCount { have: column_roots.len(), columns: geometry.columns() });
    }
    Ok(assemble(geometry, blobs, chunk_count, column_roots))
}

/// Whether a summary's roots are those of its own blobs and column roots, and its `daRoot` the `extraData` of a header.
pub fn is_committed(summary: &DaSummary, extra_data: &[u8]) -> Result<bool, CheckError> {
    let again = summary_of_roots(summary.geometry, summary.blobs.clone(), summary.column_roots.clone())?;
    Ok(again == *summary && *extra_data == summary.da_root[..])
}

/// C, of blobs that follow each other chunk by chunk.
fn chunk_count(geometry: Geometry, blobs: &[BlobRef]) -> Result<u32, CheckError> {
    let mut next = 0_u64;
    for (blob, entry) in blobs.iter().enumerate() {
        if u64::from(entry.first_chunk.0) != next || entry.length == 0 {
            return Err(CheckError::BlobLayout { blob });
        }
        next = next.saturating_add(entry.length.div_ceil(geometry.chunk_bytes() as u64));
    }
    u32::try_from(next).map_err(|_| CheckError::BlobLayout { blob: blobs.len() - 1 })
}

fn count(value: usize) -> u32 {
    u32::try_from(value).expect("a block has fewer than 2^32 chunks and blobs")
}

fn assemble(geometry: Geometry, blobs: Vec<BlobRef>, chunk_count: u32, column_roots: Vec<B256>) -> DaSummary {
    let leaves: Vec<B256> = column_roots.iter().map(|root| leaf(root.as_slice())).collect();
    let columns_root = merkle::root(&leaves);
    let blobs_root = merkle::root(&blobs.iter().map(blob_leaf).collect::<Vec<_>>());
    let preimage = Preimage { geometry, blob_count: count(blobs.len()), chunk_count, blobs_root };
    let da_root = preimage.da_root(columns_root);
    DaSummary { geometry, blobs, chunk_count, blobs_root, columns_root, column_roots, da_root }
}

/// `daRoot` of a block without blobs.
pub fn empty_da_root(geometry: Geometry) -> B256 {
    summarize(geometry, std::iter::empty()).da_root
}

/// Why a block's cell hashes, or a cell, are not what the block commits to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// The table does not have one hash per chunk and column.
    #[error("{have} cell hashes, {chunks} chunks of {columns} columns need {}", *.chunks as usize * .columns)]
    HashCount {
        /// Hashes given.
        have: usize,
        /// Chunks of the block.
        chunks: u32,
        /// n.
        columns: usize,
    },
    /// Not one root per column.
    #[error("{have} column roots for {columns} columns")]
    RootCount {
        /// Roots given.
        have: usize,
        /// n.
        columns: usize,
    },
    /// Blobs that do not follow each other chunk by chunk.
    #[error("blob {blob} does not begin where the blob before it ends")]
    BlobLayout {
        /// Position among the block's blobs.
        blob: usize,
    },
    /// Hashes and blobs do not lead to the `daRoot` of the header.
    #[error("the block commits to daRoot {expected}, this data leads to {found}")]
    DaRoot {
        /// From the header.
        expected: B256,
        /// Recomputed.
        found: B256,
    },
    /// No such chunk, column or blob.
    #[error("chunk {chunk}, column {column} is outside the block ({chunks} chunks, {columns} columns)")]
    OutOfBlock {
        /// Asked for.
        chunk: ChunkIndex,
        /// Asked for.
        column: ColumnIndex,
        /// Chunks of the block.
        chunks: u32,
        /// n.
        columns: usize,
    },
    /// A cell of another size than its chunk asks for.
    #[error("cell of chunk {chunk}, column {column} has {have} bytes instead of {need}")]
    CellSize {
        /// Its chunk.
        chunk: ChunkIndex,
        /// Its column.
        column: ColumnIndex,
        /// Bytes given.
        have: usize,
        /// s.
        need: usize,
    },
    /// The bytes are not those that the block commits to.
    #[error(
        "cell of chunk {chunk}, column {column} was tampered with: its hash is {found} instead of {expected}"
    )]
    CellHash {
        /// Its chunk.
        chunk: ChunkIndex,
        /// Its column.
        column: ColumnIndex,
        /// What the block commits to.
        expected: B256,
        /// Of the bytes given.
        found: B256,
    },
}

/// All cell hashes of one block, known to lead to the `daRoot` of its header. Cells are checked
/// against it and proofs are cut from it, so neither can be made of a damaged table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockCells {
    summary: DaSummary,
    hashes: Vec<B256>,
}

impl BlockCells {
    /// Recomputes every root from `hashes` (chunk-major, cell (c, j) at `c·n + j`) and `blobs`, and
    /// compares with `da_root`, which the caller takes from a header it trusts.
    pub fn check(
        da_root: B256,
        geometry: Geometry,
        blobs: Vec<BlobRef>,
        hashes: Vec<B256>,
    ) -> Result<Self, CheckError> {
        let columns = geometry.columns();
        let chunks = chunk_count(geometry, &blobs)?;
        if hashes.len() != chunks as usize * columns {
            return Err(CheckError::HashCount { have: hashes.len(), chunks, columns });
        }
        let column_roots =
            (0..columns).map(|column| merkle::root(&column_hashes(&hashes, columns, column))).collect();
        let summary = assemble(geometry, blobs, chunks, column_roots);
        if summary.da_root != da_root {
            return Err(CheckError::DaRoot { expected: da_root, found: summary.da_root });
        }
        Ok(Self { summary, hashes })
    }

    /// The hashes of blobs that were coded just now, which need no check; `blobs` as in [`summarize`].
    pub fn of_blobs(geometry: Geometry, blobs: &[(u32, TxHash, &EncodedBlob)]) -> Self {
        let summary = summarize(geometry, blobs.iter().copied());
        let hashes = blobs.iter().flat_map(|(_, _, blob)| blob.cell_hashes.iter().copied()).collect();
        Self { summary, hashes }
    }

    /// The commitment with its parts.
    pub fn summary(&self) -> &DaSummary {
        &self.summary
    }

    /// All cell hashes, chunk-major.
    pub fn hashes(&self) -> &[B256] {
        &self.hashes
    }

    /// `cellHash(chunk, column)`.
    pub fn hash(&self, chunk: ChunkIndex, column: ColumnIndex) -> Result<B256, CheckError> {
        self.inside(chunk, column)?;
        Ok(self.hashes[chunk.0 as usize * self.summary.geometry.columns() + usize::from(column.0)])
    }

    /// The leaves of one column's tree, in chunk order.
    pub fn column_hashes(&self, column: ColumnIndex) -> Vec<B256> {
        column_hashes(&self.hashes, self.summary.geometry.columns(), usize::from(column.0))
    }

    /// Size in bytes of the cells of `chunk`, and the blob that it belongs to (position among the block's blobs).
    pub fn cell_bytes(&self, chunk: ChunkIndex) -> Result<usize, CheckError> {
        self.inside(chunk, ColumnIndex(0))?;
        let geometry = self.summary.geometry;
        let after = self.summary.blobs.partition_point(|blob| blob.first_chunk <= chunk);
        let blob = &self.summary.blobs[after - 1];
        let length = usize::try_from(blob.length).expect("a blob fits memory");
        Ok(geometry.cell_bytes(geometry.chunk_length(length, (chunk.0 - blob.first_chunk.0) as usize)))
    }

    /// Refuses places outside the block.
    pub(crate) fn inside(&self, chunk: ChunkIndex, column: ColumnIndex) -> Result<(), CheckError> {
        let (chunks, columns) = (self.summary.chunk_count, self.summary.geometry.columns());
        if chunk.0 < chunks && usize::from(column.0) < columns {
            return Ok(());
        }
        Err(CheckError::OutOfBlock { chunk, column, chunks, columns })
    }
}

fn column_hashes(hashes: &[B256], columns: usize, column: usize) -> Vec<B256> {
    hashes.iter().skip(column).step_by(columns).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode_blob;

    fn block() -> (Vec<EncodedBlob>, BlockCells) {
        let geometry = Geometry::new(1, 2, 3, 256).unwrap();
        let blobs: Vec<_> =
            [1, 255, 256, 257, 1000].iter().map(|&n| encode_blob(geometry, &vec![7; n])).collect();
        let placed: Vec<_> =
            blobs.iter().zip(0_u32..).map(|(b, i)| (i * 2, B256::repeat_byte(i as u8), b)).collect();
        let cells = BlockCells::of_blobs(geometry, &placed);
        (blobs, cells)
    }

    #[test]
    fn a_block_without_blobs_has_the_roots_of_empty_trees() {
        let summary = summarize(Geometry::DEV, std::iter::empty());
        let empty = sha256(b"");
        assert_eq!((summary.chunk_count, summary.blobs_root), (0, empty));
        assert!(summary.column_roots.iter().all(|root| *root == empty));
        assert_eq!(summary.da_root, empty_da_root(Geometry::DEV));
        let checked = BlockCells::check(summary.da_root, Geometry::DEV, vec![], vec![]).unwrap();
        assert_eq!(checked.summary(), &summary);
    }

    #[test]
    fn stored_hashes_are_accepted_only_as_they_were() {
        let (_, cells) = block();
        let summary = cells.summary().clone();
        let check = |blobs: Vec<BlobRef>, hashes: Vec<B256>| {
            BlockCells::check(summary.da_root, summary.geometry, blobs, hashes)
        };
        assert_eq!(check(summary.blobs.clone(), cells.hashes().to_vec()), Ok(cells.clone()));

        for place in 0..cells.hashes().len() {
            let mut hashes = cells.hashes().to_vec();
            hashes[place].0[31] ^= 1;
            assert!(
                matches!(check(summary.blobs.clone(), hashes), Err(CheckError::DaRoot { .. })),
                "hash {place}"
            );
        }
        let mut swapped = cells.hashes().to_vec();
        swapped.swap(0, 5);
        assert!(matches!(check(summary.blobs.clone(), swapped), Err(CheckError::DaRoot { .. })));
        let short = cells.hashes()[1..].to_vec();
        assert!(matches!(check(summary.blobs.clone(), short), Err(CheckError::HashCount { .. })));
        let mut blobs = summary.blobs.clone();
        blobs[1].tx_hash.0[0] ^= 1;
        assert!(matches!(check(blobs, cells.hashes().to_vec()), Err(CheckError::DaRoot { .. })));
        let mut blobs = summary.blobs.clone();
        blobs[2].first_chunk.0 += 1;
        assert_eq!(check(blobs, cells.hashes().to_vec()), Err(CheckError::BlobLayout { blob: 2 }));
    }

    #[test]
    fn blobs_and_column_roots_suffice_for_the_commitment() {
        let (_, cells) = block();
        let DaSummary { geometry, blobs, column_roots, .. } = cells.summary().clone();
        let of = |blobs: Vec<BlobRef>, roots: Vec<B256>| summary_of_roots(geometry, blobs, roots);
        assert_eq!(of(blobs.clone(), column_roots.clone()).as_ref(), Ok(cells.summary()));
        let mut other = column_roots.clone();
        other[2].0[0] ^= 1;
        assert_ne!(of(blobs.clone(), other).unwrap().da_root, cells.summary().da_root);
        let short = column_roots[1..].to_vec();
        assert_eq!(of(blobs.clone(), short), Err(CheckError::RootCount { have: 4, columns: 5 }));
        let root = cells.summary().da_root;
        assert_eq!(is_committed(cells.summary(), root.as_slice()), Ok(true));
        assert_eq!(is_committed(cells.summary(), &root[1..]), Ok(false));
        let lie = DaSummary { chunk_count: cells.summary().chunk_count + 1, ..cells.summary().clone() };
        assert_eq!(is_committed(&lie, root.as_slice()), Ok(false));
        let mut shifted = blobs;
        shifted[1].first_chunk.0 += 1;
        assert_eq!(of(shifted, column_roots), Err(CheckError::BlobLayout { blob: 1 }));
    }

    #[test]
    fn places_and_sizes_follow_the_blobs() {
        let (blobs, cells) = block();
        let first: Vec<u32> = cells.summary().blobs.iter().map(|blob| blob.first_chunk.0).collect();
        assert_eq!(first, [0, 1, 2, 3, 5]);
        assert_eq!(cells.summary().chunk_count, 9);
        assert_eq!(cells.cell_bytes(ChunkIndex(0)), Ok(64));
        assert_eq!(cells.cell_bytes(ChunkIndex(3)), Ok(128));
        assert_eq!(cells.cell_bytes(ChunkIndex(4)), Ok(64), "one byte over a chunk");
        assert_eq!(cells.hash(ChunkIndex(4), ColumnIndex(4)), Ok(blobs[3].cell_hash(1, ColumnIndex(4))));
        assert!(matches!(cells.hash(ChunkIndex(9), ColumnIndex(0)), Err(CheckError::OutOfBlock { .. })));
        assert!(matches!(cells.hash(ChunkIndex(0), ColumnIndex(5)), Err(CheckError::OutOfBlock { .. })));
    }
}
