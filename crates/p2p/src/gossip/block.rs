//! A block as its sealer announces it: header and transaction hashes; who lacks a transaction asks for it.

use super::{
    SignedHead,
    signed_head::{read_signature, verify},
};
use crate::{
    ForkDigest, Head,
    wire::{
        GOSSIP_BYTES_MAX, HEADER_BYTES_MAX, Reader, Wire, WireError, Writer, read_withdrawals,
        write_withdrawals,
    },
};
use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{B256, Bytes, TxHash};
use libp2p::identity::Keypair;
use weft_primitives::SealedHeader;

/// Hashes that an announcement has room for; the body of a block with more is fetched from there on.
pub const HASHES_MAX: usize = 16_384;
/// Begins the signed digest of an announcement.
const DOMAIN: &[u8] = b"weft-announcement-1";

/// A new block. Believed only from a sealer, and as far as its header: that the hashes belong to it shows when the
/// transactions are had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockAnnouncement {
    /// Its header.
    pub header: SealedHeader,
    /// Transactions of the block.
    pub transaction_count: u32,
    /// Hashes of the first of them, at most [`HASHES_MAX`], in the block's order.
    pub transactions: Vec<TxHash>,
    /// Its withdrawals, if its fork has them.
    pub withdrawals: Option<Vec<Withdrawal>>,
}

impl BlockAnnouncement {
    /// Of a block with these transactions; hashes for which there is no room are left out.
    pub fn new(header: SealedHeader, transactions: &[TxHash], withdrawals: Option<Vec<Withdrawal>>) -> Self {
        let transaction_count = u32::try_from(transactions.len()).unwrap_or(u32::MAX);
        let transactions = transactions[..transactions.len().min(HASHES_MAX)].to_vec();
        Self { header, transaction_count, transactions, withdrawals }
    }

    /// The block by number and hash.
    pub fn head(&self) -> Head {
        Head { number: self.header.number, hash: self.header.hash() }
    }

    /// What is signed: `H("weft-announcement-1" ‖ fork digest ‖ H(RLP))`.
    fn digest(&self, digest: ForkDigest) -> B256 {
        let content = weft_erasure::sha256(&self.to_frame().to_vec());
        weft_erasure::sha256(&[DOMAIN, &digest.0, content.as_slice()].concat())
    }
}

/// An announcement as it is gossiped: with its author's signature over all of it, and over the head alone, which
/// travels on in statuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedAnnouncement {
    /// The block.
    pub announcement: BlockAnnouncement,
    /// Author, and its signature of the head.
    pub signed_head: SignedHead,
    /// The author's signature of the announcement.
    pub signature: Bytes,
}

impl SignedAnnouncement {
    /// Signs. `None` when the key cannot sign, which an ed25519 key always can.
    pub fn sign(announcement: BlockAnnouncement, digest: ForkDigest, key: &Keypair) -> Option<Self> {
        let signed_head = SignedHead::sign(announcement.head(), digest, key)?;
        let signature = key.sign(announcement.digest(digest).as_slice()).ok()?.into();
        Some(Self { announcement, signed_head, signature })
    }

    /// Whether both signatures are the signer's, and of this block.
    pub fn is_valid(&self, digest: ForkDigest) -> bool {
        let message = self.announcement.digest(digest);
        self.signed_head.head == self.announcement.head()
            && self.signed_head.is_valid(digest)
            && verify(&self.signed_head.signer, message, &self.signature)
    }
}

impl Wire for BlockAnnouncement {
    const BYTES_MAX: usize = GOSSIP_BYTES_MAX - 512;

    fn write(&self, out: &mut Writer) {
        out.list(|out| {
            out.item(self.header.header());
            out.item(&self.transaction_count);
            out.items(&self.transactions, |out, hash| out.item(hash));
            write_withdrawals(out, self.withdrawals.as_ref());
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut list = from.list()?;
        let header = list.raw(HEADER_BYTES_MAX)?;
        let announcement = Self {
            header: SealedHeader::seal_slow(alloy_rlp::decode_exact::<Header>(&header)?),
            transaction_count: list.item()?,
            transactions: list.items("transactions", HASHES_MAX, |from| from.item())?,
            withdrawals: read_withdrawals(&mut list)?,
        };
        list.end()?;
        if announcement.transactions.len() != (announcement.transaction_count as usize).min(HASHES_MAX) {
            return Err(WireError::Field {
                field: "transactions",
                reason: "not as many as there is room for",
            });
        }
        Ok(announcement)
    }
}

impl Wire for SignedAnnouncement {
    const BYTES_MAX: usize = GOSSIP_BYTES_MAX;

    fn write(&self, out: &mut Writer) {
        out.list(|out| {
            self.announcement.write(out);
            self.signed_head.write(out);
            out.bytes(&self.signature);
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut list = from.list()?;
        let signed = Self {
            announcement: BlockAnnouncement::read(&mut list)?,
            signed_head: SignedHead::read(&mut list)?,
            signature: read_signature(&mut list)?,
        };
        list.end()?;
        Ok(signed)
    }
}
