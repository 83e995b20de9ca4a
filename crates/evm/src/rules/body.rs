//! Rules of a body against its header, and of each transaction as far as they need no state.

use super::RuleError;
use alloy_consensus::{
    Header, Transaction as _, Typed2718,
    proofs::{calculate_ommers_root, calculate_withdrawals_root},
};
use alloy_eips::eip4895::Withdrawals;
use alloy_hardforks::EthereumHardforks;
use alloy_rlp::{Encodable, length_of_length};
use weft_chainspec::ChainSpec;
use weft_primitives::{PreparedBlock, PreparedTransaction};

/// EIP-7934: 10 MiB less a margin of 2 MiB for the beacon block around it.
const BLOCK_RLP_BYTES_MAX: usize = 10 * 1024 * 1024 - 2 * 1024 * 1024;
/// EIP-2718 types.
const LEGACY: u8 = 0;

/// Rules of a body against its header: roots, blob gas, sizes, and each transaction's type, chain and signature.
pub fn check_body(spec: &ChainSpec, block: &PreparedBlock) -> Result<(), RuleError> {
    let header = block.header.header();
    let mut bytes = BlockBytes::new(spec, header, block.withdrawals.as_ref());
    for (index, tx) in block.transactions.iter().enumerate() {
        check_transaction(spec, header, index, tx)?;
        bytes.add(tx);
    }
    bytes.add_ommers(&block.ommers);
    bytes.check()?;
    check_blob_gas(block)?;
    check_roots(spec, block)
}

/// Rules of the transaction at `index` of the block with this header, as far as they need no state.
pub fn check_transaction(
    spec: &ChainSpec,
    header: &Header,
    index: usize,
    tx: &PreparedTransaction,
) -> Result<(), RuleError> {
    let tx_type = tx.tx.ty();
    let allowed = match tx_type {
        LEGACY => true,
        1 => spec.is_berlin_active_at_block(header.number),
        2 => spec.is_london_active_at_block(header.number),
        3 => spec.is_cancun_active_at_timestamp(header.timestamp),
        4 => spec.is_prague_active_at_timestamp(header.timestamp),
        _ => false,
    };
    if !allowed {
        return Err(RuleError::TransactionType { index, tx_type });
    }
    if let Some(have) = tx.tx.chain_id() {
        if tx_type == LEGACY && !spec.is_spurious_dragon_active_at_block(header.number) {
            return Err(RuleError::ReplayProtected { index });
        }
        if have != spec.chain_id() {
            return Err(RuleError::ChainId { index, have, want: spec.chain_id() });
        }
    }
    if spec.is_homestead_active_at_block(header.number) && tx.tx.signature().normalize_s().is_some() {
        return Err(RuleError::Signature { index });
    }
    match spec.weft() {
        Some(weft) if tx.encoded.len() > weft.max_tx_bytes => {
            Err(RuleError::TransactionTooLarge { index, have: tx.encoded.len(), max: weft.max_tx_bytes })
        }
        _ => Ok(()),
    }
}

fn check_blob_gas(block: &PreparedBlock) -> Result<(), RuleError> {
    let Some(header) = block.header.blob_gas_used else { return Ok(()) };
    let body = block.transactions.iter().filter_map(|tx| tx.tx.blob_gas_used()).fold(0, u64::saturating_add);
    if header == body { Ok(()) } else { Err(RuleError::BlobGasUsed { header, body }) }
}

