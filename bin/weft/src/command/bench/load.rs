//! The load: workers that sign and submit, each over a connection of its own, and a watcher that reads new blocks.
//!
//! Memory: one request body per worker (twice the calldata, as hex), the payload's shared buffer, and the ledger.

use super::{
    BenchArgs,
    ledger::Ledger,
    payload::Payload,
    wire::{Draft, Sender, Signed, Terms, sign_many},
};
use crate::client::Client;
use alloy_primitives::{Address, B256, U256, address};
use eyre::{Result, bail, eyre};
use rand::Rng;
use serde::Deserialize;
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Where calldata is sent: an account without code.
pub const SINK: Address = address!("000000000000000000000000000000000000da7a");
/// Transactions whose signing hashes are computed side by side.
const LANES: usize = 8;
/// Pause before a refused submission is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
/// Distance of the watcher's looks at the head.
const WATCH_PAUSE: Duration = Duration::from_millis(5);
/// Largest time without a successful submission before a worker gives up.
const STARVED_MAX: Duration = Duration::from_secs(60);

/// What all workers of a run share.
#[derive(Debug)]
pub struct Load<'a> {
    pub url: &'a str,
    pub terms: Terms,
    pub gas: u64,
    pub payload: &'a Payload,
    /// Calldata bytes per transaction, 0 for transfers.
    pub size: usize,
    /// Transactions per JSON-RPC batch; 1 sends plain requests.
    pub batch: usize,
    pub ledger: &'a Ledger,
    pub deadline: Instant,
    pub sample: &'a Sample,
    pub next: AtomicU64,
    pub refused: AtomicU64,
    /// `None`: as fast as the node takes it.
    pub pace: Option<Pace>,
}

impl<'a> Load<'a> {
    /// What the arguments ask for, from `begun` on.
    pub fn new(
        args: &BenchArgs,
        url: &'a str,
        (terms, gas): (Terms, u64),
        payload: &'a Payload,
        ledger: &'a Ledger,
        sample: &'a Sample,
        begun: Instant,
    ) -> Self {
        Self {
            url,
            terms,
            gas,
            payload,
            size: args.size_bytes(),
            batch: args.batch_size(),
            ledger,
            deadline: begun + args.duration.0,
            sample,
            next: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            pace: args.rate.map(|rate| Pace::new(rate.0)),
        }
    }
}

/// A uniform sample of submitted transactions, for the read-back.
#[derive(Debug)]
pub struct Sample {
    capacity: usize,
    state: Mutex<(u64, Vec<(u64, B256)>)>,
}

impl Sample {
    pub fn new(capacity: usize) -> Self {
        Self { capacity, state: Mutex::default() }
    }

    /// Reservoir sampling: every transaction of the run is equally likely to stay.
    fn offer(&self, number: u64, hash: B256) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        let place = rand::rng().random_range(0..state.0);
        if state.1.len() < self.capacity {
            state.1.push((number, hash));
        } else if let Some(entry) = usize::try_from(place).ok().and_then(|place| state.1.get_mut(place)) {
            *entry = (number, hash);
        }
    }

    /// Number in the payload and hash of each sampled transaction.
    pub fn take(&self) -> Vec<(u64, B256)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
}

#[derive(Deserialize)]
struct Answer {
    id: usize,
    result: Option<B256>,
    error: Option<AnswerError>,
}

#[derive(Deserialize)]
struct AnswerError {
    code: i64,
    message: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answers {
    One(Answer),
    Many(Vec<Answer>),
}

/// Spreads the load over time.
#[derive(Debug)]
pub struct Pace {
    began: Instant,
    bytes_per_second: f64,
    begun_bytes: AtomicU64,
}

impl Pace {
    /// So many bytes per second from now on.
    pub fn new(bytes_per_second: usize) -> Self {
        Self {
            began: Instant::now(),
            bytes_per_second: bytes_per_second.max(1) as f64,
            begun_bytes: AtomicU64::new(0),
        }
    }

