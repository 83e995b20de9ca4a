//! The manifest: which block a checkpoint is of, and which items hold it.
//!
//! Canonical RLP, so that one manifest has one hash. [`Manifest::decode`] accepts nothing that [`Manifest::encode`]
//! would not write, and nothing that contradicts itself: entries by section, key ranges ascending and disjoint, headers
//! without a gap from the parent's block to its own.
//!
//! ```text
//! [ version = 1, chain id, genesis hash, block number, block hash, state root, kind (0 full, 1 diff),
//!   [] or [ parent's item id, SHA-256, block number, block hash ],
//!   [ [ section (0 accounts, 1 storage, 2 code, 3 headers), item id, SHA-256, bytes, raw bytes, records,
//!       first key, last key ], … ] ]
//! ```

use super::{ITEM_BYTES_MAX, ItemId, ItemKind, Malformed, RAW_BYTES_MAX};
use alloy_primitives::{B256, Bytes};
use alloy_rlp::{Decodable, Encodable, Header as RlpHeader, RlpDecodable, RlpEncodable};
use std::fmt;
use weft_primitives::BlockNumHash;
use weft_storage::{StorageError, View};

/// Version of the checkpoint format.
pub const CHECKPOINT_VERSION: u8 = 1;
/// Items of one manifest: a terabyte of state at 4 MiB each.
pub const ENTRIES_MAX: usize = 1 << 18;
/// Bytes of one manifest: the most entries at 220 bytes each, and the rest.
pub const MANIFEST_BYTES_MAX: u64 = 56 << 20;

/// Which chain: its id, and the hash of its genesis block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// EIP-155.
    pub id: u64,
    /// Hash of block 0.
    pub genesis: B256,
}

impl Chain {
    /// The chain that a database is of; storage does not know its id.
    pub(crate) fn of(view: &View<'_>, id: u64) -> Result<Self, StorageError> {
        let genesis = view.canonical_hash(0)?.ok_or(StorageError::MissingBlock(0))?;
        Ok(Self { id, genesis })
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (genesis {})", self.id, self.genesis)
    }
}

/// What the state chunks of a checkpoint hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The whole state.
    Full,
    /// What is different from the parent's state, deletions included.
    Diff,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Full { "full" } else { "diff" })
    }
}

/// What the records of an item are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// keccak(address) → account.
    Accounts,
    /// keccak(address) ‖ keccak(slot) → value.
    Storage,
    /// keccak(code) → code.
    Code,
    /// u64 number → header, and what its `daRoot` commits to.
    Headers,
}

impl Section {
    /// All, in the order of a manifest.
    pub const ALL: [Self; 4] = [Self::Accounts, Self::Storage, Self::Code, Self::Headers];

    /// Its number on the wire.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Accounts => 0,
            Self::Storage => 1,
            Self::Code => 2,
            Self::Headers => 3,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|section| section.number() == number)
    }

    /// What its items are.
    pub(crate) const fn item_kind(self) -> ItemKind {
        match self {
            Self::Headers => ItemKind::Headers,
            Self::Accounts | Self::Storage | Self::Code => ItemKind::State,
        }
    }

    /// Bytes of its keys.
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::Accounts | Self::Code => 32,
            Self::Storage => 64,
            Self::Headers => 8,
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accounts => "accounts",
            Self::Storage => "storage",
            Self::Code => "code",
            Self::Headers => "headers",
        })
    }
}

/// One item of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it holds.
    pub section: Section,
    /// Where it is kept.
    pub id: ItemId,
    /// Of its bytes: its name.
    pub sha256: B256,
    /// Of the item, compressed.
    pub bytes: u64,
    /// Uncompressed.
    pub raw_bytes: u64,
    /// How many; at least one.
    pub records: u64,
    /// Key of its first record.
    pub first_key: Bytes,
    /// Key of its last record.
    pub last_key: Bytes,
}

