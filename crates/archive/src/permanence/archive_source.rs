//! The source `archive` of retrieval: a blob from Arweave, held against its block's header.
//!
//! Which lies are possible here: other bytes, another's blob, no answer. Bytes are taken when they are proven by one of
//!
//! 1. the block's cell hashes, where they are kept: every cell of the bytes is coded and compared;
//! 2. the transaction around them, whose hash is in `blobsRoot`: the item's tags carry the transaction without its input;
//! 3. the column roots, where the block has no other blob.
//!
//! All end at the 32 bytes of `extraData` in the header. Which of them there are depends on what the database was restored
//! with; without any, the bytes are refused.

use super::bridge::Bridge;
use crate::{
    RetrieveError,
    ledger::item_status,
    weave::{ItemQuery, Weave},
};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::{Bytes, TxHash, keccak256};
use std::{sync::Arc, time::Duration};
use weft_arweave::{Address, Tag, base64url, tag};
use weft_erasure::{encode_blob, is_committed, summarize};
use weft_primitives::{BlockNumHash, BlockNumber, DaSummary, Transaction};
use weft_storage::{StorageError, Store, StoredTransaction, TxPosition, View};

/// Tag with the hash of the transaction that carries a blob.
pub(super) const TX_TAG: &str = "Weft-Transaction";
/// Tag with that transaction without its input: base64url of its EIP-2718 bytes.
const STUB_TAG: &str = "Weft-Transaction-Stub";
/// Longest transaction without its input that a tag carries; a longer one has more than fifty access list entries.
const STUB_BYTES_MAX: usize = 2000;
/// For one blob: a reader waits for it.
const DEADLINE: Duration = Duration::from_secs(60);
/// Items that a search for one blob looks at.
const HITS_MAX: usize = 8;

/// Why bytes are not the blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotProven {
    /// The block is not here, has no commitment, or no blob of this transaction.
    #[error("the block does not commit to such a blob")]
    NoSuchBlob,
    /// They are other bytes.
    #[error("they are not what the header commits to")]
    Altered,
    /// They may be right.
    #[error("nothing is kept here that they could be held against")]
    NoProof,
}

/// Blobs from Arweave. Cheap to clone; calls block.
#[derive(Clone, Debug)]
pub struct ArchiveSource {
    store: Store,
    weave: Arc<dyn Weave>,
    owner: Option<Address>,
    bridge: Bridge,
}

impl ArchiveSource {
    /// At most `parallel` fetches at a time. Blobs that the ledger does not know are searched for by tags: of `owner`, or of
    /// anybody, since what is found is proven anyway. To be made within a tokio runtime; calls are made outside of its threads.
    pub fn new(store: Store, weave: Arc<dyn Weave>, owner: Option<Address>, parallel: usize) -> Self {
        Self { store, weave, owner, bridge: Bridge::new(parallel, DEADLINE) }
    }

    /// The blob of a transaction. `None`: no item of it is known.
    pub fn blob(&self, tx: TxHash) -> Result<Option<Bytes>, RetrieveError> {
        let view = self.store.view();
        let known = view.permanent_blob(tx)?;
        let block = match (&known, view.tx_position(tx)?) {
            (_, Some(position)) => Some(position.block),
            (Some(known), None) => Some(known.block.number),
            (None, None) => None,
        };
        let failed = |source| RetrieveError::Archive { tx, source: Box::new(source) };
        if let (Some(block), Some(key)) = (block, known.and_then(|known| known.item))
            && let Some(item) = item_status(&view, key)?
        {
            // Below the block that a database was restored at there are no cell hashes, and the item's tags are needed.
            let with_tags = view.base()?.is_some_and(|base| block <= base.number);
            // The longest wait is without a snapshot.
            drop(view);
            let fetched = self.bridge.wait(async {
                if with_tags {
                    let item = self.weave.item(item.id, item.bytes).await?.item;
                    return Ok((Bytes(item.data()), stub_of(item.tags())));
                }
                Ok((self.weave.content(item.id, key.sha256, item.bytes).await?, None))
            });
            match fetched {
                Ok((bytes, stub)) => return self.proven(tx, block, bytes, stub.as_deref()).map(Some),
                Err(error) => {
                    tracing::debug!(target: "weft::archive", %tx, %error, "the known item does not come, searching")
                }
            }
        }
        let query = ItemQuery {
            ids: Vec::new(),
            owner: self.owner,
            tags: vec![("App-Name".into(), "weft".into()), (TX_TAG.into(), tx.to_string())],
        };
        let hits = self.bridge.wait(self.weave.find(&query, HITS_MAX)).map_err(failed)?;
        let mut last = None;
        for hit in hits {
            let number = block.or_else(|| hit.tag("Weft-Block").and_then(|number| number.parse().ok()));
            let Some(number) = number else { continue };
            // What it promises has to be the blob's length before any of it is read.
            let summary = self.store.view().da_summary(number)?;
            let mut blobs = summary.iter().flat_map(|summary| &summary.blobs);
            if !blobs.any(|blob| blob.tx_hash == tx && blob.length == hit.bytes) {
                last = Some(RetrieveError::NotProven { tx, source: NotProven::NoSuchBlob });
                continue;
            }
            let fetched = match self.bridge.wait(self.weave.item(hit.id, hit.bytes)) {
                Ok(fetched) => fetched.item,
                Err(error) => {
                    last = Some(failed(error));
                    continue;
                }
            };
            let stub = stub_of(fetched.tags());
            match self.proven(tx, number, Bytes(fetched.data()), stub.as_deref()) {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(error) => last = Some(error),
            }
        }
        last.map_or(Ok(None), Err)
    }

