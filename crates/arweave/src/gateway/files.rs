//! Data on disk: one file per data root with its chunks at their places, one per uploaded item.
//!
//! A file may be longer or fuller than the index knows, never the other way round: it is flushed before the commit that
//! refers to it. What the index does not know at the next start is removed. Writers of one file may write at the same
//! time, since no two write different bytes to one place: every chunk is proven first.

use super::{error::GatewayError, records::Source};
use alloy_primitives::hex;
use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// The folder of data files.
pub(super) struct Files {
    folder: PathBuf,
    /// Names for files whose content is not known yet.
    temporary: AtomicU64,
}

impl Files {
    pub(super) fn open(folder: &Path) -> Result<Self, GatewayError> {
        let folder = folder.join("data");
        fs::create_dir_all(&folder).map_err(GatewayError::file(&folder))?;
        Ok(Self { folder, temporary: AtomicU64::new(0) })
    }

    pub(super) fn name(source: &Source) -> String {
        match source {
            Source::Data(key) => format!("{}-{}", hex::encode(key.root.0), key.size),
            Source::Upload(id) => format!("item-{}", hex::encode(id.0)),
        }
    }

    pub(super) fn path(&self, source: &Source) -> PathBuf {
        self.folder.join(Self::name(source))
    }

    /// A new path in the folder, for [`Files::adopt`].
    pub(super) fn temporary(&self) -> PathBuf {
        self.folder.join(format!("tmp-{}", self.temporary.fetch_add(1, Ordering::Relaxed)))
    }

    /// Makes the file at `temporary` the source's file, flushed.
    pub(super) fn adopt(&self, temporary: &Path, source: &Source) -> Result<(), GatewayError> {
        let path = self.path(source);
        File::open(temporary)
            .and_then(|file| file.sync_data())
            .and_then(|()| fs::rename(temporary, &path))
            .and_then(|()| File::open(&self.folder)?.sync_all())
            .map_err(GatewayError::file(path))
    }

    /// Writes a part of the source's file, which is made if it is not there.
    pub(super) fn write(&self, source: &Source, offset: u64, bytes: &[u8]) -> Result<(), GatewayError> {
        let path = self.path(source);
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .and_then(|file| file.write_all_at(bytes, offset))
            .map_err(GatewayError::file(path))
    }

    /// Reads exactly `length` bytes.
    pub(super) fn read(&self, source: &Source, offset: u64, length: usize) -> Result<Vec<u8>, GatewayError> {
        let path = self.path(source);
        let mut bytes = vec![0; length];
        File::open(&path)
            .and_then(|file| file.read_exact_at(&mut bytes, offset))
            .map_err(GatewayError::file(path))?;
        Ok(bytes)
    }

    /// A reader of a part of the source's file.
    pub(super) fn reader(
        &self,
        source: &Source,
        offset: u64,
        length: u64,
    ) -> Result<io::Take<File>, GatewayError> {
        let path = self.path(source);
        let open = || -> io::Result<File> {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(offset))?;
            Ok(file)
        };
        Ok(open().map_err(GatewayError::file(&path))?.take(length))
    }

    /// Flushes content and name.
    pub(super) fn flush(&self, source: &Source) -> Result<(), GatewayError> {
        let path = self.path(source);
        File::open(&path)
            .and_then(|file| file.sync_data())
            .and_then(|()| File::open(&self.folder)?.sync_all())
            .map_err(GatewayError::file(path))
    }

    /// Removes a file; that it is not there is no error.
    pub(super) fn remove(&self, source: &Source) -> Result<(), GatewayError> {
        remove(&self.path(source))
    }

    /// Removes every file that has none of these names.
    pub(super) fn retain(&self, known: &HashSet<String>) -> Result<(), GatewayError> {
        let entries = fs::read_dir(&self.folder).map_err(GatewayError::file(&self.folder))?;
        for entry in entries {
            let entry = entry.map_err(GatewayError::file(&self.folder))?;
            if !known.contains(&*entry.file_name().to_string_lossy()) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// A file that is removed unless it was adopted.
pub(super) struct Temporary(pub(super) PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // What stays is removed at the next start.
        let _ = fs::remove_file(&self.0);
    }
}

fn remove(path: &Path) -> Result<(), GatewayError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(GatewayError::file(path)(error)),
        _ => Ok(()),
    }
}
