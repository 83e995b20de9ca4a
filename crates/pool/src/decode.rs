//! EIP-2718 bytes to a transaction whose large `input` is still a slice of those bytes.
//!
//! alloy's decoder copies `input`. So a short stand-in with an empty `input` is decoded in its place (every
//! other rule of RLP and of the type is alloy's), and the slice is put back. What comes out encodes to exactly
//! the bytes that went in, so both hashes can be taken over slices of them. Called by admission and by
//! `Pool::prepare`; fails with [`DecodeError`]. Memory: the stand-in, which is at most everything but `input`.

use crate::outline::{Outline, OutlineError};
use alloy_consensus::{EthereumTypedTransaction, Signed, TxEip4844};
use alloy_eips::{
    eip2718::{Decodable2718, Eip2718Error},
    eip7594::{BlobTransactionSidecarVariant, Decodable7594},
};
use alloy_primitives::{B256, Bytes, Signature};
use alloy_rlp::{Encodable, Header};
use std::sync::Arc;
use weft_primitives::{InputBytes, Transaction};

/// A signed transaction's fields without signature and hash.
pub(crate) type TypedTransaction = EthereumTypedTransaction<TxEip4844>;

/// Type 3's first byte.
const BLOB_TYPE: u8 = 3;
/// Largest RLP header: one byte and eight of length; one more for the type.
const HEAD_BYTES_MAX: usize = 10;

/// Why bytes were not decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The outer structure is wrong.
    #[error(transparent)]
    Outline(#[from] OutlineError),
    /// A field is wrong.
    #[error("rlp: {0}")]
    Fields(#[from] Eip2718Error),
    /// The sidecar of a type-3 transaction is wrong.
    #[error("blob sidecar: {0}")]
    Sidecar(alloy_rlp::Error),
    /// A sidecar where only the consensus form may be (in a block).
    #[error("transaction in network form inside a block")]
    UnexpectedSidecar,
}

/// A decoded transaction of which nothing was hashed yet.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// Its fields; `input` is a slice of `encoded`.
    pub tx: TypedTransaction,
    /// Who signed it is in here.
    pub signature: Signature,
    /// EIP-2718 bytes as in a block body.
    pub encoded: Bytes,
    /// Blobs, commitments and proofs, if they came along.
    pub sidecar: Option<Arc<BlobTransactionSidecarVariant>>,
    /// Zero bytes and others in the input: counted here, for the pool's rules and for execution.
    pub input_bytes: InputBytes,
    signing: SigningPayload,
}

/// What a sender signs, in three parts: a header of its own, the fields as encoded, EIP-155's suffix.
#[derive(Debug)]
struct SigningPayload {
    head: Vec<u8>,
    fields: Bytes,
    tail: Vec<u8>,
}

impl Decoded {
    /// Decodes what a wallet or a peer sends: a type-3 transaction may carry its sidecar.
    pub(crate) fn from_network(raw: Bytes) -> Result<Self, DecodeError> {
        let outline = Outline::scan(&raw)?;
        let Some(sidecar) = outline.sidecar.clone() else {
            return Self::from_outline(raw, outline);
        };
        let mut rest = &raw[sidecar];
        let decoded = BlobTransactionSidecarVariant::decode_7594(&mut rest).map_err(DecodeError::Sidecar)?;
        if !rest.is_empty() {
            return Err(OutlineError::Trailing(rest.len()).into());
        }
        // Without the sidecar the encoding is another one: the type and the inner list.
        let mut encoded = Vec::with_capacity(1 + outline.list.len());
        encoded.push(BLOB_TYPE);
        encoded.extend_from_slice(&raw[outline.list]);
        let encoded = Bytes::from(encoded);
        let outline = Outline::scan(&encoded)?;
        Ok(Self { sidecar: Some(Arc::new(decoded)), ..Self::from_outline(encoded, outline)? })
    }

    /// Decodes a transaction of a block body.
    pub(crate) fn from_body(raw: Bytes) -> Result<Self, DecodeError> {
        let outline = Outline::scan(&raw)?;
        if outline.sidecar.is_some() {
            return Err(DecodeError::UnexpectedSidecar);
        }
        Self::from_outline(raw, outline)
    }

