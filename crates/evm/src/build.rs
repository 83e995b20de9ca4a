//! Step-wise execution for a payload: the proposer's side of [`Evm::execute`].

use crate::{
    Evm, EvmError, ExecutionOutput, RuleError, StateSource,
    execute::{Body, Execution},
    receipts::RootAfter,
    rules::{self, BlockBytes},
};
use alloy_consensus::{
    Header, Transaction as _,
    constants::EMPTY_OMMER_ROOT_HASH,
    proofs::{calculate_receipt_root, calculate_withdrawals_root},
};
use alloy_eips::{eip4895::Withdrawals, eip7685::Requests};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, B256, Bytes};
use std::sync::Arc;
use weft_chainspec::ChainSpec;
use weft_primitives::{PreparedTransaction, Receipt, SealedHeader};

/// What the proposer decides before any transaction runs (payload attributes resolved against the parent).
#[derive(Clone, Debug, Default)]
pub struct NextBlock {
    /// Seconds; above the parent's.
    pub timestamp: u64,
    /// Who gets the fees.
    pub beneficiary: Address,
    /// Randomness of the block (EIP-4399).
    pub prev_randao: B256,
    /// In gas; within 1/1024 of the parent's.
    pub gas_limit: u64,
    /// From Shanghai on only; taken as none when absent.
    pub withdrawals: Option<Withdrawals>,
    /// From Cancun on only; required there.
    pub parent_beacon_block_root: Option<B256>,
    /// Plain chains only; on a Weft chain it is the daRoot, which the engine sets at the end.
    pub extra_data: Bytes,
}

/// Why a transaction was not taken into a block.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// Does not fit the gas, blob gas or bytes that are left; smaller ones may.
    #[error("does not fit into what is left of the block")]
    DoesNotFit,
    /// Invalid now; it and its successors of the same sender are skipped.
    #[error(transparent)]
    Invalid(RuleError),
    /// The build itself failed.
    #[error(transparent)]
    Fatal(EvmError),
}

/// A block being built: transactions are pushed in order, then it is finished.
pub struct BlockBuilder<'a, DB: StateSource> {
    evm: &'a Evm,
    header: Header,
    withdrawals: Option<&'a Withdrawals>,
    execution: Execution<'a, DB>,
    bytes: BlockBytes,
    transactions: usize,
}

impl<DB: StateSource> std::fmt::Debug for BlockBuilder<'_, DB> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockBuilder")
            .field("number", &self.header.number)
            .field("transactions", &self.transactions)
            .finish_non_exhaustive()
    }
}

impl Evm {
    /// Begins a block on `parent`, whose state is `state`: the calls that precede transactions are made here.
    /// `root_after` is for receipts before Byzantium.
    pub fn build<'a, DB: StateSource>(
        &'a self,
        parent: &SealedHeader,
        next: &'a NextBlock,
        state: DB,
        root_after: RootAfter<'a>,
    ) -> Result<BlockBuilder<'a, DB>, EvmError> {
        static NO_WITHDRAWALS: Withdrawals = Withdrawals::new(Vec::new());
        let header = self.next_header(parent, next)?;
        let shanghai = self.spec().is_shanghai_active_at_timestamp(header.timestamp);
        let withdrawals = shanghai.then(|| next.withdrawals.as_ref().unwrap_or(&NO_WITHDRAWALS));
        let execution =
            Execution::begin(self, &header, Body { ommers: &[], withdrawals }, state, root_after)?;
        let bytes = BlockBytes::new(self.spec(), &header, withdrawals);
        Ok(BlockBuilder { evm: self, header, withdrawals, execution, bytes, transactions: 0 })
    }
}

impl<DB: StateSource> BlockBuilder<'_, DB> {
    /// Executes a transaction and keeps it. Gives the gas that it used.
    pub fn push(&mut self, tx: &Arc<PreparedTransaction>) -> Result<u64, PushError> {
        let spec = self.evm.spec();
        rules::check_transaction(spec, &self.header, self.transactions, tx).map_err(PushError::Invalid)?;
        let blob_gas_max =
            spec.blob_params_at(self.header.timestamp).map_or(0, |p| p.max_blob_gas_per_block());
        let blob_gas =
            self.execution.blob_gas_used().saturating_add(tx.tx.blob_gas_used().unwrap_or_default());
        if tx.tx.gas_limit() > self.gas_left() || blob_gas > blob_gas_max || !self.bytes.fits(tx) {
            return Err(PushError::DoesNotFit);
        }
        let ran = self.execution.transact(tx).map_err(|error| match error {
            EvmError::Invalid(rule) => PushError::Invalid(rule),
            fatal => PushError::Fatal(fatal),
        })?;
        let gas = self.execution.commit(ran).map_err(PushError::Fatal)?;
        self.bytes.add(tx);
        self.transactions += 1;
        Ok(gas)
    }

    /// Gas that is left for transactions.
    pub fn gas_left(&self) -> u64 {
        self.header.gas_limit.saturating_sub(self.execution.gas_used())
    }

    /// Bytes that are left for transactions: under the block's limit, and where there are transactions already under
    /// `own_max`, which is what this proposer likes to propose. A longer transaction is not worth a [`push`](Self::push).
    pub fn bytes_left(&self, own_max: usize) -> usize {
        match self.transactions {
            0 => self.bytes.left(),
            _ => self.bytes.left().min(own_max.saturating_sub(self.bytes.transactions())),
        }
    }

    /// In wei per gas; 0 before London.
    pub fn base_fee(&self) -> u64 {
        self.header.base_fee_per_gas.unwrap_or_default()
    }

    /// The header as far as it is known: number, time, fees, limits.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The header with everything that execution determines; state root, transactions root and, on a Weft chain,
    /// extraData are the engine's.
    pub fn finish(self) -> Result<(Header, ExecutionOutput), EvmError> {
        let mut header = self.header;
        let output = self.execution.finish()?;
        complete(
            self.evm.spec(),
            &mut header,
            &output.receipts,
            &output.requests,
            (output.gas_used, output.blob_gas_used),
            self.withdrawals,
        );
        Ok((header, output))
    }
}

/// Sets what execution determines of a header without ommers. `gas` = gas and blob gas of all transactions.
pub(crate) fn complete(
    spec: &ChainSpec,
    header: &mut Header,
    receipts: &[Receipt],
    requests: &Requests,
    gas: (u64, u64),
    withdrawals: Option<&Withdrawals>,
) {
    let receipts: Vec<_> = receipts.iter().map(rules::with_bloom).collect();
    header.ommers_hash = EMPTY_OMMER_ROOT_HASH;
    header.gas_used = gas.0;
    header.receipts_root = calculate_receipt_root(&receipts);
    header.logs_bloom = receipts.iter().fold(Default::default(), |bloom, receipt| bloom | receipt.logs_bloom);
    header.withdrawals_root = withdrawals.map(|list| calculate_withdrawals_root(list));
    if spec.is_cancun_active_at_timestamp(header.timestamp) {
        header.blob_gas_used = Some(gas.1);
    }
    if spec.is_prague_active_at_timestamp(header.timestamp) {
        header.requests_hash = Some(requests.requests_hash());
    }
}
