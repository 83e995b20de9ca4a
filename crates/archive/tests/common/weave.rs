//! Arweave in memory: takes signed transactions as the network does, makes a block each time that somebody asks where a
//! transaction is, keeps account of every payment, and can be cut off before or after any call takes effect.
#![allow(dead_code, reason = "each test binary uses a part")]

use alloy_primitives::{B256, Bytes};
use futures::FutureExt;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tokio::sync::{Notify, watch};
use weft_archive::weave::{Answer, FetchedItem, Hit, ItemQuery, Presence, ReadBack, Weave};
use weft_arweave::{
    Address, Anchor, Bundle, DataItem, Error, FormatError, Id, Transaction, Wallet, Winston,
    merkle::CHUNK_BYTES_MAX,
};

/// Blocks for which an anchor is good.
pub const ANCHOR_BLOCKS: u64 = 50;

/// For tests only: making a key takes seconds.
pub fn wallet() -> Wallet {
    Wallet::from_jwk(include_bytes!("wallet.json")).unwrap()
}

/// Where a call is cut off; it never comes back then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Before(usize),
    After(usize),
}

/// What a call fails with.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    ServerError,
    Timeout,
    NotFound,
}

impl Trouble {
    fn error(self) -> Error {
        let url = "http://fake".to_owned();
        match self {
            Self::ServerError => Error::Status { url, status: 503, body: "busy".into(), retry_after: None },
            Self::Timeout => Error::Deadline { limit: std::time::Duration::from_secs(1), source: None },
            Self::NotFound => Error::NotFound("what was asked for".into()),
        }
    }
}

#[derive(Clone, Debug)]
struct Known {
    transaction: Transaction,
    data: Bytes,
    /// None: waits.
    height: Option<u64>,
}

#[derive(Debug, Default)]
pub struct State {
    pub height: u64,
    /// Blocks made with each question.
    pub blocks_per_question: u64,
    known: BTreeMap<[u8; 32], Known>,
    /// Every transaction that was ever taken.
    pub taken: BTreeSet<[u8; 32]>,
    items: BTreeMap<[u8; 32], (DataItem, Option<Id>)>,
    /// Items that the bundler charged for.
    pub charged: Vec<Id>,
    pub price_per_chunk: u128,
    pub balance: u128,
    /// Questions that were asked.
    pub calls: usize,
    cut: Option<Cut>,
    troubles: VecDeque<Trouble>,
    /// What is posted is acknowledged and forgotten.
    pub forgetful: bool,
    /// Nothing gets into a block.
    pub held: bool,
    /// What is read back is altered.
    pub lying: bool,
    /// What is read back is cut short.
    pub truncating: bool,
    /// Data is not there though its transaction is.
    pub unseeded: bool,
}

#[derive(Debug)]
pub struct FakeWeave {
    state: Mutex<State>,
    reached: Notify,
    /// Questions that were answered.
    pub answered: watch::Sender<usize>,
}

impl Default for FakeWeave {
    fn default() -> Self {
        let state = State {
            height: 1000,
            blocks_per_question: 1,
            price_per_chunk: 1000,
            balance: u128::MAX,
            ..State::default()
        };
        Self { state: Mutex::new(state), reached: Notify::new(), answered: watch::Sender::new(0) }
    }
}

