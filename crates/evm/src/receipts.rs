//! Receipts from execution results, and the state roots in those from before Byzantium.

use alloy_consensus::TxType;
use alloy_evm::{
    Evm,
    eth::receipt_builder::{ReceiptBuilder, ReceiptBuilderCtx},
};
use alloy_primitives::B256;
use revm::database::TransitionState;
use weft_primitives::{Receipt, Transaction};

use crate::StateFailure;

/// Gives the state root after a transaction, which its receipt commits to before Byzantium (yellow paper, 4.3.1; later
/// replaced by EIP-658). It is told what changed since it was asked last, at first since the parent's state. From
/// Byzantium on it is never asked.
pub type RootAfter<'r> = Box<dyn FnMut(&TransitionState) -> Result<B256, StateFailure> + 'r>;

/// Builds the node's receipt type.
#[derive(Clone, Copy, Debug, Default)]
pub struct Receipts;

impl ReceiptBuilder for Receipts {
    type Transaction = Transaction;
    type Receipt = Receipt;

    fn build_receipt<E: Evm>(&self, context: ReceiptBuilderCtx<'_, TxType, E>) -> Receipt {
        Receipt {
            tx_type: context.tx_type,
            outcome: context.result.is_success().into(),
            cumulative_gas_used: context.cumulative_gas_used,
            logs: context.result.into_logs(),
        }
    }
}
