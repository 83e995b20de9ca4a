//! Checkpoints: the state of a finalized block as items that anybody can keep, and a database from them.
//!
//! | file | what |
//! |---|---|
//! | `item`, `folder` | items, the seam to where they are kept ([`ItemSink`], [`ItemSource`]), and a folder of them |
//! | `manifest`, `chunk`, `record` | the bytes (`docs/checkpoints.md` describes them for other implementations) |
//! | `write` | the snapshot: [`write_checkpoint`] |
//! | `lineage`, `verify`, `restore` | the way back: [`verify()`] without a database, [`restore()`] into one |
//!
//! Nothing in a checkpoint is trusted. Invariants, each with a test: the same state gives the same items; an item that
//! is there is not kept twice; a checkpoint is there when its manifest is; a folder is a database when the state root
//! was compared, and refused until then.

mod chunk;
mod error;
mod folder;
mod item;
mod lineage;
mod manifest;
mod progress;
mod record;
mod restore;
mod verify;
mod write;

pub use chunk::{Cut, ITEM_BYTES_MAX, RAW_BYTES_MAX};
pub use error::{CheckpointError, Malformed, TransportError};
pub use folder::{FolderError, ItemFolder};
pub(crate) use item::tags;
pub use item::{Item, ItemId, ItemKind, ItemRef, ItemSink, ItemSource, Tag};
pub use lineage::{Expected, LAYERS_MAX, read_manifest};
pub use manifest::{
    CHECKPOINT_VERSION, Chain, ENTRIES_MAX, Entry, Kind, MANIFEST_BYTES_MAX, Manifest, Parent, Section,
};
pub use progress::{Phase, Progress};
pub use restore::{RestoreOptions, restore};
pub use verify::{Verified, verify};
pub use write::{Checkpoint, CheckpointOptions, write_checkpoint};

use alloy_primitives::B256;
use chunk::{Chunk, ChunkReader, ChunkWriter};
use weft_primitives::{BlockNumHash, BlockNumber};

/// Whether a header is the one that follows: number `next`, child of `parent`, genesis where there is none.
fn check_header(
    header: BlockNumHash,
    parent_hash: B256,
    next: BlockNumber,
    parent: Option<B256>,
    genesis: B256,
) -> Result<(), CheckpointError> {
    let wrong = |reason| Err(CheckpointError::Header { number: next, reason });
    match parent {
        _ if header.number != next => wrong("is missing"),
        None if header.hash != genesis => wrong("is not the genesis of the chain"),
        Some(parent) if parent_hash != parent => wrong("is not the child of the one before it"),
        _ => Ok(()),
    }
}