    fn proven(
        &self,
        tx: TxHash,
        block: BlockNumber,
        bytes: Bytes,
        stub: Option<&[u8]>,
    ) -> Result<Bytes, RetrieveError> {
        check_blob(&self.store.view(), tx, block, &bytes, stub)
            .map(|_| bytes)
            .map_err(|source| RetrieveError::NotProven { tx, source })
    }
}

/// Holds bytes against the header of their block; gives the block.
pub(super) fn check_blob(
    view: &View<'_>,
    tx: TxHash,
    number: BlockNumber,
    bytes: &Bytes,
    stub: Option<&[u8]>,
) -> Result<BlockNumHash, NotProven> {
    let (header, summary) = match (view.header(number), view.da_summary(number)) {
        (Ok(Some(header)), Ok(Some(summary))) => (header, summary),
        _ => return Err(NotProven::NoSuchBlob),
    };
    if !is_committed(&summary, &header.extra_data).is_ok_and(|committed| committed) {
        return Err(NotProven::NoSuchBlob);
    }
    let entry = summary.blobs.iter().find(|blob| blob.tx_hash == tx).ok_or(NotProven::NoSuchBlob)?;
    if entry.length != bytes.len() as u64 {
        return Err(NotProven::Altered);
    }
    let proven = match by_cells(view, number, &summary, tx, bytes) {
        Some(proven) => proven,
        None => match stub.and_then(|stub| by_transaction(tx, stub, bytes)) {
            Some(proven) => proven,
            None => by_columns(&summary, tx, bytes).ok_or(NotProven::NoProof)?,
        },
    };
    if proven { Ok(header.num_hash()) } else { Err(NotProven::Altered) }
}

/// `None`: the block's cell hashes are not kept.
fn by_cells(
    view: &View<'_>,
    number: BlockNumber,
    summary: &DaSummary,
    tx: TxHash,
    bytes: &Bytes,
) -> Option<bool> {
    let cells = view.block_cells(number).ok().flatten()?;
    let entry = summary.blobs.iter().find(|blob| blob.tx_hash == tx)?;
    let found = encode_blob(summary.geometry, bytes).cell_hashes;
    let start = entry.first_chunk.0 as usize * summary.geometry.columns();
    Some(cells.hashes().get(start..start + found.len()) == Some(&found[..]))
}

/// `None`: the tag is not a transaction, so it says nothing of the bytes.
fn by_transaction(tx: TxHash, stub: &[u8], bytes: &Bytes) -> Option<bool> {
    let without_input = Transaction::decode_2718_exact(stub).ok()?;
    let stored = StoredTransaction::Dropped { tx_hash: tx, without_input, input_bytes: bytes.len() as u64 };
    let whole = stored.with_input(tx, bytes.clone())?;
    Some(keccak256(whole.encoded_2718()) == tx)
}

/// `None`: there are other blobs in the block.
fn by_columns(summary: &DaSummary, tx: TxHash, bytes: &Bytes) -> Option<bool> {
    let [only] = &summary.blobs[..] else { return None };
    let encoded = encode_blob(summary.geometry, bytes);
    let again = summarize(summary.geometry, [(only.tx_index, tx, &encoded)]);
    Some(again.da_root == summary.da_root)
}

/// The tags that let others prove a blob: its transaction, and that without its input where it is short enough.
pub(super) fn blob_tags(view: &View<'_>, position: TxPosition, tx: TxHash) -> Result<Vec<Tag>, StorageError> {
    let mut tags = vec![Tag::new(TX_TAG, tx.to_string())];
    let whole = match view.transaction(position)? {
        Some(stored @ StoredTransaction::Whole(_)) => stored.with_input(tx, Bytes::new()),
        Some(StoredTransaction::Dropped { without_input, .. }) => Some(without_input),
        None => None,
    };
    let stub = whole.and_then(|whole| {
        let dropped = StoredTransaction::Dropped { tx_hash: tx, without_input: whole, input_bytes: 0 };
        dropped.with_input(tx, Bytes::new()).map(|stub| stub.encoded_2718())
    });
    if let Some(stub) = stub.filter(|stub| stub.len() <= STUB_BYTES_MAX) {
        tags.push(Tag::new(STUB_TAG, base64url::encode(stub)));
    }
    Ok(tags)
}

/// The transaction without its input in an item's tags.
pub(super) fn stub_of(tags: &[Tag]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(tag::value_of(tags, STUB_TAG)?).ok()?;
    base64url::decode("transaction", text).ok()
}
