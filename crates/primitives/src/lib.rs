#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod account;
mod blob;
mod block;
pub mod cpu_time;
mod geometry;
mod index;
mod input_bytes;
pub mod keccak;
mod receipt;
mod state;
mod transaction;

pub use account::StoredAccount;
pub use blob::{BlobRef, DaSummary, EncodedBlob};
pub use block::{Block, BlockBody, BlockNumHash, Header, PreparedBlock, SealedBlock, SealedHeader};
pub use geometry::{Geometry, GeometryError};
pub use index::{BlobIndex, ChunkIndex, ColumnIndex};
pub use input_bytes::InputBytes;
pub use receipt::Receipt;
pub use state::{HashedPostState, HashedStorage, StorageTrieUpdates, TrieUpdates};
pub use transaction::{PooledTransaction, PreparedTransaction, Transaction};

pub use alloy_primitives::{Address, B256, BlockNumber, Bytes, TxHash, U256};
