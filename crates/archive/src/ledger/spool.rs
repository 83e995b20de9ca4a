//! The spool: bytes of items that are not verified yet, a file each, named by kind and SHA-256.
//!
//! A file appears under its name only when all of it is on the disk. It is there before the item's record, and goes after the
//! record says that the item was read back. On start, files that no record waits for are removed. What is read is
//! compared with its name. Bound: `bytes_max`, counted over all files.

use super::LedgerKey;
use alloy_primitives::{Bytes, hex};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Why the spool does not take or give bytes.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// No room; there is room again when something was verified.
    #[error("the spool holds {held} of {max} bytes, there is no room for {bytes} more")]
    Full {
        /// Bytes there.
        held: u64,
        /// Allowed.
        max: u64,
        /// Of the item.
        bytes: u64,
    },
    /// A file operation failed.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The bytes are not there, or not what their name says. Putting the item again mends it.
    #[error("the bytes of {0} are lost from the spool")]
    Lost(PathBuf),
}

#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    bytes_max: u64,
    held: Mutex<Held>,
}

/// What files there are; about 50 bytes of memory each.
#[derive(Debug, Default)]
struct Held {
    lengths: HashMap<LedgerKey, u64>,
    bytes: u64,
}

impl Held {
    fn insert(&mut self, key: LedgerKey, length: u64) {
        self.remove(key);
        self.lengths.insert(key, length);
        self.bytes += length;
    }

    fn remove(&mut self, key: LedgerKey) {
        self.bytes -= self.lengths.remove(&key).unwrap_or_default();
    }
}

impl Spool {
    /// Opens or makes the folder; removes what `wanted` does not want.
    pub(super) fn open<E: From<SpoolError>>(
        folder: &Path,
        bytes_max: u64,
        wanted: impl Fn(LedgerKey) -> Result<bool, E>,
    ) -> Result<Self, E> {
        fs::create_dir_all(folder).map_err(failed(folder))?;
        let mut held = Held::default();
        for entry in fs::read_dir(folder).map_err(failed(folder))? {
            let entry = entry.map_err(failed(folder))?;
            let path = entry.path();
            match entry.file_name().to_str().and_then(parse_name) {
                Some(key) if wanted(key)? => {
                    held.insert(key, entry.metadata().map_err(failed(&path))?.len());
                }
                _ => fs::remove_file(&path).map_err(failed(&path))?,
            }
        }
        Ok(Self { folder: folder.to_owned(), bytes_max, held: Mutex::new(held) })
    }

    /// Bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        self.held.lock().bytes
    }

    /// Keeps bytes; on the disk when this returns. Does nothing when they are there.
    pub(super) fn put(&self, key: LedgerKey, bytes: &[u8]) -> Result<(), SpoolError> {
        let length = bytes.len() as u64;
        {
            let mut held = self.held.lock();
            if held.lengths.get(&key) == Some(&length) {
                return Ok(());
            }
            if held.bytes.saturating_add(length) > self.bytes_max {
                return Err(SpoolError::Full { held: held.bytes, max: self.bytes_max, bytes: length });
            }
            // Counted from now on, so that two callers cannot both take the last room.
            held.insert(key, length);
        }
        let written = self.write(key, bytes);
        if written.is_err() {
            self.held.lock().remove(key);
        }
        written
    }

    fn write(&self, key: LedgerKey, bytes: &[u8]) -> Result<(), SpoolError> {
        let path = self.path(key);
        let temporary = path.with_extension("new");
        let result = (|| {
            let mut file = File::create(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(&self.folder)?.sync_all()
        })();
        result.map_err(|source| {
            // On a full disk the half of a file is in the way; on a broken one nothing helps.
            let _ = fs::remove_file(&temporary);
            SpoolError::Io { path, source }
        })
    }

    /// The bytes of an item, compared with its name.
    pub(super) fn get(&self, key: LedgerKey) -> Result<Bytes, SpoolError> {
        let path = self.path(key);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(self.lost(key, path)),
            Err(source) => return Err(SpoolError::Io { path, source }),
        };
        if weft_erasure::sha256(&bytes) != key.sha256 {
            return Err(self.lost(key, path));
        }
        Ok(bytes.into())
    }

    /// Forgets what is not there as it should be, so that it can be put again.
    fn lost(&self, key: LedgerKey, path: PathBuf) -> SpoolError {
        self.held.lock().remove(key);
        SpoolError::Lost(path)
    }

    /// Forgets bytes. A file that cannot be removed is tried again on the next start.
    pub(super) fn remove(&self, key: LedgerKey) {
        self.held.lock().remove(key);
        let path = self.path(key);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(target: "weft::ledger", path = %path.display(), %error, "cannot remove from the spool");
            }
            _ => {}
        }
    }

    fn path(&self, key: LedgerKey) -> PathBuf {
        self.folder.join(format!("{}-{}", key.kind.name(), hex::encode(key.sha256)))
    }
}

fn parse_name(name: &str) -> Option<LedgerKey> {
    let (kind, hash) = name.split_once('-')?;
    let kind = super::LedgerKind::ALL.into_iter().find(|known| known.name() == kind)?;
    let key = LedgerKey { kind, sha256: hex::decode_to_array(hash).ok()?.into() };
    // One spelling only.
    (hash == hex::encode(key.sha256)).then_some(key)
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> SpoolError {
    let path = path.to_owned();
    |source| SpoolError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::LedgerKind;

    fn key(bytes: &[u8]) -> LedgerKey {
        LedgerKey { kind: LedgerKind::State, sha256: weft_erasure::sha256(bytes) }
    }

    fn all(_: LedgerKey) -> Result<bool, SpoolError> {
        Ok(true)
    }

    #[test]
    fn what_is_put_comes_back_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), 10, all).unwrap();
        spool.put(key(b"hello"), b"hello").unwrap();
        spool.put(key(b"hello"), b"hello").unwrap();
        assert_eq!(spool.bytes(), 5);
        assert_eq!(spool.get(key(b"hello")).unwrap(), Bytes::from_static(b"hello"));
        let full = spool.put(key(b"world!"), b"world!").unwrap_err();
        assert!(matches!(full, SpoolError::Full { held: 5, max: 10, bytes: 6 }), "{full}");
        spool.remove(key(b"hello"));
        spool.remove(key(b"hello"));
        spool.put(key(b"world!"), b"world!").unwrap();
        assert!(matches!(spool.get(key(b"hello")), Err(SpoolError::Lost(_))));
    }

    #[test]
    fn a_start_keeps_what_is_wanted_and_only_that() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), 100, all).unwrap();
        spool.put(key(b"kept"), b"kept").unwrap();
        spool.put(key(b"orphan"), b"orphan").unwrap();
        fs::write(folder.path().join("state-00.new"), b"half").unwrap();
        fs::write(folder.path().join("anything"), b"").unwrap();
        let spool =
            Spool::open(folder.path(), 100, |found| Ok::<_, SpoolError>(found == key(b"kept"))).unwrap();
        assert_eq!(spool.bytes(), 4);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(spool.get(key(b"kept")).unwrap(), Bytes::from_static(b"kept"));
    }

    #[test]
    fn damaged_bytes_are_lost_and_can_be_put_again() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), 100, all).unwrap();
        spool.put(key(b"good"), b"good").unwrap();
        fs::write(spool.path(key(b"good")), b"evil").unwrap();
        assert!(matches!(spool.get(key(b"good")), Err(SpoolError::Lost(_))));
        spool.put(key(b"good"), b"good").unwrap();
        assert_eq!(spool.get(key(b"good")).unwrap(), Bytes::from_static(b"good"));
    }
}
