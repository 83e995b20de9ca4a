//! Asks one peer after another until one answers rightly: the fastest first, a second one beside it when the first is slow.
//!
//! [`Standings`] is the pure part: who has how many requests under way, how fast it was, and until when it is left alone.
//! Bounds: [`AskLimits::requests_max`] requests under way to one peer, one to a peer that has not answered yet, and half of
//! what it had when it says that it is busy; a peer that fails is left alone for twice as long each time. A question ends when somebody answered, or when all who might know
//! have failed ([`Nobody`]); it can be dropped at any moment.

use crate::network::{PeerTable, Peers};
use futures::{StreamExt, stream::FuturesUnordered};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};
use tracing::debug;
use weft_p2p::{Offence, PeerId, Refusal, RemoteStatus, RequestError};

/// How fast a peer is taken to be that was never asked.
const LATENCY_GUESS: Duration = Duration::from_millis(50);
/// Pause after a refusal that asks for one.
const THROTTLE: Duration = Duration::from_millis(50);
/// Answers after which a peer that was busy gets one more request at a time.
const RECOVER_AFTER: u32 = 32;

/// How peers are asked.
#[derive(Clone, Debug)]
pub struct AskLimits {
    /// After this a request is given up.
    pub deadline: Duration,
    /// After this another peer is asked beside the first.
    pub hedge: Duration,
    /// Requests under way to one peer. Half of what peers allow at one time (`requests_in_max`): they count an answer until
    /// all of it is sent, which is after it was read here.
    pub requests_max: usize,
    /// First pause after a failure; doubled up to 64 times as long.
    pub pause: Duration,
}

impl Default for AskLimits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            hedge: Duration::from_secs(1),
            requests_max: 4,
            pause: Duration::from_secs(1),
        }
    }
}

/// Why an answer is of no use.
#[derive(Debug)]
pub(crate) enum Fault {
    /// No answer.
    Request(RequestError),
    /// It breaks a rule, and its sender pays.
    Offence(Offence, String),
    /// The peer does not have it, and never said that it would.
    Lacks,
}

impl From<RequestError> for Fault {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

/// All who might have answered have failed, or there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no peer has it")]
pub(crate) struct Nobody;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Served(Duration),
    Failed,
    Throttled,
    Lacked,
    /// Somebody else was faster.
    Dropped(Duration),
}

#[derive(Clone, Debug)]
struct Standing {
    under_way: usize,
    not_before: Option<Instant>,
    failures: u32,
    latency: Duration,
    proven: bool,
    /// Requests that it may have at one time.
    most: usize,
    /// Answers since that was changed.
    served: u32,
}

/// What is known of the peers that were asked.
#[derive(Debug)]
pub(crate) struct Standings {
    peers: BTreeMap<PeerId, Standing>,
    limits: AskLimits,
}

/// Whom to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Peer(PeerId),
    /// Not now: all who might know are asked already, or left alone until then at the latest.
    Later(Instant),
    Nobody,
}

impl Standings {
    fn new(limits: AskLimits) -> Self {
        Self { peers: BTreeMap::new(), limits }
    }

