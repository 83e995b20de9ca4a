//! ANS-104 bundles: a table of sizes and ids, then the data items one after the other.
//!
//! Numbers are 32 bytes little-endian: the count, then size and id of each item. A bundle is the data of a transaction or
//! of another item with the tags [`TAGS`]. Refused: sizes that do not add up to the length, an id that is not the
//! item's, the same id twice, items that are not canonical.

use crate::{
    DataItem, FormatError, Id, Tag,
    deep_hash::BlobHasher,
    item::{HEADER_BYTES_MAX, ItemHeader},
};
use bytes::Bytes;
use std::{
    collections::HashSet,
    io::{Read, Write},
    ops::Range,
};

/// Names and values that say that data is a bundle.
pub const TAGS: [(&str, &str); 2] = [("Bundle-Format", "binary"), ("Bundle-Version", "2.0.0")];
/// Most items of a bundle: 1,000,000, a table of 64 MB.
pub const ITEMS_MAX: u64 = 1_000_000;
/// How deep bundles may lie in each other.
pub const DEPTH_MAX: usize = 8;

const ENTRY_BYTES: usize = 64;

/// A bundle in memory, every item parsed but not verified.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Bundle {
    /// The items in their order.
    pub items: Vec<DataItem>,
}

/// The tags of a transaction or item that holds a bundle.
pub fn tags() -> Vec<Tag> {
    TAGS.iter().map(|(name, value)| Tag::new(*name, *value)).collect()
}

/// Whether something with these tags holds a bundle.
pub fn is_bundle(tags: &[Tag]) -> bool {
    TAGS.iter().all(|(name, value)| tags.iter().any(|tag| tag.is(name, value)))
}

impl Bundle {
    /// A bundle of these items; refuses the same item twice.
    pub fn new(items: Vec<DataItem>) -> Result<Self, FormatError> {
        let entries: Vec<_> =
            items.iter().map(|item| Entry { size: item.bytes().len() as u64, id: item.id() }).collect();
        check_entries(&entries)?;
        Ok(Self { items })
    }

    /// Reads a bundle that fills `bytes`, without copying its items.
    pub fn parse(bytes: &Bytes) -> Result<Self, FormatError> {
        let mut reader = &bytes[..];
        let entries = read_table(&mut reader, bytes.len() as u64)?;
        let mut at = bytes.len() - reader.len();
        let mut items = Vec::new();
        for entry in &entries {
            let size = usize::try_from(entry.size).map_err(|_| malformed(SIZES))?;
            let end = at.checked_add(size).filter(|end| *end <= bytes.len()).ok_or(malformed(SIZES))?;
            let item = DataItem::parse(bytes.slice(at..end))?;
            check_id(entry.id, item.id())?;
            items.push(item);
            at = end;
        }
        if at != bytes.len() {
            return Err(malformed(SIZES));
        }
        Ok(Self { items })
    }

    /// The bundle in pieces that are not copied: the table, then each item. Feed them to a
    /// [`ChunkTreeBuilder`](crate::ChunkTreeBuilder), a file or a request.
    pub fn pieces(&self) -> impl Iterator<Item = Bytes> + '_ {
        let entries: Vec<_> =
            self.items.iter().map(|item| Entry { size: item.bytes().len() as u64, id: item.id() }).collect();
        let table = table(&entries);
        std::iter::once(Bytes::from(table)).chain(self.items.iter().map(|item| item.bytes().clone()))
    }

    /// The bundle in one piece.
    pub fn to_bytes(&self) -> Bytes {
        self.pieces()
            .fold(Vec::new(), |mut all, piece| {
                all.extend_from_slice(&piece);
                all
            })
            .into()
    }

    /// Verifies the signature of every item.
    pub fn verify(&self) -> Result<(), FormatError> {
        self.items.iter().try_for_each(DataItem::verify)
    }

    /// Every item, and where one is a bundle, the items in it, each with its depth from 0, to at most `depth_max` bundles
    /// in each other. An item that says that it is a bundle and is not one is an error.
    pub fn flatten(&self, depth_max: usize) -> Result<Vec<(usize, DataItem)>, FormatError> {
        let mut found = Vec::new();
        let mut waiting: Vec<_> = self.items.iter().rev().map(|item| (0, item.clone())).collect();
        while let Some((depth, item)) = waiting.pop() {
            if is_bundle(item.tags()) {
                if depth + 1 >= depth_max {
                    let (found, max) = (depth as u64 + 2, depth_max as u64);
                    return Err(FormatError::TooLarge { field: "depth of bundles", found, max });
                }
                let inner = Self::parse(&item.data())?;
                waiting.extend(inner.items.into_iter().rev().map(|item| (depth + 1, item)));
            }
            found.push((depth, item));
        }
        Ok(found)
    }
}

