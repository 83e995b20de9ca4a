//! Headers, bodies without transactions, hashes with senders.

use super::{Malformed, Reader, Value, decode_rlp, put_count, put_varint};
use crate::{StoredBodyMeta, TxPosition};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, B256, TxHash};
use alloy_rlp::{Decodable, Encodable};
use weft_primitives::{Header, SealedHeader};

/// A header behind its hash, so that reading the hash decodes nothing.
pub(crate) struct HeaderRecord(pub(crate) SealedHeader);

impl HeaderRecord {
    /// The hash alone.
    pub(crate) fn hash(bytes: &[u8]) -> Result<B256, Malformed> {
        Reader(bytes).b256()
    }
}

impl Value for HeaderRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.hash().as_slice());
        self.0.header().encode(out);
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        let hash = reader.b256()?;
        Ok(Self(SealedHeader::new(decode_rlp::<Header>(reader.0)?, hash)))
    }
}

impl Value for StoredBodyMeta {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.tx_count.to_be_bytes());
        put_varint(out, self.transactions_rlp_bytes);
        put_count(out, self.ommers.len());
        for ommer in &self.ommers {
            ommer.encode(out);
        }
        if let Some(withdrawals) = &self.withdrawals {
            withdrawals.encode(out);
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        let tx_count = reader.u32()?;
        let transactions_rlp_bytes = reader.varint()?;
        let mut ommers = Vec::new();
        for _ in 0..reader.count(1)? {
            ommers.push(Header::decode(&mut reader.0).map_err(|_| Malformed("ommer is not a header"))?);
        }
        let withdrawals = if reader.0.is_empty() { None } else { Some(decode_rlp::<Withdrawals>(reader.0)?) };
        Ok(Self { tx_count, transactions_rlp_bytes, ommers, withdrawals })
    }
}

impl Value for TxPosition {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&crate::keys::position(*self));
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        let position = Self { block: reader.u64()?, index: reader.u32()? };
        reader.finish()?;
        Ok(position)
    }
}

/// Hash and sender of each transaction, 52 bytes a piece: any one is read without decoding the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SenderRecord(pub(crate) Vec<(TxHash, Address)>);

impl SenderRecord {
    const ITEM_BYTES: usize = 52;

    /// Entry `index` of an encoded record.
    pub(crate) fn nth(bytes: &[u8], index: usize) -> Result<Option<(TxHash, Address)>, Malformed> {
        let Some(item) = bytes.chunks(Self::ITEM_BYTES).nth(index) else { return Ok(None) };
        let mut reader = Reader(item);
        Ok(Some((reader.b256()?, reader.address()?)))
    }
}

impl Value for SenderRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.0.len() * Self::ITEM_BYTES);
        for (hash, sender) in &self.0 {
            out.extend_from_slice(hash.as_slice());
            out.extend_from_slice(sender.as_slice());
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut items = Vec::with_capacity(bytes.len() / Self::ITEM_BYTES);
        let mut reader = Reader(bytes);
        while !reader.0.is_empty() {
            items.push((reader.b256()?, reader.address()?));
        }
        Ok(Self(items))
    }
}
