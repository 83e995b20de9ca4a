//! `/weft/commitments/1`: what a block's `daRoot` commits to, its blobs and the roots of its columns.
//!
//! A node that has only the header of a block learns from it which transaction's blob lies in which chunks. Nothing of it
//! is believed before [`BlockCommitment::check`]: the header commits to every field.

use crate::wire::{Reader, Wire, WireError, Writer};
use alloy_primitives::B256;
use weft_erasure::summary_of_roots;
use weft_primitives::{BlobRef, ChunkIndex, DaSummary, Geometry, SealedHeader};

/// Blobs of one block: a block of 256 MiB has at most so many of at least 4 KiB.
pub const BLOBS_MAX: usize = 1 << 16;
/// Columns of any code (PROTOCOL §1).
const COLUMNS_MAX: usize = 256;
/// RLP of one blob's entry: 33 bytes of hash, numbers of 4, 8 and 4 bytes with their lengths, a list of less than 56.
const BLOB_BYTES_MAX: usize = 64;

/// Of which block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitmentRequest {
    /// Hash of the block.
    pub block: B256,
}

/// What the block's `daRoot` commits to, as somebody says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockCommitment {
    /// The block's code.
    pub geometry: Geometry,
    /// Its blobs, in the order of their transactions.
    pub blobs: Vec<BlobRef>,
    /// Roots of its columns.
    pub column_roots: Vec<B256>,
}

impl BlockCommitment {
    /// The summary that it makes, if the header commits to it.
    pub fn check(self, header: &SealedHeader) -> Option<DaSummary> {
        let summary = summary_of_roots(self.geometry, self.blobs, self.column_roots).ok()?;
        (*header.extra_data == summary.da_root[..]).then_some(summary)
    }
}

impl From<DaSummary> for BlockCommitment {
    fn from(summary: DaSummary) -> Self {
        Self { geometry: summary.geometry, blobs: summary.blobs, column_roots: summary.column_roots }
    }
}

impl Wire for CommitmentRequest {
    const BYTES_MAX: usize = 40;

    fn write(&self, out: &mut Writer) {
        out.list(|out| out.item(&self.block));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut list = from.list()?;
        let request = Self { block: list.item()? };
        list.end()?;
        Ok(request)
    }
}

impl Wire for BlockCommitment {
    const BYTES_MAX: usize = BLOBS_MAX * BLOB_BYTES_MAX + COLUMNS_MAX * 33 + 64;

    fn write(&self, out: &mut Writer) {
        let shards = |count: usize| u16::try_from(count).expect("Geometry allows at most 256 columns");
        out.list(|out| {
            out.item(&self.geometry.version());
            out.item(&shards(self.geometry.data_shards()));
            out.item(&shards(self.geometry.parity_shards()));
            out.item(&u32::try_from(self.geometry.chunk_bytes()).expect("Geometry holds chunkBytes as u32"));
            out.items(&self.blobs, |out, blob| {
                out.list(|out| {
                    out.item(&blob.tx_hash);
                    out.item(&blob.tx_index);
                    out.item(&blob.length);
                    out.item(&blob.first_chunk.0);
                });
            });
            out.items(&self.column_roots, |out, root| out.item(root));
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut list = from.list()?;
        let geometry = Geometry::new(list.item()?, list.item()?, list.item()?, list.item()?)
            .map_err(|_| WireError::Field { field: "geometry", reason: "no code of this protocol" })?;
        let blobs = list.items("blobs", BLOBS_MAX, |from| {
            let mut blob = from.list()?;
            let entry = BlobRef {
                tx_hash: blob.item()?,
                tx_index: blob.item()?,
                length: blob.item()?,
                first_chunk: ChunkIndex(blob.item()?),
            };
            blob.end()?;
            Ok(entry)
        })?;
        let column_roots = list.items("columnRoots", COLUMNS_MAX, |from| from.item::<B256>())?;
        list.end()?;
        if column_roots.len() != geometry.columns() {
            return Err(WireError::Field { field: "columnRoots", reason: "not one for each column" });
        }
        Ok(Self { geometry, blobs, column_roots })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use weft_erasure::{BlockCells, encode_blob};
    use weft_primitives::Header;

    fn summary() -> DaSummary {
        // No two columns are alike.
        let noise: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
        let (one, two) = (encode_blob(Geometry::DEV, &noise), encode_blob(Geometry::DEV, &noise[..5_000]));
        let blobs = [(0, B256::repeat_byte(1), &one), (7, B256::repeat_byte(2), &two)];
        BlockCells::of_blobs(Geometry::DEV, &blobs).summary().clone()
    }

    fn header(summary: &DaSummary) -> SealedHeader {
        SealedHeader::seal_slow(Header { extra_data: summary.da_root.into(), ..Header::default() })
    }

    #[test]
    fn what_is_read_is_what_was_written_and_the_header_says_whether_it_is_true() {
        let summary = summary();
        let header = header(&summary);
        let sent = BlockCommitment::from(summary.clone());
        let frame = sent.to_frame().to_vec();
        let read = BlockCommitment::from_frame(&frame.into()).expect("its own frame");
        assert_eq!(read, sent);
        assert_eq!(read.check(&header), Some(summary));
        let lies: [fn(&mut BlockCommitment); 4] = [
            |lie| lie.blobs[1].tx_index = 8,
            |lie| lie.blobs[0].length += 1,
            |lie| lie.column_roots.swap(0, 3),
            |lie| lie.blobs.truncate(1),
        ];
        for lie in lies {
            let mut told = sent.clone();
            lie(&mut told);
            assert_eq!(told.check(&header), None);
        }
    }

    #[test]
    fn the_largest_fits_its_bound() {
        let blob = BlobRef {
            tx_hash: B256::repeat_byte(0xff),
            tx_index: u32::MAX,
            length: u64::MAX,
            first_chunk: ChunkIndex(u32::MAX),
        };
        let geometry = Geometry::new(1, 128, 128, 1 << 20).expect("256 columns");
        let largest = BlockCommitment {
            geometry,
            blobs: vec![blob; BLOBS_MAX],
            column_roots: vec![B256::repeat_byte(0xff); 256],
        };
        assert!(largest.to_frame().len() <= BlockCommitment::BYTES_MAX);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = BlockCommitment::from_frame(&bytes.clone().into());
            let _ = CommitmentRequest::from_frame(&bytes.into());
        }

        #[test]
        fn a_changed_byte_is_refused_or_another_commitment(at: prop::sample::Index, mask in 1_u8..) {
            let summary = summary();
            let mut frame = BlockCommitment::from(summary.clone()).to_frame().to_vec();
            let at = at.index(frame.len());
            frame[at] ^= mask;
            if let Ok(read) = BlockCommitment::from_frame(&frame.into()) {
                prop_assert_eq!(read.check(&header(&summary)), None);
            }
        }
    }
}
