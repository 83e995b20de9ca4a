//! What this server remembers of the chain's newest part: digests of recent blocks, and the order
//! in which blocks became canonical and ceased to be.
//!
//! One follower task listens to the engine, makes digests (dropping the events' calldata at once),
//! appends to the journal and passes the change on to subscribers. Polling filters hold a position
//! in the journal instead of a buffer of their own, so that any number of filters costs nothing.
//!
//! Bounds: digests 64 MiB in all; journal [`JOURNAL_ENTRIES_MAX`] entries; pending-transaction
//! journal [`PENDING_ENTRIES_MAX`] hashes (2 MiB); [`HEAD_QUEUE`] changes towards each subscriber, one that
//! falls further behind is closed. A filter whose position fell off the journal is gone
//! ("filter not found"), as an expired one.

use crate::{BlockDigest, RpcError};
use alloy_primitives::{B256, Bloom, TxHash};
use lru::LruCache;
use parking_lot::Mutex;
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::broadcast;
use weft_engine::CanonicalEvent;
use weft_primitives::{BlockNumHash, SealedHeader};
use weft_storage::View;

/// Digests kept, in bytes of [`BlockDigest::weight`].
const DIGEST_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Entries of the journal: at 400 bytes each 3.2 MiB, without the digests of reverted blocks.
const JOURNAL_ENTRIES_MAX: usize = 8192;
/// Reverted digests that the journal keeps alive.
const REVERTED_KEPT_MAX: usize = 256;
/// Hashes of pending transactions that filters can still be given.
const PENDING_ENTRIES_MAX: usize = 65_536;
/// Blocks that are read back after missed events; a larger gap clears the journal.
const CATCH_UP_BLOCKS_MAX: u64 = 256;
/// Changes of the head queued towards one subscriber.
const HEAD_QUEUE: usize = 256;

/// A change of the canonical chain.
#[derive(Clone, Debug)]
pub struct HeadChange {
    /// Blocks that are no longer canonical, newest first.
    pub reverted: Vec<Arc<BlockDigest>>,
    /// Blocks that are now, oldest first.
    pub committed: Vec<Arc<BlockDigest>>,
}

impl HeadChange {
    /// Reverted blocks, then committed ones; whether the block is one of the reverted.
    pub fn blocks(&self) -> impl Iterator<Item = (&Arc<BlockDigest>, bool)> {
        let reverted = self.reverted.iter().map(|block| (block, true));
        reverted.chain(self.committed.iter().map(|block| (block, false)))
    }
}

/// One step of the journal.
#[derive(Clone, Debug)]
pub enum JournalEntry {
    /// A block became canonical.
    Committed {
        /// Which.
        block: BlockNumHash,
        /// Its header's log filter.
        bloom: Box<Bloom>,
    },
    /// A block ceased to be canonical; its digest exists nowhere else.
    Reverted(Arc<BlockDigest>),
}

/// The newest part of the chain.
#[derive(Debug)]
pub struct Head {
    recent: Mutex<Recent>,
    changes: broadcast::Sender<Arc<HeadChange>>,
}

#[derive(Debug)]
struct Recent {
    digests: LruCache<B256, Arc<BlockDigest>>,
    digest_bytes: usize,
    head: SealedHeader,
    journal: Journal<JournalEntry>,
    pending: Journal<TxHash>,
}

/// A numbered list whose oldest entries fall off.
#[derive(Debug)]
struct Journal<T> {
    first: u64,
    entries: VecDeque<T>,
    capacity: usize,
}

impl<T: Clone> Journal<T> {
    fn new(capacity: usize) -> Self {
        Self { first: 0, entries: VecDeque::new(), capacity }
    }

    fn push(&mut self, entry: T) {
        if self.entries.len() == self.capacity {
            self.entries.pop_front();
            self.first += 1;
        }
        self.entries.push_back(entry);
    }

    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Forgets all entries; every position given out before is gone.
    fn clear(&mut self) {
        self.first = self.end() + 1;
        self.entries.clear();
    }

    /// Entries from `position` on; `None` when some of them are gone.
    fn since(&self, position: u64) -> Option<Vec<T>> {
        let skip = usize::try_from(position.checked_sub(self.first)?).ok()?;
        Some(self.entries.iter().skip(skip).cloned().collect())
    }
}

impl Head {
    /// Starts at `head`.
    pub fn new(head: SealedHeader) -> Self {
        let recent = Recent {
            digests: LruCache::unbounded(),
            digest_bytes: 0,
            head,
            journal: Journal::new(JOURNAL_ENTRIES_MAX),
            pending: Journal::new(PENDING_ENTRIES_MAX),
        };
        Self { recent: Mutex::new(recent), changes: broadcast::channel(HEAD_QUEUE).0 }
    }

    /// The newest canonical header.
    pub fn header(&self) -> SealedHeader {
        self.recent.lock().head.clone()
    }

