//! Accounts and slots, now and before a block.

use super::{Malformed, Reader, Value, put_varint};
use alloy_consensus::constants::{EMPTY_ROOT_HASH, KECCAK_EMPTY};
use alloy_primitives::U256;
use weft_primitives::StoredAccount;

const HAS_ROOT: u8 = 0x40;
const HAS_CODE: u8 = 0x80;
const BALANCE_BYTES: u8 = 0x3f;

fn put_trimmed(out: &mut Vec<u8>, value: U256) -> u8 {
    let bytes = value.to_be_bytes::<32>();
    let length = value.byte_len();
    out.extend_from_slice(&bytes[32 - length..]);
    length as u8
}

fn decode_trimmed(bytes: &[u8]) -> Result<U256, Malformed> {
    if bytes.first() == Some(&0) {
        return Err(Malformed("padded value"));
    }
    U256::try_from_be_slice(bytes).ok_or(Malformed("value exceeds 256 bits"))
}

/// One flag byte (has code, has storage, length of the balance), nonce as LEB128, balance without
/// leading zeros, then only what is not empty. A plain account takes about ten bytes.
impl Value for StoredAccount {
    fn encode(&self, out: &mut Vec<u8>) {
        let flags = out.len();
        out.push(0);
        put_varint(out, self.nonce);
        out[flags] = put_trimmed(out, self.balance);
        if self.has_storage() {
            out[flags] |= HAS_ROOT;
            out.extend_from_slice(self.storage_root.as_slice());
        }
        if self.has_code() {
            out[flags] |= HAS_CODE;
            out.extend_from_slice(self.code_hash.as_slice());
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        let flags = reader.u8()?;
        let account = Self {
            nonce: reader.varint()?,
            balance: decode_trimmed(reader.take(usize::from(flags & BALANCE_BYTES))?)?,
            storage_root: if flags & HAS_ROOT == 0 { EMPTY_ROOT_HASH } else { reader.b256()? },
            code_hash: if flags & HAS_CODE == 0 { KECCAK_EMPTY } else { reader.b256()? },
        };
        reader.finish()?;
        Ok(account)
    }
}

/// A slot's value: big-endian without leading zeros. Never zero in `HashedStorage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotValue(pub(crate) U256);

impl Value for SlotValue {
    fn encode(&self, out: &mut Vec<u8>) {
        put_trimmed(out, self.0);
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        decode_trimmed(bytes).map(Self)
    }
}

/// An account before a block; no bytes where it did not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Previous(pub(crate) Option<StoredAccount>);

impl Value for Previous {
    fn encode(&self, out: &mut Vec<u8>) {
        if let Some(account) = &self.0 {
            account.encode(out);
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.is_empty() {
            Ok(Self(None))
        } else {
            StoredAccount::decode(bytes).map(|account| Self(Some(account)))
        }
    }
}
