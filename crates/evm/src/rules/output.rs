//! What execution yields, against the header.

use super::RuleError;
use crate::ExecutionOutput;
use alloy_consensus::{Header, ReceiptWithBloom, TxReceipt, proofs::calculate_receipt_root};
use alloy_primitives::Bloom;
use weft_primitives::Receipt;

/// Gas used, bloom, receipts root and requests hash.
pub fn check_output(header: &Header, output: &ExecutionOutput) -> Result<(), RuleError> {
    if header.gas_used != output.gas_used {
        return Err(RuleError::GasUsed { header: header.gas_used, executed: output.gas_used });
    }
    let receipts: Vec<_> = output.receipts.iter().map(with_bloom).collect();
    let bloom = receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.logs_bloom);
    if header.logs_bloom != bloom {
        let (header, executed) = (Box::new(header.logs_bloom), Box::new(bloom));
        return Err(RuleError::LogsBloom { header, executed });
    }
    let executed = calculate_receipt_root(&receipts);
    if header.receipts_root != executed {
        return Err(RuleError::ReceiptsRoot { header: header.receipts_root, executed });
    }
    match header.requests_hash {
        Some(header) => {
            let executed = output.requests.requests_hash();
            if header == executed { Ok(()) } else { Err(RuleError::RequestsHash { header, executed }) }
        }
        None => Ok(()),
    }
}

/// A receipt with its bloom, which its RLP contains.
pub(crate) fn with_bloom(receipt: &Receipt) -> ReceiptWithBloom<&Receipt> {
    ReceiptWithBloom { logs_bloom: receipt.bloom(), receipt }
}
