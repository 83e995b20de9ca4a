//! When the network keeps enough of a block that this node need not: the arithmetic of it, and the proof value that the
//! deletion of bodies takes.
//!
//! Which lies are possible here: a peer that claims columns which it does not have, one peer under its own name twice, a
//! cell of another block or place than was asked for, a claim about another block. A claim counts only with a cell that
//! *we* chose and that was checked against the block's commitment, and a peer counts once. What cannot be found out is a
//! peer that has many names or that deletes tomorrow; the policy's numbers are the operator's answer to both.

use alloy_eips::BlockNumHash;
use alloy_primitives::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use weft_erasure::CheckedCell;
use weft_primitives::{ChunkIndex, ColumnIndex, DaSummary};

/// Longest name of a peer in bytes; a libp2p peer id has at most 42.
pub const PEER_BYTES_MAX: usize = 64;

/// How much of a block others must keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CustodyPolicy {
    /// Columns that must be kept beyond the k that reconstruct; k + margin is cut at n.
    pub margin: usize,
    /// Distinct peers that must keep each of them, one at least.
    pub peers_per_column: usize,
}

impl Default for CustodyPolicy {
    /// Two columns more than suffice, each at two peers: any one peer may go, and after it any two columns.
    fn default() -> Self {
        Self { margin: 2, peers_per_column: 2 }
    }
}

impl CustodyPolicy {
    /// Distinct columns that must be attested for a geometry of k of n.
    pub fn columns_needed(&self, data_shards: usize, columns: usize) -> usize {
        data_shards.saturating_add(self.margin).min(columns)
    }
}

/// What a peer says that it keeps of a block, with the answer to a question that it could not foresee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustodyAttestation {
    /// The peer's name: its libp2p peer id's bytes, authenticated by the connection.
    pub peer: Bytes,
    /// The block that it speaks of.
    pub block: BlockNumHash,
    /// Columns that it says it has complete.
    pub columns: Vec<ColumnIndex>,
    /// The cell that it was asked for, chosen at random among those columns by who asks.
    pub asked: (ColumnIndex, ChunkIndex),
    /// What it answered, checked against a commitment.
    pub spot: CheckedCell,
}

/// Why an attestation does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttestationError {
    /// It speaks of another block.
    #[error("it is about another block")]
    OtherBlock,
    /// No name, or one that is too long.
    #[error("a peer name of {0} bytes")]
    PeerName(usize),
    /// A column that the geometry does not have.
    #[error("there is no column {0}")]
    NoSuchColumn(ColumnIndex),
    /// The question was about a column that the peer does not claim.
    #[error("the spot check asked for column {0}, which is not claimed")]
    NotClaimed(ColumnIndex),
    /// The answer is another cell than was asked for, or another block's.
    #[error("the spot check was answered with another cell")]
    OtherCell,
}

impl CustodyAttestation {
    fn check(&self, block: BlockNumHash, summary: &DaSummary) -> Result<(), AttestationError> {
        if self.block != block {
            return Err(AttestationError::OtherBlock);
        }
        if self.peer.is_empty() || self.peer.len() > PEER_BYTES_MAX {
            return Err(AttestationError::PeerName(self.peer.len()));
        }
        let columns = summary.geometry.columns();
        if let Some(column) = self.columns.iter().find(|column| usize::from(column.0) >= columns) {
            return Err(AttestationError::NoSuchColumn(*column));
        }
        if !self.columns.contains(&self.asked.0) {
            return Err(AttestationError::NotClaimed(self.asked.0));
        }
        let answered = (self.spot.column(), self.spot.chunk());
        if answered != self.asked || self.spot.da_root() != summary.da_root {
            return Err(AttestationError::OtherCell);
        }
        Ok(())
    }
}

/// What is missing until enough is attested.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{have} of {need} columns are attested by {peers_per_column} peers each; short are columns {short:?}"
)]
pub struct CustodyShortfall {
    /// Columns with enough peers.
    pub have: usize,
    /// Columns that are needed.
    pub need: usize,
    /// Peers that each of them needs.
    pub peers_per_column: usize,
    /// Columns with fewer peers, and how many they have.
    pub short: Vec<(ColumnIndex, u32)>,
}

