//! Parity that was computed when the transactions came in, kept until it is stored.
//!
//! Filled from the engine's canonical events by whoever puts the node together, emptied by the BlobArchive
//! stage. Bounded in bytes: a block that does not fit is not kept, so the oldest stay, which the stage
//! needs first; what is missing is coded again from the body.

use crate::metrics::CacheMetrics;
use alloy_primitives::B256;
use parking_lot::Mutex;
use std::{collections::BTreeMap, fmt, sync::Arc};
use weft_primitives::{BlockNumHash, BlockNumber, EncodedBlob, PreparedBlock};

/// Coded blobs of recent blocks. Cheap to clone.
#[derive(Clone)]
pub struct ParityCache(Arc<Inner>);

struct Inner {
    bytes_max: usize,
    kept: Mutex<Kept>,
    metrics: CacheMetrics,
}

#[derive(Default)]
struct Kept {
    bytes: usize,
    /// By number, so that all up to a checkpoint are forgotten at once; the hash tells branches apart.
    blocks: BTreeMap<BlockNumber, (B256, Vec<Arc<EncodedBlob>>)>,
}

impl fmt::Debug for ParityCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParityCache")
            .field("bytes", &self.bytes())
            .field("bytes_max", &self.0.bytes_max)
            .finish()
    }
}

impl ParityCache {
    /// Keeps at most `bytes_max` bytes of parity; that is also its worst case, as the hashes beside it are 1 %.
    pub fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Inner { bytes_max, kept: Mutex::default(), metrics: CacheMetrics::default() }))
    }

    /// Keeps the parity of a block that became canonical, if it fits. Replaces another block of that number.
    pub fn remember(&self, block: &PreparedBlock) {
        let blobs: Vec<_> = block.transactions.iter().filter_map(|tx| tx.blob.clone()).collect();
        let BlockNumHash { number, hash } = block.num_hash();
        let mut kept = self.0.kept.lock();
        kept.remove(number);
        let bytes = bytes_of(&blobs);
        if kept.bytes + bytes > self.0.bytes_max {
            self.0.metrics.parity_cache_refused.increment(1);
        } else if !blobs.is_empty() {
            kept.bytes += bytes;
            kept.blocks.insert(number, (hash, blobs));
        }
        self.0.metrics.parity_cache_bytes.set(kept.bytes as f64);
    }

    /// The block's coded blobs in transaction order; `None` if they were not kept.
    pub(crate) fn get(&self, block: BlockNumHash) -> Option<Vec<Arc<EncodedBlob>>> {
        let kept = self.0.kept.lock();
        kept.blocks.get(&block.number).filter(|(hash, _)| *hash == block.hash).map(|(_, blobs)| blobs.clone())
    }

    /// Forgets all blocks up to `number`: their parity is stored.
    pub(crate) fn forget_up_to(&self, number: BlockNumber) {
        let mut kept = self.0.kept.lock();
        while let Some((&first, _)) = kept.blocks.first_key_value().filter(|(first, _)| **first <= number) {
            kept.remove(first);
        }
        self.0.metrics.parity_cache_bytes.set(kept.bytes as f64);
    }

    /// Bytes of parity kept now.
    pub fn bytes(&self) -> usize {
        self.0.kept.lock().bytes
    }
}

impl Kept {
    fn remove(&mut self, number: BlockNumber) {
        if let Some((_, blobs)) = self.blocks.remove(&number) {
            self.bytes -= bytes_of(&blobs);
        }
    }
}

fn bytes_of(blobs: &[Arc<EncodedBlob>]) -> usize {
    blobs.iter().map(|blob| blob.parity_bytes()).sum()
}
