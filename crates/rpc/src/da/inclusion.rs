//! A transaction's path in its block's `transactionsRoot`: an ordinary Merkle Patricia proof.
//!
//! The trie is not stored: it is built again from the block's transactions, which reads and hashes
//! all of them (about 2 ms per MB of block), on the bounded pool for such work.

use crate::{BlockDigest, RpcContext, RpcError, chain};
use alloy_primitives::Bytes;
use alloy_rlp::Encodable;
use alloy_trie::{HashBuilder, Nibbles, proof::ProofRetainer, root::adjust_index_for_rlp};
use weft_storage::View;

/// Nodes from the root to the leaf, which is the transaction itself.
pub fn transaction_path(
    context: &RpcContext,
    view: &View<'_>,
    block: &BlockDigest,
    index: usize,
) -> Result<Vec<Bytes>, RpcError> {
    let target = key(index);
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(vec![target]));
    let count = block.transactions.len();
    for at in 0..count {
        let at = adjust_index_for_rlp(at, count);
        builder.add_leaf(key(at), &chain::encoded_transaction(context, view, block, at)?);
    }
    let root = builder.root();
    if root != block.header.transactions_root {
        return Err(RpcError::internal(format!(
            "transactions of block {} do not lead to its root",
            block.header.number
        )));
    }
    let nodes = builder.take_proof_nodes();
    Ok(nodes.matching_nodes_sorted(&target).into_iter().map(|(_, node)| node).collect())
}

fn key(index: usize) -> Nibbles {
    let mut key = Vec::with_capacity(4);
    index.encode(&mut key);
    Nibbles::unpack(key)
}