/// One line of a bundle's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Bytes of the item, its header included.
    pub size: u64,
    /// Its id.
    pub id: Id,
}

/// Bytes of the table of the bundle that begins with `bytes`, of which 32 suffice.
pub fn table_bytes(bytes: &[u8]) -> Result<u64, FormatError> {
    let head = bytes.first_chunk::<32>().ok_or(malformed("cut off"))?;
    let count = number_value(head)?;
    if count > ITEMS_MAX {
        return Err(FormatError::TooLarge { field: "items of a bundle", found: count, max: ITEMS_MAX });
    }
    Ok(32 + ENTRY_BYTES as u64 * count)
}

/// Where in the bundle the item `id` lies, from the bundle's table.
pub fn locate(table: &[u8], id: Id) -> Result<Option<Range<u64>>, FormatError> {
    let mut reader = table;
    let mut at = table.len() as u64;
    for entry in read_entries(&mut reader)? {
        let end = at.checked_add(entry.size).ok_or(malformed(SIZES))?;
        if entry.id == id {
            return Ok(Some(at..end));
        }
        at = end;
    }
    Ok(None)
}

/// The table that a bundle begins with: the items follow in its order.
pub fn table(entries: &[Entry]) -> Vec<u8> {
    let mut table = Vec::with_capacity(32 + ENTRY_BYTES * entries.len());
    table.extend_from_slice(&number(entries.len() as u64));
    for entry in entries {
        table.extend_from_slice(&number(entry.size));
        table.extend_from_slice(entry.id.as_bytes());
    }
    table
}

/// Reads a bundle as a stream: the table is held (64 bytes per item), of the items only one header at a time.
pub struct BundleReader<R> {
    reader: R,
    entries: Vec<Entry>,
    next: usize,
}

impl<R: Read> BundleReader<R> {
    /// Reads the table of a bundle of `size` bytes.
    pub fn new(mut reader: R, size: u64) -> Result<Self, FormatError> {
        let entries = read_table(&mut reader, size)?;
        Ok(Self { reader, entries, next: 0 })
    }

    /// Sizes and ids.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The next item: its data goes to `sink`, then its id and signature are checked and its header is given. What reached
    /// `sink` is worth nothing when this fails. Nothing is left to read after the last item.
    pub fn next_item(&mut self, sink: &mut impl Write) -> Result<Option<ItemHeader>, FormatError> {
        let Some(entry) = self.entries.get(self.next) else { return Ok(None) };
        self.next += 1;
        let mut item = (&mut self.reader).take(entry.size);
        let mut head = Vec::with_capacity(HEADER_BYTES_MAX);
        (&mut item).take(HEADER_BYTES_MAX as u64).read_to_end(&mut head)?;
        let (header, length) = ItemHeader::parse(&head)?;
        check_id(entry.id, header.id())?;
        let mut hasher = BlobHasher::default();
        let mut piece = &head[length..];
        let mut total = length as u64;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            hasher.update(piece);
            sink.write_all(piece)?;
            total += piece.len() as u64;
            let read = item.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            piece = &buffer[..read];
        }
        if total != entry.size {
            return Err(malformed("cut off"));
        }
        header.verify(hasher.finish())?;
        Ok(Some(header))
    }
}

