//! Which leaves a block changed. Their previous values are under the same number in the histories.

use super::{Malformed, Reader, Value, put_count};
use alloy_primitives::B256;

/// Keys of the changed leaves, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChangeSet {
    /// Hashed addresses of changed accounts.
    pub(crate) accounts: Vec<B256>,
    /// Changed slots per account.
    pub(crate) storages: Vec<ChangedStorage>,
}

/// Changed slots of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChangedStorage {
    /// Hashed address.
    pub(crate) account: B256,
    /// Hashed slots.
    pub(crate) slots: Vec<B256>,
}

fn put_keys(out: &mut Vec<u8>, keys: &[B256]) {
    put_count(out, keys.len());
    for key in keys {
        out.extend_from_slice(key.as_slice());
    }
}

fn take_keys(reader: &mut Reader<'_>) -> Result<Vec<B256>, Malformed> {
    let count = reader.count(32)?;
    (0..count).map(|_| reader.b256()).collect()
}

impl Value for ChangeSet {
    fn encode(&self, out: &mut Vec<u8>) {
        put_keys(out, &self.accounts);
        put_count(out, self.storages.len());
        for storage in &self.storages {
            out.extend_from_slice(storage.account.as_slice());
            put_keys(out, &storage.slots);
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        let accounts = take_keys(&mut reader)?;
        let count = reader.count(33)?;
        let mut storages = Vec::with_capacity(count);
        for _ in 0..count {
            storages.push(ChangedStorage { account: reader.b256()?, slots: take_keys(&mut reader)? });
        }
        reader.finish()?;
        Ok(Self { accounts, storages })
    }
}
