//! Gossiped messages that wait to be passed on until the pool has ruled on what they name. Pure but for the verdicts.
//!
//! A message is passed on when all its transactions are settled and the pool took one of them at least; rejected when one of
//! those that it carried is an offence; ignored otherwise, or when it takes too long. What the pool took from a message that
//! is not passed on has to be announced anew: the hashes come back from here.

use crate::network::{Ruling, Verdict};
use alloy_primitives::TxHash;
use std::collections::{BTreeMap, HashMap};
use tokio::time::Instant;
use weft_p2p::Offence;

/// Messages that wait, each with at most 128 hashes; the verdict on more of them is not waited for.
const MESSAGES_MAX: usize = 1024;

/// What the pool said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// It took it.
    Taken,
    /// It did not, which says nothing of the sender.
    Passed,
    /// No valid node passes this on.
    Bad(Offence),
}

#[derive(Debug)]
struct Message {
    verdict: Verdict,
    left: usize,
    taken: Vec<TxHash>,
    offence: Option<Offence>,
    deadline: Instant,
}

/// The messages that wait, in the order of arrival, which is that of their deadlines.
#[derive(Debug, Default)]
pub(super) struct Messages {
    next: u64,
    messages: BTreeMap<u64, Message>,
    waiting: HashMap<TxHash, Vec<u64>>,
}

impl Messages {
    /// A message that waits for `hashes`, of which there is at least one.
    pub(super) fn insert(&mut self, verdict: Verdict, hashes: &[TxHash], deadline: Instant) {
        if self.messages.len() >= MESSAGES_MAX {
            return;
        }
        let id = self.next;
        self.next += 1;
        for hash in hashes {
            self.waiting.entry(*hash).or_default().push(id);
        }
        let message = Message { verdict, left: hashes.len(), taken: Vec::new(), offence: None, deadline };
        self.messages.insert(id, message);
    }

    /// The pool has ruled on a transaction. Returns what it took and nobody will hear of.
    pub(super) fn settle(&mut self, hash: TxHash, settled: Settled) -> Vec<TxHash> {
        let (mut unheard, mut waited) = (Vec::new(), false);
        for id in self.waiting.remove(&hash).unwrap_or_default() {
            let Some(message) = self.messages.get_mut(&id) else { continue };
            waited = true;
            message.left -= 1;
            match settled {
                Settled::Taken => message.taken.push(hash),
                Settled::Passed => {}
                Settled::Bad(offence) => message.offence = Some(offence),
            }
            if message.left == 0
                && let Some(message) = self.messages.remove(&id)
            {
                unheard.extend(message.rule());
            }
        }
        if !waited && settled == Settled::Taken {
            unheard.push(hash);
        }
        unheard
    }

    /// Gives up messages whose time is over. Returns as [`Self::settle`] does.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<TxHash> {
        let mut unheard = Vec::new();
        while let Some(first) = self.messages.first_entry().filter(|first| first.get().deadline <= now) {
            // Its verdict is dropped: ignored.
            unheard.extend(first.remove().taken);
        }
        unheard
    }

    /// When the next one expires.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.messages.first_key_value().map(|(_, message)| message.deadline)
    }
}

impl Message {
    fn rule(self) -> Vec<TxHash> {
        match self.offence {
            Some(offence) => {
                self.verdict.give(Ruling::Reject(offence));
                self.taken
            }
            None if self.taken.is_empty() => {
                self.verdict.give(Ruling::Ignore);
                Vec::new()
            }
            None => {
                self.verdict.give(Ruling::Accept);
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::{sync::Arc, time::Duration};

    const NONE: [TxHash; 0] = [];

    type Given = Arc<Mutex<Vec<Ruling>>>;

    fn verdict(given: &Given) -> Verdict {
        let given = Arc::clone(given);
        Verdict::new(move |ruling| given.lock().push(ruling))
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_is_ruled_on_when_all_is_settled() {
        let (given, mut messages) = (Given::default(), Messages::default());
        let [one, two, three] = [1, 2, 3].map(TxHash::repeat_byte);
        let deadline = Instant::now() + Duration::from_secs(3);
        messages.insert(verdict(&given), &[one, two], deadline);
        messages.insert(verdict(&given), &[two], deadline);
        messages.insert(verdict(&given), &[three, one], deadline);
        assert_eq!(messages.settle(one, Settled::Taken), NONE);
        assert_eq!(*given.lock(), []);
        assert_eq!(messages.settle(two, Settled::Passed), NONE);
        assert_eq!(*given.lock(), [Ruling::Accept, Ruling::Ignore]);
        let bad = Settled::Bad(Offence::BadTransaction);
        assert_eq!(messages.settle(three, bad), [one], "taken, and its message is not passed on");
        assert_eq!(given.lock()[2], Ruling::Reject(Offence::BadTransaction));
        assert_eq!(messages.settle(three, Settled::Taken), [three], "no message waits for it");
        assert_eq!(messages.deadline(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_is_not_passed_on_and_what_was_taken_is_told() {
        let (given, mut messages) = (Given::default(), Messages::default());
        let [one, two] = [1, 2].map(TxHash::repeat_byte);
        let deadline = Instant::now() + Duration::from_secs(3);
        messages.insert(verdict(&given), &[one, two], deadline);
        assert_eq!(messages.settle(one, Settled::Taken), NONE);
        assert_eq!(messages.expire(Instant::now()), NONE);
        assert_eq!(messages.expire(deadline), [one]);
        assert_eq!(messages.settle(two, Settled::Taken), [two]);
        assert_eq!(*given.lock(), [], "dropped, which the network takes for ignored");
    }
}
