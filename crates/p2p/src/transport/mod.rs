//! How bytes travel: TCP with noise and yamux, QUIC when it is asked for, names by DNS. Everything is counted per peer.

mod counted;
mod yamux;

pub(crate) use counted::{Meter, Meters};

use crate::{Limits, NetworkError};
use counted::Counted;
use libp2p::{
    PeerId, Transport,
    core::{
        muxing::StreamMuxerBox,
        transport::{Boxed, OrTransport, upgrade::Version},
    },
    dns,
    identity::Keypair,
    noise, quic, tcp,
};
use std::time::Duration;

/// Time for TCP, noise and yamux together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Connections that wait to be accepted.
const BACKLOG: u32 = 256;

/// The transport of a node. Bytes are counted in `meters`.
pub(crate) fn build(
    key: &Keypair,
    quic: bool,
    limits: &Limits,
    meters: &Meters,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, NetworkError> {
    let failed = |part: &'static str, reason: String| NetworkError::Build { part, reason };
    let noise = noise::Config::new(key).map_err(|error| failed("noise", error.to_string()))?;
    let tcp_meters = meters.clone();
    let tcp = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true).listen_backlog(BACKLOG))
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(yamux::Yamux::new(limits.connection_window_bytes))
        .timeout(CONNECT_TIMEOUT)
        .map(move |(peer, muxer), _| (peer, StreamMuxerBox::new(Counted::new(muxer, tcp_meters.of(peer)))));
    let dns = |error: std::io::Error| failed("dns", error.to_string());
    if !quic {
        return Ok(dns::tokio::Transport::system(tcp).map_err(dns)?.boxed());
    }
    let mut config = quic::Config::new(key);
    let window = u32::try_from(limits.connection_window_bytes).unwrap_or(u32::MAX);
    config.max_connection_data = window;
    config.max_stream_data = window / 4;
    let quic_meters = meters.clone();
    let quic = quic::tokio::Transport::new(config)
        .map(move |(peer, muxer), _| (peer, StreamMuxerBox::new(Counted::new(muxer, quic_meters.of(peer)))));
    let both = OrTransport::new(quic, tcp).map(|either, _| either.into_inner());
    Ok(dns::tokio::Transport::system(both).map_err(dns)?.boxed())
}