    fn from_outline(encoded: Bytes, outline: Outline) -> Result<Self, DecodeError> {
        let (mut tx, signature) = split(Transaction::decode_2718_exact(&stand_in(&encoded, &outline))?);
        let input = encoded.slice(outline.input.clone());
        let input_bytes = InputBytes::count(&input);
        *input_mut(&mut tx) = input;
        let signing = SigningPayload::new(&tx, &encoded, &outline);
        Ok(Self { tx, signature, encoded, sidecar: None, input_bytes, signing })
    }

    /// The message whose keccak was signed, in consecutive parts.
    pub(crate) fn signing_parts(&self) -> [&[u8]; 3] {
        [&self.signing.head, &self.signing.fields, &self.signing.tail]
    }

    /// The transaction with signature and hash, and its encoding. Hashes nothing.
    pub(crate) fn seal(self, hash: B256) -> (Transaction, Bytes) {
        (Transaction::new_unchecked(self.tx, self.signature, hash), self.encoded)
    }
}

impl SigningPayload {
    fn new(tx: &TypedTransaction, encoded: &Bytes, outline: &Outline) -> Self {
        let mut tail = Vec::new();
        if let EthereumTypedTransaction::Legacy(legacy) = tx
            && let Some(chain_id) = legacy.chain_id
        {
            // EIP-155: chain id and two zeros in place of the signature.
            chain_id.encode(&mut tail);
            tail.extend_from_slice(&[0x80, 0x80]);
        }
        let payload_length = outline.signed_fields.len() + tail.len();
        let mut head = Vec::with_capacity(HEAD_BYTES_MAX);
        if outline.ty != 0 {
            head.push(outline.ty);
        }
        Header { list: true, payload_length }.encode(&mut head);
        Self { head, fields: encoded.slice(outline.signed_fields.clone()), tail }
    }
}

/// The same transaction with an empty `input`.
fn stand_in(encoded: &[u8], outline: &Outline) -> Vec<u8> {
    let before = &encoded[outline.signed_fields.start..outline.input_item.start];
    let after = &encoded[outline.input_item.end..outline.signature.end];
    let payload_length = before.len() + 1 + after.len();
    let mut out = Vec::with_capacity(HEAD_BYTES_MAX + payload_length);
    if outline.ty != 0 {
        out.push(outline.ty);
    }
    Header { list: true, payload_length }.encode(&mut out);
    out.extend_from_slice(before);
    out.push(alloy_rlp::EMPTY_STRING_CODE);
    out.extend_from_slice(after);
    out
}

/// Takes the signature off without asking for the hash, which would be computed.
fn split(tx: Transaction) -> (TypedTransaction, Signature) {
    fn one<T>(signed: Signed<T>) -> (T, Signature) {
        let signature = *signed.signature();
        (signed.strip_signature(), signature)
    }
    match tx {
        Transaction::Legacy(tx) => {
            let (tx, signature) = one(tx);
            (TypedTransaction::Legacy(tx), signature)
        }
        Transaction::Eip2930(tx) => {
            let (tx, signature) = one(tx);
            (TypedTransaction::Eip2930(tx), signature)
        }
        Transaction::Eip1559(tx) => {
            let (tx, signature) = one(tx);
            (TypedTransaction::Eip1559(tx), signature)
        }
        Transaction::Eip4844(tx) => {
            let (tx, signature) = one(tx);
            (TypedTransaction::Eip4844(tx), signature)
        }
        Transaction::Eip7702(tx) => {
            let (tx, signature) = one(tx);
            (TypedTransaction::Eip7702(tx), signature)
        }
    }
}

