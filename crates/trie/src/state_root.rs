//! State root of "head plus overlay": storage tries first, then the account trie over their roots.
//!
//! Called by the engine for every block that is built or checked, and by unwinding with `View::revert_state`.
//! The updates are relative to the view's head: applied to its node tables they leave exactly the nodes that a
//! build from all leaves would store. Accounts whose storage did not change keep the storage root that their
//! record in the database carries, so no storage trie is opened for them.

use crate::{
    TrieError,
    change::{AccountChange, Change, Changes, slot_changes, split_prefix},
    metrics::TrieMetrics,
    source::{EmptyState, LeafSource, NodeSource, Nothing, StateSource},
    walk::{NodeUpdates, Walk},
};
use alloy_primitives::{B256, map::B256Map};
use alloy_rlp::Encodable;
use alloy_trie::{BranchNodeCompact, EMPTY_ROOT_HASH};
use nybbles::Nibbles;
use rayon::prelude::*;
use std::time::Instant;
use weft_primitives::{HashedPostState, HashedStorage, StorageTrieUpdates, TrieUpdates};
use weft_storage::View;

/// Changes in one trie from which its sixteen top subtrees are walked side by side. Below that the walk is a
/// few milliseconds, and sixteen pairs of cursors and the waking of threads would cost more than they save.
const PARALLEL_CHANGES_MIN: usize = 512;

/// Changed storage tries from which they are walked side by side.
const PARALLEL_STORAGES_MIN: usize = 8;

/// State root of the view's head with `overlay` applied, reading only along changed paths.
/// `updates` are relative to the view's head, whatever the overlay contains.
///
/// # Errors
/// When the database fails or contradicts itself, or the overlay changes storage of an account it does not list.
pub fn state_root(view: &View<'_>, overlay: &HashedPostState) -> Result<(B256, TrieUpdates), TrieError> {
    let started = Instant::now();
    let result = state_root_of(view, overlay)?;
    let metrics = TrieMetrics::default();
    metrics.root_duration_seconds.record(started.elapsed().as_secs_f64());
    metrics.changed_accounts.record(overlay.accounts.len() as f64);
    metrics.changed_storages.record(overlay.storages.len() as f64);
    metrics.updated_nodes.record(
        (result.1.account_nodes.len()
            + result.1.storages.values().map(|storage| storage.nodes.len()).sum::<usize>()) as f64,
    );
    Ok(result)
}

/// State root and all trie nodes of an initial state, on top of nothing (genesis).
///
/// # Errors
/// When `state` has storage of an account that it does not list.
pub fn genesis_root(state: &HashedPostState) -> Result<(B256, TrieUpdates), TrieError> {
    state_root_of(&EmptyState, state)
}

pub(crate) fn state_root_of<S: StateSource>(
    source: &S,
    overlay: &HashedPostState,
) -> Result<(B256, TrieUpdates), TrieError> {
    let storages = storage_tries(source, overlay)?;
    let changes = account_changes(overlay, &storages);
    let (root, nodes) = trie_root(|| (source.accounts(), source.account_nodes()), &changes)?;
    Ok((root, TrieUpdates { account_nodes: nodes.into_iter().collect(), storages }))
}

/// The storage tries that the overlay changes or removes.
pub(crate) fn storage_tries<S: StateSource>(
    source: &S,
    overlay: &HashedPostState,
) -> Result<B256Map<StorageTrieUpdates>, TrieError> {
    let mut jobs = Vec::with_capacity(overlay.storages.len());
    for (address, storage) in &overlay.storages {
        match overlay.accounts.get(address) {
            Some(Some(_)) => jobs.push((*address, storage)),
            Some(None) => {}
            None => return Err(TrieError::StorageWithoutAccount { hashed_address: *address }),
        }
    }
    let update = |(address, storage): (B256, &HashedStorage)| {
        storage_trie(source, address, storage).map(|updates| (address, updates))
    };
    let mut storages: B256Map<_> = if jobs.len() < PARALLEL_STORAGES_MIN {
        jobs.into_iter().map(update).collect::<Result<_, _>>()?
    } else {
        jobs.into_par_iter().map(update).collect::<Result<_, _>>()?
    };
    // An account that is gone takes the nodes of its storage trie with it.
    for (address, _) in overlay.accounts.iter().filter(|(_, account)| account.is_none()) {
        if overlay.storages.contains_key(address)
            || source.slot_nodes(*address).seek(&Nibbles::new())?.is_some()
        {
            let gone = StorageTrieUpdates { wiped: true, nodes: Default::default(), root: EMPTY_ROOT_HASH };
            storages.insert(*address, gone);
        }
    }
    Ok(storages)
}

