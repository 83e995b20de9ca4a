//! The shape of the erasure code: how many columns, how many of them suffice, how large a chunk is.

use serde::{Deserialize, Serialize};

/// Alignment of a cell in bytes (PROTOCOL §2).
pub const CELL_ALIGN_BYTES: usize = 64;
/// GF(2^8) has no more points to evaluate at.
pub const COLUMNS_MAX: usize = 256;

/// A geometry that PROTOCOL §1 allows; there is no other way to make one than [`Geometry::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "RawGeometry", try_from = "RawGeometry")]
pub struct Geometry {
    version: u16,
    data_shards: u16,
    parity_shards: u16,
    chunk_bytes: u32,
}

impl Geometry {
    /// The dev chain's: 4 + 7 columns, chunks of 128 KiB, protocol version 1.
    pub const DEV: Self = Self { version: 1, data_shards: 4, parity_shards: 7, chunk_bytes: 131_072 };

    /// Refuses everything that PROTOCOL §1 does not allow.
    pub const fn new(
        version: u16,
        data_shards: u16,
        parity_shards: u16,
        chunk_bytes: u32,
    ) -> Result<Self, GeometryError> {
        if version != 1 {
            return Err(GeometryError::Version(version));
        }
        if data_shards == 0 || parity_shards == 0 {
            return Err(GeometryError::NoShards { data_shards, parity_shards });
        }
        if data_shards as usize + parity_shards as usize > COLUMNS_MAX {
            return Err(GeometryError::TooManyColumns { data_shards, parity_shards });
        }
        let unit = CELL_ALIGN_BYTES as u32 * data_shards as u32;
        if chunk_bytes == 0 || !chunk_bytes.is_multiple_of(unit) {
            return Err(GeometryError::ChunkBytes { chunk_bytes, unit });
        }
        Ok(Self { version, data_shards, parity_shards, chunk_bytes })
    }

    /// Version of PROTOCOL.md.
    pub const fn version(&self) -> u16 {
        self.version
    }

    /// k: columns that suffice to reconstruct.
    pub const fn data_shards(&self) -> usize {
        self.data_shards as usize
    }

    /// m: columns in addition.
    pub const fn parity_shards(&self) -> usize {
        self.parity_shards as usize
    }

    /// n = k + m.
    pub const fn columns(&self) -> usize {
        self.data_shards() + self.parity_shards()
    }

    /// Bytes of blob coded together.
    pub const fn chunk_bytes(&self) -> usize {
        self.chunk_bytes as usize
    }

    /// Chunks of a blob of `length` bytes.
    pub const fn chunk_count(&self, length: usize) -> usize {
        length.div_ceil(self.chunk_bytes())
    }

    /// Cell size in bytes of a chunk of `chunk_length` bytes: `64 · ceil(ℓ / (64·k))`.
    pub const fn cell_bytes(&self, chunk_length: usize) -> usize {
        CELL_ALIGN_BYTES * chunk_length.div_ceil(CELL_ALIGN_BYTES * self.data_shards())
    }

    /// Length in bytes of chunk `index` of a blob of `length` bytes; 0 past its end.
    pub const fn chunk_length(&self, length: usize, index: usize) -> usize {
        let start = index.saturating_mul(self.chunk_bytes());
        let rest = length.saturating_sub(start);
        if rest < self.chunk_bytes() { rest } else { self.chunk_bytes() }
    }
}

#[derive(Serialize, Deserialize)]
struct RawGeometry {
    version: u16,
    data_shards: u16,
    parity_shards: u16,
    chunk_bytes: u32,
}

impl From<Geometry> for RawGeometry {
    fn from(g: Geometry) -> Self {
        Self {
            version: g.version,
            data_shards: g.data_shards,
            parity_shards: g.parity_shards,
            chunk_bytes: g.chunk_bytes,
        }
    }
}

impl TryFrom<RawGeometry> for Geometry {
    type Error = GeometryError;

    fn try_from(raw: RawGeometry) -> Result<Self, GeometryError> {
        Self::new(raw.version, raw.data_shards, raw.parity_shards, raw.chunk_bytes)
    }
}

/// Why a geometry is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    /// A protocol version that this node does not speak.
    #[error("protocol version {0} is not known; this node speaks 1")]
    Version(u16),
    /// Without data or parity there is nothing to code.
    #[error("dataShards ({data_shards}) and parityShards ({parity_shards}) must both be at least 1")]
    NoShards {
        /// k
        data_shards: u16,
        /// m
        parity_shards: u16,
    },
    /// More columns than GF(2^8) has points.
    #[error("dataShards ({data_shards}) + parityShards ({parity_shards}) exceed 256 columns")]
    TooManyColumns {
        /// k
        data_shards: u16,
        /// m
        parity_shards: u16,
    },
    /// A chunk that does not split into aligned cells.
    #[error("chunkBytes ({chunk_bytes}) must be a positive multiple of 64 · dataShards = {unit}")]
    ChunkBytes {
        /// The refused size.
        chunk_bytes: u32,
        /// What it must be a multiple of.
        unit: u32,
    },
}