impl FakeWeave {
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock())
    }

    /// Returns after an answer that finds `reached` true.
    pub async fn until(&self, mut reached: impl FnMut() -> bool) {
        let mut answered = self.answered.subscribe();
        let waited =
            tokio::time::timeout(std::time::Duration::from_secs(60), answered.wait_for(|_| reached()));
        waited.await.expect("in time").expect("the fake lives");
    }

    /// Cuts off a call to come, counted from now, the next being 1.
    pub fn cut(&self, cut: Option<Cut>) {
        self.change(|state| {
            state.calls = 0;
            state.cut = cut;
        });
    }

    /// Returns when a call was cut off.
    pub async fn cut_off(&self) {
        self.reached.notified().await;
    }

    pub fn trouble(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.change(|state| state.troubles.extend(troubles));
    }

    /// Forgets all that waits for a block.
    pub fn drop_pending(&self) -> usize {
        self.change(|state| {
            let before = state.known.len();
            state.known.retain(|_, known| known.height.is_some());
            before - state.known.len()
        })
    }

    /// Takes the newest `depth` blocks back; their transactions wait again, or are forgotten.
    pub fn reorg(&self, depth: u64, forget: bool) {
        self.change(|state| {
            let above = state.height - depth;
            for known in state.known.values_mut().filter(|known| known.height.is_some_and(|at| at > above)) {
                known.height = None;
            }
            if forget {
                state.known.retain(|_, known| known.height.is_some());
            }
        });
    }

    /// Transactions in blocks that carry each item, and what all of them cost.
    pub fn mined(&self) -> (BTreeMap<Id, usize>, u128) {
        let state = self.state.lock();
        let (mut carriers, mut cost) = (BTreeMap::new(), 0);
        for known in state.known.values().filter(|known| known.height.is_some()) {
            cost += known.transaction.reward.0;
            for item in Bundle::parse(&known.data.0).unwrap().items {
                *carriers.entry(item.id()).or_default() += 1;
            }
        }
        (carriers, cost)
    }

    /// The order in which items got into blocks: height of each.
    pub fn height_of(&self, item: Id) -> Option<u64> {
        let state = self.state.lock();
        let holds =
            |known: &&Known| Bundle::parse(&known.data.0).unwrap().items.iter().any(|i| i.id() == item);
        state.known.values().find(holds).and_then(|known| known.height)
    }

    pub fn transactions(&self) -> usize {
        self.state.lock().taken.len()
    }

    /// Bytes of the largest bundle.
    pub fn largest(&self) -> usize {
        self.state.lock().known.values().map(|known| known.data.len()).max().unwrap_or(0)
    }

    fn call<'a, T: Send + 'a>(
        &'a self,
        effect: impl FnOnce(&mut State) -> Result<T, Error> + Send + 'a,
    ) -> Answer<'a, T> {
        async move {
            let (cut, result) = {
                let mut state = self.state.lock();
                state.calls += 1;
                let (calls, cut) = (state.calls, state.cut);
                if cut == Some(Cut::Before(calls)) {
                    (true, None)
                } else {
                    let result = match state.troubles.pop_front() {
                        Some(trouble) => Err(trouble.error()),
                        None => effect(&mut state),
                    };
                    (cut == Some(Cut::After(calls)), Some(result))
                }
            };
            match result {
                Some(result) if !cut => {
                    self.answered.send_modify(|answered| *answered += 1);
                    result
                }
                _ => {
                    self.reached.notify_one();
                    std::future::pending().await
                }
            }
        }
        .boxed()
    }
}

impl State {
    pub fn mine(&mut self, blocks: u64) {
        for _ in 0..blocks {
            self.height += 1;
            if self.held {
                continue;
            }
            let height = self.height;
            let mut found = Vec::new();
            self.known.retain(|_, known| {
                known.height.is_some() || height <= anchor_of(&known.transaction) + ANCHOR_BLOCKS
            });
            for known in self.known.values_mut().filter(|known| known.height.is_none()) {
                known.height = Some(height);
                for item in Bundle::parse(&known.data.0).unwrap().items {
                    found.push((item, known.transaction.id));
                }
            }
            for (item, carrier) in found {
                self.items.insert(item.id().0, (item, Some(carrier)));
            }
        }
    }

    fn present(&self, id: Id) -> Result<&DataItem, Error> {
        let found = self.items.get(&id.0).map(|(item, _)| item);
        found.ok_or_else(|| Error::NotFound(id.to_string()))
    }

    fn altered(&self, bytes: &[u8]) -> Bytes {
        let mut bytes = bytes.to_vec();
        if self.lying
            && let Some(last) = bytes.last_mut()
        {
            *last ^= 1;
        }
        if self.truncating {
            bytes.truncate(bytes.len() / 2);
        }
        bytes.into()
    }
}

fn anchor(height: u64) -> Anchor {
    let mut bytes = vec![0; 48];
    bytes[..8].copy_from_slice(&height.to_be_bytes());
    Anchor::new(bytes).unwrap()
}

fn anchor_of(transaction: &Transaction) -> u64 {
    u64::from_be_bytes(transaction.last_tx.as_bytes()[..8].try_into().unwrap())
}

fn price(state: &State, bytes: u64) -> u128 {
    state.price_per_chunk * u128::from(bytes.div_ceil(CHUNK_BYTES_MAX as u64))
}