fn check_roots(spec: &ChainSpec, block: &PreparedBlock) -> Result<(), RuleError> {
    let header = block.header.header();
    let body = calculate_ommers_root(&block.ommers);
    if header.ommers_hash != body {
        return Err(RuleError::OmmersHash { header: header.ommers_hash, body });
    }
    match (&block.withdrawals, spec.is_shanghai_active_at_timestamp(header.timestamp)) {
        (None, true) => return Err(RuleError::WithdrawalsMissing),
        (Some(_), false) => return Err(RuleError::WithdrawalsUnexpected),
        (Some(withdrawals), true) => {
            let body = calculate_withdrawals_root(withdrawals);
            let header = header.withdrawals_root.ok_or(RuleError::FieldMissing("withdrawalsRoot"))?;
            if header != body {
                return Err(RuleError::WithdrawalsRoot { header, body });
            }
        }
        (None, false) => (),
    }
    let encoded: Vec<&[u8]> = block.transactions.iter().map(|tx| &tx.encoded[..]).collect();
    let body = weft_primitives::keccak::ordered_root(&encoded);
    if header.transactions_root != body {
        return Err(RuleError::TransactionsRoot { header: header.transactions_root, body });
    }
    Ok(())
}

/// Bytes of a block as transactions are added, against the limit that holds for it.
#[derive(Clone, Debug)]
pub struct BlockBytes {
    limit: Limit,
    /// RLP of everything but transactions, without the lists' own headers.
    fixed: usize,
    ommers: usize,
    /// RLP payload of the list of transactions.
    transactions: usize,
}

#[derive(Clone, Copy, Debug)]
enum Limit {
    None,
    /// EIP-7934, for the block's RLP.
    Block(usize),
    /// PROTOCOL §1, for the transactions' RLP.
    Transactions(usize),
}

impl BlockBytes {
    /// A block without transactions. A header that is not finished counts with the fields that it has.
    pub fn new(spec: &ChainSpec, header: &Header, withdrawals: Option<&Withdrawals>) -> Self {
        let limit = match spec.weft() {
            Some(weft) => Limit::Transactions(weft.max_block_bytes),
            None if spec.is_osaka_active_at_timestamp(header.timestamp) => Limit::Block(BLOCK_RLP_BYTES_MAX),
            None => Limit::None,
        };
        let fixed = header.length() + withdrawals.map_or(0, Encodable::length);
        Self { limit, fixed, ommers: 0, transactions: 0 }
    }

    /// Whether a further transaction stays within the limit, with room for header fields that come later.
    pub fn fits(&self, tx: &PreparedTransaction) -> bool {
        /// At most: three hashes, bloom prefix, gas used and blob gas used that a header under construction lacks.
        const LATER_HEADER_BYTES: usize = 256;
        let mut with = self.clone();
        with.add(tx);
        with.fixed += LATER_HEADER_BYTES;
        with.check().is_ok()
    }

    /// Bytes of the transactions so far, as they stand in the list.
    pub fn transactions(&self) -> usize {
        self.transactions
    }

    /// What is left of the limit. A transaction whose encoding is longer does not fit; one that is as long may not,
    /// for the bytes of RLP around it.
    pub fn left(&self) -> usize {
        match self.limit {
            Limit::None => usize::MAX,
            Limit::Transactions(max) => max.saturating_sub(self.transactions),
            Limit::Block(max) => max.saturating_sub(self.block()),
        }
    }

    /// Adds a transaction.
    pub fn add(&mut self, tx: &PreparedTransaction) {
        // A legacy transaction is a list itself; others are strings in the list.
        let header = if tx.tx.ty() == LEGACY { 0 } else { list_header(tx.encoded.len()) };
        self.transactions += header + tx.encoded.len();
    }

    fn add_ommers(&mut self, ommers: &[Header]) {
        self.ommers += ommers.iter().map(Encodable::length).sum::<usize>();
    }

    fn check(&self) -> Result<(), RuleError> {
        match self.limit {
            Limit::Transactions(max) if self.transactions > max => {
                Err(RuleError::TransactionsTooLarge { have: self.transactions, max })
            }
            Limit::Block(max) if self.block() > max => {
                Err(RuleError::BlockTooLarge { have: self.block(), max })
            }
            _ => Ok(()),
        }
    }

    /// RLP of the block.
    fn block(&self) -> usize {
        let list = |payload: usize| list_header(payload) + payload;
        list(self.fixed + list(self.transactions) + list(self.ommers))
    }
}

/// Bytes that RLP puts before a payload of more than one byte.
fn list_header(payload: usize) -> usize {
    length_of_length(payload)
}
