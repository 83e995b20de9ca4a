//! The values of records.
//!
//! | section | key | value |
//! |---|---|---|
//! | accounts | keccak(address) | `[nonce, balance, storage root or "", code hash or ""]`, the slim account of Ethereum's snap protocol; `""` in a diff: gone |
//! | storage | keccak(address) ‖ keccak(slot) | the value as an integer; zero, which is `""`, in a diff only: gone |
//! | code | keccak(code) | the code |
//! | headers | u64 number | `[header, []]`, or `[header, [version, k, m, chunkBytes, [columnRoot, …], [[txHash, txIndex, length], …]]]` |
//!
//! An account carries its storage root although its slots give it: so accounts and slots can be loaded apart, and what
//! does not fit is found with its name. The rest of `daRoot`'s preimage (counts, `firstChunk`, `blobsRoot`,
//! `columnsRoot`) follows from what is there and is computed; it must lead to the header's `extraData`.

use super::{ChunkReader, Entry, Kind, Malformed, Section};
use alloy_consensus::constants::{EMPTY_ROOT_HASH, KECCAK_EMPTY};
use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use weft_primitives::{BlobRef, ChunkIndex, DaSummary, Geometry, Header, SealedHeader, StoredAccount};

/// A record of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// `None`: gone.
    Account(B256, Option<StoredAccount>),
    /// Zero: gone.
    Slot(B256, B256, U256),
    Code(B256, Bytes),
    Header(Box<SealedHeader>, Option<Box<DaSummary>>),
}

impl Record {
    /// Its key.
    pub(crate) fn key(&self) -> Vec<u8> {
        match self {
            Self::Account(hash, _) | Self::Code(hash, _) => hash.to_vec(),
            Self::Slot(address, slot, _) => [address.0, slot.0].concat(),
            Self::Header(header, _) => header.number.to_be_bytes().to_vec(),
        }
    }
}

#[derive(RlpEncodable, RlpDecodable)]
struct SlimAccount {
    nonce: u64,
    balance: U256,
    storage_root: Bytes,
    code_hash: Bytes,
}

fn put_unless(hash: B256, empty: B256) -> Bytes {
    if hash == empty { Bytes::new() } else { hash.0.into() }
}

fn take_unless(bytes: &Bytes, empty: B256) -> Result<B256, Malformed> {
    if bytes.is_empty() {
        return Ok(empty);
    }
    match B256::try_from(bytes.as_ref()) {
        Ok(hash) if hash != empty => Ok(hash),
        _ => Err(Malformed("account with a root or code hash that is none")),
    }
}

/// Value of an account record.
pub(crate) fn encode_account(account: Option<&StoredAccount>, out: &mut Vec<u8>) {
    let Some(account) = account else { return out.push(alloy_rlp::EMPTY_STRING_CODE) };
    let slim = SlimAccount {
        nonce: account.nonce,
        balance: account.balance,
        storage_root: put_unless(account.storage_root, EMPTY_ROOT_HASH),
        code_hash: put_unless(account.code_hash, KECCAK_EMPTY),
    };
    slim.encode(out);
}

fn decode_account(rest: &mut &[u8]) -> Result<Option<StoredAccount>, Malformed> {
    if rest.first() == Some(&alloy_rlp::EMPTY_STRING_CODE) {
        *rest = &rest[1..];
        return Ok(None);
    }
    let slim = SlimAccount::decode(rest)?;
    Ok(Some(StoredAccount {
        nonce: slim.nonce,
        balance: slim.balance,
        storage_root: take_unless(&slim.storage_root, EMPTY_ROOT_HASH)?,
        code_hash: take_unless(&slim.code_hash, KECCAK_EMPTY)?,
    }))
}

#[derive(RlpEncodable, RlpDecodable)]
struct RawBlob {
    tx_hash: B256,
    tx_index: u32,
    length: u64,
}

#[derive(RlpEncodable, RlpDecodable)]
struct RawPreimage {
    version: u16,
    data_shards: u16,
    parity_shards: u16,
    chunk_bytes: u32,
    column_roots: Vec<B256>,
    blobs: Vec<RawBlob>,
}

/// `[]`, or the fields.
struct OptionalPreimage(Option<RawPreimage>);

impl Encodable for OptionalPreimage {
    fn encode(&self, out: &mut dyn alloy_rlp::BufMut) {
        match &self.0 {
            None => out.put_u8(alloy_rlp::EMPTY_LIST_CODE),
            Some(raw) => raw.encode(out),
        }
    }

