//! Records of the upload ledger.
//!
//! Ids are 32 bytes, times seconds since 1970, amounts 16 bytes; text and lists carry their length as LEB128.

use super::{Malformed, Reader, Value, put_count, put_varint};
use crate::ledger::{
    Booking, Carrier, CheckpointRecord, LedgerItem, LedgerKey, LedgerKind, LedgerPlace, PermanentBlobRecord,
    Shipment, ShipmentState,
};
use alloy_eips::BlockNumHash;
use alloy_primitives::{B256, Bytes};

const KEY_BYTES: usize = 33;

impl Reader<'_> {
    fn u128(&mut self) -> Result<u128, Malformed> {
        Ok(u128::from_be_bytes(self.array()?))
    }

    fn bytes(&mut self) -> Result<Bytes, Malformed> {
        let length = self.count(1)?;
        Ok(Bytes::copy_from_slice(self.take(length)?))
    }

    fn text(&mut self) -> Result<String, Malformed> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| Malformed("text that is not UTF-8"))
    }

    fn flag(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("a flag other than 0 and 1")),
        }
    }

    fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        if self.flag()? { read(self).map(Some) } else { Ok(None) }
    }

    fn key(&mut self) -> Result<LedgerKey, Malformed> {
        let kind = self.u8()?;
        let kind = LedgerKind::ALL.into_iter().find(|known| *known as u8 == kind);
        Ok(LedgerKey { kind: kind.ok_or(Malformed("unknown kind of item"))?, sha256: self.b256()? })
    }

    fn keys(&mut self) -> Result<Vec<LedgerKey>, Malformed> {
        let count = self.count(KEY_BYTES)?;
        (0..count).map(|_| self.key()).collect()
    }

    fn num_hash(&mut self) -> Result<BlockNumHash, Malformed> {
        Ok(BlockNumHash { number: self.u64()?, hash: self.b256()? })
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_optional<T>(out: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put(out, value);
    }
}

fn put_hash(out: &mut Vec<u8>, hash: B256) {
    out.extend_from_slice(hash.as_slice());
}

fn put_keys(out: &mut Vec<u8>, keys: &[LedgerKey]) {
    put_count(out, keys.len());
    for key in keys {
        key.encode(out);
    }
}

impl Value for LedgerKey {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind as u8);
        put_hash(out, self.sha256);
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        let key = reader.key()?;
        reader.finish()?;
        Ok(key)
    }
}

impl Value for u128 {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        bytes.try_into().map(Self::from_be_bytes).map_err(|_| Malformed("not sixteen bytes"))
    }
}

impl Value for LedgerItem {
    fn encode(&self, out: &mut Vec<u8>) {
        put_hash(out, self.id);
        put_varint(out, self.bytes);
        put_bytes(out, &self.header);
        put_varint(out, self.block);
        put_varint(out, self.queued_at);
        put_keys(out, &self.after);
        match &self.place {
            LedgerPlace::Queued { sequence } => {
                out.push(0);
                put_varint(out, *sequence);
            }
            LedgerPlace::Shipped { shipment } => {
                out.push(1);
                put_varint(out, *shipment);
            }
            LedgerPlace::Found { carrier, height } => {
                out.push(2);
                put_hash(out, *carrier);
                put_varint(out, *height);
            }
            LedgerPlace::Failed { reason } => {
                out.push(3);
                put_bytes(out, reason.as_bytes());
            }
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader(bytes);
        let item = Self {
            id: r.b256()?,
            bytes: r.varint()?,
            header: r.bytes()?,
            block: r.varint()?,
            queued_at: r.varint()?,
            after: r.keys()?,
            place: match r.u8()? {
                0 => LedgerPlace::Queued { sequence: r.varint()? },
                1 => LedgerPlace::Shipped { shipment: r.varint()? },
                2 => LedgerPlace::Found { carrier: r.b256()?, height: r.varint()? },
                3 => LedgerPlace::Failed { reason: r.text()? },
                _ => return Err(Malformed("unknown place of an item")),
            },
        };
        r.finish()?;
        Ok(item)
    }
}

impl Carrier {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Transaction { id, signed, anchor_height, superseded } => {
                out.push(0);
                put_hash(out, *id);
                put_bytes(out, signed);
                put_varint(out, *anchor_height);
                put_count(out, superseded.len());
                superseded.iter().for_each(|id| put_hash(out, *id));
            }
            Self::Bundler { transaction } => {
                out.push(1);
                put_optional(out, *transaction, put_hash);
            }
        }
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        match r.u8()? {
            0 => Ok(Self::Transaction {
                id: r.b256()?,
                signed: r.bytes()?,
                anchor_height: r.varint()?,
                superseded: {
                    let count = r.count(32)?;
                    (0..count).map(|_| r.b256()).collect::<Result<_, _>>()?
                },
            }),
            1 => Ok(Self::Bundler { transaction: r.optional(Reader::b256)? }),
            _ => Err(Malformed("unknown carrier")),
        }
    }
}

