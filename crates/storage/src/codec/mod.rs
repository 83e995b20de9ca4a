//! Values as bytes.
//!
//! The formats are our own, fixed and small: big-endian integers, LEB128 where a number is usually
//! small, RLP where Ethereum has one. They change only together with
//! [`SCHEMA_VERSION`](crate::SCHEMA_VERSION). Decoding any bytes gives a value or [`Malformed`],
//! never a panic, and reserves no more memory than the input is long.

mod account;
mod block;
mod change_set;
mod da;
mod held;
mod ledger;
mod receipt;
mod stage;
mod transaction;
mod trie;

#[cfg(test)]
mod tests;

pub(crate) use account::{Previous, SlotValue};
pub(crate) use block::{HeaderRecord, SenderRecord};
pub(crate) use change_set::{ChangeSet, ChangedStorage};
pub(crate) use da::ColumnBitmap;
pub(crate) use held::{ColumnRecord, ColumnTotals, DispersedRecord};
pub(crate) use stage::StageRecord;
pub(crate) use transaction::{Stub, decode_transaction, with_input};

use alloy_eips::BlockNumHash;
use alloy_primitives::{Address, B256};

/// Why bytes are not a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// A value of some table.
pub(crate) trait Value: Sized {
    fn encode(&self, out: &mut Vec<u8>);
    fn decode(bytes: &[u8]) -> Result<Self, Malformed>;

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }
}

/// Takes values off the front of a record.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, bytes: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(bytes).ok_or(Malformed("too short"))?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Malformed("too short"))?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn b256(&mut self) -> Result<B256, Malformed> {
        Ok(B256::new(self.array()?))
    }

    pub(crate) fn address(&mut self) -> Result<Address, Malformed> {
        Ok(Address::new(self.array()?))
    }

    /// LEB128; refuses encodings that are longer than needed.
    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Malformed("number exceeds 64 bits"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift != 0 { Err(Malformed("padded number")) } else { Ok(value) };
            }
        }
        Err(Malformed("number exceeds 64 bits"))
    }

    /// A count of items of at least `item_bytes` each, so that a corrupt count reserves nothing.
    pub(crate) fn count(&mut self, item_bytes: usize) -> Result<usize, Malformed> {
        let count = usize::try_from(self.varint()?).map_err(|_| Malformed("count exceeds memory"))?;
        match count.checked_mul(item_bytes) {
            Some(bytes) if bytes <= self.0.len() => Ok(count),
            _ => Err(Malformed("count exceeds the record")),
        }
    }

    pub(crate) fn finish(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("trailing bytes")) }
    }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Lengths are 64 bits at most on every platform that Rust has.
pub(crate) fn put_count(out: &mut Vec<u8>, count: usize) {
    put_varint(out, count as u64);
}

/// RLP that must fill the bytes.
pub(crate) fn decode_rlp<T: alloy_rlp::Decodable>(mut bytes: &[u8]) -> Result<T, Malformed> {
    let value = T::decode(&mut bytes).map_err(|_| Malformed("not the RLP that belongs here"))?;
    if bytes.is_empty() { Ok(value) } else { Err(Malformed("trailing bytes")) }
}

impl Value for BlockNumHash {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(self.hash.as_slice());
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        let value = Self { number: reader.u64()?, hash: reader.b256()? };
        reader.finish()?;
        Ok(value)
    }
}

impl Value for u64 {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        bytes.try_into().map(Self::from_be_bytes).map_err(|_| Malformed("not eight bytes"))
    }
}