    /// The one among `candidates` that is likely to answer first; `preferred` when it may be asked at all.
    fn choose(
        &self,
        now: Instant,
        preferred: Option<PeerId>,
        candidates: impl Iterator<Item = PeerId>,
    ) -> Choice {
        let (mut best, mut later): (Option<(Duration, PeerId)>, Option<Instant>) = (None, None);
        for peer in candidates {
            let standing = self.peers.get(&peer);
            let pause = standing.and_then(|standing| standing.not_before).filter(|until| *until > now);
            let under_way = standing.map_or(0, |standing| standing.under_way);
            let most = standing.filter(|standing| standing.proven).map_or(1, |standing| standing.most);
            if pause.is_some() || under_way >= most {
                // One that is asked already is looked at again when its request ends, which wakes the asker.
                let at = pause.unwrap_or(now + self.limits.hedge);
                later = Some(later.map_or(at, |later| later.min(at)));
                continue;
            }
            if preferred == Some(peer) {
                return Choice::Peer(peer);
            }
            let latency = standing.map_or(LATENCY_GUESS, |standing| standing.latency);
            let cost = latency * u32::try_from(under_way + 1).unwrap_or(u32::MAX);
            if best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, peer));
            }
        }
        match (best, later) {
            (Some((_, peer)), _) => Choice::Peer(peer),
            (None, Some(later)) => Choice::Later(later),
            (None, None) => Choice::Nobody,
        }
    }

    fn begin(&mut self, peer: PeerId) {
        let new = Standing {
            under_way: 0,
            not_before: None,
            failures: 0,
            latency: LATENCY_GUESS,
            proven: false,
            most: self.limits.requests_max,
            served: 0,
        };
        self.peers.entry(peer).or_insert(new).under_way += 1;
    }

    fn end(&mut self, peer: PeerId, now: Instant, outcome: Outcome) {
        let pause = self.limits.pause;
        let Some(standing) = self.peers.get_mut(&peer) else { return };
        standing.under_way = standing.under_way.saturating_sub(1);
        match outcome {
            Outcome::Served(elapsed) => {
                standing.latency = (standing.latency * 3 + elapsed) / 4;
                (standing.proven, standing.failures) = (true, 0);
                standing.served += 1;
                if standing.served >= RECOVER_AFTER && standing.most < self.limits.requests_max {
                    (standing.most, standing.served) = (standing.most + 1, 0);
                }
            }
            Outcome::Failed => {
                standing.not_before = Some(now + pause * (1 << standing.failures.min(6)));
                standing.failures += 1;
                standing.proven = false;
            }
            Outcome::Throttled => {
                standing.not_before = Some(now + THROTTLE);
                (standing.most, standing.served) = ((standing.most / 2).max(1), 0);
            }
            Outcome::Dropped(elapsed) => standing.latency = standing.latency.max(elapsed),
            Outcome::Lacked => {}
        }
    }

    /// Forgets who is gone.
    fn retain(&mut self, peers: &PeerTable) {
        self.peers.retain(|peer, standing| standing.under_way > 0 || peers.contains_key(peer));
    }
}

/// Puts questions to the connected peers. Cheap to clone.
#[derive(Debug)]
pub(crate) struct Asker<N> {
    network: Arc<N>,
    peers: watch::Receiver<PeerTable>,
    standings: Arc<Mutex<Standings>>,
    freed: Arc<Notify>,
    limits: AskLimits,
}

impl<N> Clone for Asker<N> {
    fn clone(&self) -> Self {
        Self {
            network: Arc::clone(&self.network),
            peers: self.peers.clone(),
            standings: Arc::clone(&self.standings),
            freed: Arc::clone(&self.freed),
            limits: self.limits.clone(),
        }
    }
}

impl<N: Peers> Asker<N> {
    pub(crate) fn new(network: Arc<N>, peers: watch::Receiver<PeerTable>, limits: AskLimits) -> Self {
        let standings = Arc::new(Mutex::new(Standings::new(limits.clone())));
        Self { network, peers, standings, freed: Arc::default(), limits }
    }

    pub(crate) fn network(&self) -> &Arc<N> {
        &self.network
    }

    /// Who is connected, to be watched.
    pub(crate) fn peers(&self) -> &watch::Receiver<PeerTable> {
        &self.peers
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.limits.deadline
    }

    /// Lets a peer pay for an answer that turned out to be bad, and leaves it alone for a while.
    pub(crate) async fn blame(&self, peer: PeerId, offence: Offence, reason: &str) {
        debug!(target: "weft::sync", %peer, offence = offence.as_str(), reason, "a bad answer");
        {
            let mut standings = self.standings.lock();
            standings.begin(peer);
            standings.end(peer, Instant::now(), Outcome::Failed);
        }
        self.network.report(peer, offence).await;
    }

