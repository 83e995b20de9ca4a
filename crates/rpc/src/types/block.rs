//! Blocks and headers.

use super::{RpcTransaction, included_transaction};
use crate::{BlockDigest, RpcContext, RpcError, chain};
use alloy_network::primitives::BlockTransactions;
use alloy_primitives::U256;
use alloy_rlp::Encodable;
use alloy_rpc_types_eth::{Block, Header as RpcHeader};
use serde::Serialize;
use weft_primitives::{Header, SealedHeader};
use weft_storage::View;

/// A block as `eth_getBlockBy*` answers it.
pub type RpcBlock = Block<RpcTransaction>;

/// A block or a header, which is pending or not.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum MaybePending<T> {
    /// As it is.
    Canonical(T),
    /// Without what nobody can know yet: hash, nonce and beneficiary are `null`, as in geth.
    Pending(serde_json::Map<String, serde_json::Value>),
}

impl<T: Serialize> MaybePending<T> {
    /// The value, of a pending block or of another one.
    pub fn new(value: T, is_pending: bool) -> Result<Self, RpcError> {
        if !is_pending {
            return Ok(Self::Canonical(value));
        }
        let mut fields = match serde_json::to_value(value).map_err(RpcError::internal)? {
            serde_json::Value::Object(fields) => fields,
            other => return Err(RpcError::internal(format!("not an object: {other}"))),
        };
        for unknown in ["hash", "nonce", "miner"] {
            fields.insert(unknown.to_owned(), serde_json::Value::Null);
        }
        Ok(Self::Pending(fields))
    }
}

/// The block, with whole transactions or their hashes.
pub fn block_response(
    context: &RpcContext,
    view: &View<'_>,
    digest: &BlockDigest,
    full: bool,
) -> Result<RpcBlock, RpcError> {
    let transactions = if full {
        let whole = |index| {
            Ok(included_transaction(digest, index, chain::whole_transaction(context, view, digest, index)?))
        };
        BlockTransactions::Full((0..digest.transactions.len()).map(whole).collect::<Result<_, RpcError>>()?)
    } else {
        BlockTransactions::Hashes(digest.transactions.iter().map(|(hash, _)| *hash).collect())
    };
    Ok(Block {
        header: header_response(&digest.header, Some(digest.size)),
        uncles: digest.ommers.iter().map(Header::hash_slow).collect(),
        transactions,
        withdrawals: digest.withdrawals.clone(),
    })
}

/// The header's fields with its hash; `size` where the whole block is meant.
pub fn header_response(header: &SealedHeader, size: Option<usize>) -> RpcHeader {
    RpcHeader {
        hash: header.hash(),
        inner: header.header().clone(),
        total_difficulty: None,
        size: size.map(U256::from),
    }
}

/// An uncle: a block of its header alone.
pub fn uncle_response(header: &Header) -> RpcBlock {
    let sealed = SealedHeader::new(header.clone(), header.hash_slow());
    // RLP of a block with empty lists: the header and two empty lists in a list.
    let payload_length = header.length() + 2;
    let size = alloy_rlp::Header { list: true, payload_length }.length_with_payload();
    Block {
        header: header_response(&sealed, Some(size)),
        uncles: Vec::new(),
        transactions: BlockTransactions::Uncle,
        withdrawals: None,
    }
}