impl Weave for FakeWeave {
    fn height(&self) -> Answer<'_, u64> {
        self.call(|state| Ok(state.height))
    }

    fn anchor(&self) -> Answer<'_, Anchor> {
        self.call(|state| Ok(anchor(state.height)))
    }

    fn price(&self, bytes: u64) -> Answer<'_, Winston> {
        self.call(move |state| Ok(Winston(price(state, bytes))))
    }

    fn balance(&self, _: Address) -> Answer<'_, Winston> {
        self.call(|state| Ok(Winston(state.balance)))
    }

    fn post<'a>(&'a self, transaction: &'a Transaction, data: Bytes) -> Answer<'a, ()> {
        self.call(move |state| {
            transaction.verify()?;
            transaction.verify_data(&weft_arweave::ChunkTree::of(&data))?;
            if state.known.contains_key(&transaction.id.0) {
                return Ok(());
            }
            if state.height >= anchor_of(transaction) + ANCHOR_BLOCKS {
                return Err(Error::Rejected { status: 400, reason: "anchor".into() });
            }
            if state.forgetful {
                return Ok(());
            }
            state.taken.insert(transaction.id.0);
            let known = Known { transaction: transaction.clone(), data, height: None };
            state.known.insert(transaction.id.0, known);
            Ok(())
        })
    }

    fn presence(&self, id: Id) -> Answer<'_, Presence> {
        self.call(move |state| {
            state.mine(state.blocks_per_question);
            Ok(match state.known.get(&id.0).map(|known| known.height) {
                None => Presence::Unknown { height: state.height },
                Some(None) => Presence::Pending,
                Some(Some(height)) => Presence::Mined { height, confirmations: state.height - height + 1 },
            })
        })
    }

    fn read_back<'a>(&'a self, transaction: &'a Transaction) -> Answer<'a, ReadBack> {
        self.call(move |state| {
            let known = state.known.get(&transaction.id.0).filter(|_| !state.unseeded);
            let known = known.ok_or_else(|| Error::NotFound(transaction.id.to_string()))?;
            Ok(ReadBack { data: state.altered(&known.data), gateway: "fake".into() })
        })
    }

    fn price_of_item(&self, bytes: u64) -> Answer<'_, Winston> {
        self.call(move |state| Ok(Winston(price(state, bytes))))
    }

    fn post_item<'a>(&'a self, item: &'a DataItem) -> Answer<'a, ()> {
        self.call(move |state| {
            item.verify()?;
            if !state.items.contains_key(&item.id().0) {
                state.charged.push(item.id());
                state.items.insert(item.id().0, (item.clone(), None));
            }
            Ok(())
        })
    }

    fn carrier(&self, item: Id) -> Answer<'_, Option<Id>> {
        self.call(move |state| {
            let Some((found, carrier)) = state.items.get_mut(&item.0) else { return Ok(None) };
            if carrier.is_some() {
                return Ok(*carrier);
            }
            let data = Bundle::new(vec![found.clone()]).unwrap().to_bytes();
            let transaction = weft_arweave::TransactionDraft {
                last_tx: anchor(state.height),
                data: Some((data.len() as u64, weft_arweave::ChunkTree::of(&data).root())),
                ..Default::default()
            }
            .sign(&wallet())?;
            let id = transaction.id;
            *carrier = Some(id);
            state.known.insert(id.0, Known { transaction, data: Bytes(data), height: None });
            Ok(Some(id))
        })
    }

    fn content(&self, id: Id, sha256: B256, bytes_max: u64) -> Answer<'_, Bytes> {
        self.call(move |state| {
            let data = state.altered(&state.present(id)?.data());
            let url = "http://fake".to_owned();
            if data.len() as u64 > bytes_max {
                return Err(Error::BodyTooLarge { url, max: bytes_max });
            }
            if weft_erasure::sha256(&data) != sha256 {
                return Err(Error::WrongAnswer { url, source: FormatError::WrongData("another hash") });
            }
            Ok(data)
        })
    }

    fn item(&self, id: Id, bytes_max: u64) -> Answer<'_, FetchedItem> {
        self.call(move |state| {
            let item = DataItem::parse(state.altered(state.present(id)?.bytes()).0)?;
            let url = "http://fake".to_owned();
            if item.data().len() as u64 > bytes_max {
                return Err(Error::BodyTooLarge { url, max: bytes_max });
            }
            item.verify().map_err(|source| Error::WrongAnswer { url, source })?;
            Ok(FetchedItem { item, gateway: "fake".into() })
        })
    }

    fn find<'a>(&'a self, query: &'a ItemQuery, limit: usize) -> Answer<'a, Vec<Hit>> {
        self.call(move |state| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let mut hits = Vec::new();
            for (item, carrier) in state.items.values() {
                let tags: Vec<_> =
                    item.tags().iter().map(|tag| (text(&tag.name), text(&tag.value))).collect();
                let matches = query.tags.iter().all(|wanted| tags.contains(wanted))
                    && query.owner.is_none_or(|owner| owner == item.header().address())
                    && (query.ids.is_empty() || query.ids.contains(&item.id()));
                if matches {
                    hits.push(Hit {
                        id: item.id(),
                        tags,
                        bytes: item.data().len() as u64,
                        bundled_in: *carrier,
                        height: carrier.and_then(|carrier| state.known.get(&carrier.0)?.height),
                    });
                }
            }
            hits.sort_by_key(|hit| std::cmp::Reverse(hit.height));
            hits.truncate(limit);
            Ok(hits)
        })
    }
}
