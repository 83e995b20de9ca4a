//! Everything that is computed from a transaction once: both hashes, sender, cells.
//!
//! Pure CPU work without locks. Admission runs it on its own threads, `Pool::prepare` on rayon's for blocks that
//! come from outside. Transactions are hashed several at a time, so that keccak can use the machine's lanes.

use crate::{decode::Decoded, error::PoolError, parity::ParityBudget};
use alloy_consensus::{Transaction as _, crypto::secp256k1};
use alloy_primitives::{Address, B256, Bytes, TxHash};
use rayon::prelude::*;
use std::sync::Arc;
use weft_chainspec::ChainSpec;
use weft_primitives::{Geometry, PreparedTransaction, keccak::keccak256_many};

/// Transactions of a block that one thread hashes side by side: as many as the widest keccak has lanes.
const BLOCK_BATCH: usize = 8;

/// Both hashes of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hashes {
    /// What the sender signed.
    pub signing: B256,
    /// Transaction hash.
    pub transaction: TxHash,
}

/// Hashes signing payloads and encodings of all, side by side.
pub(crate) fn hash_all(batch: &[&Decoded]) -> Vec<Hashes> {
    let signing: Vec<[&[u8]; 3]> = batch.iter().map(|decoded| decoded.signing_parts()).collect();
    let encoded: Vec<[&[u8]; 1]> = batch.iter().map(|decoded| [decoded.encoded.as_ref()]).collect();
    let messages: Vec<&[&[u8]]> =
        signing.iter().map(|parts| &parts[..]).chain(encoded.iter().map(|parts| &parts[..])).collect();
    let hashes = keccak256_many(&messages);
    let (signing, transaction) = hashes.split_at(batch.len());
    signing
        .iter()
        .zip(transaction)
        .map(|(signing, transaction)| Hashes { signing: *signing, transaction: *transaction })
        .collect()
}

/// Who signed; refuses a high `s` (EIP-2).
pub(crate) fn recover(decoded: &Decoded, signing: B256) -> Result<Address, PoolError> {
    Ok(secp256k1::recover_signer(&decoded.signature, signing)?)
}

/// Codes blobs of one chain and puts prepared transactions together.
#[derive(Clone, Debug)]
pub(crate) struct Preparer {
    /// `None` on a chain without `config.weft`.
    blobs: Option<(Geometry, usize)>,
    parity: ParityBudget,
}

impl Preparer {
    pub(crate) fn new(spec: &ChainSpec, parity: ParityBudget) -> Self {
        let blobs = spec.weft().map(|weft| (weft.geometry, weft.blob_threshold_bytes));
        Self { blobs, parity }
    }

    pub(crate) fn parity(&self) -> &ParityBudget {
        &self.parity
    }

    /// Whether a transaction of so many bytes can have an input that is coded.
    pub(crate) fn may_carry_blob(&self, bytes: usize) -> bool {
        self.blobs.is_some_and(|(_, threshold)| bytes >= threshold)
    }

    /// Codes the input where it is large enough, and seals the transaction with its hash.
    pub(crate) fn finish(&self, decoded: Decoded, hash: TxHash, sender: Address) -> PreparedTransaction {
        let input = decoded.tx.input();
        let blob = self
            .blobs
            .filter(|(_, threshold)| input.len() >= *threshold)
            .map(|(geometry, _)| Arc::new(self.parity.admit(weft_erasure::encode_blob(geometry, input))));
        let input_bytes = decoded.input_bytes;
        let (tx, encoded) = decoded.seal(hash);
        PreparedTransaction { tx, sender, encoded, input_bytes, blob }
    }

    /// Prepares the transactions of a block in parallel. What `known` has is taken from there. `low_s`: whether
    /// EIP-2 holds in that block.
    pub(crate) fn block(
        &self,
        encoded: Vec<Bytes>,
        low_s: bool,
        known: impl Fn(&TxHash) -> Option<Arc<PreparedTransaction>> + Sync,
    ) -> Result<Vec<Arc<PreparedTransaction>>, PoolError> {
        let batches: Vec<Vec<Arc<PreparedTransaction>>> = encoded
            .par_chunks(BLOCK_BATCH)
            .map(|batch| self.batch(batch, low_s, &known))
            .collect::<Result<_, PoolError>>()?;
        Ok(batches.into_iter().flatten().collect())
    }

    fn batch(
        &self,
        batch: &[Bytes],
        low_s: bool,
        known: &impl Fn(&TxHash) -> Option<Arc<PreparedTransaction>>,
    ) -> Result<Vec<Arc<PreparedTransaction>>, PoolError> {
        let encodings: Vec<[&[u8]; 1]> = batch.iter().map(|encoded| [encoded.as_ref()]).collect();
        let hashes = keccak256_many(&encodings.iter().map(|parts| &parts[..]).collect::<Vec<_>>());
        let found: Vec<_> = hashes.iter().map(known).collect();
        let unknown = batch.iter().zip(&found).filter(|(_, found)| found.is_none());
        let decoded =
            unknown.map(|(raw, _)| Decoded::from_body(raw.clone())).collect::<Result<Vec<_>, _>>()?;
        let signing: Vec<[&[u8]; 3]> = decoded.iter().map(Decoded::signing_parts).collect();
        let signing = keccak256_many(&signing.iter().map(|parts| &parts[..]).collect::<Vec<_>>());
        let mut unknown = decoded.into_iter().zip(signing);
        let finish = |(hash, found): (TxHash, Option<Arc<PreparedTransaction>>)| {
            let Some((decoded, signing)) = (if found.is_none() { unknown.next() } else { None }) else {
                // One decoded transaction per unknown hash: only known ones get here.
                return Ok(found);
            };
            let sender = if low_s {
                recover(&decoded, signing)?
            } else {
                secp256k1::recover_signer_unchecked(&decoded.signature, signing)?
            };
            Ok(Some(Arc::new(self.finish(decoded, hash, sender))))
        };
        hashes.into_iter().zip(found).map(finish).filter_map(Result::transpose).collect()
    }
}