const SIZES: &str = "the sizes of the items do not add up to its length";

/// The table of a bundle of `size` bytes, which it accounts for to the byte.
fn read_table(reader: &mut impl Read, size: u64) -> Result<Vec<Entry>, FormatError> {
    let entries = read_entries(reader)?;
    if check_entries(&entries)? != size {
        return Err(malformed(SIZES));
    }
    Ok(entries)
}

/// The lines of a table. Memory grows with what was read, not with what the count promises.
fn read_entries(reader: &mut impl Read) -> Result<Vec<Entry>, FormatError> {
    let mut head = [0; 32];
    reader.read_exact(&mut head)?;
    let count = (table_bytes(&head)? - 32) / ENTRY_BYTES as u64;
    let mut entries = Vec::new();
    for _ in 0..count {
        let (mut size, mut id) = ([0; 32], [0; 32]);
        reader.read_exact(&mut size)?;
        reader.read_exact(&mut id)?;
        entries.push(Entry { size: number_value(&size)?, id: Id(id) });
    }
    Ok(entries)
}

/// Bytes of the bundle that has this table; no id occurs twice.
fn check_entries(entries: &[Entry]) -> Result<u64, FormatError> {
    let mut seen = HashSet::with_capacity(entries.len());
    let mut size = 32 + ENTRY_BYTES as u64 * entries.len() as u64;
    for entry in entries {
        if !seen.insert(entry.id) {
            return Err(malformed("the same id twice"));
        }
        size = size.checked_add(entry.size).ok_or(malformed(SIZES))?;
    }
    Ok(size)
}

fn check_id(expected: Id, found: Id) -> Result<(), FormatError> {
    if found == expected { Ok(()) } else { Err(FormatError::WrongId { expected, found }) }
}

fn malformed(reason: &'static str) -> FormatError {
    FormatError::Malformed { field: "bundle", reason }
}

fn number(value: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&value.to_le_bytes());
    bytes
}

