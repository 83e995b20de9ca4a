//! Checkpoints in a folder: what `export` writes and `import` reads. Also the simplest sink and source there are.
//!
//! ```text
//! <folder>/items/<SHA-256>        one file per item, named by its bytes
//! <folder>/manifests/<SHA-256>    one file per checkpoint, written after its items
//! ```
//!
//! A file appears under its name only when all of it is on the disk, so an interrupted export leaves whole items and no
//! manifest, and goes on where it was when it is done again. Ids are SHA-256 hashes; a folder that was filled from
//! elsewhere is asked by hash, whatever ids its manifests name.

use super::{
    Checkpoint, ITEM_BYTES_MAX, Item, ItemId, ItemKind, ItemRef, ItemSink, ItemSource, MANIFEST_BYTES_MAX,
    Manifest, TransportError,
};
use alloy_primitives::{B256, Bytes, hex};
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    str::FromStr,
};

const ITEMS: &str = "items";
const MANIFESTS: &str = "manifests";

/// A folder of items.
#[derive(Clone, Debug)]
pub struct ItemFolder {
    path: PathBuf,
}

/// Why a folder cannot give or take an item.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file operation failed.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The item is not there.
    #[error("{0} is not there")]
    Missing(PathBuf),
    /// A file is longer than the item asked for.
    #[error("{path} has more than {bytes_max} bytes")]
    TooLong {
        /// Which file.
        path: PathBuf,
        /// Bytes asked for at most.
        bytes_max: u64,
    },
    /// A file in the folder of manifests is none.
    #[error("{path} is not a manifest: {reason}")]
    NotAManifest {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    |source| FolderError::Io { path: path.to_owned(), source }
}

impl ItemFolder {
    /// A folder to export to; made when it is not there.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, FolderError> {
        let path = path.into();
        for name in [ITEMS, MANIFESTS] {
            let folder = path.join(name);
            fs::create_dir_all(&folder).map_err(io_error(&folder))?;
        }
        Ok(Self { path })
    }

    /// A folder that was exported to.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, FolderError> {
        let path = path.into();
        let folder = path.join(MANIFESTS);
        match fs::metadata(&folder) {
            Ok(_) => Ok(Self { path }),
            Err(source) => Err(FolderError::Io { path: folder, source }),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All checkpoints of the folder, by block number, the oldest first. Memory: their manifests.
    pub fn checkpoints(&self) -> Result<Vec<Checkpoint>, FolderError> {
        let folder = self.path.join(MANIFESTS);
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder).map_err(io_error(&folder))? {
            let path = entry.map_err(io_error(&folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            // What is no hash is a file under way, or somebody else's.
            let Ok(sha256) = B256::from_str(name) else { continue };
            let bytes = read(&path, MANIFEST_BYTES_MAX)?;
            let wrong = |reason: String| FolderError::NotAManifest { path: path.clone(), reason };
            if weft_erasure::sha256(&bytes) != sha256 {
                return Err(wrong("its SHA-256 is not its name".to_owned()));
            }
            let manifest = Manifest::decode(&bytes).map_err(|malformed| wrong(malformed.to_string()))?;
            found.push(Checkpoint { id: ItemId(sha256), sha256, manifest });
        }
        found.sort_by_key(|checkpoint| (checkpoint.manifest.block.number, checkpoint.sha256));
        Ok(found)
    }

    fn file(&self, folder: &str, sha256: B256) -> PathBuf {
        self.path.join(folder).join(hex::encode(sha256))
    }
}

impl ItemSink for ItemFolder {
    fn put(&mut self, item: &Item) -> Result<ItemId, TransportError> {
        let folder = if item.kind == ItemKind::Manifest { MANIFESTS } else { ITEMS };
        let path = self.file(folder, item.sha256);
        let known = match read(&path, item.bytes.len() as u64) {
            Ok(bytes) => bytes == item.bytes,
            Err(_) => false,
        };
        if !known {
            write_whole(&path, &item.bytes)?;
        }
        Ok(ItemId(item.sha256))
    }
}

impl ItemSource for ItemFolder {
    fn get(&self, item: &ItemRef) -> Result<Bytes, TransportError> {
        let sha256 = item.sha256.unwrap_or(item.id.0);
        let in_items = self.file(ITEMS, sha256);
        let path = if in_items.exists() { in_items } else { self.file(MANIFESTS, sha256) };
        Ok(read(&path, item.bytes_max.min(MANIFEST_BYTES_MAX.max(ITEM_BYTES_MAX)))?)
    }
}

fn read(path: &Path, bytes_max: u64) -> Result<Bytes, FolderError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(FolderError::Missing(path.to_owned()));
        }
        other => other.map_err(io_error(path))?,
    };
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(io_error(path))?;
    if bytes.len() as u64 > bytes_max {
        return Err(FolderError::TooLong { path: path.to_owned(), bytes_max });
    }
    Ok(bytes.into())
}

/// The file is under its name with all of its bytes, on the disk, or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), FolderError> {
    let temporary = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        match path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(io_error(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Chain;
    use weft_primitives::BlockNumHash;

    fn item(bytes: &'static [u8]) -> Item {
        let chain = Chain { id: 1, genesis: B256::ZERO };
        Item::new(ItemKind::State, Bytes::from_static(bytes), &chain, BlockNumHash::default())
    }

    fn reference(id: ItemId, bytes_max: u64) -> ItemRef {
        ItemRef { id, sha256: None, bytes_max }
    }

    #[test]
    fn items_come_back_and_what_rotted_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut items = ItemFolder::create(folder.path()).unwrap();
        let item = item(b"something");
        let id = items.put(&item).unwrap();
        assert_eq!(items.get(&reference(id, 9)).unwrap(), item.bytes);
        assert_eq!(items.put(&item).unwrap(), id);
        let file = items.file(ITEMS, item.sha256);
        fs::write(&file, b"some").unwrap();
        assert_eq!(items.put(&item).unwrap(), id);
        assert_eq!(items.get(&reference(id, 9)).unwrap(), item.bytes);

        let error = items.get(&reference(id, 8)).unwrap_err();
        assert!(error.to_string().contains("more than 8 bytes"), "{error}");
        let error = items.get(&reference(ItemId(B256::ZERO), 8)).unwrap_err();
        assert!(error.to_string().contains("not there"), "{error}");
    }

    #[test]
    fn a_folder_of_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(ItemFolder::open(folder.path()).is_err());
        let items = ItemFolder::create(folder.path()).unwrap();
        assert_eq!(items.checkpoints().unwrap(), []);
        let name = hex::encode(weft_erasure::sha256(b"nothing"));
        fs::write(folder.path().join(MANIFESTS).join(&name), b"nothing").unwrap();
        assert!(items.checkpoints().unwrap_err().to_string().contains("not a manifest"));
        fs::write(folder.path().join(MANIFESTS).join(&name), b"altered").unwrap();
        assert!(items.checkpoints().unwrap_err().to_string().contains("not its name"));
    }

    #[test]
    fn an_item_carries_the_protocols_tags() {
        let tags = item(b"x").tags;
        let names: Vec<_> = tags.iter().map(|(name, _)| *name).collect();
        let expected = [
            "App-Name",
            "Weft-Protocol",
            "Weft-Chain-Id",
            "Weft-Genesis",
            "Weft-Kind",
            "Weft-Block",
            "Weft-Block-Hash",
            "Content-Type",
        ];
        assert_eq!(names, expected);
        assert_eq!(tags[4].1, "state");
    }
}
