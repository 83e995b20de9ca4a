//! Names of gossip topics (PROTOCOL §6).

use crate::ForkDigest;
use libp2p::gossipsub::{IdentTopic, TopicHash};
use weft_primitives::ColumnIndex;

/// A gossip topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// Heads of the sealers.
    Blocks,
    /// Transactions that wait for a block.
    Transactions,
    /// Cells of one column.
    Column(ColumnIndex),
}

impl Topic {
    /// `/weft/1/<fork digest>/…`.
    pub fn name(self, digest: ForkDigest) -> String {
        match self {
            Self::Blocks => format!("/weft/1/{digest}/blocks"),
            Self::Transactions => format!("/weft/1/{digest}/txs"),
            Self::Column(column) => format!("/weft/1/{digest}/column/{column}"),
        }
    }

    #[allow(dead_code, reason = "used by the worker")]
    pub(crate) fn ident(self, digest: ForkDigest) -> IdentTopic {
        IdentTopic::new(self.name(digest))
    }

    /// All topics of a chain with so many columns.
    pub(crate) fn all(columns: usize) -> impl Iterator<Item = Self> {
        let columns = (0..u16::try_from(columns).unwrap_or(u16::MAX)).map(|at| Self::Column(ColumnIndex(at)));
        [Self::Blocks, Self::Transactions].into_iter().chain(columns)
    }

    pub(crate) fn hash(self, digest: ForkDigest) -> TopicHash {
        self.ident(digest).hash()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_protocol() {
        let digest = ForkDigest([0x0a, 0x1b, 0x2c, 0xff]);
        assert_eq!(Topic::Blocks.name(digest), "/weft/1/0a1b2cff/blocks");
        assert_eq!(Topic::Transactions.name(digest), "/weft/1/0a1b2cff/txs");
        assert_eq!(Topic::Column(ColumnIndex(10)).name(digest), "/weft/1/0a1b2cff/column/10");
        assert_eq!(Topic::all(11).count(), 13);
    }
}
