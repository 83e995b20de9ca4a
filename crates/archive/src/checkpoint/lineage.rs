//! A checkpoint with all those below it, down to the first one: what a restore or a verification has to read.
//!
//! The state comes from the newest `full` checkpoint at or below the wanted one, then from each diff above it; the
//! headers come from all of them. Manifests below that `full` one are kept without their state entries. Bounds:
//! [`MANIFESTS_MAX`] manifests, [`LAYERS_MAX`] of them on top of a full one, [`HEADER_ITEMS_MAX`] header items.

use super::{
    Chain, Checkpoint, CheckpointError, Entry, ItemId, ItemRef, ItemSource, Kind, MANIFEST_BYTES_MAX,
    Manifest, Section,
};
use alloy_primitives::{B256, Bytes};
use weft_primitives::BlockNumHash;

/// Manifests that one restore reads: one a day for a century, and again as many.
const MANIFESTS_MAX: usize = 1 << 16;
/// Diffs on top of a full checkpoint: as many items are in memory at once when they are verified.
pub const LAYERS_MAX: usize = 256;
/// Header items of one restore: four thousand million headers at 4096 each.
const HEADER_ITEMS_MAX: usize = 1 << 20;

/// What a checkpoint has to be.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// Of which chain.
    pub chain: Chain,
    /// Hash of its block, as the operator knows it. Without it the manifest is believed in which block is final, and
    /// in nothing else.
    pub trust_block: Option<B256>,
}

/// The items of a checkpoint and of those below it.
#[derive(Debug)]
pub(crate) struct Lineage {
    /// The wanted checkpoint.
    pub(crate) target: Checkpoint,
    /// State entries, the full checkpoint's first, then each diff's; every layer by section and key.
    pub(crate) layers: Vec<(Kind, Vec<Entry>)>,
    /// Header entries from genesis on.
    pub(crate) headers: Vec<Entry>,
}

impl Lineage {
    /// Reads the manifest `id` and all below it.
    pub(crate) fn read(
        source: &dyn ItemSource,
        id: ItemId,
        expected: &Expected,
    ) -> Result<Self, CheckpointError> {
        let target = read_manifest(source, id, None)?;
        let found = target.manifest.block;
        if let Some(trusted) = expected.trust_block.filter(|trusted| *trusted != found.hash) {
            return Err(CheckpointError::NotTrusted { id, found, trusted });
        }
        let (mut layers, mut headers) = (Vec::new(), Vec::new());
        let (mut next, mut whole) = (Some(target.clone()), false);
        let mut manifests = 0;
        while let Some(Checkpoint { id, manifest, .. }) = next {
            manifests += 1;
            if manifest.chain != expected.chain {
                return Err(CheckpointError::OtherChain {
                    id,
                    found: Box::new(manifest.chain),
                    expected: Box::new(expected.chain),
                });
            }
            let (own_headers, state): (Vec<_>, Vec<_>) =
                manifest.entries.into_iter().partition(|entry| entry.section == Section::Headers);
            headers.extend(own_headers.into_iter().rev());
            if manifests > MANIFESTS_MAX || headers.len() > HEADER_ITEMS_MAX {
                return Err(CheckpointError::Lineage { id, reason: "are more than anybody makes" });
            }
            if layers.len() == LAYERS_MAX && !whole {
                return Err(CheckpointError::Lineage {
                    id,
                    reason: "are more diffs than a full one may be followed by",
                });
            }
            if !whole {
                layers.push((manifest.kind, state));
                whole = manifest.kind == Kind::Full;
            }
            next = match manifest.parent {
                None => None,
                Some(parent) => {
                    let read = read_manifest(source, parent.id, Some(parent.sha256))?;
                    check_parent(&read, parent.block)?;
                    Some(read)
                }
            };
        }
        layers.reverse();
        headers.reverse();
        Ok(Self { target, layers, headers })
    }

    /// Bytes of all items.
    pub(crate) fn bytes(&self) -> u64 {
        let state = self.layers.iter().flat_map(|(_, entries)| entries);
        state.chain(&self.headers).map(|entry| entry.bytes).sum()
    }
}

fn check_parent(read: &Checkpoint, block: BlockNumHash) -> Result<(), CheckpointError> {
    if read.manifest.block == block {
        return Ok(());
    }
    Err(CheckpointError::Parent { id: read.id, reason: "it is of another block" })
}

/// Fetches a manifest.
pub fn read_manifest(
    source: &dyn ItemSource,
    id: ItemId,
    sha256: Option<B256>,
) -> Result<Checkpoint, CheckpointError> {
    let item = ItemRef { id, sha256, bytes_max: MANIFEST_BYTES_MAX };
    let bytes = source.get(&item).map_err(|source| CheckpointError::Source { id, source })?;
    let found = weft_erasure::sha256(&bytes);
    if let Some(expected) = sha256.filter(|expected| *expected != found) {
        return Err(CheckpointError::ItemHash { id, expected, found });
    }
    let manifest = Manifest::decode(&bytes).map_err(|reason| CheckpointError::Item { id, reason })?;
    Ok(Checkpoint { id, sha256: found, manifest })
}

/// Fetches the item of an entry, and compares length and hash.
pub(crate) fn fetch(source: &dyn ItemSource, entry: &Entry) -> Result<Bytes, CheckpointError> {
    let id = entry.id;
    let item = ItemRef { id, sha256: Some(entry.sha256), bytes_max: entry.bytes };
    let bytes = source.get(&item).map_err(|source| CheckpointError::Source { id, source })?;
    if bytes.len() as u64 != entry.bytes {
        return Err(CheckpointError::ItemBytes { id, expected: entry.bytes, found: bytes.len() as u64 });
    }
    let found = weft_erasure::sha256(&bytes);
    if found != entry.sha256 {
        return Err(CheckpointError::ItemHash { id, expected: entry.sha256, found });
    }
    Ok(bytes)
}
