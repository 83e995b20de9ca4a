//! What a node knows: prices, balances, anchors, blocks, where a transaction stands; and posting one.

use super::Client;
use crate::{
    Address, Anchor, Error, FormatError, Id, Transaction, Winston, base64url,
    chunk::{CHUNK_JSON_BYTES_MAX, ServedChunk},
    id::parse_decimal,
};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, de::Error as _};
use std::fmt;

/// Most bytes of a short answer: numbers, status, network information.
const SHORT_BYTES_MAX: u64 = 64 * 1024;
/// Most bytes of a transaction in JSON: 12 MiB of inline data (the network's limit for a posted body) in base64, and the rest.
pub(super) const TRANSACTION_JSON_BYTES_MAX: u64 = 17 * 1024 * 1024;
/// Most bytes of a block in JSON: 1,000 transaction ids, lists of hashes, a proof of access with two chunks.
const BLOCK_JSON_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What a node says of the network; its word only.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct NetworkInfo {
    /// The network's name: `arweave.N.1` is the main one.
    pub network: String,
    /// The height of its head.
    pub height: u64,
    /// The head's hash.
    #[serde(default)]
    pub current: String,
    /// Peers that the node knows.
    #[serde(default)]
    pub peers: u64,
    /// Blocks that the node has.
    #[serde(default)]
    pub blocks: u64,
}

/// What became of a posted transaction. An [`Error`] instead leaves it open: post the same bytes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posted {
    /// Taken by a node. Not yet in a block.
    Accepted,
    /// Known already, from an earlier posting of the same bytes.
    AlreadyKnown,
    /// Refused by every node. Not a proof that it was never mined: an old one is refused for its anchor.
    Rejected {
        /// The HTTP status of the last refusal.
        status: u16,
        /// Who refused, and why.
        reason: String,
    },
}

/// Where a transaction stands; a gateway's word, see [`Client::prove_inclusion`](Client::prove_inclusion).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionStatus {
    /// Nobody knows it.
    Unknown,
    /// Known, not in a block.
    Pending,
    /// In a block.
    Confirmed {
        /// Its height.
        height: u64,
        /// Its hash, 48 bytes of base64url.
        block: String,
        /// Blocks from it to the head.
        confirmations: u64,
    },
}

/// Where the data of a transaction lies in the weave, from its first byte ever. A gateway's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Offset of the first byte.
    pub start: u64,
    /// Bytes.
    pub size: u64,
}

/// What is used of a block; a gateway's word.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct BlockHeader {
    /// Its hash, 48 bytes of base64url.
    pub indep_hash: String,
    /// Its height.
    pub height: u64,
    /// Its time in seconds.
    #[serde(default)]
    pub timestamp: u64,
    /// Root of the tree over its transactions' data roots; empty in a block without data.
    #[serde(default, deserialize_with = "root")]
    pub tx_root: Option<[u8; 32]>,
    /// Bytes of all data up to and with this block.
    #[serde(deserialize_with = "number")]
    pub weave_size: u64,
    /// Bytes of this block's data.
    #[serde(deserialize_with = "number")]
    pub block_size: u64,
}

fn root<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<[u8; 32]>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    base64url::decode_array("tx_root", &text).map(Some).map_err(D::Error::custom)
}

/// A number, or one in a string as most nodes write it.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Plain(u64),
        Text(String),
    }
    match Number::deserialize(deserializer)? {
        Number::Plain(number) => Ok(number),
        Number::Text(text) => parse_decimal("number", &text).map_err(D::Error::custom),
    }
}

#[derive(Deserialize)]
struct StatusJson {
    block_height: u64,
    block_indep_hash: String,
    number_of_confirmations: u64,
}

#[derive(Deserialize)]
struct OffsetJson {
    #[serde(deserialize_with = "number")]
    offset: u64,
    #[serde(deserialize_with = "number")]
    size: u64,
}

impl Client {
    /// What a node says of the network.
    pub async fn network_info(&self) -> Result<NetworkInfo, Error> {
        self.get_short("info".to_owned(), |answer| answer.json()).await
    }

    /// What a transaction with `bytes` of data costs now, to a recipient or none. One gateway's word: hold it against a
    /// limit before paying.
    pub async fn price(&self, bytes: u64, target: Option<Address>) -> Result<Winston, Error> {
        let path = match target {
            Some(target) => format!("price/{bytes}/{target}"),
            None => format!("price/{bytes}"),
        };
        self.get_short(path, |answer| answer.parse()).await
    }

    /// What an address has. A gateway's word.
    pub async fn balance(&self, address: Address) -> Result<Winston, Error> {
        self.get_short(format!("wallet/{address}/balance"), |answer| answer.parse()).await
    }

    /// An anchor for a transaction that is to be posted within the next 50 blocks. A wrong one makes the transaction invalid,
    /// nothing worse.
    pub async fn tx_anchor(&self) -> Result<Anchor, Error> {
        self.get_short("tx_anchor".to_owned(), |answer| answer.parse()).await
    }

    /// Posts a signed transaction, until one gateway takes it. Posting the same bytes again is harmless: the id
    /// is the signature's hash, and the network takes a transaction once.
    ///
    /// Data of one chunk may be inline; more travels by [`Client::upload_chunks`].
    pub async fn post(&self, transaction: &Transaction) -> Result<Posted, Error> {
        transaction.verify()?;
        let body = Bytes::from(serde_json::to_vec(transaction).map_err(FormatError::from)?);
        let posted = self.ask_gateways(body.len() as u64, |base| {
            let request = self.http.post(base.at("tx")).header("content-type", "application/json");
            let request = request.body(body.clone());
            async move {
                let answer = self.http.send(request, SHORT_BYTES_MAX).await?;
                match answer.status {
                    200..=202 => Ok(Posted::Accepted),
                    208 => Ok(Posted::AlreadyKnown),
                    _ => Err(answer.refusal()),
                }
            }
        });
        match posted.await {
            Err(Error::Rejected { status, reason }) => Ok(Posted::Rejected { status, reason }),
            posted => posted,
        }
    }

