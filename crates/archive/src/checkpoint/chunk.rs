//! Chunks: sorted records under one zstd frame, cut where the keys say.
//!
//! ```text
//! item = one zstd frame with its content size, of:
//!        u8 version = 1 ‖ u8 section ‖ record ‖ record ‖ …
//! record = u8 shared ‖ rest of the key ‖ RLP value
//! ```
//!
//! `shared` is how many bytes the key has in common with the one before it (0 for the first), as many as possible; keys
//! ascend. Keys are hashes, which no compressor shortens, so what neighbours share is left out by construction.
//!
//! A chunk ends behind a key whose last bits are zero ([`Cut`]). Keys are hashes, so such keys lie everywhere at
//! random, 2^16 records apart on average, and whether one is there depends on nothing but itself: a record that comes or
//! goes changes its own chunk, at most joins or splits it, and leaves all other chunks as they were, with their names. Cuts
//! by count or by size would move every later border instead. Only a chunk that grows to [`RAW_BYTES_MAX`] (every
//! sixtieth or so) is cut there, which moves borders up to its end and no further.
//!
//! Lies that are possible here: a frame that expands beyond its bound (the content size is read first and nothing
//! longer is written), records out of order or twice, other keys than the manifest names, values that are not
//! canonical. All are refused.

use super::{CheckpointError, Malformed, Section};
use alloy_primitives::Bytes;

/// Version of the records.
const RECORDS_VERSION: u8 = 1;
/// Uncompressed bytes of a chunk: four times the average, so that few are cut for their size.
pub const RAW_BYTES_MAX: usize = 16 << 20;
/// Bytes of an item: zstd's bound for content that does not shrink is 16 MiB and 64 KiB.
pub const ITEM_BYTES_MAX: u64 = 17 << 20;
/// Version, section.
const HEAD_BYTES: usize = 2;
/// zstd's default. Hashes do not shrink, so higher levels give 1 % more for five times the CPU.
const LEVEL: i32 = 3;

/// How often chunks end. Another rule makes other chunks: all of them are new items then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Zero bits at the end of an account's or a slot's key; at most 32. Sixteen make 65,536 records of 40 to 64
    /// bytes, so about 4 MiB: small enough to be fetched again when a connection breaks, large enough that an
    /// item's own cost on Arweave (signature and tags, 1.5 kB) is a two-thousandth.
    pub state_bits: u32,
    /// Zero bits at the end of a code hash. Nine make 512 contracts of about 8 kB.
    pub code_bits: u32,
    /// Headers of one item end where the number is a multiple of this, less one.
    pub headers: u64,
}

impl Default for Cut {
    fn default() -> Self {
        Self { state_bits: 16, code_bits: 9, headers: 4096 }
    }
}

impl Cut {
    /// Whether a chunk ends with this key.
    fn is_after(&self, section: Section, key: &[u8]) -> bool {
        let zeros = |bits: u32| {
            key.last_chunk().is_some_and(|tail| u32::from_be_bytes(*tail).trailing_zeros() >= bits.min(32))
        };
        match section {
            Section::Accounts | Section::Storage => zeros(self.state_bits),
            Section::Code => zeros(self.code_bits),
            Section::Headers => key.last_chunk().is_some_and(|number| {
                u64::from_be_bytes(*number).wrapping_add(1).is_multiple_of(self.headers.max(1))
            }),
        }
    }
}

/// A finished chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) item: Bytes,
    pub(crate) raw_bytes: u64,
    pub(crate) records: u64,
    pub(crate) first_key: Vec<u8>,
    pub(crate) last_key: Vec<u8>,
}

/// Makes chunks of the records of one section. Memory: one chunk, raw and compressed.
#[derive(Debug)]
pub(crate) struct ChunkWriter {
    section: Section,
    cut: Cut,
    raw: Vec<u8>,
    records: u64,
    first_key: Vec<u8>,
    last_key: Vec<u8>,
}

impl ChunkWriter {
    pub(crate) const fn section(&self) -> Section {
        self.section
    }

    pub(crate) fn new(section: Section, cut: Cut) -> Self {
        let mut writer =
            Self { section, cut, raw: Vec::new(), records: 0, first_key: Vec::new(), last_key: Vec::new() };
        writer.start();
        writer
    }

    fn start(&mut self) {
        self.raw.clear();
        self.raw.extend_from_slice(&[RECORDS_VERSION, self.section.number()]);
        self.records = 0;
        self.last_key.clear();
    }