/// The checkpoint that another one follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Where its manifest is kept.
    pub id: ItemId,
    /// Of its manifest.
    pub sha256: B256,
    /// Its block.
    pub block: BlockNumHash,
}

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Of which chain.
    pub chain: Chain,
    /// Of which block.
    pub block: BlockNumHash,
    /// In that block's header.
    pub state_root: B256,
    /// What the state chunks are.
    pub kind: Kind,
    /// The checkpoint before it; headers begin after that one's block, or with genesis where there is none.
    pub parent: Option<Parent>,
    /// Items by section and key.
    pub entries: Vec<Entry>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct RawEntry {
    section: u8,
    id: B256,
    sha256: B256,
    bytes: u64,
    raw_bytes: u64,
    records: u64,
    first_key: Bytes,
    last_key: Bytes,
}

#[derive(RlpEncodable, RlpDecodable)]
struct RawManifest {
    version: u8,
    chain_id: u64,
    genesis: B256,
    number: u64,
    hash: B256,
    state_root: B256,
    kind: u8,
    parent: RawParent,
    entries: Vec<RawEntry>,
}

/// `[]`, or the four fields.
struct RawParent(Option<Parent>);

#[derive(RlpEncodable, RlpDecodable)]
struct ParentFields {
    id: B256,
    sha256: B256,
    number: u64,
    hash: B256,
}

impl Encodable for RawParent {
    fn encode(&self, out: &mut dyn alloy_rlp::BufMut) {
        match self.0 {
            None => RlpHeader { list: true, payload_length: 0 }.encode(out),
            Some(Parent { id, sha256, block }) => {
                ParentFields { id: id.0, sha256, number: block.number, hash: block.hash }.encode(out);
            }
        }
    }
}

impl Decodable for RawParent {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        if buf.first() == Some(&alloy_rlp::EMPTY_LIST_CODE) {
            *buf = &buf[1..];
            return Ok(Self(None));
        }
        let ParentFields { id, sha256, number, hash } = ParentFields::decode(buf)?;
        Ok(Self(Some(Parent { id: ItemId(id), sha256, block: BlockNumHash { number, hash } })))
    }
}

impl Manifest {
    /// The bytes of the manifest's item.
    pub fn encode(&self) -> Vec<u8> {
        let entries = self.entries.iter().map(|entry| RawEntry {
            section: entry.section.number(),
            id: entry.id.0,
            sha256: entry.sha256,
            bytes: entry.bytes,
            raw_bytes: entry.raw_bytes,
            records: entry.records,
            first_key: entry.first_key.clone(),
            last_key: entry.last_key.clone(),
        });
        let raw = RawManifest {
            version: CHECKPOINT_VERSION,
            chain_id: self.chain.id,
            genesis: self.chain.genesis,
            number: self.block.number,
            hash: self.block.hash,
            state_root: self.state_root,
            kind: u8::from(self.kind == Kind::Diff),
            parent: RawParent(self.parent),
            entries: entries.collect(),
        };
        alloy_rlp::encode(raw)
    }

