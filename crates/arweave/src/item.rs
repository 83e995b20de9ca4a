//! ANS-104 data items: signed pieces of data that travel in bundles.
//!
//! Layout, numbers little-endian: type u16, signature, owner, target (a byte 0, or 1 and 32 bytes), anchor (the same),
//! number of tags u64, bytes of tags u64, tags in Avro, data. Signed is the deep hash of `"dataitem"`, `"1"`, the type
//! in decimal, owner, target, anchor, tags, data; with an Ethereum key as a message of EIP-191.
//!
//! A [`DataItem`] is well formed and canonical; [`DataItem::verify`] checks its signature. Its id is the hash of the signature,
//! so for keys whose signatures can be rewritten (ECDSA) only the low form with recovery byte 27 or 28 is accepted.

mod keys;

use crate::{
    Address, FormatError, Id, Tag, Wallet,
    deep_hash::{BlobHasher, Hash, Node, deep_hash},
    tag::{self, ITEM_TAGS_BYTES_MAX},
};
use bytes::Bytes;
pub use keys::{EthereumKey, SignatureType};

/// Most bytes before an item's data: type 2, signature and owner 512 each (RSA), target and anchor 33 each, 16, tags.
pub const HEADER_BYTES_MAX: usize = 2 + 512 + 512 + 33 + 33 + 16 + ITEM_TAGS_BYTES_MAX;

/// Who signs an item.
#[derive(Clone, Copy, Debug)]
pub enum Signer<'a> {
    /// An Arweave wallet: type 1.
    Arweave(&'a Wallet),
    /// An Ethereum key: type 3.
    Ethereum(&'a EthereumKey),
}

/// Everything of an item but its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemHeader {
    /// What key signed.
    pub signature_type: SignatureType,
    /// The signature.
    pub signature: Bytes,
    /// The public key, in the form of its type.
    pub owner: Bytes,
    /// A recipient, without meaning to the network.
    pub target: Option<Address>,
    /// Any 32 bytes, for example to make two items with the same content differ.
    pub anchor: Option<[u8; 32]>,
    /// Names and values.
    pub tags: Vec<Tag>,
}

impl ItemHeader {
    /// Reads the header at the beginning of `bytes`; gives it and its length.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), FormatError> {
        let mut rest = bytes;
        let signature_type = SignatureType::try_from(u16::from_le_bytes(*take_array(&mut rest)?))?;
        let signature = take(&mut rest, signature_type.signature_bytes())?;
        let owner = take(&mut rest, signature_type.owner_bytes())?;
        let target = take_optional(&mut rest)?.map(Address);
        let anchor = take_optional(&mut rest)?;
        let count = u64::from_le_bytes(*take_array(&mut rest)?);
        let length = u64::from_le_bytes(*take_array(&mut rest)?);
        let max = ITEM_TAGS_BYTES_MAX as u64;
        if length > max {
            return Err(FormatError::TooLarge { field: "bytes of tags", found: length, max });
        }
        let tags = tag::decode_avro(count, take(&mut rest, length as usize)?)?;
        let header = Self {
            signature_type,
            signature: Bytes::copy_from_slice(signature),
            owner: Bytes::copy_from_slice(owner),
            target,
            anchor,
            tags,
        };
        Ok((header, bytes.len() - rest.len()))
    }

    /// The item's id.
    pub fn id(&self) -> Id {
        Id::of_signature(&self.signature)
    }

    /// The address of the owner: SHA-256 of the public key, for every type.
    pub fn address(&self) -> Address {
        Address::of_owner(&self.owner)
    }

    /// Checks the signature over this header and data with this deep hash.
    pub fn verify(&self, data: Hash) -> Result<(), FormatError> {
        let message = self.signed_message(&tag::encode_avro(&self.tags)?, data);
        self.signature_type.verify(&self.owner, &message, &self.signature)
    }

    fn signed_message(&self, tags: &[u8], data: Hash) -> Hash {
        let kind = (self.signature_type as u16).to_string();
        let optional = |bytes: Option<&'_ [u8; 32]>| bytes.map_or(&[][..], |bytes| bytes).to_vec();
        let target = optional(self.target.as_ref().map(Address::as_bytes));
        let anchor = optional(self.anchor.as_ref());
        deep_hash(&Node::List(vec![
            Node::Blob(b"dataitem"),
            Node::Blob(b"1"),
            Node::Blob(kind.as_bytes()),
            Node::Blob(&self.owner),
            Node::Blob(&target),
            Node::Blob(&anchor),
            Node::Blob(tags),
            Node::Hashed(data),
        ]))
    }

    fn encode(&self, tags: &[u8], data: &[u8]) -> Bytes {
        let mut bytes = Vec::with_capacity(HEADER_BYTES_MAX - ITEM_TAGS_BYTES_MAX + tags.len() + data.len());
        bytes.extend_from_slice(&(self.signature_type as u16).to_le_bytes());
        bytes.extend_from_slice(&self.signature);
        bytes.extend_from_slice(&self.owner);
        for optional in [self.target.map(|target| target.0), self.anchor] {
            bytes.push(u8::from(optional.is_some()));
            bytes.extend(optional.into_iter().flatten());
        }
        bytes.extend_from_slice(&(self.tags.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&(tags.len() as u64).to_le_bytes());
        bytes.extend_from_slice(tags);
        bytes.extend_from_slice(data);
        bytes.into()
    }
}

