//! `admin_`: what only the operator may ask for. Served on the loopback interface; who can reach the port is the operator.

use crate::{Registrar, da, network};

/// Registers the namespace.
pub fn register(registrar: &mut Registrar) {
    registrar.asynchronous("admin_checkpointNow", da::checkpoint_now);
    network::register_admin(registrar);
}
