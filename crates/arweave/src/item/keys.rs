//! The keys that sign data items: Arweave's RSA (1), Ed25519 (2, only verified), Ethereum's secp256k1 (3).

use crate::{FormatError, Owner};
use alloy_primitives::{Address, eip191_hash_message, keccak256};
use bytes::Bytes;
use k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};
use std::fmt;

/// What key signed an item; the numbers are ANS-104's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum SignatureType {
    /// RSA-PSS of 4096 bits; the owner is the modulus.
    Arweave = 1,
    /// Ed25519; the owner is the 32-byte key.
    Ed25519 = 2,
    /// secp256k1 over an EIP-191 message; the owner is the uncompressed key, 65 bytes.
    Ethereum = 3,
}

impl TryFrom<u16> for SignatureType {
    type Error = FormatError;

    fn try_from(number: u16) -> Result<Self, FormatError> {
        match number {
            1 => Ok(Self::Arweave),
            2 => Ok(Self::Ed25519),
            3 => Ok(Self::Ethereum),
            _ => Err(FormatError::Malformed {
                field: "signature type",
                reason: "not 1 (Arweave), 2 (Ed25519) or 3 (Ethereum)",
            }),
        }
    }
}

impl SignatureType {
    /// Bytes of a signature.
    pub fn signature_bytes(self) -> usize {
        match self {
            Self::Arweave => 512,
            Self::Ed25519 => 64,
            Self::Ethereum => 65,
        }
    }

    /// Bytes of a public key.
    pub fn owner_bytes(self) -> usize {
        match self {
            Self::Arweave => 512,
            Self::Ed25519 => 32,
            Self::Ethereum => 65,
        }
    }

    /// Checks a signature of this type.
    pub(super) fn verify(self, owner: &Bytes, message: &[u8], signature: &[u8]) -> Result<(), FormatError> {
        match self {
            Self::Arweave => Owner::new(owner.clone())?.verify(message, signature),
            Self::Ed25519 => ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, owner)
                .verify(message, signature)
                .map_err(|_| FormatError::Signature),
            Self::Ethereum => verify_ethereum(owner, message, signature).ok_or(FormatError::Signature),
        }
    }
}

/// The low form with its recovery byte, and the key that it recovers to is the owner.
fn verify_ethereum(owner: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let (signature, [recovery]) = signature.split_first_chunk::<64>().and_then(|(signature, recovery)| {
        Some((Signature::from_slice(signature).ok()?, <[u8; 1]>::try_from(recovery).ok()?))
    })?;
    let recovery = RecoveryId::from_byte(recovery.checked_sub(27)?).filter(|id| !id.is_x_reduced())?;
    let low = signature.normalize_s().is_none();
    let digest = eip191_hash_message(message);
    let key = VerifyingKey::recover_from_prehash(digest.as_slice(), &signature, recovery).ok()?;
    (low && key.to_encoded_point(false).as_bytes() == owner).then_some(())
}

/// A secp256k1 key that signs as Ethereum wallets do (EIP-191).
#[derive(Clone)]
pub struct EthereumKey(SigningKey);

impl EthereumKey {
    /// The key with this secret; refuses zero and numbers past the curve's order.
    pub fn from_bytes(secret: &[u8; 32]) -> Result<Self, FormatError> {
        let reason = "not a secret key of secp256k1";
        SigningKey::from_slice(secret)
            .map(Self)
            .map_err(|_| FormatError::Malformed { field: "Ethereum key", reason })
    }

    /// The uncompressed public key: 0x04, x, y.
    pub fn public_key(&self) -> Bytes {
        Bytes::copy_from_slice(self.0.verifying_key().to_encoded_point(false).as_bytes())
    }

    /// The account's address on Ethereum.
    pub fn ethereum_address(&self) -> Address {
        Address::from_slice(&keccak256(&self.public_key()[1..])[12..])
    }

    /// r, s (low), v (27 or 28) over the message with EIP-191's prefix. Deterministic (RFC 6979).
    pub fn sign_message(&self, message: &[u8]) -> Bytes {
        let digest = eip191_hash_message(message);
        let (signature, recovery) = self
            .0
            .sign_prehash_recoverable(digest.as_slice())
            .expect("a digest of 32 bytes can always be signed");
        let mut bytes = signature.to_bytes().to_vec();
        bytes.push(27 + recovery.to_byte());
        bytes.into()
    }
}

impl fmt::Debug for EthereumKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key of {}", self.ethereum_address())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_has_one_form() {
        let key = EthereumKey::from_bytes(&[3; 32]).unwrap();
        let (owner, good) = (key.public_key(), key.sign_message(b"message"));
        let verify = |signature: &[u8]| SignatureType::Ethereum.verify(&owner, b"message", signature);
        verify(&good).unwrap();
        // (r, n - s) with the other recovery bit, which plain ECDSA takes for the same message and key.
        let low = Signature::from_slice(&good[..64]).unwrap();
        let high = Signature::from_scalars(low.r().to_bytes(), (-*low.s()).to_bytes()).unwrap();
        let other = [&high.to_bytes()[..], &[55 - good[64]]].concat();
        assert_eq!(high.normalize_s(), Some(low));
        assert!(matches!(verify(&other), Err(FormatError::Signature)));
        for recovery in [0, 1, 26, 55 - good[64], 29, 30, 255] {
            let other = [&good[..64], &[recovery]].concat();
            assert!(matches!(verify(&other), Err(FormatError::Signature)), "{recovery}");
        }
        assert!(EthereumKey::from_bytes(&[0; 32]).is_err() && EthereumKey::from_bytes(&[0xff; 32]).is_err());
    }

    #[test]
    fn addresses_are_ethereums() {
        // The first account of the mnemonic "test test … junk" that development chains use.
        let secret =
            alloy_primitives::hex!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
        let key = EthereumKey::from_bytes(&secret).unwrap();
        assert_eq!(key.ethereum_address().to_string(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        assert!(!format!("{key:?}").contains("ac0974"));
    }
}