    fn length(&self) -> usize {
        self.0.as_ref().map_or(1, Encodable::length)
    }
}

impl Decodable for OptionalPreimage {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        if buf.first() == Some(&alloy_rlp::EMPTY_LIST_CODE) {
            *buf = &buf[1..];
            return Ok(Self(None));
        }
        RawPreimage::decode(buf).map(|raw| Self(Some(raw)))
    }
}

#[derive(RlpEncodable, RlpDecodable)]
struct RawHeader {
    header: Header,
    preimage: OptionalPreimage,
}

/// Value of a header record.
pub(crate) fn encode_header(header: &Header, summary: Option<&DaSummary>, out: &mut Vec<u8>) {
    let preimage = summary.map(|summary| {
        let g = &summary.geometry;
        let small = |n: usize| u16::try_from(n).expect("Geometry allows at most 256 columns");
        RawPreimage {
            version: g.version(),
            data_shards: small(g.data_shards()),
            parity_shards: small(g.parity_shards()),
            chunk_bytes: u32::try_from(g.chunk_bytes()).expect("Geometry holds chunkBytes as u32"),
            column_roots: summary.column_roots.clone(),
            blobs: summary
                .blobs
                .iter()
                .map(|blob| RawBlob { tx_hash: blob.tx_hash, tx_index: blob.tx_index, length: blob.length })
                .collect(),
        }
    });
    RawHeader { header: header.clone(), preimage: OptionalPreimage(preimage) }.encode(out);
}

fn decode_summary(raw: RawPreimage, header: &Header) -> Result<DaSummary, Malformed> {
    let geometry = Geometry::new(raw.version, raw.data_shards, raw.parity_shards, raw.chunk_bytes)
        .map_err(|_| Malformed("geometry that no chain can have"))?;
    let mut first_chunk = 0_u32;
    let mut blobs = Vec::with_capacity(raw.blobs.len());
    for blob in raw.blobs {
        blobs.push(BlobRef {
            tx_hash: blob.tx_hash,
            tx_index: blob.tx_index,
            length: blob.length,
            first_chunk: ChunkIndex(first_chunk),
        });
        let chunks = u32::try_from(blob.length.div_ceil(geometry.chunk_bytes() as u64)).ok();
        first_chunk = chunks
            .and_then(|chunks| first_chunk.checked_add(chunks))
            .ok_or(Malformed("blobs with more chunks than a block has"))?;
    }
    let summary = weft_erasure::summary_of_roots(geometry, blobs, raw.column_roots)
        .map_err(|_| Malformed("preimage of a daRoot that does not fit together"))?;
    if header.extra_data[..] != summary.da_root[..] {
        return Err(Malformed("preimage that does not lead to the header's daRoot"));
    }
    Ok(summary)
}

/// Reads one record of `section`; `kind` says whether a record may be a deletion.
fn decode(section: Section, kind: Kind, key: &[u8], rest: &mut &[u8]) -> Result<Record, Malformed> {
    let hash = |at: usize| B256::from_slice(&key[at..at + 32]);
    match section {
        Section::Accounts => match decode_account(rest)? {
            None if kind == Kind::Full => Err(Malformed("deletion in a full checkpoint")),
            account => Ok(Record::Account(hash(0), account)),
        },
        Section::Storage => {
            let value = U256::decode(rest)?;
            if value.is_zero() && kind == Kind::Full {
                return Err(Malformed("deletion in a full checkpoint"));
            }
            Ok(Record::Slot(hash(0), hash(32), value))
        }
        Section::Code => {
            let code = Bytes::decode(rest)?;
            if keccak256(&code) != hash(0) {
                return Err(Malformed("code that does not have its hash"));
            }
            Ok(Record::Code(hash(0), code))
        }
        Section::Headers => {
            let before = *rest;
            let RawHeader { header, preimage } = RawHeader::decode(rest)?;
            if header.number.to_be_bytes() != *key {
                return Err(Malformed("header under another number"));
            }
            let summary = preimage.0.map(|raw| decode_summary(raw, &header)).transpose()?;
            let mut again = Vec::with_capacity(before.len() - rest.len());
            encode_header(&header, summary.as_ref(), &mut again);
            if again != before[..before.len() - rest.len()] {
                return Err(Malformed("header that is not canonical"));
            }
            Ok(Record::Header(Box::new(SealedHeader::seal_slow(header)), summary.map(Box::new)))
        }
    }
}

