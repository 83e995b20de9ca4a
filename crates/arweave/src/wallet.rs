//! Arweave wallets: an RSA-4096 key as a JSON Web Key, in memory and in a file.
//!
//! Nothing of the private key is ever printed: `Debug` shows the address, errors name fields and places, and buffers that
//! held the key are overwritten when they go.

mod file;

use crate::{
    Address, FormatError, Owner, WalletError, base64url,
    owner::{KEY_BITS, KEY_BYTES, PUBLIC_EXPONENT},
};
use bytes::Bytes;
use getrandom::{SysRng, rand_core::UnwrapErr};
use rsa::{
    BoxedUint, PrivateKey,
    pss::SigningKey,
    sha2::Sha256,
    signature::{RandomizedSigner, SignatureEncoding},
    traits::{PrivateKeyParts, PublicKeyParts},
};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A wallet that can sign.
#[derive(Clone)]
pub struct Wallet {
    key: SigningKey<Sha256>,
    owner: Owner,
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wallet {}", self.address())
    }
}

/// RFC 7518, section 6.3. Numbers are big-endian, base64url, without leading zeros.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Jwk {
    kty: String,
    n: String,
    e: String,
    d: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    q: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dp: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dq: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    qi: Option<String>,
}

impl Wallet {
    /// A new key from the operating system's random numbers. Takes seconds of CPU: call it off the async threads.
    pub fn generate() -> Result<Self, WalletError> {
        Self::from_key(PrivateKey::new(&mut UnwrapErr(SysRng), KEY_BITS as usize)?)
    }

    /// A key in JSON, as every Arweave wallet exports it. The numbers are checked against each other; `p` and `q` may
    /// be missing together, other private parts are computed again.
    pub fn from_jwk(json: &[u8]) -> Result<Self, WalletError> {
        let jwk: Jwk = file::parse(json)?;
        if jwk.kty != "RSA" {
            return Err(WalletError::Field { field: "kty", reason: "is not RSA" });
        }
        let modulus = number("n", &jwk.n, 2 * KEY_BITS)?;
        if modulus.bit_width() != KEY_BITS {
            return Err(WalletError::KeySize(modulus.bit_width()));
        }
        let exponent = number("e", &jwk.e, KEY_BITS)?;
        if exponent != BoxedUint::from(PUBLIC_EXPONENT) {
            return Err(WalletError::Field { field: "e", reason: "is not 65537" });
        }
        let primes = match (&jwk.p, &jwk.q) {
            (Some(p), Some(q)) => vec![number("p", p, KEY_BITS / 2)?, number("q", q, KEY_BITS / 2)?],
            (None, None) => Vec::new(),
            _ => return Err(WalletError::Field { field: "p", reason: "is there without q, or q without p" }),
        };
        let modulus = number("n", &jwk.n, KEY_BITS)?;
        let private = number("d", &jwk.d, KEY_BITS)?;
        let exponent = BoxedUint::from(PUBLIC_EXPONENT);
        Self::from_key(PrivateKey::from_components(modulus, exponent, private, primes)?)
    }

    /// The key in JSON with all parts of RFC 7518, as other wallets import it.
    pub fn to_jwk(&self) -> Zeroizing<String> {
        let key: &PrivateKey = self.key.as_ref();
        let primes = key.primes();
        let jwk = Jwk {
            kty: "RSA".to_owned(),
            n: base64url::encode(self.owner.as_bytes()),
            e: text(key.e()),
            d: text(key.d()),
            p: primes.first().map(|prime| text(prime.as_ref())),
            q: primes.get(1).map(|prime| text(prime.as_ref())),
            dp: key.dp().map(text),
            dq: key.dq().map(text),
            qi: key.crt_coefficient().as_ref().map(text),
        };
        Zeroizing::new(serde_json::to_string(&jwk).expect("strings are always JSON"))
    }

    /// The public key.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The address that funds are sent to.
    pub fn address(&self) -> Address {
        self.owner.address()
    }

    /// An RSA-PSS signature with SHA-256, a random salt of 32 bytes, and blinding: 512 bytes, different each time.
    pub fn sign(&self, message: &[u8]) -> Bytes {
        self.key.sign_with_rng(&mut UnwrapErr(SysRng), message).to_vec().into()
    }

    fn from_key(key: PrivateKey) -> Result<Self, WalletError> {
        let modulus = key.n().to_be_bytes();
        let owner =
            Owner::new(modulus[modulus.len() - KEY_BYTES..].to_vec()).map_err(|error| match error {
                FormatError::Length { found, .. } => WalletError::KeySize(found as u32 * 8),
                _ => WalletError::KeySize(key.n().bit_width()),
            })?;
        Ok(Self { key: SigningKey::new(key), owner })
    }
}

/// A number of at most `bits`; the error does not show it.
fn number(field: &'static str, text: &str, bits: u32) -> Result<BoxedUint, WalletError> {
    let bytes = Zeroizing::new(
        base64url::decode(field, text)
            .map_err(|_| WalletError::Field { field, reason: "is not base64url" })?,
    );
    let significant = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    BoxedUint::from_be_slice(&bytes[significant..], bits)
        .map_err(|_| WalletError::Field { field, reason: "is too large" })
}

fn text(number: &BoxedUint) -> String {
    let bytes = Zeroizing::new(number.to_be_bytes().to_vec());
    let significant = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    base64url::encode(&bytes[significant..])
}
