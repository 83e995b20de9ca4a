//! Comparison of what the node stored about its tries with what the leaves say (`weft db verify`).
//!
//! One pass over the leaves rebuilds every node ([`leaves`](crate::leaves)); the stored nodes stream past beside
//! it. Rebuilt nodes come children first, stored ones parents first, so both are held until the leaves have
//! passed their window: [`WINDOW_NIBBLES`] nibbles of path, a 4096th of a trie, or the few nodes above that.

use crate::{
    TrieError,
    leaves::{Nodes, Observer, rebuild},
    scan::Scan,
};
use alloy_primitives::B256;
use alloy_trie::BranchNodeCompact;
use nybbles::Nibbles;
use std::{collections::BTreeMap, fmt, iter::Peekable};
use weft_primitives::StoredAccount;
use weft_storage::{StorageError, View};

/// Length of the path prefix below which nodes are compared together.
const WINDOW_NIBBLES: usize = 3;

/// Differences kept for the report; further ones are only counted. 1000 × about 150 bytes.
const DIFFERENCES_MAX: usize = 1000;

/// Something in the database that does not agree with the leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The head's header has another state root.
    StateRoot {
        /// In the header.
        header: B256,
        /// From the leaves.
        leaves: B256,
    },
    /// An account's record carries another storage root than its slots have.
    StorageRoot {
        /// Keccak of the address.
        hashed_address: B256,
        /// In the record.
        stored: B256,
        /// From the slots.
        leaves: B256,
    },
    /// There are slots of an account that is not there.
    OrphanSlots {
        /// Keccak of the address.
        hashed_address: B256,
    },
    /// A trie node should be stored and is not.
    MissingNode(TriePath),
    /// A trie node is stored and should not be.
    ExtraNode(TriePath),
    /// A stored trie node has other content than it should.
    WrongNode(TriePath),
}

/// A place in the account trie, or in the storage trie of `hashed_address`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriePath {
    /// Keccak of the address, `None` for the account trie.
    pub hashed_address: Option<B256>,
    /// Path in the trie.
    pub path: Nibbles,
}

impl fmt::Display for TriePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hashed_address {
            Some(address) => write!(f, "storage trie of {address}, path {:?}", self.path),
            None => write!(f, "account trie, path {:?}", self.path),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StateRoot { header, leaves } => {
                write!(f, "state root of the head's header is {header}, leaves give {leaves}")
            }
            Self::StorageRoot { hashed_address, stored, leaves } => {
                write!(f, "storage root in the record of {hashed_address} is {stored}, slots give {leaves}")
            }
            Self::OrphanSlots { hashed_address } => {
                write!(f, "slots of {hashed_address}, which is not an account")
            }
            Self::MissingNode(place) => write!(f, "missing trie node: {place}"),
            Self::ExtraNode(place) => write!(f, "trie node that should not be there: {place}"),
            Self::WrongNode(place) => write!(f, "wrong trie node: {place}"),
        }
    }
}

/// What [`verify_trie`] saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrieReport {
    /// State root that the leaves give.
    pub root: B256,
    /// Accounts read.
    pub accounts: u64,
    /// Storage slots read.
    pub slots: u64,
    /// Stored nodes that are as they should be.
    pub nodes: u64,
    /// Differences found, in the order of the walk; the first thousand.
    pub differences: Vec<Difference>,
    /// Differences beyond those.
    pub further_differences: u64,
}

impl TrieReport {
    /// Whether everything agrees.
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty() && self.further_differences == 0
    }

    fn note(&mut self, difference: Difference) {
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(difference);
        } else {
            self.further_differences += 1;
        }
    }
}

/// Compares every stored trie node, every account's storage root and the head's state root with ones derived
/// from leaves. Reads the whole state once; bounded memory.
///
/// # Errors
/// When the database cannot be read or a record cannot be decoded. Records that can but are wrong are no error, but
/// a [`Difference`].
pub fn verify_trie(view: &View<'_>) -> Result<TrieReport, TrieError> {
    let mut report = verify_tries(view)?;
    let head = view.head()?;
    let header = view.header(head.number)?.ok_or(StorageError::MissingBlock(head.number))?;
    if header.state_root != report.root {
        report.note(Difference::StateRoot { header: header.state_root, leaves: report.root });
    }
    Ok(report)
}

/// [`verify_trie`] without the header.
pub(crate) fn verify_tries<S: Scan>(source: &S) -> Result<TrieReport, TrieError> {
    let mut check = Check {
        report: TrieReport::default(),
        account_nodes: source.scan_account_nodes().peekable(),
        storage_nodes: source.scan_slot_nodes().peekable(),
        account_window: Window::default(),
        storage_window: Window::default(),
        orphan: None,
    };
    check.report.root = rebuild(source, &mut check)?;
    check.skip_storage_nodes(None)?;
    Ok(check.report)
}

type StoredNode = Result<(Nibbles, BranchNodeCompact), StorageError>;
type StoredStorageNode = Result<(B256, Nibbles, BranchNodeCompact), StorageError>;

