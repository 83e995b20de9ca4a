//! Puts an announced block together: what the pool has is taken as it is, with its cells; the rest is fetched.
//!
//! In this order, so that no transaction crosses a link twice and none is prepared twice: the pool; what is on its way into
//! it, for a while; bytes that have arrived and that the pool did not take; peers, by hash, the one that announced the
//! block first. What a peer gives is compared with the hashes that the sealer signed.

use crate::{
    arrivals::Arrivals,
    ask::{Asker, Fault, Nobody},
    body::{self, RawBody},
    network::Peers,
};
use alloy_consensus::{Signed, TxEip4844};
use alloy_eips::{
    eip2718::{Decodable2718, Encodable2718},
    eip4895::Withdrawals,
};
use alloy_primitives::{Bytes, TxHash, keccak256};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{task::spawn_blocking, time::Instant};
use weft_p2p::{BlockAnnouncement, Offence, PeerId, Role, transactions::HASHES_MAX};
use weft_pool::{Pool, PoolError};
use weft_primitives::{PooledTransaction, PreparedBlock, PreparedTransaction, Transaction};

/// EIP-2718 type of a transaction that travels with blobs.
const BLOB_TYPE: u8 = 3;

/// What assembling needs.
#[derive(Debug)]
pub(super) struct Assembler<N> {
    pub(super) pool: Pool,
    pub(super) asker: Asker<N>,
    pub(super) arrivals: Arrivals,
    pub(super) arrival_wait: Duration,
    /// Most bytes of one block's transactions.
    pub(super) block_bytes_max: usize,
}

/// Why a block could not be put together.
#[derive(Debug, thiserror::Error)]
pub(super) enum AssembleError {
    /// Peers do not have it; a sync may find others.
    #[error("{missing} of {of} transactions are nowhere to be had")]
    Missing {
        /// How many.
        missing: usize,
        /// Of how many.
        of: usize,
    },
    /// The sealer announced a transaction that is none.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

impl<N: Peers> Assembler<N> {
    /// The whole block. `peer` passed the announcement to us, and has most likely what it names.
    pub(super) async fn assemble(
        &self,
        announcement: &BlockAnnouncement,
        peer: PeerId,
    ) -> Result<PreparedBlock, AssembleError> {
        let number = announcement.header.number;
        self.arrivals.claim(announcement.transactions.iter().copied());
        let mut found = BTreeMap::new();
        self.look(announcement, &mut found);
        if found.len() < announcement.transactions.len() {
            let missing =
                || absent(announcement, &found).filter(|hash| self.pool.get(*hash).is_none()).collect();
            self.arrivals.settled(missing, Instant::now() + self.arrival_wait).await;
            self.look(announcement, &mut found);
        }
        let arrived = absent(announcement, &found).filter_map(|hash| self.arrivals.bytes(&hash)).collect();
        self.prepare(number, arrived, &mut found).await?;
        self.fetch(announcement, peer, &mut found).await?;
        let rest = self.rest(announcement).await?;
        let mut transactions: Vec<_> =
            announcement.transactions.iter().filter_map(|hash| found.get(hash).cloned()).collect();
        transactions.extend(rest);
        let of = announcement.transaction_count as usize;
        if transactions.len() != of {
            return Err(AssembleError::Missing { missing: of.saturating_sub(transactions.len()), of });
        }
        Ok(PreparedBlock {
            header: announcement.header.clone(),
            transactions,
            ommers: Vec::new(),
            withdrawals: announcement.withdrawals.clone().map(Withdrawals::from),
        })
    }

    fn look(&self, announcement: &BlockAnnouncement, found: &mut BTreeMap<TxHash, Arc<PreparedTransaction>>) {
        let pooled: Vec<_> = absent(announcement, found).filter_map(|hash| self.pool.get(hash)).collect();
        found.extend(pooled.into_iter().map(|tx| (tx.hash(), tx)));
    }

