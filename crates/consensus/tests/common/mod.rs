//! A sealer's chain, and peers at the follower's mailbox that serve it, or do not.

#![allow(dead_code, reason = "each test file uses a part")]

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::{BlockHashOrNumber, eip2718::Encodable2718};
use alloy_network::TxSignerSync;
use alloy_primitives::{Address, B256, Bytes, TxHash, U256};
use alloy_signer_local::{MnemonicBuilder, coins_bip39::English};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{mpsc, watch};
use weft_chainspec::ChainSpec;
use weft_consensus::{
    Arrivals, AskLimits, Follower, FollowerArgs, FollowerConfig, Incoming, PeerTable, Peers, Ruling,
    SyncConfig, Verdict,
};
use weft_engine::{Engine, EngineConfig, EngineHandle, ForkchoiceState, PayloadAttributes};
use weft_p2p::{
    BlockAnnouncement, BodyPart, BodyRequest, Head, HeadersRequest, Offence, PeerId, PublishError, Refusal,
    RemoteStatus, RequestError, Role, SignedHead, TxAnnouncement,
};
use weft_pool::{Pool, PoolConfig};
use weft_primitives::{PreparedBlock, Transaction};
use weft_storage::{Store, StoreOptions};

/// Longer than any of this takes; reached only when something hangs.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A node without network.
pub struct Chain {
    pub spec: Arc<ChainSpec>,
    pub store: Store,
    pub pool: Pool,
    pub engine: EngineHandle,
}

impl Chain {
    pub fn open(folder: &Path) -> Self {
        let spec = Arc::new(ChainSpec::dev());
        let options = StoreOptions { disk_reserve_bytes: 0, ..StoreOptions::default() };
        let store = Store::open(folder, options).expect("opens");
        weft_engine::init_genesis(&spec, &store).expect("genesis");
        let pool = Pool::new(spec.clone(), store.clone(), PoolConfig::default()).expect("a pool");
        let engine = Engine::new(spec.clone(), store.clone(), Some(pool.clone()), EngineConfig::default());
        let engine = EngineHandle::spawn(engine.expect("an engine")).expect("a thread");
        Self { spec, store, pool, engine }
    }

    /// A block of what the pool has on the head, which it becomes; final or not. `salt` makes branches differ.
    pub async fn seal(&self, salt: u64, is_final: bool) -> PreparedBlock {
        let parent = self.engine.watch_head().borrow().clone();
        let attributes = PayloadAttributes {
            parent: parent.hash(),
            timestamp: parent.timestamp + 1 + salt,
            suggested_fee_recipient: Address::ZERO,
            prev_randao: B256::ZERO,
            withdrawals: Some(Default::default()),
            parent_beacon_block_root: Some(B256::ZERO),
        };
        let block = self.engine.build_payload(attributes).await.expect("a payload");
        let head = block.header.hash();
        let state = ForkchoiceState { head, safe: None, finalized: is_final.then_some(head) };
        assert!(self.engine.forkchoice_updated(state).await.expect("chosen").is_valid());
        block
    }

    /// Blocks with a transfer each.
    pub async fn seal_transfers(&self, nonces: std::ops::Range<u64>) -> Vec<PreparedBlock> {
        let mut blocks = Vec::new();
        for nonce in nonces {
            self.pool.submit(transfer(nonce, Bytes::new())).await.expect("taken");
            blocks.push(self.seal(0, true).await);
        }
        blocks
    }

    pub async fn reaches(&self, head: Head) {
        let mut watch = self.engine.watch_head();
        let reached = watch.wait_for(|now| now.hash() == head.hash);
        tokio::time::timeout(DEADLINE, reached).await.expect("in time").expect("the engine runs");
    }
}

/// Of the first dev account.
pub fn transfer(nonce: u64, input: Bytes) -> Bytes {
    let signer = MnemonicBuilder::<English>::from_phrase(
        "test test test test test test test test test test test junk",
    )
    .build()
    .expect("the dev mnemonic");
    let mut tx = TxEip1559 {
        chain_id: ChainSpec::dev().chain_id(),
        nonce,
        gas_limit: 21_000 + 20 * input.len() as u64,
        max_fee_per_gas: 100_000_000_000,
        max_priority_fee_per_gas: 1,
        to: Address::repeat_byte(1).into(),
        value: U256::from(1),
        input,
        ..Default::default()
    };
    let signature = signer.sign_transaction_sync(&mut tx).expect("a signature");
    Transaction::from(tx.into_signed(signature)).encoded_2718().into()
}

pub fn head_of(block: &PreparedBlock) -> Head {
    Head { number: block.header.number, hash: block.header.hash() }
}