struct Check<'a> {
    report: TrieReport,
    account_nodes: Peekable<Box<dyn Iterator<Item = StoredNode> + 'a>>,
    storage_nodes: Peekable<Box<dyn Iterator<Item = StoredStorageNode> + 'a>>,
    account_window: Window,
    storage_window: Window,
    orphan: Option<B256>,
}

impl Check<'_> {
    /// Notes stored nodes of storage tries whose account has no slots, up to but without `before`.
    fn skip_storage_nodes(&mut self, before: Option<B256>) -> Result<(), TrieError> {
        let skipped = |node: &StoredStorageNode| match node {
            Ok((owner, ..)) => before.is_none_or(|address| *owner < address),
            Err(_) => true,
        };
        while let Some(node) = self.storage_nodes.next_if(skipped) {
            let (owner, path, _) = node?;
            self.report.note(Difference::ExtraNode(TriePath { hashed_address: Some(owner), path }));
        }
        Ok(())
    }
}

impl Observer for Check<'_> {
    const NODES: bool = true;

    fn slot(&mut self) {
        self.report.slots += 1;
    }

    fn orphan_slot(&mut self, hashed_address: B256) -> Result<(), TrieError> {
        if self.orphan.replace(hashed_address) != Some(hashed_address) {
            self.report.note(Difference::OrphanSlots { hashed_address });
        }
        Ok(())
    }

    fn account(
        &mut self,
        hashed_address: B256,
        record: &StoredAccount,
        storage_root: B256,
    ) -> Result<(), TrieError> {
        self.report.accounts += 1;
        if record.storage_root != storage_root {
            let stored = record.storage_root;
            self.report.note(Difference::StorageRoot { hashed_address, stored, leaves: storage_root });
        }
        Ok(())
    }

    fn storage_nodes(
        &mut self,
        hashed_address: B256,
        reached: &Nibbles,
        nodes: Nodes<'_>,
    ) -> Result<(), TrieError> {
        self.skip_storage_nodes(Some(hashed_address))?;
        let stored = &mut self.storage_nodes;
        let mut next = |end: Option<&Nibbles>| {
            let belongs = |node: &StoredStorageNode| match node {
                Ok((owner, path, _)) => *owner == hashed_address && end.is_none_or(|end| path < end),
                Err(_) => true,
            };
            stored.next_if(belongs).map(|node| node.map(|(_, path, node)| (path, node)))
        };
        self.storage_window.pass(Some(hashed_address), reached, nodes, &mut next, &mut self.report)
    }

    fn account_nodes(&mut self, reached: &Nibbles, nodes: Nodes<'_>) -> Result<(), TrieError> {
        let stored = &mut self.account_nodes;
        let mut next = |end: Option<&Nibbles>| {
            stored.next_if(|node| node.as_ref().map_or(true, |(path, _)| end.is_none_or(|end| path < end)))
        };
        self.account_window.pass(None, reached, nodes, &mut next, &mut self.report)
    }
}

/// Nodes of one trie that wait for their counterpart.
#[derive(Default)]
struct Window {
    rebuilt: BTreeMap<Nibbles, BranchNodeCompact>,
    /// Stored nodes above the window.
    stored_above: BTreeMap<Nibbles, BranchNodeCompact>,
}

impl Window {
    /// Takes in rebuilt nodes and compares all that can be: those whose window lies before `reached`, or all
    /// when `reached` is empty. `next_stored` gives the next stored node below a path.
    fn pass(
        &mut self,
        hashed_address: Option<B256>,
        reached: &Nibbles,
        nodes: Nodes<'_>,
        next_stored: &mut dyn FnMut(Option<&Nibbles>) -> Option<StoredNode>,
        report: &mut TrieReport,
    ) -> Result<(), TrieError> {
        self.rebuilt.extend(nodes);
        let place = |path| TriePath { hashed_address, path };
        let end = (!reached.is_empty()).then(|| reached.slice(..WINDOW_NIBBLES));
        while let Some(stored) = next_stored(end.as_ref()) {
            let (path, node) = stored?;
            if path.len() < WINDOW_NIBBLES {
                self.stored_above.insert(path, node);
            } else {
                compare(place(path), &node, self.rebuilt.remove(&path), report);
            }
        }
        if end.is_none() {
            for (path, node) in std::mem::take(&mut self.stored_above) {
                compare(place(path), &node, self.rebuilt.remove(&path), report);
            }
        }
        let is_past = |path: &Nibbles| match &end {
            Some(end) => path.len() >= WINDOW_NIBBLES && path < end,
            None => true,
        };
        for (path, _) in self.rebuilt.extract_if(.., |path, _| is_past(path)) {
            report.note(Difference::MissingNode(place(path)));
        }
        Ok(())
    }
}

fn compare(
    place: TriePath,
    stored: &BranchNodeCompact,
    rebuilt: Option<BranchNodeCompact>,
    report: &mut TrieReport,
) {
    match rebuilt {
        Some(rebuilt) if rebuilt == *stored => report.nodes += 1,
        Some(_) => report.note(Difference::WrongNode(place)),
        None => report.note(Difference::ExtraNode(place)),
    }
}