/// A data item to be signed.
#[derive(Clone, Debug, Default)]
pub struct ItemDraft {
    /// A recipient, without meaning to the network.
    pub target: Option<Address>,
    /// Any 32 bytes.
    pub anchor: Option<[u8; 32]>,
    /// Names and values, within the limits of [`crate::tag`].
    pub tags: Vec<Tag>,
    /// The data.
    pub data: Bytes,
}

impl ItemDraft {
    /// A signed item. An Arweave key makes another signature, and so another id, with each call: sign once, keep the
    /// bytes, post them as often as needed.
    pub fn sign(self, signer: Signer<'_>) -> Result<DataItem, FormatError> {
        let (signature_type, owner) = match signer {
            Signer::Arweave(wallet) => (SignatureType::Arweave, wallet.owner().as_bytes().clone()),
            Signer::Ethereum(key) => (SignatureType::Ethereum, key.public_key()),
        };
        let Self { target, anchor, tags, data } = self;
        let avro = tag::encode_avro(&tags)?;
        let mut header = ItemHeader { signature_type, signature: Bytes::new(), owner, target, anchor, tags };
        let message = header.signed_message(&avro, hash_of(&data));
        header.signature = match signer {
            Signer::Arweave(wallet) => wallet.sign(&message),
            Signer::Ethereum(key) => key.sign_message(&message),
        };
        let bytes = header.encode(&avro, &data);
        let data_at = bytes.len() - data.len();
        Ok(DataItem { header, bytes, data_at })
    }
}

/// A signed data item, well formed and canonical, but not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataItem {
    header: ItemHeader,
    bytes: Bytes,
    data_at: usize,
}

impl DataItem {
    /// Reads an item that fills `bytes`, without copying its data.
    pub fn parse(bytes: Bytes) -> Result<Self, FormatError> {
        let (header, data_at) = ItemHeader::parse(&bytes)?;
        Ok(Self { header, bytes, data_at })
    }

    /// Puts an item together again from what a gateway tells of it in pieces.
    pub fn from_parts(header: ItemHeader, data: &[u8]) -> Result<Self, FormatError> {
        let kind = header.signature_type;
        for (field, part, expected) in [
            ("signature", &header.signature, kind.signature_bytes()),
            ("owner", &header.owner, kind.owner_bytes()),
        ] {
            if part.len() != expected {
                return Err(FormatError::Length { field, expected, found: part.len() });
            }
        }
        let bytes = header.encode(&tag::encode_avro(&header.tags)?, data);
        let data_at = bytes.len() - data.len();
        Ok(Self { header, bytes, data_at })
    }

    /// Everything but the data.
    pub fn header(&self) -> &ItemHeader {
        &self.header
    }

    /// The id, SHA-256 of the signature.
    pub fn id(&self) -> Id {
        self.header.id()
    }

    /// Names and values.
    pub fn tags(&self) -> &[Tag] {
        &self.header.tags
    }

    /// The data.
    pub fn data(&self) -> Bytes {
        self.bytes.slice(self.data_at..)
    }

    /// The item as it is posted and bundled.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Checks that the owner signed exactly these fields and this data.
    pub fn verify(&self) -> Result<(), FormatError> {
        self.header.verify(hash_of(&self.bytes[self.data_at..]))
    }
}