impl ShipmentState {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Uploading => out.push(0),
            Self::Posted { at } => {
                out.push(1);
                put_varint(out, *at);
            }
            Self::Confirmed { height, confirmations } => {
                out.push(2);
                put_varint(out, *height);
                put_varint(out, *confirmations);
            }
            Self::Verified { height, confirmations, at, gateway } => {
                out.push(3);
                put_varint(out, *height);
                put_varint(out, *confirmations);
                put_varint(out, *at);
                put_bytes(out, gateway.as_bytes());
            }
            Self::Failed { reason } => {
                out.push(4);
                put_bytes(out, reason.as_bytes());
            }
        }
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        match r.u8()? {
            0 => Ok(Self::Uploading),
            1 => Ok(Self::Posted { at: r.varint()? }),
            2 => Ok(Self::Confirmed { height: r.varint()?, confirmations: r.varint()? }),
            3 => Ok(Self::Verified {
                height: r.varint()?,
                confirmations: r.varint()?,
                at: r.varint()?,
                gateway: r.text()?,
            }),
            4 => Ok(Self::Failed { reason: r.text()? }),
            _ => Err(Malformed("unknown state of a shipment")),
        }
    }
}

impl Value for Shipment {
    fn encode(&self, out: &mut Vec<u8>) {
        put_keys(out, &self.items);
        put_varint(out, self.bytes);
        self.carrier.encode(out);
        self.state.encode(out);
        put_varint(out, self.booked.hour);
        self.booked.winston.encode(out);
        put_varint(out, self.signings.into());
        put_varint(out, self.created_at);
        put_bytes(out, self.error.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader(bytes);
        let shipment = Self {
            items: r.keys()?,
            bytes: r.varint()?,
            carrier: Carrier::decode(&mut r)?,
            state: ShipmentState::decode(&mut r)?,
            booked: Booking { hour: r.varint()?, winston: r.u128()? },
            signings: u32::try_from(r.varint()?).map_err(|_| Malformed("too many signings"))?,
            created_at: r.varint()?,
            error: r.text()?,
        };
        r.finish()?;
        Ok(shipment)
    }
}

impl Value for CheckpointRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        self.block.encode(out);
        put_varint(out, self.timestamp);
        put_varint(out, self.depth);
        self.manifest.encode(out);
        put_optional(out, self.parent, put_hash);
        put_varint(out, self.bytes);
        put_keys(out, &self.items);
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader(bytes);
        let record = Self {
            block: r.num_hash()?,
            timestamp: r.varint()?,
            depth: r.varint()?,
            manifest: r.key()?,
            parent: r.optional(Reader::b256)?,
            bytes: r.varint()?,
            items: r.keys()?,
        };
        r.finish()?;
        Ok(record)
    }
}

