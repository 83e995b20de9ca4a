//! What a transaction's execution leaves in its block.

use alloy_consensus::{
    Eip658Value, Eip2718EncodableReceipt, RlpEncodableReceipt, TxReceipt, TxType, Typed2718,
};
use alloy_primitives::{Bloom, Log};
use alloy_rlp::{BufMut, Encodable, Header};

/// A receipt without its bloom, which is derived. alloy's `EthereumReceipt` has no room for the state root that
/// receipts hold before Byzantium.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Type of the transaction.
    pub tx_type: TxType,
    /// From Byzantium on whether the transaction succeeded (EIP-658), before it the state root after the transaction.
    pub outcome: Eip658Value,
    /// Gas of the block's transactions up to and including this one.
    pub cumulative_gas_used: u64,
    /// In the order of their emission.
    pub logs: Vec<Log>,
}

impl Receipt {
    fn list_header(&self, bloom: &Bloom) -> Header {
        let payload_length =
            self.outcome.length() + self.cumulative_gas_used.length() + bloom.length() + self.logs.length();
        Header { list: true, payload_length }
    }

    /// The string around a typed receipt on the wire; none around a legacy one.
    fn string_header(&self, bloom: &Bloom) -> Option<Header> {
        let payload_length = self.eip2718_encoded_length_with_bloom(bloom);
        (!self.tx_type.is_legacy()).then_some(Header { list: false, payload_length })
    }
}

impl TxReceipt for Receipt {
    type Log = Log;

    fn status_or_post_state(&self) -> Eip658Value {
        self.outcome
    }

    fn status(&self) -> bool {
        self.outcome.coerce_status()
    }

    fn bloom(&self) -> Bloom {
        alloy_primitives::logs_bloom(&self.logs)
    }

    fn cumulative_gas_used(&self) -> u64 {
        self.cumulative_gas_used
    }

    fn logs(&self) -> &[Log] {
        &self.logs
    }
}

impl Typed2718 for Receipt {
    fn ty(&self) -> u8 {
        self.tx_type.into()
    }
}

/// As receipts stand in the trie under `receiptsRoot`.
impl Eip2718EncodableReceipt for Receipt {
    fn eip2718_encoded_length_with_bloom(&self, bloom: &Bloom) -> usize {
        usize::from(!self.tx_type.is_legacy()) + self.list_header(bloom).length_with_payload()
    }

    fn eip2718_encode_with_bloom(&self, bloom: &Bloom, out: &mut dyn BufMut) {
        if !self.tx_type.is_legacy() {
            out.put_u8(self.ty());
        }
        self.list_header(bloom).encode(out);
        self.outcome.encode(out);
        self.cumulative_gas_used.encode(out);
        bloom.encode(out);
        self.logs.encode(out);
    }
}

/// As receipts stand in lists on the wire.
impl RlpEncodableReceipt for Receipt {
    fn rlp_encoded_length_with_bloom(&self, bloom: &Bloom) -> usize {
        let inner = self.eip2718_encoded_length_with_bloom(bloom);
        inner + self.string_header(bloom).map_or(0, |header| header.length())
    }

    fn rlp_encode_with_bloom(&self, bloom: &Bloom, out: &mut dyn BufMut) {
        if let Some(header) = self.string_header(bloom) {
            header.encode(out);
        }
        self.eip2718_encode_with_bloom(bloom, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::ReceiptEnvelope;
    use alloy_eips::eip2718::Encodable2718;
    use alloy_primitives::{Address, B256, Bytes};
    use proptest::prelude::*;

    proptest! {
        /// alloy's own receipt, which is encoded by other code, has the same bytes.
        #[test]
        fn encodes_as_alloys_envelope(
            tx_type in 0u8..=4,
            success: bool,
            root in any::<Option<[u8; 32]>>(),
            cumulative_gas_used: u64,
            logs in prop::collection::vec((any::<[u8; 20]>(), 0usize..=4, prop::collection::vec(any::<u8>(), 0..90)), 0..4),
        ) {
            let tx_type = TxType::try_from(tx_type).unwrap();
            let outcome = root.map_or(Eip658Value::Eip658(success), |root| B256::new(root).into());
            let logs: Vec<_> = logs
                .into_iter()
                .map(|(address, topics, data)| {
                    let topics = (0..topics).map(|n| B256::repeat_byte(n as u8)).collect();
                    Log::new_unchecked(Address::new(address), topics, Bytes::from(data))
                })
                .collect();
            let theirs = ReceiptEnvelope::from_typed(
                tx_type,
                alloy_consensus::Receipt { status: outcome, cumulative_gas_used, logs: logs.clone() },
            );
            let ours = Receipt { tx_type, outcome, cumulative_gas_used, logs }.into_with_bloom();
            prop_assert_eq!(ours.encoded_2718(), theirs.encoded_2718());
            prop_assert_eq!(ours.encode_2718_len(), theirs.encode_2718_len());
            prop_assert_eq!(alloy_rlp::encode(&ours), alloy_rlp::encode(&theirs));
            prop_assert_eq!(ours.length(), theirs.length());
        }
    }
}
