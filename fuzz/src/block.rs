//! A block of which all cells are known, so that whatever passes a check can be compared with the truth.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{LazyLock, Mutex},
};
use weft_erasure::{
    Anchor, BlockCells, CheckedCell, RangeProof, TrustedAnchor, cell_range, column_of, encode_blob, sha256,
};
use weft_primitives::{B256, Bytes, ChunkIndex, ColumnIndex, EncodedBlob, Geometry, Header, SealedHeader};

/// Lengths of its blobs in bytes: chunks of one byte, whole ones, and cells of three sizes.
const BLOBS: [usize; 6] = [1, 384, 385, 5000, 191, 9000];

/// The block that is believed.
pub static BLOCK: LazyLock<Block> = LazyLock::new(Block::new);

/// A block with header and cells; 3 + 4 columns, chunks of 384 bytes.
pub struct Block {
    /// Its header, with hash.
    pub header: SealedHeader,
    /// Its cell hashes.
    pub hashes: BlockCells,
    /// Header and preimage as peers send them.
    pub anchor: Anchor,
    /// The same, compared with the hash.
    pub trusted: TrustedAnchor,
    /// By column and chunk.
    cells: Vec<Vec<Bytes>>,
    /// Proofs that were made, by column, first chunk and end: 6,622 of about a kilobyte at most.
    proofs: Mutex<BTreeMap<(ColumnIndex, u32, u32), RangeProof>>,
}

impl Block {
    fn new() -> Self {
        let geometry = Geometry::new(1, 3, 4, 384).expect("a geometry of the protocol");
        let blobs = BLOBS.map(noise);
        let encoded = blobs.each_ref().map(|blob| encode_blob(geometry, blob));
        let placed: Vec<_> =
            (0_u32..).zip(&encoded).map(|(at, blob)| (2 * at, sha256(&at.to_be_bytes()), blob)).collect();
        let hashes = BlockCells::of_blobs(geometry, &placed);
        let extra_data = hashes.summary().da_root.into();
        let header = SealedHeader::seal_slow(header(extra_data));
        let anchor = Anchor::new(&header, hashes.summary()).expect("its own commitment");
        let trusted = anchor.verify(header.hash()).expect("its own header");
        let mut cells = vec![Vec::new(); geometry.columns()];
        for (blob, encoded) in blobs.iter().zip(&encoded) {
            cells.iter_mut().zip(cells_of(blob, encoded)).for_each(|(all, own)| all.extend(own));
        }
        Self { header, hashes, anchor, trusted, cells, proofs: Mutex::default() }
    }

    /// Hash of the header.
    pub fn hash(&self) -> B256 {
        self.header.hash()
    }

    /// Its columns.
    pub fn columns(&self) -> u16 {
        u16::try_from(self.cells.len()).expect("7 columns")
    }

    /// Its chunks.
    pub fn chunks(&self) -> u32 {
        self.hashes.summary().chunk_count
    }

    /// The cells of a column, if the block has them all.
    pub fn cells(&self, column: ColumnIndex, chunks: Range<u32>) -> Option<&[Bytes]> {
        let at = |chunk| usize::try_from(chunk).expect("usize has 64 bits");
        self.cells.get(usize::from(column.0))?.get(at(chunks.start)..at(chunks.end))
    }

    /// What an honest prover sends of these cells, one at least.
    pub fn range(&self, column: ColumnIndex, chunks: Range<u32>) -> Option<RangeProof> {
        let cells = self.cells(column, chunks.clone()).filter(|cells| !cells.is_empty())?;
        let mut proofs = self.proofs.lock().expect("a target has one thread");
        let proof = proofs.entry((column, chunks.start, chunks.end)).or_insert_with(|| {
            let range = RangeProof::new(&self.hashes, column, ChunkIndex(chunks.start), cells.to_vec());
            range.expect("its own cells")
        });
        Some(proof.clone())
    }

    /// Panics when a range that passed its check is not what an honest prover sends.
    pub fn check_range(&self, range: &RangeProof, passed: &[CheckedCell]) {
        let column = ColumnIndex(range.column);
        let count = u32::try_from(range.cells.len()).expect("a frame has fewer cells");
        let chunks = range.first_chunk..range.first_chunk.saturating_add(count);
        assert_eq!(self.range(column, chunks.clone()).as_ref(), Some(range), "a lie that passed");
        assert_eq!(passed.len(), range.cells.len(), "as many cells as were sent");
        for ((cell, sent), chunk) in passed.iter().zip(&range.cells).zip(chunks) {
            let place = (cell.column(), cell.chunk(), cell.da_root());
            assert_eq!(place, (column, ChunkIndex(chunk), self.trusted.da_root()), "another place");
            assert_eq!(cell.bytes(), sent, "other bytes");
        }
    }
}

/// A header with every field that a fork has added.
fn header(extra_data: Bytes) -> Header {
    Header {
        number: 7,
        extra_data,
        base_fee_per_gas: Some(1_000_000_000),
        withdrawals_root: Some(B256::repeat_byte(1)),
        blob_gas_used: Some(131_072),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::repeat_byte(2)),
        requests_hash: Some(B256::repeat_byte(3)),
        block_access_list_hash: Some(B256::repeat_byte(4)),
        slot_number: Some(300),
        ..Header::default()
    }
}

/// The cells of a blob, by column and chunk.
pub fn cells_of(blob: &[u8], encoded: &EncodedBlob) -> Vec<Vec<Bytes>> {
    let cut = |column| {
        let whole = column_of(encoded, blob, ColumnIndex(column));
        let chunks = 0..encoded.chunk_count();
        chunks.map(|chunk| whole.slice(cell_range(encoded.geometry, blob.len(), chunk))).collect()
    };
    (0_u16..).take(encoded.geometry.columns()).map(cut).collect()
}

/// Incompressible bytes: SHA-256 of length and counter.
fn noise(length: usize) -> Vec<u8> {
    let block = |counter: usize| sha256(&[length.to_be_bytes(), counter.to_be_bytes()].concat()).0;
    (0..length.div_ceil(32)).flat_map(block).take(length).collect()
}