    /// Fetches what is missing by hash, until it is all there or nobody has more.
    async fn fetch(
        &self,
        announcement: &BlockAnnouncement,
        peer: PeerId,
        found: &mut BTreeMap<TxHash, Arc<PreparedTransaction>>,
    ) -> Result<(), AssembleError> {
        loop {
            let missing: Vec<TxHash> = absent(announcement, found).take(HASHES_MAX).collect();
            if missing.is_empty() {
                return Ok(());
            }
            let full = |_: &PeerId, status: &weft_p2p::RemoteStatus| status.role == Role::Full;
            let asked = self.asker.ask(Some(peer), full, |peer| {
                let (asker, wanted) = (&self.asker, missing.clone());
                async move {
                    let answer = asker.network().transactions(peer, wanted.clone(), asker.deadline()).await?;
                    of_hashes(answer, wanted).await
                }
            });
            let Ok((_, answer)) = asked.await else {
                let (missing, of) = (absent(announcement, found).count(), announcement.transactions.len());
                return Err(AssembleError::Missing { missing, of });
            };
            let before = found.len();
            self.prepare(announcement.header.number, answer, found).await?;
            if found.len() == before {
                // Each answer has at least one of the hashes; prepared, it has that hash.
                return Err(AssembleError::Missing {
                    missing: missing.len(),
                    of: announcement.transactions.len(),
                });
            }
        }
    }

    /// Transactions for whose hashes the announcement has no room.
    async fn rest(
        &self,
        announcement: &BlockAnnouncement,
    ) -> Result<Vec<Arc<PreparedTransaction>>, AssembleError> {
        let first = u32::try_from(announcement.transactions.len()).unwrap_or(u32::MAX);
        if first >= announcement.transaction_count {
            return Ok(Vec::new());
        }
        let header = &announcement.header;
        let keeps = |_: &PeerId, status: &weft_p2p::RemoteStatus| body::keeps_body(status, header.number);
        let fetched = self.asker.ask(None, keeps, |peer| {
            body::fetch_from(&self.asker, peer, header, first, self.block_bytes_max)
        });
        let (_, raw): (PeerId, RawBody) = fetched.await.map_err(|Nobody| {
            let of = announcement.transaction_count as usize;
            AssembleError::Missing { missing: of - first as usize, of }
        })?;
        let block = body::prepare(&self.pool, header.clone(), raw).await;
        Ok(block.map_err(|failed| failed.0)?.transactions)
    }

    async fn prepare(
        &self,
        number: u64,
        encoded: Vec<Bytes>,
        found: &mut BTreeMap<TxHash, Arc<PreparedTransaction>>,
    ) -> Result<(), AssembleError> {
        if encoded.is_empty() {
            return Ok(());
        }
        let pool = self.pool.clone();
        let work = move || {
            let prepared = pool.prepare(number, encoded.into_iter().map(in_a_block).collect());
            prepared.map_err(Box::new)
        };
        let prepared = spawn_blocking(work).await.unwrap_or_else(|_| Err(Box::new(PoolError::Closed)));
        let prepared = prepared.map_err(|error| *error)?;
        found.extend(prepared.into_iter().map(|tx| (tx.hash(), tx)));
        Ok(())
    }
}

/// Hashes of which nothing was found yet, in the block's order.
fn absent<'a>(
    announcement: &'a BlockAnnouncement,
    found: &'a BTreeMap<TxHash, Arc<PreparedTransaction>>,
) -> impl Iterator<Item = TxHash> + 'a {
    announcement.transactions.iter().filter(|hash| !found.contains_key(*hash)).copied()
}

/// An answer whose transactions are all among those that were asked for. They are hashed here, on a blocking thread, and
/// once more when they are prepared: only what the pool lacked comes this way.
async fn of_hashes(answer: Vec<Bytes>, wanted: Vec<TxHash>) -> Result<Vec<Bytes>, Fault> {
    if answer.is_empty() {
        return Err(Fault::Lacks);
    }
    let work = move || {
        let answer: Vec<Bytes> = answer.into_iter().map(in_a_block).collect();
        let right = answer.iter().all(|tx| wanted.contains(&keccak256(tx)));
        right.then_some(answer)
    };
    let wrong = || Fault::Offence(Offence::BadTransaction, "a transaction that was not asked for".to_owned());
    spawn_blocking(work).await.ok().flatten().ok_or_else(wrong)
}

/// As a block holds it: blobs do not belong there.
fn in_a_block(encoded: Bytes) -> Bytes {
    if encoded.first() != Some(&BLOB_TYPE) {
        return encoded;
    }
    match PooledTransaction::decode_2718_exact(&encoded) {
        Ok(PooledTransaction::Eip4844(tx)) => {
            let (tx, signature, hash) = tx.into_parts();
            let tx = Signed::new_unchecked(TxEip4844::from(tx), signature, hash);
            Transaction::Eip4844(tx).encoded_2718().into()
        }
        // Not a transaction, which preparing says.
        _ => encoded,
    }
}