/// The records of one item, compared with what its manifest says about it. Ends after an error.
#[derive(Debug)]
pub(crate) struct Records {
    section: Section,
    kind: Kind,
    reader: ChunkReader,
    first_key: Bytes,
    last_key: Bytes,
    records: u64,
    done: bool,
}

impl Records {
    /// Opens the item of `entry`, in a checkpoint of `kind`.
    pub(crate) fn open(entry: &Entry, kind: Kind, item: &[u8]) -> Result<Self, Malformed> {
        let reader = ChunkReader::open(entry.section, item)?;
        if reader.raw_bytes() != entry.raw_bytes {
            return Err(Malformed("content of another length than the manifest says"));
        }
        Ok(Self {
            section: entry.section,
            kind,
            reader,
            first_key: entry.first_key.clone(),
            last_key: entry.last_key.clone(),
            records: entry.records,
            done: false,
        })
    }

    fn step(&mut self) -> Result<Option<Record>, Malformed> {
        let (section, kind) = (self.section, self.kind);
        let record = self.reader.next(|key, rest| decode(section, kind, key, rest))?;
        let first = self.reader.records() == 1 && self.reader.key() != self.first_key.as_ref();
        if record.is_some() && first {
            return Err(Malformed("another first key than the manifest says"));
        }
        let end = self.reader.key() == self.last_key.as_ref() && self.reader.records() == self.records;
        if record.is_none() && !end {
            return Err(Malformed("another last key or number of records than the manifest says"));
        }
        Ok(record)
    }
}

impl Iterator for Records {
    type Item = Result<Record, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let record = self.step().transpose();
        self.done = !matches!(record, Some(Ok(_)));
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(record: &Record) -> (Section, Vec<u8>, Vec<u8>) {
        let mut value = Vec::new();
        match record {
            Record::Account(address, account) => {
                encode_account(account.as_ref(), &mut value);
                (Section::Accounts, address.to_vec(), value)
            }
            Record::Slot(address, slot, number) => {
                number.encode(&mut value);
                (Section::Storage, [*address, *slot].concat(), value)
            }
            Record::Code(hash, code) => {
                code.encode(&mut value);
                (Section::Code, hash.to_vec(), value)
            }
            Record::Header(header, summary) => {
                encode_header(header.header(), summary.as_deref(), &mut value);
                (Section::Headers, header.number.to_be_bytes().to_vec(), value)
            }
        }
    }

    /// Whatever decodes is written the same again.
    fn canonical(section: Section, key: &[u8], value: &[u8]) -> Result<(), TestCaseError> {
        let mut rest = value;
        if let Ok(record) = decode(section, Kind::Diff, key, &mut rest) {
            let used = value.len() - rest.len();
            prop_assert_eq!(encoded(&record), (section, key.to_vec(), value[..used].to_vec()));
        }
        Ok(())
    }

    fn hash() -> impl Strategy<Value = B256> {
        any::<[u8; 32]>().prop_map(B256::new)
    }

    fn word() -> impl Strategy<Value = U256> {
        (any::<[u8; 32]>(), 0usize..=256).prop_map(|(bytes, shift)| U256::from_be_bytes(bytes) >> shift)
    }

    fn account() -> impl Strategy<Value = StoredAccount> {
        (any::<u64>(), word(), prop::option::of(hash()), prop::option::of(hash())).prop_map(
            |(nonce, balance, root, code)| StoredAccount {
                nonce,
                balance,
                storage_root: root.unwrap_or(EMPTY_ROOT_HASH),
                code_hash: code.unwrap_or(KECCAK_EMPTY),
            },
        )
    }

    fn header() -> impl Strategy<Value = Record> {
        let geometry = Geometry::new(1, 2, 3, 256).unwrap();
        let blobs = prop::collection::vec((hash(), any::<u32>(), 1u64..2000), 0..4);
        let roots = prop::collection::vec(hash(), geometry.columns());
        (any::<u32>(), any::<bool>(), blobs, roots).prop_map(move |(number, has_da, blobs, roots)| {
            let mut next = 0;
            let blobs = blobs.into_iter().map(|(tx_hash, tx_index, length)| {
                let first_chunk = ChunkIndex(next);
                next += u32::try_from(length.div_ceil(256)).unwrap();
                BlobRef { tx_hash, tx_index, length, first_chunk }
            });
            let summary = weft_erasure::summary_of_roots(geometry, blobs.collect(), roots).unwrap();
            let header = Header {
                number: number.into(),
                extra_data: if has_da { summary.da_root.0.into() } else { Bytes::from_static(b"plain") },
                base_fee_per_gas: Some(7),
                ..Header::default()
            };
            Record::Header(Box::new(SealedHeader::seal_slow(header)), has_da.then(|| Box::new(summary)))
        })
    }

