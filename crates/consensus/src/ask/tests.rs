//! Asking with simulated time.

use super::*;
use crate::network::Peers;
use alloy_primitives::{Bytes, TxHash};
use tokio::time::sleep;
use weft_p2p::{
    BlockAnnouncement, BodyPart, BodyRequest, Head, HeadersRequest, PublishError, TxAnnouncement,
};

/// Notes reports; is asked nothing.
#[derive(Debug, Default)]
struct Reports(Mutex<Vec<(PeerId, Offence)>>);

impl Peers for Reports {
    async fn headers(&self, _: PeerId, _: HeadersRequest, _: Duration) -> Result<Vec<Bytes>, RequestError> {
        Err(RequestError::NotConnected)
    }
    async fn body(&self, _: PeerId, _: BodyRequest, _: Duration) -> Result<BodyPart, RequestError> {
        Err(RequestError::NotConnected)
    }
    async fn transactions(&self, _: PeerId, _: Vec<TxHash>, _: Duration) -> Result<Vec<Bytes>, RequestError> {
        Err(RequestError::NotConnected)
    }
    async fn report(&self, peer: PeerId, offence: Offence) {
        self.0.lock().push((peer, offence));
    }
    async fn announce_transactions(&self, _: Vec<TxAnnouncement>) -> Result<(), PublishError> {
        Ok(())
    }
    async fn publish_block(&self, _: BlockAnnouncement) -> Result<(), PublishError> {
        Ok(())
    }
    async fn set_head(&self, _: Head) {}
}

fn status() -> RemoteStatus {
    RemoteStatus {
        role: weft_p2p::Role::Full,
        custody_count: 0,
        head: Head::default(),
        earliest_body: 0,
        earliest_columns: 0,
        signed_head: None,
    }
}

/// Three peers, in the order in which they are asked at first.
fn asker() -> (Asker<Reports>, [PeerId; 3], watch::Sender<PeerTable>) {
    let mut peers = [PeerId::random(), PeerId::random(), PeerId::random()];
    peers.sort_unstable();
    let (sender, table) = watch::channel(peers.iter().map(|peer| (*peer, status())).collect());
    (Asker::new(Arc::default(), table, AskLimits::default()), peers, sender)
}

fn all(_: &PeerId, _: &RemoteStatus) -> bool {
    true
}

const HEDGE: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_silent_peer_costs_one_hedge_and_nothing_while_others_are_there() {
    let (asker, peers, _table) = asker();
    let answer = |peer: PeerId| async move {
        if peer == peers[0] {
            std::future::pending::<()>().await;
        }
        sleep(Duration::from_millis(10)).await;
        Ok(7)
    };
    let begun = Instant::now();
    assert_eq!(asker.ask(None, all, answer).await, Ok((peers[1], 7)));
    assert_eq!(begun.elapsed(), HEDGE + Duration::from_millis(10));
    for _ in 0..50 {
        let begun = Instant::now();
        let (peer, _) = asker.ask(None, all, answer).await.expect("an answer");
        assert!(peer != peers[0] && begun.elapsed() == Duration::from_millis(10), "the slow one is the last");
    }
}

#[tokio::test(start_paused = true)]
async fn liars_pay_and_the_next_is_asked_until_nobody_is_left() {
    let (asker, peers, _table) = asker();
    let lie = |peer: PeerId| async move {
        if peer == peers[2] {
            Err(Fault::Lacks)
        } else {
            Err(Fault::Offence(Offence::BadHeader, String::new()))
        }
    };
    let nobody: Result<(PeerId, ()), Nobody> = asker.ask(None, all, lie).await;
    assert_eq!(nobody, Err(Nobody));
    let reports = asker.network.0.lock().clone();
    assert_eq!(reports, [(peers[0], Offence::BadHeader), (peers[1], Offence::BadHeader)]);
    // They are left alone: the one that lacked it is asked at once.
    let right = |peer: PeerId| async move { Ok::<_, Fault>(peer) };
    assert_eq!(asker.ask(Some(peers[0]), all, right).await, Ok((peers[2], peers[2])));
    let none: Result<(PeerId, PeerId), Nobody> = asker.ask(None, |_, _| false, right).await;
    assert_eq!(none, Err(Nobody));
}

#[tokio::test(start_paused = true)]
async fn a_busy_peer_is_asked_again_and_one_that_failed_is_waited_for() {
    let (asker, peers, _table) = asker();
    let only = |peer: &PeerId, _: &RemoteStatus| *peer == peers[0];
    let (busy, begun) = (Mutex::new(3), Instant::now());
    let sometimes = |_| {
        let now = {
            let mut left = busy.lock();
            *left -= 1;
            *left
        };
        async move { if now > 0 { Err(RequestError::Refused(Refusal::RateLimited).into()) } else { Ok(()) } }
    };
    assert_eq!(asker.ask(None, only, sometimes).await, Ok((peers[0], ())));
    assert_eq!(begun.elapsed(), THROTTLE * 2);
    asker.blame(peers[0], Offence::BadBlock, "test").await;
    let begun = Instant::now();
    assert!(asker.ask(None, only, |_| async { Ok(()) }).await.is_ok());
    assert_eq!(begun.elapsed(), AskLimits::default().pause, "it is the only one: after its pause");
}

#[tokio::test(start_paused = true)]
async fn unproven_peers_get_one_request_and_proven_ones_as_many_as_allowed() {
    let (asker, peers, table) = asker();
    table.send_modify(|table| table.retain(|peer, _| *peer == peers[0]));
    let most = Mutex::new((0, 0));
    let slow = |_| {
        let mut count = most.lock();
        count.0 += 1;
        count.1 = count.1.max(count.0);
        let most = &most;
        async move {
            sleep(Duration::from_millis(100)).await;
            most.lock().0 -= 1;
            Ok(())
        }
    };
    let asked = (0..20).map(|_| asker.ask(None, all, slow));
    assert!(futures::future::join_all(asked).await.iter().all(Result::is_ok));
    assert_eq!(most.lock().1, AskLimits::default().requests_max);
}