    /// Reads a manifest and refuses one that contradicts itself. Memory: about twice its bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() as u64 > MANIFEST_BYTES_MAX {
            return Err(Malformed("manifest exceeds its limit"));
        }
        let raw: RawManifest = alloy_rlp::decode_exact(bytes)?;
        if raw.version != CHECKPOINT_VERSION {
            return Err(Malformed("manifest of another version"));
        }
        let kind = match raw.kind {
            0 => Kind::Full,
            1 => Kind::Diff,
            _ => return Err(Malformed("kind that is neither full nor diff")),
        };
        let entries = raw.entries.into_iter().map(Entry::try_from).collect::<Result<_, _>>()?;
        let manifest = Self {
            chain: Chain { id: raw.chain_id, genesis: raw.genesis },
            block: BlockNumHash { number: raw.number, hash: raw.hash },
            state_root: raw.state_root,
            kind,
            parent: raw.parent.0,
            entries,
        };
        manifest.check()?;
        Ok(manifest)
    }

    /// Entries of one section, by key.
    pub fn section(&self, section: Section) -> &[Entry] {
        let start = self.entries.partition_point(|entry| entry.section < section);
        let end = self.entries.partition_point(|entry| entry.section <= section);
        &self.entries[start..end]
    }

    /// Bytes of all items but the manifest.
    pub fn bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.bytes).sum()
    }

    fn check(&self) -> Result<(), Malformed> {
        if self.entries.len() > ENTRIES_MAX {
            return Err(Malformed("too many entries"));
        }
        match self.parent {
            Some(parent) if parent.block.number >= self.block.number => {
                return Err(Malformed("the parent is not below the block"));
            }
            None if self.kind == Kind::Diff => return Err(Malformed("a diff without a parent")),
            _ => {}
        }
        for pair in self.entries.windows(2) {
            let order = pair[0].section.cmp(&pair[1].section);
            if order.then_with(|| pair[0].last_key.cmp(&pair[1].first_key)).is_ge() {
                return Err(Malformed("entries are not in the order of their keys"));
            }
        }
        self.check_headers()
    }

    /// Header ranges follow each other from the parent's block to this one.
    fn check_headers(&self) -> Result<(), Malformed> {
        let mut next = self.parent.map_or(0, |parent| parent.block.number + 1);
        for entry in self.section(Section::Headers) {
            let (first, last) = entry.numbers().ok_or(Malformed("header keys are not numbers"))?;
            let count = last - first + 1;
            if first != next || entry.records != count || last > self.block.number {
                return Err(Malformed("headers do not follow each other"));
            }
            next = last + 1;
        }
        if next == self.block.number + 1 { Ok(()) } else { Err(Malformed("headers do not reach the block")) }
    }
}

impl Entry {
    /// First and last number of a headers entry.
    fn numbers(&self) -> Option<(u64, u64)> {
        let number = |key: &Bytes| <[u8; 8]>::try_from(key.as_ref()).ok().map(u64::from_be_bytes);
        // The sum of a count must not overflow.
        let (first, last) = (number(&self.first_key)?, number(&self.last_key)?);
        (first <= last && last < u64::MAX).then_some((first, last))
    }
}

impl TryFrom<RawEntry> for Entry {
    type Error = Malformed;