/// That enough distinct peers keep enough distinct columns of one block. Only [`CustodyProof::check`] makes one; whoever
/// deletes a body for it asks for it by value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustodyProof {
    block: BlockNumHash,
    columns: Vec<(ColumnIndex, u32)>,
}

impl CustodyProof {
    /// Counts. An attestation that is wrong counts for nothing; the second of one peer adds nothing to the first.
    pub fn check(
        block: BlockNumHash,
        summary: &DaSummary,
        policy: CustodyPolicy,
        attestations: &[CustodyAttestation],
    ) -> Result<Self, CustodyShortfall> {
        let mut keepers: BTreeMap<ColumnIndex, BTreeSet<&[u8]>> = BTreeMap::new();
        for attestation in attestations {
            if let Err(error) = attestation.check(block, summary) {
                tracing::debug!(target: "weft::storage", number = block.number, peer = %attestation.peer, %error, "attestation does not count");
                continue;
            }
            for column in &attestation.columns {
                keepers.entry(*column).or_default().insert(&attestation.peer);
            }
        }
        let columns = u16::try_from(summary.geometry.columns()).expect("Geometry allows at most 256 columns");
        let counted: Vec<(ColumnIndex, u32)> = (0..columns)
            .map(ColumnIndex)
            .map(|column| (column, keepers.get(&column).map_or(0, BTreeSet::len)))
            .map(|(column, peers)| (column, u32::try_from(peers).unwrap_or(u32::MAX)))
            .collect();
        let peers_per_column = policy.peers_per_column.max(1);
        let (enough, short): (Vec<_>, Vec<_>) =
            counted.into_iter().partition(|(_, peers)| *peers as usize >= peers_per_column);
        let need = policy.columns_needed(summary.geometry.data_shards(), summary.geometry.columns());
        if enough.len() < need {
            return Err(CustodyShortfall { have: enough.len(), need, peers_per_column, short });
        }
        Ok(Self { block, columns: enough })
    }

    /// The block.
    pub fn block(&self) -> BlockNumHash {
        self.block
    }

    /// Columns that count, with the number of distinct peers that attested each.
    pub fn columns(&self) -> &[(ColumnIndex, u32)] {
        &self.columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;
    use weft_erasure::{BlockCells, column_of, encode_blob};
    use weft_primitives::{EncodedBlob, Geometry};

    const BLOCK: BlockNumHash = BlockNumHash { number: 5, hash: B256::repeat_byte(5) };

    struct Block {
        blob: Vec<u8>,
        encoded: EncodedBlob,
        cells: BlockCells,
    }

    fn block(byte: u8) -> Block {
        let geometry = Geometry::new(1, 2, 3, 256).unwrap();
        let blob = vec![byte; 700];
        let encoded = encode_blob(geometry, &blob);
        let cells = BlockCells::of_blobs(geometry, &[(0, B256::ZERO, &encoded)]);
        Block { blob, encoded, cells }
    }

    /// An honest peer that has `columns`, asked for a cell of the first of them.
    fn attest(block: &Block, peer: u8, columns: &[u16]) -> CustodyAttestation {
        let (column, chunk) = (ColumnIndex(columns[0]), ChunkIndex(1));
        let whole = column_of(&block.encoded, &block.blob, column);
        let cell = whole.slice(weft_erasure::cell_range(block.encoded.geometry, 700, 1));
        CustodyAttestation {
            peer: vec![peer; 38].into(),
            block: BLOCK,
            columns: columns.iter().copied().map(ColumnIndex).collect(),
            asked: (column, chunk),
            spot: block.cells.check_cell(chunk, column, cell).unwrap(),
        }
    }

    /// k = 2, n = 5: margin, peers per column, who claims what, columns that count or that have enough.
    type Row = (usize, usize, &'static [(u8, &'static [u16])], Result<&'static [u16], usize>);

