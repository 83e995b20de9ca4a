//! Faults on purpose: what a gateway or a network may do to a client, on command and reproducibly.
//!
//! A [`Fault`] changes requests of a route: how many, or with what probability, from a seeded generator. [`Holds`] and hidden
//! chunks change what the network does. Nothing of this survives a restart. Bounds: [`FAULTS_MAX`] faults,
//! [`HIDDEN_MAX`] hidden chunks and held transactions.

use super::{
    error::Refusal,
    miner::Orphans,
    records::DataKey,
    routes::{Call, Route},
};
use crate::{DataRoot, Id};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeSet, HashSet},
    ops::Range,
    time::Duration,
};

const FAULTS_MAX: usize = 256;
const HIDDEN_MAX: usize = 4_096;

/// What goes wrong with requests of a route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Only requests of this route; nothing: of every route.
    #[serde(default)]
    pub route: Option<Route>,
    /// Only requests with this in their path, an id for example.
    #[serde(default)]
    pub path: Option<String>,
    /// Let so many matching requests pass first.
    #[serde(default)]
    pub skip: u32,
    /// For so many requests; nothing: for all.
    #[serde(default)]
    pub times: Option<u32>,
    /// Of the matching requests so many percent, by the seeded generator; nothing: all.
    #[serde(default)]
    pub percent: Option<u8>,
    /// What happens.
    pub action: Action,
}

impl Fault {
    /// Every request of `route`, for ever.
    pub fn on(route: Route, action: Action) -> Self {
        Self { route: Some(route), path: None, skip: 0, times: None, percent: None, action }
    }

    /// Only the next `times` requests.
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It waits so many milliseconds, then goes on.
    Delay(u64),
    /// It is answered with this status and nothing is done.
    Status {
        /// The status.
        status: u16,
        /// `Retry-After`, in seconds.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// The connection is closed and nothing is done.
    Drop,
    /// It is done, and the connection is closed without an answer.
    DropAnswer,
    /// A transaction, chunk or item is answered with success, and nothing is done.
    Forget,
    /// The connection is closed after so many bytes of the answer's body.
    Truncate(u64),
    /// The answer's body ends after so many bytes, and its length says so.
    Shorten(u64),
    /// The byte at this place of the answer's body (of the whole body, where it is shorter: its last byte) is altered.
    Flip(u64),
    /// It is answered as if it had asked for this id.
    Other(Id),
}

/// Which transactions stay out of blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Holds {
    everything: bool,
    ids: BTreeSet<Id>,
}

impl Holds {
    pub(super) fn hold(&self, id: &Id) -> bool {
        self.everything || self.ids.contains(id)
    }
}

/// What the one who runs the gateway asks of it: what [`super::GatewayHandle::command`] and `POST /admin` take.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Adds a fault, after those that are there.
    Fault(Fault),
    /// Removes all faults, holds and hidings, and sets the price back.
    Heal,
    /// Multiplies prices, in percent.
    PricePercent(u32),
    /// Keeps this transaction out of blocks.
    Hold(Id),
    /// Keeps everything out of blocks.
    HoldEverything,
    /// Takes holds back.
    Release,
    /// Drops a transaction that waits: it is answered with 410, and may be posted again.
    DropPending(Id),
    /// Hides the chunk with this byte of the data.
    HideChunk {
        /// The data's root.
        data_root: DataRoot,
        /// The data's size.
        data_size: u64,
        /// A byte of the chunk, from 0.
        offset: u64,
    },
    /// Replaces blocks.
    Reorg {
        /// How many, 1 to 50.
        depth: u64,
        /// What becomes of their transactions.
        #[serde(default)]
        orphans: Orphans,
    },
    /// Makes blocks.
    Mine(u64),
}

/// What happens to one request.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdict {
    pub(super) delay: Duration,
    pub(super) action: Option<Action>,
}

pub(super) struct Faults {
    faults: Vec<Fault>,
    generator: StdRng,
    seed: u64,
    pub(super) price_percent: u32,
    pub(super) holds: Holds,
    hidden: HashSet<(DataKey, u64)>,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            faults: Vec::new(),
            generator: StdRng::seed_from_u64(seed),
            seed,
            price_percent: 100,
            holds: Holds::default(),
            hidden: HashSet::new(),
        }
    }

    /// What happens to a request: all delays that match, and the first other action.
    pub(super) fn judge(&mut self, route: Route, path: &str) -> Verdict {
        let mut verdict = Verdict::default();
        let generator = &mut self.generator;
        for fault in &mut self.faults {
            let matches = fault.route.is_none_or(|only| only == route)
                && fault.path.as_ref().is_none_or(|part| path.contains(part.as_str()))
                && fault.times != Some(0);
            if !matches {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            if fault.percent.is_some_and(|percent| generator.random_range(0..100) >= percent) {
                continue;
            }
            if let Some(times) = &mut fault.times {
                *times -= 1;
            }
            match &fault.action {
                Action::Delay(ms) => verdict.delay += Duration::from_millis(*ms),
                action => {
                    verdict.action = Some(action.clone());
                    break;
                }
            }
        }
        self.faults.retain(|fault| fault.times != Some(0));
        verdict
    }

    /// Carries out what changes nothing on disk; gives back what does.
    pub(super) fn set(&mut self, command: Command) -> Result<Option<Command>, Refusal> {
        let full = || Refusal::text(400, "too many faults");
        match command {
            Command::Fault(_) if self.faults.len() == FAULTS_MAX => return Err(full()),
            Command::Fault(fault) => self.faults.push(fault),
            Command::Heal => *self = Self::new(self.seed),
            Command::PricePercent(percent) => self.price_percent = percent,
            Command::Hold(_) if self.holds.ids.len() == HIDDEN_MAX => return Err(full()),
            Command::Hold(id) => {
                self.holds.ids.insert(id);
            }
            Command::HoldEverything => self.holds.everything = true,
            Command::Release => self.holds = Holds::default(),
            Command::HideChunk { .. } if self.hidden.len() == HIDDEN_MAX => return Err(full()),
            Command::HideChunk { data_root: root, data_size: size, offset } => {
                self.hidden.insert((DataKey { root, size }, offset));
            }
            other => return Ok(Some(other)),
        }
        Ok(None)
    }

    pub(super) fn hides(&self, key: &DataKey, range: &Range<u64>) -> bool {
        self.hidden.iter().any(|(hidden, offset)| hidden == key && range.contains(offset))
    }

    pub(super) fn hides_part_of(&self, key: &DataKey) -> bool {
        self.hidden.iter().any(|(hidden, _)| hidden == key)
    }
}

impl Action {
    /// The call with the other id in place of its own, where it has one.
    pub(super) fn redirect(&self, call: Call) -> Call {
        match (self, call) {
            (Self::Other(id), Call::Transaction(_)) => Call::Transaction(*id),
            (Self::Other(id), Call::TransactionPart(_, part)) => Call::TransactionPart(*id, part),
            (Self::Other(id), Call::Data(_)) => Call::Data(*id),
            (Self::Other(id), Call::UnconfirmedTransaction(_)) => Call::UnconfirmedTransaction(*id),
            (Self::Other(id), Call::Content(_)) => Call::Content(*id),
            (_, call) => call,
        }
    }
}
