//! A wallet in a file: a plain JWK, or one sealed with a passphrase.
//!
//! Sealed: Argon2id (RFC 9106) makes a key from the passphrase and a fresh salt, ChaCha20-Poly1305 (RFC 8439) seals
//! the JWK; every other field of the file is authenticated with it. Written with mode 0600 under another name,
//! synced, then renamed; a file that is there is never replaced.

use super::Wallet;
use crate::{Address, WalletError, base64url};
use argon2::{Algorithm, Argon2, Params, Version};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};
use zeroize::Zeroizing;

/// Most bytes of a wallet file; a sealed RSA-4096 key takes about 5,000.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Argon2id as RFC 9106 recommends it where memory is scarce: 64 MiB, three passes, four lanes.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 4;
/// Bounds of what a file may ask for: 1 GiB, 16 passes, 16 lanes.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 16;

/// What a sealed file says in the open.
#[derive(Serialize, Deserialize)]
struct Envelope {
    #[serde(rename = "weft-wallet")]
    version: u32,
    address: Address,
    kdf: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
    cipher: String,
    nonce: String,
}

/// Tells a sealed file from a JWK, which has no such field.
#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "weft-wallet")]
    version: Option<u32>,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    #[serde(flatten)]
    envelope: Envelope,
    sealed: String,
}

impl Wallet {
    /// Reads a wallet file. A passphrase has to be given exactly when the file is sealed.
    /// Key derivation takes a fraction of a second and 64 MiB: call it off the async threads.
    pub fn load(path: &Path, passphrase: Option<&str>) -> Result<Self, WalletError> {
        let failed = |source| WalletError::File { path: path.to_owned(), source };
        // Large enough from the start, so that no outgrown buffer keeps a copy.
        let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX as usize + 1));
        let file = File::open(path).map_err(failed)?;
        warn_if_others_can_read(path, &file);
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "too large for a wallet")));
        }
        match (parse::<Kind>(&bytes)?.version, passphrase) {
            (Some(_), Some(passphrase)) => unseal(&parse(&bytes)?, passphrase),
            (Some(_), None) => Err(WalletError::PassphraseNeeded),
            (None, Some(_)) => Err(WalletError::NotEncrypted),
            (None, None) => Self::from_jwk(&bytes),
        }
    }

    /// Writes a new wallet file, sealed if there is a passphrase. Fails if there is a file already.
    pub fn save(&self, path: &Path, passphrase: Option<&str>) -> Result<(), WalletError> {
        let content = match passphrase {
            Some(passphrase) => Zeroizing::new(seal(self, passphrase)?),
            None => self.to_jwk(),
        };
        write_new(path, content.as_bytes())
            .map_err(|source| WalletError::File { path: path.to_owned(), source })
    }
}

/// JSON, with an error that does not show what it read.
pub(super) fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, WalletError> {
    serde_json::from_slice(json)
        .map_err(|error| WalletError::Json { line: error.line(), column: error.column() })
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Created with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

#[cfg(unix)]
fn warn_if_others_can_read(path: &Path, file: &File) {
    use std::os::unix::fs::PermissionsExt;
    if file.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0) {
        tracing::warn!(target: "arweave", path = %path.display(), "others may read this wallet file; its mode should be 0600");
    }
}

#[cfg(not(unix))]
fn warn_if_others_can_read(_: &Path, _: &File) {}

fn seal(wallet: &Wallet, passphrase: &str) -> Result<String, WalletError> {
    let (mut salt, mut nonce) = ([0; 16], [0; 12]);
    getrandom::fill(&mut salt)?;
    getrandom::fill(&mut nonce)?;
    let envelope = Envelope {
        version: 1,
        address: wallet.address(),
        kdf: "argon2id".to_owned(),
        memory_kib: MEMORY_KIB,
        passes: PASSES,
        lanes: LANES,
        salt: base64url::encode(salt),
        cipher: "chacha20-poly1305".to_owned(),
        nonce: base64url::encode(nonce),
    };
    let (key, nonce) = derive(&envelope, passphrase)?;
    let mut secret = Zeroizing::new(wallet.to_jwk().as_bytes().to_vec());
    let tag = key
        .seal_in_place_separate_tag(nonce, Aad::from(authenticated(&envelope)), &mut secret)
        .map_err(|_| WalletError::Derivation)?;
    let sealed = base64url::encode([secret.as_slice(), tag.as_ref()].concat());
    Ok(serde_json::to_string_pretty(&Sealed { envelope, sealed }).expect("strings are always JSON"))
}

fn unseal(file: &Sealed, passphrase: &str) -> Result<Wallet, WalletError> {
    let (key, nonce) = derive(&file.envelope, passphrase)?;
    let mut sealed =
        Zeroizing::new(base64url::decode("sealed", &file.sealed).map_err(|_| WalletError::Passphrase)?);
    let secret = key
        .open_in_place(nonce, Aad::from(authenticated(&file.envelope)), &mut sealed)
        .map_err(|_| WalletError::Passphrase)?;
    Wallet::from_jwk(secret)
}

fn authenticated(envelope: &Envelope) -> Vec<u8> {
    serde_json::to_vec(envelope).expect("strings are always JSON")
}

/// The key of an envelope, with its nonce. The salt is fresh for every file, so a key seals one message only.
fn derive(envelope: &Envelope, passphrase: &str) -> Result<(LessSafeKey, Nonce), WalletError> {
    let Envelope { version, kdf, memory_kib, passes, lanes, salt, cipher, nonce, .. } = envelope;
    let known = *version == 1 && kdf == "argon2id" && cipher == "chacha20-poly1305";
    if !known || *memory_kib > MEMORY_KIB_MAX || *passes > PASSES_MAX || *lanes > LANES_MAX {
        return Err(WalletError::Derivation);
    }
    let refused = |_| WalletError::Derivation;
    let salt: [u8; 16] = base64url::decode_array("salt", salt).map_err(refused)?;
    let nonce: [u8; 12] = base64url::decode_array("nonce", nonce).map_err(refused)?;
    let params = Params::new(*memory_kib, *passes, *lanes, Some(32)).map_err(|_| WalletError::Derivation)?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), &salt, key.as_mut_slice())
        .map_err(|_| WalletError::Derivation)?;
    let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_slice()).map_err(|_| WalletError::Derivation)?;
    Ok((LessSafeKey::new(key), Nonce::assume_unique_for_key(nonce)))
}