    /// Changes from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<HeadChange>> {
        self.changes.subscribe()
    }

    /// The digest of block `hash`, if it is remembered.
    pub fn digest(&self, hash: B256) -> Option<Arc<BlockDigest>> {
        self.recent.lock().digests.get(&hash).cloned()
    }

    /// Remembers a digest that was read from the database.
    pub fn remember(&self, digest: Arc<BlockDigest>) {
        self.recent.lock().remember(digest);
    }

    /// Where the journal of blocks ends now.
    pub fn position(&self) -> u64 {
        self.recent.lock().journal.end()
    }

    /// Journal entries from `position` on, and the new end; `None` when they are no longer there.
    pub fn since(&self, position: u64) -> Option<(Vec<JournalEntry>, u64)> {
        let recent = self.recent.lock();
        Some((recent.journal.since(position)?, recent.journal.end()))
    }

    /// Where the journal of pending transactions ends now.
    pub fn pending_position(&self) -> u64 {
        self.recent.lock().pending.end()
    }

    /// Hashes of transactions that became executable from `position` on.
    pub fn pending_since(&self, position: u64) -> Option<(Vec<TxHash>, u64)> {
        let recent = self.recent.lock();
        Some((recent.pending.since(position)?, recent.pending.end()))
    }

    /// Notes an executable transaction.
    pub fn note_pending(&self, hash: TxHash) {
        self.recent.lock().pending.push(hash);
    }

    /// Takes in an engine event.
    pub fn apply(&self, event: &CanonicalEvent) {
        let digest = |block: &Arc<weft_engine::CanonicalBlock>| {
            let hash = block.block.header.hash();
            self.digest(hash).unwrap_or_else(|| Arc::new(BlockDigest::from_event(block)))
        };
        let change = HeadChange {
            reverted: event.reverted.iter().map(digest).collect(),
            committed: event.committed.iter().map(digest).collect(),
        };
        self.advance(change, event.head.clone());
    }

    /// Makes up for missed events: compares what is remembered with the database.
    pub fn catch_up(&self, view: &View<'_>) -> Result<(), RpcError> {
        let head = view.head()?;
        let known = self.header();
        let (mut reverted, mut ancestor) = (Vec::new(), known.num_hash());
        while view.canonical_hash(ancestor.number)? != Some(ancestor.hash) {
            let Some(digest) = self.digest(ancestor.hash) else { break };
            ancestor = BlockNumHash::new(ancestor.number.saturating_sub(1), digest.header.parent_hash);
            reverted.push(digest);
        }
        let mut first = ancestor.number + 1;
        if head.number.saturating_sub(ancestor.number) > CATCH_UP_BLOCKS_MAX {
            // A gap in the journal would be silent: filters from before it are gone instead.
            self.recent.lock().journal.clear();
            first = head.number - CATCH_UP_BLOCKS_MAX;
        }
        let mut committed = Vec::new();
        for number in first..=head.number {
            if let Some(digest) = BlockDigest::load(view, number)? {
                committed.push(Arc::new(digest));
            }
        }
        if let Some(header) = view.header(head.number)? {
            self.advance(HeadChange { reverted, committed }, header);
        }
        Ok(())
    }

    fn advance(&self, change: HeadChange, head: SealedHeader) {
        let mut recent = self.recent.lock();
        for digest in &change.reverted {
            recent.journal.push(JournalEntry::Reverted(Arc::clone(digest)));
        }
        for digest in &change.committed {
            let (block, bloom) = (digest.header.num_hash(), Box::new(digest.header.logs_bloom));
            recent.journal.push(JournalEntry::Committed { block, bloom });
            recent.remember(Arc::clone(digest));
        }
        recent.limit_reverted();
        recent.head = head;
        drop(recent);
        if !(change.reverted.is_empty() && change.committed.is_empty()) {
            // Nobody listening is not a fault.
            let _ = self.changes.send(Arc::new(change));
        }
    }
}

impl Recent {
    fn remember(&mut self, digest: Arc<BlockDigest>) {
        self.digest_bytes += digest.weight();
        if let Some(replaced) = self.digests.put(digest.header.hash(), digest) {
            self.digest_bytes -= replaced.weight();
        }
        while self.digest_bytes > DIGEST_BYTES_MAX {
            let Some((_, oldest)) = self.digests.pop_lru() else { break };
            self.digest_bytes -= oldest.weight();
        }
    }

    /// Forgets the journal up to the newest reverted entry that is one too many.
    fn limit_reverted(&mut self) {
        let reverted = |entry: &&JournalEntry| matches!(entry, JournalEntry::Reverted(_));
        let mut surplus =
            self.journal.entries.iter().filter(reverted).count().saturating_sub(REVERTED_KEPT_MAX);
        while surplus > 0 {
            match self.journal.entries.pop_front() {
                Some(JournalEntry::Reverted(_)) => surplus -= 1,
                Some(JournalEntry::Committed { .. }) => {}
                None => break,
            }
            self.journal.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_journal_gives_every_entry_once_or_says_that_it_cannot(pushes in 0u64..50, capacity in 1usize..20, position in 0u64..60) {
            let mut journal = Journal::new(capacity);
            (0..pushes).for_each(|entry| journal.push(entry));
            prop_assert_eq!(journal.end(), pushes);
            match journal.since(position) {
                Some(entries) => prop_assert_eq!(entries, (position..pushes).collect::<Vec<_>>()),
                None => prop_assert!(position < pushes.saturating_sub(capacity as u64)),
            }
        }
    }
}
