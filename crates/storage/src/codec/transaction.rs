//! Transactions whose hash is known already, with their input or without.

use super::{Malformed, Reader, Value};
use alloy_consensus::{EthereumTxEnvelope, Signed, transaction::RlpEcdsaEncodableTx};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::{Bytes, TxHash};
use weft_primitives::Transaction;

/// Decodes EIP-2718 bytes and notes the hash, so that nobody hashes a megabyte again.
/// Copies the input.
pub(crate) fn decode_transaction(mut bytes: &[u8], hash: TxHash) -> Result<Transaction, Malformed> {
    let tx = Transaction::decode_2718(&mut bytes).map_err(|_| Malformed("not a transaction"))?;
    if bytes.is_empty() { Ok(rebuild(tx, hash, None)) } else { Err(Malformed("trailing bytes")) }
}

/// The transaction with another input and that hash.
pub(crate) fn with_input(tx: Transaction, hash: TxHash, input: Bytes) -> Transaction {
    rebuild(tx, hash, Some(input))
}

fn rebuild(tx: Transaction, hash: TxHash, input: Option<Bytes>) -> Transaction {
    macro_rules! rebuild {
        ($signed:expr, $variant:ident) => {{
            let signature = *$signed.signature();
            let mut tx = $signed.strip_signature();
            if let Some(input) = input {
                tx.input = input;
            }
            EthereumTxEnvelope::$variant(seal(tx, signature, hash))
        }};
    }
    match tx {
        EthereumTxEnvelope::Legacy(signed) => rebuild!(signed, Legacy),
        EthereumTxEnvelope::Eip2930(signed) => rebuild!(signed, Eip2930),
        EthereumTxEnvelope::Eip1559(signed) => rebuild!(signed, Eip1559),
        EthereumTxEnvelope::Eip4844(signed) => rebuild!(signed, Eip4844),
        EthereumTxEnvelope::Eip7702(signed) => rebuild!(signed, Eip7702),
    }
}

fn seal<T: RlpEcdsaEncodableTx>(tx: T, signature: alloy_primitives::Signature, hash: TxHash) -> Signed<T> {
    Signed::new_unchecked(tx, signature, hash)
}

/// What stays of a transaction whose input was dropped. Its hash is in `Senders`.
#[derive(Clone, Debug)]
pub(crate) struct Stub {
    /// With an empty input.
    pub(crate) tx: Transaction,
    /// Length of the input in bytes.
    pub(crate) input_bytes: u64,
}

impl Value for Stub {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.input_bytes.to_be_bytes());
        self.tx.encode_2718(out);
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        let input_bytes = reader.u64()?;
        let tx = Transaction::decode_2718(&mut reader.0).map_err(|_| Malformed("not a transaction"))?;
        reader.finish()?;
        Ok(Self { tx, input_bytes })
    }
}
