//! Transactions of the load generator: signed and written as JSON without ever being assembled as bytes.
//!
//! Calldata is hashed once (the signing hash, several transactions side by side in vector lanes) and written
//! once (as hex, straight into the request's body). The transaction's own hash is left to the node, whose
//! answer names it.

use alloy_primitives::{Address, B256, U256, hex};
use alloy_rlp::{Encodable, Header};
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey};
use weft_primitives::keccak::keccak256_many;

/// EIP-1559.
const TX_TYPE: u8 = 2;
/// RLP of an empty list.
const EMPTY_LIST: u8 = 0xc0;
/// RLP of a signature: parity in one byte, r and s in at most 33 each.
const SIGNATURE_BYTES_MAX: usize = 1 + 33 + 33;

/// A key with the nonce it signs next.
#[derive(Debug)]
pub struct Sender {
    key: SecretKey,
    pub address: Address,
    pub nonce: u64,
}

impl Sender {
    pub fn new(key: SecretKey) -> Self {
        let public = PublicKey::from_secret_key(SECP256K1, &key).serialize_uncompressed();
        Self { key, address: Address::from_raw_public_key(&public[1..]), nonce: 0 }
    }

    /// The `index`-th sender of a run.
    pub fn derived(seed: u64, index: u32) -> Self {
        let mut preimage = b"weft-bench".to_vec();
        preimage.extend(seed.to_be_bytes());
        preimage.extend(index.to_be_bytes());
        let hash = alloy_primitives::keccak256(preimage);
        Self::new(SecretKey::from_slice(hash.as_slice()).expect("a hash is no valid key once in 2^128"))
    }
}

/// What all transactions of a run have in common.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub chain_id: u64,
    pub tip_wei: u128,
    pub fee_wei: u128,
}

/// One transaction before it is signed; calldata is `tag` followed by `body`.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    pub nonce: u64,
    pub gas: u64,
    pub to: Address,
    pub value: U256,
    pub tag: &'a [u8],
    pub body: &'a [u8],
}

/// A signed transaction in the parts it is written from.
#[derive(Debug)]
pub struct Signed<'a> {
    head: Vec<u8>,
    draft: Draft<'a>,
    tail: Vec<u8>,
}

/// Signs several drafts at once; `drafts[i]` with `senders[i]`'s key.
pub fn sign_many<'a>(terms: Terms, drafts: &[Draft<'a>], keys: &[&Sender]) -> Vec<Signed<'a>> {
    let heads: Vec<Vec<u8>> = drafts.iter().map(|draft| head(terms, draft, 1)).collect();
    let parts: Vec<[&[u8]; 4]> = drafts
        .iter()
        .zip(&heads)
        .map(|(draft, head)| [&head[..], draft.tag, draft.body, &[EMPTY_LIST]])
        .collect();
    let messages: Vec<&[&[u8]]> = parts.iter().map(|parts| &parts[..]).collect();
    let hashes = keccak256_many(&messages);
    drafts
        .iter()
        .zip(keys)
        .zip(hashes)
        .map(|((draft, sender), hash)| finish(terms, *draft, sender, hash))
        .collect()
}

fn finish<'a>(terms: Terms, draft: Draft<'a>, sender: &Sender, hash: B256) -> Signed<'a> {
    let signature = SECP256K1.sign_ecdsa_recoverable(&Message::from_digest(hash.0), &sender.key);
    let (id, bytes) = signature.serialize_compact();
    let mut tail = Vec::with_capacity(1 + SIGNATURE_BYTES_MAX);
    tail.push(EMPTY_LIST);
    (i32::from(id) == 1).encode(&mut tail);
    U256::from_be_slice(&bytes[..32]).encode(&mut tail);
    U256::from_be_slice(&bytes[32..]).encode(&mut tail);
    Signed { head: head(terms, &draft, tail.len()), draft, tail }
}

/// Type byte, list header and all fields up to the calldata's own header; `tail` bytes follow the calldata.
fn head(terms: Terms, draft: &Draft<'_>, tail: usize) -> Vec<u8> {
    let data = draft.tag.len() + draft.body.len();
    let mut fields = Vec::with_capacity(128);
    terms.chain_id.encode(&mut fields);
    draft.nonce.encode(&mut fields);
    terms.tip_wei.encode(&mut fields);
    terms.fee_wei.encode(&mut fields);
    draft.gas.encode(&mut fields);
    draft.to.encode(&mut fields);
    draft.value.encode(&mut fields);
    // A single byte below 0x80 would be its own encoding; drafts have no calldata or a whole tag.
    Header { list: false, payload_length: data }.encode(&mut fields);
    let mut head = Vec::with_capacity(fields.len() + 8);
    head.push(TX_TYPE);
    Header { list: true, payload_length: fields.len() + data + tail }.encode(&mut head);
    head.append(&mut fields);
    head
}

impl Signed<'_> {
    /// Appends `eth_sendRawTransaction` of this transaction as a JSON-RPC request.
    pub fn write_request(&self, id: usize, body: &mut Vec<u8>) {
        body.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
        body.extend_from_slice(id.to_string().as_bytes());
        body.extend_from_slice(br#","method":"eth_sendRawTransaction","params":["0x"#);
        for part in [&self.head[..], self.draft.tag, self.draft.body, &self.tail] {
            let start = body.len();
            body.resize(start + 2 * part.len(), 0);
            hex::encode_to_slice(part, &mut body[start..]).expect("twice the bytes of the part");
        }
        body.extend_from_slice(br#""]}"#);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{Transaction as _, TxEnvelope, transaction::SignerRecoverable};
    use alloy_eips::eip2718::Decodable2718;

    fn decoded(signed: &Signed<'_>) -> TxEnvelope {
        let mut body = Vec::new();
        signed.write_request(7, &mut body);
        let request: serde_json::Value = serde_json::from_slice(&body).expect("json");
        assert_eq!(request["id"], 7);
        let raw = hex::decode(request["params"][0].as_str().expect("hex")).expect("hex");
        let mut rest = &raw[..];
        let tx = TxEnvelope::decode_2718(&mut rest).expect("a transaction");
        assert!(rest.is_empty());
        tx
    }

    #[test]
    fn what_is_written_is_a_transaction_of_its_sender_with_its_calldata() {
        let terms = Terms { chain_id: 1337, tip_wei: 1, fee_wei: 30_000_000_000 };
        let senders: Vec<Sender> = (0..20).map(|index| Sender::derived(1, index)).collect();
        let bodies: Vec<Vec<u8>> = (0..20u8).map(|i| vec![i; usize::from(i) * 331]).collect();
        let drafts: Vec<Draft<'_>> = bodies
            .iter()
            .enumerate()
            .map(|(i, body)| Draft {
                nonce: (i * 100) as u64,
                gas: 9_000_000,
                to: Address::repeat_byte(0xda),
                value: U256::from(i),
                tag: if i == 0 { &[] } else { b"a tag, 16 bytes." },
                body,
            })
            .collect();
        let keys: Vec<&Sender> = senders.iter().collect();
        for ((signed, sender), draft) in sign_many(terms, &drafts, &keys).iter().zip(&senders).zip(&drafts) {
            let tx = decoded(signed);
            assert_eq!(tx.recover_signer().expect("recovers"), sender.address);
            assert_eq!(tx.input()[..], [draft.tag, draft.body].concat());
            assert_eq!((tx.nonce(), tx.chain_id(), tx.gas_limit()), (draft.nonce, Some(1337), 9_000_000));
            assert_eq!((tx.to(), tx.value()), (Some(draft.to), draft.value));
        }
    }
}
