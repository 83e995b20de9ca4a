//! Bodies of blocks from peers: fetched part by part, prepared once, and who is to blame when one is not its header's.
//!
//! A body is checked against its header by the engine, which has to hash all of it for that. So it is not done here as
//! well: only when the engine, or preparing, refuses a block is the root computed ([`is_of_header`]) to tell a peer that
//! served something else from a sealer that sealed something invalid.

use crate::{
    ask::{Asker, Fault, Nobody},
    network::Peers,
};
use alloy_consensus::{EMPTY_ROOT_HASH, proofs::calculate_withdrawals_root};
use alloy_eips::eip4895::{Withdrawal, Withdrawals};
use alloy_primitives::Bytes;
use tokio::task::spawn_blocking;
use weft_p2p::{BodyPart, BodyRequest, Offence, PeerId, RemoteStatus, Role};
use weft_pool::{Pool, PoolError};
use weft_primitives::{PreparedBlock, SealedHeader, keccak::ordered_root};

/// Blocks that a peer may have come further since it said where it is, which it does every few seconds. Asking one that has
/// not costs a short refusal.
const STATUS_LAG: u64 = 64;

/// Transactions and withdrawals as they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawBody {
    pub(crate) transactions: Vec<Bytes>,
    pub(crate) withdrawals: Option<Withdrawals>,
}

/// The body that a header without transactions and withdrawals has.
pub(crate) fn empty(header: &SealedHeader) -> Option<RawBody> {
    let withdrawals = match header.withdrawals_root {
        None => None,
        Some(EMPTY_ROOT_HASH) => Some(Withdrawals::default()),
        Some(_) => return None,
    };
    (header.transactions_root == EMPTY_ROOT_HASH).then_some(RawBody { transactions: Vec::new(), withdrawals })
}

/// Whether the withdrawals are those of the header.
pub(crate) fn has_withdrawals(header: &SealedHeader, withdrawals: Option<&Vec<Withdrawal>>) -> bool {
    match (header.withdrawals_root, withdrawals) {
        (None, None) => true,
        (Some(root), Some(withdrawals)) => calculate_withdrawals_root(withdrawals) == root,
        _ => false,
    }
}

/// Whether the transactions are those of the header. Hashes all of them.
pub(crate) fn is_of_header(header: &SealedHeader, transactions: &[impl AsRef<[u8]>]) -> bool {
    let encoded: Vec<&[u8]> = transactions.iter().map(AsRef::as_ref).collect();
    ordered_root(&encoded) == header.transactions_root
}

/// Whether a peer may have block `number`, by what it last said of itself.
pub(crate) fn may_have(status: &RemoteStatus, number: u64) -> bool {
    number <= status.head.number.saturating_add(STATUS_LAG)
}

/// Whether a peer may keep the body of block `number`.
pub(crate) fn keeps_body(status: &RemoteStatus, number: u64) -> bool {
    status.role == Role::Full && status.earliest_body <= number && may_have(status, number)
}

/// The body of a header from `first` on, from one peer.
pub(crate) async fn fetch_from<N: Peers>(
    asker: &Asker<N>,
    peer: PeerId,
    header: &SealedHeader,
    first: u32,
    bytes_max: usize,
) -> Result<RawBody, Fault> {
    let block = header.hash();
    let wrong = |reason: &str| Fault::Offence(Offence::BadBlock, reason.to_owned());
    let mut body = RawBody::default();
    let (mut bytes, mut count) = (0, None);
    loop {
        let next =
            u32::try_from(body.transactions.len()).map_err(|_| wrong("too many transactions"))? + first;
        let request = BodyRequest::new(block, next);
        let BodyPart { first_tx, transaction_count, transactions, withdrawals } =
            asker.network().body(peer, request, asker.deadline()).await?;
        if first_tx != next || count.is_some_and(|count| count != transaction_count) {
            return Err(wrong("a part that does not follow the one before"));
        }
        if !has_withdrawals(header, withdrawals.as_ref()) {
            return Err(wrong("withdrawals that are not the header's"));
        }
        if transactions.is_empty() && next < transaction_count {
            return Err(wrong("an empty part in the middle of a body"));
        }
        count = Some(transaction_count);
        bytes += transactions.iter().map(|tx| tx.len()).sum::<usize>();
        if bytes > bytes_max {
            return Err(wrong("more than a block may have"));
        }
        body.transactions.extend(transactions);
        body.withdrawals = withdrawals.map(Withdrawals::from);
        if u64::from(first) + body.transactions.len() as u64 >= u64::from(transaction_count) {
            return Ok(body);
        }
    }
}

/// The body of a header from whoever has it.
pub(crate) async fn fetch<N: Peers>(
    asker: &Asker<N>,
    header: &SealedHeader,
    bytes_max: usize,
) -> Result<(PeerId, RawBody), Nobody> {
    let keeps = |_: &PeerId, status: &RemoteStatus| keeps_body(status, header.number);
    asker.ask(None, keeps, |peer| fetch_from(asker, peer, header, 0, bytes_max)).await
}

/// Hashes, recovers and codes what the pool does not have, on a blocking thread. The error comes with the bytes.
pub(crate) async fn prepare(
    pool: &Pool,
    header: SealedHeader,
    body: RawBody,
) -> Result<PreparedBlock, Box<(PoolError, Vec<Bytes>)>> {
    let pool = pool.clone();
    let work = move || {
        // Handles to the same bytes.
        let RawBody { transactions, withdrawals } = body;
        let prepared = pool.prepare(header.number, transactions.clone());
        match prepared {
            Ok(prepared) => {
                Ok(PreparedBlock { header, transactions: prepared, ommers: Vec::new(), withdrawals })
            }
            Err(error) => Err(Box::new((error, transactions))),
        }
    };
    spawn_blocking(work).await.unwrap_or_else(|_| Err(Box::new((PoolError::Closed, Vec::new()))))
}
