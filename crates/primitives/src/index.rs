//! A newtype per index, so that a column is never mistaken for a chunk.

use derive_more::{Display, From, Into};
use serde::{Deserialize, Serialize};

/// A column of the code: `0..k` are the calldata itself, `k..n` are parity (PROTOCOL §2).
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Display,
    From,
    Into,
    Serialize,
    Deserialize,
)]
pub struct ColumnIndex(pub u16);

/// A chunk of a block, in the order of PROTOCOL §3: by transaction, then by position in its blob.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Display,
    From,
    Into,
    Serialize,
    Deserialize,
)]
pub struct ChunkIndex(pub u32);

/// A blob of a block, in transaction order.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Display,
    From,
    Into,
    Serialize,
    Deserialize,
)]
pub struct BlobIndex(pub u32);
