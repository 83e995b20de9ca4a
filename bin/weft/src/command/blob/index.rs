//! The index of a file of several parts: the calldata of the transaction whose hash is the file's handle.
//!
//! Big-endian: magic `WEFTFILE`, version `u16`, total length `u64`, SHA-256 of the whole, bytes per part `u32`, number of
//! parts `u32`, and per part the hash of its transaction and the SHA-256 of its bytes. Version 1 ends there; version 2 goes on
//! with zeros, at least one, so that a short index is a blob as well and can be made permanent. All parts but the last have exactly the bytes
//! per part. A reader refuses anything else; a file whose own first bytes are the magic is published through an index even
//! when it has one part only. docs/publishers.md describes the same for other implementations.

use alloy_primitives::B256;

/// First bytes of an index.
pub const MAGIC: [u8; 8] = *b"WEFTFILE";
/// Ends with the parts.
const VERSION: u16 = 1;
/// Ends with zeros.
const VERSION_PADDED: u16 = 2;
/// Bytes before the parts.
const HEAD_BYTES: usize = 8 + 2 + 8 + 32 + 4 + 4;
/// Bytes per part.
const ENTRY_BYTES: usize = 32 + 32;

/// What an index says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Bytes of the file.
    pub length: u64,
    /// SHA-256 of the file.
    pub sha256: B256,
    /// Bytes of every part but the last.
    pub part_bytes: u32,
    /// In file order.
    pub parts: Vec<Part>,
    /// Zeros after the parts.
    pub padding: usize,
}

/// One part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The transaction whose calldata it is.
    pub transaction: B256,
    /// SHA-256 of its bytes.
    pub sha256: B256,
}

/// Why bytes are not an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// It is something else.
    #[error("not a file index")]
    Magic,
    /// Made by a later program.
    #[error("file index version {0}; this program reads 1 and 2")]
    Version(u16),
    /// Something else than zeros after the parts, or in version 2 nothing.
    #[error("file index: its padding is not one or more zeros")]
    Padding,
    /// More or fewer bytes than its number of parts takes.
    #[error("file index has {have} bytes, its parts take {need}")]
    Size {
        /// Bytes there are.
        have: usize,
        /// Bytes there should be.
        need: usize,
    },
    /// Length, part size and number of parts do not belong together.
    #[error("file index: {length} bytes are not {parts} parts of {part_bytes} bytes")]
    Geometry {
        /// Bytes of the file.
        length: u64,
        /// Bytes of a part.
        part_bytes: u32,
        /// Number of parts.
        parts: usize,
    },
}

impl Index {
    /// With as much padding as makes it `bytes` bytes long; none where it is that long already.
    pub fn padded_to(self, bytes: usize) -> Self {
        let padding = bytes.saturating_sub(HEAD_BYTES + ENTRY_BYTES * self.parts.len());
        Self { padding, ..self }
    }

    /// The calldata.
    pub fn encode(&self) -> Vec<u8> {
        let count =
            u32::try_from(self.parts.len()).expect("parts are bounded by the bytes of one transaction");
        let mut bytes = Vec::with_capacity(HEAD_BYTES + ENTRY_BYTES * self.parts.len() + self.padding);
        bytes.extend(MAGIC);
        bytes.extend(if self.padding == 0 { VERSION } else { VERSION_PADDED }.to_be_bytes());
        bytes.extend(self.length.to_be_bytes());
        bytes.extend(self.sha256);
        bytes.extend(self.part_bytes.to_be_bytes());
        bytes.extend(count.to_be_bytes());
        for part in &self.parts {
            bytes.extend(part.transaction);
            bytes.extend(part.sha256);
        }
        bytes.resize(bytes.len() + self.padding, 0);
        bytes
    }

    /// Reads calldata back; anything that [`Self::encode`] would not write is refused.
    pub fn decode(bytes: &[u8]) -> Result<Self, IndexError> {
        if !bytes.starts_with(&MAGIC) {
            return Err(IndexError::Magic);
        }
        let (have, short) = (bytes.len(), IndexError::Size { have: bytes.len(), need: HEAD_BYTES });
        let mut rest = &bytes[MAGIC.len()..];
        let version = u16::from_be_bytes(take(&mut rest).ok_or(short)?);
        if !matches!(version, VERSION | VERSION_PADDED) {
            return Err(IndexError::Version(version));
        }
        let length = u64::from_be_bytes(take(&mut rest).ok_or(short)?);
        let sha256 = B256::new(take(&mut rest).ok_or(short)?);
        let part_bytes = u32::from_be_bytes(take(&mut rest).ok_or(short)?);
        let count = u32::from_be_bytes(take(&mut rest).ok_or(short)?) as usize;
        let need = HEAD_BYTES + ENTRY_BYTES * count;
        if have < need || version == VERSION && have != need {
            return Err(IndexError::Size { have, need });
        }
        let padding = bytes[need..].len();
        if version == VERSION_PADDED && padding == 0 || bytes[need..].iter().any(|byte| *byte != 0) {
            return Err(IndexError::Padding);
        }
        if part_bytes == 0 || length.div_ceil(u64::from(part_bytes)) != count as u64 {
            return Err(IndexError::Geometry { length, part_bytes, parts: count });
        }
        let mut parts = Vec::with_capacity(count);
        for entry in bytes[HEAD_BYTES..need].chunks_exact(ENTRY_BYTES) {
            let (transaction, sha256) = entry.split_at(B256::len_bytes());
            parts.push(Part { transaction: B256::from_slice(transaction), sha256: B256::from_slice(sha256) });
        }
        Ok(Self { length, sha256, part_bytes, parts, padding })
    }

