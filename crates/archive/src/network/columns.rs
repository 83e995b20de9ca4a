//! Peers as [`ColumnPeers`]: any k columns of a block, fastest first, several at a time, with deadlines per peer.
//!
//! One lane per column: its pieces come in order, from one peer after another. As many lanes run as columns are needed, and
//! one more for each [`FetchLimits::hedge`] in which the others brought nothing, so a silent peer costs a lane and not the fetch.
//! Memory: one piece of at most 1 MiB per lane. Calls block; they belong on blocking threads.

use super::keepers::Keepers;
use crate::{ColumnFetch, ColumnPeers, Commitment, PeersError, ProvenCells, RetrieveError, Taken};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};
use tokio::{
    runtime::Handle,
    time::{Instant as At, sleep_until},
};
use tokio_util::sync::CancellationToken;
use weft_erasure::CheckedRange;
use weft_p2p::{
    CellsRequest, CellsResponse, CommitmentRequest, NetworkHandle, Offence, PeerId, RequestError,
};
use weft_primitives::{ChunkIndex, ColumnIndex, SealedHeader};

/// How long peers are waited for.
#[derive(Clone, Debug)]
pub struct FetchLimits {
    /// For one answer of one peer.
    pub request: Duration,
    /// Without news for so long, another lane is opened beside the others.
    pub hedge: Duration,
    /// For all of it.
    pub deadline: Duration,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(4),
            hedge: Duration::from_millis(500),
            deadline: Duration::from_secs(25),
        }
    }
}

/// The network as a source of columns. Cheap to clone.
#[derive(Clone, Debug)]
pub struct NetworkColumns {
    network: NetworkHandle,
    runtime: Handle,
    limits: FetchLimits,
    stop: CancellationToken,
}

/// A column on its way.
struct Lane {
    column: ColumnIndex,
    next: u32,
    end: u32,
    peers: VecDeque<PeerId>,
}

/// An answer of the first peer of a lane.
type Answered = (Lane, PeerId, Result<CellsResponse, RequestError>);

impl NetworkColumns {
    /// Over a network; calls are driven by `runtime`, on the threads that make them.
    pub fn new(network: NetworkHandle, runtime: Handle, limits: FetchLimits) -> Self {
        Self { network, runtime, limits, stop: CancellationToken::new() }
    }

    /// Ends all calls with [`PeersError::Stopped`], so that nobody waits for peers while the node stops.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Drives a call on this thread.
    pub(super) fn drive<T>(
        &self,
        call: impl Future<Output = Result<T, PeersError>>,
    ) -> Result<T, PeersError> {
        let stopped = self.stop.run_until_cancelled(call);
        self.runtime.block_on(stopped).unwrap_or(Err(PeersError::Stopped))
    }

    /// The network.
    pub fn network(&self) -> &NetworkHandle {
        &self.network
    }

    /// Cells of one column from whoever keeps it, verified down to the header: the first right answer of peers that are asked
    /// one after another, the next one beside the last when that is slow. And who gave it.
    pub async fn cells_of(
        &self,
        header: &SealedHeader,
        column: ColumnIndex,
        first: ChunkIndex,
        count: u32,
    ) -> Result<(PeerId, CheckedRange), PeersError> {
        let keepers = Keepers::of(&self.network, header.number).await;
        let mut peers = keepers.of_column(column).into_iter();
        let request = CellsRequest { block: header.hash(), column, first_chunk: first, count };
        let ask = |peer| async move { (peer, self.network.cells(peer, request, self.limits.request).await) };
        let mut asked = FuturesUnordered::new();
        let mut error = PeersError::NobodyHas;
        asked.extend(peers.next().map(ask));
        while !asked.is_empty() {
            let hedge = At::now() + self.limits.hedge;
            let answer = tokio::select! {
                answer = asked.next() => answer,
                () = sleep_until(hedge), if peers.len() > 0 => None,
            };
            match answer {
                Some((peer, Ok(answer))) => {
                    let cells = ProvenCells::from(answer).check(header.hash());
                    match cells.ok().filter(|range| is_at(range, column, first)) {
                        Some(range) => return Ok((peer, range)),
                        None => self.network.report(peer, Offence::BadProof).await,
                    }
                }
                Some((_, Err(RequestError::Closed))) => return Err(PeersError::Stopped),
                Some((_, Err(RequestError::Deadline(_)))) => error = PeersError::Deadline,
                Some((_, Err(_))) | None => {}
            }
            asked.extend(peers.next().map(ask));
        }
        Err(error)
    }

    /// Cells from this peer and nobody else, unchecked; blocks. `None` when it does not give them in time.
    pub(super) fn cells_from(&self, peer: PeerId, request: &crate::CellsRequest) -> Option<ProvenCells> {
        let crate::CellsRequest { block, column, first: first_chunk, count } = *request;
        let request = CellsRequest { block, column, first_chunk, count };
        let asked = async { Ok(self.network.cells(peer, request, self.limits.request).await) };
        Some(self.drive(asked).ok()?.ok()?.into())
    }

