//! What every proof begins with: the header and the preimage of its `daRoot`.

use super::{ProofError, path_error, wire::HEADER_BYTES_MAX};
use crate::{Preimage, hash::leaf, merkle};
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use serde::{Deserialize, Serialize};
use weft_primitives::{ColumnIndex, DaSummary, Geometry};

/// Header and preimage as given by someone who is not trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, RlpEncodable, RlpDecodable)]
#[serde(rename_all = "camelCase")]
pub struct Anchor {
    /// RLP of the block's header.
    pub header: Bytes,
    /// Version of the protocol.
    #[serde(with = "alloy_serde::quantity")]
    pub version: u16,
    /// k.
    #[serde(with = "alloy_serde::quantity")]
    pub data_shards: u16,
    /// m.
    #[serde(with = "alloy_serde::quantity")]
    pub parity_shards: u16,
    /// Bytes coded together.
    #[serde(with = "alloy_serde::quantity")]
    pub chunk_bytes: u32,
    /// Blobs of the block.
    #[serde(with = "alloy_serde::quantity")]
    pub blob_count: u32,
    /// C.
    #[serde(with = "alloy_serde::quantity")]
    pub chunk_count: u32,
    /// Root over the blobs' leaves.
    pub blobs_root: B256,
}

impl Anchor {
    /// Of a block that this node holds; refuses a header that commits to something else.
    pub fn new(header: &Header, summary: &DaSummary) -> Result<Self, ProofError> {
        let expected = da_root_of(header)?;
        if expected != summary.da_root {
            return Err(ProofError::DaRoot { expected, found: summary.da_root });
        }
        Ok(Self::of_preimage(header, &Preimage::from(summary)))
    }

    /// Of a header and a preimage that was proven to be its `daRoot`'s.
    pub fn of_preimage(header: &Header, preimage: &Preimage) -> Self {
        let shards = |count: usize| u16::try_from(count).expect("Geometry allows at most 256 columns");
        let geometry = preimage.geometry;
        Self {
            header: alloy_rlp::encode(header).into(),
            version: geometry.version(),
            data_shards: shards(geometry.data_shards()),
            parity_shards: shards(geometry.parity_shards()),
            chunk_bytes: u32::try_from(geometry.chunk_bytes()).expect("Geometry holds chunkBytes as u32"),
            blob_count: preimage.blob_count,
            chunk_count: preimage.chunk_count,
            blobs_root: preimage.blobs_root,
        }
    }

    /// Compares the header with a block hash that the caller trusts. The preimage fields are believed
    /// only when a `columnsRoot` has closed the circle, see [`TrustedAnchor`].
    pub fn verify(&self, block_hash: B256) -> Result<TrustedAnchor, ProofError> {
        if self.header.len() > HEADER_BYTES_MAX {
            return Err(ProofError::HeaderBytes(self.header.len()));
        }
        let found = keccak256(&self.header);
        if found != block_hash {
            return Err(ProofError::BlockHash { expected: block_hash, found });
        }
        let header: Header = alloy_rlp::decode_exact(&self.header).map_err(ProofError::Header)?;
        let geometry = Geometry::new(self.version, self.data_shards, self.parity_shards, self.chunk_bytes)?;
        let preimage = Preimage {
            geometry,
            blob_count: self.blob_count,
            chunk_count: self.chunk_count,
            blobs_root: self.blobs_root,
        };
        Ok(TrustedAnchor { da_root: da_root_of(&header)?, header, preimage })
    }
}

fn da_root_of(header: &Header) -> Result<B256, ProofError> {
    B256::try_from(header.extra_data.as_ref()).map_err(|_| ProofError::ExtraData(header.extra_data.len()))
}

/// A header that hashes to a trusted block hash, and a preimage that is still a claim: it is true once
/// [`TrustedAnchor::close`] has led it to the header's `daRoot`.
#[derive(Clone, Debug)]
pub struct TrustedAnchor {
    header: Header,
    da_root: B256,
    preimage: Preimage,
}

impl TrustedAnchor {
    /// Of a header that the caller believes already, by its hash or from its own records, and a preimage that is a claim.
    pub fn of_header(header: &Header, preimage: Preimage) -> Result<Self, ProofError> {
        Ok(Self { da_root: da_root_of(header)?, header: header.clone(), preimage })
    }

    /// The header of the trusted hash.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What the header commits to.
    pub fn da_root(&self) -> B256 {
        self.da_root
    }

    /// The claimed preimage.
    pub fn preimage(&self) -> &Preimage {
        &self.preimage
    }

    /// Compares preimage and `columns_root` with the header's `daRoot`.
    pub fn close(&self, columns_root: B256) -> Result<(), ProofError> {
        let found = self.preimage.da_root(columns_root);
        if found == self.da_root { Ok(()) } else { Err(ProofError::DaRoot { expected: self.da_root, found }) }
    }

    /// Closes over a column's root and its audit path in the columns tree.
    pub(super) fn close_column(
        &self,
        column: ColumnIndex,
        column_root: B256,
        path: &[B256],
    ) -> Result<(), ProofError> {
        let columns = self.preimage.geometry.columns();
        let columns_root =
            merkle::root_from_path(leaf(column_root.as_slice()), column.0.into(), columns, path)
                .map_err(path_error("columnPath"))?;
        self.close(columns_root)
    }
}

/// The audit path of a column in the columns tree.
pub(super) fn column_path(summary: &DaSummary, column: ColumnIndex) -> Result<Vec<B256>, ProofError> {
    let leaves: Vec<B256> = summary.column_roots.iter().map(|root| leaf(root.as_slice())).collect();
    merkle::audit_path(&leaves, column.0.into()).map_err(path_error("columnPath"))
}