    /// Adds a record whose key is above the last one's; up to two chunks are full then.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) -> Result<Vec<Chunk>, CheckpointError> {
        debug_assert_eq!(key.len(), self.section.key_bytes());
        let bytes = 1 + key.len() + value.len();
        let mut full = Vec::new();
        if self.raw.len() + bytes > RAW_BYTES_MAX {
            if HEAD_BYTES + bytes > RAW_BYTES_MAX {
                return Err(CheckpointError::RecordTooLarge { section: self.section, bytes });
            }
            full.extend(self.finish());
        }
        let shared = shared_bytes(&self.last_key, key);
        self.raw.push(u8::try_from(shared).expect("keys have at most 64 bytes"));
        self.raw.extend_from_slice(&key[shared..]);
        self.raw.extend_from_slice(value);
        if self.records == 0 {
            self.first_key = key.to_vec();
        }
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        self.records += 1;
        if self.cut.is_after(self.section, key) {
            full.extend(self.finish());
        }
        Ok(full)
    }

    /// The records since the last chunk, if any.
    pub(crate) fn finish(&mut self) -> Option<Chunk> {
        if self.records == 0 {
            return None;
        }
        let chunk = Chunk {
            item: compress(&self.raw).into(),
            raw_bytes: self.raw.len() as u64,
            records: self.records,
            first_key: std::mem::take(&mut self.first_key),
            last_key: self.last_key.clone(),
        };
        self.start();
        Some(chunk)
    }
}

fn shared_bytes(before: &[u8], key: &[u8]) -> usize {
    before.iter().zip(key).take_while(|(a, b)| a == b).count()
}

fn compress(raw: &[u8]) -> Vec<u8> {
    let mut out = vec![0; zstd_safe::compress_bound(raw.len())];
    let length = zstd_safe::compress(out.as_mut_slice(), raw, LEVEL)
        .expect("zstd's own bound is room enough, and the level is one of its own");
    out.truncate(length);
    out
}

/// The content of a frame; never writes more than [`RAW_BYTES_MAX`].
fn decompress(item: &[u8]) -> Result<Vec<u8>, Malformed> {
    let length = match zstd_safe::get_frame_content_size(item) {
        Ok(Some(length)) => length,
        _ => return Err(Malformed("not a zstd frame with its content size")),
    };
    let length = usize::try_from(length).ok().filter(|length| *length <= RAW_BYTES_MAX);
    let mut raw = vec![0; length.ok_or(Malformed("content exceeds a chunk"))?];
    let frame = zstd_safe::find_frame_compressed_size(item).map_err(|_| Malformed("damaged zstd frame"))?;
    if frame != item.len() {
        return Err(Malformed("more than one zstd frame"));
    }
    match zstd_safe::decompress(raw.as_mut_slice(), item) {
        Ok(written) if written == raw.len() => Ok(raw),
        _ => Err(Malformed("damaged zstd frame")),
    }
}

/// Reads the records of a chunk one after the other.
#[derive(Debug)]
pub(crate) struct ChunkReader {
    raw: Vec<u8>,
    at: usize,
    key: Vec<u8>,
    key_bytes: usize,
    records: u64,
}

impl ChunkReader {
    /// Opens an item; the section has to be its own.
    pub(crate) fn open(section: Section, item: &[u8]) -> Result<Self, Malformed> {
        let raw = decompress(item)?;
        match raw.get(..HEAD_BYTES) {
            Some([RECORDS_VERSION, number]) if *number == section.number() => {}
            Some([RECORDS_VERSION, _]) => return Err(Malformed("records of another section")),
            _ => return Err(Malformed("records of another version")),
        }
        Ok(Self { raw, at: HEAD_BYTES, key: Vec::new(), key_bytes: section.key_bytes(), records: 0 })
    }

    pub(crate) fn raw_bytes(&self) -> u64 {
        self.raw.len() as u64
    }