fn number_value(bytes: &[u8; 32]) -> Result<u64, FormatError> {
    match bytes.split_first_chunk::<8>() {
        Some((low, high)) if high.iter().all(|byte| *byte == 0) => Ok(u64::from_le_bytes(*low)),
        _ => Err(malformed("a number over 2^64")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EthereumKey, ItemDraft, Signer};
    use proptest::{collection::vec, prelude::*};

    fn item(data: &[u8], tags: Vec<Tag>) -> DataItem {
        let key = EthereumKey::from_bytes(&[9; 32]).unwrap();
        let draft = ItemDraft { data: Bytes::copy_from_slice(data), tags, ..ItemDraft::default() };
        draft.sign(Signer::Ethereum(&key)).unwrap()
    }

    fn bundle(contents: &[Vec<u8>]) -> Bundle {
        let mut contents = contents.to_vec();
        contents.sort();
        contents.dedup();
        Bundle::new(contents.iter().map(|data| item(data, Vec::new())).collect()).unwrap()
    }

    /// The whole bundle through the streaming reader.
    fn stream(bytes: &[u8]) -> Result<Vec<(Id, Vec<u8>)>, FormatError> {
        let mut reader = BundleReader::new(bytes, bytes.len() as u64)?;
        let mut items = Vec::new();
        loop {
            let mut data = Vec::new();
            match reader.next_item(&mut data)? {
                Some(header) => items.push((header.id(), data)),
                None => return Ok(items),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn bundles_round_trip_whole_and_as_a_stream(contents in vec(vec(any::<u8>(), 0..200), 0..5)) {
            let bundle = bundle(&contents);
            let bytes = bundle.to_bytes();
            let parsed = Bundle::parse(&bytes).unwrap();
            prop_assert_eq!(&parsed, &bundle);
            parsed.verify().unwrap();
            let expected: Vec<_> =
                bundle.items.iter().map(|item| (item.id(), item.data().to_vec())).collect();
            prop_assert_eq!(stream(&bytes).unwrap(), expected);
            let table = &bytes[..table_bytes(&bytes).unwrap() as usize];
            for item in &bundle.items {
                let place = locate(table, item.id()).unwrap().unwrap();
                prop_assert_eq!(&bytes[place.start as usize..place.end as usize], &item.bytes()[..]);
            }
            prop_assert_eq!(locate(table, Id([0; 32])).unwrap(), None);
        }

        #[test]
        fn an_altered_bit_or_a_cut_is_refused(
            contents in vec(vec(any::<u8>(), 0..100), 1..4),
            at: prop::sample::Index,
            bit in 0..8_u32,
        ) {
            let bytes = bundle(&contents).to_bytes();
            let at = at.index(bytes.len());
            let mut altered = bytes.to_vec();
            altered[at] ^= 1 << bit;
            let altered = Bytes::from(altered);
            prop_assert!(Bundle::parse(&altered).and_then(|bundle| bundle.verify()).is_err());
            prop_assert!(stream(&altered).is_err());
            prop_assert!(Bundle::parse(&bytes.slice(..at)).is_err());
            prop_assert!(stream(&bytes[..at]).is_err());
        }

        #[test]
        fn any_bytes_are_refused_or_canonical(mut bytes in vec(any::<u8>(), 0..300), count in 0..3_u8) {
            if let Some(head) = bytes.first_chunk_mut::<32>() {
                *head = number(count.into());
            }
            let bytes = Bytes::from(bytes);
            if let Ok(bundle) = Bundle::parse(&bytes) {
                prop_assert_eq!(bundle.to_bytes(), bytes.clone());
            }
            let _ = stream(&bytes);
            let _ = locate(&bytes, Id([1; 32]));
        }
    }

    #[test]
    fn a_reader_that_ends_early_is_noticed_though_the_size_was_right() {
        let bytes = bundle(&[vec![1; 50_000]]).to_bytes();
        let mut reader = BundleReader::new(&bytes[..40_000], bytes.len() as u64).unwrap();
        assert!(reader.next_item(&mut Vec::new()).is_err());
    }

    #[test]
    fn lies_of_a_table_are_refused() {
        let one = item(b"one", Vec::new());
        assert!(Bundle::new(vec![one.clone(), one]).is_err(), "the same item twice");
        let bytes = bundle(&[b"a".to_vec(), b"b".to_vec()]).to_bytes();
        let with = |at: usize, new: &[u8]| {
            let mut bytes = bytes.to_vec();
            bytes[at..at + new.len()].copy_from_slice(new);
            let bytes = Bytes::from(bytes);
            assert!(BundleReader::new(&bytes[..], bytes.len() as u64).is_err());
            Bundle::parse(&bytes).unwrap_err()
        };
        let too_many = with(0, &number(ITEMS_MAX + 1));
        assert!(matches!(too_many, FormatError::TooLarge { field: "items of a bundle", .. }));
        with(0, &[0xff; 32]);
        with(0, &number(1));
        with(32, &number(u64::MAX));
        with(32, &[0xff; 32]);
        let mut longer = bytes.to_vec();
        longer.push(0);
        assert!(Bundle::parse(&longer.into()).is_err(), "a byte after the last item");
    }

    #[test]
    fn nesting_has_a_bound() {
        let mut inner = bundle(&[b"x".to_vec()]);
        for _ in 0..3 {
            inner = Bundle::new(vec![item(&inner.to_bytes(), tags())]).unwrap();
        }
        let depths: Vec<_> = inner.flatten(4).unwrap().into_iter().map(|(depth, _)| depth).collect();
        assert_eq!(depths, [0, 1, 2, 3]);
        assert!(matches!(inner.flatten(3), Err(FormatError::TooLarge { found: 4, max: 3, .. })));
        let no_bundle = Bundle::new(vec![item(b"not a bundle", tags())]).unwrap();
        assert!(no_bundle.flatten(4).is_err());
    }
}