    /// Waits until these bytes are due.
    fn wait(&self, bytes: usize) {
        let before = self.begun_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        let due = Duration::from_secs_f64(before as f64 / self.bytes_per_second);
        thread::sleep(due.saturating_sub(self.began.elapsed()));
    }
}

impl Load<'_> {
    /// Submits from `senders` in turn until the deadline.
    pub fn work(&self, senders: &mut [Sender]) -> Result<()> {
        let mut client = Client::new(self.url)?;
        let mut body = Vec::new();
        let mut turn = 0;
        let group = self.batch.max(LANES);
        while Instant::now() < self.deadline {
            let numbers: Vec<u64> = (0..group).map(|_| self.next.fetch_add(1, Ordering::Relaxed)).collect();
            let tags: Vec<Vec<u8>> = numbers.iter().map(|number| self.payload.tag(*number)).collect();
            let mut chosen = Vec::with_capacity(group);
            let mut drafts = Vec::with_capacity(group);
            for (number, tag) in numbers.iter().zip(&tags) {
                let index = turn % senders.len();
                turn += 1;
                let sender = &mut senders[index];
                drafts.push(self.draft(sender.nonce, tag, *number));
                sender.nonce += 1;
                chosen.push(index);
            }
            let keys: Vec<&Sender> = chosen.iter().map(|index| &senders[*index]).collect();
            let signed = sign_many(self.terms, &drafts, &keys);
            for (signed, numbers) in signed.chunks(self.batch).zip(numbers.chunks(self.batch)) {
                if let Some(pace) = &self.pace {
                    pace.wait(signed.len() * self.size);
                }
                if Instant::now() >= self.deadline
                    || !self.ledger.admit(signed.len(), signed.len() * self.size)
                {
                    return Ok(());
                }
                self.submit(&mut client, &mut body, signed, numbers)?;
            }
        }
        Ok(())
    }

    fn draft<'d>(&'d self, nonce: u64, tag: &'d [u8], number: u64) -> Draft<'d> {
        let value = U256::from(u64::from(self.size == 0));
        Draft { nonce, gas: self.gas, to: SINK, value, tag, body: self.payload.body(number) }
    }

    /// Submits one batch, and again what the node refused for being busy.
    fn submit(
        &self,
        client: &mut Client,
        body: &mut Vec<u8>,
        signed: &[Signed<'_>],
        numbers: &[u64],
    ) -> Result<()> {
        let begun = Instant::now();
        let mut open: Vec<usize> = (0..signed.len()).collect();
        loop {
            write_batch(body, signed, &open, self.batch > 1);
            let answers = match serde_json::from_slice(client.post(body)?)? {
                Answers::One(answer) => vec![answer],
                Answers::Many(answers) => answers,
            };
            for answer in answers {
                if !open.contains(&answer.id) {
                    bail!("the node answered a request that was not sent");
                }
                match (answer.result, answer.error) {
                    (Some(hash), None) => {
                        open.retain(|id| *id != answer.id);
                        self.sample.offer(numbers[answer.id], hash);
                        self.ledger.submitted(hash, self.size, begun);
                    }
                    (_, Some(error)) if crate::client::is_back_pressure(error.code, &error.message) => {
                        self.refused.fetch_add(1, Ordering::Relaxed);
                    }
                    (_, error) => {
                        bail!("refused: {}", error.map_or("no reason".into(), |error| error.message))
                    }
                }
            }
            if open.is_empty() {
                return Ok(());
            }
            if begun.elapsed() > STARVED_MAX {
                bail!("the node refused a submission as busy for {STARVED_MAX:?}");
            }
            if self.ledger.is_stopped() {
                return Ok(());
            }
            thread::sleep(RETRY_PAUSE);
        }
    }
}

fn write_batch(body: &mut Vec<u8>, signed: &[Signed<'_>], open: &[usize], array: bool) {
    body.clear();
    for (position, id) in open.iter().enumerate() {
        if array {
            body.push(if position == 0 { b'[' } else { b',' });
        }
        signed[*id].write_request(*id, body);
    }
    if array {
        body.push(b']');
    }
}

#[derive(Deserialize)]
struct BlockHashes {
    transactions: Vec<B256>,
}

/// Reads every block after `from` and enters its transactions, until the ledger is stopped.
pub fn watch(url: &str, from: u64, ledger: &Ledger) -> Result<()> {
    let mut client = Client::new(url)?;
    let mut next = from + 1;
    while !ledger.is_stopped() {
        let head: alloy_primitives::U64 = client.call("eth_blockNumber", ())?;
        while next <= head.to::<u64>() {
            let block: Option<BlockHashes> =
                client.call("eth_getBlockByNumber", (format!("0x{next:x}"), false))?;
            let block = block.ok_or_else(|| eyre!("block {next} is not there though the head is {head}"))?;
            ledger.block(&block.transactions, Instant::now());
            next += 1;
        }
        thread::sleep(WATCH_PAUSE);
    }
    Ok(())
}