    /// Records that were read.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// Key of the last record that was read.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    /// The next record: its key, and what `decode` makes of the bytes from its value on, which it has to take off
    /// their front. `None` after the last one.
    pub(crate) fn next<T>(
        &mut self,
        decode: impl FnOnce(&[u8], &mut &[u8]) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        let mut rest = &self.raw[self.at..];
        let Some((&shared, after)) = rest.split_first() else { return Ok(None) };
        let shared = usize::from(shared);
        if shared > self.key.len() || shared >= self.key_bytes {
            return Err(Malformed("key shares more than the one before it has"));
        }
        let (suffix, after) =
            after.split_at_checked(self.key_bytes - shared).ok_or(Malformed("record ends early"))?;
        if self.records > 0 && self.key[shared] >= suffix[0] {
            return Err(Malformed("keys do not ascend, or share more than is said"));
        }
        self.key.truncate(shared);
        self.key.extend_from_slice(suffix);
        rest = after;
        let value = decode(&self.key, &mut rest)?;
        self.at = self.raw.len() - rest.len();
        self.records += 1;
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{U256, keccak256};
    use alloy_rlp::{Decodable, Encodable};
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    type Records = BTreeMap<[u8; 32], u64>;

    fn records(seed: u64, count: u64) -> Records {
        (0..count).map(|n| (keccak256(((seed << 32) + n).to_be_bytes()).0, n)).collect()
    }

    fn chunks(records: &Records, cut: Cut) -> Vec<Chunk> {
        let mut writer = ChunkWriter::new(Section::Accounts, cut);
        let mut chunks = Vec::new();
        for (key, value) in records {
            chunks.extend(writer.push(key, &alloy_rlp::encode(value)).unwrap());
        }
        chunks.extend(writer.finish());
        chunks
    }

    fn read(item: &[u8]) -> Result<Vec<(Vec<u8>, U256)>, Malformed> {
        let mut reader = ChunkReader::open(Section::Accounts, item)?;
        let mut records = Vec::new();
        while let Some(record) = reader.next(|key, rest| Ok((key.to_vec(), U256::decode(rest)?)))? {
            records.push(record);
        }
        Ok(records)
    }

    fn small() -> Cut {
        Cut { state_bits: 5, ..Cut::default() }
    }

    #[test]
    fn records_come_back_from_chunks_of_the_wanted_size() {
        let records = records(1, 5000);
        let chunks = chunks(&records, small());
        assert!((100..220).contains(&chunks.len()), "5000 records at 32 each: {}", chunks.len());
        let back: Vec<_> = chunks.iter().flat_map(|chunk| read(&chunk.item).unwrap()).collect();
        let expected: Vec<_> = records.iter().map(|(key, n)| (key.to_vec(), U256::from(*n))).collect();
        assert_eq!(back, expected);
        for chunk in &chunks {
            let records = read(&chunk.item).unwrap();
            assert_eq!(records.len() as u64, chunk.records);
            assert_eq!(records.first().unwrap().0, chunk.first_key);
            assert_eq!(records.last().unwrap().0, chunk.last_key);
        }
    }

    /// An implementation of zstd that we did not write, and that is not the one that we link, reads the same.
    #[test]
    fn another_decoder_reads_the_frames() {
        use std::io::Read;
        for chunk in chunks(&records(2, 3000), small()) {
            let mut raw = Vec::new();
            ruzstd::decoding::StreamingDecoder::new(chunk.item.as_ref())
                .unwrap()
                .read_to_end(&mut raw)
                .unwrap();
            assert_eq!(raw.len() as u64, chunk.raw_bytes);
            assert_eq!(raw, decompress(&chunk.item).unwrap());
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_description() {
        let mut writer = ChunkWriter::new(Section::Accounts, Cut::default());
        let (mut first, mut second) = ([0xaa; 32], [0xaa; 32]);
        (first[30], second[30], second[31]) = (0x01, 0x02, 0x07);
        writer.push(&first, &alloy_rlp::encode(5u8)).unwrap();
        writer.push(&second, &alloy_rlp::encode(0x1234u16)).unwrap();
        let expected =
            [vec![1, 0, 0], vec![0xaa; 30], vec![0x01, 0xaa, 0x05], vec![30, 0x02, 0x07, 0x82, 0x12, 0x34]];
        assert_eq!(decompress(&writer.finish().unwrap().item).unwrap(), expected.concat());
    }

    #[test]
    fn a_change_renames_its_own_chunk_only() {
        let before = records(3, 5000);
        let names = |records: &Records| -> BTreeSet<_> {
            chunks(records, small()).into_iter().map(|chunk| weft_erasure::sha256(&chunk.item)).collect()
        };
        let old = names(&before);
        let keys: Vec<_> = before.keys().copied().collect();
        for n in 0..40usize {
            let mut after = before.clone();
            let key = keys[n * 113];
            match n % 3 {
                0 => drop(after.remove(&key)),
                1 => drop(after.insert(key, 1 << 40)),
                _ => drop(after.insert(keccak256(key).0, 7)),
            }
            let new = names(&after);
            assert!(new.difference(&old).count() <= 2, "change {n}");
            assert!(old.difference(&new).count() <= 2, "change {n}");
        }
    }

    #[test]
    fn a_chunk_that_grows_too_large_is_cut_and_a_record_that_is_too_large_refused() {
        let mut writer = ChunkWriter::new(Section::Code, Cut { code_bits: 32, ..Cut::default() });
        let value = alloy_rlp::encode(Bytes::from(vec![7; 6 << 20]));
        let mut full = Vec::new();
        for n in 1..=5u8 {
            full.extend(writer.push(&[n; 32], &value).unwrap());
        }
        full.extend(writer.finish());
        assert_eq!(full.iter().map(|chunk| chunk.records).collect::<Vec<_>>(), [2, 2, 1]);
        let error = writer.push(&[9; 32], &vec![0; RAW_BYTES_MAX]).unwrap_err();
        assert!(matches!(error, CheckpointError::RecordTooLarge { section: Section::Code, .. }), "{error}");
    }

    #[test]
    fn a_frame_that_would_expand_without_bound_is_refused() {
        let bomb = compress(&vec![0; RAW_BYTES_MAX + 1]);
        assert!(bomb.len() < 10_000);
        assert_eq!(decompress(&bomb), Err(Malformed("content exceeds a chunk")));
        // A frame that does not say how long it is: streaming compression writes such.
        let mut context = zstd_safe::CCtx::create();
        let mut out = vec![0u8; 1 << 16];
        let mut output = zstd_safe::OutBuffer::around(out.as_mut_slice());
        let zeros = vec![0; 1 << 20];
        let mut input = zstd_safe::InBuffer::around(&zeros);
        context.compress_stream(&mut output, &mut input).unwrap();
        context.end_stream(&mut output).unwrap();
        let length = output.pos();
        assert_eq!(decompress(&out[..length]), Err(Malformed("not a zstd frame with its content size")));
        let good = compress(b"xx");
        assert_eq!(decompress(&[good.clone(), good].concat()), Err(Malformed("more than one zstd frame")));
    }

    #[test]
    fn records_out_of_order_or_of_something_else_are_refused() {
        let record = |shared: u8, key: &[u8], n: u8| [&[shared], key, &[n]].concat();
        let item = |records: &[Vec<u8>]| compress(&[vec![1, 0], records.concat()].concat());
        let (low, high) = ([1; 32], [2; 32]);
        assert!(read(&item(&[record(0, &low, 5), record(0, &high, 5)])).is_ok());
        for (records, words) in [
            (vec![record(0, &high, 5), record(0, &low, 5)], "ascend"),
            (vec![record(0, &low, 5), record(0, &low, 5)], "ascend"),
            (vec![record(0, &low, 5), record(31, &low[31..], 5)], "ascend"),
            (vec![record(1, &low[1..], 5)], "shares more"),
            (vec![record(0, &low, 5), record(32, &[], 5)], "shares more"),
            (vec![record(0, &low[1..], 5)], "ends"),
        ] {
            let error = read(&item(&records)).unwrap_err();
            assert!(error.0.contains(words), "{words}: {error}");
        }
        let section = ChunkReader::open(Section::Code, &item(&[record(0, &low, 5)])).unwrap_err();
        assert_eq!(section, Malformed("records of another section"));
        assert!(ChunkReader::open(Section::Accounts, &compress(&[2, 0])).is_err());
        assert!(ChunkReader::open(Section::Accounts, &compress(&[])).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read(raw in prop::collection::vec(any::<u8>(), 0..200), item in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&item);
            let raw = [&[1, 0], raw.as_slice()].concat();
            if let Ok(records) = read(&compress(&raw)) {
                let mut writer = ChunkWriter::new(Section::Accounts, Cut { state_bits: 32, ..Cut::default() });
                let mut value = Vec::new();
                for (key, number) in records {
                    value.clear();
                    number.encode(&mut value);
                    prop_assert!(writer.push(&key, &value).unwrap().is_empty() || key.ends_with(&[0; 4]));
                }
                if let Some(chunk) = writer.finish() {
                    prop_assert_eq!(decompress(&chunk.item).unwrap(), raw);
                }
            }
        }

        #[test]
        fn damaged_items_are_refused_or_read(at in any::<prop::sample::Index>(), flip in 1u8.., cut in any::<prop::sample::Index>()) {
            let item = &chunks(&records(4, 100), Cut::default())[0].item;
            let mut damaged = item.to_vec();
            let at = at.index(damaged.len());
            damaged[at] ^= flip;
            let _ = read(&damaged);
            prop_assert!(read(&item[..cut.index(item.len())]).is_err());
        }
    }
}
