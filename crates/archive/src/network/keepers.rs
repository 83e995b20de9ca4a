//! Who may have a column of a block: by role, by custody, and by what a peer says that it still keeps.

use std::{cmp::Reverse, time::Duration};
use weft_p2p::{NetworkHandle, PeerId, PeerInfo, Role};
use weft_primitives::{BlockNumber, ColumnIndex};

/// How far a peer is taken to be that was not pinged yet.
const ROUND_TRIP_GUESS: Duration = Duration::from_millis(100);

/// Connected peers that may have cells of one block, the nearest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Keepers(Vec<Keeper>);

#[derive(Clone, Debug)]
struct Keeper {
    peer: PeerId,
    /// `None`: all.
    columns: Option<Vec<ColumnIndex>>,
}

impl Keepers {
    /// As the network sees them now.
    pub(super) async fn of(network: &NetworkHandle, block: BlockNumber) -> Self {
        Self::among(network.peers().await, block)
    }

    /// Those who keep columns only come first: full nodes have other work, and can answer for everybody.
    fn among(mut peers: Vec<PeerInfo>, block: BlockNumber) -> Self {
        let round_trip = |info: &PeerInfo| info.round_trip.unwrap_or(ROUND_TRIP_GUESS);
        peers.sort_by_key(|info| (Reverse(info.status.role == Role::Da), round_trip(info)));
        Self(peers.into_iter().filter_map(|info| keeper(info, block)).collect())
    }

    /// Who may have a column.
    pub(super) fn of_column(&self, column: ColumnIndex) -> Vec<PeerId> {
        let has = |keeper: &&Keeper| keeper.columns.as_ref().is_none_or(|columns| columns.contains(&column));
        self.0.iter().filter(has).map(|keeper| keeper.peer).collect()
    }

    /// Who may have anything of the block.
    pub(super) fn all(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.0.iter().map(|keeper| keeper.peer)
    }
}

fn keeper(info: PeerInfo, block: BlockNumber) -> Option<Keeper> {
    let status = &info.status;
    let columns = match status.role {
        Role::Light => return None,
        // A body is all data columns, and parity is stored beside it or computed.
        Role::Full if status.earliest_body <= block => None,
        Role::Full | Role::Da if status.earliest_columns <= block => Some(info.columns),
        Role::Full | Role::Da => return None,
    };
    Some(Keeper { peer: info.peer, columns })
}