fn input_mut(tx: &mut TypedTransaction) -> &mut Bytes {
    match tx {
        TypedTransaction::Legacy(tx) => &mut tx.input,
        TypedTransaction::Eip2930(tx) => &mut tx.input,
        TypedTransaction::Eip1559(tx) => &mut tx.input,
        TypedTransaction::Eip4844(tx) => &mut tx.input,
        TypedTransaction::Eip7702(tx) => &mut tx.input,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Kind};
    use alloy_consensus::Transaction as _;
    use alloy_eips::eip2718::Encodable2718;
    use alloy_primitives::keccak256;
    use proptest::prelude::*;

    fn concat(parts: [&[u8]; 3]) -> Vec<u8> {
        parts.concat()
    }

    proptest! {
        #[test]
        fn decoding_inverts_encoding_and_keeps_input_in_place(kind in testing::any_kind(), len in 0usize..20_000) {
            let tx = testing::transaction(kind).input_len(len).sign();
            let raw = Bytes::from(tx.encoded_2718());
            let decoded = Decoded::from_network(raw.clone()).unwrap();
            if len > 0 {
                let range = raw.as_ptr_range();
                prop_assert!(range.contains(&decoded.tx.input().as_ptr()), "input was copied");
            }
            prop_assert_eq!(keccak256(concat(decoded.signing_parts())), tx.signature_hash());
            let (sealed, encoded) = decoded.seal(*tx.tx_hash());
            prop_assert_eq!(&encoded, &raw);
            prop_assert_eq!(keccak256(&encoded), *tx.tx_hash());
            prop_assert_eq!(sealed, tx);
        }

        /// Whatever is accepted is canonical: it encodes to the very same bytes.
        #[test]
        fn mutated_transactions_never_panic_and_stay_canonical(
            kind in testing::any_kind(),
            len in 0usize..300,
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            cut in any::<prop::sample::Index>(),
            truncate in any::<bool>(),
        ) {
            let mut raw = testing::transaction(kind).input_len(len).sign().encoded_2718();
            for (at, byte) in edits {
                let at = at.index(raw.len());
                raw[at] = byte;
            }
            if truncate {
                raw.truncate(cut.index(raw.len()));
            }
            if let Ok(decoded) = Decoded::from_network(Bytes::from(raw.clone())) {
                let (tx, encoded) = decoded.seal(B256::ZERO);
                prop_assert_eq!(tx.encoded_2718(), raw.clone());
                prop_assert_eq!(encoded.as_ref(), &raw[..]);
            }
        }

        #[test]
        fn random_bytes_never_panic(ty in 0u8..6, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut raw = vec![ty];
            raw.extend(bytes);
            let _ = Decoded::from_network(Bytes::from(raw.clone()));
            let _ = Decoded::from_network(Bytes::copy_from_slice(&raw[1..]));
        }
    }

    #[test]
    fn network_form_is_reduced_to_consensus_form() {
        for sidecar in [testing::sidecar_v0(1), testing::sidecar_v1(2)] {
            let (raw, consensus) = testing::blob_transaction(&sidecar, 0);
            let decoded = Decoded::from_network(raw.clone()).unwrap();
            assert_eq!(decoded.sidecar.as_deref(), Some(&sidecar));
            assert_eq!(keccak256(concat(decoded.signing_parts())), consensus.signature_hash());
            let (tx, encoded) = decoded.seal(*consensus.tx_hash());
            assert_eq!(encoded.as_ref(), consensus.encoded_2718());
            assert_eq!(tx, consensus);
            assert!(matches!(Decoded::from_body(raw), Err(DecodeError::UnexpectedSidecar)));
        }
    }

    #[test]
    fn a_sidecar_with_trailing_or_missing_bytes_is_refused() {
        let (raw, _) = testing::blob_transaction(&testing::sidecar_v1(1), 0);
        let payload = Header::decode(&mut &raw[1..]).unwrap().payload_length;
        for change in [-1isize, 1] {
            let mut body = raw[raw.len() - payload..].to_vec();
            body.resize(payload.checked_add_signed(change).unwrap(), 0x80);
            let mut forged = vec![BLOB_TYPE];
            Header { list: true, payload_length: body.len() }.encode(&mut forged);
            forged.extend(body);
            assert!(Decoded::from_network(forged.into()).is_err(), "{change}");
        }
    }

    #[test]
    fn a_body_transaction_of_type_3_has_no_sidecar() {
        let tx = testing::transaction(Kind::Eip4844).sign();
        assert!(Decoded::from_body(tx.encoded_2718().into()).unwrap().sidecar.is_none());
    }
}
