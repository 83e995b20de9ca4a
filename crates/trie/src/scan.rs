//! Whole tables in key order, for rebuilding and checking everything.

use alloy_primitives::{B256, U256};
use alloy_trie::BranchNodeCompact;
use nybbles::Nibbles;
use weft_primitives::StoredAccount;
use weft_storage::{StorageError, View};

/// Entries of a table; after an error there are no more.
pub(crate) type Entries<'a, T> = Box<dyn Iterator<Item = Result<T, StorageError>> + 'a>;

/// The four tables of a state.
pub(crate) trait Scan {
    /// By hashed address.
    fn scan_accounts(&self) -> Entries<'_, (B256, StoredAccount)>;
    /// Hashed address, hashed slot, value; by the first two.
    fn scan_slots(&self) -> Entries<'_, (B256, B256, U256)>;
    /// By path.
    fn scan_account_nodes(&self) -> Entries<'_, (Nibbles, BranchNodeCompact)>;
    /// Hashed address, path, node; by the first two.
    fn scan_slot_nodes(&self) -> Entries<'_, (B256, Nibbles, BranchNodeCompact)>;
}

impl Scan for View<'_> {
    fn scan_accounts(&self) -> Entries<'_, (B256, StoredAccount)> {
        Box::new(self.all_accounts())
    }

    fn scan_slots(&self) -> Entries<'_, (B256, B256, U256)> {
        Box::new(self.all_slots())
    }

    fn scan_account_nodes(&self) -> Entries<'_, (Nibbles, BranchNodeCompact)> {
        let mut cursor = self.account_trie();
        entries(move |first| if first { cursor.seek(&Nibbles::new()) } else { cursor.next() })
    }

    fn scan_slot_nodes(&self) -> Entries<'_, (B256, Nibbles, BranchNodeCompact)> {
        Box::new(self.all_storage_tries())
    }
}

/// An iterator over a cursor: `advance(true)` seeks the first entry, `advance(false)` steps to the next.
fn entries<'a, T: 'a>(
    mut advance: impl FnMut(bool) -> Result<Option<T>, StorageError> + 'a,
) -> Entries<'a, T> {
    let (mut first, mut done) = (true, false);
    Box::new(std::iter::from_fn(move || {
        if done {
            return None;
        }
        let entry = advance(std::mem::take(&mut first)).transpose();
        done = !matches!(entry, Some(Ok(_)));
        entry
    }))
}