    /// Bytes of part `index`.
    pub fn part_length(&self, index: usize) -> u64 {
        let part = u64::from(self.part_bytes);
        self.length.saturating_sub(index as u64 * part).min(part)
    }
}

/// Most parts that an index of `bytes` bytes names.
pub fn parts_max(bytes: usize) -> usize {
    bytes.saturating_sub(HEAD_BYTES) / ENTRY_BYTES
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> Index {
        let part = |byte| Part { transaction: B256::repeat_byte(byte), sha256: B256::repeat_byte(byte + 1) };
        Index {
            length: 250,
            sha256: B256::repeat_byte(9),
            part_bytes: 100,
            parts: vec![part(1), part(3), part(5)],
            padding: 0,
        }
    }

    #[test]
    fn the_documented_bytes() {
        let bytes = example().encode();
        assert_eq!(&bytes[..18], b"WEFTFILE\x00\x01\0\0\0\0\0\0\0\xfa");
        assert_eq!(&bytes[50..58], &[0, 0, 0, 100, 0, 0, 0, 3]);
        assert_eq!(bytes.len(), 58 + 3 * 64);
        let padded = example().padded_to(4096).encode();
        assert_eq!((padded.len(), padded[9]), (4096, 2));
        assert_eq!(
            (&padded[10..bytes.len()], &padded[bytes.len()..]),
            (&bytes[10..], &[0; 4096 - 58 - 3 * 64][..])
        );
        assert_eq!(example().padded_to(100), example());
        assert_eq!((0..4).map(|i| example().part_length(i)).collect::<Vec<_>>(), [100, 100, 50, 0]);
    }

    #[test]
    fn every_lie_about_the_shape_is_refused() {
        let good = example().encode();
        for end in 0..good.len() {
            assert!(Index::decode(&good[..end]).is_err(), "truncated to {end}");
        }
        assert!(Index::decode(&[&good[..], &[0]].concat()).is_err(), "trailing byte");
        let changed = |at: usize, to: u8| {
            let mut bytes = good.clone();
            bytes[at] = to;
            Index::decode(&bytes)
        };
        assert_eq!(changed(0, b'X'), Err(IndexError::Magic));
        assert_eq!(changed(9, 3), Err(IndexError::Version(3)));
        assert_eq!(changed(9, 2), Err(IndexError::Padding), "version 2 without");
        let mut padded = example().padded_to(300).encode();
        padded[299] = 1;
        assert_eq!(Index::decode(&padded), Err(IndexError::Padding));
        assert!(matches!(changed(53, 0), Err(IndexError::Geometry { .. })), "part size 0");
        assert!(matches!(changed(17, 200), Err(IndexError::Geometry { .. })), "length of two parts");
        assert!(matches!(changed(57, 4), Err(IndexError::Size { .. })), "four parts");
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_would_be_written(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), magic: bool, version in 1u8..=2) {
            if magic && bytes.len() >= 10 {
                bytes[..9].copy_from_slice(b"WEFTFILE\0");
                bytes[9] = version;
            }
            if let Ok(index) = Index::decode(&bytes) {
                prop_assert_eq!(index.encode(), bytes);
            }
        }

        #[test]
        fn any_file_has_an_index(length in 0u64..1_000_000, part_bytes in 1u32..100_000, padding in 0usize..100) {
            prop_assume!(length.div_ceil(u64::from(part_bytes)) < 10_000);
            let part = Part { transaction: B256::ZERO, sha256: B256::ZERO };
            let parts = vec![part; length.div_ceil(u64::from(part_bytes)) as usize];
            let index = Index { length, sha256: B256::ZERO, part_bytes, parts, padding };
            let total: u64 = (0..index.parts.len()).map(|i| index.part_length(i)).sum();
            prop_assert_eq!(total, length);
            prop_assert_eq!(Index::decode(&index.encode()), Ok(index));
        }
    }
}