    /// The first right answer among those of the `eligible` peers, each asked at most once, and who gave it.
    pub(crate) async fn ask<T, Fut>(
        &self,
        preferred: Option<PeerId>,
        eligible: impl Fn(&PeerId, &RemoteStatus) -> bool,
        request: impl Fn(PeerId) -> Fut,
    ) -> Result<(PeerId, T), Nobody>
    where
        Fut: Future<Output = Result<T, Fault>>,
    {
        let mut tried = BTreeSet::new();
        let mut under_way = FuturesUnordered::new();
        let mut next_at = Instant::now();
        loop {
            // Registered before the choice, so that a slot that becomes free in between is not missed.
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            let now = Instant::now();
            if under_way.is_empty() || now >= next_at {
                match self.choose(now, preferred, &tried, &eligible) {
                    Choice::Peer(peer) => {
                        tried.insert(peer);
                        let (guard, answer) = (self.begin(peer), request(peer));
                        under_way.push(async move { (guard, answer.await) });
                        next_at = now + self.limits.hedge;
                    }
                    Choice::Nobody if under_way.is_empty() => return Err(Nobody),
                    Choice::Later(at) if under_way.is_empty() => {
                        self.wait(at, freed).await;
                        continue;
                    }
                    Choice::Nobody | Choice::Later(_) => next_at = now + self.limits.hedge,
                }
            }
            tokio::select! {
                // An answer that is here counts, however late it is looked at.
                biased;
                Some((guard, result)) = under_way.next() => match result {
                    Ok(answer) => return Ok((guard.served(), answer)),
                    Err(fault) => {
                        if let Some(peer) = self.note(guard, fault).await {
                            tried.remove(&peer);
                        }
                        next_at = Instant::now();
                    }
                },
                () = sleep_until(next_at) => {}
            }
        }
    }

    fn choose(
        &self,
        now: Instant,
        preferred: Option<PeerId>,
        tried: &BTreeSet<PeerId>,
        eligible: &impl Fn(&PeerId, &RemoteStatus) -> bool,
    ) -> Choice {
        let peers = self.peers.borrow();
        let mut standings = self.standings.lock();
        standings.retain(&peers);
        let candidates =
            peers.iter().filter(|(peer, status)| !tried.contains(peer) && eligible(peer, status));
        standings.choose(now, preferred, candidates.map(|(peer, _)| *peer))
    }

    /// Until somebody may be asked: at `at`, when a request of anybody ends, or when peers change.
    async fn wait(&self, at: Instant, freed: impl Future<Output = ()>) {
        let mut peers = self.peers.clone();
        peers.mark_unchanged();
        tokio::select! {
            () = sleep_until(at) => {}
            () = freed => {}
            Ok(()) = peers.changed() => {}
        }
    }

    fn begin(&self, peer: PeerId) -> UnderWay {
        self.standings.lock().begin(peer);
        UnderWay {
            peer,
            since: Instant::now(),
            standings: Arc::clone(&self.standings),
            freed: Arc::clone(&self.freed),
            outcome: None,
        }
    }

    /// Notes a failure; the peer, when it may be asked again.
    async fn note(&self, mut guard: UnderWay, fault: Fault) -> Option<PeerId> {
        let peer = guard.peer;
        let outcome = match &fault {
            Fault::Request(RequestError::QueueFull) => Outcome::Throttled,
            Fault::Request(RequestError::Refused(Refusal::Busy | Refusal::RateLimited)) => Outcome::Throttled,
            Fault::Request(RequestError::Refused(Refusal::NotFound)) | Fault::Lacks => Outcome::Lacked,
            Fault::Request(_) | Fault::Offence(..) => Outcome::Failed,
        };
        guard.outcome = Some(outcome);
        drop(guard);
        match fault {
            Fault::Offence(offence, reason) => {
                debug!(target: "weft::sync", %peer, offence = offence.as_str(), reason, "a bad answer");
                self.network.report(peer, offence).await;
            }
            Fault::Request(error) => debug!(target: "weft::sync", %peer, %error, "no answer"),
            Fault::Lacks => {}
        }
        (outcome == Outcome::Throttled).then_some(peer)
    }
}

/// A request under way; gives its slot back when it goes.
#[derive(Debug)]
struct UnderWay {
    peer: PeerId,
    since: Instant,
    standings: Arc<Mutex<Standings>>,
    freed: Arc<Notify>,
    outcome: Option<Outcome>,
}

impl UnderWay {
    fn served(mut self) -> PeerId {
        self.outcome = Some(Outcome::Served(self.since.elapsed()));
        self.peer
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let outcome = self.outcome.unwrap_or_else(|| Outcome::Dropped(self.since.elapsed()));
        self.standings.lock().end(self.peer, Instant::now(), outcome);
        self.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
