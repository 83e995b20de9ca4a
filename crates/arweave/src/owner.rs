//! An Arweave owner: the modulus of an RSA-4096 key, which is the public key, since the exponent is always 65537.

use crate::{Address, FormatError};
use bytes::Bytes;
use rsa::{
    BoxedUint, PublicKey,
    pss::{Signature, VerifyingKey},
    sha2::Sha256,
    signature::Verifier,
};
use std::fmt;

/// Bits of a key.
pub const KEY_BITS: u32 = 4096;
/// Bytes of a modulus, and of a signature.
pub const KEY_BYTES: usize = 512;
/// The public exponent of every key.
pub const PUBLIC_EXPONENT: u64 = 65537;

/// The modulus of an RSA-4096 key, big-endian.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Owner(Bytes);

impl Owner {
    /// A modulus of exactly 4096 bits.
    pub fn new(modulus: impl Into<Bytes>) -> Result<Self, FormatError> {
        let modulus = modulus.into();
        if modulus.len() != KEY_BYTES {
            return Err(FormatError::Length { field: "owner", expected: KEY_BYTES, found: modulus.len() });
        }
        if modulus[0] & 0x80 == 0 || modulus[KEY_BYTES - 1] & 1 == 0 {
            return Err(FormatError::Malformed { field: "owner", reason: "not an RSA modulus of 4096 bits" });
        }
        Ok(Self(modulus))
    }

    /// The modulus, 512 bytes.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The wallet's address.
    pub fn address(&self) -> Address {
        Address::of_owner(&self.0)
    }

    /// Checks an RSA-PSS signature with SHA-256 and a salt of any length, as the network does.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), FormatError> {
        if signature.len() != KEY_BYTES {
            let found = signature.len();
            return Err(FormatError::Length { field: "signature", expected: KEY_BYTES, found });
        }
        let check = || {
            let modulus = BoxedUint::from_be_slice(&self.0, KEY_BITS).ok()?;
            let key = PublicKey::new(modulus, BoxedUint::from(PUBLIC_EXPONENT)).ok()?;
            let signature = Signature::try_from(signature).ok()?;
            VerifyingKey::<Sha256>::new_with_auto_salt_len(key).verify(message, &signature).ok()
        };
        check().ok_or(FormatError::Signature)
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "owner of {}", self.address())
    }
}
