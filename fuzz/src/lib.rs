//! What the fuzz targets share: decoders that are held to their word, and a block of which everything is known.
//!
//! A target is a [`Family`] of decoders: the first byte of an input says which of them the rest is for. Each brings what
//! honest peers send; a target puts that into its corpus before it starts, so nothing generated is kept in the repository.

mod block;
mod decoder;

pub use block::{BLOCK, Block, cells_of};
pub use decoder::{Decoder, Family};

use libp2p::identity::Keypair;
use std::sync::LazyLock;
use weft_p2p::{ForkDigest, Head, SignedHead};
use weft_primitives::B256;

/// The chain that peers and targets agree upon.
pub const DIGEST: ForkDigest = ForkDigest([1, 2, 3, 4]);

/// A hash that is told from others at a glance.
pub fn hash(byte: u8) -> B256 {
    B256::repeat_byte(byte)
}

/// The key of the one sealer.
pub static SEALER: LazyLock<Keypair> =
    LazyLock::new(|| Keypair::ed25519_from_bytes([0x42; 32]).expect("32 bytes are an ed25519 key"));

/// A head with its signature.
pub fn signed_head() -> SignedHead {
    SignedHead::sign(Head { number: 300, hash: hash(2) }, DIGEST, &SEALER).expect("an ed25519 key signs")
}

/// No signature of the sealer is good for anything that it has not signed.
pub fn check_head(head: &SignedHead) {
    if head.signer == SEALER.public().to_peer_id() && head.is_valid(DIGEST) {
        assert_eq!(*head, signed_head(), "a forged head");
    }
}