impl Value for PermanentBlobRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        put_hash(out, self.tx);
        self.block.encode(out);
        put_varint(out, self.length);
        put_optional(out, self.item, |out, key| key.encode(out));
        put_varint(out, self.requested_at);
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader(bytes);
        let record = Self {
            tx: r.b256()?,
            block: r.num_hash()?,
            length: r.varint()?,
            item: r.optional(Reader::key)?,
            requested_at: r.varint()?,
        };
        r.finish()?;
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn hash() -> impl Strategy<Value = B256> {
        any::<[u8; 32]>().prop_map(B256::new)
    }

    fn bytes() -> impl Strategy<Value = Bytes> {
        vec(any::<u8>(), 0..200).prop_map(Bytes::from)
    }

    fn key() -> impl Strategy<Value = LedgerKey> {
        (prop::sample::select(&LedgerKind::ALL), hash()).prop_map(|(kind, sha256)| LedgerKey { kind, sha256 })
    }

    fn place() -> impl Strategy<Value = LedgerPlace> {
        prop_oneof![
            any::<u64>().prop_map(|sequence| LedgerPlace::Queued { sequence }),
            any::<u64>().prop_map(|shipment| LedgerPlace::Shipped { shipment }),
            (hash(), any::<u64>()).prop_map(|(carrier, height)| LedgerPlace::Found { carrier, height }),
            ".{0,20}".prop_map(|reason| LedgerPlace::Failed { reason }),
        ]
    }

    prop_compose! {
        fn item()(
            id in hash(), size: u64, header in bytes(), block: u64, queued_at: u64,
            after in vec(key(), 0..4), place in place(),
        ) -> LedgerItem {
            LedgerItem { id, bytes: size, header, block, queued_at, after, place }
        }
    }

    fn carrier() -> impl Strategy<Value = Carrier> {
        prop_oneof![
            (hash(), bytes(), any::<u64>(), vec(hash(), 0..3)).prop_map(
                |(id, signed, anchor_height, superseded)| Carrier::Transaction {
                    id,
                    signed,
                    anchor_height,
                    superseded,
                }
            ),
            prop::option::of(hash()).prop_map(|transaction| Carrier::Bundler { transaction }),
        ]
    }

    fn state() -> impl Strategy<Value = ShipmentState> {
        prop_oneof![
            Just(ShipmentState::Uploading),
            any::<u64>().prop_map(|at| ShipmentState::Posted { at }),
            any::<(u64, u64)>()
                .prop_map(|(height, confirmations)| ShipmentState::Confirmed { height, confirmations }),
            (any::<(u64, u64, u64)>(), ".{0,20}").prop_map(|((height, confirmations, at), gateway)| {
                ShipmentState::Verified { height, confirmations, at, gateway }
            }),
            ".{0,20}".prop_map(|reason| ShipmentState::Failed { reason }),
        ]
    }

    prop_compose! {
        fn shipment()(
            items in vec(key(), 0..4), size: u64, carrier in carrier(), state in state(),
            (hour, winston) in any::<(u64, u128)>(), signings: u32, created_at: u64, error in ".{0,20}",
        ) -> Shipment {
            let booked = Booking { hour, winston };
            Shipment { items, bytes: size, carrier, state, booked, signings, created_at, error }
        }
    }

    prop_compose! {
        fn checkpoint()(
            number: u64, block_hash in hash(), timestamp: u64, depth: u64, manifest in key(),
            parent in prop::option::of(hash()), size: u64, items in vec(key(), 0..4),
        ) -> CheckpointRecord {
            let block = BlockNumHash { number, hash: block_hash };
            CheckpointRecord { block, timestamp, depth, manifest, parent, bytes: size, items }
        }
    }

    prop_compose! {
        fn blob()(
            tx in hash(), number: u64, block_hash in hash(), length: u64, item in prop::option::of(key()),
            requested_at: u64,
        ) -> PermanentBlobRecord {
            let block = BlockNumHash { number, hash: block_hash };
            PermanentBlobRecord { tx, block, length, item, requested_at }
        }
    }

    /// What was encoded decodes to itself; altered and shortened bytes are refused or the encoding of something else.
    fn check<V: Value + PartialEq + std::fmt::Debug>(
        value: V,
        at: prop::sample::Index,
        byte: u8,
    ) -> Result<(), TestCaseError> {
        let mut bytes = value.to_bytes();
        prop_assert_eq!(V::decode(&bytes), Ok(value));
        for cut in 0..bytes.len() {
            canonical::<V>(&bytes[..cut])?;
        }
        let at = at.index(bytes.len());
        bytes[at] ^= byte;
        canonical::<V>(&bytes)
    }

    fn canonical<V: Value>(bytes: &[u8]) -> Result<(), TestCaseError> {
        if let Ok(value) = V::decode(bytes) {
            prop_assert_eq!(value.to_bytes(), bytes);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn items(value in item(), at: prop::sample::Index, byte: u8) { check(value, at, byte)?; }

        #[test]
        fn shipments(value in shipment(), at: prop::sample::Index, byte: u8) { check(value, at, byte)?; }

        #[test]
        fn checkpoints(value in checkpoint(), at: prop::sample::Index, byte: u8) { check(value, at, byte)?; }

        #[test]
        fn blobs(value in blob(), at: prop::sample::Index, byte: u8) { check(value, at, byte)?; }

        #[test]
        fn small(key in key(), amount: u128, at: prop::sample::Index, byte: u8) {
            check(key, at, byte)?;
            check(amount, at, byte)?;
        }

        #[test]
        fn any_bytes(bytes in vec(any::<u8>(), 0..300)) {
            canonical::<LedgerItem>(&bytes)?;
            canonical::<Shipment>(&bytes)?;
            canonical::<CheckpointRecord>(&bytes)?;
            canonical::<PermanentBlobRecord>(&bytes)?;
        }
    }
}