    fn try_from(raw: RawEntry) -> Result<Self, Malformed> {
        let section = Section::from_number(raw.section).ok_or(Malformed("entry of an unknown section"))?;
        let key_bytes = section.key_bytes();
        if raw.first_key.len() != key_bytes || raw.last_key.len() != key_bytes || raw.first_key > raw.last_key
        {
            return Err(Malformed("entry without a key range"));
        }
        if raw.bytes > ITEM_BYTES_MAX || raw.raw_bytes > RAW_BYTES_MAX as u64 || raw.records == 0 {
            return Err(Malformed("entry of an impossible size"));
        }
        Ok(Self {
            section,
            id: ItemId(raw.id),
            sha256: raw.sha256,
            bytes: raw.bytes,
            raw_bytes: raw.raw_bytes,
            records: raw.records,
            first_key: raw.first_key,
            last_key: raw.last_key,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(section: Section, first: u8, last: u8) -> Entry {
        let key = |n: u8| {
            let mut key = vec![0; section.key_bytes()];
            *key.last_mut().unwrap() = n;
            Bytes::from(key)
        };
        Entry {
            section,
            id: ItemId(B256::repeat_byte(first)),
            sha256: B256::repeat_byte(last),
            bytes: 100,
            raw_bytes: 1000,
            records: u64::from(last - first) + 1,
            first_key: key(first),
            last_key: key(last),
        }
    }

    fn manifest() -> Manifest {
        Manifest {
            chain: Chain { id: 1337, genesis: B256::repeat_byte(1) },
            block: BlockNumHash { number: 9, hash: B256::repeat_byte(2) },
            state_root: B256::repeat_byte(3),
            kind: Kind::Diff,
            parent: Some(Parent {
                id: ItemId(B256::repeat_byte(4)),
                sha256: B256::repeat_byte(5),
                block: BlockNumHash { number: 4, hash: B256::repeat_byte(6) },
            }),
            entries: vec![
                entry(Section::Accounts, 1, 4),
                entry(Section::Accounts, 7, 7),
                entry(Section::Storage, 0, 255),
                entry(Section::Headers, 5, 7),
                entry(Section::Headers, 8, 9),
            ],
        }
    }

    /// A change of the wire format must change [`CHECKPOINT_VERSION`], and with it this hash.
    #[test]
    fn conformance() {
        let bytes = manifest().encode();
        assert_eq!(
            weft_erasure::sha256(&bytes).to_string(),
            "0x4e95ebf559d1db271747bf2ad18336d1ef0c0b9196c5fe6dfe2288994b11de76"
        );
        // Written by hand after the RLP of Ethereum's yellow paper: the fields before the parent.
        let fields = [
            vec![0x01, 0x82, 0x05, 0x39, 0xa0],
            vec![1; 32],
            vec![0x09, 0xa0],
            vec![2; 32],
            vec![0xa0],
            vec![3; 32],
            vec![0x01, 0xf8, 0x64, 0xa0],
            vec![4; 32],
            vec![0xa0],
            vec![5; 32],
            vec![0x04, 0xa0],
            vec![6; 32],
        ];
        assert!(bytes[3..].starts_with(&fields.concat()), "{}", alloy_primitives::hex::encode(&bytes));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        fn swap<T>(list: &mut [T], a: usize, b: usize) {
            list.swap(a, b);
        }
        type Damage = fn(&mut Manifest);
        let cases: [(&str, Damage); 12] = [
            ("order", |m| swap(&mut m.entries, 0, 1)),
            ("order", |m| swap(&mut m.entries, 1, 2)),
            ("order", |m| m.entries[1].first_key = m.entries[0].last_key.clone()),
            ("key range", |m| m.entries[0].first_key = vec![0xff; 32].into()),
            ("key range", |m| m.entries[0].first_key = vec![0; 31].into()),
            ("impossible size", |m| m.entries[0].records = 0),
            ("impossible size", |m| m.entries[0].bytes = ITEM_BYTES_MAX + 1),
            ("impossible size", |m| m.entries[0].raw_bytes = RAW_BYTES_MAX as u64 + 1),
            ("follow each other", |m| m.entries[3].records = 2),
            ("reach the block", |m| drop(m.entries.pop())),
            ("not below", |m| m.parent.as_mut().unwrap().block.number = 9),
            ("without a parent", |m| m.parent = None),
        ];
        assert_eq!(Manifest::decode(&manifest().encode()), Ok(manifest()));
        for (words, damage) in cases {
            let mut damaged = manifest();
            damage(&mut damaged);
            let error = Manifest::decode(&damaged.encode()).unwrap_err();
            assert!(error.0.contains(words), "{words}: {error}");
        }
        for at in [3, 4] {
            let mut gap = manifest();
            gap.entries.remove(at);
            assert!(Manifest::decode(&gap.encode()).is_err());
        }
    }

    #[test]
    fn a_manifest_of_another_version_or_with_more_behind_it_is_refused() {
        let bytes = manifest().encode();
        let mut other = bytes.clone();
        other[3] = 2;
        assert_eq!(Manifest::decode(&other), Err(Malformed("manifest of another version")));
        assert!(Manifest::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
        assert!(Manifest::decode(&bytes[..bytes.len() - 1]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_written_again_as_they_were(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
            flip in any::<u8>(),
        ) {
            let check = |bytes: &[u8]| match Manifest::decode(bytes) {
                Ok(manifest) => manifest.encode() == bytes,
                Err(_) => true,
            };
            prop_assert!(check(&bytes));
            let mut damaged = manifest().encode();
            let at = at.index(damaged.len());
            damaged[at] ^= flip;
            prop_assert!(check(&damaged));
            prop_assert!(check(&damaged[..at]));
        }
    }
}