fn hash_of(data: &[u8]) -> Hash {
    let mut hasher = BlobHasher::default();
    hasher.update(data);
    hasher.finish()
}

const CUT_OFF: FormatError = FormatError::Malformed { field: "data item", reason: "cut off in its header" };

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], FormatError> {
    let (taken, tail) = rest.split_at_checked(length).ok_or(CUT_OFF)?;
    *rest = tail;
    Ok(taken)
}

fn take_array<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], FormatError> {
    let (taken, tail) = rest.split_first_chunk().ok_or(CUT_OFF)?;
    *rest = tail;
    Ok(taken)
}

fn take_optional(rest: &mut &[u8]) -> Result<Option<[u8; 32]>, FormatError> {
    match take_array::<1>(rest)? {
        [0] => Ok(None),
        [1] => Ok(Some(*take_array(rest)?)),
        _ => Err(FormatError::Malformed { field: "data item", reason: "a presence byte other than 0 or 1" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn key() -> EthereumKey {
        EthereumKey::from_bytes(&[7; 32]).unwrap()
    }

    prop_compose! {
        fn drafts()(
            target: Option<[u8; 32]>,
            anchor: Option<[u8; 32]>,
            tags in vec((vec(any::<u8>(), 1..20), vec(any::<u8>(), 1..40)), 0..6),
            data in vec(any::<u8>(), 0..300),
        ) -> ItemDraft {
            let tags = tags.into_iter().map(|(name, value)| Tag::new(name, value)).collect();
            ItemDraft { target: target.map(Address), anchor, tags, data: data.into() }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_signed_parses_and_verifies(draft in drafts()) {
            let item = draft.clone().sign(Signer::Ethereum(&key())).unwrap();
            let parsed = DataItem::parse(item.bytes().clone()).unwrap();
            prop_assert_eq!(&parsed, &item);
            prop_assert_eq!(parsed.data(), draft.data);
            parsed.verify().unwrap();
            let again = DataItem::from_parts(parsed.header().clone(), &parsed.data()).unwrap();
            prop_assert_eq!(again.bytes(), item.bytes());
        }

        #[test]
        fn an_altered_bit_never_verifies(draft in drafts(), at: prop::sample::Index, bit in 0..8_u32) {
            let item = draft.sign(Signer::Ethereum(&key())).unwrap();
            let mut bytes = item.bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(DataItem::parse(bytes.into()).and_then(|item| item.verify()).is_err());
        }

        #[test]
        fn any_bytes_are_refused_or_canonical(kind in 0..5_u8, mut bytes in vec(any::<u8>(), 2..800)) {
            (bytes[0], bytes[1]) = (kind, 0);
            // Zeros where presence bytes and counts are make acceptance likely.
            for at in bytes.len().min(98)..bytes.len().min(180) {
                bytes[at] = 0;
            }
            if let Ok(item) = DataItem::parse(bytes.clone().into()) {
                let again = DataItem::from_parts(item.header().clone(), &item.data()).unwrap();
                prop_assert_eq!(again.bytes(), &Bytes::from(bytes));
            }
        }
    }

    #[test]
    fn second_forms_are_refused() {
        let item = ItemDraft { data: Bytes::from_static(b"x"), ..ItemDraft::default() }
            .sign(Signer::Ethereum(&key()))
            .unwrap();
        let presence = 2 + 65 + 65;
        let mut bytes = item.bytes().to_vec();
        bytes[presence] = 2;
        assert!(DataItem::parse(bytes.into()).is_err());
        let mut bytes = item.bytes().to_vec();
        // One byte of tags, an empty Avro array, where no bytes belong.
        bytes[presence + 10] = 1;
        bytes.insert(presence + 18, 0);
        assert!(DataItem::parse(bytes.into()).is_err());
        for cut in 0..presence + 18 {
            assert!(DataItem::parse(item.bytes().slice(..cut)).is_err(), "{cut}");
        }
        for kind in [0, 4, 5, 6, 7, 300_u16] {
            let mut bytes = item.bytes().to_vec();
            bytes[..2].copy_from_slice(&kind.to_le_bytes());
            assert!(DataItem::parse(bytes.into()).is_err(), "{kind}");
        }
    }
}