pub fn announcement(block: &PreparedBlock) -> BlockAnnouncement {
    let hashes: Vec<_> = block.transactions.iter().map(|tx| tx.hash()).collect();
    BlockAnnouncement::new(block.header.clone(), &hashes, block.withdrawals.clone().map(|list| list.0))
}

/// What a peer does when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    Honest,
    /// Never answers.
    Silent,
    /// Headers with a changed state root.
    ForgesHeaders,
    /// Another block's transactions, validly signed.
    SwapsBodies,
    /// Bytes that are no transactions.
    Garbles,
    /// Has nothing.
    Empty,
}

/// The peers, and what they have in common.
#[derive(Default)]
pub struct World {
    blocks: Mutex<Vec<PreparedBlock>>,
    conduct: BTreeMap<PeerId, Conduct>,
    pub reports: Mutex<Vec<(PeerId, Offence)>>,
    pub bodies: AtomicUsize,
    pub transactions: AtomicUsize,
    pub announced: Mutex<Vec<TxAnnouncement>>,
    /// Offered by hash although no block has them.
    pub pooled: Mutex<Vec<(TxHash, Bytes)>>,
}

impl World {
    pub fn new(conducts: &[Conduct]) -> (Arc<Self>, Vec<PeerId>) {
        let mut ids: Vec<PeerId> = conducts.iter().map(|_| PeerId::random()).collect();
        // Ties among strangers are broken by the id: who comes first is asked first.
        ids.sort_unstable();
        let conduct = ids.iter().copied().zip(conducts.iter().copied()).collect();
        (Arc::new(Self { conduct, ..Self::default() }), ids)
    }

    pub fn add(&self, blocks: &[PreparedBlock]) {
        self.blocks.lock().extend(blocks.iter().cloned());
    }

    pub fn offences_of(&self, peer: PeerId) -> Vec<Offence> {
        self.reports.lock().iter().filter(|(who, _)| *who == peer).map(|(_, offence)| *offence).collect()
    }

    /// All peers say that they are at `head`, which a sealer signed.
    pub fn table(&self, head: Head) -> PeerTable {
        let signed = SignedHead { head, signer: PeerId::random(), signature: Bytes::from(vec![0; 64]) };
        let status = RemoteStatus {
            role: Role::Full,
            custody_count: 11,
            head,
            earliest_body: 0,
            earliest_columns: 0,
            signed_head: Some(signed),
        };
        self.conduct.keys().map(|peer| (*peer, status.clone())).collect()
    }

    async fn conduct(&self, peer: PeerId, deadline: Duration) -> Result<Conduct, RequestError> {
        match self.conduct.get(&peer) {
            Some(Conduct::Silent) => {
                // As the network does for a peer that never answers.
                let silence = tokio::time::timeout(deadline, std::future::pending::<()>()).await;
                Err(silence.map_or(RequestError::Deadline(deadline), |()| RequestError::NotConnected))
            }
            Some(Conduct::Empty) => Err(Refusal::NotFound.into()),
            Some(conduct) => Ok(*conduct),
            None => Err(RequestError::NotConnected),
        }
    }

    fn encoded(block: &PreparedBlock) -> Vec<Bytes> {
        block.transactions.iter().map(|tx| tx.encoded.clone()).collect()
    }
}

impl Peers for World {
    async fn headers(
        &self,
        peer: PeerId,
        request: HeadersRequest,
        deadline: Duration,
    ) -> Result<Vec<Bytes>, RequestError> {
        let conduct = self.conduct(peer, deadline).await?;
        let blocks = self.blocks.lock();
        let is_start = |block: &PreparedBlock| match request.start {
            BlockHashOrNumber::Hash(hash) => block.header.hash() == hash,
            BlockHashOrNumber::Number(number) => block.header.number == number,
        };
        let Some(start) = blocks.iter().position(is_start) else { return Ok(Vec::new()) };
        let count = request.count as usize;
        let mut found: Vec<_> = match request.falling {
            true => blocks[..=start].iter().rev().take(count).collect(),
            false => blocks[start..].iter().take(count).collect(),
        };
        found.truncate(count);
        let rlp = |block: &&PreparedBlock| {
            let mut header = block.header.header().clone();
            if conduct == Conduct::ForgesHeaders {
                header.state_root = B256::repeat_byte(9);
            }
            Bytes::from(alloy_rlp::encode(&header))
        };
        Ok(found.iter().map(rlp).collect())
    }