    const TABLE: &[Row] = &[
        (0, 1, &[], Err(0)),
        (0, 1, &[(1, &[0])], Err(1)),
        (0, 1, &[(1, &[0, 4])], Ok(&[0, 4])),
        (0, 1, &[(1, &[0]), (2, &[0])], Err(1)),
        (0, 1, &[(1, &[0]), (2, &[3])], Ok(&[0, 3])),
        (1, 1, &[(1, &[0, 1])], Err(2)),
        (1, 1, &[(1, &[0, 1]), (2, &[1, 2])], Ok(&[0, 1, 2])),
        (0, 2, &[(1, &[0, 1]), (2, &[1])], Err(1)),
        (0, 2, &[(1, &[0, 1]), (1, &[0, 1])], Err(0)),
        (0, 2, &[(1, &[0, 1]), (2, &[1, 0])], Ok(&[0, 1])),
        (0, 2, &[(1, &[0, 1, 1, 1]), (2, &[1])], Err(1)),
        (9, 1, &[(1, &[0, 1, 2, 3])], Err(4)),
        (9, 1, &[(1, &[0, 1, 2, 3, 4])], Ok(&[0, 1, 2, 3, 4])),
        (0, 0, &[], Err(0)),
        (0, 0, &[(1, &[1, 2])], Ok(&[1, 2])),
    ];

    #[test]
    fn enough_is_enough_distinct_columns_at_enough_distinct_peers() {
        let block = block(1);
        for (margin, peers_per_column, claims, expected) in TABLE {
            let claims: Vec<_> =
                claims.iter().map(|(peer, columns)| attest(&block, *peer, columns)).collect();
            let policy = CustodyPolicy { margin: *margin, peers_per_column: *peers_per_column };
            let found = CustodyProof::check(BLOCK, block.cells.summary(), policy, &claims);
            let found = found
                .map(|proof| proof.columns().iter().map(|(column, _)| column.0).collect::<Vec<_>>())
                .map_err(|shortfall| shortfall.have);
            assert_eq!(found, expected.map(<[u16]>::to_vec), "margin {margin}, {peers_per_column} peers");
        }
    }

    #[test]
    fn a_lie_counts_for_nothing() {
        let (ours, other) = (block(1), block(2));
        let policy = CustodyPolicy { margin: 0, peers_per_column: 1 };
        let honest = attest(&ours, 1, &[0, 4]);
        let summary = ours.cells.summary();
        assert!(CustodyProof::check(BLOCK, summary, policy, std::slice::from_ref(&honest)).is_ok());
        let lie = |change: fn(&mut CustodyAttestation)| {
            let mut lie = honest.clone();
            change(&mut lie);
            (lie.check(BLOCK, summary), CustodyProof::check(BLOCK, summary, policy, &[lie]).is_ok())
        };
        use AttestationError::*;
        assert_eq!(lie(|claim| claim.block.number = 6), (Err(OtherBlock), false));
        assert_eq!(lie(|claim| claim.block.hash = B256::ZERO), (Err(OtherBlock), false));
        assert_eq!(lie(|claim| claim.peer = Bytes::new()), (Err(PeerName(0)), false));
        assert_eq!(lie(|claim| claim.peer = vec![1; 65].into()), (Err(PeerName(65)), false));
        assert_eq!(
            lie(|claim| claim.columns.push(ColumnIndex(5))),
            (Err(NoSuchColumn(ColumnIndex(5))), false)
        );
        let unclaimed = lie(|claim| {
            claim.columns.remove(0);
        });
        assert_eq!(unclaimed, (Err(NotClaimed(ColumnIndex(0))), false));
        assert_eq!(lie(|claim| claim.asked.1 = ChunkIndex(0)), (Err(OtherCell), false));
        assert_eq!(lie(|claim| claim.asked.0 = ColumnIndex(4)), (Err(OtherCell), false));
        let foreign = CustodyAttestation { spot: attest(&other, 1, &[0]).spot, ..honest };
        assert_eq!(foreign.check(BLOCK, summary), Err(OtherCell));
    }
}