    fn record() -> impl Strategy<Value = Record> {
        prop_oneof![
            (hash(), prop::option::of(account())).prop_map(|(key, account)| Record::Account(key, account)),
            (hash(), hash(), word()).prop_map(|(key, slot, value)| Record::Slot(key, slot, value)),
            prop::collection::vec(any::<u8>(), 1..100)
                .prop_map(|code| Record::Code(keccak256(&code), code.into())),
            header(),
        ]
    }

    proptest! {
        #[test]
        fn records_come_back(record in record(), tail in prop::collection::vec(any::<u8>(), 0..9)) {
            let (section, key, value) = encoded(&record);
            let bytes = [value.as_slice(), &tail].concat();
            let mut rest = bytes.as_slice();
            prop_assert_eq!(decode(section, Kind::Diff, &key, &mut rest), Ok(record));
            prop_assert_eq!(rest, tail.as_slice());
        }

        #[test]
        fn damaged_records_are_refused_or_canonical(record in record(), at in any::<prop::sample::Index>(), flip in any::<u8>()) {
            let (section, key, mut value) = encoded(&record);
            let at = at.index(value.len());
            value[at] ^= flip;
            canonical(section, &key, &value)?;
            canonical(section, &key, &value[..at])?;
        }

        #[test]
        fn any_bytes_are_refused_or_canonical(section in prop::sample::select(Section::ALL.to_vec()), key in any::<[u8; 32]>(), value in prop::collection::vec(any::<u8>(), 0..300)) {
            let key = [key, key].concat();
            canonical(section, &key[..section.key_bytes()], &value)?;
        }
    }

    /// The slim account of the snap protocol, and what its hash in the trie stands for, as alloy-trie has it.
    #[test]
    fn a_slim_account_is_the_tries_account_without_what_is_empty() {
        let account = StoredAccount { nonce: 1, balance: U256::from(100), ..StoredAccount::default() };
        let mut value = Vec::new();
        encode_account(Some(&account), &mut value);
        assert_eq!(value, [0xc4, 0x01, 0x64, 0x80, 0x80]);
        let full = alloy_rlp::encode(account);
        assert_eq!(full[2..4], value[1..3]);
        assert_eq!(full.len(), 2 + 2 + 33 + 33);
    }

    #[test]
    fn deletions_are_for_diffs() {
        let deleted = [alloy_rlp::EMPTY_STRING_CODE];
        for section in [Section::Accounts, Section::Storage] {
            let key = vec![1; section.key_bytes()];
            assert!(decode(section, Kind::Diff, &key, &mut deleted.as_slice()).is_ok());
            let error = decode(section, Kind::Full, &key, &mut deleted.as_slice()).unwrap_err();
            assert_eq!(error, Malformed("deletion in a full checkpoint"));
        }
    }

    #[test]
    fn lies_about_code_and_commitments_are_refused() {
        let code = alloy_rlp::encode(Bytes::from_static(b"code"));
        let error = decode(Section::Code, Kind::Full, &[1; 32], &mut code.as_slice()).unwrap_err();
        assert_eq!(error, Malformed("code that does not have its hash"));
        let summary = weft_erasure::summarize(Geometry::DEV, std::iter::empty());
        let header = Header { extra_data: vec![1; 32].into(), ..Header::default() };
        let mut value = Vec::new();
        encode_header(&header, Some(&summary), &mut value);
        let error = decode(Section::Headers, Kind::Full, &[0; 8], &mut value.as_slice()).unwrap_err();
        assert!(error.0.contains("does not lead to"), "{error}");
        value.clear();
        encode_header(&header, None, &mut value);
        assert!(decode(Section::Headers, Kind::Full, &[0; 8], &mut value.as_slice()).is_ok());
        let error = decode(Section::Headers, Kind::Full, &[1; 8], &mut value.as_slice()).unwrap_err();
        assert_eq!(error, Malformed("header under another number"));
    }
}