    async fn body(
        &self,
        peer: PeerId,
        request: BodyRequest,
        deadline: Duration,
    ) -> Result<BodyPart, RequestError> {
        let conduct = self.conduct(peer, deadline).await?;
        self.bodies.fetch_add(1, Ordering::Relaxed);
        let blocks = self.blocks.lock();
        let Some(mut at) = blocks.iter().position(|block| block.header.hash() == request.block) else {
            return Err(Refusal::NotFound.into());
        };
        if conduct == Conduct::SwapsBodies {
            at = if at == 0 { 1 } else { at - 1 };
        }
        let all = match conduct {
            Conduct::Garbles => vec![Bytes::from_static(b"not a transaction"); 2],
            _ => Self::encoded(&blocks[at]),
        };
        // One at a time, so that bodies come in parts.
        let first = request.first_tx as usize;
        Ok(BodyPart {
            first_tx: request.first_tx,
            transaction_count: u32::try_from(all.len()).expect("few"),
            transactions: all.into_iter().skip(first).take(1).collect(),
            withdrawals: Some(Vec::new()),
        })
    }

    async fn transactions(
        &self,
        peer: PeerId,
        hashes: Vec<TxHash>,
        deadline: Duration,
    ) -> Result<Vec<Bytes>, RequestError> {
        let conduct = self.conduct(peer, deadline).await?;
        self.transactions.fetch_add(1, Ordering::Relaxed);
        let blocks = self.blocks.lock();
        let known =
            blocks.iter().flat_map(|block| &block.transactions).map(|tx| (tx.hash(), tx.encoded.clone()));
        let known: Vec<(TxHash, Bytes)> = known.chain(self.pooled.lock().iter().cloned()).collect();
        let wanted = hashes.iter().filter_map(|hash| known.iter().find(|(known, _)| known == hash));
        Ok(match conduct {
            Conduct::Garbles => vec![Bytes::from_static(b"not a transaction")],
            Conduct::SwapsBodies => vec![known[0].1.clone()],
            _ => wanted.map(|(_, encoded)| encoded.clone()).collect(),
        })
    }

    async fn report(&self, peer: PeerId, offence: Offence) {
        self.reports.lock().push((peer, offence));
    }

    async fn announce_transactions(&self, transactions: Vec<TxAnnouncement>) -> Result<(), PublishError> {
        self.announced.lock().extend(transactions);
        Ok(())
    }

    async fn publish_block(&self, _: BlockAnnouncement) -> Result<(), PublishError> {
        Ok(())
    }

    async fn set_head(&self, _: Head) {}
}

/// A follower over a chain, and its mailbox.
pub struct Following {
    pub follower: Follower,
    pub arrivals: Arrivals,
    pub peers: watch::Sender<PeerTable>,
    blocks: mpsc::Sender<Incoming<BlockAnnouncement>>,
    rulings: (mpsc::UnboundedSender<Ruling>, mpsc::UnboundedReceiver<Ruling>),
}

impl Following {
    pub fn start(chain: &Chain, world: &Arc<World>) -> Self {
        Self::start_with(chain, world, FollowerConfig::default())
    }

    pub fn start_with(chain: &Chain, world: &Arc<World>, config: FollowerConfig) -> Self {
        let (peers, table) = watch::channel(world.table(Head::default()));
        let (blocks, inbox) = mpsc::channel(64);
        let arrivals = Arrivals::default();
        // Small segments, so that a few hundred blocks are many; short times, so that nobody waits.
        let config = FollowerConfig {
            ask: AskLimits {
                hedge: Duration::from_millis(50),
                pause: Duration::from_millis(50),
                ..AskLimits::default()
            },
            sync: SyncConfig { segment: 16, ..SyncConfig::default() },
            patience: Duration::from_millis(20),
            retry: Duration::from_millis(50),
            ..config
        };
        let follower = Follower::spawn(FollowerArgs {
            config,
            spec: chain.spec.clone(),
            store: chain.store.clone(),
            engine: chain.engine.clone(),
            pool: chain.pool.clone(),
            network: world.clone(),
            peers: table,
            blocks: inbox,
            arrivals: arrivals.clone(),
        });
        Self { follower, arrivals, peers, blocks, rulings: mpsc::unbounded_channel() }
    }

    pub async fn announce(&self, peer: PeerId, author: Option<PeerId>, block: BlockAnnouncement) {
        let rulings = self.rulings.0.clone();
        let verdict = Verdict::new(move |ruling| rulings.send(ruling).expect("the test listens"));
        let incoming = Incoming { peer, author, value: block, verdict };
        self.blocks.send(incoming).await.expect("the follower runs");
    }

    pub async fn ruling(&mut self) -> Ruling {
        tokio::time::timeout(DEADLINE, self.rulings.1.recv()).await.expect("in time").expect("a ruling")
    }
}
