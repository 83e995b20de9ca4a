//! The temporal index: block or moment → checkpoint, items, transactions. Read from the database.

use super::stage::is_archived;
use crate::ledger::{ItemStatus, item_status};
use alloy_primitives::BlockNumber;
use weft_arweave::Id;
use weft_primitives::BlockNumHash;
use weft_storage::{CheckpointRecord, StorageError, Store, View};

/// A checkpoint, as `da_checkpoints` and `da_locate` give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointEntry {
    /// Its block.
    pub block: BlockNumHash,
    /// Of the block, seconds since 1970.
    pub timestamp: u64,
    /// Diffs between it and the full checkpoint that it is built on; 0: it is full.
    pub depth: u64,
    /// The manifest of the checkpoint below; none of the first.
    pub parent: Option<Id>,
    /// Of all items.
    pub bytes: u64,
    /// The manifest, with its transaction.
    pub manifest: ItemStatus,
    /// The other items, with their transactions.
    pub items: Vec<ItemStatus>,
    /// Whether all of them were read back, or seen on Arweave by an index rebuild.
    pub archived: bool,
}

impl CheckpointEntry {
    /// The least confirmations of its transactions; 0 while one is in no block.
    pub fn confirmations(&self) -> u64 {
        let all = self.items.iter().chain([&self.manifest]);
        all.map(|item| item.upload.confirmations()).min().unwrap_or(0)
    }
}

/// What to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A height.
    Block(BlockNumber),
    /// Seconds since 1970.
    Timestamp(u64),
}

/// Where a moment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The last block at or before the moment.
    pub block: BlockNumHash,
    /// Of the block, seconds since 1970.
    pub timestamp: u64,
    /// The first checkpoint at or above the block, which holds its header; none yet, maybe.
    pub checkpoint: Option<CheckpointEntry>,
}

/// Block or moment → checkpoint, items, transactions. Cheap to clone; calls block on the disk.
#[derive(Clone, Debug)]
pub struct CheckpointIndex {
    store: Store,
}

impl CheckpointIndex {
    /// Over one database.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Newest first, from block `from` (or the newest) down, at most `limit`.
    pub fn list(
        &self,
        from: Option<BlockNumber>,
        limit: usize,
    ) -> Result<Vec<CheckpointEntry>, StorageError> {
        let view = self.store.view();
        let records = view.checkpoints_down(from.unwrap_or(BlockNumber::MAX), limit)?;
        records.into_iter().map(|record| entry(&view, record)).collect()
    }

    /// The block and the checkpoint of a moment. `None`: before the first block, or above the head.
    pub fn locate(&self, moment: Moment) -> Result<Option<Located>, StorageError> {
        let view = self.store.view();
        let number = match moment {
            Moment::Block(number) => Some(number),
            Moment::Timestamp(time) => last_block_at(&view, time)?,
        };
        let Some(header) = number.map(|number| view.header(number)).transpose()?.flatten() else {
            return Ok(None);
        };
        let checkpoint =
            view.checkpoint_from(header.number)?.map(|record| entry(&view, record)).transpose()?;
        Ok(Some(Located { block: header.num_hash(), timestamp: header.timestamp, checkpoint }))
    }
}

/// The last block whose timestamp is not after `time`. Timestamps never go down, so halving finds it.
fn last_block_at(view: &View<'_>, time: u64) -> Result<Option<BlockNumber>, StorageError> {
    let (mut low, mut high) = (view.first_number()?, view.head()?.number);
    let at = |number| -> Result<u64, StorageError> {
        Ok(view.header(number)?.ok_or(StorageError::MissingBlock(number))?.timestamp)
    };
    if at(low)? > time {
        return Ok(None);
    }
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if at(middle)? <= time {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    Ok(Some(low))
}

fn entry(view: &View<'_>, record: CheckpointRecord) -> Result<CheckpointEntry, StorageError> {
    let status = |key| {
        item_status(view, key)?.ok_or(StorageError::Ledger("an item of a checkpoint is not in the ledger"))
    };
    Ok(CheckpointEntry {
        archived: is_archived(view, &record)?,
        block: record.block,
        timestamp: record.timestamp,
        depth: record.depth,
        parent: record.parent.map(|id| Id(id.0)),
        bytes: record.bytes,
        manifest: status(record.manifest)?,
        items: record.items.iter().map(|key| status(*key)).collect::<Result<_, _>>()?,
    })
}