    /// A mined transaction, whose id and signature were verified. For format 1 that takes the data, which not every gateway sends.
    pub async fn transaction(&self, id: Id) -> Result<Transaction, Error> {
        self.ask_gateways(0, |base| {
            let request = self.http.get(base.at(&format!("tx/{id}")));
            async move {
                let answer = self.http.send(request, TRANSACTION_JSON_BYTES_MAX).await?;
                if answer.status == 202 {
                    return Err(Error::Pending(id));
                }
                let answer = answer.success(|| id.to_string())?;
                let transaction: Transaction = answer.json()?;
                if transaction.id != id {
                    return Err(answer.wrong(FormatError::WrongId { expected: id, found: transaction.id }));
                }
                transaction.verify().map_err(|error| answer.wrong(error))?;
                Ok(transaction)
            }
        })
        .await
    }

    /// Where a transaction stands. Unknown only if every gateway says so.
    pub async fn transaction_status(&self, id: Id) -> Result<TransactionStatus, Error> {
        let status = self.ask_gateways(0, |base| {
            let request = self.http.get(base.at(&format!("tx/{id}/status")));
            async move {
                let answer = self.http.send(request, SHORT_BYTES_MAX).await?;
                if answer.status == 202 {
                    return Err(Error::Pending(id));
                }
                let answer = answer.success(|| id.to_string())?;
                let status: StatusJson = answer.json()?;
                Ok(TransactionStatus::Confirmed {
                    height: status.block_height,
                    block: status.block_indep_hash,
                    confirmations: status.number_of_confirmations,
                })
            }
        });
        match status.await {
            Err(Error::Pending(_)) => Ok(TransactionStatus::Pending),
            Err(Error::NotFound(_)) => Ok(TransactionStatus::Unknown),
            status => status,
        }
    }

    /// Where a mined transaction's data lies. A gateway's word; chunks from there carry their proofs.
    pub async fn placement(&self, id: Id) -> Result<Placement, Error> {
        self.get_short(format!("tx/{id}/offset"), |answer| {
            let OffsetJson { offset, size } = answer.json()?;
            // The answer is the offset of the last byte, counted from 1.
            let start = offset.checked_sub(size).ok_or_else(|| {
                answer.wrong(FormatError::Malformed { field: "offset", reason: "less than the size" })
            })?;
            Ok(Placement { start, size })
        })
        .await
    }

    /// The chunk that holds the byte at `offset` of the weave, from 0. Unverified: its paths lead to roots that the caller knows.
    pub async fn untrusted_chunk(&self, offset: u64) -> Result<ServedChunk, Error> {
        self.checked_chunk(offset, |_| Ok(())).await
    }

    /// A chunk that `check` accepts, from any gateway that has one.
    pub(super) async fn checked_chunk(
        &self,
        offset: u64,
        check: impl Fn(&ServedChunk) -> Result<(), FormatError>,
    ) -> Result<ServedChunk, Error> {
        let check = &check;
        self.ask_gateways(CHUNK_JSON_BYTES_MAX as u64, |base| {
            // Counted from 1.
            let request = self.http.get(base.at(&format!("chunk/{}", offset.saturating_add(1))));
            async move {
                let answer = self.http.send(request, CHUNK_JSON_BYTES_MAX as u64).await?;
                let answer = answer.success(|| format!("the chunk at {offset}"))?;
                let chunk: ServedChunk = answer.json()?;
                check(&chunk).map_err(|error| answer.wrong(error))?;
                Ok(chunk)
            }
        })
        .await
    }

    /// A block by its hash (48 bytes of base64url) as a gateway tells it. That the hash is the header's is not checked.
    pub async fn untrusted_block(&self, hash: &str) -> Result<BlockHeader, Error> {
        let hash: Anchor = hash.parse()?;
        self.ask_gateways(0, |base| {
            let request = self.http.get(base.at(&format!("block/hash/{hash}")));
            let hash = &hash;
            async move {
                let answer = self.http.send(request, BLOCK_JSON_BYTES_MAX).await?;
                let answer = answer.success(|| format!("block {hash}"))?;
                let block: BlockHeader = answer.json()?;
                if block.indep_hash != hash.to_string() || block.block_size > block.weave_size {
                    let reason = "another block, or sizes that cannot be";
                    return Err(answer.wrong(FormatError::Malformed { field: "block", reason }));
                }
                Ok(block)
            }
        })
        .await
    }

    async fn get_short<T>(
        &self,
        path: String,
        read: impl Fn(&super::http::Answer) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (path, read) = (&path, &read);
        self.ask_gateways(0, |base| {
            let request = self.http.get(base.at(path));
            async move {
                let answer = self.http.send(request, SHORT_BYTES_MAX).await?;
                read(&answer.success(|| path.clone())?)
            }
        })
        .await
    }
}

impl fmt::Display for Posted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.write_str("accepted"),
            Self::AlreadyKnown => f.write_str("already known"),
            Self::Rejected { status, reason } => write!(f, "rejected ({status}): {reason}"),
        }
    }
}
