//! Starts the network: configuration in, handle and events out.

use crate::{
    NetworkConfig, NetworkError, NetworkEvent, NetworkHandle, Serve,
    behaviour::Behaviour,
    handle::{COMMANDS_MAX, View},
    identity,
    transport::{self, Meters},
    worker::{Args, Worker},
};
use libp2p::{Multiaddr, PeerId, Swarm, identity::Keypair, multiaddr::Protocol, swarm};
use std::{sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};

/// Connections live as long as both sides want; those that fail are found by ping.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Time for the listeners to learn their addresses.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the network begins.
#[derive(Debug)]
pub struct Network;

impl Network {
    /// Reads or makes the key, listens, dials, and runs until it is shut down. Needs a tokio runtime. Returns when every
    /// listener has its address.
    pub async fn start(
        config: NetworkConfig,
        serve: Arc<dyn Serve>,
    ) -> Result<(NetworkHandle, mpsc::Receiver<NetworkEvent>), NetworkError> {
        let key = match &config.identity {
            Some(path) => identity::load_or_create(path)?,
            None => Keypair::generate_ed25519(),
        };
        Self::start_with_key(config, key, serve).await
    }

    /// The same with a key instead of a key file.
    pub async fn start_with_key(
        config: NetworkConfig,
        key: Keypair,
        serve: Arc<dyn Serve>,
    ) -> Result<(NetworkHandle, mpsc::Receiver<NetworkEvent>), NetworkError> {
        check(&config)?;
        let meters = Meters::default();
        let transport = transport::build(&key, config.quic, &config.limits, &meters)?;
        let local = key.public().to_peer_id();
        let settings = swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE_TIMEOUT);
        let mut swarm = Swarm::new(transport, Behaviour::new(&config, &key)?, local, settings);
        for address in &config.listen {
            swarm
                .listen_on(address.clone())
                .map_err(|source| NetworkError::Listen { address: address.clone(), source })?;
        }
        config.external.iter().for_each(|address| swarm.add_external_address(address.clone()));
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let (events, outbox) = mpsc::channel(config.limits.events_max);
        let (view, mut seen) = watch::channel(View::default());
        let worker = Worker::new(Args { config, key, swarm, meters, serve, commands: inbox, events, view })?;
        tokio::spawn(worker.run());
        let listening = tokio::time::timeout(LISTEN_TIMEOUT, seen.wait_for(|view| view.is_listening));
        if listening.await.is_err() {
            let reason = format!("no listener after {LISTEN_TIMEOUT:?}");
            return Err(NetworkError::Build { part: "listeners", reason });
        }
        Ok((NetworkHandle { local, commands, view: seen }, outbox))
    }
}

fn check(config: &NetworkConfig) -> Result<(), NetworkError> {
    let refuse = |field, reason: &str| Err(NetworkError::Config { field, reason: reason.to_owned() });
    let limits = &config.limits;
    if config.columns > 256 {
        return refuse("columns", "more than 256");
    }
    if config.custody_count > config.columns {
        return refuse("custody_count", "more than the chain has columns");
    }
    if limits.requests_out_max == 0 || limits.serve_threads == 0 || limits.events_max == 0 {
        return refuse("limits", "requests_out_max, serve_threads and events_max are at least 1");
    }
    let positive =
        [limits.requests_in_per_second, limits.serve_bytes_per_second, limits.gossip_bytes_per_second];
    if positive.iter().any(|rate| !(rate.is_finite() && *rate > 0.0)) {
        return refuse("limits", "rates are positive numbers");
    }
    Ok(())
}

/// The peer that an address ends with, and the address.
pub(crate) fn peer_of(address: &Multiaddr) -> Result<PeerId, NetworkError> {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => Ok(peer),
        _ => Err(NetworkError::NoPeerId { address: address.clone() }),
    }
}
