//! The folder around the database: lock, schema, free space, file limit.

use crate::StorageError;
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
};

/// Version of the tables, keys and codecs. A change of any of them raises it.
pub const SCHEMA_VERSION: u32 = 3;

const LOCK_FILE: &str = "weft.lock";
const SCHEMA_FILE: &str = "weft.schema";
/// RocksDB's pointer to its manifest: there is a database where it is.
const ROCKSDB_CURRENT: &str = "CURRENT";
const OPEN_FILES_MAX: u64 = 4096;

/// Holds the folder until it is dropped. The file stays, the lock goes with the process, so a
/// `kill -9` leaves nothing to clean up.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the folder or says who has it.
    pub(crate) fn acquire(folder: &Path) -> Result<Self, StorageError> {
        let path = folder.join(LOCK_FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(StorageError::io(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Without a readable process id the error is still the right one.
                let _ = file.read_to_string(&mut holder);
                return Err(StorageError::Locked {
                    path: folder.to_owned(),
                    pid: holder.trim().parse().ok(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(StorageError::Io { path, source }),
        }
        let note = |file: &mut File| -> std::io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            write!(file, "{}", std::process::id())
        };
        // The process id is a courtesy to the operator; a full disk must not prevent opening.
        if let Err(error) = note(&mut file) {
            tracing::warn!(target: "weft::storage", %error, "cannot note process id in lock file");
        }
        Ok(Self { _file: file })
    }
}

/// Refuses a folder of another schema; notes ours in a new one when `create`.
pub(crate) fn check_schema(folder: &Path, create: bool) -> Result<(), StorageError> {
    let path = folder.join(SCHEMA_FILE);
    let current = folder.join(ROCKSDB_CURRENT);
    let found = match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().unwrap_or(0),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if create && !current.exists() {
                return write_schema(folder, &path).map_err(StorageError::io(&path));
            }
            // Nothing there to read: say so, rather than that its version is wrong.
            fs::metadata(&current).map_err(StorageError::io(&current))?;
            0
        }
        Err(source) => return Err(StorageError::Io { path, source }),
    };
    if found == SCHEMA_VERSION {
        return Ok(());
    }
    Err(StorageError::Schema { path: folder.to_owned(), found, expected: SCHEMA_VERSION })
}

fn write_schema(folder: &Path, path: &PathBuf) -> std::io::Result<()> {
    let temporary = folder.join("weft.schema.new");
    let mut file = File::create(&temporary)?;
    writeln!(file, "{SCHEMA_VERSION}")?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}

/// Bytes that this process may still write to the folder's file system.
pub(crate) fn free_bytes(folder: &Path) -> Result<u64, StorageError> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(folder.as_os_str().as_bytes())
        .map_err(|error| StorageError::Io { path: folder.to_owned(), source: error.into() })?;
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` is a terminated string and `stat` is as large as statvfs writes.
    if unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) } != 0 {
        return Err(StorageError::Io { path: folder.to_owned(), source: std::io::Error::last_os_error() });
    }
    // SAFETY: statvfs succeeded, so it has filled the structure.
    let stat = unsafe { stat.assume_init() };
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Whether files of the folder can be written past the page cache. Some file systems (in memory, network) refuse that.
pub(crate) fn has_direct_io(folder: &Path) -> bool {
    use std::os::unix::fs::OpenOptionsExt;
    let probe = folder.join("weft.direct");
    let opened =
        File::options().write(true).create(true).truncate(true).custom_flags(libc::O_DIRECT).open(&probe);
    // It may not have been created.
    let _ = fs::remove_file(&probe);
    if let Err(error) = &opened {
        tracing::warn!(target: "weft::storage", folder = %folder.display(), %error, "no direct I/O here: writing goes through the page cache");
    }
    opened.is_ok()
}

/// Half of what the process may open, the rest is for sockets; 4096 at most.
pub(crate) fn open_files() -> i32 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit to write to.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0;
    let half = if known { limit.rlim_cur / 2 } else { 512 };
    i32::try_from(half.clamp(64, OPEN_FILES_MAX)).expect("clamped to 4096")
}
