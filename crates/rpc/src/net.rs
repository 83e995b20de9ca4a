//! `net_`: what a wallet asks first.

use crate::Registrar;
use alloy_primitives::U64;

/// Registers the namespace.
pub fn register(registrar: &mut Registrar) {
    registrar.quick("net_version", 0, |context, _| Ok(context.spec().chain_id().to_string()));
    registrar.quick("net_listening", 0, |context, _| Ok(context.parts.network.is_listening()));
    registrar.quick("net_peerCount", 0, |context, _| Ok(U64::from(context.parts.network.peer_count())));
}
