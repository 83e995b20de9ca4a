//! `net_`: what a wallet asks first.

use crate::{Args, Registrar, RpcContext, RpcError};
use alloy_primitives::U64;

/// Registers the namespace.
pub fn register(registrar: &mut Registrar) {
    registrar.quick("net_version", 0, |context, _| Ok(context.spec().chain_id().to_string()));
    registrar.quick("net_listening", 0, |_, _| Ok(true));
    registrar.quick("net_peerCount", 0, peer_count);
}

fn peer_count(_: &RpcContext, _: &Args<'_>) -> Result<U64, RpcError> {
    // There is no peer-to-peer network yet.
    Ok(U64::ZERO)
}
