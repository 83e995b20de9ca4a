//! Whether a transaction's data is in a block, with proofs.
//!
//! What is proven: the owner signed this data root and size; the gateways serve chunks of that data, each under the signed root;
//! where a chunk carries `tx_path`, the root stands at this place under the block's `tx_root`. What is a gateway's word: that
//! the block with this hash has this `tx_root`, that it is on the network's chain, and the number of confirmations. Two
//! independent gateways that agree, and reading all data back, are what to ask for before anything is deleted.

use super::{BlockHeader, Client, ClientConfig, Placement, TransactionStatus};
use crate::{
    DataRoot, Error, FormatError, Id, Transaction,
    chunk::ServedChunk,
    merkle::{CHUNK_BYTES_MAX, verify_chunk, verify_path},
};
use rand::Rng;
use std::sync::Arc;

/// A transaction's data in a block. Made by [`Client::prove_inclusion`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    block: String,
    height: u64,
    confirmations: u64,
    placement: Placement,
    chunks: usize,
    under_block_root: bool,
}

impl Inclusion {
    /// The block's hash.
    pub fn block(&self) -> &str {
        &self.block
    }

    /// Its height.
    pub fn height(&self) -> u64 {
        self.height
    }

    /// Blocks from it to the head, as told.
    pub fn confirmations(&self) -> u64 {
        self.confirmations
    }

    /// Where the data lies in the weave.
    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// How many chunks were read and proven under the signed root.
    pub fn chunks_proven(&self) -> usize {
        self.chunks
    }

    /// Whether every one of them was proven under the block's root as well, which takes a gateway that serves `tx_path`.
    pub fn is_under_block_root(&self) -> bool {
        self.under_block_root
    }
}

/// Checks that `tx_path` puts `root` at `placement` under the root of `block`.
pub fn verify_placement(
    block: &BlockHeader,
    root: DataRoot,
    placement: Placement,
    tx_path: &[u8],
) -> Result<(), FormatError> {
    let tx_root = block.tx_root.ok_or(FormatError::Proof("the block has no data"))?;
    // Offsets in the block's tree begin with the block.
    let begin = block.weave_size.saturating_sub(block.block_size);
    let within = placement.start.checked_sub(begin).and_then(|start| start.checked_add(placement.size));
    let Some(end) = within.filter(|end| *end <= block.block_size && placement.size > 0) else {
        return Err(FormatError::Proof("the data does not lie in the block"));
    };
    let proven = verify_path(&tx_root, block.block_size, end - 1, tx_path)?;
    if proven.hash != root.0 || proven.range != (end - placement.size..end) {
        return Err(FormatError::Proof("another data root, or at another place"));
    }
    Ok(())
}

impl Client {
    /// Proves that a transaction's data is in a block, with its first and last chunk and up to `samples` more at random. The
    /// transaction is one that the caller signed or verified. [`Error::Pending`] and [`Error::NotFound`] say that it is not mined.
    pub async fn prove_inclusion(
        &self,
        transaction: &Transaction,
        samples: usize,
    ) -> Result<Inclusion, Error> {
        transaction.verify()?;
        let (root, size) = match transaction.data_root {
            Some(root) => (root, transaction.data_size),
            None => {
                return Err(Error::Config("a transaction without data roots has nothing to prove".into()));
            }
        };
        let mut worst = None;
        for gateway in self.each_gateway() {
            match self.prove_by(&gateway, transaction.id, root, size, samples).await {
                Ok(inclusion) => return Ok(inclusion),
                Err(error) => worst = Error::worse(worst, error),
            }
        }
        Err(worst.unwrap_or_else(|| Error::NotFound(transaction.id.to_string())))
    }

    /// What `gateway` says of the block, held against chunks from anywhere.
    async fn prove_by(
        &self,
        gateway: &Self,
        id: Id,
        root: DataRoot,
        size: u64,
        samples: usize,
    ) -> Result<Inclusion, Error> {
        let (block, height, confirmations) = match gateway.transaction_status(id).await? {
            TransactionStatus::Confirmed { height, block, confirmations } => (block, height, confirmations),
            TransactionStatus::Pending => return Err(Error::Pending(id)),
            TransactionStatus::Unknown => return Err(Error::NotFound(id.to_string())),
        };
        let placement = gateway.placement(id).await?;
        if placement.size != size {
            return Err(FormatError::Proof("another size than the signed one").into());
        }
        let header = gateway.untrusted_block(&block).await?;
        let mut under_block_root = true;
        let offsets = offsets_to_prove(size, samples);
        for offset in &offsets {
            let check = |served: &ServedChunk| {
                verify_chunk(&root, size, *offset, &served.data_path, &served.chunk)?;
                if !served.tx_path.is_empty() {
                    verify_placement(&header, root, placement, &served.tx_path)?;
                }
                Ok(())
            };
            let served = self.checked_chunk(placement.start.saturating_add(*offset), check).await?;
            under_block_root &= !served.tx_path.is_empty();
        }
        Ok(Inclusion { block, height, confirmations, placement, chunks: offsets.len(), under_block_root })
    }

    /// Where the data lies, as some gateway says and its first chunk proves.
    pub(super) async fn proven_placement(
        &self,
        id: Id,
        root: DataRoot,
        size: u64,
    ) -> Result<Placement, Error> {
        let mut worst = None;
        for gateway in self.each_gateway() {
            let proven = async {
                let placement = gateway.placement(id).await?;
                let check = |served: &ServedChunk| {
                    verify_chunk(&root, size, 0, &served.data_path, &served.chunk).map(|_| ())
                };
                self.checked_chunk(placement.start, check).await.map(|_| placement)
            };
            match proven.await {
                Ok(placement) => return Ok(placement),
                Err(error) => worst = Error::worse(worst, error),
            }
        }
        Err(worst.unwrap_or_else(|| Error::NotFound(id.to_string())))
    }

    /// This client once for each gateway, talking to that one alone.
    fn each_gateway(&self) -> impl Iterator<Item = Self> + '_ {
        self.config.gateways.iter().map(|gateway| {
            let config = ClientConfig { gateways: vec![gateway.clone()], ..(*self.config).clone() };
            Self { http: self.http.clone(), config: Arc::new(config), preferred: Arc::default() }
        })
    }
}

/// The first byte, the last, and up to `samples` others, each once and in order.
fn offsets_to_prove(size: u64, samples: usize) -> Vec<u64> {
    let mut offsets = vec![0, size - 1];
    // No more samples than chunks, so that small data is not read over and over.
    let samples = samples.min(size.div_ceil(CHUNK_BYTES_MAX as u64) as usize);
    offsets.extend((0..samples).map(|_| rand::rng().random_range(0..size)));
    offsets.sort_unstable();
    offsets.dedup();
    offsets
}