    async fn gather(
        &self,
        wanted: &ColumnFetch<'_>,
        take: &mut dyn FnMut(ProvenCells) -> Taken,
    ) -> Result<(), PeersError> {
        let deadline = At::from_std(Instant::now() + self.limits.deadline);
        let keepers = Keepers::of(&self.network, wanted.header.number).await;
        let mut waiting: VecDeque<Lane> = lanes(wanted, &keepers);
        let mut running: FuturesUnordered<BoxFuture<'_, Answered>> = FuturesUnordered::new();
        let mut open = wanted.need.max(1);
        let mut timed_out = false;
        loop {
            while running.len() < open
                && let Some(lane) = waiting.pop_front()
            {
                running.extend(self.ask(lane, wanted.header));
            }
            if running.is_empty() {
                return Err(if timed_out { PeersError::Deadline } else { PeersError::NobodyHas });
            }
            let answered = tokio::select! {
                Some(answered) = running.next() => answered,
                () = sleep_until(At::now() + self.limits.hedge), if !waiting.is_empty() => {
                    open = running.len() + 1;
                    continue;
                }
                () = sleep_until(deadline) => return Err(PeersError::Deadline),
            };
            let (mut lane, peer, answer) = answered;
            match answer {
                Ok(answer) => {
                    let piece = ProvenCells::from(answer);
                    let (end, chunks) = (piece.end(), piece.anchor.chunk_count);
                    let is_asked = (piece.column(), piece.first().0) == (lane.column, lane.next);
                    match if is_asked { take(piece) } else { Taken::Bad(Box::new(other_place(&lane))) } {
                        Taken::Enough => return Ok(()),
                        Taken::Bad(error) => {
                            tracing::debug!(target: "weft::archive", %peer, %error, "a bad piece");
                            self.network.report(peer, Offence::BadProof).await;
                            lane.peers.pop_front();
                        }
                        Taken::More | Taken::Useless => {
                            lane.next = u32::try_from(end).unwrap_or(u32::MAX);
                            lane.end = lane.end.min(chunks);
                        }
                    }
                }
                Err(RequestError::Closed) => return Err(PeersError::Stopped),
                Err(error) => {
                    timed_out |= matches!(error, RequestError::Deadline(_));
                    tracing::trace!(target: "weft::archive", %peer, column = %lane.column, %error, "no piece");
                    lane.peers.pop_front();
                }
            }
            // A lane that is through, or out of peers, makes room for the next column.
            running.extend(self.ask(lane, wanted.header));
        }
    }

    /// The next piece of a lane from its first peer; `None` when it is through or out of peers.
    fn ask<'a>(&'a self, lane: Lane, header: &SealedHeader) -> Option<BoxFuture<'a, Answered>> {
        let peer = *lane.peers.front()?;
        if lane.next >= lane.end {
            return None;
        }
        let request = CellsRequest {
            block: header.hash(),
            column: lane.column,
            first_chunk: ChunkIndex(lane.next),
            count: lane.end - lane.next,
        };
        let answer = async move {
            let answer = self.network.cells(peer, request, self.limits.request).await;
            (lane, peer, answer)
        };
        Some(answer.boxed())
    }
}

impl ColumnPeers for NetworkColumns {
    fn fetch(
        &self,
        wanted: &ColumnFetch<'_>,
        take: &mut dyn FnMut(ProvenCells) -> Taken,
    ) -> Result<(), PeersError> {
        self.drive(self.gather(wanted, take))
    }

    fn commitment(
        &self,
        header: &SealedHeader,
        take: &mut dyn FnMut(Commitment) -> bool,
    ) -> Result<(), PeersError> {
        let request = CommitmentRequest { block: header.hash() };
        self.drive(async {
            let keepers = Keepers::of(&self.network, header.number).await;
            let mut error = PeersError::NobodyHas;
            for peer in keepers.all() {
                match self.network.commitment(peer, request, self.limits.request).await {
                    Ok(claim) => {
                        let (geometry, blobs, column_roots) =
                            (claim.geometry, claim.blobs, claim.column_roots);
                        if take(Commitment { geometry, blobs, column_roots }) {
                            return Ok(());
                        }
                        self.network.report(peer, Offence::BadProof).await;
                    }
                    Err(RequestError::Closed) => return Err(PeersError::Stopped),
                    Err(RequestError::Deadline(_)) => error = PeersError::Deadline,
                    Err(_) => {}
                }
            }
            Err(error)
        })
    }
}

/// One lane for each column that somebody keeps, those with the most keepers first. Lanes begin at different peers, so that
/// no one has to serve them all.
fn lanes(wanted: &ColumnFetch<'_>, keepers: &Keepers) -> VecDeque<Lane> {
    let lane = |(index, column): (usize, &ColumnIndex)| {
        let mut peers: VecDeque<PeerId> = keepers.of_column(*column).into();
        if !peers.is_empty() {
            let turn = index % peers.len();
            peers.rotate_left(turn);
        }
        Lane { column: *column, next: wanted.chunks.first, end: wanted.chunks.end, peers }
    };
    let mut lanes: Vec<Lane> = wanted.columns.iter().enumerate().map(lane).collect();
    lanes.retain(|lane| !lane.peers.is_empty());
    lanes.sort_by_key(|lane| std::cmp::Reverse(lane.peers.len()));
    lanes.into()
}

fn is_at(range: &CheckedRange, column: ColumnIndex, first: ChunkIndex) -> bool {
    range.cells().first().is_some_and(|cell| (cell.column(), cell.chunk()) == (column, first))
}

fn other_place(lane: &Lane) -> weft_erasure::ProofError {
    weft_erasure::ProofError::OtherColumn { column: lane.column }
}

/// Whether it is worth trying again later.
pub(super) fn is_absence(error: &RetrieveError) -> bool {
    matches!(error, RetrieveError::Commitment { .. } | RetrieveError::Missing { .. })
}
