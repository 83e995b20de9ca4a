//! A head with the signature of its sealer, so that a node which was away learns from anybody what it can believe.

use crate::{
    ForkDigest, Head,
    wire::{Reader, Wire, WireError, Writer, read_peer, write_peer},
};
use alloy_primitives::{B256, Bytes};
use libp2p::{
    PeerId,
    identity::{Keypair, PublicKey},
};

/// Begins the signed digest of a head.
const DOMAIN: &[u8] = b"weft-signed-head-1";
/// An ed25519 signature.
const SIGNATURE_BYTES: usize = 64;

/// A sealer's word that this block is its head. Signature over
/// `H("weft-signed-head-1" ‖ fork digest ‖ u64(number) ‖ hash)` by the key of `signer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHead {
    /// The block.
    pub head: Head,
    /// Whose key.
    pub signer: PeerId,
    /// The signature.
    pub signature: Bytes,
}

impl SignedHead {
    /// Signs. `None` when the key cannot sign, which an ed25519 key always can.
    pub fn sign(head: Head, digest: ForkDigest, key: &Keypair) -> Option<Self> {
        let signature = key.sign(message(head, digest).as_slice()).ok()?.into();
        Some(Self { head, signer: key.public().to_peer_id(), signature })
    }

    /// Whether the signature is that of `signer`. Whether `signer` is a sealer is the caller's question.
    pub fn is_valid(&self, digest: ForkDigest) -> bool {
        verify(&self.signer, message(self.head, digest), &self.signature)
    }
}

fn message(head: Head, digest: ForkDigest) -> B256 {
    let parts = [DOMAIN, &digest.0, &head.number.to_be_bytes(), head.hash.as_slice()];
    weft_erasure::sha256(&parts.concat())
}

/// Verifies with the key that an ed25519 peer id holds in full; a hashed peer id has none.
pub(super) fn verify(signer: &PeerId, message: B256, signature: &[u8]) -> bool {
    // Multihash: code 0 (identity), length, protobuf of the key.
    let bytes = signer.to_bytes();
    let key = match bytes.as_slice() {
        [0, _, key @ ..] => PublicKey::try_decode_protobuf(key),
        _ => return false,
    };
    key.is_ok_and(|key| key.verify(message.as_slice(), signature))
}

pub(super) fn read_signature(from: &mut Reader<'_>) -> Result<Bytes, WireError> {
    let signature = from.bytes(SIGNATURE_BYTES)?;
    if signature.len() != SIGNATURE_BYTES {
        return Err(WireError::Field { field: "signature", reason: "not 64 bytes" });
    }
    Ok(signature)
}

impl Wire for SignedHead {
    const BYTES_MAX: usize = 256;

    fn write(&self, out: &mut Writer) {
        out.list(|out| {
            out.item(&self.head.number);
            out.item(&self.head.hash);
            write_peer(out, &self.signer);
            out.bytes(&self.signature);
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut list = from.list()?;
        let signed = Self {
            head: Head { number: list.item()?, hash: list.item()? },
            signer: read_peer(&mut list)?,
            signature: read_signature(&mut list)?,
        };
        list.end()?;
        Ok(signed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;

    const DIGEST: ForkDigest = ForkDigest([1, 2, 3, 4]);

    /// Key of 32 bytes 0x42; public key and signature by Python's `cryptography`.
    #[test]
    fn vector() {
        let public = hex!("2152f8d19b791d24453242e15f2eab6cb7cffa7b6a5ed30097960e069881db12");
        let signature = hex!(
            "62d95e5602128a1463a891a8650db83dbf2baab1fa556c63488dc311c25ca392"
            "1d2fd6560ae67ed6801a11bc2f54c061569687a13e5f743eefd538c8c8dc8403"
        );
        let signer = PeerId::from_bytes(&[&hex!("002408011220")[..], &public].concat()).unwrap();
        let head = Head { number: 300, hash: B256::repeat_byte(2) };
        let signed = SignedHead { head, signer, signature: signature.into() };
        assert!(signed.is_valid(DIGEST));
        let key = Keypair::ed25519_from_bytes([0x42; 32]).unwrap();
        assert_eq!(SignedHead::sign(head, DIGEST, &key), Some(signed.clone()));

        // Another chain, block, signer or signature.
        assert!(!signed.is_valid(ForkDigest([1, 2, 3, 5])));
        let other = Head { number: 301, ..head };
        assert!(!SignedHead { head: other, ..signed.clone() }.is_valid(DIGEST));
        let stranger = Keypair::generate_ed25519().public().to_peer_id();
        assert!(!SignedHead { signer: stranger, ..signed.clone() }.is_valid(DIGEST));
        let hashed = PeerId::from_bytes(&[&hex!("1220")[..], &[7; 32]].concat()).unwrap();
        assert!(!SignedHead { signer: hashed, ..signed.clone() }.is_valid(DIGEST));
        let mut bent = signed.signature.to_vec();
        bent[40] ^= 1;
        assert!(!SignedHead { signature: bent.into(), ..signed }.is_valid(DIGEST));
    }
}