fn storage_trie<S: StateSource>(
    source: &S,
    address: B256,
    storage: &HashedStorage,
) -> Result<StorageTrieUpdates, TrieError> {
    let changes = slot_changes(storage);
    let (root, nodes) = if storage.wiped {
        trie_root(|| (Nothing::default(), Nothing::<()>::default()), &changes)?
    } else {
        trie_root(|| (source.slots(address), source.slot_nodes(address)), &changes)?
    };
    Ok(StorageTrieUpdates { wiped: storage.wiped, nodes: nodes.into_iter().collect(), root })
}

/// The changed accounts, sorted, with the storage roots that came out.
pub(crate) fn account_changes(
    overlay: &HashedPostState,
    storages: &B256Map<StorageTrieUpdates>,
) -> Changes<AccountChange> {
    let mut changes: Changes<_> = overlay
        .accounts
        .iter()
        .map(|(address, account)| {
            let root = storages.get(address).map(|storage| storage.root);
            let change = account.map_or(AccountChange::Remove, |account| AccountChange::Set(account, root));
            (Nibbles::unpack(address), change)
        })
        .collect();
    changes.sort_unstable_by_key(|(key, _)| *key);
    changes
}

/// Root and changed nodes of one trie; `open` gives cursors over it.
fn trie_root<L, N, C>(
    open: impl Fn() -> (L, N) + Sync,
    changes: &[(Nibbles, C)],
) -> Result<(B256, NodeUpdates), TrieError>
where
    L: LeafSource<Value: Encodable + Send>,
    N: NodeSource,
    C: Change<L::Value> + Sync,
{
    let (leaves, nodes) = open();
    let mut walk = Walk::new(leaves, nodes);
    let top = walk.top()?;
    match top {
        Some((path, node)) if path.is_empty() && changes.len() >= PARALLEL_CHANGES_MIN => {
            walk_side_by_side(&mut walk, open, node, changes)?;
        }
        top => walk.whole(top, changes)?,
    }
    let (root, updates, _) = walk.finish();
    Ok((root, updates))
}

/// Walks the sixteen subtrees of the stored root branch on rayon's threads, then closes the root over them.
fn walk_side_by_side<L, N, C>(
    walk: &mut Walk<L, N>,
    open: impl Fn() -> (L, N) + Sync,
    root: BranchNodeCompact,
    mut changes: &[(Nibbles, C)],
) -> Result<(), TrieError>
where
    L: LeafSource<Value: Encodable + Send>,
    N: NodeSource,
    C: Change<L::Value> + Sync,
{
    let jobs: Vec<_> = (0..16u8)
        .map(|nibble| {
            let (below, rest) = split_prefix(changes, &Nibbles::from_nibbles([nibble]));
            changes = rest;
            (nibble, below)
        })
        .collect();
    let parts = jobs
        .into_par_iter()
        .map(|(nibble, below)| {
            let (leaves, nodes) = open();
            let mut part = Walk::new(leaves, nodes);
            part.child(&Nibbles::new(), &root, nibble, below)?;
            Ok((part.stack, part.updates))
        })
        .collect::<Result<Vec<_>, TrieError>>()?;
    for (part, updates) in parts {
        walk.stack.extend(part);
        walk.updates.extend(updates);
    }
    walk.close(&Nibbles::new(), 0, Some(root));
    Ok(())
}
