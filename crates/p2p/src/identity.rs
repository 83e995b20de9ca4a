//! The node's key on disk: libp2p's protobuf encoding of an ed25519 pair, mode 0600.

use crate::NetworkError;
use libp2p::{
    PeerId,
    identity::{KeyType, Keypair},
};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// Bytes of a key file that are looked at; an ed25519 pair has 68.
const FILE_BYTES_MAX: u64 = 1024;

/// Reads the key, or makes one when there is no file. A new file is complete or absent, whatever happens meanwhile.
pub(crate) fn load_or_create(path: &Path) -> Result<Keypair, NetworkError> {
    let failed = |source| NetworkError::IdentityFile { path: path.to_owned(), source };
    match fs::metadata(path) {
        Ok(metadata) => {
            let mode = metadata.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(NetworkError::IdentityMode { path: path.to_owned(), mode });
            }
            if metadata.len() > FILE_BYTES_MAX {
                return Err(refused(path, format!("{} bytes", metadata.len())));
            }
            decode(path, &fs::read(path).map_err(failed)?)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = Keypair::generate_ed25519();
            let bytes = key.to_protobuf_encoding().map_err(|error| refused(path, error.to_string()))?;
            create(path, &bytes).map_err(failed)?;
            Ok(key)
        }
        Err(error) => Err(failed(error)),
    }
}

/// The peer id of the key in a file, which is made when it is missing.
pub fn peer_id(path: &Path) -> Result<PeerId, NetworkError> {
    Ok(load_or_create(path)?.public().to_peer_id())
}

fn refused(path: &Path, reason: String) -> NetworkError {
    NetworkError::IdentityBytes { path: path.to_owned(), reason }
}

fn decode(path: &Path, bytes: &[u8]) -> Result<Keypair, NetworkError> {
    let key = Keypair::from_protobuf_encoding(bytes).map_err(|error| refused(path, error.to_string()))?;
    if key.key_type() != KeyType::Ed25519 {
        return Err(refused(path, format!("a key of type {}", key.key_type())));
    }
    Ok(key)
}

/// Writes beside the file, syncs, renames.
fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let new = path.with_extension(format!("new{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("network/key");
        let made = load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load_or_create(&path).unwrap().public(), made.public());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn files_that_are_no_private_key_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        load_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(load_or_create(&path), Err(NetworkError::IdentityMode { mode: 0o644, .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, b"not a key").unwrap();
        assert!(matches!(load_or_create(&path), Err(NetworkError::IdentityBytes { .. })));
        fs::write(&path, vec![0; 4096]).unwrap();
        assert!(matches!(load_or_create(&path), Err(NetworkError::IdentityBytes { .. })));
    }
}
