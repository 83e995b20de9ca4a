//! Sorting more keys than memory should hold: sorted runs on the disk, merged while they are read.
//!
//! Used for the keys that blocks changed and for the code that accounts name, both of which grow with the
//! chain and not with the machine. Memory: one buffer ([`BUFFER_BYTES`]) while keys come in, one read buffer
//! per run while they go out, 128 × 64 KiB with the default limit. Runs are files without a name: nothing is
//! left of them whatever happens to the process.

use crate::StorageError;
use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::{File, OpenOptions},
    io::{BufReader, BufWriter, Read, Seek, Write},
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

/// Keys held before a run is written.
const BUFFER_BYTES: usize = 32 << 20;
/// Keys read from a run at a time.
const READ_BYTES: usize = 64 << 10;

/// Where keys are sorted, and how many of them.
#[derive(Clone, Debug)]
pub struct SortOptions {
    /// Folder of the runs; on a disk, not in memory.
    pub folder: PathBuf,
    /// Bytes of keys held in memory.
    pub buffer_bytes: usize,
    /// Bytes of keys written at most.
    pub disk_bytes_max: u64,
}

impl SortOptions {
    /// 32 MiB of memory and 4 GiB of disk in `folder`: 67 million slots, twice as many accounts.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), buffer_bytes: BUFFER_BYTES, disk_bytes_max: 4 << 30 }
    }
}

/// Takes keys of `N` bytes in any order, also repeatedly.
#[derive(Debug)]
pub struct KeySorter<const N: usize> {
    options: SortOptions,
    keys: Vec<[u8; N]>,
    runs: Vec<File>,
    disk_bytes: u64,
}

impl<const N: usize> KeySorter<N> {
    /// Holds nothing yet.
    pub fn new(options: SortOptions) -> Self {
        Self { options, keys: Vec::new(), runs: Vec::new(), disk_bytes: 0 }
    }

    /// Adds a key; [`StorageError::TooManyKeys`] beyond the limit.
    pub fn push(&mut self, key: [u8; N]) -> Result<(), StorageError> {
        if self.keys.len() * N >= self.options.buffer_bytes {
            self.keys.sort_unstable();
            self.keys.dedup();
            // Keys that came again and again need no run.
            if self.keys.len() * N * 2 >= self.options.buffer_bytes {
                self.spill()?;
            }
        }
        self.keys.push(key);
        Ok(())
    }

    /// All keys, ascending, each once.
    pub fn finish(mut self) -> Result<SortedKeys<N>, StorageError> {
        self.keys.sort_unstable();
        self.keys.dedup();
        let mut runs = Vec::with_capacity(self.runs.len());
        for mut file in self.runs {
            file.rewind().map_err(StorageError::io(&self.options.folder))?;
            runs.push(BufReader::with_capacity(READ_BYTES, file));
        }
        let memory = self.keys.into_iter();
        let mut sorted =
            SortedKeys { folder: self.options.folder, runs, memory, next: BinaryHeap::new(), last: None };
        for run in 0..=sorted.runs.len() {
            sorted.advance(run)?;
        }
        Ok(sorted)
    }

    fn spill(&mut self) -> Result<(), StorageError> {
        let bytes = (self.keys.len() * N) as u64;
        self.disk_bytes += bytes;
        if self.disk_bytes > self.options.disk_bytes_max {
            return Err(StorageError::TooManyKeys { bytes_max: self.options.disk_bytes_max });
        }
        let io = |error| StorageError::Io { path: self.options.folder.clone(), source: error };
        let mut writer = BufWriter::new(unnamed_file(&self.options.folder).map_err(io)?);
        for key in self.keys.drain(..) {
            writer.write_all(&key).map_err(io)?;
        }
        self.runs.push(writer.into_inner().map_err(|error| io(error.into_error()))?);
        Ok(())
    }
}

/// A file that is gone with its handle.
fn unnamed_file(folder: &std::path::Path) -> std::io::Result<File> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!("weft-sort-{}-{number}.tmp", std::process::id()));
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// Ascending keys, each once. After an error there are no more.
#[derive(Debug)]
pub struct SortedKeys<const N: usize> {
    folder: PathBuf,
    runs: Vec<BufReader<File>>,
    /// The last run, which never left memory; its number is that after all runs on the disk.
    memory: std::vec::IntoIter<[u8; N]>,
    next: BinaryHeap<Reverse<([u8; N], usize)>>,
    last: Option<[u8; N]>,
}

impl<const N: usize> SortedKeys<N> {
    /// No keys at all.
    pub fn empty() -> Self {
        Self {
            folder: PathBuf::new(),
            runs: Vec::new(),
            memory: Vec::new().into_iter(),
            next: BinaryHeap::new(),
            last: None,
        }
    }

    fn advance(&mut self, run: usize) -> Result<(), StorageError> {
        let key = match self.runs.get_mut(run) {
            None => self.memory.next(),
            Some(reader) => read_key(reader).map_err(StorageError::io(&self.folder))?,
        };
        self.next.extend(key.map(|key| Reverse((key, run))));
        Ok(())
    }
}

fn read_key<const N: usize>(reader: &mut BufReader<File>) -> std::io::Result<Option<[u8; N]>> {
    let mut key = [0; N];
    match reader.read_exact(&mut key) {
        Ok(()) => Ok(Some(key)),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

impl<const N: usize> Iterator for SortedKeys<N> {
    type Item = Result<[u8; N], StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(Reverse((key, run))) = self.next.pop() {
            if let Err(error) = self.advance(run) {
                self.next.clear();
                return Some(Err(error));
            }
            if self.last != Some(key) {
                self.last = Some(key);
                return Some(Ok(key));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn options(folder: &std::path::Path, buffer_bytes: usize) -> SortOptions {
        SortOptions { buffer_bytes, disk_bytes_max: 1 << 20, ..SortOptions::in_folder(folder) }
    }

    proptest! {
        #[test]
        fn all_keys_come_once_and_in_order(keys in prop::collection::vec(any::<[u8; 2]>(), 0..600), buffer in 1usize..300) {
            let folder = tempfile::tempdir().unwrap();
            let mut sorter = KeySorter::new(options(folder.path(), buffer));
            for key in &keys {
                sorter.push(*key).unwrap();
            }
            let sorted: Vec<_> = sorter.finish().unwrap().collect::<Result<_, _>>().unwrap();
            let expected: Vec<_> = std::collections::BTreeSet::from_iter(keys).into_iter().collect();
            prop_assert_eq!(sorted, expected);
            prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn repeated_keys_need_no_disk_and_many_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let limits = SortOptions { disk_bytes_max: 64, ..options(folder.path(), 48) };
        let mut sorter = KeySorter::new(limits);
        for n in 0..1000u64 {
            sorter.push((n % 2).to_be_bytes()).unwrap();
        }
        assert_eq!(sorter.disk_bytes, 0);
        let error = (0..1000u64).try_for_each(|n| sorter.push(n.to_be_bytes())).unwrap_err();
        assert!(matches!(error, StorageError::TooManyKeys { bytes_max: 64 }), "{error}");
    }
}
