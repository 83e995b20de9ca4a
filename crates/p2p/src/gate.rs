//! The gate: refuses connections of banned peers, and more than so many from one address.

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, multiaddr::Protocol, transport::PortUse},
    swarm::{
        ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
    },
};
use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    net::IpAddr,
    task::{Context, Poll},
};

/// Why a connection is refused.
#[derive(Debug, thiserror::Error)]
enum Denied {
    #[error("the peer is banned")]
    Banned,
    #[error("too many connections from {0}")]
    Address(IpAddr),
}

/// Behaviour without a protocol. What it knows is bounded by the bans (see [`Scores`](crate::score::Scores)) and by the
/// connections there are.
#[derive(Debug)]
pub(crate) struct Gate {
    banned: HashSet<PeerId>,
    inbound: HashMap<ConnectionId, IpAddr>,
    per_address_max: usize,
}

impl Gate {
    pub(crate) fn new(per_address_max: u32) -> Self {
        let per_address_max = per_address_max as usize;
        Self { banned: HashSet::new(), inbound: HashMap::new(), per_address_max }
    }

    /// Existing connections are the caller's to close.
    pub(crate) fn ban(&mut self, peer: PeerId) {
        self.banned.insert(peer);
    }

    pub(crate) fn unban(&mut self, peer: &PeerId) {
        self.banned.remove(peer);
    }

    pub(crate) fn banned(&self) -> usize {
        self.banned.len()
    }

    fn admit(&self, peer: &PeerId) -> Result<(), ConnectionDenied> {
        if self.banned.contains(peer) { Err(ConnectionDenied::new(Denied::Banned)) } else { Ok(()) }
    }
}

/// The address that a limit counts; loopback is not counted: a devnet lives there.
fn counted_address(remote: &Multiaddr) -> Option<IpAddr> {
    let address = match remote.iter().next()? {
        Protocol::Ip4(address) => IpAddr::from(address),
        Protocol::Ip6(address) => IpAddr::from(address),
        _ => return None,
    };
    (!address.is_loopback()).then_some(address)
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(&peer)?;
        if let Some(address) = counted_address(remote) {
            let others = self.inbound.values().filter(|other| **other == address).count();
            if others >= self.per_address_max {
                return Err(ConnectionDenied::new(Denied::Address(address)));
            }
            self.inbound.insert(connection, address);
        }
        Ok(dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        peer.map_or(Ok(()), |peer| self.admit(&peer))?;
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(&peer)?;
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. }) => {
                self.inbound.remove(&connection_id);
            }
            // A connection that another behaviour refused after this one had counted it.
            FromSwarm::ListenFailure(failure) => {
                self.inbound.remove(&failure.connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_so_many_connections_and_loopback_any_number() {
        let mut gate = Gate::new(2);
        let local: Multiaddr = "/ip4/10.0.0.1/tcp/1".parse().unwrap();
        let mut come = |id: usize, remote: &str| {
            let remote: Multiaddr = remote.parse().unwrap();
            let id = ConnectionId::new_unchecked(id);
            gate.handle_established_inbound_connection(id, PeerId::random(), &local, &remote).is_ok()
        };
        assert!(come(1, "/ip4/10.0.0.2/tcp/7") && come(2, "/ip4/10.0.0.2/udp/8/quic-v1"));
        assert!(!come(3, "/ip4/10.0.0.2/tcp/9"));
        assert!(come(4, "/ip4/10.0.0.3/tcp/9"));
        assert!((5..50).all(|id| come(id, "/ip4/127.0.0.1/tcp/9")));
    }

    #[test]
    fn a_banned_peer_neither_comes_nor_is_dialled() {
        let mut gate = Gate::new(2);
        let (local, remote): (Multiaddr, Multiaddr) =
            ("/ip4/10.0.0.1/tcp/1".parse().unwrap(), "/ip4/10.0.0.2/tcp/1".parse().unwrap());
        let peer = PeerId::random();
        gate.ban(peer);
        let id = ConnectionId::new_unchecked;
        assert!(gate.handle_established_inbound_connection(id(1), peer, &local, &remote).is_err());
        assert!(gate.handle_pending_outbound_connection(id(2), Some(peer), &[], Endpoint::Dialer).is_err());
        gate.unban(&peer);
        assert!(gate.handle_established_inbound_connection(id(3), peer, &local, &remote).is_ok());
    }
}
